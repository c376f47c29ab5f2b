"""The one rule for pieces: a piece is made by a factory, whose signature says which fields and options it takes.

A name of a table, "file.py:attribute", "module:attribute" or the object itself stands for a piece, or for a function. A
function whose parameters are all among those that a piece of its kind is called with is the piece itself; any other one
makes it, and its parameters are bound by name: fields of the config first, then the options of its pieces.
"""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from rw_jax.models import Model, Params
from rw_jax.models.forms import MODELS
from rw_jax.study.config import AXES, VALUE_AXES
from rw_jax.study.errors import ConfigError, meant, tried
from rw_jax.study.fields import is_piece, shown, without_digest
from rw_jax.tasks import Task
from rw_jax.tasks.table import TASKS
from rw_jax.training import pins
from rw_jax.training.losses import LOSSES, Loss
from rw_jax.training.metrics import METRICS, NAMES, Metric
from rw_jax.training.optimizers import OPTIMIZERS, Optimizer


class Kind(NamedTuple):
    """A kind of piece.

    Attributes:
      type: what a piece of it is.
      table: the built-in ones and their factories, by name.
      called_with: the parameters of a function that is such a piece; () if none is.
      is_called_by_name: whether the function is given them by name, and not in their order.
    """

    type: type
    table: Mapping[str, Any]
    called_with: tuple[str, ...] = ()
    is_called_by_name: bool = False

    def __str__(self) -> str:
        an = "an" if self.type.__name__[0] in "AEIOU" else "a"
        function = f", or a function of {', '.join(self.called_with)}" if self.called_with else ""
        return f"{an} {self.type.__name__}{function}"


KINDS: Mapping[str, Kind] = {
    "task": Kind(Task, TASKS),
    "form": Kind(Model, MODELS),
    "loss": Kind(Loss, LOSSES, ("output_K", "target_K", "values")),
    "optimizer": Kind(Optimizer, OPTIMIZERS, ("values",)),
    "metrics": Kind(Metric, METRICS, NAMES, is_called_by_name=True),
}
"""Every kind, by the name of the field that names its pieces."""


class Pieces(NamedTuple):
    """What the names in a study stand for, beside the tables.

    Attributes:
      texts: the texts of files that the study names, by digest (`pins.pin`).
      objects: pieces in the place of those that the study names, by the axis of their field.
      metrics: metrics beside those that the study names.
      init: parameters to start from, in the place of the start that the study names.
    """

    texts: Mapping[str, str] = {}
    objects: Mapping[str, Any] = {}
    metrics: Mapping[str, Any] = {}
    init: Params | None = None


BUILT_IN = Pieces()
"""The tables have all that a study names."""


class Made(NamedTuple):
    """A piece, and the names of the fields and options that its factory took."""

    piece: Any
    took: frozenset[str]


class Source(NamedTuple):
    """A piece or a factory, as a study names it.

    Attributes:
      kind: its kind.
      found: the piece, or the function.
      name: what it is called in messages.
      path: the path of the field that names it.
    """

    kind: Kind
    found: Any
    name: str
    path: str

    @property
    def is_factory(self) -> bool:
        """Whether it makes a piece, and is none itself."""
        if isinstance(self.found, self.kind.type):
            return False
        names = set(self.parameters)
        return not names or not names <= set(self.kind.called_with)

    @property
    def is_built_in(self) -> bool:
        """Whether it stands in the table."""
        return any(self.found is each for each in self.kind.table.values())

    @property
    def itself(self) -> Any:
        """The piece, of what is no factory."""
        if isinstance(self.found, self.kind.type):
            return self.found
        in_order = tuple(self.parameters) == self.kind.called_with or self.kind.is_called_by_name
        return self.kind.type(self.found if in_order else _in_order(self.found, self.kind.called_with))

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Its parameters; none of what is no function."""
        try:
            every = inspect.signature(self.found).parameters if callable(self.found) else {}
        except ValueError:  # a function of C that does not tell
            return {}
        return {name: each for name, each in every.items() if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)}


def source_of(axis: str, label: Any, pieces: Pieces, path: str | None = None) -> Source:
    """What a name, or an object, of a field stands for.

    Args:
      axis: of `KINDS`.
      label: the name, or the object.
      pieces: of the study.
      path: the path of the field, if that is not the axis's own.

    Raises:
      ConfigError: if it is no piece and no function, or there is none of the name.
    """
    kind, path = KINDS[axis], path or AXES[axis]
    if not isinstance(label, str):
        found, name = label, "one of your own"
    elif is_piece(label):
        found, name = pins.load(label, pieces.texts), without_digest(label)
    elif label in kind.table:
        found, name = kind.table[label], repr(label)
    else:
        raise ConfigError(
            f"{path} is {shown(label)}, but must be one of {', '.join(kind.table)}, or 'file.py:attribute' or "
            f"'module:attribute'.{meant(label, kind.table)}"
        )
    if not isinstance(found, kind.type) and not callable(found):
        raise ConfigError(
            f"{path} is {name}, which is {shown(found)}, but must be {kind}, or a function that makes one."
        )
    return Source(kind, found, name, path)


def make(source: Source, fields: Mapping[str, Any], varying: Collection[str] = VALUE_AXES) -> Made:
    """The piece of a source.

    Args:
      source: the piece or its factory.
      fields: what its parameters are bound to, by name.
      varying: what differs between runs of one structure, and cannot be given to a factory.

    Raises:
      ConfigError: if a parameter cannot be bound, or what is made is no piece of the kind.
    """
    kind, found, name, path = source
    if not source.is_factory:
        return Made(source.itself, frozenset())
    group, given = "training" if path == _METRICS else path.rpartition(".")[0], {}
    for parameter in source.parameters.values():
        if parameter.name in varying:  # a piece is made once for all cells of a structure
            raise ConfigError(
                f"{path} is {name}, which has the parameter {parameter.name}, but must take it from "
                f"values[{parameter.name!r}], as it differs from run to run."
            )
        if fields.get(parameter.name) is not None:
            given[parameter.name] = fields[parameter.name]
        elif parameter.default is not inspect.Parameter.empty:
            continue
        elif parameter.name in AXES:
            raise ConfigError(f"{AXES[parameter.name]} is None, but must be given for {path} = {name}.")
        elif parameter.name in kind.called_with:
            others = ", ".join(each for each in source.parameters if each not in kind.called_with)
            raise ConfigError(
                f"{path} is {name}, a function of {', '.join(source.parameters)}, but must be {kind}; {others} can be "
                "given to a function that makes one."
            )
        else:
            itself = f"; {kind} is one itself" if kind.called_with else ""
            raise ConfigError(
                f"{group}.options.{parameter.name} must be given for {path} = {name}, as in "
                f"--config.{group}.options.{parameter.name}=VALUE: it makes {_an(kind)} of "
                f"{inspect.signature(found)}{itself}."
            )
    made = source._replace(found=tried(name, lambda: found(**given)))
    if not isinstance(made.found, kind.type) and (not callable(made.found) or made.is_factory):
        raise ConfigError(f"{path} is {name}, which makes {type(made.found).__name__}, but must make {kind}.")
    return Made(made.itself, frozenset(given))


def _an(kind: Kind) -> str:
    return str(kind).partition(",")[0]


def _in_order(function: Callable[..., Any], called_with: Sequence[str]) -> Callable[..., Any]:
    """A function of some of what a piece is called with, in any order, as one of all of it in the piece's order."""
    parameters = inspect.signature(function).parameters.values()
    by_place = [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY and each.name in called_with]
    by_name = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]

    def called(*operands: Any) -> Any:
        given = dict(zip(called_with, operands, strict=True))
        return function(*(given[name] for name in by_place), **{name: given[name] for name in by_name})

    return called


def metric_sources(named: str | Sequence[str], pieces: Pieces) -> dict[str, Source]:
    """The metrics that a study records, by the names of their variables, in the order of the table.

    Args:
      named: those that `record.metrics` names.
      pieces: of the study.

    Raises:
      ConfigError: if there is none of a name, or two have the same.
    """
    labels = (named,) if isinstance(named, str) else named
    every = "all" in labels
    built_in = [name for name in METRICS if every or name in labels]
    of_user = [label for label in labels if label != "all" and label not in METRICS]
    found = {name: source_of("metrics", name, pieces, _METRICS) for name in built_in}
    for name, label in [*((_variable(label), label) for label in of_user), *pieces.metrics.items()]:
        if name in found or name in METRICS:
            raise ConfigError(f"{_METRICS} has two metrics named {name}, but must have one of a name.")
        found[name] = source_of("metrics", label, pieces, _METRICS)
    return found


_METRICS = "record.metrics"


def _variable(label: str) -> str:
    """The name of a metric: the attribute that is named."""
    return without_digest(label).rpartition(":")[2]
