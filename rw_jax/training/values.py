"""What one run is given: the arguments of its compiled program, and its keys."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from rw_jax.study.config import VALUE_AXES, Config
from rw_jax.tasks import Task
from rw_jax.training.precision import GENERATOR


class RunKeys(NamedTuple):
    """One key for each use of randomness in a run; that of step t is fold_in(steps, t)."""

    train: jax.Array
    test: jax.Array
    init: jax.Array
    steps: jax.Array


def run_keys(study_seed: int, seed: ArrayLike) -> RunKeys:
    """The keys of a run, a function of its seed alone: runs that differ in other values share their randomness."""
    run_key = jax.random.fold_in(jax.random.key(study_seed, impl=GENERATOR), seed)
    # fold_in(run_key, i) is the i-th of these keys: what is random in a step has a key of its own to be folded into.
    return RunKeys(*jax.random.split(run_key, 4))


def run_values(config: Config, task: Task) -> dict[str, np.ndarray]:
    """The values of the run that a config without its grid describes, in the precision JAX is set to.

    They are the value fields of the config, the task's parameters that are numbers, and what it makes of the labels.
    """
    labels = config.values()
    named = {axis: labels[axis] for axis in VALUE_AXES}
    named |= {name: labels[name] for name in task.value_options if isinstance(labels.get(name), int | float)}
    values = {name: _as_array(value) for name, value in named.items()}
    return values | {name: _as_array(value) for name, value in task.host_values(labels).items()}


def _as_array(value: object) -> np.ndarray:
    """Integers in 32 bits, all other numbers in the precision of JAX."""
    array = np.asarray(value)
    return array.astype(np.int32 if array.dtype.kind in "iu" else bool if array.dtype.kind == "b" else _float())


def _float() -> np.dtype:
    return jnp.result_type(float)
