"""Losses with l' = -(f_y + epsilon)^-a on all walks of a circle: five exponents, five p, seven arms, 175 runs.

    python -m rw_jax.main --config=studies/power/configs/power.py
    python -m studies power

Time: about three minutes on 2 cores. Nothing is random but one start. Expect each entry of V to grow as its
probability to the power 1 / (1 + a), whatever the arm.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "power"
    config.precision = "float64"
    config.task.num_nodes, config.task.walk_length = 5, 8
    config.task.walks = config.task.test_walks = "all"
    config.model.position_width = 100
    config.training.loss, config.training.options.exponent = "power", 1.0
    config.training.epsilon = 1.0  # the first step is the same for all exponents, then
    config.training.steps, config.record.every = 20_000, 20_000
    config.record.parameters = (100, 300, 1_000, 3_000, 10_000)
    config.record.metrics = ("parent_attention",)
    config.grid.arm = {
        "base": {},
        "η = 0.1": {"learning_rate": 0.1},
        "η = 10": {"learning_rate": 10.0},
        "ε = η = 0.1": {"epsilon": 0.1, "learning_rate": 0.1},
        "6 nodes": {"num_nodes": 6, "walk_length": 9},
        "M = 20": {"position_width": 20},
        "start of 0.001": {"init": "gaussian", "init_scale": 0.001},
    }
    config.grid.exponent = (0.0, 0.5, 1.0, 2.0, 3.0)
    config.grid.p = (0.6, 0.7, 0.8, 0.9, 0.97)
    return config
