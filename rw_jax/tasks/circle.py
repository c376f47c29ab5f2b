"""Random walks on a circle (section 2 of arXiv:2511.23239).

K nodes on a circle. The first state is uniform; each step goes clockwise (+1 mod K) with
probability p, else counter-clockwise (-1 mod K). Nodes are 1..K in the paper, 0..K-1 here.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from rw_jax.tasks import Task, Walks


def circle(num_nodes: int, walk_length: int) -> Task:
    """The task of predicting the last state of a walk of `walk_length` states from all others."""
    return Task(
        sample=functools.partial(sample, num_nodes=num_nodes, walk_length=walk_length),
        next_state_law=functools.partial(next_state_law, num_nodes=num_nodes),
        transition_matrix=functools.partial(transition_matrix, num_nodes),
    )


def sample(key: jax.Array, num_walks: int, p: ArrayLike, *, num_nodes: int, walk_length: int) -> Walks:
    """Draws independent walks.

    The same key gives coupled walks at every p: the first states agree, and each step compares the
    same uniform number with p. The numbers are drawn in 32 bits whatever the precision of training,
    so that a float64 run sees the walks of its float32 twin.

    Args:
      key: consumed.
      num_walks: B.
      p: float scalar, probability of a clockwise step, 0 and 1 included.
      num_nodes: K.
      walk_length: N, the states of a walk; the first N - 1 are tokens, the last is the target.
    """
    chex.assert_rank(p, 0)
    first_key, step_key = jax.random.split(key)
    first_B = jax.random.randint(first_key, (num_walks,), 0, num_nodes, jnp.int32)
    uniform_BxL = jax.random.uniform(step_key, (num_walks, walk_length - 1), jnp.float32)
    # uniform lies in [0, 1), so p = 0 never and p = 1 always goes clockwise.
    clockwise_BxL = uniform_BxL < jnp.asarray(p, jnp.float32)
    displacement_BxL = jnp.cumsum(jnp.where(clockwise_BxL, 1, -1), axis=1, dtype=jnp.int32)
    later_BxL = (first_B[:, None] + displacement_BxL) % num_nodes
    tokens_BxL = jnp.concatenate([first_B[:, None], later_BxL[:, :-1]], axis=1)
    return Walks(tokens_BxL, later_BxL[:, -1], jnp.ones(num_walks, jnp.float32))


def transition_matrix(num_nodes: int, p: ArrayLike) -> jax.Array:
    """Pi, float[K, K] (section 2): Pi[i, j] = P(next = j | now = i) = p if j = i + 1, 1 - p if j = i - 1 (mod K)."""
    chex.assert_rank(p, 0)
    p, identity = jnp.asarray(p), np.eye(num_nodes, dtype=jnp.result_type(float))
    return p * np.roll(identity, 1, axis=1) + (1 - p) * np.roll(identity, -1, axis=1)


def next_state_law(tokens_BxL: jax.Array, p: ArrayLike, *, num_nodes: int) -> jax.Array:
    """The Bayes-optimal predictor f_OPT(X) = Pi^T x_{N-1} (section 2) of each walk, float[B, K]."""
    chex.assert_rank([tokens_BxL, p], [2, 0])
    return transition_matrix(num_nodes, p)[tokens_BxL[:, -1]]
