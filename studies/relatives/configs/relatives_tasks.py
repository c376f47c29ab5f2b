"""Tasks whose target takes more than the last token, for decoders of one and two layers and heads: 720 runs.

    python -m rw_jax.main --config=studies/relatives/configs/relatives_tasks.py
    python -m studies relatives

Time: about twenty minutes on 2 cores. Expect one head to be enough for a lag, and nothing for a hidden direction.
"""

import runpy
from pathlib import Path

import ml_collections

import rw_jax

relatives = runpy.run_path(str(Path(__file__).parents[1] / "relatives.py"))


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("relatives_decoder.py"))
    config.name = "relatives_tasks"
    config.task.options.lag = 3  # of the lagged task
    config.training.steps = 2000
    config.grid.arm = relatives["arms"](relatives["OF_TASKS"])
    config.grid.task = ("hidden_direction", "persistent", "lagged")
    config.grid.p = (0.7, 0.9, 1.0)
    return config
