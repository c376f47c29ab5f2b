"""The grid of a study, which is a product: its size, its structures and any of its cells cost nothing to compute.

A cell is one run. Cells that differ in values only share a *structure*, and with it a compiled program.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rw_jax.study.config import (
    ARM,
    AXES,
    SAME_PROGRAM,
    VALUE_AXES,
    Config,
    axis_groups,
    changes_of,
    group_labels,
    neutral,
)
from rw_jax.study.fields import NO_NEUTRAL, Scalar


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One dimension of the grid: an axis, or several that are paired.

    Attributes:
      axes: the names of its axes; the first names the dimension.
      labels: one tuple of labels, in the order of `axes`, for each index along the dimension.
      fields: the names of the fields that differ along it: the axes, and for that of arms what some arm changes.
      values: one tuple of their values, in the order of `fields`, for each index.
    """

    axes: tuple[str, ...]
    labels: tuple[tuple[Scalar, ...], ...]
    fields: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]

    @property
    def name(self) -> str:
        """The first axis."""
        return self.axes[0]

    @property
    def is_list(self) -> bool:
        """Whether it is a list of runs, in which the seed is paired with all other axes, and none with another."""
        return "seed" in self.axes and len(self.axes) > 1

    @functools.cached_property
    def columns(self) -> dict[str, tuple[Any, ...]]:
        """The labels of each axis, and the values of each field, by name."""
        of_fields = dict(zip(self.fields, zip(*self.values, strict=True), strict=True)) if self.fields else {}
        return of_fields | dict(zip(self.axes, zip(*self.labels, strict=True), strict=True))


def _dimension(config: Config, axes: tuple[str, ...]) -> Dimension:
    labels = group_labels(config, axes)
    if ARM not in axes:
        return Dimension(axes, labels, axes, labels)
    changes, place = changes_of(config), axes.index(ARM)
    others = tuple(axis for axis in axes if axis != ARM)
    of_arms = tuple(next(iter(changes.values())))
    values = tuple(
        (*changes[str(row[place])].values(), *(label for axis, label in zip(axes, row, strict=True) if axis != ARM))
        for row in labels
    )
    return Dimension(axes, labels, (*of_arms, *others), values)


def without_grid(config: Config) -> Config:
    """The config of one run."""
    return dataclasses.replace(config, grid=(), zipped=(), arms=())


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of the grid.

    Attributes:
      number: its place in the order of the grid.
      index: its index along each dimension.
      labels: its label on every axis.
      changes: the fields in which it differs from the config of the study: its labels, and what its arm changes.
      study: the config of the study.
      of_study: the values of that config (`Config.values`).
    """

    number: int
    index: tuple[int, ...]
    labels: dict[str, Scalar]
    changes: dict[str, Any]
    study: Config
    of_study: Mapping[str, Any]

    @property
    def values(self) -> dict[str, Any]:
        """Those of the cell's own config, which takes much longer to make."""
        return {**self.of_study, **self.changes}

    @functools.cached_property
    def config(self) -> Config:
        """The cell's own config, with its labels set and no grid."""
        return without_grid(self.study.replace(**self.changes))


@dataclasses.dataclass(frozen=True, eq=False)
class Structure:
    """The cells that one compiled program runs.

    Attributes:
      config: their common config without a grid; its values are those of the study, not of any cell, or stand for all
        that have the same program.
      cells: their numbers, in the order of the grid.
    """

    config: Config
    cells: np.ndarray


@dataclasses.dataclass(frozen=True)
class Grid:
    """All cells of a study, in C order of the dimensions.

    Attributes:
      config: the study.
      value_axes: the axes whose labels are arguments of a compiled program.
    """

    config: Config
    value_axes: Collection[str] = VALUE_AXES

    @functools.cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions, in the order of the config's axes; a config without axes is a grid of one cell."""
        return tuple(_dimension(self.config, group) for group in axis_groups(self.config))

    @functools.cached_property
    def axes(self) -> tuple[str, ...]:
        """The names of all axes."""
        return tuple(axis for dimension in self.dimensions for axis in dimension.axes)

    @functools.cached_property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(dimension.labels) for dimension in self.dimensions)

    @functools.cached_property
    def num_cells(self) -> int:
        return math.prod(self.shape)

    def cell(self, number: int) -> Cell:
        """The cell at this place in the order of the grid."""
        index = tuple(int(i) for i in np.unravel_index(number, self.shape))
        labels, changes = dict[str, Scalar](), dict[str, Any]()
        for dimension, i in zip(self.dimensions, index, strict=True):
            labels |= zip(dimension.axes, dimension.labels[i], strict=True)
            changes |= zip(dimension.fields, dimension.values[i], strict=True)
        return Cell(int(number), index, labels, changes, self.config, self._of_study)

    @functools.cached_property
    def _of_study(self) -> dict[str, Any]:
        return self.config.values()

    def cells(self) -> Iterator[Cell]:
        """All cells, one after another."""
        return map(self.cell, range(self.num_cells))

    @functools.cached_property
    def structures(self) -> tuple[Structure, ...]:
        """The structures, in the order of their first cells."""
        single = without_grid(self.config)
        by_dimension: list[Mapping[tuple[tuple[str, Scalar], ...], Sequence[int]]] = []
        for dimension in self.dimensions:
            if set(dimension.fields) <= set(self.value_axes) - set(SAME_PROGRAM):  # there may be a million labels
                by_dimension.append({(): range(len(dimension.labels))})
                continue
            together: dict[tuple[tuple[str, Scalar], ...], list[int]] = {}
            for i, values in enumerate(dimension.values):
                pairs = zip(dimension.fields, values, strict=True)
                together.setdefault(tuple(self._of_program(dict(pairs)).items()), []).append(i)
            by_dimension.append(together)
        structures = []
        for parts in itertools.product(*(together.items() for together in by_dimension)):
            changes = {axis: label for labels, _ in parts for axis, label in labels}
            cells = np.zeros((), np.int64)
            for (_, indices), size in zip(parts, self.shape, strict=True):
                cells = cells[..., None] * size + np.array(indices)
            cells.flags.writeable = False
            structures.append(Structure(single.replace(**changes), cells.ravel()))
        return tuple(sorted(structures, key=lambda structure: structure.cells[0]))

    def structure_of(self, cell: Cell) -> Config:
        """The config of the structure of a cell."""
        return without_grid(self.config.replace(**self._of_program(cell.changes)))

    def _of_program(self, labels: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Of some labels those that change the program."""
        structure = {axis: label for axis, label in labels.items() if axis not in self.value_axes}
        return structure | {axis: SAME_PROGRAM[axis](label) for axis, label in labels.items() if axis in SAME_PROGRAM}

    def columns(self, cells: Sequence[Cell]) -> dict[str, Any]:
        """What tells these cells from all others: by axis one value, or a list with one for each cell.

        An axis at whose neutral value all of them are is left out. `locate` finds them again, in any grid.
        """
        columns: dict[str, Any] = {}
        every = [cell.values for cell in cells]
        for axis in (*AXES, *self.config.options):
            values = [values[axis] for values in every]
            if any(value != values[0] for value in values) or isinstance(values[0], tuple):
                columns[axis] = values
            elif values[0] != neutral(axis):
                columns[axis] = values[0]
        return columns

    def locate(self, columns: Mapping[str, Any], count: int) -> np.ndarray:
        """The numbers of cells given by `columns`, int64[count]; -1 for one that is not in this grid."""

        def column(axis: str) -> Sequence[Any]:
            values = columns.get(axis, neutral(axis))
            values = values if isinstance(values, list) else [values] * count
            return [_hashable(value) for value in values]

        numbers, here = np.zeros(count, np.int64), np.ones(count, bool)
        for dimension in self.dimensions:
            indices = {values: i for i, values in enumerate(dimension.values)}
            rows = (
                zip(*(column(field) for field in dimension.fields), strict=True) if dimension.fields else [()] * count
            )
            found = np.fromiter((indices.get(row, -1) for row in rows), np.int64, count)
            numbers, here = numbers * len(indices) + found, here & (found >= 0)
        varying = {field for dimension in self.dimensions for field in dimension.fields}
        others = {*AXES, *self.config.options, *columns} - varying
        known = self.config.values()
        for axis in others:
            wanted = known.get(axis, NO_NEUTRAL)
            given = columns.get(axis, neutral(axis))
            if isinstance(given, list):
                here &= np.fromiter((_hashable(value) == wanted for value in given), bool, count)
            else:
                here &= _hashable(given) == wanted
        return np.where(here, numbers, -1)


def _hashable(value: Any) -> Any:
    """A label as the config keeps it: JSON makes lists of tuples."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def digest(content: Any) -> str:
    """A digest of what JSON can hold, the same whatever the order of its keys; 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def recorded_steps(config: Config) -> tuple[int, ...]:
    """The steps at which metrics are recorded: every `record.every` steps, the last, and where parameters are."""
    steps = config.training.steps
    return tuple(sorted({*range(0, steps + 1, config.record.every), *kept_steps(config)}))


def kept_steps(config: Config) -> tuple[int, ...]:
    """The steps at which parameters are recorded: the first, the last, and those of `record.parameters` between."""
    steps, kept = config.training.steps, config.record.parameters
    if isinstance(kept, str):
        kept = range(0, steps + 1, config.record.every)
    return tuple(sorted({0, steps, *(step for step in kept if step <= steps)}))
