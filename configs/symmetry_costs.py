"""What the remedies for p = 0 and 1 cost at 0 < p < 1, on the paper's 1,000 walks: 2,240 runs.

    python -m rw_jax.main --config=configs/symmetry_costs.py
    python scripts/symmetry.py

Time: about four minutes on 2 cores. Expect small starts and curricula to cost nothing.
"""

from pathlib import Path

import ml_collections

import rw_jax
from rw_jax.reports.symmetry import REMEDIES, fields_of
from rw_jax.study.base import pair_rows


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("symmetry.py"))
    config.name = "symmetry_costs"
    config.task.test_walks = 1000
    config.training.steps, config.record.every = 400, 50
    rows = [fields_of(remedy, p, walks=1000) for remedy in REMEDIES for p in (0.5, 0.7, 0.9, 0.99)]
    pair_rows(config, rows)
    config.grid.seed = range(20)
    return config
