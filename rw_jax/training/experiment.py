"""The pieces of a run, made once for all cells of a structure, and what else its training takes of the config."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from rw_jax.models import Model, Params
from rw_jax.study.config import ALL, AXES, DECLARATIONS, VALUE_AXES, Config, neutral
from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import NO_NEUTRAL, STRUCTURE, is_start, plain, shown
from rw_jax.study.grid import kept_steps, recorded_steps
from rw_jax.tasks import Task, Values, faults
from rw_jax.training import pins, starts
from rw_jax.training.losses import LOSSES, Loss
from rw_jax.training.metrics import OF_LOSS, Metric
from rw_jax.training.optimizers import Optimizer, lift_of
from rw_jax.training.pieces import BUILT_IN, Made, Pieces, Source, make, metric_sources, source_of


class Experiment(NamedTuple):
    """What one run is made of. Runs of one structure share it.

    Attributes:
      labels: the fields and options of its structure; those that are values stand for all runs.
      task: what is predicted of the test walks.
      trained_on: the same with the faults of the training walks.
      model, loss, optimizer: its other pieces.
      metrics: what is recorded of it, by name.
      walks: training walks: so many samples, "all", or infinitely many.
      test_walks: test walks: so many samples, or "all".
      batch: training walks of a step; 0 for all.
      has_classes: whether a step may go over classes of walks.
      at_every_position: whether training is on what follows every token of a walk at once.
      starts_alike: whether it starts, and stays, at parameters that treat all states alike.
      start: (labels) -> the parameters that a run with these labels starts from; None if its model tells them.
      recorded: the T steps at which metrics are recorded.
      kept: the S of them at which parameters are.
      study_seed: the seed of the study.
      precision: "float32" or "float64".
      took: the fields and options that a factory took.
      reads: the names of the values that each of task, trained_on, model, loss and optimizer reads, which are all that
        it is handed; None where its pieces have not been checked, which are handed all.
    """

    labels: Mapping[str, Any]
    task: Task
    trained_on: Task
    model: Model
    loss: Loss
    optimizer: Optimizer
    metrics: Mapping[str, Metric]
    walks: int | float | str
    test_walks: int | str
    batch: int
    has_classes: bool
    at_every_position: bool
    starts_alike: bool
    start: Callable[[Mapping[str, Any]], dict[str, np.ndarray]] | None
    recorded: tuple[int, ...]
    kept: tuple[int, ...]
    study_seed: int
    precision: str
    took: frozenset[str]
    reads: Mapping[str, frozenset[str]] | None = None

    @property
    def is_infinite(self) -> bool:
        """Whether training is on infinitely many walks."""
        return self.walks == math.inf

    def given(self, values: Values, *pieces: str) -> Values:
        """Of the values of a run those that some of its pieces read."""
        if self.reads is None:
            return values
        names = frozenset().union(*(self.reads[piece] for piece in pieces))
        return {name: value for name, value in values.items() if name in names}


def make_experiment(config: Config, pieces: Pieces = BUILT_IN) -> Experiment:
    """The pieces of the runs that a config without a grid describes.

    Args:
      config: their structure.
      pieces: what its names stand for.

    Raises:
      ConfigError: if they cannot be made, or do not go together.
    """
    sources = {axis: source_in(config, pieces, axis) for axis in ("task", "form", "loss", "optimizer")}
    of_task = make_task(config, pieces)
    task: Task = of_task.piece
    fields = _fields(config, pieces) | {"num_nodes": task.num_nodes, "walk_length": task.walk_length}
    varying = (*VALUE_AXES, *task.value_options)
    fields |= {"has_gaps": task.has_gaps or _leaves_gaps(config)} | ({} if pieces.init is None else {"init": "given"})
    made = {axis: make(source, fields, varying) for axis, source in sources.items() if axis != "task"}
    metrics_named = metric_sources(config.record.metrics, pieces)
    of_metrics = {name: make(source, fields, varying) for name, source in metrics_named.items()}
    _check_neutral(config, sources, {"task": of_task, **made})
    loss: Loss = made["loss"].piece
    metrics: Mapping[str, Metric] = {name: each.piece for name, each in of_metrics.items()}
    metrics = {name: each._replace(unit=loss.unit) if each.unit == OF_LOSS else each for name, each in metrics.items()}
    starts_at_zero = config.model.init == "zero" and pieces.init is None
    is_gaussian, place = config.model.init == "gaussian" and pieces.init is None, config.model.init_place
    if place != neutral("init_place") and not is_gaussian:
        raise ConfigError(
            f"model.init_place is {place!r}, but must be {neutral('init_place')!r} for a start that is not Gaussian."
        )
    model = _going_with(made["optimizer"].piece, made["form"].piece, sources, starts_at_zero)
    stored = stored_start(config, pieces)
    if pieces.init is not None:
        model = _starting_from(model, pieces.init)
    elif stored is not None:
        model = _with_start(model, lambda values: values["start"], set(stored.runs[0][1]))
    at_every_position = config.training.target == ALL and model.every_position is not None
    experiment = Experiment(
        labels=config.values(),
        task=task,
        trained_on=_with_faults(config, task, model, sources["form"].name, at_every_position),
        model=model,
        loss=loss,
        optimizer=made["optimizer"].piece,
        metrics=metrics,
        walks=config.task.walks,
        test_walks=config.task.test_walks,
        batch=config.training.batch,
        has_classes=config.training.walk_classes == "on",
        at_every_position=at_every_position,
        starts_alike=model.treats_states_alike and starts_at_zero,
        start=None if stored is None else lambda labels: starts.start_of(stored, labels),
        recorded=recorded_steps(config),
        kept=kept_steps(config),
        study_seed=config.study_seed,
        precision=config.precision,
        took=frozenset().union(*(each.took for each in (of_task, *made.values(), *of_metrics.values()))),
    )
    if experiment.is_infinite:
        _check_infinite(config, sources, experiment)
    return experiment


def source_in(config: Config, pieces: Pieces, axis: str) -> Source:
    """What stands for a kind of piece in the runs of a config. Raises: ConfigError, as `source_of`."""
    return source_of(axis, pieces.objects.get(axis, config.value(axis)), pieces)


def _fields(config: Config, pieces: Pieces) -> dict[str, Any]:
    """What parameters of factories are bound to: fields and options by name, and `texts`, those of files by digest."""
    fields = {name: value for name, value in config.values().items() if name not in VALUE_AXES}
    return fields | {"texts": pieces.texts}


def make_task(config: Config, pieces: Pieces) -> Made:
    """The task of a run.

    Raises:
      ConfigError: if it cannot be made, or is of other sizes than the config says.
    """
    source = source_in(config, pieces, "task")
    made = make(source, _fields(config, pieces))
    for field, right in (("num_nodes", made.piece.num_nodes), ("walk_length", made.piece.walk_length)):
        given = config.value(field)
        if given is not None and given != right:
            raise ConfigError(f"task.{field} is {given}, but must be {right}, or None, for task.name = {source.name}.")
    return made


def _check_neutral(config: Config, sources: Mapping[str, Source], made: Mapping[str, Made]) -> None:
    """Refuses fields of the task and the model that say something, and that no factory takes."""
    took = frozenset().union(*(each.took for each in made.values()))
    for path, declared in DECLARATIONS.items():
        axis, of = declared.axis, {"task": "task", "model": "form"}.get(path.partition(".")[0])
        if of is None or axis is None or declared.role != STRUCTURE or axis in took:
            continue
        if declared.neutral is not NO_NEUTRAL and config.value(axis) != declared.neutral:
            raise ConfigError(
                f"{path} is {shown(config.value(axis))}, but must be {declared.neutral!r} for "
                f"{AXES[of]} = {sources[of].name}, which does not take it."
            )


def _going_with(optimizer: Optimizer, model: Model, sources: Mapping[str, Source], starts_at_zero: bool) -> Model:
    """The model as this optimizer trains it. Raises: ConfigError, if they do not go together."""
    reduction, name = model.reduction, sources["optimizer"].name
    if reduction is None:
        return model
    if not (optimizer.is_linear or lift_of(optimizer, model) is not None):
        lifted = ", or that see no rotations of W, or no scales of its entries" if reduction.lifts else ""
        raise ConfigError(
            f"training.optimizer is {name}, but must be one that commutes with model.form = {sources['form'].name}: "
            f"one whose updates are linear in the gradients{lifted}; give --config.model.form=full to train every "
            "entry of W with any other."
        )
    if optimizer.decays and not starts_at_zero:
        raise ConfigError(
            f"training.optimizer is {name}, but must be one that does not shrink W for a reduced form with a start "
            "other than zero; --config.model.form=full trains every entry of W."
        )
    if optimizer.commutes_with == "scales":  # W does not move along the query, then
        return model._replace(reduction=reduction._replace(to_full=None))
    return model


def _leaves_gaps(config: Config) -> bool:
    """Whether tokens of the training walks can be missing, unless the model predicts at every position."""
    training = config.training
    return training.dropped_tokens > 0 or training.shortest_walk > 0 or training.target == ALL


def _with_faults(config: Config, task: Task, model: Model, form: str, at_every_position: bool) -> Task:
    """The task with the faults of the training walks. Raises: ConfigError, if one cannot be."""
    training, trained_on = config.training, task
    if training.target == ALL and not task.is_next:
        raise ConfigError(
            "training.target is 'all', but must be 'last' for a task whose target is not the next state of its walk."
        )
    if training.mixed_share > 0:
        if config.task.walks == ALL:
            raise ConfigError(
                "training.mixed_share is above 0, but must be 0.0 for task.walks = 'all'; give a number of walks."
            )
        trained_on = faults.mixed(trained_on)
    if training.target == ALL and not at_every_position:
        trained_on = faults.every_position(trained_on)
    if training.label_noise > 0:
        trained_on = faults.label_noise(trained_on)
    if training.dropped_tokens > 0:
        trained_on = faults.dropped_tokens(trained_on)
    if training.shortest_walk > 0:
        if training.target == ALL:
            raise ConfigError(
                f"training.shortest_walk is {training.shortest_walk}, but must be 0 for training.target = 'all', which "
                "takes the walks of all lengths already."
            )
        if not 2 <= training.shortest_walk <= task.walk_length:
            raise ConfigError(
                f"training.shortest_walk is {training.shortest_walk}, but must be from 2 to task.walk_length = "
                f"{task.walk_length}, or 0."
            )
        trained_on = faults.lengths(trained_on, training.shortest_walk)
    if trained_on.has_gaps and not model.has_gaps:
        if task.has_gaps:
            raise ConfigError(
                f"model.form is {form}, but must be one that takes walks with missing tokens, for this task."
            )
        field, right = next(
            (field, right)
            for field, right in (("dropped_tokens", 0.0), ("shortest_walk", 0), ("target", "last"))
            if config.value(field) != right
        )
        given = "above 0" if isinstance(right, float) else repr(config.value(field))
        raise ConfigError(
            f"training.{field} is {given}, but must be {right!r} for model.form = {form}, which takes no walks with "
            "missing tokens."
        )
    if at_every_position and (training.label_noise or training.dropped_tokens):
        field = "label_noise" if training.label_noise else "dropped_tokens"
        raise ConfigError(
            f"training.{field} is above 0, but must be 0.0 for training.target = 'all' of a model that predicts at "
            "every token, each of which is a target, too."
        )
    return trained_on


def _check_infinite(config: Config, sources: Mapping[str, Source], experiment: Experiment) -> None:
    """Refuses what infinitely many walks cannot be computed for."""
    training = config.training

    def refuse(what: str, right: str) -> None:
        raise ConfigError(f"{what}, but must be {right} for task.walks = 'infinite'.")

    if experiment.loss.population is None:
        known = ", ".join(name for name, each in LOSSES.items() if isinstance(each, Loss) and each.population)
        refuse(f"training.loss is {sources['loss'].name}", f"one whose mean over all walks is known, such as {known},")
    if not experiment.model.looks.tells_output:
        refuse(
            f"model.form is {sources['form'].name} with {_said(config)}",
            "a form of one head, whose scores are u[s] + a_j and whose output is V times the averaged token,",
        )
    faults_of = {
        "training.batch": (training.batch, 0),
        "training.target": (training.target, "last"),
        "training.label_noise": (training.label_noise, 0.0),
        "training.dropped_tokens": (training.dropped_tokens, 0.0),
        "training.mixed_share": (training.mixed_share, 0.0),
    }
    for path, (given, right) in faults_of.items():
        if given != right:
            refuse(f"{path} is {'above 0' if isinstance(right, float) else repr(given)}", repr(right))
    if experiment.task.law is None:
        raise ConfigError("task.walks is 'infinite', but must be a number for a task that gives no law of a chain.")


def _said(config: Config) -> str:
    """What a config says of its model, of the fields that mostly say nothing."""
    said = {
        path: config.value(declared.axis)
        for path, declared in DECLARATIONS.items()
        if path.startswith("model.") and declared.axis is not None and declared.neutral is not NO_NEUTRAL
        if config.value(declared.axis) != declared.neutral
    }
    return ", ".join(f"{path} = {given!r}" for path, given in said.items()) or "one head"


def stored_start(config: Config, pieces: Pieces) -> starts.Stored | None:
    """The parameters of other runs that a study starts from, if it does."""
    if not is_start(config.model.init) or pieces.init is not None:
        return None
    digest = config.model.init.rpartition("@")[2]
    if digest not in pieces.texts or pins.digest_of(pieces.texts[digest]) != digest:
        raise ConfigError(f"model.init is {config.model.init!r}, whose parameters are not kept as they were.")
    return starts.from_text(pieces.texts[digest])


def _starting_from(model: Model, params: Params) -> Model:
    """The model with these parameters for a start; full ones are projected for a reduced form."""
    given = dict[str, np.ndarray]()
    for name, leaf in params.items():
        array = plain(leaf)
        if array is None:
            raise ConfigError(f"init has {name} {shown(leaf)}, but must have an array of real numbers under each name.")
        given[name] = array
    return _with_start(model, lambda values: given, set(given))


def _with_start(model: Model, start_of: Callable[[Values], Mapping[str, ArrayLike]], names: Collection[str]) -> Model:
    """The model with another start: (values) -> parameters with these names, of its own form or the full one."""
    reduction = model.reduction
    are_full = reduction is not None and bool(reduction.full_names) and set(reduction.full_names) <= set(names)

    def init(key: jax.Array, values: Values) -> Params:
        shapes = jax.eval_shape(lambda key: model.init(key, values), key)
        start: Any = start_of(values)
        if reduction is not None and are_full:
            project: Any = reduction.project
            start = project({name: jnp.asarray(leaf) for name, leaf in start.items()})
        given = {name: jnp.shape(leaf) for name, leaf in start.items()}
        right = {name: leaf.shape for name, leaf in shapes.items()}
        if given != right:
            raise ConfigError(f"init has the parameters {given}, but must have {right}.")
        return {name: jnp.asarray(start[name], leaf.dtype) for name, leaf in shapes.items()}

    if reduction is None:
        return model._replace(init=init)
    rebuild: Any = reduction.rebuild

    def to_full(params: Params, key: jax.Array, values: Values) -> Params:
        del key
        return rebuild(params, {name: jnp.asarray(leaf) for name, leaf in start_of(values).items()})

    # W is rebuilt from where training started, which reduced parameters do not tell.
    is_told = rebuild is not None and are_full
    return model._replace(init=init, reduction=reduction._replace(to_full=to_full if is_told else None))
