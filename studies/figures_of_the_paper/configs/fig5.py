"""Figure 5: the deterministic walk, p = 1, otherwise as figure 4, 100 seeds.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig5.py

Time: a few seconds on 2 cores. Expect accuracy near 1/6, a value matrix near all-ones, and equal weights of all tokens
(Theorem 4.1).
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("fig4.py"))
    config.name = "fig5"
    config.task.p = 1.0
    return config
