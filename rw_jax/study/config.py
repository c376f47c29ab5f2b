"""The frozen configuration of a study: every field, declared once.

`reading.parse` makes a `Config` of plain mappings. What takes the pieces of a run to be checked is checked by
`training.checks`.
"""

import dataclasses
import functools
from typing import Any

from rw_jax.study import fields
from rw_jax.study.fields import NO_NEUTRAL, STRUCTURE, VALUE, Scalar, field, on_or_off
from rw_jax.study.stages import STAGES, same_program

ALL = "all"
"""In place of a number of walks: every walk there is, weighted by its probability. In place of steps: every one that is
recorded."""

ALWAYS = "train_loss"
"""The metric that is always recorded: it tells whether a run has diverged."""

Options = tuple[tuple[str, Any], ...]
"""Parameters of a piece by name: numbers, words, or tuples of them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """What is to be learned (section 2). Sizes are None only until `training.grids.filled` has filled them in."""

    name: str = field(
        "task",
        fields.piece(),
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

    form: str = field("form of the model", fields.piece(), role=STRUCTURE)
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
        "what is scaled to unit length inside the softmax",
        fields.choice("none", "keys", "both"),
        role=STRUCTURE,
        neutral="none",
    )
    feed_forward_width: int = field(
        "units of the feed-forward layer; 0 for none", fields.integer(0), role=STRUCTURE, neutral=0
    )
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
        fields.piece(),
        role=STRUCTURE,
    )
    epsilon: float = field("epsilon of the log-loss", fields.number(1e-30, 1e30), role=VALUE, symbol="ε")
    optimizer: str = field(
        "optimizer",
        fields.piece(),
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
    walk_classes: str = field(
        "whether a step goes over classes of walks that agree where attention is, where that is quicker",
        fields.choice("on", "off"),
        role=STRUCTURE,
        neutral="on",
    )
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
        f"metrics that are recorded, by their names, or all; {ALWAYS} always is",
        fields.pieces(ALWAYS, ALL),
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

    `grid` holds the axes, (name, labels) each; `zipped` the groups of axes that are paired element by element; `arms`
    the conditions that labels of the axis "arm" name, (name, changes of fields) each.
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
    arms: tuple[tuple[str, Options], ...] = ()

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
        return self._values[axis]

    def values(self) -> dict[str, Any]:
        """The values of all fields that can be axes, by the names of the axes."""
        return dict(self._values)

    @functools.cached_property
    def _values(self) -> dict[str, Any]:
        groups = {"": self, "task": self.task, "model": self.model, "training": self.training}
        found = {axis: getattr(groups[group], name) for axis, (group, name) in _PLACES.items()}
        return found | {name: value for group in groups.values() if group is not self for name, value in group.options}

    def labels(self, axis: str) -> tuple[Any, ...]:
        """All values of a field in the grid, whether an axis, an arm or nothing varies it; none of what is no field."""
        in_grid = dict(self.grid)
        if axis in in_grid:
            return in_grid[axis]
        if axis not in self._values:
            return ()
        own = self._values[axis]
        return tuple(dict.fromkeys(dict(changes).get(axis, own) for _, changes in self.arms)) or (own,)

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
        # It would copy every label.
        single = dataclasses.asdict(dataclasses.replace(self, grid=(), zipped=(), arms=()))
        mapping: dict[str, Any] = single | {"grid": dict(self.grid), "zipped": self.zipped}
        del mapping["arms"]
        if self.arms:  # a config without arms is written as it always was
            mapping["arms"] = {name: dict(changes) for name, changes in self.arms}
        for group in ("task", "model", "training"):
            mapping[group]["options"] = dict(getattr(self, group).options)
        return mapping


ARM = "arm"
"""The axis whose labels are names of conditions, each with changes of fields."""

DECLARATIONS = fields.declarations(Config)
"""Every field that is declared, by its path."""

AXES = {declared.axis: path for path, declared in DECLARATIONS.items() if declared.axis is not None}
"""Name of every field that can be an axis: the path of the field. Parameters of pieces are axes beside them."""

_PLACES = {axis: (path.rpartition(".")[0], path.rpartition(".")[2]) for axis, path in AXES.items()}

PIECE_AXES = tuple(axis for axis, path in AXES.items() if DECLARATIONS[path].right.is_piece)
"""The axes whose labels are names of pieces."""

VALUE_AXES = tuple(axis for axis, path in AXES.items() if DECLARATIONS[path].role == VALUE)
"""The axes that share one compiled program."""


SAME_PROGRAM = {
    declared.axis: declared.same_program for declared in DECLARATIONS.values() if declared.same_program is not None
}
"""Value axes where some labels change the program: (label) -> one label for all with the same program."""

SYMBOLS = {declared.axis: declared.symbol for declared in DECLARATIONS.values() if declared.symbol is not None}
"""What titles and tables call a field; those with a symbol appear in every title."""


def symbol(axis: str) -> str:
    """What titles and tables call the field of an axis: its symbol, or its own name."""
    return SYMBOLS.get(axis, axis)


def neutral(axis: str) -> Any:
    """The neutral value of an axis, which no value equals if there is none; a parameter of a piece has none."""
    return DECLARATIONS[AXES[axis]].neutral if axis in AXES else NO_NEUTRAL


def axis_groups(config: Config) -> tuple[tuple[str, ...], ...]:
    """The axes of the grid in order, those that are paired in one group at the place of the first of them."""
    paired = {axis: group for group in config.zipped for axis in group}
    return tuple(dict.fromkeys(paired.get(axis, (axis,)) for axis, _ in config.grid))


def group_labels(config: Config, group: tuple[str, ...]) -> tuple[tuple[Scalar, ...], ...]:
    """The labels of a group of axes, one tuple for each index along it."""
    by_axis = dict(config.grid)
    return tuple(zip(*(by_axis[axis] for axis in group), strict=True))


def changes_of(config: Config) -> dict[str, dict[str, Any]]:
    """What each arm makes of all the fields that some arm changes, by name."""
    fields_of_arms = dict.fromkeys(field for _, changes in config.arms for field, _ in changes)
    return {
        name: {field: dict(changes).get(field, config.value(field)) for field in fields_of_arms}
        for name, changes in config.arms
    }
