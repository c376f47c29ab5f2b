"""Random positions by their width M and the learning rate, ten draws of each: 320 runs.

    python -m rw_jax.main --config=studies/relatives/configs/relatives_positions.py
    python -m studies relatives

Time: about five minutes on 2 cores. Expect the parent where M is 16,000, or the rate is small.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "relatives_positions"
    config.record.parameters = ()
    config.model.positions = "random"
    config.training.steps, config.record.every = 400, 2
    config.grid.position_width = (250, 1000, 4000, 16000)
    config.grid.learning_rate = (1.0, 0.001)
    config.grid.p = (0.5, 0.7, 0.9, 0.99)
    config.grid.embedding_seed = range(10)
    return config
