"""Runs that nobody trained: their metrics and parameters are given by functions."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import xarray as xr

from rw_jax.store import metrics_file
from rw_jax.study.config import Config
from rw_jax.study.grid import Cell, Grid, kept_steps, recorded_steps
from rw_jax.training.experiment import Own
from rw_jax.training.metrics import METRICS


class MadeUp:
    """A source of numbers for a Run: a number or float[T] for each metric and cell, what each cell keeps at a step."""

    run_dir = None

    def __init__(
        self,
        config: Config,
        metric: Callable[[str, Cell], Any] = lambda name, cell: 0.0,
        keep: Callable[[Cell, int], dict[str, Any]] = lambda cell, step: {},
    ):
        self.config, self.environment, self._metric, self._keep = config, {}, metric, keep

    def own(self) -> Own:
        return Own()

    def metrics(self, grid: Grid) -> xr.Dataset:
        def of(name: str, number: int) -> np.ndarray:
            cell = grid.cell(number)
            return np.broadcast_to(self._metric(name, cell), len(recorded_steps(cell.config)))

        names = [metric.name for metric in METRICS if not metric.dims]
        parts = (
            (cells, {name: np.stack([of(name, number) for number in cells]) for name in names})
            for cells in (structure.cells for structure in grid.structures)
        )
        return metrics_file.dataset(grid, parts)

    def finished(self, grid: Grid) -> np.ndarray:
        return np.ones(grid.num_cells, bool)

    def kept(self, grid: Grid, number: int, *names: str) -> Any:
        cell = grid.cell(number)
        parts = [self._keep(cell, step) for step in kept_steps(cell.config)]
        for name in names:
            parts = [part[name] for part in parts]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)
