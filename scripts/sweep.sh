#!/usr/bin/env bash
# The main job: trains the grid of configs/sweep.py into runs/sweep. Further arguments go to rw_jax.main, such as
#   bash scripts/sweep.sh --config.grid.seed='range(100)' --workdir=runs/sweep100
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec python -m rw_jax.main --config=configs/sweep.py "$@"
