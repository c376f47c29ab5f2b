"""Walks of any Markov chain: of a family (`rw_jax.tasks.families`), or of a transition matrix of your own.

The matrix is a value: all chains of K states share one compiled program.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
from absl import logging

from rw_jax.study.errors import ConfigError
from rw_jax.tasks import Labels, Law, Task, Values, Walks
from rw_jax.tasks.circle import LARGEST_POPULATION
from rw_jax.tasks.families import FAMILY_OPTIONS, checked_matrix, transition_of

VALUE_OPTIONS = ("family", "start", "horizon", "file", *FAMILY_OPTIONS)
"""The parameters of the task."""


def chain(num_nodes: int, walk_length: int, texts: Mapping[str, str]) -> Task:
    """The task of predicting a state of a Markov chain from all states up to some steps before it.

    Its parameters, in `task.options`, are values:
      family: the name of a family, "matrix" with `matrix`, or "file" with `file`: a .csv or .npy file.
      the parameters of the family.
      start: the law of the first state: "stationary" (the default), "uniform", or a tuple of K probabilities.
      horizon: how many steps the target is ahead of the last token; 1 by default.

    Args:
      num_nodes: K.
      walk_length: N, of which N - 1 states are tokens.
      texts: the texts of the files that the study names, by digest.
    """
    said: set[str] = set()

    def host_values(labels: Labels) -> dict[str, np.ndarray]:
        start_K, transition_KxK, target_KxK = law_of(labels, num_nodes, texts)
        return {
            "start": start_K,
            "transition": transition_KxK,
            "target": target_KxK,
            "thresholds": _thresholds(transition_KxK),
            "target_thresholds": _thresholds(target_KxK),
            "start_thresholds": _cumulated(start_K[None])[0],
            "starts_uniformly": np.array(bool((start_K == start_K[0]).all())),
        }

    def check(labels: Labels) -> None:
        """Refuses walks that cannot be enumerated, and tells what is special about a chain, once."""
        start_K, transition_KxK, _ = law_of(labels, num_nodes, texts)
        if labels["target"] == "all" and labels.get("horizon", 1) != 1:
            raise ConfigError(
                f"training.target is 'all', but must be 'last' for task.options.horizon = {labels['horizon']}: what "
                "follows a token within a walk is the next state."
            )
        is_certain = bool((transition_KxK.max(axis=1) == 1).all())
        if is_certain and labels["walks"] == math.inf:
            raise ConfigError(
                "task.walks is 'infinite', but must be 'all' for a chain without chance: 'all' keeps the symmetry of "
                "its walks to the last bit."
            )
        if not is_certain and not can_enumerate(num_nodes, walk_length):
            for field in ("walks", "test_walks"):
                if labels[field] == "all":
                    raise ConfigError(
                        f"task.{field} is 'all', but must be a number for this chain: there can be more than "
                        f"{LARGEST_POPULATION} walks of {walk_length} states on {num_nodes} nodes."
                    )
        for found in peculiarities(start_K, transition_KxK):
            sentence = f"The chain {labels['family']!r} {found}."
            if sentence not in said:
                said.add(sentence)
                logging.warning("%s", sentence)

    return Task(
        num_nodes,
        walk_length,
        sample=lambda key, num_walks, values: sample(key, num_walks, values, walk_length),
        next_state_law=lambda tokens_LxB, values: jnp.asarray(values["task"]["target"])[tokens_LxB[-1]].T,
        population=lambda values: population(values, walk_length),
        law=lambda values: Law(*(jnp.asarray(values["task"][name]) for name in ("start", "transition", "target"))),
        host_values=host_values,
        value_options=VALUE_OPTIONS,
        check=check,
        is_next=True,  # for the horizon 1; of any other, `check` refuses training.target = 'all'
    )


def law_of(
    labels: Mapping[str, Any], num_nodes: int, files: Mapping[str, str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chain that labels describe, in float64: the law of its first state, Pi, and the law of the target.

    Raises:
      ConfigError: if they do not describe one.
    """
    if "family" not in labels:
        raise ConfigError("task.options.family must be given for task.name = 'chain', as 'cycle' or 'star'.")
    if labels["family"] == "file":
        transition_KxK = checked_matrix(_from_file(labels, files), num_nodes, "The matrix in task.options.file")
    else:
        transition_KxK = transition_of(labels, num_nodes)
    start, horizon = labels.get("start", "stationary"), labels.get("horizon", 1)
    if not isinstance(horizon, int) or isinstance(horizon, bool) or not 1 <= horizon <= 10**6:
        raise ConfigError(f"task.options.horizon is {horizon!r}, but must be a whole number from 1 to 1000000.")
    target_KxK = transition_KxK if horizon == 1 else np.linalg.matrix_power(transition_KxK, horizon)
    return _start_of(start, transition_KxK), transition_KxK, target_KxK


def _start_of(start: Any, transition_KxK: np.ndarray) -> np.ndarray:
    K = len(transition_KxK)
    if start == "uniform":
        return np.full(K, 1 / K)
    if start == "stationary":
        return stationary_law(transition_KxK)
    is_law = isinstance(start, tuple) and len(start) == K and all(isinstance(share, int | float) for share in start)
    if not is_law or min(start) < 0 or abs(sum(start) - 1) > 1e-9:
        raise ConfigError(
            f"task.options.start is {start!r}, but must be 'stationary', 'uniform', or {K} probabilities that sum to 1."
        )
    return np.array(start, np.float64)


def _from_file(labels: Mapping[str, Any], files: Mapping[str, str]) -> np.ndarray:
    name = labels.get("file")
    if not isinstance(name, str):
        raise ConfigError("task.options.file must be given for task.options.family = 'file'.")
    text = files.get(name.rpartition("@")[2])
    if text is None:
        raise ConfigError(f"task.options.file is {name!r}, whose text is not kept with the run.")
    try:
        return np.array([[float(number) for number in line.split(",")] for line in text.split("\n") if line.strip()])
    except ValueError as error:
        short = name.rpartition("@")[0]
        raise ConfigError(f"{short} must have a row of numbers in each line, commas between, all as long.") from error


def stationary_law(transition_KxK: np.ndarray) -> np.ndarray:
    """The law pi with pi Pi = pi, float64[K]; exactly uniform where all columns of Pi sum to 1, to rounding.

    Raises:
      ConfigError: if there are several, as with two absorbing states.
    """
    transition = np.asarray(transition_KxK, np.float64)
    K, closed = len(transition), closed_classes(transition)
    if len(closed) > 1:
        raise ConfigError(
            f"task.options.start is 'stationary', but must be 'uniform' or a law for a chain with {len(closed)} "
            "classes of states that are never left: it has a stationary law in each."
        )
    if np.allclose(transition.sum(axis=0), 1, rtol=0, atol=3e-14):
        return np.full(K, 1 / K)
    (states,) = closed
    law_K = np.zeros(K)
    law_K[states] = _eliminated(transition[np.ix_(states, states)])
    return law_K


def _eliminated(irreducible_SxS: np.ndarray) -> np.ndarray:
    """The stationary law of an irreducible chain by the elimination of Grassmann, Taksar and Heyman (1985).

    It subtracts nothing, so that the law is right to rounding even where states are left seldom.
    """
    rest, size = np.array(irreducible_SxS), len(irreducible_SxS)
    for last in range(size - 1, 0, -1):
        rest[:last, last] /= rest[last, :last].sum()
        rest[:last, :last] += np.outer(rest[:last, last], rest[last, :last])
    law = np.ones(size)
    for state in range(1, size):
        law[state] = law[:state] @ rest[:state, state]
    return law / law.sum()


def closed_classes(transition_KxK: np.ndarray) -> list[list[int]]:
    """The classes of states that lead to one another and are never left."""
    graph = nx.from_numpy_array(np.asarray(transition_KxK) > 0, create_using=nx.DiGraph)
    return sorted(sorted(states) for states in nx.attracting_components(graph))


def peculiarities(start_K: np.ndarray, transition_KxK: np.ndarray) -> list[str]:
    """What a user may not have meant: states that are never left, or that no walk of any length has."""
    never_left = [states[0] for states in closed_classes(transition_KxK) if len(states) == 1]
    graph = nx.from_numpy_array(transition_KxK > 0, create_using=nx.DiGraph)
    starts = np.flatnonzero(start_K > 0).tolist()
    reached = set(starts).union(*(nx.descendants(graph, state) for state in starts))
    found = []
    if never_left:
        found.append(f"never leaves {_states(never_left)}")
    if len(reached) < len(transition_KxK):
        found.append(f"never comes to {_states(sorted(set(range(len(transition_KxK))) - reached))}")
    return found


def _states(states: list[int]) -> str:
    return f"state {states[0]}" if len(states) == 1 else f"the states {', '.join(map(str, states))}"


def _thresholds(matrix_KxK: np.ndarray) -> np.ndarray:
    """Where a uniform number must lie for each next state, float64[K, K - 1], next states by offset: +1 first, 0 last.

    From state s the walk goes to s + 1 + (how many thresholds of s the number reaches) mod K. From the last next state
    that is possible on they are infinite, so that rounding leads nowhere else.
    """
    states = np.arange(len(matrix_KxK))
    return _cumulated(matrix_KxK[states[:, None], (states[:, None] + 1 + states) % len(states)])


def _cumulated(rows: np.ndarray) -> np.ndarray:
    """Cumulative sums of each row, without the last; infinite once no positive entry follows."""
    sums = np.cumsum(rows, axis=1)
    last = rows.shape[1] - 1 - np.argmax(rows[:, ::-1] > 0, axis=1)
    return np.where(np.arange(rows.shape[1]) >= last[:, None], np.inf, sums)[:, :-1]


def sample(key: jax.Array, num_walks: int, values: Values, walk_length: int) -> Walks:
    """Draws independent walks; those of the circle's matrix are the walks of `circle.sample` for the same key.

    The numbers are drawn in 32 bits whatever the precision of training, so that a float64 run sees the walks of its
    float32 twin.

    Args:
      key: consumed.
      num_walks: B.
      values: with the arrays of `host_values` under "task".
      walk_length: N.
    """
    first_key, step_key = jax.random.split(key)
    thresholds_KxJ, last_KxJ, first_J = (
        jnp.asarray(values["task"][name], jnp.float32)
        for name in ("thresholds", "target_thresholds", "start_thresholds")
    )
    num_nodes = len(thresholds_KxJ)
    evenly_B = jax.random.randint(first_key, (num_walks,), 0, num_nodes, jnp.int32)
    uniform_B = jax.random.uniform(jax.random.fold_in(first_key, 1), (num_walks,), jnp.float32)
    by_law_B = jnp.sum(uniform_B[:, None] >= first_J, axis=1, dtype=jnp.int32)
    first_B = jnp.where(values["task"]["starts_uniformly"], evenly_B, by_law_B)
    uniform_BxL = jax.random.uniform(step_key, (num_walks, walk_length - 1), jnp.float32)

    def moved(state_B, uniform_B, thresholds_KxJ):
        passed_B = jnp.sum(uniform_B[:, None] >= thresholds_KxJ[state_B], axis=1, dtype=jnp.int32)
        return (state_B + 1 + passed_B) % num_nodes

    def step(state_B, uniform_B):
        return moved(state_B, uniform_B, thresholds_KxJ), state_B

    last_B, tokens_LxB = jax.lax.scan(step, first_B, uniform_BxL[:, :-1].T)
    tokens_LxB = jnp.concatenate([tokens_LxB, last_B[None]])
    return Walks(tokens_LxB, moved(last_B, uniform_BxL[:, -1], last_KxJ), jnp.ones(num_walks, jnp.float32))


def population(values: Values, walk_length: int) -> Walks:
    """All K^N sequences of states, weighted by their probability; those of a chain without chance where they are more.

    Args:
      values: as of `sample`.
      walk_length: N.
    """
    start_K, transition_KxK, target_KxK = (
        jnp.asarray(values["task"][name]) for name in ("start", "transition", "target")
    )
    num_nodes = len(start_K)
    if not can_enumerate(num_nodes, walk_length):

        def follow(state_K, _):
            return jnp.argmax(transition_KxK[state_K], axis=1).astype(jnp.int32), state_K

        last_K, tokens_LxK = jax.lax.scan(follow, jnp.arange(num_nodes, dtype=jnp.int32), length=walk_length - 2)
        targets_K = jnp.argmax(target_KxK[last_K], axis=1).astype(jnp.int32)
        return Walks(jnp.concatenate([tokens_LxK, last_K[None]]), targets_K, start_K)
    number_B = jnp.arange(num_nodes**walk_length, dtype=jnp.int32)
    states_NxB = number_B // (num_nodes ** jnp.arange(walk_length, dtype=jnp.int32))[:, None] % num_nodes
    steps_B = jnp.prod(transition_KxK[states_NxB[:-2], states_NxB[1:-1]], axis=0)
    weights_B = start_K[states_NxB[0]] * steps_B * target_KxK[states_NxB[-2], states_NxB[-1]]
    return Walks(states_NxB[:-1], states_NxB[-1], weights_B)


def can_enumerate(num_nodes: int, walk_length: int) -> bool:
    """Whether `population` holds the walks of every chain, and not of those without chance only."""
    return num_nodes**walk_length <= LARGEST_POPULATION
