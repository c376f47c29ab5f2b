"""Figure 10 on 1024 sampled training and test questions, as in the paper, 100 seeds each.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig10_sampled.py

Time: half a minute on 2 cores. Expect what studies/figures_of_the_paper/configs/fig10.py shows.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("fig10.py"))
    config.name = "fig10_sampled"
    config.task.walks = 1024
    config.task.test_walks = 1024
    return config
