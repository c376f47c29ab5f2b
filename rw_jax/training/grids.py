"""The grid of a study, its sizes filled in, with the pieces of its structures, made and checked once."""

import dataclasses
import itertools
import operator
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rw_jax.study.config import (
    ALL,
    ALWAYS,
    ARM,
    AXES,
    DECLARATIONS,
    SAME_PROGRAM,
    VALUE_AXES,
    Config,
    Options,
)
from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import NO_NEUTRAL, VALUE, shown
from rw_jax.study.grid import Cell, Grid, Structure
from rw_jax.tasks import Task
from rw_jax.training.checks import Reads, check_drawn, check_labels, check_stages, checked_shape
from rw_jax.training.experiment import Experiment, make_experiment, make_task, source_in, stored_start
from rw_jax.training.metrics import METRICS
from rw_jax.training.pieces import BUILT_IN, KINDS, Pieces, metric_sources, source_of
from rw_jax.training.run import Progress
from rw_jax.training.starts import check_start


class Checked(NamedTuple):
    """The pieces of the cells of a structure, which go together.

    Attributes:
      experiment: the pieces.
      shape: the shapes of the progress of one cell.
      unread: the fields without a neutral value that no piece reads.
    """

    experiment: Experiment
    shape: Progress
    unread: frozenset[str]


class Experiments:
    """A grid, and the experiments of its structures, each made once.

    Attributes:
      grid: the grid.
      pieces: what the names in its config stand for.
    """

    def __init__(self, grid: Grid, pieces: Pieces) -> None:
        self.grid, self.pieces = grid, pieces
        self._checked: dict[Config, Checked] = {}
        self._made: dict[Config, Experiment] = {}

    def experiment(self, structure: Config) -> Experiment:
        """The pieces of the cells of a structure. Raises: ConfigError, if they cannot be made."""
        if structure not in self._made:
            self._made[structure] = make_experiment(structure, self.pieces)
        return self._made[structure]

    def of_cell(self, cell: Cell) -> Experiment:
        """The pieces of a cell. Raises: as experiment."""
        return self.experiment(self.grid.structure_of(cell))

    def checked(self, structure: Structure) -> Checked:
        """The pieces of a structure, checked. Raises: ConfigError, if they do not go together."""
        if structure.config not in self._checked:
            self._checked[structure.config] = self._check(self.grid, structure)
            stored = stored_start(structure.config, self.pieces)
            if stored is not None:
                for number in structure.cells:
                    check_start(stored, structure.config.model.init, self.grid.cell(number).values)
        return self._checked[structure.config]

    def of_run(self, config: Config) -> tuple[Config, Experiment]:
        """The structure and the pieces of a run that need not be in the grid, checked as those of its cells are.

        What it starts from is not checked.

        Raises:
          ConfigError: as `checked`.
        """
        grid = Grid(config, value_axes(config, self.pieces))
        (structure,) = grid.structures
        # Runs that differ in values alone have one program: in it these are the study's.
        values = {axis: self.grid.config.value(axis) for axis in grid.value_axes if axis not in SAME_PROGRAM}
        structure = Structure(structure.config.replace(**values), structure.cells)
        if structure.config in self._checked:
            check_labels(grid, structure, self._checked[structure.config].experiment.trained_on, Reads())
        else:
            self._checked[structure.config] = self._check(grid, structure)
        return structure.config, self._checked[structure.config].experiment

    def _check(self, grid: Grid, structure: Structure) -> Checked:
        config = structure.config
        _check_sizes(config)
        experiment, reads = self.experiment(config), Reads()
        check_stages(experiment.task, grid.cell(structure.cells[0]).values)
        shape = checked_shape(experiment, reads)
        _check_dims(grid, experiment)
        check_labels(grid, structure, experiment.trained_on, reads)
        if not source_in(config, self.pieces, "task").is_built_in:
            check_drawn(grid, structure, experiment)
        read = experiment.took.union(*reads.names.values())
        _check_mixed(grid, structure, read)
        if any("values" in metric.takes for metric in experiment.metrics.values()):
            read |= config.values().keys()
        self._made[config] = experiment._replace(reads=reads.of_values())
        return Checked(self._made[config], shape, _unread(read))


def _unread(read: Iterable[str]) -> frozenset[str]:
    """The fields without a neutral value that pieces could read, and do not."""
    could = {
        declared.axis
        for path, declared in DECLARATIONS.items()
        if declared.axis is not None and declared.neutral is NO_NEUTRAL and not declared.right.is_piece
        if declared.role == VALUE or path.startswith("model.")
    }
    return frozenset(could - {"seed"} - set(read))


def value_axes(config: Config, pieces: Pieces) -> tuple[str, ...]:
    """The axes of a study whose labels are arguments of its compiled programs: those of all its tasks."""
    if not config.options:
        return VALUE_AXES
    tasks = _tasks(config, pieces)
    return (*VALUE_AXES, *(name for name in config.options if all(name in task.value_options for task in tasks)))


def _tasks(config: Config, pieces: Pieces) -> list[Task]:
    """A task of each name in the grid, of a size that it has there."""
    dimensions = [each for each in Grid(config).dimensions if {"task", *_SIZES} & set(each.fields)]
    fields = [field for dimension in dimensions for field in dimension.fields]
    changes_of = dict[str, dict[str, Any]]()
    for rows in itertools.product(*(dimension.values for dimension in dimensions)):
        changes = dict(zip(fields, itertools.chain.from_iterable(rows), strict=True))
        changes_of.setdefault(changes.get("task", config.task.name), changes)
    return [make_task(config.replace(**changes), pieces).piece for changes in changes_of.values()]


_SIZES = ("num_nodes", "walk_length")


def filled(config: Config, pieces: Pieces) -> Config:
    """The config with the sizes that it leaves to its task; one that differs within the grid goes with its axis.

    Of arms it is one of their changes, with other axes it is paired.

    Raises:
      ConfigError: if a size differs along several axes that are not paired.
    """
    config = dataclasses.replace(config, arms=tuple(_filled_arm(config, arm, pieces) for arm in config.arms))
    sizes_left = [field for field in _SIZES if config.value(field) is None and field not in dict(config.grid)]
    if not sizes_left:
        return config
    shaping = {"task", *dict(config.task.options)} - set(value_axes(config, pieces))
    for field in sizes_left:
        dimensions = [dimension for dimension in Grid(config).dimensions if shaping & set(dimension.fields)]
        groups, labels = [dimension.axes for dimension in dimensions], [dimension.values for dimension in dimensions]
        sizes = np.empty([len(of_group) for of_group in labels], np.int64)
        for index in np.ndindex(sizes.shape):
            chosen = zip((each.fields for each in dimensions), map(operator.getitem, labels, index), strict=True)
            changes = {field: value for of_group in chosen for field, value in zip(*of_group, strict=True)}
            sizes[index] = getattr(make_task(config.replace(**changes), pieces).piece, field)
        deciding = [i for i in range(sizes.ndim) if (sizes != sizes.take([0], i)).any()]
        config = config.replace(**{field: int(sizes.flat[0])})
        if len(deciding) > 1:
            raise ConfigError(
                f"task.{field} is None, but must be given where it differs along several axes: here along "
                f"{' and '.join(groups[i][0] for i in deciding)}."
            )
        for i in deciding:
            along = tuple(np.moveaxis(sizes, i, 0).reshape(len(labels[i]), -1)[:, 0].tolist())
            if ARM in groups[i]:
                config = _with_sizes(config, field, dimensions[i].columns[ARM], along)
                continue
            zipped = (*(group for group in config.zipped if group != groups[i]), (*groups[i], field))
            config = dataclasses.replace(config, grid=(*config.grid, (field, along)), zipped=zipped)
    return config


def _with_sizes(config: Config, field: str, arms: Sequence[Any], sizes: Sequence[int]) -> Config:
    """The config whose arms have sizes of their own. Raises: ConfigError, if one arm has several."""
    size_of = dict(zip(arms, sizes, strict=True))
    for arm, size in zip(arms, sizes, strict=True):
        if size_of[arm] != size:
            raise ConfigError(
                f"task.{field} is None, but must be given where it differs within an arm: {shown(arm)} has {size} and "
                f"{size_of[arm]}."
            )
    filled_in = ((arm, tuple({**dict(changes), field: size_of[arm]}.items())) for arm, changes in config.arms)
    return dataclasses.replace(config, arms=tuple(filled_in))


def _filled_arm(config: Config, arm: tuple[str, Options], pieces: Pieces) -> tuple[str, Options]:
    """An arm with the sizes that it leaves to its task."""
    name, changes = arm
    if all(value is not None for _, value in changes):
        return arm
    task = make_task(config.replace(**dict(changes)), pieces).piece
    return name, tuple((field, getattr(task, field) if value is None else value) for field, value in changes)


RESERVED = (
    ARM,
    *("step", "finished", "diverged_at", "diverged", "seeds"),  # in the metrics and the table of a Run
    *("config", "model", "split", "stage", "tokens", "over", "self", "at", "on"),  # of functions that take labels
)
"""Words that a Run uses itself, beside names of metrics."""


def make_grid(config: Config, pieces: Pieces = BUILT_IN) -> Experiments:
    """The grid of a study, its sizes filled in, every structure of which has been made and checked.

    Raises:
      ConfigError: if the pieces of some cell cannot be made, or do not go together.
    """
    config = filled(config, pieces)
    experiments = Experiments(Grid(config, value_axes(config, pieces)), pieces)
    _check_names(experiments)
    if experiments.grid.num_cells > _MOST_CELLS:
        raise ConfigError(
            f"The grid has {experiments.grid.num_cells} runs, but can have at most {_MOST_CELLS}; split the study."
        )
    checked = [experiments.checked(structure) for structure in experiments.grid.structures]
    named = set(checked[0].experiment.metrics) - {ALWAYS}
    if config.record.metrics != ALL and named and not any(named & set(each.shape.record.metrics) for each in checked):
        every = (each.experiment._replace(metrics=METRICS) for each in checked)
        there = {name for each in every for name in checked_shape(each, Reads()).record.metrics}
        right = ", ".join(name for name in METRICS if name in there)
        raise ConfigError(
            f"record.metrics is {shown(sorted(named))}, but must name metrics that such runs have: {right}."
        )
    return experiments


_MOST_CELLS, _MOST_STEPS, _MOST_UNITS, _MOST_POSITIONS = 10**8, 10**7, 10**4, 10**8


def _check_sizes(config: Config) -> None:
    """Refuses what no machine could hold before anything is made of it; `sweeps.work` knows the machine."""
    steps, every = config.training.steps, config.record.every
    if steps // every > _MOST_STEPS:
        raise ConfigError(
            f"record.every is {every}, which records {steps // every} of the {steps} steps, but must be at least "
            f"{-(-steps // _MOST_STEPS)}: at most {_MOST_STEPS} can be recorded."
        )
    # Each state and each unit has instructions of its own in the compiled program.
    units = {"task.num_nodes": config.task.num_nodes, "model.feed_forward_width": config.model.feed_forward_width}
    for field, size in units.items():
        if size > _MOST_UNITS:
            raise ConfigError(f"{field} is {size}, but must be at most {_MOST_UNITS}.")
    width, length = config.model.position_width, config.task.walk_length
    if width * length > _MOST_POSITIONS:
        raise ConfigError(
            f"model.position_width is {width}, but must be at most {_MOST_POSITIONS // length} for walks of {length} "
            "states."
        )


def _check_dims(grid: Grid, experiment: Experiment) -> None:
    """Refuses metrics whose axes could not stand beside those of the grid."""
    taken = {*RESERVED, *AXES, *grid.config.options, *experiment.metrics}
    for name, metric in experiment.metrics.items():
        dims = metric.dims
        are_names = isinstance(dims, tuple) and all(isinstance(dim, str) and dim.isidentifier() for dim in dims)
        if not are_names or len(set(dims)) < len(dims) or taken & set(dims):
            raise ConfigError(
                f"The metric {name} has dims {shown(dims)}, but must have a tuple of names, each other than those of "
                "metrics, of fields, and of what a Run uses itself."
            )


def _check_mixed(grid: Grid, structure: Structure, read: Collection[str]) -> None:
    """Refuses a share of the walks with another p where there is no p, and several such p where there is no share."""
    if structure.config.training.mixed_share > 0:
        if "p" not in read:
            raise ConfigError("training.mixed_share is above 0, but must be 0.0 for a task that has no p.")
        return
    for place, dimension in enumerate(grid.dimensions):
        labels = dimension.columns.get("mixed_p", ())
        if labels and len({labels[i] for i in np.unique(np.unravel_index(structure.cells, grid.shape)[place])}) > 1:
            raise ConfigError(
                "training.mixed_p has several labels, but must have one where training.mixed_share is 0.0, as these "
                "are the same runs."
            )


def _check_names(experiments: Experiments) -> None:
    """Refuses options that no piece of the study has, and names that a Run uses for something else."""
    config, pieces = experiments.grid.config, experiments.pieces
    metrics = metric_sources(config.record.metrics, pieces)
    reserved = {*RESERVED, *METRICS, *metrics}
    for name, path in config.options.items():
        if name in reserved:
            raise ConfigError(f"{path} is given, but {name} is a word that a Run uses itself; give it another name.")
    for name in metrics:
        if name not in METRICS and name in {*RESERVED, *AXES}:
            raise ConfigError(f"record.metrics has {name}, which is a word that a Run uses itself; rename it.")
    known = set(experiments.grid.value_axes).union(*(task.value_options for task in _tasks(config, pieces)))
    for source in metrics.values():
        known |= set(source.parameters)
    for axis in KINDS:
        for label in config.labels(axis):
            known |= set(source_of(axis, pieces.objects.get(axis, label), pieces).parameters)
    for name, path in config.options.items():
        if name not in known:
            raise ConfigError(f"{path} is given, but no piece of the study has a parameter {name}.")
