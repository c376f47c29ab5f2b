"""Whole walks beside walks of all lengths, 6 and 20 nodes, over p: 200 seeds each, 18,400 runs.

    python -m rw_jax.main --config=studies/all_lengths/configs/all_lengths.py
    python -m studies all_lengths

Time: about fifteen minutes on 2 cores. Expect walks of all lengths to be learned at nearly every p, p = 0 and 1 among
them, where whole walks fail the more, the more nodes there are.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).parents[3] / "configs" / "sweep.py")
    config.name = "all_lengths"
    config.record.every, config.record.parameters = 50, ()
    config.grid.num_nodes, config.grid.walk_length, config.grid.walks = (6, 20), (97, 101), (1000, 3000)
    config.zipped = (("num_nodes", "walk_length", "walks"),)
    config.grid.shortest_walk = (0, 2)
    return config
