"""The frozen configuration of a study, and the door it comes in by.

A config file builds an `ml_collections.ConfigDict`; `from_config_dict` turns it into a `Config` or raises
`ConfigError` with one sentence that names the field, what was given, and what would be right.
"""

import collections
import dataclasses
import itertools
import json
import math
import numbers
import re
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_type_hints

import ml_collections

from rw_jax.models.model import UNIT_LENGTH
from rw_jax.tasks.circle import LARGEST_POPULATION, can_enumerate
from rw_jax.tasks.questions import VOCABULARY

Scalar = int | float | str

ALL = "all"
"""In place of a number of walks: every walk there is, weighted by its probability."""


class ConfigError(ValueError):
    """A configuration that cannot be run, explained in one sentence."""


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """What is to be learned (section 2). `walks` and `test_walks` are numbers of samples, or ALL."""

    name: str
    num_nodes: int
    walk_length: int
    p: float
    walks: int | str
    test_walks: int | str


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The transformer (eq. 2.1) and where it starts. A `feed_forward_width` of 0 is no feed-forward layer."""

    form: str
    position_width: int
    unit_length: str
    feed_forward_width: int
    init: str
    init_scale: float


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Full-batch gradient descent."""

    loss: str
    epsilon: float
    learning_rate: float
    steps: int


@dataclasses.dataclass(frozen=True)
class RecordConfig:
    """Metrics are recorded every `every` steps, at the last step, and where parameters are.

    Parameters are recorded at the first step, the last, and those of `parameters` between them.
    """

    every: int
    parameters: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class ExecutionConfig:
    """How the grid is cut for the machine. None lets the sweep choose; what it chose is in the run's environment."""

    cells_per_chunk: int
    cells_per_batch: int | None
    checkpoint_steps: int


@dataclasses.dataclass(frozen=True)
class FiguresConfig:
    """`p` names the values of p that are drawn one by one; those that are not in the grid are passed over."""

    p: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Config:
    """A study: one run, and the axes along which its fields vary.

    `grid` holds the axes, (field, labels) each; `zipped` the groups of axes that advance together.
    """

    name: str
    task: TaskConfig
    model: ModelConfig
    training: TrainingConfig
    record: RecordConfig
    execution: ExecutionConfig
    figures: FiguresConfig
    study_seed: int
    seed: int
    precision: str
    grid: tuple[tuple[str, tuple[Scalar, ...]], ...]
    zipped: tuple[tuple[str, ...], ...]

    def value(self, axis: str) -> Scalar:
        """The value of the field that the axis of this name varies."""
        node: Any = self
        for part in AXES[axis].split("."):
            node = getattr(node, part)
        return node

    def replace(self, **fields: Scalar) -> "Config":
        """This config with some fields, given by the names of their axes, changed."""
        config = self
        for axis, value in fields.items():
            group, _, leaf = AXES[axis].rpartition(".")
            if group:
                config = dataclasses.replace(
                    config, **{group: dataclasses.replace(getattr(config, group), **{leaf: value})}
                )
            else:
                config = dataclasses.replace(config, **{leaf: value})
        return config

    def to_json(self) -> str:
        """JSON that `from_json` reads back to an equal config."""
        return json.dumps(dataclasses.asdict(self), indent=2)


AXES = {
    "task": "task.name",
    "num_nodes": "task.num_nodes",
    "walk_length": "task.walk_length",
    "p": "task.p",
    "walks": "task.walks",
    "test_walks": "task.test_walks",
    "form": "model.form",
    "position_width": "model.position_width",
    "unit_length": "model.unit_length",
    "feed_forward_width": "model.feed_forward_width",
    "init": "model.init",
    "init_scale": "model.init_scale",
    "loss": "training.loss",
    "epsilon": "training.epsilon",
    "learning_rate": "training.learning_rate",
    "steps": "training.steps",
    "seed": "seed",
}
"""Name of every possible axis of a grid: the field it varies."""

VALUE_AXES = ("p", "seed", "learning_rate", "epsilon", "init_scale")
"""The axes that share one compiled program; every other axis changes a shape or a program."""

CHOICES = {
    "task.name": ("circle", "majority", "preference"),
    "model.form": ("reduced", "full"),
    "model.unit_length": UNIT_LENGTH,
    "model.init": ("zero", "gaussian"),
    "training.loss": ("log", "cross_entropy", "squared_error", "hinge"),
    "precision": ("float32", "float64"),
}
"""Field: the names it can take."""

_LARGEST = 2**31 - 1
"""Shapes, steps and seeds are 32-bit integers in the compiled program."""


def _integer(least: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: least <= value <= _LARGEST, f"an integer from {least} to {_LARGEST}"


def _number(least: float, largest: float) -> tuple[Callable[[Any], bool], str]:
    return lambda value: least <= value <= largest, f"a number from {least:g} to {largest:g}"


def _number_of_walks(value: int | str) -> bool:
    return value == ALL or (isinstance(value, int) and 1 <= value <= _LARGEST)


def _word(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9._-]+", value) is not None and set(value) != {"."}


# Numbers from 1e-30 to 1e30 are neither 0 nor infinite in float32.
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_word, "a word of letters, digits, '.', '_' and '-'"),
    "task.num_nodes": _integer(3),
    "task.walk_length": _integer(3),
    "task.p": _number(0, 1),
    "task.walks": (_number_of_walks, f"an integer from 1 to {_LARGEST}, or {ALL!r}"),
    "task.test_walks": (_number_of_walks, f"an integer from 1 to {_LARGEST}, or {ALL!r}"),
    "model.position_width": _integer(3),
    "model.feed_forward_width": _integer(0),
    "model.init_scale": _number(0, 1e30),
    "training.epsilon": _number(1e-30, 1e30),
    "training.learning_rate": _number(0, 1e30),
    "training.steps": _integer(0),
    "record.every": _integer(1),
    "record.parameters": _integer(0),
    "execution.cells_per_chunk": _integer(1),
    "execution.cells_per_batch": _integer(1),
    "execution.checkpoint_steps": _integer(1),
    "figures.p": _number(0, 1),
    "study_seed": _integer(0),
    "seed": _integer(0),
    **{field: (choices.__contains__, f"one of {', '.join(choices)}") for field, choices in CHOICES.items()},
}
"""Every field that is no group: whether a value of its type is in range, and what would be right, in words."""


def from_config_dict(config_dict: ml_collections.ConfigDict) -> Config:
    """The frozen form of a config file's ConfigDict.

    Raises:
      ConfigError: if a field is missing, unknown, of the wrong type or out of range, or a grid cannot be made.
    """
    if not isinstance(config_dict, ml_collections.ConfigDict):
        raise ConfigError(f"get_config() returned {_shown(config_dict)}, but must return a ConfigDict.")
    try:
        fields = config_dict.to_dict()
    except ml_collections.config_dict.RequiredValueError as error:
        raise ConfigError(
            f"A field of the config has no value yet, but every field must be given ({error})."
        ) from error
    return _from_mapping(fields)


def from_json(text: str) -> Config:
    """The config that `Config.to_json` wrote.

    Raises:
      ConfigError: as from_config_dict; also if the text is no JSON object.
    """
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"The config is not JSON ({error}).") from error
    if not isinstance(fields, dict):
        raise ConfigError("The config is JSON, but not an object.")
    try:
        fields["grid"] = dict(fields.get("grid", ()))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"grid is {_shown(fields['grid'])}, but must be a list of axes with their labels.") from error
    return _from_mapping(fields)


def checked(config: Config) -> Config:
    """The config, if its fields are right; raises ConfigError otherwise."""
    return from_json(config.to_json())


def describe_field(path: str) -> str:
    """What the field at a path of the config, such as "task.p" or "grid.seed", can be set to, in words.

    Raises:
      ConfigError: if there is no such field, or it is a group of fields.
    """
    if path.startswith("grid."):
        axis = path.removeprefix("grid.")
        _check_axis_name(axis)
        return f"a tuple of labels, each {_RANGES[AXES[axis]][1]}"
    kind: Any = Config
    group = ""
    for name in path.split("."):
        _check_field_name(kind, group, name)
        kind, group = get_type_hints(kind)[name], f"{group}{name}."
    if dataclasses.is_dataclass(kind) or path == "grid":
        raise ConfigError(f"{path} is a group of fields; set one of them, such as {path}.{_names(kind)[0]}.")
    if path == "zipped":
        return _GROUPS_OF_AXES
    right = _RANGES[path][1]
    return f"a tuple, each element {right}" if isinstance(kind, types.GenericAlias) else right


def differences(one: Config, other: Config) -> list[str]:
    """The fields in which two configs differ, each as 'field: one value, other value'; empty if they are equal."""
    mine, theirs = _flatten(_as_tree(one)), _flatten(_as_tree(other))
    return [
        f"{field}: {_shown(mine.get(field))}, {_shown(theirs.get(field))}"
        for field in {**mine, **theirs}
        if mine.get(field) != theirs.get(field)
    ]


def _as_tree(config: Config) -> dict[str, Any]:
    """The fields of a config with the order of the axes and the labels of each axis as fields of their own."""
    fields = dataclasses.asdict(config)
    return fields | {"grid": {"axes": [axis for axis, _ in config.grid], **dict(config.grid)}}


def _flatten(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in fields.items():
        flat.update(_flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value})
    return flat


def _from_mapping(fields: Mapping[str, Any]) -> Config:
    config = _dataclass_from(Config, fields, "")
    _check_axes(config)
    _check_combinations(config)
    return config


def _dataclass_from(cls: Any, fields: Any, prefix: str) -> Any:
    if not isinstance(fields, Mapping):
        raise ConfigError(f"{prefix.rstrip('.')} is {_shown(fields)}, but must be a group of fields.")
    for name in fields:
        _check_field_name(cls, prefix, name)
    values = {}
    for name, kind in get_type_hints(cls).items():
        path = prefix + name
        if name not in fields:
            raise ConfigError(f"{path} is missing, but every field must be given.")
        if path == "grid":
            values[name] = _grid_from(fields[name])
        elif path == "zipped":
            values[name] = _zipped_from(fields[name])
        elif dataclasses.is_dataclass(kind):
            values[name] = _dataclass_from(kind, fields[name], f"{path}.")
        else:
            values[name] = _field_from(path, kind, fields[name])
    return cls(**values)


def _check_field_name(cls: Any, prefix: str, name: Any) -> None:
    if not dataclasses.is_dataclass(cls):
        raise ConfigError(f"{prefix}{name} is not a field of the config; {prefix.rstrip('.')} is a field itself.")
    if name not in _names(cls):
        path, where = f"{prefix}{name}" or "An empty name", prefix.rstrip(".") or "it"
        raise ConfigError(f"{path} is not a field of the config; {where} has {', '.join(_names(cls))}.")


def _names(cls: Any) -> tuple[str, ...]:
    """The fields of a group: of a dataclass, or the axes of the grid."""
    return tuple(field.name for field in dataclasses.fields(cls)) if dataclasses.is_dataclass(cls) else tuple(AXES)


def _field_from(path: str, kind: Any, value: Any) -> Any:
    """The value of one field, of its declared type and in its range."""
    if kind == int | None:
        return None if value is None else _field_from(path, int, value)
    if isinstance(kind, types.GenericAlias):  # only `tuple[x, ...]` occurs
        if not isinstance(value, tuple | list):
            raise ConfigError(f"{path} is {_shown(value)}, but must be {describe_field(path)}.")
        return tuple(_scalar_from(path, kind.__args__[0], element, f"{path} holds", "each must") for element in value)
    return _scalar_from(path, kind, value, f"{path} is", "must")


def _scalar_from(path: str, kind: Any, value: Any, subject: str, must: str) -> Any:
    """A value as int, float or str; NumPy's numbers become Python's, so that they are equal and shown as such."""
    in_range, right = _RANGES[path]
    if kind == int | str:
        kind = str if isinstance(value, str) else int
    if isinstance(value, _KINDS[kind]) and not isinstance(value, bool):
        try:
            converted = kind(value)
        except OverflowError:  # an integer beyond the range of float
            converted = math.inf
        if in_range(converted):
            return converted
    raise ConfigError(f"{subject} {_shown(value)}, but {must} be {right}.")


_KINDS: dict[Any, Any] = {int: numbers.Integral, float: numbers.Real, str: str}


def _shown(value: Any) -> str:
    """A value in one line of a message, the middle of a long one left out."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 120 else f"{text[:80]} ... {text[-30:]}"


def _axis_kind(axis: str) -> Any:
    node: Any = Config
    for part in AXES[axis].split("."):
        node = get_type_hints(node)[part]
    return node


def _grid_from(fields: Any) -> tuple[tuple[str, tuple[Scalar, ...]], ...]:
    """The axes that were given; a field of the grid that is None is no axis."""
    if not isinstance(fields, Mapping):
        raise ConfigError(f"grid is {_shown(fields)}, but must be a group of axes.")
    axes = []
    for axis, labels in fields.items():
        _check_axis_name(axis)
        if labels is None:
            continue
        if not isinstance(labels, tuple | list):
            raise ConfigError(f"grid.{axis} is {_shown(labels)}, but must be {describe_field(f'grid.{axis}')}.")
        if len(labels) == 1 and labels[0] is None:  # None on the command line
            continue
        axes.append((axis, _labels_from(axis, tuple(labels))))
    return tuple(axes)


def _check_axis_name(axis: Any) -> None:
    if axis not in AXES:
        raise ConfigError(f"grid.{axis} is not a field that can be an axis; those are {', '.join(AXES)}.")


def _labels_from(axis: str, labels: tuple[Any, ...]) -> tuple[Scalar, ...]:
    kind, name = _axis_kind(axis), f"grid.{axis}"
    if kind is not str:  # range(16) on the command line arrives as a word
        labels = tuple(number for label in labels for number in _expand_range(name, label))
    if kind is str:  # words with commas on the command line arrive as one word
        labels = tuple(word for label in labels for word in (label.split(",") if isinstance(label, str) else [label]))
    if not labels or (len(labels) == 1 and isinstance(labels[0], str) and not labels[0]):
        raise ConfigError(f"{name} is empty, but an axis needs at least one label; leave it None for no axis.")
    labels = tuple(_scalar_from(AXES[axis], kind, label, f"{name} has the label", "each must") for label in labels)
    if len({type(label) for label in labels}) > 1:
        raise ConfigError(f"{name} is {_shown(labels)}, but must hold numbers only or {ALL!r} only.")
    return labels


def _expand_range(name: str, label: Any) -> Iterable[Any]:
    match = re.fullmatch(r"range\(\s*(\d{1,10})\s*(?:,\s*(\d{1,10})\s*)?\)", label) if isinstance(label, str) else None
    if match is None:
        return (label,)
    first, second = match.groups()
    seeds = range(int(first)) if second is None else range(int(first), int(second))
    if len(seeds) > _LARGEST_AXIS:
        raise ConfigError(f"{name} is {label}, but an axis can have at most {_LARGEST_AXIS} labels.")
    return seeds


_LARGEST_AXIS = 10_000_000
_GROUPS_OF_AXES = "a tuple of groups of axes, such as (('num_nodes', 'walk_length'),)"


def _zipped_from(groups: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(groups, tuple | list) or not all(isinstance(group, tuple | list) for group in groups):
        raise ConfigError(f"zipped is {_shown(groups)}, but must be {_GROUPS_OF_AXES}.")
    return tuple(tuple(group) for group in groups)


def axis_groups(config: Config) -> tuple[tuple[str, ...], ...]:
    """The axes of the grid in order, those that advance together in one group at the place of the first of them."""
    together = {axis: group for group in config.zipped for axis in group}
    groups = []
    for axis, _ in config.grid:
        group = together.get(axis, (axis,))
        if group not in groups:
            groups.append(group)
    return tuple(groups)


def group_labels(config: Config, group: tuple[str, ...]) -> tuple[tuple[Scalar, ...], ...]:
    """The labels of a group of axes, one tuple for each place along it."""
    labels = dict(config.grid)
    return tuple(zip(*(labels[axis] for axis in group), strict=True))


def _check_axes(config: Config) -> None:
    labels, seen = dict(config.grid), []
    for group in config.zipped:
        if not group:
            raise ConfigError(f"zipped has an empty group, but must be {_GROUPS_OF_AXES}.")
        for axis in group:
            if not isinstance(axis, str) or axis not in labels:
                there = ", ".join(labels) or "none"
                raise ConfigError(f"zipped has {_shown(axis)}, but must name axes of the grid; those are {there}.")
            if axis in seen:
                raise ConfigError(f"zipped has {axis!r} twice, but an axis can advance with one group only.")
            seen.append(axis)
        lengths = [len(labels[axis]) for axis in group]
        if len(set(lengths)) > 1:
            raise ConfigError(
                f"zipped has {', '.join(group)} with {', '.join(map(str, lengths))} labels, but axes that advance "
                "together need equally many."
            )
        if "seed" in group:
            raise ConfigError(
                f"zipped has {', '.join(group)}, but the seed must multiply the other axes: intervals are over seeds."
            )
    for group in axis_groups(config):
        places = group_labels(config, group)
        place, count = collections.Counter(places).most_common(1)[0]
        if count > 1:
            shown = place[0] if len(group) == 1 else place
            raise ConfigError(
                f"grid.{', '.join(group)} has the label {_shown(shown)} more than once, but labels must differ."
            )


def _check_combinations(config: Config) -> None:
    """Refuses fields that do not go together in some cell of the grid."""
    constrained = {"task", "num_nodes", "walk_length", "p", "walks", "test_walks", "position_width"}
    groups = [group for group in axis_groups(config) if constrained & set(group)]
    axes = [axis for group in groups for axis in group]
    for places in itertools.product(*(group_labels(config, group) for group in groups)):
        _check_combination(config.replace(**dict(zip(axes, itertools.chain(*places), strict=True))))


def _check_combination(config: Config) -> None:
    task, width = config.task, config.model.position_width
    if width < task.walk_length:  # sine positions are orthogonal only if they are not more than their width
        raise ConfigError(
            f"model.position_width is {width}, but must be at least task.walk_length = {task.walk_length}."
        )
    sizes = {"num_nodes": task.num_nodes, "walk_length": task.walk_length}
    for field, right in _SIZES.get(task.name, {}).items():
        if sizes[field] != right:
            raise ConfigError(f"task.{field} is {sizes[field]}, but must be {right} for task.name = {task.name!r}.")
    if task.name == "circle" and 0 < task.p < 1 and not can_enumerate(task.num_nodes, task.walk_length):
        for field, given in (("walks", task.walks), ("test_walks", task.test_walks)):
            if given == ALL:
                raise ConfigError(
                    f"task.{field} is {ALL!r}, but must be a number for task.p = {task.p}: there are more than "
                    f"{LARGEST_POPULATION} walks of {task.walk_length} states on {task.num_nodes} nodes."
                )


_SIZES = {
    "majority": {"num_nodes": len(VOCABULARY), "walk_length": 17},
    "preference": {"num_nodes": len(VOCABULARY), "walk_length": 19},
}
"""Task: the sizes that its sentences determine."""
