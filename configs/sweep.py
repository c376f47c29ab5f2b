"""The main job: the setting of figures 4 and 5 over the whole range of p, with 200 seeds each, 4,600 runs.

    python -m rw_jax.main --config=configs/sweep.py

Time: half a minute on 2 cores. Expect every seed on the direct parent in the middle and fewer towards p = 0 and 1
(Theorem 3.1), accuracy near max(p, 1 - p), and accuracy 1/6 with equal weights at p = 0 and 1 (Theorem 4.1).
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "sweep"
    near_0 = (0.001, 0.003, 0.01, 0.03, 0.05)
    middle = (0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9)
    config.grid.p = (0, *near_0, *middle, *(1 - p for p in reversed(near_0)), 1)
    config.grid.seed = range(200)
    return config
