"""The shortest walk by the number of nodes: whole walks, walks from N/2, from 10 and from 2 states on: 1,200 runs.

    python -m rw_jax.main --config=studies/all_lengths/configs/all_lengths_nodes.py
    python -m studies all_lengths

Time: about three minutes on 2 cores. Expect lengths from N/2 on to help on six nodes and to harm on more, and all
lengths to help everywhere.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "all_lengths_nodes"
    config.record.every, config.record.parameters = 50, ()
    sizes = ((6, 97, 1000), (20, 101, 3000), (31, 121, 3000))
    rows = [(*size, shortest) for size in sizes for shortest in (0, size[1] // 2 + 1, 10, 2)]
    axes = ("num_nodes", "walk_length", "walks", "shortest_walk")
    for axis, labels in zip(axes, zip(*rows, strict=True), strict=True):
        config.grid[axis] = labels
    config.zipped = (axes,)
    config.grid.p = (0.7, 0.8, 0.9, 0.97, 0.99)
    config.grid.seed = range(20)
    return config
