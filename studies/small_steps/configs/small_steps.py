"""Thirteen conditions that fail or succeed with eta = 1, at rates down to 0.01 and by gradient flow: 780 runs.

    python -m rw_jax.main --config=studies/small_steps/configs/small_steps.py
    python -m studies small_steps

Steps times eta is 50, and gradient flow takes 1,000 short steps. Time: about fifteen minutes on 2 cores. Expect what
fails for its correlations to fail with any steps, and random positions to fail with long ones alone.
"""

import ml_collections

import rw_jax

CHAIN = {
    **{"task": "chain", "num_nodes": 8, "walk_length": 49, "family": "dirichlet"},
    **{"graph_seed": 280, "concentration": 1.328, "walks": 3000},
}
NODES = {"num_nodes": 20, "walk_length": 101, "walks": 3000}
RANDOM = {"p": 0.9, "positions": "random"}


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "small_steps"
    config.record.parameters = ()
    config.record.every = 5000
    config.record.metrics = ("parent_is_highest", "highest_lag", "predicts_optimally")
    for name in ("family", "concentration", "graph_seed"):
        config.task.options[name] = CHAIN[name]
    config.grid.arm = {
        "6 nodes at p = 0.7": {"p": 0.7},
        "6 nodes at p = 0.99": {"p": 0.99},
        "6 nodes at p = 0.99; all lengths": {"p": 0.99, "shortest_walk": 2},
        "p = 1": {"p": 1.0},
        "p = 1; start of 1e-8": {"p": 1.0, "init": "gaussian", "init_scale": 1e-8},
        "p = 0.7; start of 0.001": {"p": 0.7, "init": "gaussian", "init_scale": 1e-3},
        "20 nodes at p = 0.8": {**NODES, "p": 0.8},
        "20 nodes at p = 0.8; all lengths": {**NODES, "p": 0.8, "shortest_walk": 2},
        "random positions": RANDOM,
        "random positions; all lengths": {**RANDOM, "shortest_walk": 2},
        "uneven chain; M = 343": {**CHAIN, "position_width": 343},
        "uneven chain; M = 3000": {**CHAIN, "position_width": 3000},
        "uneven chain; M = 343; all lengths": {**CHAIN, "position_width": 343, "shortest_walk": 2},
    }
    config.grid.learning_rate = (1.0, 0.3, 0.1, 0.03, 0.01, 0.1)
    config.grid.steps = (50, 167, 500, 1667, 5000, 1000)
    config.grid.optimizer = (*["gd"] * 5, "../../../configs/pieces/gradient_flow.py:gradient_flow")
    config.zipped = (("learning_rate", "steps", "optimizer"),)
    config.grid.seed = range(10)
    return config
