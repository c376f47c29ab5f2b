"""A small grid that goes through everything in seconds: 3 values of p, 4 seeds, short walks.

    python -m rw_jax.main --config=configs/smoke.py

Time: a few seconds. Expect a table of three rows; nothing of the paper can be read off walks this short.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "smoke"
    config.task.walk_length = 13
    config.task.walks = 200
    config.task.test_walks = 200
    config.model.position_width = 100
    config.training.steps = 20
    config.grid.p = (0.5, 0.8, 1.0)
    config.grid.seed = tuple(range(4))
    return config
