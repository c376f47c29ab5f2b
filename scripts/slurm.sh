#!/usr/bin/env bash
# A sweep on several nodes under SLURM, one process for each GPU: edit, then `sbatch scripts/slurm.sh` in the project.
# Submit it again to resume a job that ran out of time. For a job array instead, give each task a run directory and a
# part of the seeds: --workdir=runs/part$SLURM_ARRAY_TASK_ID --config.grid.seed="range($a,$b)", without --distributed.
#SBATCH --job-name=rw_jax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@60
set -euo pipefail
export JAX_COMPILATION_CACHE_DIR="$PWD/.cache" # on a disk that all nodes see
srun .venv/bin/python -m rw_jax.main --distributed --config=configs/sweep.py --workdir=runs/sweep "$@"
