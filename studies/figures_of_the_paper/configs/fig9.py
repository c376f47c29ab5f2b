"""Figure 9: figure 5 on a larger circle, K = 20, N = 101, p = 1, 50 seeds.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig9.py

Time: ten seconds on 2 cores. Expect what figure 5 shows, with accuracy near 1/20.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("fig8.py"))
    config.name = "fig9"
    config.task.p = 1.0
    return config
