"""Readings of figure 6: which vectors are scaled to unit length, eta, and the scale of the start, 16 seeds each.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig6_readings.py

A loss that is the sum over n walks, not their mean, is gradient descent with n eta: eta = 10 is also the reading
"eta = 0.01, sum over 1000 walks". Time: five minutes on 2 cores. Expect p = 1 to be learned later the smaller the
start is.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("fig6.py"))
    config.name = "fig6_readings"
    config.grid.unit_length = ("none", "keys", "both")
    config.grid.learning_rate = (0.01, 0.1, 1.0, 10.0)
    config.grid.init_scale = (0.0001, 0.001, 0.01)
    config.grid.seed = tuple(range(16))
    return config
