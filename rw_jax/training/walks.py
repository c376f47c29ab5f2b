"""The walks of a run: drawn for each stage, made faulty as the config says, and what a step takes of them."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from rw_jax.study.config import ALL, Config
from rw_jax.tasks import Values, Walks
from rw_jax.training.experiment import Experiment, predicts_every_position
from rw_jax.training.values import num_stages, of_stage, run_keys, with_mixed_p


def draw_test_walks(experiment: Experiment, values: Values) -> Walks:
    """The test walks of a run, as its last stage has them: without faults, and predicted at their end."""
    keys = run_keys(experiment.config.study_seed, values["seed"])
    return _drawn(experiment, keys.test, experiment.config.task.test_walks, of_stage(values, num_stages(values) - 1))


def draw_training_walks(experiment: Experiment, values: Values, stage: int = 0) -> Walks | None:
    """The training walks of a stage, with their faults; None of infinitely many, which cannot be drawn."""
    config, number = experiment.config, experiment.config.task.walks
    if number == math.inf:
        return None
    keys = run_keys(config.study_seed, values["seed"])
    key = keys.train if stage == 0 else jax.random.fold_in(keys.stages, stage)
    values = of_stage(values, stage)
    walks = _drawn(experiment, key, number, values)
    share_key, fault_key = jax.random.split(jax.random.fold_in(keys.faults, stage))
    if config.training.mixed_share > 0:
        others = _drawn(experiment, key, number, with_mixed_p(values))
        is_other_B = jax.random.uniform(share_key, walks.targets_B.shape, jnp.float32) < values["mixed_share"]
        walks = jax.tree.map(lambda other, own: jnp.where(is_other_B, other, own), others, walks)
    if config.training.target == "all" and not predicts_every_position(experiment):
        walks = of_every_position(walks, experiment.task.num_nodes)
    return with_faults(fault_key, walks, values, config, experiment.task.num_nodes)


def _drawn(experiment: Experiment, key: jax.Array, number: Any, values: Values) -> Walks:
    """So many samples, or the population where the config says all. The key is consumed."""
    task = experiment.task
    if number == ALL and task.population is not None:
        return task.population(values)
    return task.sample(key, number, values)


def with_faults(key: jax.Array, walks: Walks, values: Values, config: Config, num_nodes: int) -> Walks:
    """Training walks with the faults that the config names, each drawn for itself.

    A token that is missing is K: it weighs nothing, and adds nothing to the averaged token.

    Args:
      key: consumed.
      walks: the walks.
      values: the shares: label_noise and dropped_tokens.
      config: which faults there are.
      num_nodes: K.
    """
    training = config.training
    state_key, noise_key, drop_key, length_key = jax.random.split(key, 4)
    tokens_LxB, targets_B, weights_B = walks
    if training.label_noise > 0:
        any_state_B = jax.random.randint(state_key, targets_B.shape, 0, num_nodes, targets_B.dtype)
        is_wrong_B = jax.random.uniform(noise_key, targets_B.shape, jnp.float32) < values["label_noise"]
        targets_B = jnp.where(is_wrong_B, any_state_B, targets_B)
    if training.dropped_tokens > 0:
        is_missing_LxB = jax.random.uniform(drop_key, tokens_LxB.shape, jnp.float32) < values["dropped_tokens"]
        tokens_LxB = jnp.where(is_missing_LxB, num_nodes, tokens_LxB)
    if training.shortest_walk > 0:
        L = tokens_LxB.shape[0]
        states_B = jax.random.randint(length_key, targets_B.shape, training.shortest_walk, L + 2)
        # A walk of n states has its n - 1 tokens next to the query, where the parent is always the last.
        tokens_LxB = jnp.where(jnp.arange(L)[:, None] < L + 1 - states_B, num_nodes, tokens_LxB)
    return Walks(tokens_LxB, targets_B, weights_B)


def of_every_position(walks: Walks, num_nodes: int) -> Walks:
    """L walks in the place of each: its first n tokens and, for a target, the state after them, for n = 1, ..., L."""
    tokens_LxB, targets_B, weights_B = walks
    L = tokens_LxB.shape[0]
    targets_LxB = jnp.concatenate([tokens_LxB[1:].astype(targets_B.dtype), targets_B[None]])
    is_known_LxL = jnp.arange(L)[:, None] <= jnp.arange(L)  # [position, n - 1]
    tokens_LxLxB = jnp.where(is_known_LxL[..., None], tokens_LxB[:, None], num_nodes)
    return Walks(tokens_LxLxB.reshape(L, -1), targets_LxB.reshape(-1), jnp.tile(weights_B, L))


def batch_of(walks: Walks, key: jax.Array, size: int) -> Walks:
    """So many of the walks, drawn with replacement by their weights. The key is consumed."""
    probability_B = walks.weights_B / jnp.sum(walks.weights_B)
    drawn_B = jax.random.choice(key, len(walks.targets_B), (size,), p=probability_B)
    drawn = jax.tree.map(lambda leaf: jnp.take(leaf, drawn_B, axis=-1), walks)
    return drawn._replace(weights_B=jnp.ones_like(drawn.weights_B))


def at_stage(walks_of_stages: Sequence[Walks], stage: ArrayLike) -> Walks:
    """The walks of a stage that is known only in training."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves)[stage], *walks_of_stages)
