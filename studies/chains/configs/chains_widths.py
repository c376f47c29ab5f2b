"""A fifth of the chains of chains.py by the length N of walks and the width M of positions: 1,060 runs without a seed.

    python -m rw_jax.main --config=studies/chains/configs/chains_widths.py
    python -m studies chains

Infinitely many walks. Time: about fifty minutes on 2 cores. Expect more chains to be
learned the wider positions are, uneven laws among them.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("chains.py"))
    config.name = "chains_widths"
    for axis in config.zipped[0]:
        config.grid[axis] = config.grid[axis][::5]
    config.grid.walk_length = (49, 97)
    config.grid.position_width = (100, 343, 1000, 3000, 10_000)
    return config
