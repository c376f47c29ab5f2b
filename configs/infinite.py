"""Where attention ends on infinitely many walks: p from 0.5 to 0.99 and K from 5 to 64 nodes, 264 runs without a seed.

    python -m rw_jax.main --config=configs/infinite.py
    python -m studies where_attention_ends infinite

Each circle is trained by gradient descent with eta = 1, and by gradient flow (pieces/gradient_flow.py). Time: about
eight minutes on 2 cores. Expect attention on the direct parent for few nodes and little drift, and on an earlier token
from some K on (docs/science.md): the population itself does what seeds do on samples, however small the steps.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "infinite"
    config.task.walks = "infinite"
    config.precision = "float64"
    config.training.steps = 1000
    config.record.every = 1000
    config.record.parameters = (1, 2, 3, 10, 30, 50, 75, 100, 150, 200, 250, 300, 500)
    config.grid.p = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)
    config.grid.num_nodes = (5, 6, 8, 12, 16, 18, 20, 24, 32, 48, 64)
    config.grid.optimizer = ("gd", "pieces/gradient_flow.py:gradient_flow")
    config.grid.learning_rate = (1.0, 0.1)
    config.zipped = (("learning_rate", "optimizer"),)
    return config
