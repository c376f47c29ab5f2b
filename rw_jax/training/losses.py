"""Losses of one walk, (output_K, target_K, values) -> scalar, the target one-hot; objectives take means over walks.

The paper trains with the log-loss; Theorem 4.1 is stated for any loss of f_y, and the others test how far it reaches.
What V tends to is decided by the exponent with which a loss flattens (`power`, `theory.recursions.one_hot_training`).
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rw_jax.study.errors import ConfigError
from rw_jax.tasks import Task, Values
from rw_jax.training.infinite import OnParts, log_loss_on_all_walks

OfWalk = Callable[[jax.Array, jax.Array, Values], jax.Array]
"""(output_K, target_K, values) -> scalar."""

OfPopulation = Callable[[Task, Values, bool], OnParts]
"""(task, values, is_symmetric) -> the loss and its gradients on all walks of the task's chain."""


class Loss(NamedTuple):
    """A loss.

    Attributes:
      of_walk: (output_K, target_K, values) -> scalar, the target one-hot.
      is_smooth: whether it has no kinks.
      population: the loss and its gradients on infinitely many walks of a chain, of a model whose output is V times the
        averaged token; None if they are not known.
      unit: its unit; "" for none.
    """

    of_walk: OfWalk
    is_smooth: bool = False
    population: OfPopulation | None = None
    unit: str = ""


def log_loss(output_K: jax.Array, target_K: jax.Array, values: Values) -> jax.Array:
    """-log(f_y + values["epsilon"]), the loss of section 2; NaN where f_y + epsilon < 0."""
    return -jnp.log(functools.reduce(jnp.add, output_K * target_K) + values["epsilon"])


def cross_entropy(output_K: jax.Array, target_K: jax.Array, values: Values) -> jax.Array:
    """-log softmax(f)_y; epsilon plays no part."""
    del values
    return jax.nn.logsumexp(output_K) - jnp.sum(output_K * target_K)


def squared_error(output_K: jax.Array, target_K: jax.Array, values: Values) -> jax.Array:
    """|f - e_y|^2 / 2; epsilon plays no part."""
    del values
    return jnp.sum((output_K - target_K) ** 2) / 2


def hinge(output_K: jax.Array, target_K: jax.Array, values: Values) -> jax.Array:
    """max(0, 1 + the largest f_i of i other than y - f_y), the multi-class hinge loss; epsilon plays no part."""
    del values
    largest_other = jnp.max(jnp.where(target_K > 0, -jnp.inf, output_K))
    return jnp.maximum(0, 1 + largest_other - jnp.sum(output_K * target_K))


def power(exponent: float) -> Loss:
    """(1 - z^(1 - a)) / (1 - a) at z = f_y + values["epsilon"], whose derivative is -z^-a; a is the exponent.

    It is the log-loss for a = 1, and minus f_y, but for a constant, for a = 0. NaN where z < 0 and a is no integer.

    Raises:
      ConfigError: if the exponent is below 0, or infinite.
    """
    if isinstance(exponent, bool) or not isinstance(exponent, int | float) or not 0 <= exponent < math.inf:
        raise ConfigError(f"training.options.exponent is {exponent!r}, but must be a number of at least 0.")
    if exponent == 1:
        return LOG

    def of_walk(output_K: jax.Array, target_K: jax.Array, values: Values) -> jax.Array:
        z = functools.reduce(jnp.add, output_K * target_K) + values["epsilon"]
        return (1 - z ** (1 - exponent)) / (1 - exponent)

    return Loss(of_walk, is_smooth=True)


LOG = Loss(log_loss, is_smooth=True, population=log_loss_on_all_walks, unit="nats")
"""The paper's loss."""

LOSSES: Mapping[str, Loss | Callable[..., Loss]] = {
    "log": LOG,
    "power": power,
    "cross_entropy": Loss(cross_entropy, is_smooth=True, unit="nats"),
    "squared_error": Loss(squared_error, is_smooth=True),
    "hinge": Loss(hinge),
}
"""Every loss, or what makes it, by name."""
