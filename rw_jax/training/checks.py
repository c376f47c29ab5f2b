"""Whether the pieces of a run go together: from shapes, and from what its task makes of the labels."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.models import Output, Params
from rw_jax.study.config import ALL, AXES, DECLARATIONS, VALUE_AXES
from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import shown
from rw_jax.study.grid import Grid, Structure
from rw_jax.study.labels import OPTION
from rw_jax.study.stages import NUMBERS, Stage, labels_of_stages, stages_of
from rw_jax.tasks import Law, Task, Walks
from rw_jax.training.experiment import Experiment, tried
from rw_jax.training.metrics import METRICS
from rw_jax.training.optimizers import transformation
from rw_jax.training.precision import numbers_of
from rw_jax.training.run import progress_shape
from rw_jax.training.values import of_stage, run_values


def check_labels(grid: Grid, structure: Structure, task: Task) -> None:
    """Has the task check each label of each value axis, the other fields as those of the structure's first cell.

    What is right for a parameter of the task can hang on another one: of these each combination is checked.
    """
    first = grid.cell(structure.cells[0])
    labels = first.config.values()
    made = _check_host_values(task, labels)
    of_task = set(task.value_options) | ({"stages", "p"} if first.labels.get("stages", labels["stages"]) else set())
    together = [dimension for dimension in grid.dimensions if set(dimension.axes) & of_task]
    if math.prod(len(dimension.labels) for dimension in together) > _MOST_COMBINATIONS:
        together = []
    alone = [[dimension] for dimension in grid.dimensions if dimension not in together and dimension.axes != ("seed",)]
    for dimensions in [together, *alone] if together else alone:
        axes = [axis for dimension in dimensions for axis in dimension.axes]
        shape = {axis: labels[axis] for axis in axes if axis not in grid.value_axes}
        for combination in itertools.product(*(dimension.labels for dimension in dimensions)):
            changes = dict(zip(axes, itertools.chain.from_iterable(combination), strict=True))
            if all(changes[axis] == label for axis, label in shape.items()):
                other = _check_host_values(task, labels | changes)
                if other != made:
                    raise ConfigError(
                        f"task.host_values gives {shown(other)} for {shown(changes)}, but must give arrays of the same "
                        f"names and shapes for all runs of a program, as {shown(made)}; make what changes them an "
                        "option that is not in value_options."
                    )


_MOST_COMBINATIONS = 10_000
"""Of labels that are checked together before anything is written; of more, each label is checked by itself."""


def _check_host_values(task: Task, labels: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Has the task check the labels of a run in each stage; gives the shapes of the arrays that it makes of them."""
    check_stages(task, labels)
    first, *later = labels_of_stages(labels)
    if not later:
        return _check_stage(task, first)
    # There are no test walks but in the last stage.
    shapes = _check_stage(task, first | {"test_walks": 1})
    for stage, each in zip(stages_of(labels["stages"]), later, strict=True):
        try:
            _check_stage(task, each if each is later[-1] else each | {"test_walks": 1})
        except ConfigError as error:
            raise ConfigError(f"{_where(labels, stage)} values that do not do: {error}") from error
    return shapes


def _where(labels: Mapping[str, Any], stage: Stage) -> str:
    return f"training.stages is {labels['stages']!r}, whose stage from step {stage.first} on has"


def check_stages(task: Task, labels: Mapping[str, Any]) -> None:
    """Refuses stages that change what cannot change in training, or begin after it. Raises: ConfigError."""
    can_change = (*NUMBERS, *(name for name in task.value_options if name in labels))
    for stage in stages_of(labels["stages"]):
        where = _where(labels, stage)
        if stage.first >= labels["steps"]:
            raise ConfigError(
                f"training.stages is {labels['stages']!r}, but each stage must begin before training.steps = "
                f"{labels['steps']}."
            )
        for name, value in stage.changes.items():
            if name not in can_change:
                raise ConfigError(f"{where} {name}, but must have one of {', '.join(can_change)}.")
            right = DECLARATIONS[AXES[name]].right if name in AXES else OPTION
            try:
                right.read(value)
            except ValueError:
                raise ConfigError(f"{where} {name} = {value!r}, but must have {right.words}.") from None


def _check_stage(task: Task, labels: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    tried("task.check", task.check, labels)
    if labels["mixed_share"] > 0:
        tried("task.check", task.check, {**labels, "p": labels["mixed_p"], "test_walks": 1})
    made = tried("task.host_values", task.host_values, labels)
    if not isinstance(made, Mapping) or set(made) & set(VALUE_AXES):
        raise ConfigError(
            f"task.host_values gives {shown(made)}, but must give arrays by names other than {', '.join(VALUE_AXES)}."
        )
    return {name: np.shape(array) for name, array in made.items()}


def check_shapes(experiment: Experiment) -> None:
    """Refuses pieces whose arrays do not fit, from shapes alone: nothing is computed.

    Raises:
      ConfigError: one sentence that names the piece, what it gives and what would be right.
    """
    config, task, model = experiment.config, experiment.task, experiment.model
    K, L = task.num_nodes, task.walk_length - 1
    with numbers_of(config.precision):
        key = jax.eval_shape(lambda: jax.random.key(0))
        arrays = tried("task.host_values", run_values, config, experiment)
        values = {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in arrays.items()}
        walks = _shape("task.sample", lambda key, values: task.sample(key, 2, values), key, values)
        _expect_walks("task.sample", walks, L, 2)
        if ALL in (config.task.walks, config.task.test_walks):
            if task.population is None:
                raise ConfigError(
                    f"task.walks and task.test_walks are {config.task.walks!r} and {config.task.test_walks!r}, but "
                    "must be numbers for this task, whose walks cannot be enumerated."
                )
            every = _shape("task.population", task.population, values)
            _expect_walks("task.population", every, L, len(every.targets_B) if isinstance(every, Walks) else 0)
        if task.next_state_law is not None:
            law = _shape("task.next_state_law", task.next_state_law, walks.tokens_LxB, values)
            _expect("task.next_state_law", {"law_KxB": law}, {"law_KxB": (K, 2)})
        if task.law is not None:
            chain = _shape("task.law", task.law, values)
            if not isinstance(chain, Law):
                raise ConfigError(f"task.law gives {type(chain).__name__}, but must give a Law.")
            given = chain._asdict() | {"ahead_KxK": chain.target_KxK}
            _expect("task.law", given, {"start_K": (K,), "transition_KxK": (K, K), "ahead_KxK": (K, K)})
        params = _shape("model.init", model.init, key, values)
        output = _shape("model.apply", model.apply, params, walks.tokens_LxB)
        if not isinstance(output, Output):
            raise ConfigError(f"model.apply gives {type(output).__name__}, but must give Output.")
        of_heads = getattr(output.head_attention, "shape", ())[:2]
        right = {"output_KxB": (K, 2), "token_attention_LxB": (L, 2), "empty_attention_B": (2,), "spread_B": (2,)}
        right["head_attention"] = (*of_heads, L + 1, 2) if len(of_heads) == 2 else ()
        _expect("model.apply", {name: leaf for name, leaf in output._asdict().items() if leaf is not None}, right)
        if model.value is not None:
            value = _shape("model.value", model.value, params)
            if getattr(value, "ndim", None) != 2:
                raise ConfigError(f"model.value gives {_told(value)}, but must give a matrix V.")
        of_one = jax.ShapeDtypeStruct((K,), output.output_KxB.dtype)
        _expect("loss", {"loss": _shape("loss", experiment.loss, of_one, of_one, values)}, {"loss": ()})
        _check_optimizer(experiment, params, values)


def measured(experiment: Experiment) -> set[str]:
    """The names of all metrics that such a run can have, from shapes alone."""
    with numbers_of(experiment.config.precision):
        values = run_values(experiment.config, experiment)
        every = experiment._replace(metrics=METRICS)
        return set(tried("The training of a run", lambda: progress_shape(every, values, 1, 1)).record.metrics)


def _check_optimizer(experiment: Experiment, params: Params, values: Mapping[str, Any]) -> None:
    """Traces an optimizer on gradients that are like the parameters."""

    def init_and_update(params, values):
        each = transformation(experiment.optimizer, experiment.model, of_stage(values, 0))
        state = each.init(params)
        return (state, *each.update(params, state, params))

    state, updates, next_state = _shape("optimizer", init_and_update, params, values)
    for given, right, what in ((updates, params, "updates"), (next_state, state, "a next state")):
        if jax.tree.map(_told, given) != jax.tree.map(_told, right):
            raise ConfigError(f"optimizer gives {what} {_told(given)}, but must give {_told(right)}.")
    for leaf in jax.tree.leaves(state):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise ConfigError(
                "optimizer keeps a key of jax.random.key, which cannot be stored; give it one of jax.random.PRNGKey."
            )


def _told(array: Any) -> str:
    """The shapes of arrays, for a message."""
    return shown(jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", array))


def _shape(name: str, function: Callable[..., Any], *operands: Any) -> Any:
    """The shapes of what a piece gives."""
    return tried(name, lambda: jax.eval_shape(function, *operands))


def _expect_walks(name: str, walks: Any, num_tokens: int, num_walks: int) -> None:
    if not isinstance(walks, Walks):
        raise ConfigError(f"{name} gives {type(walks).__name__}, but must give Walks.")
    right = {"tokens_LxB": (num_tokens, num_walks), "targets_B": (num_walks,), "weights_B": (num_walks,)}
    _expect(name, walks._asdict(), right)


def _expect(name: str, given: Mapping[str, Any], right: Mapping[str, tuple[int, ...]]) -> None:
    for field, leaf in given.items():
        shape = getattr(leaf, "shape", None)
        if shape != right[field]:
            raise ConfigError(f"{name} gives {field} of shape {shape}, but must give {right[field]}.")
