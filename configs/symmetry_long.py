"""The remedies at p = 0 and 1 that have not learned by step 100, for 10,000 steps: 1,600 runs.

    python -m rw_jax.main --config=configs/symmetry_long.py
    python scripts/symmetry.py

Time: about ten minutes on 2 cores. Expect no change of what stays.
"""

from pathlib import Path

import ml_collections

import rw_jax
from rw_jax.reports.symmetry import REMEDIES, fields_of
from rw_jax.study.base import pair_rows


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("symmetry.py"))
    config.name = "symmetry_long"
    del config.training.options.eps  # Adam has learned
    config.training.steps, config.record.every = 10_000, 100
    chosen = [remedy for remedy in REMEDIES if not remedy.leaves or remedy.name in ("sign", "all positions")]
    rows = [fields_of(remedy, p, walks=120) for remedy in chosen for p in (0.0, 1.0)]
    pair_rows(config, rows)
    return config
