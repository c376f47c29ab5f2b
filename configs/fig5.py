"""Figure 5: the deterministic walk, p = 1, otherwise as figure 4, 100 seeds.

    python -m rw_jax.main --config=configs/fig5.py

Time: a few seconds on 2 cores. Expect accuracy near 1/6, a value matrix near all-ones, and equal weights of all tokens
(Theorem 4.1).
"""

import ml_collections

from configs import fig4


def get_config() -> ml_collections.ConfigDict:
    config = fig4.get_config()
    config.name = "fig5"
    config.task.p = 1.0
    return config
