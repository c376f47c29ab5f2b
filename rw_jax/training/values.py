"""What one run is given: the arguments of its compiled program, and its keys."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from rw_jax.study.config import VALUE_AXES
from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import LARGEST
from rw_jax.study.stages import stages_of
from rw_jax.tasks import Labels, Task, Values
from rw_jax.training.experiment import Experiment
from rw_jax.training.precision import GENERATOR


class RunKeys(NamedTuple):
    """One key for each use of randomness in a run.

    Attributes:
      train, test, init: consumed by the training walks of the first stage, the test walks and the start.
      steps: that of step t is fold_in(steps, t).
      stages: the training walks of a later stage i = 1, 2, ... have fold_in(stages, i).
      faults: the faults of the training walks of stage i = 0, 1, ... have fold_in(faults, i).
    """

    train: jax.Array
    test: jax.Array
    init: jax.Array
    steps: jax.Array
    stages: jax.Array
    faults: jax.Array


def run_keys(study_seed: int, seed: ArrayLike) -> RunKeys:
    """The keys of a run, a function of its seed alone: runs that differ in other values share their randomness."""
    run_key = jax.random.fold_in(jax.random.key(study_seed, impl=GENERATOR), seed)
    # fold_in(run_key, i) is the i-th of these keys: what is random in a step has a key of its own to be folded into.
    return RunKeys(*jax.random.split(run_key, len(RunKeys._fields)))


def run_values(labels: Labels, experiment: Experiment) -> dict[str, Any]:
    """The values of a run, in the precision JAX is set to.

    They are the fields that are values, and the options that its task lists, by name; under "task" what the task makes
    of the labels; under "start" the parameters of another run to start from, if there are.
    Of a run of several stages these are the values of the first, and under "stages" there are `first`, int32[S], the
    steps at which the S later ones begin, and `later`, their values, stacked along a first axis.

    Args:
      labels: of the run, on every axis that there is.
      experiment: its pieces.

    Raises:
      ConfigError: if an integer takes more than 32 bits.
    """
    return jax.tree.map_with_path(_as_array, _numbers_of(labels, experiment))


def stacked_values(labels: Sequence[Labels], experiment: Experiment) -> dict[str, Any]:
    """The values of several runs with a leading axis of runs. Args: as run_values, for each run."""
    each = [_numbers_of(of_one, experiment) for of_one in labels]
    return jax.tree.map_with_path(lambda path, *numbers: _as_array(path, numbers), *each)


def labels_of_stages(labels: Labels) -> list[dict[str, Any]]:
    """The labels of a run in each of its stages, the first first."""
    every = [dict(labels)]
    for stage in stages_of(labels["stages"]):
        every.append(every[-1] | stage.changes)
    return every


def _numbers_of(labels: Labels, experiment: Experiment) -> dict[str, Any]:
    """The values of a run, as the labels have them."""
    first, *later = (_of_stage(of_stage, experiment.trained_on) for of_stage in labels_of_stages(labels))
    values = first if experiment.start is None else first | {"start": experiment.start(labels)}
    if not later:
        return values
    begins = np.array([stage.first for stage in stages_of(labels["stages"])], np.int32)
    return values | {"stages": {"first": begins, "later": jax.tree.map(lambda *leaves: np.stack(leaves), *later)}}


def _of_stage(labels: Labels, task: Task) -> dict[str, Any]:
    """The values of one stage."""
    named = {axis: labels[axis] for axis in VALUE_AXES if axis != "stages"}
    named |= {name: labels[name] for name in task.value_options if isinstance(labels.get(name), int | float)}
    return named | {"task": {} if task.host_values is None else task.host_values(labels)}


def num_stages(values: Values) -> int:
    """How many stages a run with these values has."""
    return 1 + (len(values["stages"]["first"]) if "stages" in values else 0)


def of_stage(values: Values, stage: ArrayLike) -> Values:
    """The values of a stage, counted from 0, of a run with these values."""
    if "stages" not in values:
        return values
    later = values["stages"]["later"]
    return {**values} | {
        name: jax.tree.map(
            lambda one, others: jnp.concatenate([jnp.asarray(one)[None], jnp.asarray(others)])[stage],
            values[name],
            later[name],
        )
        for name in later
    }


def stage_at(values: Values, step: ArrayLike) -> jax.Array:
    """The stage, counted from 0, that a step belongs to."""
    return jnp.sum(jnp.asarray(values["stages"]["first"]) <= step)


def _as_array(path: Sequence[Any], number: Any) -> np.ndarray:
    """Integers in 32 bits, all other numbers in the type of a real number."""
    array = np.asarray(number)
    if array.dtype.kind in "iu" and array.size and not -LARGEST - 1 <= array.min() <= array.max() <= LARGEST:
        name, beyond = path[-1].key, array.flat[np.abs(array.astype(np.float64)).argmax()]
        raise ConfigError(
            f"{name} is {beyond}, but must be at most {LARGEST} in size, as programs have integers of 32 bits."
        )
    types = {"i": np.int32, "u": np.int32, "b": np.bool_}
    return array.astype(types.get(array.dtype.kind, jnp.result_type(float)))
