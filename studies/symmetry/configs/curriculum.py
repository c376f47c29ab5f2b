"""Some steps at another p before p = 1: from which p, and for how long, is enough: 700 runs.

    python -m rw_jax.main --config=studies/symmetry/configs/curriculum.py
    python -m studies symmetry

Time: about a minute on 2 cores. Expect a few steps to be enough from p = 0.7 on.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "curriculum"
    config.task.test_walks = "all"
    config.training.steps, config.record.every = 200, 10
    config.record.parameters = ()
    config.grid.p = (0.5, 0.7, 0.9, 0.97, 0.99)
    config.grid.stages = tuple(f"{steps}: p=1" for steps in (1, 2, 3, 5, 10, 20, 50))
    config.grid.seed = range(20)
    return config
