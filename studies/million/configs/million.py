"""A million runs of a small setting: success over p and the number of walks, 5,000 seeds in each of 200 settings.

    python -m rw_jax.main --config=studies/million/configs/million.py
    python -m studies million

K = 6 and N = 25, after 50 steps. Time: eight minutes on 2 cores. Expect more seeds on the direct parent with more
walks, and none that learn anything at p = 0 and 1 (Theorem 4.1).
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "million"
    config.task.walk_length = 25
    config.task.test_walks = 100
    config.record.every = 50
    config.record.parameters = (50,)
    config.grid.p = (0, 0.01, 0.03, *(round(0.05 * i, 2) for i in range(1, 20)), 0.97, 0.99, 1)
    config.grid.walks = (20, 30, 50, 70, 100, 150, 200, 300)
    config.grid.seed = range(5_000)
    return config
