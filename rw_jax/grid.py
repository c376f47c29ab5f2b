"""The grid of a study: axes to a table of cells. Plain Python and NumPy, no JAX.

Every cell is one run. Cells that differ only in the values of VALUE_AXES share a *structure*, and with it a
compiled program.
"""

import dataclasses
import itertools

from rw_jax.config import VALUE_AXES, Config, Scalar, axis_groups, group_labels


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One dimension of the grid: an axis, or several that advance together.

    Attributes:
      axes: the names of its axes; the first names the dimension.
      labels: one tuple of labels, in the order of `axes`, for each place along the dimension.
    """

    axes: tuple[str, ...]
    labels: tuple[tuple[Scalar, ...], ...]

    @property
    def name(self) -> str:
        return self.axes[0]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of the grid.

    Attributes:
      index: its place along each dimension.
      labels: its label on every axis.
      config: its config, with the labels set and no grid.
    """

    index: tuple[int, ...]
    labels: dict[str, Scalar]
    config: Config


@dataclasses.dataclass(frozen=True)
class Structure:
    """The cells that one compiled program runs.

    Attributes:
      config: their common config; its fields of VALUE_AXES are those of the first cell and must not be relied on.
      cells: in the order of the grid.
    """

    config: Config
    cells: tuple[Cell, ...]


@dataclasses.dataclass(frozen=True)
class Grid:
    """All cells of a study, in C order of the dimensions, and the structures they fall into."""

    dimensions: tuple[Dimension, ...]
    structures: tuple[Structure, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(dimension.labels) for dimension in self.dimensions)

    @property
    def num_cells(self) -> int:
        return sum(len(structure.cells) for structure in self.structures)


def expand(config: Config) -> Grid:
    """The cells of a config's grid; a config without axes is a grid of one cell."""
    dimensions = tuple(Dimension(group, group_labels(config, group)) for group in axis_groups(config))
    single = dataclasses.replace(config, grid=(), zipped=())
    by_structure: dict[Config, list[Cell]] = {}
    for index in itertools.product(*(range(len(dimension.labels)) for dimension in dimensions)):
        labels = {
            axis: label
            for dimension, place in zip(dimensions, index, strict=True)
            for axis, label in zip(dimension.axes, dimension.labels[place], strict=True)
        }
        cell = Cell(index, labels, single.replace(**labels))
        structure = cell.config.replace(**{axis: single.value(axis) for axis in VALUE_AXES})
        by_structure.setdefault(structure, []).append(cell)
    structures = tuple(Structure(config, tuple(cells)) for config, cells in by_structure.items())
    return Grid(dimensions, structures)


def recorded_steps(config: Config) -> tuple[int, ...]:
    """The steps at which metrics are recorded: every `record.every` steps, the last, and where parameters are."""
    steps = config.training.steps
    return tuple(sorted({*range(0, steps + 1, config.record.every), *kept_steps(config)}))


def kept_steps(config: Config) -> tuple[int, ...]:
    """The steps at which parameters are recorded: the first, the last, and those of `record.parameters` between."""
    steps = config.training.steps
    return tuple(sorted({0, steps, *(step for step in config.record.parameters if step <= steps)}))
