"""Where attention ends on infinitely many walks that grow longer: N from 25 to 289, M = N^1.5, on 24 nodes: 120 runs.

    python -m rw_jax.main --config=studies/where_attention_ends/configs/lengths.py
    python -m studies where_attention_ends lengths

Time: about four minutes on 2 cores. Expect the same lags at every length where the largest correlation leads clearly:
what keeps attention from the parent on many nodes does not go away as walks grow.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).parents[3] / "configs" / "infinite.py")
    config.name = "lengths"
    config.task.num_nodes = 24
    config.grid.num_nodes = None
    config.grid.optimizer = ("gd", "../../../configs/pieces/gradient_flow.py:gradient_flow")
    config.grid.walk_length = (25, 49, 97, 193, 289)
    config.grid.position_width = (125, 343, 955, 2681, 4913)  # N^1.5, as Theorem 3.1 asks for
    config.zipped = (("learning_rate", "optimizer"), ("walk_length", "position_width"))
    return config
