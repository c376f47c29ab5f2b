"""Classes of walks: those that agree on their target, and on every token that still weighs, are one with a count.

Attention locks on a few positions within steps, and then a thousand walks are some ten different ones. What the other
positions add to a walk's sums of weights is taken as its mean over the class. Where it is a share d of a sum, the loss
and its gradients are off by d^2, which is lost to rounding if d is below half the square root of `eps`; the gradient by
the score of such a position, which is of order d itself, is right to a share d of it.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Classes(NamedTuple):
    """C classes of walks, as a model takes them in the place of tokens_LxB.

    Attributes:
      shares_LxKxC: the share of the walks of a class that have each state at each position: 0 or 1 where all agree.
    """

    shares_LxKxC: jax.Array


class Grouped(NamedTuple):
    """Walks as classes.

    Attributes:
      classes: the classes.
      targets_C: their targets.
      weights_C: the sum of the weights of the walks of each; 0 of those that are fewer.
      fits: whether there are no more positions and classes than the arrays hold; if not, they hold nothing.
    """

    classes: Classes
    targets_C: jax.Array
    weights_C: jax.Array
    fits: jax.Array


MOST_CLASSES = 64
"""C."""


def most_positions(num_nodes: int, walk_length: int) -> int:
    """How many positions may weigh: 6, and as many as keep the number of a class below 2^31."""
    return min(6, walk_length - 2, int(31 / math.log2(max(num_nodes, 2))) - 1)


def group(
    weighs_L: jax.Array, tokens_LxB: jax.Array, targets_B: jax.Array, weights_B: jax.Array, num_nodes: int
) -> Grouped:
    """The classes of walks, if these positions weigh.

    Args:
      weighs_L: bool, of each position, whether it weighs.
      tokens_LxB: the walks' tokens, each a state.
      targets_B: their targets.
      weights_B: the walks' weights in means.
      num_nodes: K.
    """
    (L, B), K, C = tokens_LxB.shape, num_nodes, MOST_CLASSES
    most = most_positions(K, L + 1)
    # A class has the number whose digits are the target and the tokens that weigh.
    digit_L = jnp.where(weighs_L, jnp.cumsum(weighs_L, dtype=jnp.int32), 0)
    worth_L = jnp.where(weighs_L, K**digit_L, 0)
    number_B = targets_B + jnp.sum(worth_L[:, None] * tokens_LxB, axis=0, dtype=jnp.int32)
    order_B = jnp.argsort(number_B)
    sorted_B = number_B[order_B]
    place_B = jnp.cumsum(sorted_B != jnp.roll(sorted_B, 1).at[0].set(sorted_B[0]))
    class_B = jnp.zeros(B, jnp.int32).at[order_B].set(place_B.astype(jnp.int32))
    weights_C = jnp.zeros(C, weights_B.dtype).at[class_B].add(weights_B, mode="drop")
    share_B = weights_B / jnp.where(weights_C > 0, weights_C, 1).at[class_B].get(mode="fill", fill_value=1)
    place_LxB = (jnp.arange(L)[:, None] * K + tokens_LxB) * C + class_B
    shares = jnp.zeros(L * K * C, weights_B.dtype)
    shares = shares.at[place_LxB].add(jnp.broadcast_to(share_B, (L, B)), mode="drop")
    # A class of no walks is in state 0 everywhere, so that its output, which counts for nothing, is a number.
    nowhere_KxC = jnp.where(jnp.arange(K)[:, None] == 0, 1 - jnp.sign(weights_C), 0)
    return Grouped(
        Classes(shares.reshape(L, K, C) + nowhere_KxC),
        jnp.zeros(C, targets_B.dtype).at[class_B].set(targets_B, mode="drop"),
        weights_C,
        (jnp.sum(weighs_L) <= most) & (place_B[-1] < C),
    )
