"""What is measured on one run at one step: each metric declared once, with what it needs."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rw_jax.models import Output
from rw_jax.study.config import ALL
from rw_jax.study.errors import ConfigError, meant
from rw_jax.study.fields import shown
from rw_jax.tasks import Walks


class Seen(NamedTuple):
    """What metrics are measured from.

    Attributes:
      output: what the model makes of the test walks.
      walks: the test walks.
      parent: how many states before the target the direct parent is; None if the task has none.
      law_KxB: the exact law of the next state of each walk; None if it is not known.
      mean_attention_N: attention weights averaged over the walks, over all there are where training is on infinitely
        many; None for a model without attention.
      value_HxK: V; None for a model without one.
      transition_KxK: the law of the target, row = the last token, where V is to be compared with it; else None.
      head_attention: as mean_attention_N, float[layers, heads, N], of a model that tells its heads; else None.
      head_values: what attention of each head to a token adds to the output by itself, float[layers, heads, K, K], of
        such a model where it is to be compared with the law of the target; else None.
      target_KxK: that law, where head_values is to be compared with it.
      is_infinite: True if training is on infinitely many walks; else None.
      objective: what the objective has measured of the training walks; None before it has been evaluated.
    """

    output: Output
    walks: Walks
    parent: Any
    law_KxB: Any
    mean_attention_N: Any
    value_HxK: Any
    transition_KxK: Any
    is_infinite: Any = None
    objective: Any = None
    head_attention: Any = None
    head_values: Any = None
    target_KxK: Any = None


class Metric(NamedTuple):
    """A number, or an array, of each run at each recorded step.

    Attributes:
      name: its variable in the metrics of a run.
      about: what it is, in words.
      unit: its unit.
      measure: (seen) -> scalar, or an array with an axis for each of `dims`; for `of_walks` float[B].
      needs: the fields of Seen that must not be None for it to be measured.
      of_walks: whether it is a mean over walks of what `measure` gives.
      dims: the names of its axes.
      is_share: whether it is a number from 0 to 1.
    """

    name: str
    about: str
    unit: str
    measure: Callable[[Seen], jax.Array]
    needs: tuple[str, ...] = ()
    of_walks: bool = False
    dims: tuple[str, ...] = ()
    is_share: bool = False


def _accuracy(seen: Seen) -> jax.Array:
    return (_predicted_B(seen) == seen.walks.targets_B).astype(seen.output.output_KxB.dtype)


def _predicted_B(seen: Seen) -> jax.Array:
    """The state with the largest output, the first of those that are equal; as K - 1 selections (`sum_over_states`)."""
    largest_B, *others = seen.output.output_KxB
    predicted_B = jnp.zeros(largest_B.shape, jnp.int32)
    for state, output_B in enumerate(others, 1):
        predicted_B = jnp.where(output_B > largest_B, state, predicted_B)
        largest_B = jnp.maximum(largest_B, output_B)
    return predicted_B


def _expected_accuracy(seen: Seen) -> jax.Array:
    states_Kx1 = jnp.arange(len(seen.law_KxB))[:, None]
    return sum_over_states(jnp.where(states_Kx1 == _predicted_B(seen), seen.law_KxB, 0))


def _predicts_optimally(seen: Seen) -> jax.Array:
    missed_B = functools.reduce(jnp.maximum, seen.law_KxB) - _expected_accuracy(seen)
    return (mean(missed_B, seen.walks.weights_B) <= OPTIMAL).astype(seen.output.output_KxB.dtype)


OPTIMAL = 1e-3
"""A run predicts optimally if its expected accuracy is at most this far below the optimal one."""


def _parent_is_highest(seen: Seen) -> jax.Array:
    parent = seen.mean_attention_N.shape[0] - 1 - seen.parent
    return (jnp.argmax(seen.mean_attention_N) == parent).astype(seen.output.output_KxB.dtype)


def _log_other_attention(seen: Seen) -> jax.Array:
    parent = seen.mean_attention_N.shape[0] - 1 - seen.parent
    return jnp.log(jnp.sum(seen.mean_attention_N.at[parent].set(0)))  # 1 - weight would lose what is small


def _attention_spread(seen: Seen) -> jax.Array:
    spread_B: Any = seen.output.spread_B
    if spread_B is None:
        attention_LxB: Any = seen.output.token_attention_LxB
        spread_B = jnp.max(attention_LxB, axis=0) - jnp.min(attention_LxB, axis=0)
    return jnp.max(jnp.where(seen.walks.weights_B > 0, spread_B, 0))


def _head_value_error(seen: Seen) -> jax.Array:
    """That of each head, whatever is added to each column: it changes no difference between two outputs."""

    def centred(matrices: jax.Array) -> jax.Array:
        return matrices - jnp.mean(matrices, axis=-2, keepdims=True)

    def to_law(value_KxK: jax.Array) -> jax.Array:
        return direction_error(centred(value_KxK), centred(seen.target_KxK.T), jnp.sum)

    return jax.vmap(jax.vmap(to_law))(seen.head_values)


def _to_transition(seen: Seen, of_transition: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """Distance of V from a function of Pi^T; NaN where the two are not to be compared."""
    if seen.transition_KxK is None:
        return jnp.full((), jnp.nan, seen.value_HxK.dtype)
    return direction_error(seen.value_HxK, of_transition(seen.transition_KxK.T), jnp.sum)


_HEADS = ("layer", "head")

# A direction error is NaN where the array it compares is zero, as V and f are at zero initialisation. The KL divergence
# is infinite where the output gives no positive share to a state that is possible, and NaN where the output sums to 0.
METRICS = (
    Metric(
        "train_loss", "mean loss over the training walks", "nats",
        lambda seen: seen.objective["train_loss"], ("objective",),
    ),
    Metric(
        "accuracy", "share of test walks whose last state is predicted", "1", _accuracy, of_walks=True, is_share=True,
    ),
    Metric(
        "expected_accuracy", "mean over test walks of the true probability of the predicted state", "1",
        _expected_accuracy, ("law_KxB",), of_walks=True, is_share=True,
    ),
    Metric(
        "optimal_accuracy", "mean over test walks of the largest true probability of a state", "1",
        lambda seen: functools.reduce(jnp.maximum, seen.law_KxB), ("law_KxB",), of_walks=True, is_share=True,
    ),
    Metric(
        "predicts_optimally", "1 if the expected accuracy is within 0.001 of the optimal one, else 0", "1",
        _predicts_optimally, ("law_KxB",), is_share=True,
    ),
    Metric(
        "kl_divergence", "KL divergence, true next-state law to normalised output, mean over test walks", "nats",
        lambda seen: kl_divergence(seen.law_KxB, seen.output.output_KxB), ("law_KxB",), of_walks=True,
    ),
    Metric(
        "parent_attention", "mean attention weight on the direct parent, token N-1", "1",
        lambda seen: seen.mean_attention_N[-1 - seen.parent], ("mean_attention_N", "parent"), is_share=True,
    ),
    Metric(
        "empty_attention", "mean attention weight on the empty query slot", "1",
        lambda seen: seen.mean_attention_N[-1], ("mean_attention_N",), is_share=True,
    ),
    Metric(
        "parent_is_highest", "1 if the mean attention weight is highest on the direct parent, else 0", "1",
        _parent_is_highest, ("mean_attention_N", "parent"), is_share=True,
    ),
    Metric(
        "highest_lag", "how many states before the target the slot with the highest mean attention weight is", "states",
        lambda seen: (len(seen.mean_attention_N) - 1 - jnp.argmax(seen.mean_attention_N)).astype(
            seen.mean_attention_N.dtype
        ),
        ("mean_attention_N",),
    ),
    Metric(
        "log_other_attention", "logarithm of 1 minus the mean attention weight on the direct parent", "nats",
        _log_other_attention, ("mean_attention_N", "parent"),
    ),
    Metric(
        "quadrature_error", "estimated relative error of the gradients on infinitely many walks", "1",
        lambda seen: seen.objective["quadrature_error"], ("objective", "is_infinite"),
    ),
    Metric(
        "attention_spread", "largest minus smallest weight among the N-1 tokens, largest over test walks", "1",
        _attention_spread, ("mean_attention_N",), is_share=True,
    ),
    Metric(
        "output_direction_error", "distance between f/|f| and f_OPT/|f_OPT|, mean over test walks", "1",
        lambda seen: direction_error(seen.output.output_KxB, seen.law_KxB, sum_over_states),
        ("law_KxB",), of_walks=True,
    ),
    Metric(
        "value_direction_error", "Frobenius distance between V/|V| and Pi^T/|Pi^T|", "1",
        lambda seen: _to_transition(seen, lambda transposed_KxK: transposed_KxK), ("value_HxK",),
    ),
    Metric(
        "value_sqrt_direction_error", "Frobenius distance between V/|V| and the normalised square root of Pi^T", "1",
        lambda seen: _to_transition(seen, jnp.sqrt), ("value_HxK",),
    ),
    Metric(
        "value_uniform_direction_error", "Frobenius distance between V/|V| and the normalised all-ones matrix", "1",
        lambda seen: direction_error(seen.value_HxK, jnp.ones_like(seen.value_HxK), jnp.sum), ("value_HxK",),
    ),
    Metric(
        "head_parent_attention", "mean attention weight of each head on the direct parent", "1",
        lambda seen: seen.head_attention[..., -1 - seen.parent], ("head_attention", "parent"), dims=_HEADS,
    ),
    Metric(
        "head_highest_lag", "how many states before the target each head attends to most", "states",
        lambda seen: (seen.head_attention.shape[-1] - 1 - jnp.argmax(seen.head_attention, axis=-1)).astype(
            seen.head_attention.dtype
        ),
        ("head_attention",), dims=_HEADS,
    ),
    Metric(
        "head_value_error", "distance between the directions of each head's V and of Pi^T, columns centred", "1",
        _head_value_error, ("head_values", "target_KxK"), dims=_HEADS,
    ),
)  # fmt: skip
"""Every metric there is. These are the variables of metrics.nc."""


def chosen(names: tuple[str, ...] | str) -> tuple[Metric, ...]:
    """The metrics of these names, or all of them.

    Raises:
      ConfigError: if there is none of a name.
    """
    if names == ALL:
        return METRICS
    known = [metric.name for metric in METRICS]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"record.metrics names {shown(name)}, but must be 'all' alone, or name metrics: {', '.join(known)}."
                + meant(name, known)
            )
    return tuple(metric for metric in METRICS if metric.name in names)


def measurable(metrics: tuple[Metric, ...], seen: Seen) -> tuple[Metric, ...]:
    """The metrics that need nothing but what is seen."""
    return tuple(metric for metric in metrics if all(getattr(seen, field) is not None for field in metric.needs))


def measure(metrics: tuple[Metric, ...], seen: Seen) -> dict[str, jax.Array]:
    """The metrics that can be measured from what is seen, by name; means over walks are taken together.

    All but what the objective has measured are NaN where an output is not finite: a prediction of a run that has
    diverged is no prediction. Where no metric looks at walks, they are not looked at for this alone.
    """
    those = measurable(metrics, seen)
    of_walks = [metric for metric in those if metric.of_walks]
    means = mean(jnp.stack([metric.measure(seen) for metric in of_walks]), seen.walks.weights_B) if of_walks else []
    measured = dict(zip((metric.name for metric in of_walks), means, strict=True))
    measured |= {metric.name: metric.measure(seen) for metric in those if not metric.of_walks}
    if not any(map(_looks_at_walks, those)):
        return measured
    is_finite_B = functools.reduce(jnp.logical_and, jnp.isfinite(seen.output.output_KxB))
    is_lost = jnp.any(~is_finite_B & (seen.walks.weights_B > 0))
    of_objective = {metric.name for metric in those if "objective" in metric.needs}
    return {
        name: value if name in of_objective else jnp.where(is_lost, jnp.nan, value) for name, value in measured.items()
    }


def _looks_at_walks(metric: Metric) -> bool:
    """Whether a metric is measured of the test walks, and not of parameters alone, or by the objective."""
    return not {"objective", "value_HxK", "head_values"} & set(metric.needs)


def mean_attention(output: Output, weights_B: jax.Array) -> jax.Array | None:
    """The mean attention weight of every slot over walks, float[N], the last of the empty slot; None without any."""
    if output.token_attention_LxB is None or output.empty_attention_B is None:
        return None
    means_L, mean_of_empty = mean(output.token_attention_LxB, weights_B), mean(output.empty_attention_B, weights_B)
    return jnp.append(means_L, mean_of_empty)


def mean_head_attention(output: Output, weights_B: jax.Array) -> jax.Array | None:
    """The mean attention weight of each head on every slot, float[layers, heads, N]; None where heads are not told."""
    return None if output.head_attention is None else mean(output.head_attention, weights_B)


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
