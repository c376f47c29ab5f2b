"""Heads and fixed embeddings, trained as the paper trains its model: 14 relatives, 1,400 runs.

    python -m rw_jax.main --config=configs/relatives.py
    python scripts/relatives.py

Time: about six minutes on 2 cores. Expect heads to change nothing, and positions that are not
orthogonal nearly everything.
"""

import ml_collections

import rw_jax
from rw_jax.reports.relatives import RELATIVES, fields_of
from rw_jax.study.base import pair_rows


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "relatives"
    config.record.parameters = ()
    rows = [fields_of(relative) for relative in RELATIVES]
    pair_rows(config, rows)
    config.grid.p = (0.5, 0.7, 0.9, 0.99, 1.0)
    config.grid.seed = range(20)
    return config
