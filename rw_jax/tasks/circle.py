"""Random walks on a circle (section 2 of arXiv:2511.23239).

K nodes on a circle. The first state is uniform; each step goes clockwise (+1 mod K) with
probability p, else counter-clockwise (-1 mod K). Nodes are 1..K in the paper, 0..K-1 here.
"""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from rw_jax.study.errors import ConfigError
from rw_jax.tasks import Labels, Law, Task, Values, Walks

LARGEST_POPULATION = 2**17
"""Random walks are enumerated up to this many."""


def circle(num_nodes: int, walk_length: int) -> Task:
    """The task of predicting the last state of a walk of `walk_length` states from all others.

    Raises:
      ConfigError: if there are less than three nodes: on two, both directions lead to the same one.
    """
    if num_nodes < 3:
        raise ConfigError(f"task.num_nodes is {num_nodes}, but must be at least 3 for task.name = 'circle'.")

    def next_state_law(tokens_LxB: jax.Array, values: Values) -> jax.Array:
        """The Bayes-optimal predictor f_OPT(X) = Pi^T x_{N-1} (section 2) of each walk, float[K, B]."""
        chex.assert_rank(tokens_LxB, 2)
        return transition_matrix(num_nodes, values["p"])[tokens_LxB[-1]].T

    def law(values: Values) -> Law:
        transition_KxK = transition_matrix(num_nodes, values["p"])
        return Law(jnp.full(num_nodes, 1 / num_nodes, transition_KxK.dtype), transition_KxK)

    def check(labels: Labels) -> None:
        """Refuses every walk there is where there are too many of them, and infinitely many where they are few."""
        if labels["p"] in (0, 1) and labels["walks"] == math.inf:
            raise ConfigError(
                f"task.walks is 'infinite', but must be 'all' for task.p = {labels['p']}: there are {num_nodes} walks, "
                "and 'all' keeps their symmetry to the last bit. In a grid give p = 0 and 1 a study of their own."
            )
        if 0 < labels["p"] < 1 and not can_enumerate(num_nodes, walk_length):
            for field in ("walks", "test_walks"):
                if labels[field] == "all":
                    raise ConfigError(
                        f"task.{field} is {labels[field]!r}, but must be a number for task.p = {labels['p']}: there "
                        f"are more than {LARGEST_POPULATION} walks of {walk_length} states on {num_nodes} nodes."
                    )

    return Task(
        num_nodes,
        walk_length,
        sample=lambda key, num_walks, values: sample(
            key, num_walks, values["p"], num_nodes=num_nodes, walk_length=walk_length
        ),
        next_state_law=next_state_law,
        population=lambda values: population(values["p"], num_nodes=num_nodes, walk_length=walk_length),
        law=law,
        offsets=(1, -1),
        check=check,
        is_next=True,
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
    return walk_of_steps(first_B, clockwise_BxL, jnp.ones(num_walks, jnp.float32), num_nodes)


def population(p: ArrayLike, *, num_nodes: int, walk_length: int) -> Walks:
    """All walks there are: K 2^(N-1), or, for longer ones, the K deterministic walks of p = 0 or 1.

    Args:
      p: float scalar, probability of a clockwise step; 0 or 1 where the random walks cannot be enumerated.
      num_nodes: K.
      walk_length: N.
    """
    chex.assert_rank(p, 0)
    p, L = jnp.asarray(p), walk_length - 1
    if not can_enumerate(num_nodes, walk_length):
        clockwise_KxL = jnp.broadcast_to(p > 0.5, (num_nodes, L))
        return walk_of_steps(jnp.arange(num_nodes), clockwise_KxL, jnp.full(num_nodes, 1 / num_nodes), num_nodes)
    number_B = jnp.arange(num_nodes * 2**L, dtype=jnp.int32)
    clockwise_BxL = (number_B[:, None] >> jnp.arange(L)) & 1 == 1  # the lower digits are the steps
    probability_BxL = jnp.where(clockwise_BxL, p, 1 - p)
    return walk_of_steps(number_B >> L, clockwise_BxL, jnp.prod(probability_BxL, axis=1) / num_nodes, num_nodes)


def can_enumerate(num_nodes: int, walk_length: int) -> bool:
    """Whether `population` holds the walks of every p, and not of p = 0 and 1 only."""
    return num_nodes * 2 ** (walk_length - 1) <= LARGEST_POPULATION


def walk_of_steps(first_B: jax.Array, clockwise_BxL: jax.Array, weights_B: jax.Array, num_nodes: int) -> Walks:
    """The walks that start at these states and take these L steps, clockwise or not; the last leads to the target."""

    def step(state_B, clockwise_B):
        return jnp.where(clockwise_B, state_B + 1, state_B - 1) % num_nodes, state_B

    targets_B, tokens_LxB = jax.lax.scan(step, first_B, clockwise_BxL.T)
    return Walks(tokens_LxB, targets_B, weights_B)


def transition_matrix(num_nodes: int, p: ArrayLike) -> jax.Array:
    """Pi, float[K, K] (section 2): Pi[i, j] = P(next = j | now = i) = p if j = i + 1, 1 - p if j = i - 1 (mod K)."""
    chex.assert_rank(p, 0)
    p, identity = jnp.asarray(p), np.eye(num_nodes, dtype=jnp.result_type(float))
    return p * np.roll(identity, 1, axis=1) + (1 - p) * np.roll(identity, -1, axis=1)
