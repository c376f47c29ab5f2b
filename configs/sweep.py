"""The main job: the setting of figures 4 and 5 over the whole range of p, with 16 seeds each, 336 runs.

    python -m rw_jax.main --config=configs/sweep.py

Time: about 15 s on 2 cores. Expect accuracy near max(p, 1 - p) with the direct parent attended to for most seeds at
0 < p < 1 (Theorem 3.1), and accuracy near 1/6 with equal weights at p = 0 and 1 (Theorem 4.1).
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "sweep"
    config.grid.p = tuple(round(0.05 * i, 2) for i in range(21))
    config.grid.seed = tuple(range(16))
    return config
