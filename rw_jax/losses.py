"""Losses of one walk: (output_K, target_K, epsilon) -> scalar, the target one-hot; train.py takes means over walks."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def log_loss(output_K: jax.Array, target_K: jax.Array, epsilon: ArrayLike) -> jax.Array:
    """-log(f_y + epsilon), the loss of section 2; NaN where f_y + epsilon < 0."""
    return -jnp.log(jnp.sum(output_K * target_K) + epsilon)
