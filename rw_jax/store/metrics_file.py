"""The metrics of a study as one labelled dataset, and the file that keeps it: the door to xarray's files."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from rw_jax.store.layout import write_atomically
from rw_jax.store.products import identity
from rw_jax.study.errors import RunError
from rw_jax.study.grid import Grid, recorded_steps
from rw_jax.training.metrics import METRICS

_ABOUT = {metric.name: metric for metric in METRICS}


def dataset(grid: Grid, parts: Iterable[tuple[np.ndarray, dict[str, np.ndarray]]]) -> xr.Dataset:
    """The metrics of finished cells on the dimensions of the grid and "step"; NaN where a cell is missing.

    Beside them there are, on the grid's dimensions alone, `finished`, and `diverged_at`: the first recorded step whose
    training loss is NaN or infinite; NaN if none is.

    Args:
      grid: the grid.
      parts: numbers of cells of one structure, and their metrics by name, each with their axis and that of steps first.
    """
    by_steps = {steps: np.array(recorded_steps(grid.config.replace(steps=steps))) for steps in _labels(grid, "steps")}
    steps = np.array(sorted({step for recorded in by_steps.values() for step in recorded}))
    values: dict[str, np.ndarray] = {}
    finished, diverged_at = np.zeros(grid.num_cells, bool), np.full(grid.num_cells, np.nan)
    for cells, metrics in parts:
        recorded = by_steps[grid.cell(cells[0]).config.training.steps]
        at = np.searchsorted(steps, recorded)
        for name, stack in metrics.items():
            inner, known = stack.shape[2:], values.get(name)
            if known is None:
                values[name] = known = np.full((grid.num_cells, len(steps), *inner), np.nan)
            more = [max(0, size - old) for size, old in zip(inner, known.shape[2:], strict=True)]
            if any(more):  # of one structure heads, layers or the like are more than of another
                values[name] = known = np.pad(
                    known, [(0, 0), (0, 0), *((0, size) for size in more)], constant_values=np.nan
                )
            known[(cells[:, None], at, *(slice(size) for size in inner))] = stack
        finished[cells] = True
        if "train_loss" in metrics:
            lost = ~np.isfinite(metrics["train_loss"])
            diverged_at[cells] = np.where(lost.any(axis=1), recorded[lost.argmax(axis=1)], np.nan)
    dims = tuple(dimension.name for dimension in grid.dimensions)
    names = [*(name for name in _ABOUT if name in values), *(name for name in values if name not in _ABOUT)]
    variables = {name: _variable(grid, name, values[name]) for name in names}
    coordinates: dict[str, Any] = {"step": ("step", steps, {"long_name": "gradient descent steps"})}
    for dimension in grid.dimensions:
        for place, axis in enumerate(dimension.axes):
            coordinates[axis] = (dimension.name, [labels[place] for labels in dimension.labels])
    diverged = {
        "long_name": "first recorded step whose training loss is NaN or infinite",
        "units": "gradient descent steps",
    }
    of_cells = {
        "diverged_at": (dims, diverged_at.reshape(grid.shape), diverged),
        "finished": (dims, finished.reshape(grid.shape), {"long_name": "whether the run is trained"}),
    }
    return xr.Dataset({**variables, **of_cells}, coordinates)


def _variable(grid: Grid, name: str, array: np.ndarray) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    metric = _ABOUT.get(name)
    dims = (*(dimension.name for dimension in grid.dimensions), "step", *(metric.dims if metric else ()))
    about = {"long_name": metric.about, "units": metric.unit} if metric else {}
    return dims, array.reshape(*grid.shape, *array.shape[1:]), about


def _labels(grid: Grid, axis: str) -> tuple[Any, ...]:
    return dict(grid.config.grid).get(axis, (grid.config.value(axis),))


def write(path: Path, grid: Grid, metrics: xr.Dataset) -> None:
    """Writes metrics.nc, atomically, with the digest of its study and its axes.

    Raises:
      OSError: naming the file, if it cannot be written.
    """
    # The checksum of each array is looked at when it is read.
    encoding = {name: {"fletcher32": True} for name, array in metrics.data_vars.items() if array.ndim}
    save(path, metrics.assign_attrs(rw_jax=identity(grid)), encoding)


def save(path: Path, numbers: xr.Dataset, encoding: Mapping[Any, Any]) -> None:
    """Writes a dataset as netCDF, atomically, each variable as its encoding says. Raises: OSError, as `write`."""
    content = io.BytesIO()  # where the disk is full, HDF5 brings the process down
    numbers.to_netcdf(content, engine="h5netcdf", encoding=encoding)
    write_atomically(path, content.getvalue())


def load(content: bytes) -> xr.Dataset:
    """The dataset in a netCDF file."""
    return xr.load_dataset(io.BytesIO(content), engine="h5netcdf")


def read(path: Path, grid: Grid) -> xr.Dataset:
    """The metrics in a file.

    Raises:
      RunError: if it cannot be read, is damaged, or is of another study or grid.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}).") from error
    try:
        metrics = load(content)
    except Exception as error:  # whatever HDF5 makes of a file that is not as it was
        raise RunError(f"{path} is not as it was written; the command of the run makes it again.") from error
    if metrics.attrs.get("rw_jax") != identity(grid):
        raise RunError(f"{path} is of another study than the config.json beside it; the command of the run makes it "
                       "again.")  # fmt: skip
    return metrics.drop_attrs(deep=False)
