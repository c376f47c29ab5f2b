"""Faults of the training walks: each makes of a task the task whose walks have that fault.

A token that is missing is K: it weighs nothing, and adds nothing to the averaged token. What is random in a fault comes
of values["fault_key"], which the sampler of a run gives beside the key of the walks: walks with a fault are those
without it, changed.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.tasks import Labels, Task, Values, Walks

_SHARE, _STATE, _NOISE, _DROP, _LENGTH = range(5)


def _key(values: Values, use: int) -> jax.Array:
    """The key of a use. Those of one fault do not depend on which others there are."""
    share_key, rest = jax.random.split(values["fault_key"])
    return share_key if use == _SHARE else jax.random.split(rest, 4)[use - 1]


def _changed(task: Task, change: Callable[[Walks, Values], Walks], **attributes: Any) -> Task:
    """The task whose walks, drawn or enumerated, are changed."""
    population: Any = task.population

    def sample(key: jax.Array, num_walks: int, values: Values) -> Walks:
        return change(task.sample(key, num_walks, values), values)

    def changed_population(values: Values) -> Walks:
        return change(population(values), values)

    return task._replace(sample=sample, population=population and changed_population, **attributes)


def _with(mapping: Mapping[str, Any], **changes: Any) -> Mapping[str, Any]:
    """The mapping with some entries others; nothing of it is looked at before it is asked for."""
    below: Any = mapping
    return below | changes


def mixed(task: Task) -> Task:
    """A share, values["mixed_share"], of the walks has values["mixed_p"] in the place of p."""

    def with_other_p(labels: Labels) -> Labels:
        return _with(labels, p=labels["mixed_p"], test_walks=1)  # test walks have no faults

    def check(labels: Labels) -> None:
        if task.check is not None:
            task.check(labels)
            task.check(with_other_p(labels))

    of_labels: Any = task.host_values

    def host_values(labels: Labels) -> dict[str, Any]:
        return {**of_labels(labels), "mixed": of_labels(with_other_p(labels))}

    def sample(key: jax.Array, num_walks: int, values: Values) -> Walks:
        walks = task.sample(key, num_walks, values)
        of_others = _with(values, p=values["mixed_p"], task=values["task"].get("mixed", {}))
        others = task.sample(key, num_walks, of_others)
        share_key = _key(values, _SHARE)
        is_other_B = jax.random.uniform(share_key, walks.targets_B.shape, jnp.float32) < values["mixed_share"]
        return jax.tree.map(lambda other, own: jnp.where(is_other_B, other, own), others, walks)

    return task._replace(sample=sample, population=None, host_values=of_labels and host_values, check=check)


def every_position(task: Task) -> Task:
    """L walks in the place of each: its first n tokens and, for a target, the state after them, for n = 1, ..., L."""

    def change(walks: Walks, values: Values) -> Walks:
        del values
        tokens_LxB, targets_B, weights_B = walks
        L = tokens_LxB.shape[0]
        targets_LxB = jnp.concatenate([tokens_LxB[1:].astype(targets_B.dtype), targets_B[None]])
        is_known_LxL = jnp.arange(L)[:, None] <= jnp.arange(L)  # [position, n - 1]
        tokens_LxLxB = jnp.where(is_known_LxL[..., None], tokens_LxB[:, None], task.num_nodes)
        return Walks(tokens_LxLxB.reshape(L, -1), targets_LxB.reshape(-1), jnp.tile(weights_B, L))

    return _changed(task, change, has_gaps=True)


def label_noise(task: Task) -> Task:
    """A share, values["label_noise"], of the targets is replaced by any state."""

    def change(walks: Walks, values: Values) -> Walks:
        shape, dtype = walks.targets_B.shape, walks.targets_B.dtype
        any_state_B = jax.random.randint(_key(values, _STATE), shape, 0, task.num_nodes, dtype)
        is_wrong_B = jax.random.uniform(_key(values, _NOISE), shape, jnp.float32) < values["label_noise"]
        return walks._replace(targets_B=jnp.where(is_wrong_B, any_state_B, walks.targets_B))

    return _changed(task, change)


def dropped_tokens(task: Task) -> Task:
    """A share, values["dropped_tokens"], of the tokens is missing."""

    def change(walks: Walks, values: Values) -> Walks:
        shape = walks.tokens_LxB.shape
        is_missing_LxB = jax.random.uniform(_key(values, _DROP), shape, jnp.float32) < values["dropped_tokens"]
        return walks._replace(tokens_LxB=jnp.where(is_missing_LxB, task.num_nodes, walks.tokens_LxB))

    return _changed(task, change, has_gaps=True)


def lengths(task: Task, shortest: int) -> Task:
    """Walks of all lengths from `shortest` states to N, equally likely; N is the walk length of the task."""

    def change(walks: Walks, values: Values) -> Walks:
        L = walks.tokens_LxB.shape[0]
        states_B = jax.random.randint(_key(values, _LENGTH), walks.targets_B.shape, shortest, L + 2)
        # A walk of n states has its n - 1 tokens next to the query, where the parent is always the last.
        is_cut_LxB = jnp.arange(L)[:, None] < L + 1 - states_B
        return walks._replace(tokens_LxB=jnp.where(is_cut_LxB, task.num_nodes, walks.tokens_LxB))

    begins_L = np.zeros(task.walk_length - 1)
    begins_L[: task.walk_length - shortest + 1] = 1 / (task.walk_length - shortest + 1)
    return _changed(task, change, has_gaps=True, begins_L=begins_L)
