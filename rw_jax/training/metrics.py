"""What is measured on one run at one step: each metric is a function of what it needs, by name."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rw_jax.models import Output
from rw_jax.study.errors import tried

Measured = Mapping[str, Any]
"""What metrics are measured from, by name; None for what a run does not have. Of the test walks, the last axis:

  tokens_LxB, targets_B, weights_B   the walks
  law_KxB                            the exact law of the next state; None if it is not known
  output_KxB                         what the model makes of them
  attention_NxB                      weight of every slot, the last for the empty one; None without attention
  head_attention                     float[layers, heads, N, B], of a model that tells its heads
  spread_B                           largest minus smallest weight among the tokens
  mean_attention_N                   mean of attention_NxB; over all walks where training is on infinitely many
  mean_head_attention                float[layers, heads, N], mean of head_attention

Of the parameters and the task:

  params, values                     of the run, at this step
  value_HxK                          V; None for a model without one
  head_values                        float[layers, heads, K, K], what a head that attends to a token adds to the output
  target_KxK                         the law of the target, row = the last token; None if that does not tell it
  transition_KxK                     the same, where V is to be compared with it
  optimum                            the largest expected accuracy over all walks of a chain; None of any other task
  exact_accuracy                     the expected accuracy over all walks, NaN where it is not known; None where it
                                     never is (`accuracy.exact_accuracy`)
  parent                             how many states before the target the direct parent is; None if there is none

Of what training descends on: train_loss; quadrature_error, of infinitely many walks.
"""

_OF_OBJECTIVE = ("train_loss", "quadrature_error")
_OF_PARAMETERS = (
    *("params", "values", "value_HxK", "head_values", "target_KxK", "transition_KxK", "parent"),
    *("optimum", "exact_accuracy"),
)
_OF_WALKS = (
    *("tokens_LxB", "targets_B", "weights_B", "law_KxB", "output_KxB", "attention_NxB", "head_attention", "spread_B"),
    *("mean_attention_N", "mean_head_attention"),
)

NAMES = (*_OF_WALKS, *_OF_PARAMETERS, *_OF_OBJECTIVE)
"""The names of all that metrics are measured from (`Measured`)."""


OF_LOSS = "loss"
"""In place of the unit of a metric: that of the loss."""


class Metric(NamedTuple):
    """A number, or an array, of each run at each recorded step.

    It is absent of a run that does not have all that it is a function of; a parameter with a default may be absent.

    Attributes:
      measure: a function of some of `NAMES` -> scalar, or an array with an axis for each of `dims`; for `of_walks`
        float[B].
      about: what it is, in words.
      unit: its unit; `OF_LOSS` for that of the loss.
      of_walks: whether it is the mean over walks of what `measure` gives.
      dims: the names of its axes.
      is_share: whether it is a number from 0 to 1; None if that is not said.
    """

    measure: Callable[..., jax.Array]
    about: str = ""
    unit: str = "1"
    of_walks: bool = False
    dims: tuple[str, ...] = ()
    is_share: bool | None = None

    @property
    def takes(self) -> tuple[str, ...]:
        """What it is a function of."""
        return tuple(inspect.signature(self.measure).parameters)

    @property
    def needs(self) -> tuple[str, ...]:
        """Of that what must be there for it to be measured."""
        parameters = inspect.signature(self.measure).parameters.values()
        return tuple(each.name for each in parameters if each.default is inspect.Parameter.empty)

    def of(self, measured: Measured) -> jax.Array:
        """Its value, in floating point; a parameter that is absent has its default."""
        given = {name: measured[name] for name in self.takes if measured.get(name) is not None}
        value = jnp.asarray(self.measure(**given))
        return value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(jnp.result_type(float))


def _train_loss(train_loss):
    return train_loss


def _accuracy(output_KxB, targets_B):
    return (_predicted_B(output_KxB) == targets_B).astype(output_KxB.dtype)


def _predicted_B(output_KxB: jax.Array) -> jax.Array:
    """The state with the largest output, the first of those that are equal; as K - 1 selections (`sum_over_states`)."""
    largest_B, *others = output_KxB
    predicted_B = jnp.zeros(largest_B.shape, jnp.int32)
    for state, output_B in enumerate(others, 1):
        predicted_B = jnp.where(output_B > largest_B, state, predicted_B)
        largest_B = jnp.maximum(largest_B, output_B)
    return predicted_B


def _expected_accuracy(output_KxB, law_KxB, weights_B, optimum=None, exact_accuracy=None):
    """Exact; or the optimum over all walks, less what is missed on the test walks."""
    on_walks = accuracy_on_walks(output_KxB, law_KxB, weights_B)
    if optimum is not None:
        on_walks = optimum - (mean(_largest_B(law_KxB), weights_B) - on_walks)
    return on_walks if exact_accuracy is None else jnp.where(jnp.isnan(exact_accuracy), on_walks, exact_accuracy)


def accuracy_on_walks(output_KxB: jax.Array, law_KxB: jax.Array, weights_B: jax.Array) -> jax.Array:
    """The mean over walks of the true probability of the predicted state, float scalar."""
    states_Kx1 = jnp.arange(len(law_KxB))[:, None]
    is_predicted_KxB = states_Kx1 == _predicted_B(output_KxB)
    return mean(sum_over_states(jnp.where(is_predicted_KxB, law_KxB, 0)), weights_B)


def _largest_B(law_KxB):
    return functools.reduce(jnp.maximum, law_KxB)


def _optimal_accuracy(law_KxB, weights_B, optimum=None):
    return mean(_largest_B(law_KxB), weights_B) if optimum is None else optimum


def _accuracy_is_exact(law_KxB, exact_accuracy=None):
    return jnp.zeros((), law_KxB.dtype) if exact_accuracy is None else jnp.isfinite(exact_accuracy)


def _predicts_optimally(output_KxB, law_KxB, weights_B, optimum=None, exact_accuracy=None):
    expected = _expected_accuracy(output_KxB, law_KxB, weights_B, optimum, exact_accuracy)
    missed = _optimal_accuracy(law_KxB, weights_B, optimum) - expected
    return missed <= optimal_tolerance(law_KxB, weights_B)


OPTIMAL = 1e-3
"""A run predicts optimally if its expected accuracy is at most this far below the optimum, or less: see below."""


def optimal_tolerance(law_KxB: jax.Array, weights_B: jax.Array) -> jax.Array:
    """How far below the optimum the expected accuracy of a run may be that predicts optimally, float scalar.

    It is 0.001, but at most a tenth of E m (1 - m), m the largest probability of a next state: p (1 - p) on the circle,
    by which lag 2 is worse than the parent near p = 0 and 1. Below 1e-6 there is rounding.
    """
    most_B = _largest_B(law_KxB)
    return jnp.clip(mean(most_B * (1 - most_B), weights_B) / 10, 1e-6, OPTIMAL)


def _parent_attention(mean_attention_N, parent):
    return mean_attention_N[-1 - parent]


def _empty_attention(mean_attention_N):
    return mean_attention_N[-1]


def _parent_is_highest(mean_attention_N, parent):
    return (_highest_lag(mean_attention_N) == parent).astype(mean_attention_N.dtype)


def _highest_lag(mean_attention_N):
    return _unless_lost(len(mean_attention_N) - 1 - jnp.argmax(mean_attention_N), mean_attention_N)


def _unless_lost(found: jax.Array, attention_N: jax.Array) -> jax.Array:
    """What was found of the largest of some weights; NaN where they are none, which have no largest."""
    is_lost = jnp.any(jnp.isnan(attention_N), axis=-1)
    return jnp.where(is_lost, jnp.nan, found).astype(attention_N.dtype)


def _log_other_attention(mean_attention_N, parent):
    others_N = mean_attention_N.at[len(mean_attention_N) - 1 - parent].set(0)
    return jnp.log(jnp.sum(others_N))  # 1 - weight would lose what is small


def _quadrature_error(quadrature_error):
    return quadrature_error


def _attention_spread(spread_B, weights_B):
    return jnp.max(jnp.where(weights_B > 0, spread_B, 0))


def _output_direction_error(output_KxB, law_KxB):
    return direction_error(output_KxB, law_KxB, sum_over_states)


def _kl_divergence(law_KxB, output_KxB):
    return kl_divergence(law_KxB, output_KxB)


def _value_direction_error(value_HxK, transition_KxK=None):
    return _to_transition(value_HxK, transition_KxK, lambda transposed_KxK: transposed_KxK)


def _value_sqrt_direction_error(value_HxK, transition_KxK=None):
    return _to_transition(value_HxK, transition_KxK, jnp.sqrt)


def _to_transition(
    value_HxK: jax.Array, transition_KxK: jax.Array | None, of_transition: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """Distance of V from a function of Pi^T; NaN where the two are not to be compared."""
    if transition_KxK is None:
        return jnp.full((), jnp.nan, value_HxK.dtype)
    return direction_error(value_HxK, of_transition(transition_KxK.T), jnp.sum)


def _value_uniform_direction_error(value_HxK):
    return direction_error(value_HxK, jnp.ones_like(value_HxK), jnp.sum)


def _head_parent_attention(mean_head_attention, parent):
    return mean_head_attention[..., -1 - parent]


def _head_highest_lag(mean_head_attention):
    return _unless_lost(
        mean_head_attention.shape[-1] - 1 - jnp.argmax(mean_head_attention, axis=-1), mean_head_attention
    )


def _head_value_error(head_values, target_KxK):
    """That of each head, whatever is added to each column: it changes no difference between two outputs."""

    def centred(matrices: jax.Array) -> jax.Array:
        return matrices - jnp.mean(matrices, axis=-2, keepdims=True)

    def to_law(value_KxK: jax.Array) -> jax.Array:
        return direction_error(centred(value_KxK), centred(target_KxK.T), jnp.sum)

    return jax.vmap(jax.vmap(to_law))(head_values)


_HEADS = ("layer", "head")

# A direction error is NaN where the array it compares is zero, as V and f are at zero initialisation. The KL divergence
# is infinite where the output gives no positive share to a state that is possible, and NaN where the output sums to 0.
METRICS: Mapping[str, Metric] = {
    "train_loss": Metric(_train_loss, "mean loss over the training walks", OF_LOSS),
    "accuracy": Metric(
        _accuracy, "share of test walks whose last state is predicted", of_walks=True, is_share=True
    ),
    "expected_accuracy": Metric(
        _expected_accuracy, "mean true probability of the predicted state, over all walks or else over test walks",
        is_share=True,
    ),
    "optimal_accuracy": Metric(
        _optimal_accuracy, "mean of the largest true probability of a state, over all walks or else over test walks",
        is_share=True,
    ),
    "accuracy_is_exact": Metric(
        _accuracy_is_exact, "1 if the expected accuracy is over all walks, 0 if it is over test walks", is_share=True
    ),
    "predicts_optimally": Metric(
        _predicts_optimally,
        "1 if the expected accuracy is at most 0.001, or a tenth of E m (1 - m) where that is less, below the optimum",
        is_share=True,
    ),
    "kl_divergence": Metric(
        _kl_divergence, "KL divergence, true next-state law to normalised output, mean over test walks", "nats",
        of_walks=True,
    ),
    "parent_attention": Metric(
        _parent_attention, "mean attention weight on the direct parent, token N-1", is_share=True
    ),
    "empty_attention": Metric(_empty_attention, "mean attention weight on the empty query slot", is_share=True),
    "parent_is_highest": Metric(
        _parent_is_highest, "1 if the mean attention weight is highest on the direct parent, else 0", is_share=True
    ),
    "highest_lag": Metric(
        _highest_lag, "how many states before the target the slot with the highest mean attention weight is", "states"
    ),
    "log_other_attention": Metric(
        _log_other_attention, "logarithm of 1 minus the mean attention weight on the direct parent", "nats"
    ),
    "quadrature_error": Metric(
        _quadrature_error, "estimated relative error of the gradients on infinitely many walks"
    ),
    "attention_spread": Metric(
        _attention_spread, "largest minus smallest weight among the N-1 tokens, largest over test walks", is_share=True
    ),
    "output_direction_error": Metric(
        _output_direction_error, "distance between f/|f| and f_OPT/|f_OPT|, mean over test walks", of_walks=True
    ),
    "value_direction_error": Metric(_value_direction_error, "Frobenius distance between V/|V| and Pi^T/|Pi^T|"),
    "value_sqrt_direction_error": Metric(
        _value_sqrt_direction_error, "Frobenius distance between V/|V| and the normalised square root of Pi^T"
    ),
    "value_uniform_direction_error": Metric(
        _value_uniform_direction_error, "Frobenius distance between V/|V| and the normalised all-ones matrix"
    ),
    "head_parent_attention": Metric(
        _head_parent_attention, "mean attention weight of each head on the direct parent", dims=_HEADS
    ),
    "head_highest_lag": Metric(
        _head_highest_lag, "how many states before the target each head attends to most", "states", dims=_HEADS
    ),
    "head_value_error": Metric(
        _head_value_error, "distance between the directions of each head's V and of Pi^T, columns centred", dims=_HEADS
    ),
}  # fmt: skip
"""Every metric, by name. These are the variables of metrics.nc."""


def measure(metrics: Mapping[str, Metric], measured: Measured) -> dict[str, jax.Array]:
    """The metrics whose needs are all there, by name; means over walks are taken together.

    All but what the objective has measured are NaN where an output is not finite: a prediction of a run that has
    diverged is no prediction. Where no metric looks at walks, they are not looked at for this alone.

    Raises:
      ConfigError: if a metric does not work.
    """
    those = {name: metric for name, metric in metrics.items() if _is_there(metric, measured)}

    def value_of(name: str) -> jax.Array:
        return tried(f"The metric {name}", lambda: those[name].of(measured))

    of_walks = [name for name, metric in those.items() if metric.of_walks]
    found: dict[str, jax.Array] = {}
    if of_walks:
        means = mean(jnp.stack([value_of(name) for name in of_walks]), measured["weights_B"])
        found = dict(zip(of_walks, means, strict=True))
    found |= {name: value_of(name) for name, metric in those.items() if not metric.of_walks}
    if not any(set(metric.takes) & set(_OF_WALKS) for metric in those.values()):
        return found
    is_finite_B = functools.reduce(jnp.logical_and, jnp.isfinite(measured["output_KxB"]))
    is_lost = jnp.any(~is_finite_B & (measured["weights_B"] > 0))
    return {
        name: value if is_of_objective(those[name]) else jnp.where(is_lost, jnp.nan, value)
        for name, value in found.items()
    }


def _is_there(metric: Metric, measured: Measured) -> bool:
    return all(measured.get(name) is not None for name in metric.needs)


def is_of_objective(metric: Metric) -> bool:
    """Whether it is measured on the way of training, and not at the parameters alone."""
    return bool(set(metric.takes) & set(_OF_OBJECTIVE))


def looks_at_attention(metric: Metric) -> bool:
    """Whether it takes the attention of all test walks."""
    return bool(set(_OF_ATTENTION) & set(metric.takes))


_OF_ATTENTION = ("attention_NxB", "head_attention", "spread_B", "mean_attention_N", "mean_head_attention")


def mean_attention(output: Output, weights_B: jax.Array) -> jax.Array | None:
    """The mean attention weight of every slot over walks, float[N], the last of the empty slot; None without any."""
    if output.token_attention_LxB is None or output.empty_attention_B is None:
        return None
    means_L, mean_of_empty = mean(output.token_attention_LxB, weights_B), mean(output.empty_attention_B, weights_B)
    return jnp.append(means_L, mean_of_empty)


def mean_head_attention(output: Output, weights_B: jax.Array) -> jax.Array | None:
    """The mean attention weight of each head on every slot, float[layers, heads, N]; None where heads are unknown."""
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
        # Squares of what is large or small leave the numbers of 32 bits. A power of two rounds nothing.
        _, exponent = jnp.frexp(total(jnp.abs(array)))
        scaled = jnp.ldexp(array, -exponent)
        return scaled / jnp.sqrt(total(scaled**2))

    return jnp.sqrt(total((unit(array) - unit(reference)) ** 2))


def kl_divergence(law_KxB: jax.Array, output_KxB: jax.Array) -> jax.Array:
    """KL(law || output / sum(output)) of each walk, float[B], in nats."""
    share_KxB = output_KxB / sum_over_states(output_KxB)
    log_ratio_KxB = jnp.log(jnp.where(share_KxB <= 0, jnp.inf, law_KxB / share_KxB))
    return sum_over_states(jnp.where(law_KxB > 0, law_KxB * log_ratio_KxB, 0))
