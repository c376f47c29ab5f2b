"""What is to be learned: how walks are drawn, all walks there are, and the exact law of the next state. No model."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

Values = Mapping[str, Any]
"""What a compiled program takes of a run, by name: the value fields of the config, such as p and learning_rate, and the
options that are values (`Task.value_options`), as scalars; and under "task" the arrays of any shape that a task makes
of the labels (`Task.host_values`), by their names."""

Labels = Mapping[str, Any]
"""The fields of a run that can be axes, and the parameters of its pieces, by name, in plain Python."""


class Walks(NamedTuple):
    """B walks, as the model takes them: walks last, so that sums over walks run along contiguous memory.

    Attributes:
      tokens_LxB: integers, the states shown to the model, 0..K-1.
      targets_B: int32, the state to predict, 0..K-1.
      weights_B: float, relative weight of each walk in every mean over walks: 1 for sampled walks, its probability for
        a walk of the population.
    """

    tokens_LxB: jax.Array
    targets_B: jax.Array
    weights_B: jax.Array


class Law(NamedTuple):
    """A Markov chain.

    Attributes:
      start_K: float, law of the first state.
      transition_KxK: Pi, float, row = now, column = next.
      ahead_KxK: the law of the target, float, row = the last token; None where the target is the next state.
    """

    start_K: jax.Array
    transition_KxK: jax.Array
    ahead_KxK: jax.Array | None = None

    @property
    def target_KxK(self) -> jax.Array:
        """The law of the target, row = the last token."""
        return self.transition_KxK if self.ahead_KxK is None else self.ahead_KxK


class Task(NamedTuple):
    """What training and metrics need to know of a task. Its functions take traced values.

    Attributes:
      num_nodes: K.
      walk_length: N, of which N - 1 states are tokens and the last is the target.
      sample: (key, num_walks, values) -> Walks. The key is consumed.
      next_state_law: (tokens_LxB, values) -> float[K, B], the exact law of the next state of each walk; None if it is
        not known, and then no metric that needs it is measured.
      population: (values) -> Walks, every walk that is possible, each once, weighted by its probability; None if they
        cannot be enumerated.
      law: (values) -> the chain; None if the last token alone does not tell the law of the next state.
      parent: how many states before the target the token is that tells the most of it, the direct parent; None if
        there is no such token.
      host_values: (labels) -> arrays by name, made in NumPy for one run, which values["task"] then holds. Runs that
        differ in them alone share a compiled program. None for no arrays.
      value_options: the parameters in `task.options` that only `host_values` and `values` use: as axes they compile
        nothing anew. All other parameters are given to the function that makes the task.
      offsets: of a chain that is the same from every node, and starts from each alike, where it can go: from node i to
        i + offset (mod K) only; None of any other chain.
      check: (labels) raises ConfigError if the task cannot be made for them; None if it always can.
      is_next: whether the target is the state that follows the last token in the same walk, so that each token but the
        first is a target of those before it.
      has_gaps: whether tokens can be missing: K in the place of a state (`rw_jax.tasks.faults`).
      begins_L: of walks of several lengths the share whose first token is at each position, the tokens before it
        missing; None where all begin at the first.
      vocabulary: the words of the states, K of them, by which figures and the page name them; None for numbers.
    """

    num_nodes: int
    walk_length: int
    sample: Callable[[jax.Array, int, Values], Walks]
    next_state_law: Callable[[jax.Array, Values], jax.Array] | None = None
    population: Callable[[Values], Walks] | None = None
    law: Callable[[Values], Law] | None = None
    parent: int | None = 1
    host_values: Callable[[Labels], dict[str, np.ndarray]] | None = None
    value_options: tuple[str, ...] = ()
    offsets: tuple[int, ...] | None = None
    check: Callable[[Labels], None] | None = None
    is_next: bool = False
    has_gaps: bool = False
    begins_L: np.ndarray | None = None
    vocabulary: tuple[str, ...] | None = None
