#!/usr/bin/env bash
# The tests, except those that take minutes: `bash scripts/test.sh -m ''` runs all. Further arguments go to pytest.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec python -m pytest "$@"
