"""Theorem 4.1 says "any loss, any learning rate": figure 5 for four losses and eta from 0.01 to 10, 50 seeds each.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig5_losses.py

Time: half a minute on 2 cores. Expect accuracy near 1/6 and equal weights of all tokens for each of them.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("fig5.py"))
    config.name = "fig5_losses"
    config.grid.loss = ("log", "cross_entropy", "squared_error", "hinge")
    config.grid.learning_rate = (0.01, 0.1, 1.0, 10.0)
    config.grid.seed = tuple(range(50))
    return config
