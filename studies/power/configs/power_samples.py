"""The same on samples of whole walks, on 6 and 20 nodes, wherever attention goes: 160 runs.

    python -m rw_jax.main --config=studies/power/configs/power_samples.py
    python -m studies power

Time: about five minutes on 2 cores. Expect V to tend to the power 1 / (1 + a) of the counts of the sample, at the lag
that a seed attends to: lag 1, and on 20 nodes others, too.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "power_samples"
    config.training.loss, config.training.options.exponent = "power", 1.0
    config.training.epsilon = 1.0
    config.training.steps, config.record.every, config.record.parameters = 2_000, 2_000, ()
    config.record.metrics = ("highest_lag", "parent_attention")
    config.grid.num_nodes, config.grid.walk_length, config.grid.walks = (6, 20), (97, 101), (1_000, 3_000)
    config.zipped = (("num_nodes", "walk_length", "walks"),)
    config.grid.exponent = (0.0, 0.5, 1.0, 2.0)
    config.grid.p = (0.6, 0.8)
    config.grid.seed = range(10)
    return config
