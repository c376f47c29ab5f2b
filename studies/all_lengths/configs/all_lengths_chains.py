"""The chains of the study of chains on infinitely many walks, whole and of all lengths, by the width M: 424 runs.

    python -m rw_jax.main --config=studies/all_lengths/configs/all_lengths_chains.py
    python -m studies all_lengths

Nothing is random. Time: about ten minutes on 2 cores. Expect all lengths to help narrow positions.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).parents[2] / "chains" / "configs" / "chains_widths.py")
    config.name = "all_lengths_chains"
    config.grid.walk_length, config.grid.position_width = None, (343, 1000)
    config.grid.shortest_walk = (0, 2)
    return config
