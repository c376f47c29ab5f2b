"""Arrays of many runs by label: what is measured of each cell, gathered along the axes that were left out."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from rw_jax.study.errors import RunError
from rw_jax.study.grid import Cell, Grid


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
