"""What is measured on one run at one step, under one table of names."""

import functools
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from rw_jax.models.model import Output
from rw_jax.tasks import Walks

METRICS = {
    "train_loss": ("mean loss over the training walks", "nats"),
    "accuracy": ("share of test walks whose last state is predicted", "1"),
    "expected_accuracy": ("mean over test walks of the true probability of the predicted state", "1"),
    "optimal_accuracy": ("mean over test walks of the largest true probability of a state", "1"),
    "kl_divergence": ("KL divergence, true next-state law to normalised output, mean over test walks", "nats"),
    "parent_attention": ("mean attention weight on the direct parent, token N-1", "1"),
    "empty_attention": ("mean attention weight on the empty query slot", "1"),
    "parent_is_highest": ("1 if the mean attention weight is highest on the direct parent, else 0", "1"),
    "attention_spread": ("largest minus smallest weight among the N-1 tokens, largest over test walks", "1"),
    "output_direction_error": ("distance between f/|f| and f_OPT/|f_OPT|, mean over test walks", "1"),
    "value_direction_error": ("Frobenius distance between V/|V| and Pi^T/|Pi^T|", "1"),
    "value_sqrt_direction_error": ("Frobenius distance between V/|V| and the normalised square root of Pi^T", "1"),
    "value_uniform_direction_error": ("Frobenius distance between V/|V| and the normalised all-ones matrix", "1"),
}  # fmt: skip
"""Name of each metric: (what it is, unit). These are the variables of metrics.nc."""


def measure(
    output: Output, walks: Walks, law_KxB: jax.Array, transition_KxK: jax.Array | None, value_KxK: jax.Array
) -> dict[str, jax.Array]:
    """All of METRICS but `train_loss`, each a scalar, from what the model makes of the test walks.

    A direction error is NaN where the array it compares is zero, as V and f are at zero initialisation. The KL
    divergence is infinite where the output gives no positive share to a state that is possible, and NaN where the
    output sums to 0.

    Args:
      output: what the model makes of the walks.
      walks: B of them.
      law_KxB: the exact law of the next state.
      transition_KxK: Pi; None if V is not to be compared with it, and the metrics that do are NaN.
      value_KxK: V.
    """
    following_KxK = jnp.full_like(value_KxK, jnp.nan) if transition_KxK is None else transition_KxK.T
    output_KxB, attention_LxB = output.output, output.token_attention
    chex.assert_equal_shape([output_KxB, law_KxB])
    mean_attention_N = mean_attention(output, walks.weights)
    predicted_B = jnp.argmax(output_KxB, axis=0)  # ties go to the smallest label
    spread_B = jnp.max(attention_LxB, axis=0) - jnp.min(attention_LxB, axis=0)
    of_each_walk = {
        "accuracy": (predicted_B == walks.targets).astype(law_KxB.dtype),
        "expected_accuracy": sum_over_states(jnp.where(jnp.arange(len(law_KxB))[:, None] == predicted_B, law_KxB, 0)),
        "optimal_accuracy": functools.reduce(jnp.maximum, law_KxB),
        "kl_divergence": kl_divergence(law_KxB, output_KxB),
        "output_direction_error": direction_error(output_KxB, law_KxB, sum_over_states),
    }
    means = mean(jnp.stack(list(of_each_walk.values())), walks.weights)
    return {
        **dict(zip(of_each_walk, means, strict=True)),
        "parent_attention": mean_attention_N[-2],
        "empty_attention": mean_attention_N[-1],
        "parent_is_highest": (jnp.argmax(mean_attention_N) == mean_attention_N.shape[0] - 2).astype(law_KxB.dtype),
        "attention_spread": jnp.max(jnp.where(walks.weights > 0, spread_B, 0)),
        "value_direction_error": direction_error(value_KxK, following_KxK, jnp.sum),
        "value_sqrt_direction_error": direction_error(value_KxK, jnp.sqrt(following_KxK), jnp.sum),
        "value_uniform_direction_error": direction_error(value_KxK, jnp.ones_like(value_KxK), jnp.sum),
    }


def mean_attention(output: Output, weights_B: jax.Array) -> jax.Array:
    """The mean attention weight of every slot over walks, float[N], the last of the empty slot."""
    means_L, mean_of_empty = mean(output.token_attention, weights_B), mean(output.empty_attention, weights_B)
    return jnp.append(means_L, mean_of_empty)


def mean(values: jax.Array, weights_B: jax.Array) -> jax.Array:
    """The weighted mean over walks, the last axis of `values`; a walk of weight 0 counts for nothing, NaN or not."""
    weights_B = weights_B.astype(jnp.result_type(float))
    return jnp.sum(jnp.where(weights_B > 0, values, 0) * weights_B, axis=-1) / jnp.sum(weights_B)


def sum_over_states(terms_KxB: jax.Array) -> jax.Array:
    """The sum over the first axis, float[B], as K - 1 additions, which are computed together with what they add."""
    return functools.reduce(jnp.add, terms_KxB)


def direction_error(array: jax.Array, reference: jax.Array, total: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """Distance between two arrays after each is scaled to unit norm; NaN if one is zero.

    Args:
      array: one matrix, or vectors along the first axis.
      reference: as array.
      total: jnp.sum for one matrix, sum_over_states for vectors.
    """

    def unit(array):
        return array / jnp.sqrt(total(array**2))

    return jnp.sqrt(total((unit(array) - unit(reference)) ** 2))


def kl_divergence(law_KxB: jax.Array, output_KxB: jax.Array) -> jax.Array:
    """KL(law || output / sum(output)) of each walk, float[B], in nats."""
    share_KxB = output_KxB / sum_over_states(output_KxB)
    log_ratio_KxB = jnp.log(jnp.where(share_KxB <= 0, jnp.inf, law_KxB / share_KxB))
    return sum_over_states(jnp.where(law_KxB > 0, law_KxB * log_ratio_KxB, 0))
