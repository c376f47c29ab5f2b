"""Closed forms that training is compared with."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def first_step_value_matrix(
    transition_KxK: jax.Array, walk_length: int, learning_rate: ArrayLike, epsilon: ArrayLike
) -> jax.Array:
    """V(1) = eta / (eps N K) sum_{i=1}^{N-1} (Pi^T)^{N-i}, float[K, K] (Lemma C.1).

    The value matrix after one step of gradient descent on the expected log-loss, from zero weights. It holds for
    every chain whose states are uniform at all times, as those of the circle are; W does not move in that step.

    Args:
      transition_KxK: Pi.
      walk_length: N.
      learning_rate: eta.
      epsilon: that of the log-loss.
    """
    power_KxK, sum_KxK = jnp.eye(len(transition_KxK), dtype=transition_KxK.dtype), jnp.zeros_like(transition_KxK)
    for _ in range(walk_length - 1):
        power_KxK = power_KxK @ transition_KxK.T
        sum_KxK += power_KxK
    return learning_rate / (epsilon * walk_length * len(transition_KxK)) * sum_KxK
