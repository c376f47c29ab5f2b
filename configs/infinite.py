"""Where attention ends on infinitely many walks: p from 0.5 to 0.99 and K from 5 to 64 nodes, 132 runs without a seed.

    python -m rw_jax.main --config=configs/infinite.py
    python scripts/lags.py

Time: about five minutes on 2 cores. Expect attention on the direct parent for few nodes and little drift, and on an
earlier token from some K on (docs/science.md): the population itself does what seeds do on samples.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "infinite"
    config.task.walks = "infinite"
    config.precision = "float64"
    config.training.steps = 300
    config.record.every = 300
    config.record.parameters = (1, 2, 3, 10, 100)
    config.grid.p = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)
    config.grid.num_nodes = (5, 6, 8, 12, 16, 18, 20, 24, 32, 48, 64)
    return config
