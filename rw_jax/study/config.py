"""The frozen configuration of a study: every field, declared once.

`parse` makes a `Config` of plain mappings, such as a config file's ConfigDict or the JSON of a run directory, or raises
`ConfigError` with one sentence that names the field, what was given, and what would be right. What takes the pieces of
a run to be checked is checked by `training.checks`.
"""

import collections
import dataclasses
import itertools
from collections.abc import Collection, Mapping
from typing import Any

from rw_jax.study import fields, labels
from rw_jax.study.errors import ConfigError, meant
from rw_jax.study.fields import NO_NEUTRAL, STRUCTURE, VALUE, Scalar, field, on_or_off, shown
from rw_jax.study.stages import STAGES, same_program

ALL = "all"
"""In place of a number of walks: every walk there is, weighted by its probability. In place of steps: every one that is
recorded."""

Options = tuple[tuple[str, Any], ...]
"""Parameters of a piece by name: numbers, words, or tuples of them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """What is to be learned (section 2). Sizes are None only until `training.experiment.filled` has filled them in."""

    name: str = field(
        "task",
        fields.choice_or_piece("circle", "chain", "hidden_direction", "persistent", "lagged", "majority", "preference"),
        role=STRUCTURE,
        axis="task",
    )
    num_nodes: int = field(
        "nodes of the circle, or words of the vocabulary; None: what the task has",
        fields.optional(fields.integer(2)),
        role=STRUCTURE,
        symbol="K",
    )
    walk_length: int = field(
        "states of a walk, the last of which is the target; None: what the task has",
        fields.optional(fields.integer(3)),
        role=STRUCTURE,
        symbol="N",
    )
    p: float = field(
        "probability of a clockwise step, or of the word apple", fields.number(0, 1), role=VALUE, symbol="p"
    )
    walks: int | float | str = field(
        "training walks: so many samples, all there are, or infinitely many",
        fields.integer_or_infinite(1, ALL),
        role=STRUCTURE,
        symbol="walks",
    )
    test_walks: int | str = field("test walks: so many samples, or all", fields.integer_or(1, ALL), role=STRUCTURE)
    options: Options = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The transformer (eq. 2.1) and where it starts."""

    form: str = field("form of the model", fields.choice_or_piece("reduced", "full", "decoder"), role=STRUCTURE)
    heads: int = field("attention heads of a layer", fields.integer(1), role=STRUCTURE, neutral=1)
    positions: str = field(
        "positional embeddings",
        fields.choice("sine", "random", "one_hot", "none", "learned", "rotary"),
        role=STRUCTURE,
        neutral="sine",
    )
    position_width: int = field("width of a positional embedding", fields.integer(3), role=STRUCTURE, symbol="M")
    position_place: str = field(
        "where positional embeddings are: beside those of tokens, or added to them",
        fields.choice("beside", "added"),
        role=STRUCTURE,
        neutral="beside",
    )
    embedding: str = field(
        "embeddings of tokens", fields.choice("one_hot", "random", "learned"), role=STRUCTURE, neutral="one_hot"
    )
    embedding_width: int = field(
        "width of a token's embedding; 0: num_nodes, or position_width where positions are added",
        fields.integer(0),
        role=STRUCTURE,
        neutral=0,
    )
    embedding_seed: int = field(
        "seed of random embeddings, which are the same in all runs", fields.integer(0), role=STRUCTURE, neutral=0
    )
    query: str = field(
        "where a decoder predicts: at an empty slot, or at the last token",
        fields.choice("empty", "last"),
        role=STRUCTURE,
        neutral="empty",
    )
    key_width: int = field(
        "rows of a decoder's key and query matrices; 0: they are merged in W",
        fields.integer(0),
        role=STRUCTURE,
        neutral=0,
    )
    layers: int = field("layers of a decoder", fields.integer(1), role=STRUCTURE, neutral=1)
    residual: str = field(
        "whether a decoder's layers add to a residual stream", fields.choice("off", "on"), role=STRUCTURE, neutral="off"
    )
    layer_norm: str = field(
        "whether a decoder normalises what it reads of the residual stream",
        fields.choice("off", "on"),
        role=STRUCTURE,
        neutral="off",
    )
    unit_length: str = field(
        "what is scaled to unit length inside the softmax", fields.choice("none", "keys", "both"), role=STRUCTURE
    )
    feed_forward_width: int = field("units of the feed-forward layer; 0 for none", fields.integer(0), role=STRUCTURE)
    init: str = field("start", fields.choice_or_start("zero", "gaussian"), role=STRUCTURE, symbol="start")
    init_scale: float = field("standard deviation of a Gaussian start", fields.number(0, 1e30), role=VALUE)
    init_place: str = field(
        "where a start is Gaussian, and not zero: in V, in W, or in both",
        fields.choice("both", "value", "scores"),
        role=STRUCTURE,
        neutral="both",
    )
    options: Options = ()


# Numbers from 1e-30 to 1e30 are neither 0 nor infinite in float32.
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How it is learned."""

    loss: str = field(
        "loss of one walk",
        fields.choice_or_piece("log", "cross_entropy", "squared_error", "hinge"),
        role=STRUCTURE,
    )
    epsilon: float = field("epsilon of the log-loss", fields.number(1e-30, 1e30), role=VALUE, symbol="ε")
    optimizer: str = field(
        "optimizer",
        fields.choice_or_piece("gd", "momentum", "nesterov", "weight_decay", "adam", "adamw", "sign", "muon"),
        role=STRUCTURE,
        neutral="gd",
    )
    learning_rate: float = field("learning rate", fields.number(0, 1e30), role=VALUE, symbol="η")
    steps: int = field("gradient steps", fields.integer(0), role=STRUCTURE, symbol="steps")
    batch: int = field(
        "training walks of a step, drawn for each step anew; 0: all of them at every step",
        fields.integer(0),
        role=STRUCTURE,
        neutral=0,
    )
    target: str = field(
        "what is predicted in training: the last state, or all but the first, each from those before it",
        fields.choice("last", "all"),
        role=STRUCTURE,
        neutral="last",
    )
    stages: str = field(
        "values that change in training, from which step on",
        STAGES,
        role=VALUE,
        neutral="",
        same_program=same_program,
    )
    label_noise: float = field(
        "share of the training walks whose target is replaced by any state",
        fields.number(0, 1),
        role=VALUE,
        neutral=0.0,
        same_program=on_or_off,
    )
    dropped_tokens: float = field(
        "share of the tokens of the training walks that are missing",
        fields.number(0, 0.99),
        role=VALUE,
        neutral=0.0,
        same_program=on_or_off,
    )
    shortest_walk: int = field(
        "states of the shortest training walk, where lengths up to walk_length are equally likely; 0: walk_length",
        fields.integer(0),
        role=STRUCTURE,
        neutral=0,
    )
    mixed_share: float = field(
        "share of the training walks that have mixed_p in the place of p",
        fields.number(0, 1),
        role=VALUE,
        neutral=0.0,
        same_program=on_or_off,
    )
    mixed_p: float = field("p of that share", fields.number(0, 1), role=VALUE, neutral=0.5)
    options: Options = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordConfig:
    """What is recorded: metrics every `every` steps, at the last step, and where parameters are."""

    every: int = field("steps between recorded metrics", fields.integer(1))
    parameters: tuple[int, ...] | str = field(
        "steps with parameters, beside the first and the last; later ones are passed over; or all that are recorded",
        fields.several(fields.integer(0), ALL),
    )
    metrics: tuple[str, ...] | str = field(
        "metrics that are recorded, by their names, or all; train_loss always is",
        fields.names("train_loss", ALL),
        neutral=ALL,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExecutionConfig:
    """How the grid is cut for the machine."""

    cells_per_chunk: int | None = field(
        "runs trained and stored together; None: some ten seconds of work", fields.optional(fields.integer(1))
    )
    cells_per_batch: int | None = field("runs vmapped together; None: by device", fields.optional(fields.integer(1)))
    checkpoint_steps: int = field("steps between checkpoints of a chunk", fields.integer(1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class FiguresConfig:
    """What figures show."""

    p: tuple[float, ...] = field("values of p drawn one by one", fields.several(fields.number(0, 1)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A study: one run, and the axes along which its fields vary.

    `grid` holds the axes, (name, labels) each; `zipped` the groups of axes that are paired element by element.
    """

    name: str = field("name of the study", fields.word())
    task: TaskConfig
    model: ModelConfig
    training: TrainingConfig
    record: RecordConfig
    execution: ExecutionConfig
    figures: FiguresConfig
    study_seed: int = field("seed of the study", fields.integer(0))
    seed: int = field("seed of the run", fields.integer(0), role=VALUE)
    precision: str = field("arithmetic", fields.choice("float32", "float64"), role=STRUCTURE)
    grid: tuple[tuple[str, tuple[Scalar, ...]], ...]
    zipped: tuple[tuple[str, ...], ...]

    @property
    def options(self) -> dict[str, str]:
        """The parameters of the pieces: name, and the path of its field."""
        return {
            name: f"{group}.options.{name}"
            for group in ("task", "model", "training")
            for name, _ in getattr(self, group).options
        }

    def path(self, axis: str) -> str:
        """The path of the field that an axis of this name varies."""
        return AXES[axis] if axis in AXES else self.options[axis]

    def value(self, axis: str) -> Any:
        """The value of the field that the axis of this name varies."""
        node: Any = self
        for part in self.path(axis).split("."):
            node = dict(node)[part] if isinstance(node, tuple) else getattr(node, part)
        return node

    def values(self) -> dict[str, Any]:
        """The values of all fields that can be axes, by the names of the axes."""
        return {axis: self.value(axis) for axis in (*AXES, *self.options)}

    def replace(self, **changes: Any) -> "Config":
        """This config with some fields, given by the names of their axes, changed."""
        by_group: dict[str, dict[str, Any]] = {}
        for axis, value in changes.items():
            group, _, leaf = self.path(axis).rpartition(".")
            by_group.setdefault(group, {})[leaf] = value
        config = dataclasses.replace(self, **by_group.pop("", {}))
        for group, leaves in by_group.items():
            group, _, inner = group.partition(".")
            old = getattr(config, group)
            if inner:
                leaves = {"options": tuple((dict(old.options) | leaves).items())}
            config = dataclasses.replace(config, **{group: dataclasses.replace(old, **leaves)})
        return config

    def as_mapping(self) -> dict[str, Any]:
        """The fields as nested dicts, which `parse` takes."""
        single = dataclasses.asdict(dataclasses.replace(self, grid=(), zipped=()))  # asdict would copy every label
        mapping: dict[str, Any] = single | {"grid": dict(self.grid), "zipped": self.zipped}
        for group in ("task", "model", "training"):
            mapping[group]["options"] = dict(getattr(self, group).options)
        return mapping


DECLARATIONS = fields.declarations(Config)
"""Every field that is declared, by its path."""

AXES = {declared.axis: path for path, declared in DECLARATIONS.items() if declared.axis is not None}
"""Name of every field that can be an axis: the path of the field. Parameters of pieces are axes beside them."""

VALUE_AXES = tuple(axis for axis, path in AXES.items() if DECLARATIONS[path].role == VALUE)
"""The axes that share one compiled program."""


SAME_PROGRAM = {
    declared.axis: declared.same_program for declared in DECLARATIONS.values() if declared.same_program is not None
}
"""Of value axes of which some labels change the program: (label) -> the label that stands for all with the same."""

SYMBOLS = {declared.axis: declared.symbol for declared in DECLARATIONS.values() if declared.symbol is not None}
"""What titles and tables call a field; those with a symbol are told in every title."""


def symbol(axis: str) -> str:
    """What titles and tables call the field of an axis: its symbol, or its own name."""
    return SYMBOLS.get(axis, axis)


def neutral(axis: str) -> Any:
    """The neutral value of an axis, which no value equals if there is none; a parameter of a piece has none."""
    return DECLARATIONS[AXES[axis]].neutral if axis in AXES else NO_NEUTRAL


def parse(mapping: Mapping[str, Any]) -> Config:
    """The config of nested mappings of fields.

    Raises:
      ConfigError: if a field is missing, unknown or not right, or its axes do not make a grid.
    """
    config = _group_from(Config, mapping, "")
    _check_axes(config)
    return config


def checked(config: Config) -> Config:
    """The config itself, if every field of it is right. Raises: as parse."""
    return parse(config.as_mapping())


def differences(one: Config, other: Config) -> dict[str, tuple[Any, Any]]:
    """The fields in which two configs differ, by path, each with both values; the order of the axes is one of them."""
    mine, theirs = (
        _flatten(config.as_mapping() | {"grid": {"axes": [axis for axis, _ in config.grid], **dict(config.grid)}})
        for config in (one, other)
    )
    return {
        path: (mine.get(path), theirs.get(path)) for path in {**mine, **theirs} if mine.get(path) != theirs.get(path)
    }


def _flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in mapping.items():
        flat.update(_flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value})
    return flat


def describe_field(path: str, options: Collection[str] = ()) -> str:
    """What the field at a path of the config, such as "task.p" or "grid.seed", can be set to, in words.

    Args:
      path: the path.
      options: the names of parameters of pieces, which can be axes, too.

    Raises:
      ConfigError: if there is no such field, or it is a group of fields.
    """
    if path in DECLARATIONS:
        return DECLARATIONS[path].right.words
    if path == "zipped":
        return _GROUPS_OF_AXES
    first, _, rest = path.partition(".")
    if first == "grid" and (rest in AXES or rest in options):
        right = DECLARATIONS[AXES[rest]].right if rest in AXES else labels.OPTION
        return f"a tuple of labels, each {right.words}"
    kind: Any = Config
    group = ""
    for name in path.split("."):
        _check_name(kind, group, name)
        types: dict[str, Any] = {each.name: each.type for each in dataclasses.fields(kind)}
        kind, group = types[name], f"{group}{name}."
        if name == "options":
            return labels.OPTION.words
        if name == "grid":
            raise ConfigError(_no_axis(rest) if rest else _a_group("grid", AXES))
    raise ConfigError(_a_group(path, _names(kind)))


def describe_fields() -> str:
    """Every field with what it is, what is right for it, and its axis: a line each."""
    lines = []
    for path, declared in DECLARATIONS.items():
        axis = f"; axis {declared.axis}" if declared.axis else ""
        lines.append(f"  {path}: {declared.what}; {declared.right.words}{axis}")
    return "\n".join(lines)


def _a_group(path: str, names: Any) -> str:
    return f"{path} is a group of fields; set one of them, such as {path}.{next(iter(names))}."


def _no_axis(name: str) -> str:
    return (
        f"grid.{name} is not a field that can be an axis; those are {', '.join(AXES)}, and parameters of pieces "
        f"that are given beside it, as in --config.training.options.{name}=VALUE.{meant(name, AXES)}"
    )


def _group_from(cls: Any, mapping: Any, prefix: str) -> Any:
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{prefix.rstrip('.')} is {shown(mapping)}, but must be a group of fields.")
    for name in mapping:
        _check_name(cls, prefix, name)
    values = {}
    for each in dataclasses.fields(cls):
        path = prefix + each.name
        declared = DECLARATIONS.get(path)
        if each.name not in mapping and declared is not None and declared.neutral is not NO_NEUTRAL:
            values[each.name] = declared.neutral  # a field that came later than what is read
            continue
        if each.name not in mapping:
            raise ConfigError(f"{path} is missing, but every field must be given.")
        given = mapping[each.name]
        if path in DECLARATIONS:
            values[each.name] = labels.read(path, DECLARATIONS[path].right, given)
        elif each.name == "options":
            values[each.name] = _options_from(path, given)
        elif path == "grid":
            values[each.name] = _grid_from(given, cls, values)
        elif path == "zipped":
            values[each.name] = _zipped_from(given)
        else:
            values[each.name] = _group_from(each.type, given, f"{path}.")
    return cls(**values)


def _check_name(cls: Any, prefix: str, name: Any) -> None:
    if not dataclasses.is_dataclass(cls):
        path = prefix.rstrip(".")
        raise ConfigError(f"{prefix}{name} is not a field of the config; {path} is a single value without sub-fields.")
    if name not in _names(cls):
        path, where = f"{prefix}{name}" or "An empty name", prefix.rstrip(".") or "it"
        names = ", ".join(_names(cls))
        raise ConfigError(f"{path} is not a field of the config; {where} has {names}.{meant(name, _names(cls))}")


def _names(cls: Any) -> tuple[str, ...]:
    return tuple(each.name for each in dataclasses.fields(cls))


def _options_from(path: str, given: Any) -> Options:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{path} is {shown(given)}, but must be a group of parameters by name.")
    options = []
    for name, value in given.items():
        if not isinstance(name, str) or not name.isidentifier() or name in AXES:
            raise ConfigError(
                f"{path} has {shown(name)}, but must have names of parameters, other than those of the fields that can "
                f"be axes: {', '.join(AXES)}."
            )
        options.append((name, labels.read_option(f"{path}.{name}", value)))
    return tuple(options)


def _grid_from(given: Any, cls: Any, groups: Mapping[str, Any]) -> tuple[tuple[str, tuple[Scalar, ...]], ...]:
    """The axes that were given; a field of the grid that is None is no axis."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"grid is {shown(given)}, but must be a group of axes.")
    of_pieces = {name for group in ("task", "model", "training") for name, _ in groups[group].options}
    axes = []
    for axis, values in given.items():
        if axis not in AXES and axis not in of_pieces:
            raise ConfigError(_no_axis(axis))
        if values is None or (isinstance(values, tuple | list) and len(values) == 1 and values[0] is None):
            continue  # None on the command line arrives as (None,)
        right = DECLARATIONS[AXES[axis]].right if axis in AXES else labels.OPTION
        axes.append((axis, labels.read_labels(f"grid.{axis}", right, values)))
    return tuple(axes)


_GROUPS_OF_AXES = "a tuple of groups of axes, such as (('num_nodes', 'walk_length'),)"


def _zipped_from(groups: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(groups, tuple | list) or not all(isinstance(group, tuple | list) for group in groups):
        raise ConfigError(f"zipped is {shown(groups)}, but must be {_GROUPS_OF_AXES}.")
    return tuple(tuple(group) for group in groups)


def axis_groups(config: Config) -> tuple[tuple[str, ...], ...]:
    """The axes of the grid in order, those that are paired in one group at the place of the first of them."""
    paired = {axis: group for group in config.zipped for axis in group}
    return tuple(dict.fromkeys(paired.get(axis, (axis,)) for axis, _ in config.grid))


def group_labels(config: Config, group: tuple[str, ...]) -> tuple[tuple[Scalar, ...], ...]:
    """The labels of a group of axes, one tuple for each index along it."""
    by_axis = dict(config.grid)
    return tuple(zip(*(by_axis[axis] for axis in group), strict=True))


def _check_axes(config: Config) -> None:
    by_axis, seen = dict(config.grid), []
    for name, count in collections.Counter(
        name for group in (config.task, config.model, config.training) for name, _ in group.options
    ).items():
        if count > 1:
            raise ConfigError(f"The parameter {name} is in the options of {count} groups, but must be in one only.")
    for group in config.zipped:
        if not group:
            raise ConfigError(f"zipped has an empty group, but must be {_GROUPS_OF_AXES}.")
        for axis in group:
            if not isinstance(axis, str) or axis not in by_axis:
                known = ", ".join(by_axis) or "none"
                raise ConfigError(f"zipped has {shown(axis)}, but must name axes of the grid; those are {known}.")
            if axis in seen:
                raise ConfigError(f"zipped has {axis!r} twice, but an axis can be paired in one group only.")
            seen.append(axis)
        lengths = [len(by_axis[axis]) for axis in group]
        if len(set(lengths)) > 1:
            raise ConfigError(
                f"zipped has {', '.join(group)} with {', '.join(map(str, lengths))} labels, but axes that are paired "
                "need equally many."
            )
        if "seed" in group and set(group) != set(by_axis):  # with all others it is a list of runs
            raise ConfigError(
                f"zipped has {', '.join(group)}, but the seed must multiply the other axes, or be paired with all of "
                "them: intervals are over seeds."
            )
    for group in axis_groups(config):
        columns = [by_axis[axis] for axis in group]
        every = columns[0] if len(group) == 1 else group_labels(config, group)
        where = f"grid.{', '.join(group)}"
        if len(set(every)) < len(every):
            repeated = collections.Counter(every).most_common(1)[0][0]
            raise ConfigError(f"{where} has the label {shown(repeated)} more than once, but labels must differ.")
        if all(set(map(type, column)) <= {int, str} for column in columns):
            continue
        of_group = sorted(zip(*columns, strict=True), key=lambda row: [(isinstance(x, str), x) for x in row])
        for one, other in itertools.pairwise(of_group):
            if all(map(labels.same_label, one, other)):
                pair = [row[0] if len(group) == 1 else row for row in (one, other)]
                raise ConfigError(
                    f"{where} has the labels {shown(pair[0])} and {shown(pair[1])}, but labels must differ by more "
                    "than rounding."
                )
