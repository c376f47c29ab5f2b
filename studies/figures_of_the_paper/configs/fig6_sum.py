"""Figures 6 and 11 to 13 with the loss summed over the 1000 walks, 50 seeds: the stated setting with eta = 1000 * 0.01.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig6_sum.py

Gradient descent on the sum of the losses of n walks is that on their mean with n eta. Time: half a minute on 2 cores.
Expect p = 0.5 to be learned by more than half of the seeds, and p = 1 by all of them, after some 200 steps.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("fig6.py"))
    config.name = "fig6_sum"
    config.training.learning_rate = config.task.walks * config.training.learning_rate
    return config
