"""What one run is given: the arguments of its compiled program, and its keys."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from rw_jax.study.config import VALUE_AXES, Config
from rw_jax.study.stages import labels_of_stages, stages_of
from rw_jax.tasks import Values
from rw_jax.training.experiment import Experiment
from rw_jax.training.precision import GENERATOR


class RunKeys(NamedTuple):
    """One key for each use of randomness in a run.

    Attributes:
      train, test, init: consumed by the training walks of the first stage, the test walks and the start.
      steps: that of step t is fold_in(steps, t).
      stages: the training walks of a later stage i = 1, 2, ... have fold_in(stages, i).
      faults: what is wrong with the training walks of stage i = 0, 1, ... has fold_in(faults, i).
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


def run_values(config: Config, experiment: Experiment) -> dict[str, np.ndarray]:
    """The values of the run that a config without its grid describes, in the precision JAX is set to.

    They are the value fields of the config, the task's parameters that are numbers, and what it and the model make of
    the labels.
    Of a run of several stages these are the values of the first; those of S later ones are stacked, float[S, ...],
    under "later " and their names, and `stages`, int32[S], has the steps at which they begin.
    """
    return _as_arrays(_numbers_of(config.values(), experiment))


def stacked_values(labels: Sequence[Mapping[str, Any]], experiment: Experiment) -> dict[str, np.ndarray]:
    """The values of several runs with a leading axis of runs, as run_values.

    Args:
      labels: of each run, its labels on every axis that there is.
      experiment: their pieces.
    """
    each = [_numbers_of(of_one, experiment) for of_one in labels]
    return _as_arrays({name: [numbers[name] for numbers in each] for name in each[0]})


def _numbers_of(labels: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """The values of a run, as the labels have them."""
    first, *later = (_of_labels(labels, experiment) for labels in labels_of_stages(labels))
    if not later:
        return first
    begins = np.array([stage.first for stage in stages_of(labels["stages"])], np.int32)
    return first | {"stages": begins} | {f"{_LATER}{name}": np.stack([each[name] for each in later]) for name in first}


_LATER = "later "
_MIXED = "mixed "


def _of_labels(labels: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """The values of one stage."""
    task, model = experiment.task, experiment.model
    named = {axis: labels[axis] for axis in VALUE_AXES if axis != "stages"}
    named |= {name: labels[name] for name in task.value_options if isinstance(labels.get(name), int | float)}
    made = task.host_values(labels) | model.host_values(labels)
    if labels["mixed_share"] > 0:
        of_mixed = task.host_values({**labels, "p": labels["mixed_p"]})
        made |= {f"{_MIXED}{name}": array for name, array in of_mixed.items()}
    return named | made


def with_mixed_p(values: Values) -> Values:
    """The values of the walks with mixed_p in the place of p."""
    of_mixed = {name.removeprefix(_MIXED): value for name, value in values.items() if name.startswith(_MIXED)}
    return {**values, **of_mixed, "p": values["mixed_p"]}


def num_stages(values: Values) -> int:
    """How many stages a run with these values has."""
    return 1 + (len(jnp.asarray(values["stages"])) if "stages" in values else 0)


def of_stage(values: Values, stage: ArrayLike) -> Values:
    """The values of a stage, counted from 0, of a run with these values."""
    if num_stages(values) == 1:
        return values
    firsts = {name: value for name, value in values.items() if name != "stages" and not name.startswith(_LATER)}
    return {
        name: jnp.concatenate([jnp.asarray(value)[None], jnp.asarray(values[f"{_LATER}{name}"])])[stage]
        for name, value in firsts.items()
    }


def stage_at(values: Values, step: ArrayLike) -> jax.Array:
    """The stage, counted from 0, that a step belongs to."""
    return jnp.sum(jnp.asarray(values["stages"]) <= step)


def _as_arrays(numbers: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Integers in 32 bits, all other numbers in the type of a real number."""
    arrays, real = {name: np.asarray(number) for name, number in numbers.items()}, jnp.result_type(float)
    types = {"i": np.int32, "u": np.int32, "b": np.bool_}
    return {name: array.astype(types.get(array.dtype.kind, real)) for name, array in arrays.items()}
