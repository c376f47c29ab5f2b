"""Where attention is after many steps on infinitely many walks, 100,000 with eta = 1 and 3,000 with 0.01: 96 runs.

    python -m rw_jax.main --config=studies/where_attention_ends/configs/settled.py
    python -m studies where_attention_ends settled

Time: about ten minutes on 2 cores. Expect that attention seldom leaves a lag that it has once gone to. A step costs far
less once attention is one-hot, which takes longer with a small rate.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).parents[3] / "configs" / "infinite.py")
    config.name = "settled"
    config.record.every = 100_000
    config.record.parameters = (1, 2, 3, 10, 30, 100, 300, 1000)
    config.grid.num_nodes = (6, 12, 16, 20)
    config.grid.optimizer = None
    config.grid.learning_rate = (1.0, 0.01)
    config.grid.steps = (100_000, 3000)
    config.zipped = (("learning_rate", "steps"),)
    return config
