#!/usr/bin/env bash
# All tests. Further arguments go to pytest.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec python -m pytest "$@"
