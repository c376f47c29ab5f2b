"""Walks on a circle whose target takes more than the last token: a hidden direction, an order-2 walk, a lagged target.

As in `rw_jax.tasks.circle`, the first of K nodes is uniform and each step goes clockwise (+1 mod K) or the other way
(-1 mod K). A walk is its first state and L = N - 1 directions: those of the S = N - 2 steps from token to token, and
that of the target, seen from one of the tokens.
"""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from rw_jax.study.errors import ConfigError
from rw_jax.tasks import Task, Values, Walks
from rw_jax.tasks.circle import can_enumerate, walk_of_steps


def hidden_direction(num_nodes: int, walk_length: int) -> Task:
    """The task of predicting the last state of a walk that goes clockwise with probability p, or else 1 - p.

    Which of the two is a fair coin for each walk, and is not shown: the steps before tell it.

    Raises:
      ConfigError: if there are less than three nodes.
    """

    def directions(uniform_BxN, p):
        is_clockwise_Bx1 = uniform_BxN[:, :1] < 0.5
        return (uniform_BxN[:, 1:] < p) == is_clockwise_Bx1

    def probability(clockwise_BxL, p):
        likely_BxL, unlikely_BxL = jnp.where(clockwise_BxL, p, 1 - p), jnp.where(clockwise_BxL, 1 - p, p)
        return (jnp.prod(likely_BxL, axis=1) + jnp.prod(unlikely_BxL, axis=1)) / 2

    def clockwise_law(clockwise_SxB, p):
        """(p^(c+1) (1-p)^d + (1-p)^(c+1) p^d) / (p^c (1-p)^d + (1-p)^c p^d) for c clockwise steps and d others.

        That is q p + (1 - q) (1 - p), where q, the probability that the coin says p, has the log odds
        (c - d) log(p / (1 - p)). Where c = d, q is 1/2 though these are infinite.
        """
        excess_B = jnp.sum(jnp.where(clockwise_SxB, 1, -1), axis=0)
        q_B = jax.nn.sigmoid(excess_B * jnp.where(excess_B == 0, 0, jnp.log(p / (1 - p))))
        return q_B * p + (1 - q_B) * (1 - p)

    task = _task("hidden_direction", num_nodes, walk_length, 1, directions, probability, clockwise_law)
    return task._replace(is_next=True)


def persistent(num_nodes: int, walk_length: int) -> Task:
    """The task of predicting the last state of a walk of order 2, which keeps its direction with probability p.

    The first step goes either way with probability 1/2; each later one goes in the direction of the step before with
    probability p, else back. The last token alone leaves both its neighbours equally likely: the token before it tells
    which of them.

    Raises:
      ConfigError: if there are less than three nodes, or less than three states, the least that have a step to keep.
    """
    if walk_length < 3:
        raise ConfigError(f"task.walk_length is {walk_length}, but must be at least 3 for task.name = 'persistent'.")

    def directions(uniform_BxN, p):
        is_clockwise_Bx1, turns_BxS = uniform_BxN[:, 1:2] < 0.5, uniform_BxN[:, 2:] >= p
        turned_BxS = jnp.cumsum(turns_BxS, axis=1) % 2 == 1
        return jnp.concatenate([is_clockwise_Bx1, turned_BxS != is_clockwise_Bx1], axis=1)

    def probability(clockwise_BxL, p):
        keeps_BxS = clockwise_BxL[:, 1:] == clockwise_BxL[:, :-1]
        return jnp.prod(jnp.where(keeps_BxS, p, 1 - p), axis=1) / 2

    def clockwise_law(clockwise_SxB, p):
        return jnp.where(clockwise_SxB[-1], p, 1 - p)

    task = _task("persistent", num_nodes, walk_length, 1, directions, probability, clockwise_law)
    return task._replace(is_next=True)


def lagged(num_nodes: int, walk_length: int, lag: int) -> Task:
    """The task of predicting a neighbour of the token `lag` states before the target, 1 for the last token.

    It is the clockwise neighbour with probability p, else the other, drawn independently. The tokens are a walk whose
    steps go either way with probability 1/2, so that each says little of another.

    Raises:
      ConfigError: if there are less than three nodes, or no token lies `lag` before the target.
    """
    if not isinstance(lag, int) or isinstance(lag, bool) or not 1 <= lag < walk_length:
        raise ConfigError(
            f"task.options.lag is {lag!r}, but must be an integer from 1 to {walk_length - 1}, below task.walk_length "
            f"= {walk_length}."
        )

    def directions(uniform_BxN, p):
        return jnp.concatenate([uniform_BxN[:, 1:-1] < 0.5, uniform_BxN[:, -1:] < p], axis=1)

    def probability(clockwise_BxL, p):
        return jnp.where(clockwise_BxL[:, -1], p, 1 - p) / 2 ** (walk_length - 2)

    def clockwise_law(clockwise_SxB, p):
        return jnp.broadcast_to(p, clockwise_SxB.shape[1:])

    return _task("lagged", num_nodes, walk_length, lag, directions, probability, clockwise_law)


def _task(
    name: str,
    num_nodes: int,
    walk_length: int,
    lag: int,
    directions: Callable[[jax.Array, jax.Array], jax.Array],
    probability: Callable[[jax.Array, jax.Array], jax.Array],
    clockwise_law: Callable[[jax.Array, jax.Array], jax.Array],
) -> Task:
    """The task of predicting a neighbour of a token, for the directions of a walk and their law.

    Args:
      name: of the task.
      num_nodes: K.
      walk_length: N.
      lag: how many states before the target the token lies whose neighbour it is.
      directions: (uniform_BxN, p) -> bool[B, L], which of the directions are clockwise, from numbers drawn in [0, 1);
        the first is for what is hidden, the others are one for each direction.
      probability: (clockwise_BxL, p) -> float[B], that of these directions.
      clockwise_law: (clockwise_SxB, p) -> float[B], the probability that the target is the clockwise neighbour, given
        the steps from token to token.
    """
    if num_nodes < 3:
        raise ConfigError(f"task.num_nodes is {num_nodes}, but must be at least 3 for task.name = {name!r}.")

    def sample(key: jax.Array, num_walks: int, values: Values) -> Walks:
        """Draws walks, coupled as those of the circle: the same key compares the same numbers with every p."""
        chex.assert_rank(values["p"], 0)
        first_key, step_key = jax.random.split(key)
        first_B = jax.random.randint(first_key, (num_walks,), 0, num_nodes, jnp.int32)
        # In 32 bits whatever the precision of training, so that a float64 run sees the walks of its float32 twin.
        uniform_BxN = jax.random.uniform(step_key, (num_walks, walk_length), jnp.float32)
        clockwise_BxL = directions(uniform_BxN, jnp.asarray(values["p"], jnp.float32))
        return walks_of(first_B, clockwise_BxL, jnp.ones(num_walks, jnp.float32))

    def population(values: Values) -> Walks:
        chex.assert_rank(values["p"], 0)
        number_B = jnp.arange(num_nodes * 2 ** (walk_length - 1), dtype=jnp.int32)
        clockwise_BxL = (number_B[:, None] >> jnp.arange(walk_length - 1)) & 1 == 1  # the lower digits are directions
        weights_B = probability(clockwise_BxL, jnp.asarray(values["p"])) / num_nodes
        return walks_of(number_B >> (walk_length - 1), clockwise_BxL, weights_B)

    def walks_of(first_B: jax.Array, clockwise_BxL: jax.Array, weights_B: jax.Array) -> Walks:
        walks = walk_of_steps(first_B, clockwise_BxL, weights_B, num_nodes)
        step_B = jnp.where(clockwise_BxL[:, -1], 1, -1)
        return walks._replace(targets_B=(walks.tokens_LxB[-lag] + step_B) % num_nodes)

    def next_state_law(tokens_LxB: jax.Array, values: Values) -> jax.Array:
        chex.assert_rank(tokens_LxB, 2)
        clockwise_SxB = tokens_LxB[1:] == (tokens_LxB[:-1] + 1) % num_nodes
        clockwise_B = clockwise_law(clockwise_SxB, jnp.asarray(values["p"]))
        ahead_KxB, behind_KxB = (
            jax.nn.one_hot((tokens_LxB[-lag] + step) % num_nodes, num_nodes, dtype=clockwise_B.dtype, axis=0)
            for step in (1, num_nodes - 1)
        )
        return clockwise_B * ahead_KxB + (1 - clockwise_B) * behind_KxB

    return Task(
        num_nodes,
        walk_length,
        sample,
        next_state_law,
        population if can_enumerate(num_nodes, walk_length) else None,
        parent=lag,
    )
