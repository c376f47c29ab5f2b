"""Readings of figure 10: which vectors are scaled to unit length, and eta; population of all questions, 50 seeds each.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig10_readings.py

A loss that is the sum over n questions is gradient descent with n eta: eta = 100 is nearly "eta = 0.1, sum over 1024".
Time: two minutes on 2 cores. Expect no reading in which most seeds learn Task 1 within 100 steps.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("fig10.py"))
    config.name = "fig10_readings"
    config.record.every = 10
    config.grid.unit_length = ("none", "keys", "both")
    config.grid.learning_rate = (0.1, 1.0, 10.0, 100.0)
    config.grid.seed = tuple(range(50))
    return config
