"""Runs by label: the cells that labels name, and what is measured of each, along the axes that were left out."""

import dataclasses
import functools
import itertools
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from rw_jax.study.config import AXES
from rw_jax.study.errors import RunError
from rw_jax.study.fields import Scalar, as_python, shown
from rw_jax.study.grid import Cell, Dimension, Grid
from rw_jax.study.labels import same_label


@dataclasses.dataclass(frozen=True)
class Labelled:
    """The cells of a grid, by label. A label that names none is refused in a sentence that lists what there is.

    Attributes:
      grid: the table of cells.
    """

    grid: Grid

    def cell(self, labels: Mapping[str, Scalar]) -> Cell:
        """The cell with these labels. Raises: RunError."""
        index, labels = [], dict(labels)
        for dimension, indices in zip(self.grid.dimensions, self._indices, strict=True):
            given = {name: labels.pop(name) for name in dimension.columns if name in labels}
            i = None
            if set(given) <= set(dimension.axes) and all(map(can_be_label, given.values())):
                i = indices.get(tuple(given.get(axis) for axis in dimension.axes))
            index.append(_index(dimension, given) if i is None else i)
        self._check_fields(labels)
        return self.grid.cell(int(np.ravel_multi_index(tuple(index), self.grid.shape)) if index else 0)

    def cells(self, labels: Mapping[str, Scalar]) -> list[Cell]:
        """All cells with these labels. Raises: RunError."""
        chosen = itertools.product(*self.chosen(labels))
        return [self.grid.cell(int(np.ravel_multi_index(index, self.grid.shape)) if index else 0) for index in chosen]

    def chosen(self, labels: Mapping[str, Scalar]) -> list[Sequence[int]]:
        """For each dimension of the grid the indices of the cells with these labels. Raises: RunError."""
        chosen, labels = [], dict(labels)
        for dimension in self.grid.dimensions:
            given = {name: labels.pop(name) for name in dimension.columns if name in labels}
            chosen.append(_having(dimension, given) or [_index(dimension, given)])  # which says what there is
        self._check_fields(labels)
        return chosen

    def _check_fields(self, labels: Mapping[str, Scalar]) -> None:
        """Refuses values of fields that are no axes if the run has others."""
        config = self.grid.config
        for axis, label in labels.items():
            if axis not in AXES and axis not in config.options:
                raise RunError(f"{axis} is no axis of a grid; the axes of this run are {listed(self.grid.axes)}.")
            if not same_label(config.value(axis), label):
                raise RunError(f"{axis} is {shown(label)}, but this run has {config.value(axis)!r} only.")

    @functools.cached_property
    def _indices(self) -> list[dict[tuple[Scalar, ...], int]]:
        """For each dimension the index of its labels: to look through all of them for each of many cells takes long."""
        return [{labels: i for i, labels in enumerate(dimension.labels)} for dimension in self.grid.dimensions]


def _index(dimension: Dimension, given: dict[str, Scalar]) -> int:
    """The index along a dimension that the given labels name."""
    found = _having(dimension, given)
    if len(found) == 1:
        return found[0]
    name = ", ".join(dimension.axes)
    known = listed(labels[0] if len(labels) == 1 else labels for labels in dimension.labels)
    if not given:
        raise RunError(f"{name} is not given, but the run has {known}.")
    asked = ", ".join(f"{axis} = {shown(label)}" for axis, label in given.items())
    problem = "more than one cell has" if found else "no cell has"
    raise RunError(f"{problem} {asked}; the run has {name} = {known}.")


def _having(dimension: Dimension, given: Mapping[str, Scalar]) -> list[int]:
    """The indices along a dimension that have these labels, and these values of fields that its arms change."""
    columns = dimension.columns
    return [
        i
        for i in range(len(dimension.labels))
        if all(same_label(columns[name][i], label) for name, label in given.items())
    ]


def can_be_label(given: Any) -> bool:
    """Whether something is a number or a word: True is no 1, and an array no number."""
    return isinstance(as_python(given), numbers.Real | str) and not isinstance(as_python(given), bool)


def listed(labels: Iterable[Any]) -> str:
    """Labels for a message, the middle of a long list left out."""
    words = [str(label) for label in labels]
    if len(words) > 24:
        words = [*words[:12], "...", *words[-4:]]
    return ", ".join(words) or "none"


class Measured(NamedTuple):
    """An array of one run, and the names of its dimensions."""

    dims: tuple[str, ...]
    array: np.ndarray


def over(
    grid: Grid, chosen: Sequence[Sequence[int]], measure: Callable[[Cell], Mapping[str, Measured] | None]
) -> xr.Dataset:
    """What is measured of each of some cells, on the dimensions of the grid along which there are several of them.

    Args:
      grid: the table of cells.
      chosen: for each of its dimensions the indices of the cells.
      measure: (cell) -> arrays by name; None of a cell that is not finished, which is NaN.

    Raises:
      RunError: if no cell is finished, or their arrays differ in shape.
    """
    shape = tuple(map(len, chosen))
    found: dict[tuple[int, ...], Mapping[str, Measured]] = {}
    for place in np.ndindex(shape):
        index = tuple(indices[i] for indices, i in zip(chosen, place, strict=True))
        measured = measure(grid.cell(int(np.ravel_multi_index(index, grid.shape)) if index else 0))
        if measured is not None:
            found[place] = measured
    if not found:
        raise RunError("None of these cells is finished; run the command of the run again.")
    several = [i for i, indices in enumerate(chosen) if len(indices) > 1]
    firsts: dict[str, Measured] = {}
    for measured in found.values():
        for name, each in measured.items():
            if firsts.setdefault(name, each).array.shape != each.array.shape:
                raise RunError(f"{name} differs in shape between these runs; name the label of what they differ in.")
    variables: dict[str, Any] = {}
    for name, (dims, array) in firsts.items():
        having = {place: measured[name].array for place, measured in found.items() if name in measured}
        gathered = np.full((*shape, *array.shape), np.nan, np.result_type(array, np.float32))
        for place, own in having.items():
            gathered[place] = own
        if len(having) == math.prod(shape):
            gathered = gathered.astype(array.dtype)
        names = tuple(grid.dimensions[i].name for i in several)
        sizes = tuple(shape[i] for i in several)
        variables[name] = ((*names, *dims), gathered.reshape((*sizes, *array.shape)))
    coordinates: dict[str, Any] = {}
    for dimension, indices in zip(grid.dimensions, chosen, strict=True):
        for place, axis in enumerate(dimension.axes):
            labels = [dimension.labels[i][place] for i in indices]
            coordinates[axis] = (dimension.name, labels) if len(indices) > 1 else labels[0]
    return xr.Dataset(variables, coordinates)
