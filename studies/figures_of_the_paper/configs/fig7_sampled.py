"""Figure 7 on 1000 sampled training and test questions, as in the paper, 100 seeds each.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig7_sampled.py

Time: half a minute on 2 cores. Expect what studies/figures_of_the_paper/configs/fig7.py shows.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("fig7.py"))
    config.name = "fig7_sampled"
    config.task.walks = 1000
    config.task.test_walks = 1000
    return config
