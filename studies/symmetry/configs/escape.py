"""Gaussian starts of ever smaller scale at p = 1: how long they take to leave the symmetric state: 360 runs.

    python -m rw_jax.main --config=studies/symmetry/configs/escape.py
    python -m studies symmetry

Time: half a minute. Expect two to three steps more for a start that is ten times smaller, less than one at η = 1.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "escape"
    config.task.p = 1.0
    config.task.walks = config.task.test_walks = "all"
    config.model.init = "gaussian"
    config.training.steps = 150
    config.record.parameters = ()
    config.precision = "float64"
    config.grid.learning_rate = (0.03, 1.0)
    config.grid.init_scale = tuple(10.0**exponent for exponent in range(-14, -5))
    config.grid.seed = range(20)
    return config
