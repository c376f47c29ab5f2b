"""Figure 2: the transition matrix at p = 0.5, 0.7 and 1, beside the transitions of the walks that are drawn.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig2.py

No step is trained; `python -m studies figures fig2` counts the transitions of the test walks of 50 seeds.
Time: a few seconds. Expect the shares of all transitions to be those of the matrix.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "fig2"
    config.training.steps = 0
    config.grid.p = (0.5, 0.7, 1.0)
    config.grid.seed = tuple(range(50))
    return config
