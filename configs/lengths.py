"""Where attention ends on infinitely many walks that grow longer: N from 25 to 289, M = N^1.5, on 24 nodes: 120 runs.

    python -m rw_jax.main --config=configs/lengths.py
    python scripts/lags.py --study=lengths

Time: about four minutes on 2 cores. Expect the same lags at every length where the largest correlation leads clearly:
what keeps attention from the parent on many nodes does not go away as walks grow.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("infinite.py"))
    config.name = "lengths"
    config.task.num_nodes = 24
    config.grid.num_nodes = None
    config.grid.walk_length = (25, 49, 97, 193, 289)
    config.grid.position_width = (125, 343, 955, 2681, 4913)  # N^1.5, as Theorem 3.1 asks for
    config.zipped = (("learning_rate", "optimizer"), ("walk_length", "position_width"))
    return config
