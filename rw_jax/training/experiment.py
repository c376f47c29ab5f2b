"""The pieces of a run: the only place that turns names into pieces."""

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from rw_jax.models import Model, Params
from rw_jax.models.decoder import Shape, decoder
from rw_jax.models.embeddings import make_embeddings
from rw_jax.models.full import full_transformer
from rw_jax.models.reduced import reduced_transformer
from rw_jax.study.config import ALL, VALUE_AXES, Config, neutral
from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import is_piece, is_start, shown, without_digest
from rw_jax.tasks import Task, Values
from rw_jax.tasks.chain import chain
from rw_jax.tasks.circle import circle
from rw_jax.tasks.memory import hidden_direction, lagged, persistent
from rw_jax.tasks.questions import majority, preference
from rw_jax.training import losses, pieces, starts
from rw_jax.training.losses import Loss
from rw_jax.training.metrics import Metric, chosen
from rw_jax.training.optimizers import OPTIMIZERS, Optimizer


class Experiment(NamedTuple):
    """What one run is made of.

    Attributes:
      config: its structure: the numbers of walks and steps, what is recorded, the seed of the study, the precision.
      task, model, loss, optimizer: its pieces.
      metrics: what is recorded of it.
      is_symmetric: whether it starts from parameters that are the same from every state.
    """

    config: Config
    task: Task
    model: Model
    loss: Loss
    optimizer: Optimizer
    metrics: tuple[Metric, ...]
    is_symmetric: bool = False


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

_QUESTIONS = {"majority": majority, "preference": preference}
_OF_MEMORY: Mapping[str, Callable[..., Task]] = {
    "hidden_direction": hidden_direction,
    "persistent": persistent,
    "lagged": lagged,
}
_FORMS: Mapping[str, Callable[..., Model]] = {"full": full_transformer, "reduced": reduced_transformer}
_LOSSES = {
    "log": losses.log_loss,
    "cross_entropy": losses.cross_entropy,
    "squared_error": losses.squared_error,
    "hinge": losses.hinge,
}

_KINDS = {
    "task": "a Task",
    "form": "a Model",
    "loss": "a function (output_K, target_K, values)",
    "optimizer": "an Optimizer, or a function (values)",
}
"""What a piece on each axis must be."""


def make_experiment(config: Config, own: Own = NOTHING_OWN) -> Experiment:
    """The pieces of the run that a config without a grid describes.

    Args:
      config: the run; only its structure is looked at.
      own: pieces in place of those that it names.

    Raises:
      ConfigError: if they cannot be made, or do not go together.
    """
    task = make_task(config, own)
    model, stored = _model(config, task, own), start_of(config, own)
    model = _starting_from(model, own.init) if stored is None else _going_on(model, stored)
    varying = (*VALUE_AXES, *task.value_options)
    loss = own.loss or _piece(config, "loss", _LOSSES, own, callable, "output_K", varying)
    optimizer = own.optimizer or _piece(config, "optimizer", OPTIMIZERS, own, _is_optimizer, "values", varying)
    if not isinstance(optimizer, Optimizer):
        optimizer = Optimizer(optimizer)
    is_lifted = model.lifts is not None and model.lifts.of(optimizer.commutes_with) is not None
    if model.precondition is not None and not (optimizer.is_linear or is_lifted):
        form = "a reduced form" if own.model is not None else f"model.form = {without_digest(config.model.form)!r}"
        lifted = "such as gd" if model.lifts is None else "muon, sign, or adam with training.options.eps = 0"
        raise ConfigError(
            f"training.optimizer is {_name(config, 'optimizer', own)}, but must be one that commutes with {form}: one "
            f"whose updates are linear in the gradients, {lifted}; give --config.model.form=full to train every entry "
            "of W with any other."
        )
    if optimizer.commutes_with == "scales":
        model = model._replace(to_full=model.to_full if model.precondition is None else None)
    starts_at_zero = config.model.init == "zero" and own.init is None
    if model.precondition is not None and optimizer.decays and not starts_at_zero:
        raise ConfigError(
            f"training.optimizer is {_name(config, 'optimizer', own)}, but must be one that does not shrink W for "
            "model.form = 'reduced' with a start other than zero; --config.model.form=full trains every entry of W."
        )
    if config.task.walks == math.inf:
        _check_infinite(config, task, own)
    _check_walks(config, task, model)
    recorded = chosen(config.record.metrics)
    return Experiment(config, task, model, loss, optimizer, recorded, is_symmetric=starts_at_zero)


def _check_infinite(config: Config, task: Task, own: Own) -> None:
    """Refuses what infinitely many walks cannot be computed for."""
    wanted = {
        "training.loss": "log",
        "model.form": "reduced",
        "model.heads": 1,
        "model.position_place": "beside",
        "model.embedding": "one_hot",
        "model.unit_length": "none",
        "model.feed_forward_width": 0,
        "training.batch": 0,
        "training.target": "last",
        "training.label_noise": 0.0,
        "training.dropped_tokens": 0.0,
        "training.shortest_walk": 0,
        "training.mixed_share": 0.0,
    }
    given = {path: config.value(path.rpartition(".")[2]) for path in wanted}
    given |= {
        path: "one of your own" for path, piece in (("training.loss", own.loss), ("model.form", own.model)) if piece
    }
    for path, right in wanted.items():
        if given[path] != right:
            told = "above 0" if isinstance(right, float) else repr(given[path])
            raise ConfigError(f"{path} is {told}, but must be {right!r} for task.walks = 'infinite'.")
    if task.law is None:
        raise ConfigError("task.walks is 'infinite', but must be a number for a task that gives no law of a chain.")


def predicts_every_position(experiment: Experiment) -> bool:
    """Whether training is on what follows every token at once; without it each has a walk of its own."""
    return experiment.config.training.target == "all" and experiment.model.every_position is not None


def has_gaps(experiment: Experiment) -> bool:
    """Whether tokens of the training walks can be missing: in their place is K, which is no state."""
    return _wants_gaps(experiment.config) and not predicts_every_position(experiment)


def _wants_gaps(config: Config) -> bool:
    training = config.training
    return training.dropped_tokens > 0 or training.shortest_walk > 0 or training.target == "all"


def _check_walks(config: Config, task: Task, model: Model) -> None:
    """Refuses what cannot be done to the training walks."""
    training = config.training
    if training.target == "all" and model.every_position is not None:
        for field in ("label_noise", "dropped_tokens"):
            if config.value(field) != 0:
                raise ConfigError(
                    f"training.{field} is above 0, but must be 0.0 for training.target = 'all' of a model that "
                    "predicts at every token, each of which is a target, too."
                )
    elif _wants_gaps(config) and not model.has_gaps:
        field, right = next(
            (field, right)
            for field, right in (("dropped_tokens", 0.0), ("shortest_walk", 0), ("target", "last"))
            if config.value(field) != right
        )
        raise ConfigError(
            f"training.{field} is not {right!r}, but must be for a model that does not take walks with tokens missing."
        )
    if training.target == "all" and not task.is_next:
        raise ConfigError(
            "training.target is 'all', but must be 'last' for a task whose target is not the next state of its walk."
        )
    if training.shortest_walk > 0 and training.target == "all":
        raise ConfigError(
            f"training.shortest_walk is {training.shortest_walk}, but must be 0 for training.target = 'all', which "
            "takes the walks of all lengths already."
        )
    if training.shortest_walk == 1 or training.shortest_walk > task.walk_length:
        raise ConfigError(
            f"training.shortest_walk is {training.shortest_walk}, but must be from 2 to task.walk_length = "
            f"{task.walk_length}, or 0."
        )
    if training.mixed_share > 0 and config.task.walks == ALL:
        raise ConfigError(
            "training.mixed_share is above 0, but must be 0.0 for task.walks = 'all'; give a number of walks."
        )


def make_task(config: Config, own: Own = NOTHING_OWN) -> Task:
    """The task of a run.

    Raises:
      ConfigError: if it cannot be made, or is of other sizes than the config says.
    """
    name = config.task.name
    if own.task is not None:
        task = own.task
    elif name in ("circle", "chain", *_OF_MEMORY):
        for field in ("num_nodes", "walk_length"):
            if config.value(field) is None:
                raise ConfigError(f"task.{field} is None, but must be given for task.name = {name!r}.")
        sizes = (config.task.num_nodes, config.task.walk_length)
        if name in _OF_MEMORY:
            task = _piece(config, "task", _OF_MEMORY, own, _is_task)
        else:
            task = circle(*sizes) if name == "circle" else chain(*sizes, own.texts)
    elif name in _QUESTIONS:
        task = _QUESTIONS[name]()
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
    asked = config.model
    _check_model(config, starts_at_zero=asked.init == "zero" and own.init is None)
    sizes = (task.num_nodes, task.walk_length, asked.position_width)
    of_tokens = (asked.embedding, asked.embedding_width)
    embeddings = make_embeddings(*sizes, asked.positions, *of_tokens, asked.position_place, asked.embedding_seed)
    has_query = asked.form != "decoder" or asked.query == "empty"
    if has_query and asked.positions == "sine" and task.walk_length % (asked.position_width + 1) == 0:
        raise ConfigError(
            f"model.position_width is {asked.position_width}, but must be another for task.walk_length = "
            f"{task.walk_length}: the sine position of the query would be zero, as each sin(m N pi / (M + 1)) is."
        )
    init = "zero" if is_start(asked.init) else asked.init
    if asked.form == "decoder":
        shape = Shape(
            embeddings,
            learned=tuple(name for name in ("embedding", "positions") if getattr(asked, name) == "learned"),
            is_rotary=asked.positions == "rotary",
            ends_with_query=asked.query == "empty",
            num_layers=asked.layers,
            num_heads=asked.heads,
            key_width=asked.key_width,
            has_residual=asked.residual == "on",
            feed_forward_width=asked.feed_forward_width,
            has_norm=asked.layer_norm == "on",
        )
        return decoder(shape, init, asked.init_place)
    if asked.unit_length != "none" and embeddings.squared_norm is None:
        raise ConfigError(
            f"model.unit_length is {asked.unit_length!r}, but must be 'none' for embeddings other than one-hot tokens "
            "beside orthogonal positions, whose slots differ in length."
        )
    form = _FORMS[asked.form]
    rest = (asked.unit_length, asked.feed_forward_width, init, asked.init_place, _wants_gaps(config), asked.heads)
    return form(embeddings, *rest)


_OF_DECODERS = ("query", "key_width", "layers", "residual", "layer_norm")
"""The fields that say something of decoders alone."""


def _check_model(config: Config, starts_at_zero: bool) -> None:
    """Refuses fields of the model that do not go together."""
    model = config.model

    def refuse(name: str, right: Any, why: str) -> None:
        raise ConfigError(f"model.{name} is {getattr(model, name)!r}, but must be {right} for {why}.")

    if model.embedding_seed and "random" not in (model.positions, model.embedding):
        refuse("embedding_seed", "0", "a model in which no embedding is random")
    if model.form != "decoder":
        form = f"model.form = {model.form!r}; --config.model.form=decoder takes others"
        for name in _OF_DECODERS:
            if getattr(model, name) != neutral(name):
                refuse(name, repr(neutral(name)), form)
        for name, own in (("positions", ("learned", "rotary")), ("embedding", ("learned",))):
            if getattr(model, name) in own:
                refuse(name, "one that training does not change", form)
        return
    if model.unit_length != "none":
        refuse("unit_length", "'none'", "model.form = 'decoder'")
    if model.layers > 1 and model.residual == "off":
        refuse("residual", "'on'", f"model.layers = {model.layers}")
    if model.layer_norm == "on" and model.residual == "off":
        refuse("residual", "'on'", "model.layer_norm = 'on'")
    if model.positions == "rotary" and (model.key_width == 0 or model.key_width % 2):
        refuse("key_width", "an even number above 0", "model.positions = 'rotary'")
    if model.positions == "rotary" and model.query == "empty":
        refuse("query", "'last'", "model.positions = 'rotary', with which an empty slot is all zero")
    if model.positions == "none" and model.query == "empty" and model.key_width:
        refuse("query", "'last'", "model.positions = 'none', with which an empty slot is all zero, and keys never move")
    if starts_at_zero and (model.key_width or (model.residual == "on" and model.feed_forward_width)):
        refuse("init", "'gaussian'", "a product of matrices, as of keys and queries: from zero, neither ever moves")
    places = ("both",) if model.residual == "on" else ("both", "scores")
    has_products = model.key_width or (model.residual == "on" and model.feed_forward_width)
    if model.init == "gaussian" and has_products and model.init_place not in places:
        refuse("init_place", " or ".join(map(repr, places)), "a product of matrices: from zero, neither ever moves")


def _is_task(made: Any) -> bool:
    return isinstance(made, Task)


def _is_model(made: Any) -> bool:
    return isinstance(made, Model)


def _is_optimizer(made: Any) -> bool:
    takes_values = inspect.isfunction(made) and next(iter(inspect.signature(made).parameters), None) == "values"
    return isinstance(made, Optimizer) or takes_values


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
    label, kind = config.value(axis), _KINDS[axis]
    found = pieces.load(label, own.texts) if is_piece(label) else known[label]
    short = without_digest(label)
    if is_one(found) and not inspect.isfunction(found):
        return found
    if not callable(found):
        raise ConfigError(f"{short} is {shown(found)}, but must be {kind}, or a function that makes one.")
    parameters = inspect.signature(found).parameters
    if first and next(iter(parameters), None) == first:
        return found
    labels = config.values()
    for name in parameters:
        if name in varying:  # a piece is made once for all cells of a structure
            raise ConfigError(
                f"{short} has the parameter {name}, but must take it from values[{name!r}], as it differs from run to "
                "run."
            )
    missing = [
        parameter.name
        for parameter in parameters.values()
        if parameter.name not in labels and parameter.default is inspect.Parameter.empty
    ]
    if missing and not is_piece(label):
        path = config.path(axis).rpartition(".")[0]
        raise ConfigError(
            f"{path}.options.{missing[0]} must be given for {config.path(axis)} = {label!r}, as in "
            f"--config.{path}.options.{missing[0]}=VALUE."
        )
    if missing:
        raise ConfigError(
            f"{short} has the parameter {missing[0]}, but the config has no such option; its signature is "
            f"{inspect.signature(found)}, and it must be {kind}, or a function of options that makes one."
        )
    made = tried(short, lambda: found(**{name: labels[name] for name in parameters if name in labels}))
    if not is_one(made):
        raise ConfigError(f"{short} makes {type(made).__name__}, but must make {kind}.")
    return made


def parameters_of(axis: str, label: str, own: Own) -> set[str]:
    """The parameters of the function that makes the piece of a label; none if the label names no such function."""
    known: Mapping[str, Any] = {"optimizer": OPTIMIZERS, "task": _OF_MEMORY}.get(axis, {})
    found = pieces.load(label, own.texts) if is_piece(label) else known.get(label)
    return set(inspect.signature(found).parameters) if callable(found) else set()


def _name(config: Config, axis: str, own: Own) -> str:
    return "one of your own" if getattr(own, axis) is not None else repr(without_digest(str(config.value(axis))))


def _starting_from(model: Model, params: Params | None) -> Model:
    """The model with these parameters for a start; full ones are projected for a reduced form."""
    if params is None:
        return model
    try:
        given = {name: np.asarray(leaf) for name, leaf in params.items()}
    except ValueError as error:
        raise ConfigError(f"init is {shown(params)}, but must have an array under each name ({error}).") from error
    return _with_start(model, lambda values: given, set(given))


def _with_start(model: Model, start_of: Callable[[Values], Mapping[str, ArrayLike]], names: Collection[str]) -> Model:
    """The model with another start: (values) -> parameters with these names, of its own form or the full one."""

    def init(key, values):
        shapes = jax.eval_shape(model.init, key, values)
        start: Any = start_of(values)
        if model.project is not None and "key_query" in names:
            start = model.project({name: jnp.asarray(leaf) for name, leaf in start.items()})
        given = {name: jnp.shape(leaf) for name, leaf in start.items()}
        right = {name: leaf.shape for name, leaf in shapes.items()}
        if given != right:
            raise ConfigError(f"init has the parameters {given}, but must have {right}.")
        return {name: jnp.asarray(start[name], leaf.dtype) for name, leaf in shapes.items()}

    if model.precondition is None:
        return model._replace(init=init)
    rebuild: Any = model.rebuild

    def to_full(params, key, values):
        return rebuild(params, {name: jnp.asarray(leaf) for name, leaf in start_of(values).items()})

    # W is rebuilt from where training started, which reduced parameters do not tell.
    is_told = rebuild is not None and "key_query" in names
    return model._replace(init=init, to_full=to_full if is_told else None)


def start_of(config: Config, own: Own) -> starts.Stored | None:
    """The parameters of other runs that a study starts from, if it does."""
    if not is_start(config.model.init) or own.init is not None:
        return None
    digest = config.model.init.rpartition("@")[2]
    if digest not in own.texts or pieces.digest_of(own.texts[digest]) != digest:
        raise ConfigError(f"model.init is {config.model.init!r}, whose parameters are not kept as they were.")
    return starts.from_text(own.texts[digest])


def _going_on(model: Model, stored: starts.Stored) -> Model:
    """The model that starts from the parameters of other runs, each run from those with its labels."""
    names = set(stored.runs[0][1])

    def start(values: Values) -> Mapping[str, ArrayLike]:
        return {name: values[f"{starts.PREFIX}{name}"] for name in names}

    going_on = _with_start(model, start, names)
    return going_on._replace(host_values=lambda labels: starts.start_of(stored, labels))


def tried(name: str, function: Callable[..., Any], *operands: Any) -> Any:
    """What a function of a piece gives."""
    try:
        return function(*operands)
    except ConfigError:
        raise
    except Exception as error:  # whatever a piece of the user's own does wrong
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise ConfigError(f"{name} does not work ({type(error).__name__}: {reason}).") from error
