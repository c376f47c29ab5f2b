"""Figure 8: figure 4 on a larger circle, K = 20, N = 101, p = 0.5, 50 seeds.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig8.py

Time: half a minute on 2 cores. Expect what figure 4 shows.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("fig4.py"))
    config.name = "fig8"
    config.task.num_nodes = 20
    config.task.walk_length = 101
    config.grid.seed = tuple(range(50))
    return config
