"""The 132 circles of configs/infinite.py on infinitely many walks of all lengths, by steps and by flow: 264 runs.

    python -m rw_jax.main --config=studies/all_lengths/configs/all_lengths_infinite.py
    python -m studies all_lengths

Nothing is random. Time: about ten minutes on 2 cores. Expect attention on the parent everywhere, where whole walks end
on an earlier token in 41 circles, and by gradient flow in 39.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    configs = Path(__file__).parents[3] / "configs"
    config = rw_jax.read_config(configs / "infinite.py")
    config.name = "all_lengths_infinite"
    config.training.shortest_walk = 2
    config.record.parameters = (2,)
    config.grid.optimizer = ("gd", "../../../configs/pieces/gradient_flow.py:gradient_flow")
    return config
