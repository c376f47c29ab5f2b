"""Going on with a run directory: whether it can be used, what in it is damaged, and which cells are missing."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from absl import logging

from rw_jax import checkpoint, lock
from rw_jax.config import AXES, Config, ConfigError, differences
from rw_jax.grid import Cell, Grid, Structure, expand
from rw_jax.run_dir import RunDir, RunError, read_config, read_environment, stored_cells, write_atomically


def check(run_dir: RunDir, config: Config, grid: Grid) -> Config | None:
    """The config of the run directory, None if it is new; refuses one that holds anything but runs of this grid."""
    path = run_dir.path
    try:
        if path.exists() and not path.is_dir():
            raise ConfigError(f"workdir is {path}, which is a file, but must be a folder or not be there yet.")
        # A first start that was killed while it wrote the config leaves only its lock and its unfinished file.
        nothing = {run_dir.lock_file.name, f"{run_dir.config_file.name}.tmp"}
        if not path.exists() or {entry.name for entry in path.iterdir()} <= nothing:
            return None
    except OSError as error:
        raise ConfigError(f"workdir is {path}, which cannot be used ({error.strerror}).") from error
    try:
        there = read_config(run_dir)
    except RunError as error:
        raise ConfigError(f"workdir is {path}, which is not empty and no run of this config: {error}") from error
    different = differences(there, config)
    if all(field.startswith(_MAY_DIFFER) for field in different):
        keys = {cell.key for structure in grid.structures for cell in structure.cells}
        if all(cell.key in keys for structure in expand(there).structures for cell in structure.cells):
            return there
    raise ConfigError(
        f"workdir is {path}, which holds a run of another config ({'; '.join(different)}; there, here), but must "
        "be new, of this config, or of one whose runs are all in this grid."
    )


_MAY_DIFFER = ("name: ", "execution.", "figures.", "grid.", "zipped: ", *(f"{field}: " for field in AXES.values()))
"""Fields that can be others than when a run directory was made, as long as the new grid holds all its runs."""


def prepare(
    run_dir: RunDir, config: Config, environment: dict[str, Any], stack: contextlib.ExitStack
) -> list[dict[str, Any]]:
    """Locks the directory until the stack is closed, and makes it ready for training.

    What is damaged is removed, to be trained again, and so is what was made of the chunks that were there.

    Returns:
      The environments of earlier calls on this directory.
    """
    try:
        run_dir.path.mkdir(parents=True, exist_ok=True)
        stack.enter_context(lock.hold(run_dir.lock_file))
        earlier: list[dict[str, Any]] = []
        last = read_environment(run_dir)
        if last:
            earlier = [*last.pop("earlier_calls"), last]
            if last["cells_per_batch"] != environment["cells_per_batch"]:
                raise ConfigError(
                    f"execution.cells_per_batch is {environment['cells_per_batch']} on this device, but must be "
                    f"{last['cells_per_batch']}, as for the runs already in {run_dir.path}: last bits depend on it."
                )
        run_dir.summary_file.unlink(missing_ok=True)
        run_dir.metrics_file.unlink(missing_ok=True)
        for path, error in damaged(run_dir).items():
            logging.warning("%s Its runs are trained again.", error)
            shutil.rmtree(path)
        for folder in (run_dir.chunks, run_dir.unfinished):
            checkpoint.remove_unfinished(folder)
        write_atomically(run_dir.config_file, config.to_json())
        write_environment(run_dir, environment, earlier)
    except lock.LockedError as error:
        raise ConfigError(f"workdir is {run_dir.path}, but {error}") from error
    except OSError as error:
        raise ConfigError(f"workdir is {run_dir.path}, which cannot be written ({error.strerror}).") from error
    return earlier


def damaged(run_dir: RunDir) -> dict[Path, checkpoint.DamagedError]:
    """The chunks whose files are not what was saved; every file is read."""
    damaged = {}
    for path in [*checkpoint.saved(run_dir.chunks), *checkpoint.saved(run_dir.unfinished)]:
        try:
            checkpoint.load(path)
        except checkpoint.DamagedError as error:
            damaged[path] = error
    return damaged


def missing_cells(run_dir: RunDir, grid: Grid) -> list[tuple[Structure, int]]:
    """The cells that are not finished, by structure and by how many recorded steps they have gone through."""
    finished, unfinished = stored_cells(run_dir.chunks), stored_cells(run_dir.unfinished)
    missing = []
    for structure in grid.structures:
        by_recorded: dict[int, list[Cell]] = {}
        for cell in structure.cells:
            if cell.key not in finished:
                recorded = unfinished[cell.key].recorded if cell.key in unfinished else 0
                by_recorded.setdefault(recorded, []).append(cell)
        missing += [(Structure(structure.config, tuple(cells)), recorded) for recorded, cells in by_recorded.items()]
    return missing


def write_environment(run_dir: RunDir, environment: dict[str, Any], earlier_calls: list[dict[str, Any]]) -> None:
    """Writes what this call has to say of itself, with what earlier calls on the directory have said."""
    text = json.dumps({**environment, "earlier_calls": earlier_calls}, indent=2)
    write_atomically(run_dir.environment_file, text)
