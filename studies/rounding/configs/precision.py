"""The rounding study: the deterministic walk of figure 5, trained in both forms, with 8 seeds each.

    python -m studies rounding

runs this config in float32 and in float64, which is to say

    python -m rw_jax.main --config=studies/rounding/configs/precision.py --config.precision=float64

and the same with float32. Time: two minutes on 2 cores. Expect the full form to leave
the symmetric state of Theorem 4.1 by rounding alone, in float32 after about 8 steps and in float64 after about 16, and
the reduced form to stay in it for good.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "precision"
    config.task.p = 1.0
    config.training.steps = 100
    config.grid.form = ("full", "reduced")
    config.grid.seed = tuple(range(8))
    return config
