"""Decoders, from the paper's model to all parts at once: 14 of them, 1,400 runs.

    python -m rw_jax.main --config=studies/relatives/configs/relatives_decoder.py
    python -m studies relatives

Time: about fifteen minutes on 2 cores. Expect a residual stream to learn what the paper's
model, trained so, does not always.
"""

import runpy
from pathlib import Path

import ml_collections

import rw_jax

relatives = runpy.run_path(str(Path(__file__).parents[1] / "relatives.py"))


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "relatives_decoder"
    config.task.num_nodes, config.task.walk_length = 6, 13
    config.task.walks, config.task.test_walks = 10_000, 1000
    config.model.form, config.model.position_width = "decoder", 16
    config.model.init, config.model.init_scale = "gaussian", 0.1
    config.training.loss, config.training.optimizer, config.training.learning_rate = "cross_entropy", "adam", 0.01
    config.training.steps, config.training.batch = 1000, 128
    config.record.every, config.record.parameters = 20, ()
    config.grid.arm = relatives["arms"](relatives["OF_DECODERS"])
    config.grid.p = (0.5, 0.7, 0.9, 0.99, 1.0)
    config.grid.seed = range(20)
    return config
