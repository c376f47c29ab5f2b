"""A tenth of the chains of chains.py by the length N of walks and the width M of positions, on samples: 2,650 runs.

    python -m rw_jax.main --config=studies/chains/configs/chains_widths_samples.py
    python -m studies chains

Time: about five minutes on 2 cores. Expect what infinitely many walks show, and fewer seeds beside ties.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("chains_samples.py"))
    config.name = "chains_widths_samples"
    for axis in config.zipped[0]:
        config.grid[axis] = config.grid[axis][::2]
    config.task.walks = 3000
    config.grid.walks = config.grid.num_nodes = None
    config.grid.walk_length = (49, 97)
    config.grid.position_width = (100, 343, 1000, 3000, 10_000)
    config.grid.seed = range(5)
    return config
