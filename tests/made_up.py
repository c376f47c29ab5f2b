"""Finished runs whose numbers are made up, so that each is known and none needs training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

import rw_jax
from rw_jax.analysis.run import Run
from rw_jax.analysis.sources import about_metrics
from rw_jax.store import metrics_file
from rw_jax.store.layout import RunDir
from rw_jax.study.config import Config
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Cell, Grid, kept_steps, recorded_steps
from rw_jax.training.grids import make_grid
from rw_jax.training.metrics import METRICS
from rw_jax.training.pieces import BUILT_IN, Pieces

ROOT = Path(__file__).parent.parent
ABOUTS = about_metrics(METRICS, METRICS)
"""What is kept of the metrics with their numbers."""

SCALARS = tuple(name for name, metric in METRICS.items() if not metric.dims)
"""The metrics that are a number."""


def small(zipped: tuple[tuple[str, ...], ...] = (), **axes: tuple) -> Config:
    """configs/smoke.py made tiny, with the axes that are given."""
    config = rw_jax.read_config(ROOT / "configs" / "smoke.py")
    config.task.walks = config.task.test_walks = 30
    config.training.steps = 4
    config.grid.p = config.grid.seed = None
    config.grid.update(axes)
    config.zipped = zipped
    return from_config_dict(config)


class MadeUp:
    """A source of a run whose metrics and kept arrays are given."""

    def __init__(
        self,
        config: Config,
        metrics: xr.Dataset,
        kept: Callable[[int], Any] = lambda _: {},
        workdir: Path | None = None,
    ) -> None:
        """Args: the study; its metrics; what a cell keeps, by name, by its number; where figures of it go."""
        self.config, self.environment = config, {"runs": 0, "seconds": 0.0, "earlier_calls": [], "devices": ["cpu"]}
        self.environment |= {"commit": None, "command": "made up"}
        self.run_dir = None if workdir is None else RunDir(workdir)
        self._metrics, self._kept = metrics, kept

    def pieces(self) -> Pieces:
        return BUILT_IN

    def unread(self, grid: Grid) -> frozenset[str]:
        return frozenset()

    def metrics(self, grid: Grid) -> xr.Dataset:
        return self._metrics

    def finished(self, grid: Grid) -> np.ndarray:
        return self._metrics["finished"].values.ravel()

    def kept(self, grid: Grid, number: int, *names: str) -> Any:
        part = self._kept(number)
        for name in names:
            part = part[name]
        return part


def random_run(config: Config, workdir: Path | None = None) -> Run:
    """What training might leave of a study, drawn at random; not finite where the learning rate is huge."""
    grid, parts, kept = Grid(config), [], {}
    for structure in grid.structures:
        cells, rng = len(structure.cells), np.random.default_rng(0)
        recorded, num_kept = len(recorded_steps(structure.config)), len(kept_steps(structure.config))
        nodes, length = structure.config.task.num_nodes, structure.config.task.walk_length
        rows = structure.config.model.feed_forward_width or nodes
        value = rng.normal(0.3, 1, (cells, num_kept, rows, nodes))
        rates = [grid.cell(number).config.training.learning_rate for number in structure.cells]
        value[np.array(rates) > 1e9] = np.inf
        attention = rng.uniform(size=(cells, num_kept, length)) ** 4
        attention /= attention.sum(axis=-1, keepdims=True)
        metrics = {name: rng.uniform(size=(cells, recorded)) ** 4 for name in SCALARS}
        metrics |= {name: np.round(metrics[name] ** 0.25) for name in ("parent_is_highest", "predicts_optimally")}
        parts.append((structure.cells, metrics))
        stacks = {"params": {"value": value}, "mean_attention": attention}
        kept |= {
            int(number): jax.tree.map(lambda stack, i=i: stack[i], stacks) for i, number in enumerate(structure.cells)
        }
    return Run(MadeUp(config, metrics_file.dataset(grid, parts, ABOUTS), kept.__getitem__, workdir))


def shaped_run(config: Config, workdir: Path | None = None) -> Run:
    """What training would leave of a study, in its shapes, drawn at random."""
    experiments, rng = make_grid(config), np.random.default_rng(0)
    parts, kept = [], {}
    for structure in experiments.grid.structures:
        record = experiments.checked(structure).shape.record
        drawn = [jax.tree.map(lambda leaf: rng.uniform(size=leaf.shape), record) for _ in structure.cells]
        metrics = {name: np.stack([each.metrics[name] for each in drawn]) for name in record.metrics}
        metrics |= {name: np.round(metrics[name]) for name in ("parent_is_highest", "predicts_optimally")}
        parts.append((structure.cells, metrics))
        kept |= {int(number): each.kept for number, each in zip(structure.cells, drawn, strict=True)}
    return Run(MadeUp(config, metrics_file.dataset(experiments.grid, parts, ABOUTS), kept.__getitem__, workdir))


def source_of(
    config: Config,
    metric: Callable[[str, Cell], Any] = lambda name, cell: 0.0,
    keep: Callable[[Cell, int], dict[str, Any]] = lambda cell, step: {},
) -> MadeUp:
    """A source by functions: a number or float[T] for each metric and cell, and what each cell keeps at a step."""
    grid = Grid(config)

    def of(name: str, number: int) -> np.ndarray:
        cell = grid.cell(number)
        return np.broadcast_to(metric(name, cell), len(recorded_steps(cell.config)))

    def kept(number: int) -> Any:
        cell = grid.cell(number)
        return jax.tree.map(lambda *leaves: np.stack(leaves), *(keep(cell, step) for step in kept_steps(cell.config)))

    parts = (
        (cells, {name: np.stack([of(name, number) for number in cells]) for name in SCALARS})
        for cells in (structure.cells for structure in grid.structures)
    )
    return MadeUp(config, metrics_file.dataset(grid, parts, ABOUTS), kept)


def run_of(metrics: xr.Dataset) -> Run:
    """A run of these metrics, NaN where it is not finished, whose axes are those of the dataset but for the step."""
    axes = {str(name): tuple(metrics[name].values.tolist()) for name in metrics.dims if name != "step"}
    finished = metrics["accuracy"].notnull().any("step") | metrics["diverged_at"].notnull()
    steps = [int(step) for step in metrics["step"].values]
    config = rw_jax.read_config(ROOT / "configs" / "smoke.py")
    config.grid.p = config.grid.seed = None
    config.grid.update(axes)
    config.training.steps, config.record.every, config.record.parameters = max(steps), max(*steps, 1), ()
    return Run(MadeUp(from_config_dict(config), metrics.assign(finished=finished)))
