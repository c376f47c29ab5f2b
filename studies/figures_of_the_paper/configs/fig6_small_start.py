"""Figures 6 and 11 to 13 with the loss summed over walks and a start a thousand times smaller than stated, 50 seeds.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig6_small_start.py

The reading that comes closest to the paper. Time: half a minute on 2 cores. Expect p = 0.5 to be learned after about
450 steps, as from a larger start, and p = 1 later, as every factor of ten in the start delays it by some 200 steps.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("fig6_sum.py"))
    config.name = "fig6_small_start"
    config.model.init_scale = 1e-5
    return config
