"""Tasks: how walks are drawn, all walks there are, and the exact law of the next state. No model in here."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax.typing import ArrayLike


class Walks(NamedTuple):
    """Walks as the model sees them.

    Attributes:
      tokens: int32[B, L], the states shown to the model, 0..K-1.
      targets: int32[B], the state to predict, 0..K-1.
      weights: float[B], relative weight of each walk in every mean over walks: 1 for sampled walks, its probability
        for a walk of the population.
    """

    tokens: jax.Array
    targets: jax.Array
    weights: jax.Array


class Task(NamedTuple):
    """What training and metrics need to know of a task, as functions of the (traced) parameter p.

    Attributes:
      sample: (key, num_walks, p) -> Walks. The key is consumed.
      population: (p) -> Walks, every walk that is possible, each once, weighted by its probability.
      next_state_law: (tokens_BxL, p) -> float[B, K], the exact law of the next state given the tokens.
      transition_matrix: (p) -> float[K, K], row = now, column = next; None if the next state does not hang on the last
        token alone.
    """

    sample: Callable[[jax.Array, int, ArrayLike], Walks]
    population: Callable[[ArrayLike], Walks]
    next_state_law: Callable[[jax.Array, ArrayLike], jax.Array]
    transition_matrix: Callable[[ArrayLike], jax.Array] | None
