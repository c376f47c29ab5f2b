"""The walks of a run: drawn for each stage, and what a step takes of them."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from rw_jax.study.config import ALL
from rw_jax.tasks import Task, Values, Walks
from rw_jax.training.experiment import Experiment
from rw_jax.training.values import num_stages, of_stage, run_keys


def draw_test_walks(experiment: Experiment, values: Values) -> Walks:
    """The test walks of a run, as its last stage has them: without faults, and predicted at their end."""
    keys = run_keys(experiment.study_seed, values["seed"])
    of_task = experiment.given(of_stage(values, num_stages(values) - 1), "task")
    return draw(experiment.task, keys.test, experiment.test_walks, of_task)


def draw_training_walks(experiment: Experiment, values: Values, stage: int = 0) -> Walks | None:
    """The training walks of a stage, with their faults; None of infinitely many, which cannot be drawn."""
    if experiment.is_infinite:
        return None
    keys = run_keys(experiment.study_seed, values["seed"])
    key = keys.train if stage == 0 else jax.random.fold_in(keys.stages, stage)
    # Faults have a key of their own: walks with faults are those without, changed.
    fault_key = jax.random.fold_in(keys.faults, stage)
    of_task = {**experiment.given(of_stage(values, stage), "trained_on"), "fault_key": fault_key}
    return draw(experiment.trained_on, key, experiment.walks, of_task)


def draw(task: Task, key: jax.Array, number: int | float | str, values: Values) -> Walks:
    """So many walks of a task, or its population where the number is "all", in int32. The key is consumed."""
    is_population = number == ALL and task.population is not None
    walks = task.population(values) if is_population else task.sample(key, int(number), values)
    return walks._replace(tokens_LxB=walks.tokens_LxB.astype(jnp.int32), targets_B=walks.targets_B.astype(jnp.int32))


def batches_of(walks: Walks, size: int) -> Callable[[jax.Array], Walks]:
    """(key) -> so many of the walks, drawn with replacement by their weights; the key is consumed.

    They are those of `jax.random.choice`, which would add up the weights of all walks at every step.
    """
    weights_B = jax.lax.optimization_barrier(walks.weights_B)  # XLA would take minutes to sum many that are known
    up_to_B = jnp.cumsum(weights_B / jnp.sum(weights_B))

    def batch(key: jax.Array) -> Walks:
        drawn_B = jnp.searchsorted(up_to_B, up_to_B[-1] * (1 - jax.random.uniform(key, (size,), up_to_B.dtype)))
        drawn = jax.tree.map(lambda leaf: jnp.take(leaf, drawn_B, axis=-1), walks)
        return drawn._replace(weights_B=jnp.ones_like(drawn.weights_B))

    return batch


def at_stage(walks_of_stages: Sequence[Walks], stage: ArrayLike) -> Walks:
    """The walks of a stage that is known only in training."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves)[stage], *walks_of_stages)
