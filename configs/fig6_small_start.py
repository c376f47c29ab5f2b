"""Figures 6 and 11 to 13 with the loss summed over walks and a start a thousand times smaller than stated, 50 seeds.

    python -m rw_jax.main --config=configs/fig6_small_start.py

The reading that comes closest to the paper. Time: half a minute on 2 cores. Expect p = 0.5 to be learned after about
450 steps, as from a larger start, and p = 1 later, as every factor of ten in the start delays it by some 200 steps.
"""

import ml_collections

from configs import fig6_sum


def get_config() -> ml_collections.ConfigDict:
    config = fig6_sum.get_config()
    config.name = "fig6_small_start"
    config.model.init_scale = 1e-5
    return config
