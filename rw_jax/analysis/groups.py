"""Finished runs in groups that differ in one axis alone: what intervals are over."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rw_jax.study.config import AXES, Config
from rw_jax.study.errors import RunError
from rw_jax.study.fields import Scalar, shown
from rw_jax.study.grid import Cell, Grid, recorded_steps
from rw_jax.study.labels import same_label


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Finished runs that differ in one axis alone, mostly the seed.

    Attributes:
      run: the Run that they are of.
      labels: what they have in common on the other axes of the grid.
      numbers: the numbers of their cells, at least one.
    """

    run: Any
    labels: dict[str, Scalar]
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @functools.cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Their cells."""
        return tuple(self.run.grid.cell(int(number)) for number in self.numbers)

    @property
    def config(self) -> Config:
        """The config of the first of them."""
        return self.run.grid.cell(int(self.numbers[0])).config

    @property
    def steps(self) -> np.ndarray:
        """The T steps at which metrics were recorded."""
        return np.array(recorded_steps(self.config))

    def metric(self, name: str) -> np.ndarray:
        """A metric of each run at its recorded steps, float[runs, T]. Raises: RunError if there is none of the name."""
        metrics = self.run.metrics
        if not isinstance(name, str) or name not in metrics.data_vars:
            raise RunError(
                f"{shown(name)} is no metric of this run; those are {', '.join(map(str, metrics.data_vars))}."
            )
        # Of a large file the part is read that holds these runs, and no more.
        shape = self.run.grid.shape
        places = np.unravel_index(self.numbers, shape) if shape else ()
        firsts = [int(place.min()) for place in places]
        part = tuple(slice(first, int(place.max()) + 1) for first, place in zip(firsts, places, strict=True))
        try:
            values = metrics.variables[name][part].values
        except OSError as error:  # only now are the checksums of this part looked at
            file = self.run.run_dir.metrics_file
            raise RunError(f"{file} is not as it was written; the command of the run makes it again.") from error
        of_runs = (
            values[tuple(place - first for place, first in zip(places, firsts, strict=True))] if part else values[None]
        )
        return of_runs[:, np.searchsorted(metrics["step"].values, self.steps)]


def grouped(grid: Grid, finished: np.ndarray, over: str, labels: Mapping[str, Scalar]) -> list[np.ndarray]:
    """The numbers of the finished cells that have some labels, in groups that differ in `over` alone.

    Args:
      grid: the table of cells.
      finished: which of them are, bool[cells].
      over: the axis that each group is over.
      labels: fields and their values, axes or not.

    Raises:
      RunError: if a label names no field, or no finished cell has them.
    """
    config = grid.config
    known = {*AXES, *config.options, *grid.axes}
    unknown = [axis for axis in (over, *labels) if not isinstance(axis, str) or axis not in known]
    if unknown:
        name = unknown[0] if isinstance(unknown[0], str) else shown(unknown[0])
        raise RunError(f"{name} is no axis of a grid; those are {', '.join(AXES)}.")
    varying = {name for dimension in grid.dimensions for name in dimension.columns}
    fixed = {axis: label for axis, label in labels.items() if axis not in varying}
    numbers = np.flatnonzero(finished)
    if not all(same_label(config.value(axis), label) for axis, label in fixed.items()):
        numbers = numbers[:0]
    indices = np.unravel_index(numbers, grid.shape) if grid.shape else ()
    is_asked_for, key = np.ones(len(numbers), bool), np.zeros(len(numbers), np.int64)
    for dimension, index in zip(grid.dimensions, indices, strict=True):  # there may be a million runs
        kinds: dict[tuple[Scalar, ...], int] = {}
        others = [place for place, axis in enumerate(dimension.axes) if axis != over]
        kind = [kinds.setdefault(tuple(each[i] for i in others), len(kinds)) for each in dimension.labels]
        asked = [(dimension.columns[name], labels[name]) for name in dimension.columns if name in labels]
        has = [all(same_label(column[i], label) for column, label in asked) for i in range(len(dimension.labels))]
        key = key * len(kinds) + np.array(kind)[index]
        is_asked_for &= np.array(has)[index]
    numbers, key = numbers[is_asked_for], key[is_asked_for]
    if not numbers.size:
        wanted = ", ".join(f"{axis} = {shown(label)}" for axis, label in labels.items())
        axes = "; ".join(f"{axis} = {', '.join(map(str, of_axis))}" for axis, of_axis in config.grid)
        raise RunError(f"No finished run has {wanted}; the grid has {axes or 'no axes'}.")
    return [of_group.to_numpy() for _, of_group in pd.Series(numbers).groupby(key, sort=False)]
