"""A fifth of the chains of chains.py by gradient flow (configs/pieces/gradient_flow.py), without a seed: 106 runs.

    python -m rw_jax.main --config=studies/chains/configs/chains_flow.py
    python -m studies chains

Time: about ten minutes on 2 cores. Expect attention to end where it does with long steps, or nearer to the prediction.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("chains.py"))
    config.name = "chains_flow"
    config.training.optimizer = "../../../configs/pieces/gradient_flow.py:gradient_flow"
    config.training.learning_rate = 0.1
    config.training.steps = 800
    config.record.every = 800
    config.record.parameters = (2, 100, 200, 400)
    for axis in config.zipped[0]:
        config.grid[axis] = config.grid[axis][::5]
    return config
