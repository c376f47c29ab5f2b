"""Figure 10: figure 7 with a feed-forward layer of 19 units, on the population of all questions, 100 seeds each.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig10.py

Time: ten seconds on 2 cores. Expect accuracy 1/2 in Task 2, and, against
the paper, Task 1 to be learned by one seed in ten only.
"""

from pathlib import Path

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("fig7.py"))
    config.name = "fig10"
    config.model.feed_forward_width = 19
    return config
