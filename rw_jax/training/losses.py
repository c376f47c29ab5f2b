"""Losses of one walk: (output_K, target_K, values) -> scalar, the target one-hot; objectives take means over walks.

The paper trains with the log-loss; Theorem 4.1 is stated for any loss of f_y, and the others test how far it reaches.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rw_jax.tasks import Values
from rw_jax.training.metrics import sum_over_states

Loss = Callable[[jax.Array, jax.Array, Values], jax.Array]
"""(output_K, target_K, values) -> scalar."""


def log_loss(output_K: jax.Array, target_K: jax.Array, values: Values) -> jax.Array:
    """-log(f_y + values["epsilon"]), the loss of section 2; NaN where f_y + epsilon < 0."""
    return -jnp.log(sum_over_states(output_K * target_K) + values["epsilon"])


def cross_entropy(output_K: jax.Array, target_K: jax.Array, values: Values) -> jax.Array:
    """-log softmax(f)_y; epsilon plays no part."""
    del values
    return jax.nn.logsumexp(output_K) - jnp.sum(output_K * target_K)


def squared_error(output_K: jax.Array, target_K: jax.Array, values: Values) -> jax.Array:
    """|f - e_y|^2 / 2; epsilon plays no part."""
    del values
    return jnp.sum((output_K - target_K) ** 2) / 2


SMOOTH: tuple[Loss, ...] = (log_loss, cross_entropy, squared_error)
"""The losses without kinks."""


def hinge(output_K: jax.Array, target_K: jax.Array, values: Values) -> jax.Array:
    """max(0, 1 + the largest f_i of i other than y - f_y), the multi-class hinge loss; epsilon plays no part."""
    del values
    largest_other = jnp.max(jnp.where(target_K > 0, -jnp.inf, output_K))
    return jnp.maximum(0, 1 + largest_other - jnp.sum(output_K * target_K))
