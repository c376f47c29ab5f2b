"""The grid of a study: axes to a table of cells. Plain Python and NumPy, no JAX.

Every cell is one run. Cells that differ only in the values of VALUE_AXES share a *structure*, and with it a
compiled program.
"""

import dataclasses
import itertools

from rw_jax.study.config import AXES, VALUE_AXES, Config, Scalar, axis_groups, group_labels

CellKey = tuple[Scalar, ...]
"""What a run is, whatever grid it is in: the values of all fields that can be axes, in the order of AXES."""


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
      structure_config: the config that all cells of its structure share.
    """

    index: tuple[int, ...]
    labels: dict[str, Scalar]
    structure_config: Config

    @property
    def config(self) -> Config:
        """The cell's own config, with its labels set and no grid; made when asked for, as grids can be large."""
        return self.structure_config.replace(
            **{axis: label for axis, label in self.labels.items() if axis in VALUE_AXES}
        )

    @property
    def key(self) -> CellKey:
        """The values of all fields that can be axes."""
        labels = self.labels
        return tuple(labels[axis] if axis in labels else self.structure_config.value(axis) for axis in AXES)


@dataclasses.dataclass(frozen=True)
class Structure:
    """The cells that one compiled program runs.

    Attributes:
      config: their common config without a grid; its fields of VALUE_AXES are those of the study, not of any cell.
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
    def cells(self) -> tuple[Cell, ...]:
        """All cells in the order of the dimensions, whatever their structures."""
        cells = itertools.chain.from_iterable(structure.cells for structure in self.structures)
        return tuple(sorted(cells, key=lambda cell: cell.index))

    @property
    def num_cells(self) -> int:
        return sum(len(structure.cells) for structure in self.structures)


def expand(config: Config) -> Grid:
    """The cells of a config's grid; a config without axes is a grid of one cell."""
    dimensions = tuple(Dimension(group, group_labels(config, group)) for group in axis_groups(config))
    axes = [axis for dimension in dimensions for axis in dimension.axes]
    single = dataclasses.replace(config, grid=(), zipped=())
    # Configs are made once for each structure, and not for each cell: a study can have a million cells.
    structures: dict[tuple[Scalar, ...], tuple[Config, list[Cell]]] = {}
    for place in itertools.product(*(enumerate(dimension.labels) for dimension in dimensions)):
        labels = dict(zip(axes, itertools.chain.from_iterable(group for _, group in place), strict=True))
        key = tuple(label for axis, label in labels.items() if axis not in VALUE_AXES)
        if key not in structures:
            changed = {axis: label for axis, label in labels.items() if axis not in VALUE_AXES}
            structures[key] = (single.replace(**changed), [])
        structure_config, cells = structures[key]
        cells.append(Cell(tuple(i for i, _ in place), labels, structure_config))
    return Grid(dimensions, tuple(Structure(config, tuple(cells)) for config, cells in structures.values()))


def recorded_steps(config: Config) -> tuple[int, ...]:
    """The steps at which metrics are recorded: every `record.every` steps, the last, and where parameters are."""
    steps = config.training.steps
    return tuple(sorted({*range(0, steps + 1, config.record.every), *kept_steps(config)}))


def kept_steps(config: Config) -> tuple[int, ...]:
    """The steps at which parameters are recorded: the first, the last, and those of `record.parameters` between."""
    steps = config.training.steps
    return tuple(sorted({0, steps, *(step for step in config.record.parameters if step <= steps)}))
