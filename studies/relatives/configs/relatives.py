"""Heads and fixed embeddings, trained as the paper trains its model: 14 relatives, 1,400 runs.

    python -m rw_jax.main --config=studies/relatives/configs/relatives.py
    python -m studies relatives

Time: about six minutes on 2 cores. Expect heads to change nothing, and positions that are not
orthogonal nearly everything.
"""

import runpy
from pathlib import Path

import ml_collections

import rw_jax

relatives = runpy.run_path(str(Path(__file__).parents[1] / "relatives.py"))


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "relatives"
    config.record.parameters = ()
    config.grid.arm = relatives["arms"](relatives["RELATIVES"])
    config.grid.p = (0.5, 0.7, 0.9, 0.99, 1.0)
    config.grid.seed = range(20)
    return config
