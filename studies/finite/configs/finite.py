"""How samples come to infinitely many walks: 100 to 100,000 walks with 40 seeds each beside the exact ones, 720 runs.

    python -m rw_jax.main --config=studies/finite/configs/finite.py
    python -m studies finite

Time: about four minutes on 2 cores. Expect the share of seeds that attend to the token of the exact run to grow with
the number of walks, and the distance of V from its V to fall as one over the square root.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "finite"
    config.precision = "float64"
    config.training.steps = 50
    config.record.every = 50
    config.record.parameters = ()
    config.grid.p = (0.5, 0.7, 0.9)
    config.grid.walks = (100, 300, 1000, 10_000, 100_000, "infinite")
    config.grid.seed = range(40)
    return config
