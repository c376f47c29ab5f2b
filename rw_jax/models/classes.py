"""Classes of walks: those that agree on their target, and on every token that still weighs, are one with a count.

Attention locks on a few positions within steps, and then a thousand walks are some ten different ones. What the other
positions add to a walk's sums of weights is taken as its mean over the class. Where that is a share d of a sum, the
loss and its gradients are off by the order of d^2, as the mean is right to first order: for the log-loss by
(|V| d / (f_y + eps))^2 / 2. The gradient by the score of such a position, which is of order d itself, is off by a
share d of it. Both need a loss without kinks. With d below half the square root of `eps`, d^2 is below rounding.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Classes(NamedTuple):
    """C classes of walks, as a model takes them in the place of tokens_LxB.

    Attributes:
      shares_LxKxC: the share of the walks of a class, by weight, that have each state at each position: exactly 0 or 1
        where all agree.
    """

    shares_LxKxC: jax.Array


class Grouped(NamedTuple):
    """Walks as classes.

    Attributes:
      classes: the classes.
      targets_C: their targets.
      weights_C: the sum of the weights of the walks in each class; 0 in unused rows.
      fits: whether there are no more positions and classes than the arrays hold; if not, what they hold is of no use.
    """

    classes: Classes
    targets_C: jax.Array
    weights_C: jax.Array
    fits: jax.Array


MOST_CLASSES = 64
"""C. On the circle with K = 6, three positions that weigh make 48 classes."""


def most_positions(num_nodes: int, walk_length: int, num_walks: int) -> int:
    """How many positions may weigh: 6, and as many as keep the numbers of a class and of a walk within 31 bits."""
    digits = int((31 - _bits(num_walks)) / math.log2(max(num_nodes, 2)))
    return max(0, min(6, walk_length - 2, digits - 1))


def _bits(num_walks: int) -> int:
    return max(1, (num_walks - 1).bit_length())


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
    most, bits = most_positions(K, L + 1, B), _bits(B)
    # A class has the number whose digits are the target and the tokens that weigh. With the walk's own number behind
    # it, sorting numbers sorts walks: sorting pairs would take seven times as long.
    digit_L = jnp.cumsum(weighs_L, dtype=jnp.int32)
    worth_L = jnp.where(weighs_L & (digit_L <= most), K ** jnp.minimum(digit_L, most), 0)
    number_B = targets_B + jnp.sum(worth_L[:, None] * tokens_LxB, axis=0, dtype=jnp.int32)
    sorted_B = jnp.sort((number_B << bits) + jnp.arange(B, dtype=jnp.int32))
    is_first_B = jnp.diff(sorted_B >> bits, prepend=-1) != 0
    place_B = jnp.cumsum(is_first_B, dtype=jnp.int32) - 1
    class_B = jnp.zeros(B, jnp.int32).at[sorted_B & (2**bits - 1)].set(place_B)
    fits = (digit_L[-1] <= most) & (place_B[-1] < C)
    weights_C = jnp.zeros(C, weights_B.dtype).at[class_B].add(weights_B, mode="drop")
    place_LxB = (jnp.arange(L, dtype=jnp.int32)[:, None] * K + tokens_LxB) * C + class_B
    weights_LKC = jnp.zeros(L * K * C, weights_B.dtype)
    weights_LKC = weights_LKC.at[place_LxB.reshape(-1)].add(jnp.tile(weights_B, L), mode="drop")
    # A class of no walks is in state 0 everywhere, so that its output, which counts for nothing, is a number.
    is_empty_C = weights_C <= 0
    nowhere_KxC = jnp.where(jnp.arange(K)[:, None] == 0, is_empty_C, 0)
    shares_LxKxC = weights_LKC.reshape(L, K, C) / jnp.where(is_empty_C, 1, weights_C)
    targets_C = jnp.zeros(C, targets_B.dtype).at[class_B].set(targets_B, mode="drop")
    return Grouped(Classes(shares_LxKxC + nowhere_KxC), targets_C, weights_C, fits)
