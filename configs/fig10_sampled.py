"""Figure 10 on 1024 sampled training and test questions, as in the paper, 100 seeds each.

    python -m rw_jax.main --config=configs/fig10_sampled.py

Time: half a minute on 2 cores. Expect what configs/fig10.py shows.
"""

import ml_collections

from configs import fig10


def get_config() -> ml_collections.ConfigDict:
    config = fig10.get_config()
    config.name = "fig10_sampled"
    config.task.walks = 1024
    config.task.test_walks = 1024
    return config
