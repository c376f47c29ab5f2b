"""Figures 6 and 11 to 13: p = 0.5 and p = 1 from a Gaussian start, in the setting that the paper states, 50 seeds.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig6.py

Keys and query are scaled to unit length, eta = 0.01. Time: half a minute on 2 cores. Expect neither p to be learned in
1000 steps, against the paper; studies/figures_of_the_paper/configs/fig6_readings.py tries other readings.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "fig6"
    config.model.unit_length = "both"
    config.model.init = "gaussian"
    config.model.init_scale = 0.01
    config.training.learning_rate = 0.01
    config.training.steps = 1000
    config.record.every = 10
    config.record.parameters = (100, 400, 700, 1000)
    config.grid.p = (0.5, 1.0)
    config.grid.seed = tuple(range(50))
    return config
