"""Figure 7: the two question-answering tasks of section 6, on the population of all questions, 100 seeds each.

    python -m rw_jax.main --config=studies/figures_of_the_paper/configs/fig7.py

Keys and query are scaled to unit length: the reading under which the paper's curves come out. Time: ten seconds on 2
cores. Expect Task 1 (majority) to be learned within 100 steps, and accuracy 1/2 in Task 2 (preference).
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "fig7"
    config.task.num_nodes = 19
    config.task.walks = "all"
    config.task.test_walks = "all"
    config.model.unit_length = "both"
    config.model.init = "gaussian"
    config.model.init_scale = 0.01
    config.training.learning_rate = 0.1
    config.training.steps = 100
    config.grid.task = ("majority", "preference")
    config.grid.walk_length = (17, 19)
    config.grid.seed = tuple(range(100))
    config.zipped = (("task", "walk_length"),)
    return config
