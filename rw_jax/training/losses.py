"""Losses of one walk: (output_K, target_K, epsilon) -> scalar, the target one-hot; train.py takes means over walks.

The paper trains with the log-loss; Theorem 4.1 is stated for any loss of f_y, and the others test how far it reaches.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def log_loss(output_K: jax.Array, target_K: jax.Array, epsilon: ArrayLike) -> jax.Array:
    """-log(f_y + epsilon), the loss of section 2; NaN where f_y + epsilon < 0."""
    return -jnp.log(jnp.sum(output_K * target_K) + epsilon)


def cross_entropy(output_K: jax.Array, target_K: jax.Array, epsilon: ArrayLike) -> jax.Array:
    """-log softmax(f)_y; epsilon plays no part."""
    del epsilon
    return jax.nn.logsumexp(output_K) - jnp.sum(output_K * target_K)


def squared_error(output_K: jax.Array, target_K: jax.Array, epsilon: ArrayLike) -> jax.Array:
    """|f - e_y|^2 / 2; epsilon plays no part."""
    del epsilon
    return jnp.sum((output_K - target_K) ** 2) / 2


def hinge(output_K: jax.Array, target_K: jax.Array, epsilon: ArrayLike) -> jax.Array:
    """max(0, 1 + the largest f_i of i other than y - f_y), the multi-class hinge loss; epsilon plays no part."""
    del epsilon
    largest_other = jnp.max(jnp.where(target_K > 0, -jnp.inf, output_K))
    return jnp.maximum(0, 1 + largest_other - jnp.sum(output_K * target_K))
