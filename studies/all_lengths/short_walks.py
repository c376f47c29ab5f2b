"""Walks on a circle of which a share has two states alone, as a task: --config.task.options.share=0.02."""

import jax
import jax.numpy as jnp

from rw_jax import Task, Walks
from rw_jax.tasks.circle import circle


def short_walks(num_nodes: int, walk_length: int) -> Task:
    """The circle, whose walks have two states with probability values["share"], the tokens before the last missing."""
    whole = circle(num_nodes, walk_length)

    def sample(key, num_walks, values) -> Walks:
        walks = whole.sample(key, num_walks, values)
        is_short_B = jax.random.uniform(jax.random.fold_in(key, 1), (num_walks,), jnp.float32) < values["share"]
        is_last_Lx1 = jnp.arange(walk_length - 1)[:, None] == walk_length - 2
        tokens_LxB = jnp.where(is_short_B & ~is_last_Lx1, num_nodes, walks.tokens_LxB)
        return walks._replace(tokens_LxB=tokens_LxB)

    return whole._replace(sample=sample, population=None, has_gaps=True, value_options=("share",))
