"""Where a Run reads its numbers: a run directory, or memory."""

import contextlib
import functools
from collections.abc import Callable, Collection, Generator, Mapping
from typing import Any, Protocol

import jax
import numpy as np
import xarray as xr
from absl import logging

from rw_jax.store import checkpoint, chunks, metrics_file, products
from rw_jax.store.chunks import About, Locations
from rw_jax.store.layout import DamagedFileError, RunDir, read_environment, read_pieces, stored_config
from rw_jax.study.config import Config
from rw_jax.study.errors import RunError
from rw_jax.study.grid import Grid
from rw_jax.training.grids import Experiments
from rw_jax.training.metrics import METRICS, OF_LOSS, Metric
from rw_jax.training.pieces import Pieces


class Source(Protocol):
    """Where a Run reads its numbers.

    Attributes:
      config: the study.
      environment: versions, devices, commit, command, timings.
      run_dir: where its files are; None if it has none.
    """

    config: Config
    environment: dict[str, Any]
    run_dir: RunDir | None

    def pieces(self) -> Pieces:
        """What the names in the study stand for."""
        ...

    def unread(self, grid: Grid) -> frozenset[str]:
        """The fields that nothing in its finished runs reads."""
        ...

    def metrics(self, grid: Grid) -> xr.Dataset:
        """The metrics of all cells, as `metrics_file.dataset` gives them."""
        ...

    def finished(self, grid: Grid) -> np.ndarray:
        """Which cells are finished, bool[cells]."""
        ...

    def kept(self, grid: Grid, number: int, *names: str) -> Any:
        """The part under these names of what a finished cell keeps, with a leading axis of the steps that do."""
        ...


class InRunDir:
    """A run directory as a source. A warning names each damaged chunk. It is pickled as its path alone."""

    def __init__(self, run_dir: RunDir) -> None:
        self.run_dir: RunDir | None = run_dir
        self._run_dir = run_dir
        self.config = stored_config(run_dir)
        try:
            self.environment = read_environment(run_dir)
        except DamagedFileError as error:
            logging.warning("%s", error)
            self.environment = {}
        self._found: Locations | None = None
        self._is_finished: np.ndarray | None = None  # asked for with every array of every run

    def __reduce__(self) -> tuple[Any, ...]:
        return InRunDir, (self._run_dir,)

    def pieces(self) -> Pieces:
        return Pieces(read_pieces(self._run_dir))

    def unread(self, grid: Grid) -> frozenset[str]:
        with _explained(self._run_dir):
            found = [chunk.unread for chunk in self._stored(grid).chunks]
        return frozenset.intersection(*found) if found else frozenset()

    def abouts(self, grid: Grid) -> dict[str, About]:
        """What the metrics of its runs are, by name."""
        with _explained(self._run_dir):
            found = [chunk.metrics for chunk in self._stored(grid).chunks]
        # Runs of earlier versions do not say.
        built_in = about_metrics(METRICS, METRICS) if any(metrics is None for metrics in found) else {}
        abouts = dict(built_in)
        for name, about in ((name, about) for metrics in found for name, about in (metrics or {}).items()):
            is_new = name not in abouts or name in built_in
            abouts[name] = about if is_new or abouts[name] == about else about._replace(unit="")  # of several losses
        return abouts

    def metrics(self, grid: Grid) -> xr.Dataset:
        with _explained(self._run_dir):
            file = self._run_dir.metrics_file
            if file.is_file() and file in products.noted(self._run_dir, grid):
                if not products.is_intact(self._run_dir, grid, file):
                    raise RunError(f"{file} is not as it was written; the command of the run makes it again.")
                return metrics_file.read(file, grid)
        return self.gathered(grid)

    def gathered(self, grid: Grid) -> xr.Dataset:
        """The metrics of the finished cells, gathered from the chunks."""
        return metrics_file.dataset(grid, self.parts(grid, np.arange(grid.num_cells)), self.abouts(grid))

    def parts(self, grid: Grid, cells: np.ndarray) -> metrics_file.Parts:
        """The metrics of those of these cells that are finished, chunk by chunk."""
        with _explained(self._run_dir):
            stored = self._stored(grid)
            held = stored.chunk[cells]
            for i in np.unique(held[held >= 0]):
                here = cells[held == i]
                tree = self._load(stored.chunks[i].folder, "record", "metrics")
                yield here, {name: stack[stored.row[here]] for name, stack in tree.items()}

    def finished(self, grid: Grid) -> np.ndarray:
        with _explained(self._run_dir):
            stored = self._stored(grid)
        if self._is_finished is None:
            self._is_finished = stored.chunk >= 0
            self._is_finished.flags.writeable = False
        return self._is_finished

    def kept(self, grid: Grid, number: int, *names: str) -> Any:
        with _explained(self._run_dir):
            stored = self._stored(grid)
            tree = self._load(stored.chunks[stored.chunk[number]].folder, "record", "kept", *names)
        return jax.tree.map(lambda stack: stack[stored.row[number]], tree)

    def _stored(self, grid: Grid) -> Locations:
        """Where the finished cells are, as it is when it is asked for first."""
        if self._found is None:
            found = chunks.read_all(self._run_dir.chunks)
            chunks.check_study(grid, found)
            self._found = chunks.locate(grid, found)
        return self._found

    @functools.cached_property
    def _load(self) -> Callable[..., checkpoint.Tree]:
        # Cells are mostly asked for one after another; a chunk with every entry of W is large, so few are kept.
        return functools.lru_cache(maxsize=4)(checkpoint.load)


class InMemory:
    """What one program has given, as a source."""

    def __init__(self, experiments: Experiments, cells: np.ndarray, record: Any, environment: dict[str, Any]) -> None:
        """Args: a grid of one structure, the numbers of its cells, their record in that order, what made it."""
        self.run_dir: RunDir | None = None
        self.config, self.environment = experiments.grid.config, environment
        self._experiments, self._cells, self._record = experiments, cells, record

    def pieces(self) -> Pieces:
        return self._experiments.pieces

    def unread(self, grid: Grid) -> frozenset[str]:
        return self._experiments.checked(grid.structures[0]).unread

    def metrics(self, grid: Grid) -> xr.Dataset:
        metrics = self._experiments.experiment(grid.structures[0].config).metrics
        parts = [(self._cells, self._record.metrics)]
        return metrics_file.dataset(grid, parts, about_metrics(metrics, self._record.metrics))

    def finished(self, grid: Grid) -> np.ndarray:
        return np.isin(np.arange(grid.num_cells), self._cells)

    def kept(self, grid: Grid, number: int, *names: str) -> Any:
        part = self._record.kept
        for name in names:
            part = part[name]
        (row,) = np.flatnonzero(self._cells == number)
        return jax.tree.map(lambda stack: stack[row], part)


def about_metrics(metrics: Mapping[str, Metric], names: Collection[str]) -> dict[str, About]:
    """What is kept of metrics with their numbers.

    Args:
      metrics: by name.
      names: those that there are.
    """
    units = {name: "" if metric.unit == OF_LOSS else metric.unit for name, metric in metrics.items()}  # "": not known
    return {name: About(each.dims, units[name], each.about) for name, each in metrics.items() if name in names}


@contextlib.contextmanager
def _explained(run_dir: RunDir) -> Generator[None]:
    try:
        if not run_dir.config_file.is_file():
            raise RunError(f"{run_dir.path} is no run directory any more; open the run where it is now.")
        yield
    except checkpoint.DamagedError as error:
        raise RunError(f"{str(error).rstrip('.')}; the command of the run trains its cells again.") from error
    except OSError as error:
        raise RunError(f"{error.filename} cannot be read ({error.strerror}).") from error
