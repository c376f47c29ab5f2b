"""The run directory: its layout, and the Run object that people analyse with.

  config.json        the frozen config
  environment.json   versions, devices, commit, command, timings
  chunks/            metrics and parameters of finished cells, a folder for each chunk (Orbax)
  unfinished/        cells in the midst of a long training, until their chunk is finished (Orbax)
  lock               held while a sweep writes here
  metrics.nc         all metrics, labelled (xarray), once every chunk is there
  summary.csv        the table that the sweep prints
  figures/           pictures (PNG and SVG) with their numbers (CSV)

A directory can be opened at any time: what is not finished is NaN in the metrics. Each chunk says itself which cells
it holds; its name means nothing.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import numbers
import operator
import os
from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from rw_jax.models import reduced
from rw_jax.models.model import Output
from rw_jax.store import checkpoint
from rw_jax.study.config import AXES, Config, ConfigError, Scalar, from_json
from rw_jax.study.grid import Cell, CellKey, Dimension, Grid, Structure, expand, kept_steps, recorded_steps
from rw_jax.tasks import Walks
from rw_jax.training import train
from rw_jax.training.metrics import METRICS

Params = dict[str, np.ndarray]


class RunError(LookupError):
    """What was asked of a run is not in it; one sentence that lists what there is."""


FORMAT = 2
"""Number of the layout of a run directory; another layout is refused."""


class Chunk(NamedTuple):
    """Cells that are trained by one call of a compiled program and stored together."""

    structure: Structure
    cells: tuple[Cell, ...]


def cut(grid: Grid, cells_per_chunk: int) -> tuple[Chunk, ...]:
    """The chunks of a grid, structure by structure."""
    return tuple(
        Chunk(structure, structure.cells[start : start + cells_per_chunk])
        for structure in grid.structures
        for start in range(0, len(structure.cells), cells_per_chunk)
    )


class Place(NamedTuple):
    """Where a cell is stored: the folder of its chunk, its row there, how many recorded steps it has gone through."""

    folder: Path
    row: int
    recorded: int


class RunDir(NamedTuple):
    """Where the files of a run are."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def environment_file(self) -> Path:
        return self.path / "environment.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.nc"

    @property
    def summary_file(self) -> Path:
        return self.path / "summary.csv"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def chunks(self) -> Path:
        return self.path / "chunks"

    @property
    def unfinished(self) -> Path:
        return self.path / "unfinished"


def save_cells(folder: Path, cells: Sequence[Cell], rows: Sequence[int], recorded: int, tree: checkpoint.Tree) -> Path:
    """Writes the arrays of these cells into a folder of chunks, atomically and by all processes; gives where.

    Args:
      folder: `chunks` or `unfinished` of a run directory.
      cells: the cells, of one structure.
      rows: the place of each along the first axis of the arrays.
      recorded: how many recorded steps they have gone through.
      tree: nested dicts of arrays.

    Raises:
      OSError: if it cannot be written.
    """
    keys = [cell.key for cell in cells]
    description = {
        "cells": {axis: list(values) for axis, values in zip(AXES, zip(*keys, strict=True), strict=True)},
        "rows": rows,
        "recorded": recorded,
        "recorded_steps": recorded_steps(cells[0].structure_config),
        "kept_steps": kept_steps(cells[0].structure_config),
    }
    path = folder / hashlib.sha256(json.dumps([keys, recorded]).encode()).hexdigest()[:16]
    checkpoint.save(path, tree, description)
    return path


def stored_cells(folder: Path, damaged: Collection[Path] = ()) -> dict[CellKey, Place]:
    """Where in a folder of chunks each cell is; the furthest where it is there more than once.

    Args:
      folder: `chunks` or `unfinished` of a run directory.
      damaged: chunks not to look at.

    Raises:
      DamagedError: if the description of another chunk is not what was saved.
    """
    places: dict[CellKey, Place] = {}
    for path in checkpoint.saved(folder):
        if path not in damaged:
            description = checkpoint.load_metadata(path)
            for row, key in zip(description["rows"], _keys(description), strict=True):
                if key not in places or places[key].recorded < description["recorded"]:
                    places[key] = Place(path, row, description["recorded"])
    return places


def stored_keys(path: Path) -> list[CellKey]:
    """What the cells of one chunk are.

    Raises:
      DamagedError: if its description is not what was saved.
    """
    return _keys(checkpoint.load_metadata(path))


def _keys(description: dict[str, Any]) -> list[CellKey]:
    return list(zip(*(description["cells"][axis] for axis in AXES), strict=True))


def read_config(run_dir: RunDir) -> Config:
    """The config of a run directory.

    Raises:
      RunError: if there is no run directory at the path, or its config cannot be read.
    """
    if not run_dir.config_file.is_file():
        raise RunError(f"{run_dir.path} is not a run directory: it has no {run_dir.config_file.name}.")
    environment = read_environment(run_dir)
    if environment and environment.get("format") != FORMAT:
        raise RunError(
            f"{run_dir.path} has format {environment.get('format', 1)}, but this rw_jax reads format {FORMAT}; "
            f"commit {environment.get('commit')} wrote it."
        )
    try:
        return from_json(run_dir.config_file.read_text())
    except (ConfigError, OSError, UnicodeDecodeError) as error:
        raise RunError(f"{run_dir.config_file} cannot be read: {str(error).rstrip('.')}.") from error


def read_environment(run_dir: RunDir) -> dict[str, Any]:
    """What the last call on a run directory wrote about itself; empty before the first has.

    Raises:
      RunError: if it cannot be read.
    """
    if not run_dir.environment_file.is_file():
        return {}
    try:
        environment = json.loads(run_dir.environment_file.read_text())
        return dict(environment)
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{run_dir.environment_file} cannot be read: {str(error).rstrip('.')}.") from error


def gather_metrics(run_dir: RunDir, config: Config) -> xr.Dataset:
    """The metrics of all finished cells, on the dimensions of the grid and "step"; NaN where a cell is missing.

    Beside METRICS there is `diverged_at`, on the grid's dimensions alone: the first recorded step whose training loss
    is NaN or infinite; NaN if none is.

    Raises:
      RunError: if a chunk is damaged.
    """
    grid = expand(config)
    steps = sorted({step for structure in grid.structures for step in recorded_steps(structure.config)})
    values = {name: np.full((*grid.shape, len(steps)), np.nan) for name in METRICS}
    diverged_at = np.full(grid.shape, np.nan)
    with _damage_explained():
        places = stored_cells(run_dir.chunks)
        for structure in grid.structures:
            recorded = np.array(recorded_steps(structure.config))
            at = np.searchsorted(steps, recorded)
            by_folder: dict[Path, list[tuple[Cell, int]]] = {}
            for cell in structure.cells:
                if (place := places.get(cell.key)) is not None:
                    by_folder.setdefault(place.folder, []).append((cell, place.row))
            for folder, cells in by_folder.items():
                stored = checkpoint.load(folder, "metrics")
                index = tuple(np.array([cell.index for cell, _ in cells], int).T)
                rows = [row for _, row in cells]
                for name, stack_CxT in stored.items():
                    values[name][(*(i[:, None] for i in index), at[None])] = stack_CxT[rows]
                lost_CxT = ~np.isfinite(stored["train_loss"][rows])
                first_C = np.where(lost_CxT.any(axis=1), recorded[lost_CxT.argmax(axis=1)], np.nan)
                diverged_at[index] = first_C.reshape(diverged_at[index].shape)
    dims = tuple(dimension.name for dimension in grid.dimensions)
    variables = {
        name: ((*dims, "step"), array, {"long_name": METRICS[name][0], "units": METRICS[name][1]})
        for name, array in values.items()
    }
    about = {
        "long_name": "first recorded step whose training loss is NaN or infinite",
        "units": "gradient descent steps",
    }
    coordinates: dict[str, Any] = {"step": ("step", steps, {"long_name": "gradient descent steps"})}
    for dimension in grid.dimensions:
        for place, axis in enumerate(dimension.axes):
            coordinates[axis] = (dimension.name, [labels[place] for labels in dimension.labels])
    return xr.Dataset({**variables, "diverged_at": (dims, diverged_at, about)}, coordinates)


@contextlib.contextmanager
def _damage_explained() -> Generator[None]:
    try:
        yield
    except checkpoint.DamagedError as error:
        raise RunError(f"{str(error).rstrip('.')}; the command of the run trains its cells again.") from error


def write_metrics(run_dir: RunDir, metrics: xr.Dataset) -> None:
    """Writes metrics.nc, atomically."""
    unfinished = run_dir.path / "metrics.nc.tmp"
    # The checksum of each array is looked at when it is read.
    encoding = {name: {"fletcher32": True} for name, array in metrics.data_vars.items() if array.ndim}
    metrics.to_netcdf(unfinished, engine="h5netcdf", encoding=encoding)
    os.replace(unfinished, run_dir.metrics_file)


def load_run(path: str | os.PathLike[str]) -> "Run":
    """Opens a run directory for analysis, finished or not, on whatever machine.

    Raises:
      RunError: if there is no run directory at the path, or its config cannot be read.
    """
    run_dir = RunDir(Path(path))
    config = read_config(run_dir)
    return Run(run_dir, config, read_environment(run_dir))


@dataclasses.dataclass(frozen=True)
class Run:
    """A run directory, by label.

    Cells are named by their labels: `run.params(step=50, p=0.5, seed=3)`. An axis with one label may be left out, and a
    field that is no axis may be given if it has that value.

    Attributes:
      run_dir: where its files are.
      config: the frozen config.
      environment: versions, devices, commit, command, timings.
    """

    run_dir: RunDir
    config: Config
    environment: dict[str, Any]

    @functools.cached_property
    def metrics(self) -> xr.Dataset:
        """Every metric, float64, on the grid's dimensions and "step"; NaN where it is not finished.

        Beside them `diverged_at`, as in gather_metrics.

        Raises:
          RunError: if a file is damaged.
        """
        file = self.run_dir.metrics_file
        if not file.is_file():
            return gather_metrics(self.run_dir, self.config)
        try:
            return xr.load_dataset(file, engine="h5netcdf")
        except Exception as error:  # whatever HDF5 makes of a file that is not as it was
            raise RunError(f"{file} is damaged; without it the metrics are gathered from the chunks.") from error

    @functools.cached_property
    def grid(self) -> Grid:
        """The table of cells."""
        return expand(self.config)

    @property
    def steps(self) -> tuple[int, ...]:
        """The recorded steps with parameters; where `steps` is an axis, those of all its labels."""
        return tuple(sorted({step for structure in self.grid.structures for step in kept_steps(structure.config)}))

    def params(self, *, step: int, **labels: Scalar) -> Params:
        """The parameters of one run, as NumPy arrays by name: value, and key_query or state_scores and position_scores.

        Raises:
          RunError: for a label that is not in the grid, a step that was not recorded, or a cell that is not finished.
        """
        return self._kept(step, labels, "params")

    def mean_attention(self, *, step: int, **labels: Scalar) -> np.ndarray:
        """Attention weights of one run averaged over its test walks, float[N]. Errors as `params`."""
        return self._kept(step, labels, "mean_attention")

    def value_matrix(self, *, step: int, **labels: Scalar) -> np.ndarray:
        """V of one run, float[K, K]. Errors as `params`."""
        return self._kept(step, labels, "params", "value")

    def key_query_matrix(self, *, step: int, **labels: Scalar) -> np.ndarray:
        """W of one run, float[D, D]; rebuilt from the reduced form if that is what was trained. Errors as `params`."""
        params, cell = self.params(step=step, **labels), self.cell(**labels)
        if "key_query" in params:
            return params["key_query"]
        with self._precision():
            start = _start(cell.structure_config.replace(form="full"))(train.run_values(cell.config)).params
            return np.asarray(reduced.rebuild(jax.tree.map(jnp.asarray, params), start)["key_query"])

    def walks(self, split: str, **labels: Scalar) -> tuple[np.ndarray, np.ndarray]:
        """The walks of one run, drawn again from its seed: (tokens int[B, N-1], targets int[B]).

        Args:
          split: "train" or "test".
          **labels: the cell; errors as `params`.
        """
        return self._walks(split, labels)[:2]

    def walk_weights(self, split: str, **labels: Scalar) -> np.ndarray:
        """The weight of each of `walks` in every mean over them, float[B]: 1, or its probability in the population.

        Args and errors as `walks`.
        """
        return self._walks(split, labels)[2]

    def _walks(self, split: str, labels: dict[str, Scalar]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if split not in ("train", "test"):
            raise RunError(f"split is {split!r}, but must be 'train' or 'test'.")
        cell = self.cell(**labels)
        with self._precision():
            walks = _sample(cell.structure_config, split)(train.run_values(cell.config))
        return np.asarray(walks.tokens), np.asarray(walks.targets), np.asarray(walks.weights)

    def averaged_tokens(self, tokens: np.ndarray | None = None, *, step: int, **labels: Scalar) -> np.ndarray:
        """The averaged token X S of each walk, float[B, K]: the attention weight on each state. Args as `attention`."""
        if tokens is None:
            tokens, _ = self.walks("test", **labels)
        attention_BxL = self.attention(tokens, step=step, **labels)[:, :-1]
        states = range(self.cell(**labels).config.task.num_nodes)
        return np.stack([np.sum(attention_BxL, axis=1, where=tokens == k) for k in states], axis=1)

    def attention(self, tokens: np.ndarray | None = None, *, step: int, **labels: Scalar) -> np.ndarray:
        """Attention weights of one run, float[B, N]: N - 1 tokens and, last, the empty slot.

        Args:
          tokens: int[B, N-1], states 0..K-1; None for the run's own test walks.
          step: a step with recorded parameters.
          **labels: the cell; errors as `params`.
        """
        params, config = self.params(step=step, **labels), self.cell(**labels).structure_config
        if tokens is None:
            tokens, _ = self.walks("test", **labels)
        tokens = np.asarray(tokens)
        length = config.task.walk_length - 1
        if tokens.shape[1:] != (length,) or not tokens.size or not np.issubdtype(tokens.dtype, np.integer):
            given = f"{tokens.dtype}{list(tokens.shape)}"
            raise RunError(f"tokens are {given}, but must be integers of shape [B, {length}] with B at least 1.")
        if not 0 <= tokens.min() <= tokens.max() < config.task.num_nodes:
            raise RunError(
                f"tokens run from {tokens.min()} to {tokens.max()}, but must lie in 0..{config.task.num_nodes - 1}."
            )
        with self._precision():
            return np.asarray(_forward(config)(params, jnp.asarray(tokens).T).attention).T

    def cell(self, **labels: Scalar) -> Cell:
        """The cell with these labels. Errors as `params`."""
        index = []
        for dimension, places in zip(self.grid.dimensions, self._places_of_labels, strict=True):
            given = {axis: labels.pop(axis) for axis in dimension.axes if axis in labels}
            place = None
            with contextlib.suppress(TypeError):  # what is no label need not be hashable
                place = places.get(tuple(given.get(axis) for axis in dimension.axes))
            index.append(_place(dimension, given) if place is None else place)
        for axis, label in labels.items():
            if axis not in AXES:
                raise RunError(f"{axis} is no axis of a grid; the axes of this run are {_listed(self._axes)}.")
            if not same_label(label, self.config.value(axis)):
                raise RunError(f"{axis} is {label!r}, but this run has {self.config.value(axis)!r} only.")
        return self._cells[tuple(index)]

    def groups(self, over: str = "seed", **labels: Scalar) -> list["Group"]:
        """The finished runs that have these labels, in groups that differ in `over` alone, in the order of the grid.

        Args:
          over: the axis that each group is over.
          **labels: fields and their values, axes or not; a run that differs in one is left out.

        Raises:
          RunError: if a label names no field, or no finished run has them.
        """
        unknown = [axis for axis in labels if axis not in AXES]
        if unknown:
            raise RunError(f"{unknown[0]} is no axis of a grid; those are {', '.join(AXES)}.")
        finished = self.metrics["optimal_accuracy"].notnull().any("step").values
        together: dict[tuple, tuple[dict[str, Scalar], list[Cell]]] = {}
        for cell in self.grid.cells:
            if finished[cell.index] and all(
                same_label(cell.config.value(axis), label) for axis, label in labels.items()
            ):
                others = {axis: label for axis, label in cell.labels.items() if axis != over}
                together.setdefault(tuple(others.items()), (others, []))[1].append(cell)
        if not together:
            asked = ", ".join(f"{axis} = {label!r}" for axis, label in labels.items())
            grid = "; ".join(f"{axis} = {', '.join(map(str, there))}" for axis, there in self.config.grid)
            raise RunError(f"No finished run has {asked}; the grid has {grid or 'no axes'}.")
        return [Group(self, others, tuple(cells)) for others, cells in together.values()]

    def transition_matrix(self, **labels: Scalar) -> np.ndarray | None:
        """Pi of a cell, float64[K, K]; None if no chain of one token gives the law of the next state."""
        cell = self.cell(**labels)
        with jax.enable_x64(True):
            transition_KxK = train.transition_to_compare(cell.config, cell.config.task.p)
            return None if transition_KxK is None else np.asarray(transition_KxK)

    @functools.cached_property
    def _places_of_labels(self) -> list[dict[tuple[Scalar | None, ...], int]]:
        """For each dimension the place of its labels: to look through all of them for each of many cells takes long."""
        return [{labels: i for i, labels in enumerate(dimension.labels)} for dimension in self.grid.dimensions]

    @functools.cached_property
    def _axes(self) -> tuple[str, ...]:
        return tuple(axis for dimension in self.grid.dimensions for axis in dimension.axes)

    @functools.cached_property
    def _cells(self) -> dict[tuple[int, ...], Cell]:
        return {cell.index: cell for structure in self.grid.structures for cell in structure.cells}

    @functools.cached_property
    def _places(self) -> dict[CellKey, Place]:
        with _damage_explained():
            return stored_cells(self.run_dir.chunks)

    def _kept(self, step: int, labels: dict[str, Scalar], *names: str) -> Any:
        """The part under these names of what a cell keeps at a step."""
        cell = self.cell(**labels)
        steps = kept_steps(cell.config)
        if step not in steps:
            raise RunError(f"step is {step!r}, but parameters were recorded at steps {_listed(steps)}.")
        if cell.key not in self._places:
            done = sum(cell.key in self._places for cell in self._cells.values())
            raise RunError(
                f"This cell is not finished: the run has {done} of its {len(self._cells)} cells; run its command again."
            )
        place = self._places[cell.key]
        with _damage_explained():
            return jax.tree.map(lambda stack: stack[place.row, steps.index(step)], self._load(place.folder, *names))

    @functools.cached_property
    def _load(self) -> Callable[..., checkpoint.Tree]:
        # Cells are mostly asked for one after another; a chunk with every entry of W is large, so few are kept.
        return functools.lru_cache(maxsize=4)(checkpoint.load)

    @contextlib.contextmanager
    def _precision(self) -> Generator[None]:
        """What analysis computes in: the run's own precision, as a sweep sets it for the process."""
        with jax.enable_x64(self.config.precision == "float64"), jax.default_matmul_precision("highest"):
            yield


@dataclasses.dataclass(frozen=True)
class Group:
    """Finished runs that differ in one axis alone, mostly the seed.

    Attributes:
      run: where they are.
      labels: what they have in common on the other axes of the grid.
      cells: the runs, at least one.
    """

    run: Run
    labels: dict[str, Scalar]
    cells: tuple[Cell, ...]

    @property
    def config(self) -> Config:
        """The config of the first of them."""
        return self.cells[0].config

    @property
    def steps(self) -> np.ndarray:
        """The T steps at which metrics were recorded."""
        return np.array(recorded_steps(self.config))

    def metric(self, name: str) -> np.ndarray:
        """A metric of each run at its recorded steps, float[runs, T]."""
        return metric_of(self.run, name, self.cells)


def metric_of(run: Run, name: str, cells: Sequence[Cell]) -> np.ndarray:
    """A metric of runs that differ in their seed alone at their T recorded steps, float[runs, T]."""
    recorded = np.searchsorted(run.metrics["step"].values, recorded_steps(cells[0].config))
    values = run.metrics[name].values
    return np.stack([values[cell.index][recorded] for cell in cells])


# What is called for one run after another is compiled once; by itself, each of its operations would be, one by one.
@functools.lru_cache(maxsize=8)
def _forward(structure: Config) -> Callable[[Params, jax.Array], Output]:
    """The model of a structure, compiled."""
    return jax.jit(train.make_learner(structure).apply)


@functools.lru_cache(maxsize=8)
def _sample(structure: Config, split: str) -> Callable[[train.RunValues], Walks]:
    """The training or the test walks of a run of a structure, compiled; the others are not drawn."""
    return jax.jit(lambda values: train.sample_walks(structure, values)[split == "test"])


@functools.lru_cache(maxsize=8)
def _start(structure: Config) -> Callable[[train.RunValues], train.TrainState]:
    """The state at step 0 of a run of a structure, compiled."""
    return jax.jit(functools.partial(train.init, structure))


def _place(dimension: Dimension, given: dict[str, Scalar]) -> int:
    """The place along a dimension that the given labels name, exactly or, if none is, but for rounding."""
    for same in (operator.eq, same_label):
        places = [
            place
            for place, labels in enumerate(dimension.labels)
            if all(
                same(given[axis], label) for axis, label in zip(dimension.axes, labels, strict=True) if axis in given
            )
        ]
        if len(places) == 1:
            return places[0]
    name = ", ".join(dimension.axes)
    there = _listed(labels[0] if len(labels) == 1 else labels for labels in dimension.labels)
    if not given:
        raise RunError(f"{name} is not given, but the run has {there}.")
    asked = ", ".join(f"{axis} = {label!r}" for axis, label in given.items())
    problem = "more than one cell has" if places else "no cell has"
    raise RunError(f"{problem} {asked}; the run has {name} = {there}.")


def same_label(one: Scalar, other: Scalar) -> bool:
    """Whether two labels are the same, numbers with a fraction but for the rounding of arithmetic on them."""
    if isinstance(one, numbers.Real) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other


def _listed(labels: Any) -> str:
    """Labels for a message, the middle of a long list left out."""
    words = [str(label) for label in labels]
    if len(words) > 24:
        words = [*words[:12], "...", *words[-4:]]
    return ", ".join(words) or "none"
