"""How the start decides: Gaussian starts of several scales beside p = 0.5, 0.9 and 1, with 50 seeds each, 1,050 runs.

    python -m rw_jax.main --config=configs/starts.py

Time: about half a minute on 2 cores. Expect every seed to learn p = 1, however small the start: Theorem 4.1 assumes one
that is exactly zero. Large starts keep seeds from the parent at p = 0.5 and 0.9.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("sweep.py"))
    config.name = "starts"
    config.model.init = "gaussian"
    config.grid.p = (0.5, 0.9, 1)
    config.grid.init_scale = (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2)
    config.grid.seed = range(50)
    return config
