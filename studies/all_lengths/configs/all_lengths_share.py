"""Whole walks among which a share has two states alone, by that share, on 6, 20 and 31 nodes: 2,400 runs.

    python -m rw_jax.main --config=studies/all_lengths/configs/all_lengths_share.py
    python -m studies all_lengths

Time: about five minutes on 2 cores. Expect a few percent of such walks to be enough.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "all_lengths_share"
    config.record.every, config.record.parameters = 50, ()
    config.task.name, config.task.options.share = "../short_walks.py:short_walks", 0.0
    config.grid.num_nodes, config.grid.walk_length, config.grid.walks = (6, 20, 31), (97, 101, 121), (1000, 3000, 3000)
    config.zipped = (("num_nodes", "walk_length", "walks"),)
    config.grid.share = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
    config.grid.p = (0.7, 0.8, 0.9, 0.97, 0.99)
    config.grid.seed = range(20)
    return config
