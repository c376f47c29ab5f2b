"""The paper's setting (section 5) for one run at p = 0.5: every field there is, each with its value.

    python -m rw_jax.main --config=configs/base.py

Other configs derive from this one and change what they are about. Any axis of `grid` that is not None is swept;
axes multiply, unless `zipped` lets some advance together: with

    config.grid.num_nodes = (6, 20)
    config.grid.walk_length = (97, 101)
    config.zipped = (("num_nodes", "walk_length"),)

the grid holds (6, 97) and (20, 101).

Time: a few seconds, most of them compilation. Expect accuracy near 0.5.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    return rw_jax.base_config()
