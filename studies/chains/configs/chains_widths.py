"""A fifth of the chains of chains.py by the width M of positions, on infinitely many walks, without a seed: 424 runs.

    python -m rw_jax.main --config=studies/chains/configs/chains_widths.py
    python -m studies chains

Time: about ten minutes on 2 cores. Expect more chains to be learned the wider positions are, uneven laws among them.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("chains.py"))
    config.name = "chains_widths"
    for axis in config.zipped[0]:
        config.grid[axis] = config.grid[axis][::5]
    config.grid.position_width = (343, 1000, 3000, 10_000)
    return config
