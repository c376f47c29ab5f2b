#!/usr/bin/env bash
# All tests. Further arguments go to pytest.
set -euo pipefail
. "$(dirname "$0")/environment.sh"
exec python -m pytest "$@"
