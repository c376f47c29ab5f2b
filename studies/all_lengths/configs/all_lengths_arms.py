"""Other failures with whole walks and with walks of all lengths: large starts, positions, p beside 1/2: 640 runs.

    python -m rw_jax.main --config=studies/all_lengths/configs/all_lengths_arms.py
    python -m studies all_lengths

Time: about two minutes on 2 cores. Expect positions to be no trouble with walks of all lengths, and large starts and
p = 0.45 to stay one.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "all_lengths_arms"
    config.record.every, config.record.parameters = 50, ()
    config.grid.arm = {
        "paper": {},
        "random positions": {"positions": "random"},
        "sines of M = 48": {"position_width": 48},
        "start of 0.01": {"init": "gaussian", "init_scale": 0.01},
    }
    config.grid.shortest_walk = (0, 2)
    config.grid.p = (0.45, 0.5, 0.9, 0.99)
    config.grid.seed = range(20)
    return config
