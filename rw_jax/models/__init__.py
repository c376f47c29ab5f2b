"""What learns: a model as functions of its parameters. Knows nothing of tasks, losses or optimizers."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

Params = dict[str, jax.Array]
"""Parameters by name. Of the paper's model: value; readout, if there is a feed-forward layer; and key_query (full form)
or state_scores and position_scores (reduced form). Of several heads each has a first axis of heads, but for readout."""


class Output(NamedTuple):
    """What the model makes of a batch of walks, which come last in every array.

    Attributes:
      output_KxB: f(X), float, not normalised; the prediction is its argmax.
      token_attention_LxB: float, softmax weights of the L = N - 1 tokens, a mean over heads and layers where there are
        several; None for a model without attention.
      empty_attention_B: float, softmax weight of the empty query slot; None as before.
      head_attention: float[layers, heads, N, B], the weights by which the prediction looks at every slot, the last for
        the empty one; None for a model that does not tell its heads, such as the paper's with its one head.
      spread_B: float, largest minus smallest weight of the tokens, of a model that is quicker to tell it than the
        weights are to look through; else None.
    """

    output_KxB: jax.Array
    token_attention_LxB: jax.Array | None = None
    empty_attention_B: jax.Array | None = None
    head_attention: jax.Array | None = None
    spread_B: jax.Array | None = None

    @property
    def attention_NxB(self) -> jax.Array | None:
        """Softmax weights of every slot, the last for the empty slot; None for a model without attention."""
        if self.token_attention_LxB is None or self.empty_attention_B is None:
            return None
        return jnp.concatenate([self.token_attention_LxB, self.empty_attention_B[None]])


def output_of_heads(output_KxB: jax.Array, of_heads: Sequence[tuple[jax.Array, jax.Array]]) -> Output:
    """The output of a model of one layer, with the attention of each head: of tokens, and the empty slot."""
    if len(of_heads) == 1:
        return Output(output_KxB, *of_heads[0])
    token_LxB, empty_B = (functools.reduce(jnp.add, weights) / len(of_heads) for weights in zip(*of_heads, strict=True))
    heads_NxB = [jnp.concatenate([tokens_LxB, empty_B[None]]) for tokens_LxB, empty_B in of_heads]
    return Output(output_KxB, token_LxB, empty_B, jnp.stack(heads_NxB)[None])


def _no_values(labels: Mapping[str, Any]) -> dict[str, np.ndarray]:
    del labels
    return {}


class Lift(NamedTuple):
    """How an optimizer that is not linear is applied to a reduced form: on other parameters, which stand for W.

    Attributes:
      up: the gradients by the reduced parameters -> those that the optimizer is given.
      down: its updates -> the updates of the reduced parameters.
    """

    up: Callable[[Params], Params]
    down: Callable[[Params], Params]


class Lifts(NamedTuple):
    """Of a reduced form, how optimizers are applied that commute with rotations of W, or with scales of its entries."""

    rotations: Lift
    scales: Lift

    def of(self, commutes_with: str) -> Lift | None:
        """That of an optimizer, by what it commutes with; None for one that commutes with neither."""
        return getattr(self, commutes_with) if commutes_with in self._fields else None


class Model(NamedTuple):
    """A model and where it starts, as functions of one run.

    Attributes:
      init: (key, values) -> params at step 0. The key is consumed.
      apply: (params, tokens_LxB) -> Output.
      value: (params) -> V, float[H, K], what the averaged token is multiplied by; None if there is no such matrix.
      head_values: (params) -> float[layers, heads, K, K], what attention of each head to a token adds to the output by
        itself; None of one head, or if there are no such matrices.
      value_is_output: whether f = V X S, so that V can be compared with Pi^T.
      precondition: of a reduced form, the linear map that makes of the gradients by its parameters those by which
        gradient descent on the paper's own parameters moves it; None if the parameters are the paper's own.
      project: of a reduced form, (full params) -> its own; None of any other.
      rebuild: of a reduced form, (params, full params at the start) -> full params; None of any other.
      host_values: (labels) -> arrays by name, made in NumPy for one run, which its values then hold, as of a Task.
      lifts: of a reduced form, how optimizers that are not linear are applied; None if they cannot be.
      has_gaps: whether `apply` takes walks with tokens that are missing: K in the place of a state.
      to_full: (params, key, values) -> the paper's own parameters, of a run with these params that was initialised with
        this key; None if there are none.
      attend: (params, tokens_LxB, attention_NxB) -> Output, with these weights in the place of those of every head;
        None if it cannot be.
      every_position: (params, tokens_LxB) -> float[L, K, B], what is predicted to follow each token, from those up to
        it; None if only the end is predicted.
      weighs: (params) -> bool[L], of each position whether it still weighs; `apply` takes Classes of walks that agree
        there in the place of their tokens (`models.classes`). None if it does not.
      maps: (params, tokens_LxB) -> float[layers, heads, T, T, B], attention of every slot (row) to every slot; None if
        only one slot looks.
    """

    init: Callable[[jax.Array, Mapping[str, ArrayLike]], Params]
    apply: Callable[[Params, Any], Output]
    value: Callable[[Params], jax.Array] | None = None
    head_values: Callable[[Params], jax.Array] | None = None
    value_is_output: bool = False
    precondition: Callable[[Params], Params] | None = None
    project: Callable[[Params], Params] | None = None
    rebuild: Callable[[Params, Params], Params] | None = None
    to_full: Callable[[Params, jax.Array, Mapping[str, ArrayLike]], Params] | None = None
    host_values: Callable[[Mapping[str, Any]], dict[str, np.ndarray]] = _no_values
    lifts: Lifts | None = None
    has_gaps: bool = False
    attend: Callable[[Params, jax.Array, jax.Array], Output] | None = None
    every_position: Callable[[Params, jax.Array], jax.Array] | None = None
    weighs: Callable[[Params], jax.Array] | None = None
    maps: Callable[[Params, jax.Array], jax.Array] | None = None
