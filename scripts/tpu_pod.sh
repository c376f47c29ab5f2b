#!/usr/bin/env bash
# A sweep on all hosts of a TPU pod slice, from your own machine with gcloud: edit the names, then run it. Repeat the command
# to resume after a preemption. Every host must see the run directory, here a bucket that is mounted on each of them
# (a chunk is saved under another name and then renamed, which gcsfuse refuses without a limit on the files in it).
set -euo pipefail
TPU=rw-jax ZONE=us-central2-b BUCKET=my-bucket REPOSITORY=https://example.org/rw_jax.git
gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="
  set -e
  mkdir -p runs && (mountpoint -q runs || gcsfuse --implicit-dirs --rename-dir-limit=10000 $BUCKET runs)
  [ -d rw_jax ] || git clone $REPOSITORY rw_jax
  cd rw_jax && . scripts/environment.sh && pip install --quiet 'jax[tpu]'
  python -m rw_jax.main --distributed --config=configs/sweep.py --workdir=\$HOME/runs/sweep"
