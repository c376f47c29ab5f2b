"""What learns: a model as functions of its parameters. Knows nothing of tasks, losses or optimizers."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Params = dict[str, jax.Array]
"""Parameters by name. Of the paper's model: value; readout, if there is a feed-forward layer; and key_query (full form)
or state_scores and position_scores (reduced form). With several heads each except readout has a first axis of heads."""


Values = Mapping[str, Any]
"""What a compiled program takes of a run, by name (`rw_jax.tasks.Values`)."""


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
        return self._asdict().get(commutes_with)


class Reduction(NamedTuple):
    """What a reduced form knows of the full one, whose parameters are the paper's own V and W.

    Attributes:
      precondition: the linear map that makes of the gradients by the reduced parameters those by which gradient descent
        on the paper's own parameters moves them.
      full_names: of the full parameters those that only the full form has, and that tell one from the other.
      project: (full params) -> reduced params.
      rebuild: (params, full params at the start) -> full params.
      to_full: (params, key, values) -> the full params of a run with these params that was initialised with this key;
        None if its start, or its optimizer, does not tell them.
      lifts: how optimizers that are not linear are applied; None if they cannot be.
    """

    precondition: Callable[[Params], Params]
    full_names: tuple[str, ...] = ()
    project: Callable[[Params], Params] | None = None
    rebuild: Callable[[Params, Params], Params] | None = None
    to_full: Callable[[Params, jax.Array, Values], Params] | None = None
    lifts: Lifts | None = None


class Scores(NamedTuple):
    """Scores before softmax of one head: a token of state s at position j has state_K[s] + position_N[j].

    Attributes:
      state_K: u.
      position_N: a; the last is the score of the empty slot.
    """

    state_K: jax.Array
    position_N: jax.Array


class Looks(NamedTuple):
    """What there is to look at in a model, as functions of its parameters; what it does not have is None.

    Attributes:
      value: (params) -> V, float[H, K], what the averaged token is multiplied by.
      value_is_output: whether f = V X S, so that V can be compared with Pi^T.
      head_values: (params) -> float[layers, heads, K, K], what attention of each head to a token adds to the output by
        itself; of a model that tells its heads.
      scores: (params) -> Scores, of a model of one head whose scores are a sum of two.
      attend: (params, tokens_LxB, attention_NxB) -> Output, with these weights in the place of those of every head.
      maps: (params, tokens_LxB) -> float[layers, heads, T, T, B], attention of every slot (row) to every slot.
    """

    value: Callable[[Params], jax.Array] | None = None
    value_is_output: bool = False
    head_values: Callable[[Params], jax.Array] | None = None
    scores: Callable[[Params], Scores] | None = None
    attend: Callable[[Params, jax.Array, jax.Array], Output] | None = None
    maps: Callable[[Params, jax.Array], jax.Array] | None = None

    @property
    def tells_output(self) -> bool:
        """Whether V and the scores are all that the output is made of."""
        return self.value is not None and self.scores is not None and self.value_is_output


class Model(NamedTuple):
    """A model and where it starts, as functions of one run.

    Attributes:
      init: (key, values) -> params at step 0. The key is consumed.
      apply: (params, tokens_LxB) -> Output.
      reduction: what a reduced form knows of the full one; None if the parameters are the model's own.
      looks: what there is to look at.
      has_gaps: whether `apply` takes walks with tokens that are missing: K in the place of a state.
      every_position: (params, tokens_LxB) -> float[L, K, B], what is predicted to follow each token, from those up to
        it; None if only the end is predicted.
      weighs: (params) -> bool[L], of each position whether it still weighs; `apply` takes Classes of walks that agree
        there in the place of their tokens (`models.classes`). None if it does not.
      pack: (tokens_LxB) -> the same in a smaller type that `apply` takes as well, made once for a training; None if it
        takes int32 alone.
      treats_states_alike: whether training from zero keeps what is equal by a symmetry of the states: no state has an
        embedding that tells it from others.
    """

    init: Callable[[jax.Array, Values], Params]
    apply: Callable[[Params, Any], Output]
    reduction: Reduction | None = None
    looks: Looks = Looks()
    has_gaps: bool = False
    every_position: Callable[[Params, jax.Array], jax.Array] | None = None
    weighs: Callable[[Params], jax.Array] | None = None
    pack: Callable[[jax.Array], jax.Array] | None = None
    treats_states_alike: bool = False
