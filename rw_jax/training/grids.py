"""The grid of a study, its sizes filled in by its tasks and its pieces checked."""

import dataclasses
import operator

import numpy as np

from rw_jax.study.config import ALL, VALUE_AXES, Config, axis_groups, group_labels
from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import shown
from rw_jax.study.grid import Grid
from rw_jax.training import pieces
from rw_jax.training.checks import check_labels, check_shapes, check_stages, measured
from rw_jax.training.experiment import NOTHING_OWN, Own, make_experiment, make_task, parameters_of, start_of
from rw_jax.training.metrics import METRICS
from rw_jax.training.starts import check_start


def value_axes(config: Config, own: Own = NOTHING_OWN) -> tuple[str, ...]:
    """The axes of a study whose labels are arguments of its compiled programs: those of all its tasks."""
    if not config.options:
        return VALUE_AXES
    tasks = [make_task(config.replace(task=name), own) for name in dict(config.grid).get("task", (config.task.name,))]
    return (*VALUE_AXES, *(name for name in config.options if all(name in task.value_options for task in tasks)))


def filled(config: Config, own: Own = NOTHING_OWN) -> Config:
    """The config with the sizes that it leaves to its task; one that differs within the grid is paired with its axis.

    Raises:
      ConfigError: if a size differs along several axes that are not paired.
    """
    shaping = {"task", *dict(config.task.options)} - set(value_axes(config, own))
    for field in ("num_nodes", "walk_length"):
        if config.value(field) is not None or field in dict(config.grid):
            continue
        groups = [group for group in axis_groups(config) if shaping & set(group)]
        labels = [group_labels(config, group) for group in groups]
        sizes = np.empty([len(of_group) for of_group in labels], np.int64)
        for index in np.ndindex(sizes.shape):
            chosen = zip(groups, map(operator.getitem, labels, index), strict=True)
            changes = {axis: label for of_group in chosen for axis, label in zip(*of_group, strict=True)}
            sizes[index] = getattr(make_task(config.replace(**changes), own), field)
        deciding = [i for i in range(sizes.ndim) if (sizes != sizes.take([0], i)).any()]
        config = config.replace(**{field: int(sizes.flat[0])})
        if len(deciding) > 1:
            raise ConfigError(
                f"task.{field} is None, but must be given where it differs along several axes: here along "
                f"{' and '.join(groups[i][0] for i in deciding)}."
            )
        for i in deciding:
            along = tuple(np.moveaxis(sizes, i, 0).reshape(len(labels[i]), -1)[:, 0].tolist())
            zipped = (*(group for group in config.zipped if group != groups[i]), (*groups[i], field))
            config = dataclasses.replace(config, grid=(*config.grid, (field, along)), zipped=zipped)
    return config


_TAKEN = {
    # A Run uses these words itself.
    *(metric.name for metric in METRICS),
    *("step", "finished", "diverged_at", "diverged", "seeds"),  # in its metrics and its table
    *("config", "model", "split", "stage", "tokens", "over", "self"),  # parameters of functions that take labels
}


def make_grid(config: Config, own: Own = NOTHING_OWN) -> Grid:
    """The grid of a study, its sizes filled in, every structure of which has been made and checked.

    Raises:
      ConfigError: if the pieces of some cell cannot be made, or do not go together.
    """
    config = filled(config, own)
    grid = Grid(config, value_axes(config, own))
    _check_options(config, own)
    if grid.num_cells > _MOST_CELLS:
        raise ConfigError(f"The grid has {grid.num_cells} runs, but can have at most {_MOST_CELLS}; split the study.")
    named = [name for name in config.record.metrics if name != "train_loss"] if config.record.metrics != ALL else []
    known: set[str] = set()
    for structure in grid.structures:
        _check_sizes(structure.config)
        experiment = make_experiment(structure.config, own)
        check_stages(experiment.task, grid.cell(structure.cells[0]).config.values())
        check_shapes(experiment)
        check_labels(grid, structure, experiment.task)
        if named:
            known |= measured(experiment)
        stored = start_of(structure.config, own)
        if stored is not None:
            for number in structure.cells:
                check_start(stored, structure.config.model.init, grid.cell(number).config.values())
    if named and not known & set(named):
        right = ", ".join(metric.name for metric in METRICS if metric.name in known)
        raise ConfigError(f"record.metrics is {shown(named)}, but must name metrics that such runs have: {right}.")
    return grid


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


def _check_options(config: Config, own: Own) -> None:
    """Refuses parameters that no piece of the study has, or whose name a Run uses for something else."""
    for name, path in config.options.items():
        if name in _TAKEN:
            raise ConfigError(f"{path} is given, but {name} is a word that a Run uses itself; give it another name.")
    known: set[str] = set()
    for axis in pieces.PIECE_AXES:
        for name in dict(config.grid).get(axis, (config.value(axis),)):
            known |= parameters_of(axis, str(name), own)
    known |= set(value_axes(config, own))
    for name, path in config.options.items():
        if name not in known:
            raise ConfigError(f"{path} is given, but no piece of the study has a parameter {name}.")
