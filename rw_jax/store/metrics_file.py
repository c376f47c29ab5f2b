"""The metrics of a study as one labelled dataset, and the file that keeps it: the door to xarray's files."""

import io
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import h5netcdf
import numpy as np
import xarray as xr

from rw_jax.store.chunks import About
from rw_jax.store.layout import replaced, write_atomically
from rw_jax.store.products import identity
from rw_jax.study.config import ALWAYS
from rw_jax.study.errors import RunError
from rw_jax.study.grid import Grid, recorded_steps

Parts = Iterable[tuple[np.ndarray, Mapping[str, np.ndarray]]]
"""Numbers of cells of one structure, and their metrics by name, each with their axis and that of steps first."""

Abouts = Mapping[str, About]
"""What each metric is, by name; of one that is not here its axes have no names."""

_BYTES_AT_ONCE, _BYTES_OF_BLOCK, _SMALL = 2**27, 2**20, 2**26


def dataset(grid: Grid, parts: Parts, abouts: Abouts) -> xr.Dataset:
    """The metrics of finished cells on the dimensions of the grid and "step"; NaN where a cell is missing.

    Beside them there are, on the grid's dimensions alone, `finished`, and `diverged_at`: the first recorded step whose
    training loss is NaN or infinite; NaN if none is.

    Args:
      grid: the grid.
      parts: the metrics of the cells that are finished.
      abouts: what they are.
    """
    parts = list(parts)
    shapes = _shapes(parts, abouts)
    found = _filled(grid, range(grid.num_cells), parts, shapes)
    metrics = {
        name: (
            _dims(grid, name, shapes, abouts),
            array.reshape(*grid.shape, *array.shape[1:]),
            _attributes(name, abouts),
        )
        for name, array in found.values.items()
    }
    return _fixed(xr.Dataset({**metrics, **_of_cells(grid, found.finished, found.diverged_at)}, _coordinates(grid)))


def _fixed(metrics: xr.Dataset, *but: str) -> xr.Dataset:
    """Loads all variables but those along one of these dimensions, and has nobody write into them."""
    for name, variable in metrics.variables.items():
        if name in but or not set(but) & set(variable.dims):
            variable.load().values.flags.writeable = False
    return metrics


class _Found(NamedTuple):
    """Of some cells, one after another: their metrics by name, whether they are finished, and where they diverged."""

    values: dict[str, np.ndarray]
    finished: np.ndarray
    diverged_at: np.ndarray


def _filled(grid: Grid, cells: range, parts: Parts, shapes: Mapping[str, tuple[int, ...]]) -> _Found:
    """What parts hold of cells that follow one another; NaN where they hold nothing."""
    steps, by_steps = _steps(grid)
    values = {name: np.full((len(cells), len(steps), *inner), np.nan) for name, inner in shapes.items()}
    finished, diverged_at = np.zeros(len(cells), bool), np.full(len(cells), np.nan)
    for numbers, metrics in parts:
        here = numbers - cells.start
        recorded = by_steps[grid.cell(numbers[0]).config.training.steps]
        at = np.searchsorted(steps, recorded)
        for name, stack in metrics.items():
            # Of another structure heads, layers or the like may be more.
            values[name][(here[:, None], at, *(slice(size) for size in stack.shape[2:]))] = stack
        finished[here] = True
        if ALWAYS in metrics:
            lost = ~np.isfinite(metrics[ALWAYS])
            diverged_at[here] = np.where(lost.any(axis=1), recorded[lost.argmax(axis=1)], np.nan)
    return _Found(values, finished, diverged_at)


def _shapes(parts: Parts, abouts: Abouts) -> dict[str, tuple[int, ...]]:
    """The axes of each metric behind that of steps, as large as in any part; in the order of `abouts`."""
    found, sizes = dict[str, tuple[int, ...]](), dict[str, int]()
    for _, metrics in parts:
        for name, stack in metrics.items():
            found[name] = stack.shape[2:]
            for dim, size in zip(_inner_dims(name, found, abouts), found[name], strict=True):
                sizes[dim] = max(size, sizes.get(dim, 0))
    names = [*(name for name in abouts if name in found), *(name for name in found if name not in abouts)]
    return {name: tuple(sizes[dim] for dim in _inner_dims(name, found, abouts)) for name in names}


def _inner_dims(name: str, shapes: Mapping[str, tuple[int, ...]], abouts: Abouts) -> tuple[str, ...]:
    return abouts[name].dims if name in abouts else tuple(f"{name}_{i}" for i in range(len(shapes[name])))


def _steps(grid: Grid) -> tuple[np.ndarray, dict[Any, np.ndarray]]:
    """The recorded steps of all cells, and those of the cells with so many steps."""
    labels = grid.config.labels("steps")
    by_steps = {steps: np.array(recorded_steps(grid.config.replace(steps=steps))) for steps in labels}
    return np.array(sorted({step for recorded in by_steps.values() for step in recorded.tolist()})), by_steps


def _coordinates(grid: Grid) -> dict[str, Any]:
    coordinates: dict[str, Any] = {"step": ("step", _steps(grid)[0], {"long_name": "gradient descent steps"})}
    for dimension in grid.dimensions:
        for place, axis in enumerate(dimension.axes):
            coordinates[axis] = (dimension.name, [labels[place] for labels in dimension.labels])
    return coordinates


def _of_cells(grid: Grid, finished: np.ndarray, diverged_at: np.ndarray) -> dict[str, Any]:
    """The variables that have no steps."""
    dims = tuple(dimension.name for dimension in grid.dimensions)
    diverged = {
        "long_name": "first recorded step whose training loss is NaN or infinite",
        "units": "gradient descent steps",
    }
    return {
        "diverged_at": (dims, diverged_at.reshape(grid.shape), diverged),
        "finished": (dims, finished.reshape(grid.shape), {"long_name": "whether the run is trained"}),
    }


def _dims(grid: Grid, name: str, shapes: Mapping[str, tuple[int, ...]], abouts: Abouts) -> tuple[str, ...]:
    return *(dimension.name for dimension in grid.dimensions), "step", *_inner_dims(name, shapes, abouts)


def _attributes(name: str, abouts: Abouts) -> dict[str, str]:
    about = abouts.get(name)
    return {"long_name": about.meaning, "units": about.unit} if about else {}


def write(path: Path, grid: Grid, load: Callable[[np.ndarray], Parts], abouts: Abouts) -> None:
    """Writes metrics.nc, atomically, with the digest of its study and its axes; as `dataset`, but never all in memory.

    Args:
      path: the file.
      grid: the grid.
      load: (numbers of cells) -> the metrics of those of them that are finished.
      abouts: what they are.

    Raises:
      OSError: naming the file, if it cannot be written.
    """
    shapes = _shapes((part for structure in grid.structures for part in load(structure.cells[:1])), abouts)
    num_steps = len(_steps(grid)[0])
    bytes_of_cell = 8 * num_steps * max(1, sum(math.prod(inner) for inner in shapes.values()))
    empty = xr.Dataset(coords=_coordinates(grid), attrs={"rw_jax": identity(grid)})
    with replaced(path) as unfinished, _Disk(unfinished, "x+") as file:
        file.write(_netcdf(empty, {}))
        with h5netcdf.File(file, "r+") as netcdf:
            for name, inner in shapes.items():
                variable = _create(netcdf, name, _dims(grid, name, shapes, abouts), grid.shape, (num_steps, *inner))
                variable.attrs.update(_attributes(name, abouts))
            finished, diverged_at = np.zeros(grid.num_cells, bool), np.full(grid.num_cells, np.nan)
            for slab, cells in _slabs(grid.shape, max(1, _BYTES_AT_ONCE // bytes_of_cell)):
                numbers = np.arange(cells.start, cells.stop)
                found = _filled(grid, cells, load(numbers), shapes)
                of_slab = tuple(part.stop - part.start for part in slab)
                for name, array in found.values.items():
                    netcdf.variables[name][slab] = array.reshape(*of_slab, *array.shape[1:])
                finished[numbers], diverged_at[numbers] = found.finished, found.diverged_at
            for name, (dims, array, attributes) in _of_cells(grid, finished, diverged_at).items():
                is_bool = array.dtype == bool  # netCDF has none: as xarray writes it
                variable = netcdf.create_variable(name, dims, data=array.astype("i1") if is_bool else array)
                variable.attrs.update(attributes | ({"dtype": "bool"} if is_bool else {}))


def _create(
    netcdf: h5netcdf.File, name: str, dims: tuple[str, ...], shape: tuple[int, ...], inner: tuple[int, ...]
) -> Any:
    """Makes a variable with these axes behind those of the grid, `shape`, in blocks with checksums."""
    for dim, size in zip(dims[len(shape) + 1 :], inner[1:], strict=True):
        if dim not in netcdf.dimensions:
            netcdf.dimensions[dim] = size
    block, left = inner, _BYTES_OF_BLOCK // (8 * math.prod(inner))
    for size in reversed(shape):
        block = (max(1, min(size, left)), *block)
        left //= block[0]
    return netcdf.create_variable(name, dims, "f8", fillvalue=np.nan, chunks=block, fletcher32=True)


def _slabs(shape: tuple[int, ...], most: int) -> Iterator[tuple[tuple[slice, ...], range]]:
    """Parts of an array of cells, in C order, of at most so many: where each is, and the numbers of its cells."""
    if not shape:
        yield (), range(1)
        return
    inner = math.prod(shape[1:])
    if inner <= most:
        rows = most // inner
        for start in range(0, shape[0], rows):
            stop = min(start + rows, shape[0])
            yield (slice(start, stop), *(slice(0, size) for size in shape[1:])), range(start * inner, stop * inner)
        return
    for i in range(shape[0]):
        for slab, cells in _slabs(shape[1:], most):
            yield (slice(i, i + 1), *slab), range(i * inner + cells.start, i * inner + cells.stop)


class _Disk(io.FileIO):
    """A file whose first error is raised when it is closed: HDF5 brings the process down where it cannot write."""

    _error: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while len(left) and self._error is None:
                left = left[super().write(left) :]
        except OSError as error:
            self._error = error
        return size

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Raises: OSError, if something could not be written, whatever else came of it."""
        super().__exit__(exc_type, exc_val, exc_tb)
        if self._error is not None:
            raise self._error


def save(path: Path, numbers: xr.Dataset, encoding: Mapping[Any, Any]) -> None:
    """Writes a dataset as netCDF, atomically, each variable as its encoding says. Raises: OSError, as `write`."""
    write_atomically(path, _netcdf(numbers, encoding))


def _netcdf(numbers: xr.Dataset, encoding: Mapping[Any, Any]) -> bytes:
    content = io.BytesIO()  # on a full disk HDF5 crashes the process
    numbers.to_netcdf(content, engine="h5netcdf", encoding=encoding)
    return content.getvalue()


def load(content: bytes) -> xr.Dataset:
    """The dataset in a netCDF file."""
    return xr.load_dataset(io.BytesIO(content), engine="h5netcdf")


class _Held(io.FileIO):
    """A file that stays the one that was opened, whatever stands at its path later: xarray closes and opens files.

    Other threads and processes have a place of their own in it. Sent to another process, it is opened anew there.

    Raises:
      RunError: if it is another one by then.
    """

    def __init__(self, path: Path, seen: tuple[int, ...] | None = None) -> None:
        super().__init__(path, "r")
        about = os.fstat(self.fileno())
        self._path, self._at, self._seen = path, 0, (about.st_size, about.st_mtime_ns)
        if seen not in (None, self._seen):
            raise RunError(f"{path} is another file than the one whose numbers were asked for; open the run anew.")

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._seen[0]}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        if not hasattr(os, "pread"):
            super().seek(self._at)
            read = super().readinto(buffer) or 0
        else:
            content = os.pread(self.fileno(), memoryview(buffer).nbytes, self._at)
            read = len(content)
            memoryview(buffer).cast("B")[:read] = content
        self._at += read
        return read

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(self._seen[0] - self._at, 0)
        content = bytearray(left if size is None or size < 0 else min(size, left))
        return bytes(content[: self.readinto(content)])

    def __reduce_ex__(self, protocol: Any, /) -> tuple[Any, ...]:
        return _Held, (self._path, self._seen)

    def __del__(self) -> None:
        self.close()  # else Python warns of a file that nobody closed


def read(path: Path, grid: Grid) -> xr.Dataset:
    """The metrics in a file; those of a large one are read when they are asked for.

    Raises:
      RunError: if it cannot be read, is damaged, or is of another study or grid.
    """
    try:
        content = path.read_bytes() if path.stat().st_size <= _SMALL else None
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}).") from error
    try:
        if content is None:  # what is read of it later is not kept, so that memory is bounded
            metrics = _fixed(xr.open_dataset(_Held(path), engine="h5netcdf", cache=False), "step")
        else:
            metrics = _fixed(load(content))
    except Exception as error:  # whatever HDF5 makes of a file that is not as it was
        raise RunError(f"{path} is not as it was written; the command of the run makes it again.") from error
    if metrics.attrs.pop("rw_jax", None) != identity(grid):
        metrics.close()
        raise RunError(f"{path} is of another study than the config.json beside it; the command of the run makes it "
                       "again.")  # fmt: skip
    return metrics
