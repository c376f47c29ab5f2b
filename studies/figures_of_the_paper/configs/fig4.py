"""Figure 4: p = 0.5 from a zero start, 100 seeds.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig4.py

Time: a few seconds on 2 cores. Expect accuracy near 0.5 within a few steps, a value matrix like Pi^T, and attention
near 1 on the direct parent (Theorem 3.1), except for the seeds that lock on another token.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "fig4"
    config.task.p = 0.5
    config.grid.seed = tuple(range(100))
    return config
