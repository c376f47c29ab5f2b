"""Tasks that take more than the last token, with five times the steps and ten times the walks: 60 runs.

    python -m rw_jax.main --config=studies/relatives/configs/relatives_depth.py
    python -m studies relatives

Time: about twenty minutes on 2 cores. Expect two layers and heads to come near the optimum of a hidden direction, and
one layer not.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("relatives_tasks.py"))
    config.name = "relatives_depth"
    config.task.walks, config.task.test_walks = 100_000, 10_000
    config.training.steps, config.record.every = 10_000, 500
    config.grid.arm = {name: config.grid.arm[name] for name in ("1 layer with 1 head", "2 layers with 2 heads")}
    config.grid.p = (0.7, 0.9)
    config.grid.seed = range(5)
    return config
