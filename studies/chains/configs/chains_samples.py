"""A fifth of the chains of chains.py on samples: 300 to 3,000 walks, 8 and 16 nodes, 10 seeds, 6,360 runs.

    python -m rw_jax.main --config=studies/chains/configs/chains_samples.py
    python -m studies chains

Time: about three minutes on 2 cores. Expect more seeds on the last token with more walks, and fewer where
there is drift.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("chains.py"))
    config.name = "chains_samples"
    config.precision = "float32"
    config.training.steps = 50
    config.record.every = 50
    config.record.parameters = (2,)
    for axis in config.zipped[0]:
        config.grid[axis] = config.grid[axis][::5]
    config.grid.walks = (300, 1000, 3000)
    config.grid.num_nodes = (8, 16)
    config.grid.seed = range(10)
    return config
