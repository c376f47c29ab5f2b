"""The pieces of a run: the only place that turns names into pieces, and that checks whether they go together."""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.models import Model, Output, Params
from rw_jax.models.full import full_transformer
from rw_jax.models.reduced import project, rebuild, reduced_transformer
from rw_jax.study.config import ALL, VALUE_AXES, Config
from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import is_piece
from rw_jax.study.grid import Grid, Structure
from rw_jax.tasks import Task, Walks
from rw_jax.tasks.circle import circle
from rw_jax.tasks.questions import majority, preference
from rw_jax.training import losses, pieces
from rw_jax.training.losses import Loss
from rw_jax.training.metrics import METRICS, Metric
from rw_jax.training.optimizers import GRADIENT_DESCENT, Optimizer
from rw_jax.training.precision import numbers_of
from rw_jax.training.values import run_values


class Experiment(NamedTuple):
    """What one run is made of.

    Attributes:
      config: its structure: the numbers of walks and steps, what is recorded, the seed of the study, the precision.
      task, model, loss, optimizer, metrics: its pieces.
    """

    config: Config
    task: Task
    model: Model
    loss: Loss
    optimizer: Optimizer
    metrics: tuple[Metric, ...] = METRICS


class Own(NamedTuple):
    """Pieces of the user's own, in place of those that a config names; None for one that it names.

    Attributes:
      task, model, loss, optimizer: the pieces.
      init: parameters to start from.
      texts: the texts of the pieces that the config names, by digest (`pieces.pin`).
    """

    task: Task | None = None
    model: Model | None = None
    loss: Loss | None = None
    optimizer: Optimizer | Callable[..., Any] | None = None
    init: Params | None = None
    texts: Mapping[str, str] = {}


NOTHING_OWN = Own()
"""The config names every piece."""

_TASKS = {"majority": majority, "preference": preference}
_FORMS = {"full": full_transformer, "reduced": reduced_transformer}
_LOSSES = {
    "log": losses.log_loss,
    "cross_entropy": losses.cross_entropy,
    "squared_error": losses.squared_error,
    "hinge": losses.hinge,
}
_OPTIMIZERS = {"gd": GRADIENT_DESCENT}


def make_experiment(config: Config, own: Own = NOTHING_OWN) -> Experiment:
    """The pieces of the run that a config without a grid describes.

    Args:
      config: the run; only its structure is looked at.
      own: pieces in place of those that it names.

    Raises:
      ConfigError: if they cannot be made, or do not go together.
    """
    task = make_task(config, own)
    model = _starting_from(_model(config, task, own), own.init, task)
    varying = (*VALUE_AXES, *task.value_options)
    loss = own.loss or _piece(config, "loss", _LOSSES, own, callable, "output_K", varying)
    optimizer = own.optimizer or _piece(config, "optimizer", _OPTIMIZERS, own, _is_optimizer, "values", varying)
    if not isinstance(optimizer, Optimizer):
        optimizer = Optimizer(optimizer)
    if model.precondition is not None and not optimizer.is_linear:
        raise ConfigError(
            f"training.optimizer is {_name(config, 'optimizer', own)}, but must be one whose updates are linear in the "
            f"gradients for model.form = {config.model.form!r}; give --config.model.form=full to train every entry "
            "of W with it."
        )
    return Experiment(config, task, model, loss, optimizer)


def make_task(config: Config, own: Own = NOTHING_OWN) -> Task:
    """The task of a run.

    Raises:
      ConfigError: if it cannot be made, or is of other sizes than the config says.
    """
    name = config.task.name
    if own.task is not None:
        task = own.task
    elif name == "circle":
        for field in ("num_nodes", "walk_length"):
            if config.value(field) is None:
                raise ConfigError(f"task.{field} is None, but must be given for task.name = 'circle'.")
        task = circle(config.task.num_nodes, config.task.walk_length)
    elif name in _TASKS:
        task = _TASKS[name]()
    else:
        task = _piece(config, "task", {}, own, _is_task)
    for field, right in (("num_nodes", task.num_nodes), ("walk_length", task.walk_length)):
        given = config.value(field)
        if given is not None and given != right:
            raise ConfigError(
                f"task.{field} is {given}, but must be {right}, or None, for task.name = {_name(config, 'task', own)}."
            )
    return task


def _model(config: Config, task: Task, own: Own) -> Model:
    if own.model is not None:
        return own.model
    if is_piece(config.model.form):
        return _piece(config, "form", {}, own, _is_model, varying=(*VALUE_AXES, *task.value_options))
    width = config.model.position_width
    if width < task.walk_length:  # sine positions are orthogonal only if they are not more than their width
        raise ConfigError(
            f"model.position_width is {width}, but must be at least task.walk_length = {task.walk_length}."
        )
    form = _FORMS[config.model.form]
    sizes = (task.num_nodes, task.walk_length, width)
    return form(*sizes, config.model.unit_length, config.model.feed_forward_width, config.model.init)


def _is_task(made: Any) -> bool:
    return isinstance(made, Task)


def _is_model(made: Any) -> bool:
    return isinstance(made, Model)


def _is_optimizer(made: Any) -> bool:
    return isinstance(made, Optimizer)


def _piece(
    config: Config,
    axis: str,
    known: Mapping[str, Any],
    own: Own,
    is_one: Callable[[Any], bool],
    first: str = "",
    varying: Collection[str] = VALUE_AXES,
) -> Any:
    """The piece that the config names on an axis.

    Args:
      config: the run.
      axis: the axis.
      known: the pieces by name.
      own: where the texts of other pieces are.
      is_one: whether something is a piece of this kind.
      first: the name of the first parameter of a function that is itself the piece, and does not make one.
      varying: what differs between runs of one structure, and cannot be given to a function that makes a piece.
    """
    label = config.value(axis)
    if not is_piece(label):
        return known[label]
    found = pieces.load(label, own.texts)
    if is_one(found) and not inspect.isfunction(found):
        return found
    if not callable(found):
        raise ConfigError(f"{_short(label)} is {found!r}, but must be a {axis}, or a function that makes one.")
    parameters = inspect.signature(found).parameters
    if first and next(iter(parameters), None) == first:
        return found
    labels = config.values()
    for name in parameters:
        if name in varying:  # a piece is made once for all cells of a structure
            raise ConfigError(
                f"{_short(label)} has the parameter {name}, but must take it from values[{name!r}], as it differs from "
                "run to run."
            )
    missing = [
        parameter.name
        for parameter in parameters.values()
        if parameter.name not in labels and parameter.default is inspect.Parameter.empty
    ]
    if missing:
        raise ConfigError(
            f"{_short(label)} has the parameter {missing[0]}, but the config has no such option; its signature is "
            f"{inspect.signature(found)}."
        )
    made = found(**{name: labels[name] for name in parameters if name in labels})
    if not is_one(made):
        raise ConfigError(f"{_short(label)} makes {type(made).__name__}, but must make a {axis}.")
    return made


def _short(name: str) -> str:
    """The name of a piece without its digest."""
    return name.partition("@")[0]


def _name(config: Config, axis: str, own: Own) -> str:
    return "one of your own" if getattr(own, axis, None) is not None else repr(_short(str(config.value(axis))))


def _starting_from(model: Model, params: Params | None, task: Task) -> Model:
    """The model with these parameters for a start; full ones are projected for a reduced form."""
    if params is None:
        return model
    given_params = {name: np.asarray(leaf) for name, leaf in params.items()}

    def init(key, values):
        shapes = jax.eval_shape(model.init, key, values)
        start = given_params
        if model.precondition is not None and "key_query" in start:
            start = project({name: jnp.asarray(leaf) for name, leaf in start.items()}, task.walk_length)
        given = {name: leaf.shape for name, leaf in start.items()}
        right = {name: leaf.shape for name, leaf in shapes.items()}
        if given != right:
            raise ConfigError(f"init has the parameters {given}, but must have {right}.")
        return {name: jnp.asarray(start[name], leaf.dtype) for name, leaf in shapes.items()}

    if model.precondition is None:
        return model._replace(init=init)

    def to_full(params, key, values):
        return rebuild(params, {name: jnp.asarray(leaf) for name, leaf in given_params.items()})

    # W is rebuilt from where training started, which reduced parameters do not tell.
    return model._replace(init=init, to_full=to_full if "key_query" in given_params else None)


def value_axes(config: Config, own: Own = NOTHING_OWN) -> tuple[str, ...]:
    """The axes of a study whose labels are arguments of its compiled programs: those of all its tasks."""
    if not config.options:
        return VALUE_AXES
    tasks = [make_task(config.replace(task=name), own) for name in dict(config.grid).get("task", (config.task.name,))]
    return (*VALUE_AXES, *(name for name in config.options if all(name in task.value_options for task in tasks)))


def filled(config: Config, own: Own = NOTHING_OWN) -> Config:
    """The config with the sizes that it leaves to its task; where its tasks differ in one, it is paired with them."""
    for field in ("num_nodes", "walk_length"):
        if config.value(field) is not None or field in dict(config.grid):
            continue
        names = dict(config.grid).get("task", (config.task.name,))
        sizes = tuple(getattr(make_task(config.replace(task=name), own), field) for name in names)
        config = config.replace(**{field: sizes[0]})
        if len(set(sizes)) > 1:
            paired = next((group for group in config.zipped if "task" in group), ("task",))
            zipped = (*(group for group in config.zipped if group != paired), (*paired, field))
            config = dataclasses.replace(config, grid=(*config.grid, (field, sizes)), zipped=zipped)
    return config


def make_grid(config: Config, own: Own = NOTHING_OWN) -> Grid:
    """The grid of a study, its sizes filled in, every structure of which has been made and checked.

    Raises:
      ConfigError: if the pieces of some cell cannot be made, or do not go together.
    """
    config = filled(config, own)
    grid = Grid(config, value_axes(config, own))
    _check_options(config, own)
    for structure in grid.structures:
        check(make_experiment(structure.config, own))
        _check_labels(grid, structure, own)
    return grid


def _check_options(config: Config, own: Own) -> None:
    """Refuses parameters that no piece of the study has."""
    known: set[str] = set()
    for axis in ("task", "form", "loss", "optimizer"):
        for name in dict(config.grid).get(axis, (config.value(axis),)):
            if is_piece(str(name)):
                found = pieces.load(str(name), own.texts)
                known |= set(inspect.signature(found).parameters) if callable(found) else set()
    known |= set(value_axes(config, own))
    for name, path in config.options.items():
        if name not in known:
            raise ConfigError(f"{path} is given, but no piece of the study has a parameter {name}.")


def _check_labels(grid: Grid, structure: Structure, own: Own) -> None:
    """Has the task check each label of each value axis, the other fields as those of the structure's first cell."""
    task = make_task(structure.config, own)
    first = grid.cell(structure.cells[0])
    labels = first.config.values()
    task.check(labels)
    for dimension, i in zip(grid.dimensions, first.index, strict=True):
        if dimension.axes == ("seed",):
            continue
        shape = {axis: labels[axis] for axis in dimension.axes if axis not in grid.value_axes}
        for others in dimension.labels[:i] + dimension.labels[i + 1 :]:
            changes = dict(zip(dimension.axes, others, strict=True))
            if all(changes[axis] == label for axis, label in shape.items()):
                task.check(labels | changes)


def check(experiment: Experiment) -> None:
    """Refuses pieces whose arrays do not fit, from shapes alone: nothing is computed.

    Raises:
      ConfigError: one sentence that names the piece, what it gives and what would be right.
    """
    config, task, model = experiment.config, experiment.task, experiment.model
    K, L = task.num_nodes, task.walk_length - 1
    with numbers_of(config.precision):
        values, key = run_values(config, task), jax.eval_shape(lambda: jax.random.key(0))
        walks = _shape("task.sample", lambda key: task.sample(key, 2, values), key)
        if not isinstance(walks, Walks):
            raise ConfigError(f"task.sample gives {type(walks).__name__}, but must give Walks.")
        _expect("task.sample", walks._asdict(), {"tokens_LxB": (L, 2), "targets_B": (2,), "weights_B": (2,)})
        if ALL in (config.task.walks, config.task.test_walks) and task.population is None:
            raise ConfigError(
                f"task.walks and task.test_walks are {config.task.walks!r} and {config.task.test_walks!r}, but must be "
                "numbers for this task, whose walks cannot be enumerated."
            )
        next_state_law = task.next_state_law
        if next_state_law is not None:
            law = _shape("task.next_state_law", lambda tokens: next_state_law(tokens, values), walks.tokens_LxB)
            _expect("task.next_state_law", {"law_KxB": law}, {"law_KxB": (K, 2)})
        params = _shape("model.init", lambda key: model.init(key, values), key)
        output = _shape("model.apply", model.apply, params, walks.tokens_LxB)
        if not isinstance(output, Output):
            raise ConfigError(f"model.apply gives {type(output).__name__}, but must give Output.")
        right = {"output_KxB": (K, 2), "token_attention_LxB": (L, 2), "empty_attention_B": (2,)}
        _expect("model.apply", {name: leaf for name, leaf in output._asdict().items() if leaf is not None}, right)
        of_one = jax.ShapeDtypeStruct((K,), output.output_KxB.dtype)
        loss = _shape("loss", lambda output_K, target_K: experiment.loss(output_K, target_K, values), of_one, of_one)
        _expect("loss", {"loss": loss}, {"loss": ()})
        optimizer = experiment.optimizer.transformation(values)
        _shape("optimizer.init", optimizer.init, params)


def _shape(name: str, function: Callable[..., Any], *operands: Any) -> Any:
    """The shapes of what a piece gives."""
    try:
        return jax.eval_shape(function, *operands)
    except ConfigError:
        raise
    except Exception as error:  # whatever a piece of the user's own does wrong
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise ConfigError(f"{name} cannot be traced ({type(error).__name__}: {reason}).") from error


def _expect(name: str, given: Mapping[str, Any], right: Mapping[str, tuple[int, ...]]) -> None:
    for field, leaf in given.items():
        shape = getattr(leaf, "shape", None)
        if shape != right[field]:
            raise ConfigError(f"{name} gives {field} of shape {shape}, but must give {right[field]}.")
