"""Going on with a run directory: whether it can be used, what is damaged, which cells are missing, how far they are."""

import contextlib
import functools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from rw_jax.analysis.run_dir import (
    Place,
    RunDir,
    RunError,
    read_config,
    read_environment,
    stored_cells,
    stored_keys,
)
from rw_jax.store import checkpoint
from rw_jax.store.layout import write_atomically
from rw_jax.study.config import AXES, Config, ConfigError, differences
from rw_jax.study.grid import Cell, CellKey, Grid, Structure, kept_steps, recorded_steps
from rw_jax.sweeps import lock
from rw_jax.training import train


class Missing(NamedTuple):
    """Cells of one structure that are not finished and have gone through as many recorded steps.

    Attributes:
      structure: the structure, with these cells alone.
      recorded: how many recorded steps they have gone through.
      places: where the progress of each is; empty if they have not begun.
    """

    structure: Structure
    recorded: int
    places: Mapping[CellKey, Place]


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
    wanted = {cell.key for structure in grid.structures for cell in structure.cells}
    if all(field.startswith(_MAY_DIFFER) for field in different):
        longer: dict[CellKey, list[Config]] = {}
        if "steps" not in dict(there.grid):  # a label of an axis is there to be looked at, and not as a beginning
            for structure in grid.structures:
                for cell in structure.cells:
                    longer.setdefault(_but_steps(cell.key), []).append(structure.config)
        if all(
            key in wanted or any(_begins(int(key[_STEPS]), other) for other in longer.get(_but_steps(key), ()))
            for key in _finished_keys(run_dir)
        ):
            return there
    raise ConfigError(
        f"workdir is {path}, which holds a run of another config ({'; '.join(different)}; there, here), but must "
        "be new, of this config, or of one whose runs are all in this grid, or are the first steps of its runs and "
        "end at a step that those record."
    )


def _finished_keys(run_dir: RunDir) -> Iterator[CellKey]:
    """What the finished cells are; those of chunks whose description is damaged are trained again."""
    for path in checkpoint.saved(run_dir.chunks):
        with contextlib.suppress(checkpoint.DamagedError):
            yield from stored_keys(path)


def _but_steps(key: CellKey) -> CellKey:
    """What a run is but for how long it is trained."""
    return key[:_STEPS] + key[_STEPS + 1 :]


_STEPS = list(AXES).index("steps")


@functools.cache
def _begins(steps: int, longer: Config) -> bool:
    """Whether a run of fewer steps, as far as it goes, records what a longer one of this structure does."""
    recorded = recorded_steps(longer.replace(steps=steps))
    return steps < longer.training.steps and recorded == recorded_steps(longer)[: len(recorded)]


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
        for folder in (run_dir.chunks, run_dir.unfinished):
            checkpoint.remove_unfinished(folder)
        for path, error in damaged(run_dir).items():
            logging.warning("%s Its runs are trained again.", error)
            checkpoint.remove(path)
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


def missing_cells(run_dir: RunDir, grid: Grid, damaged: Collection[Path] = ()) -> list[Missing]:
    """The cells that are not finished, by structure and by how far they are.

    A cell has begun if it is in the midst of its training, or if the same run with fewer steps is.

    Args:
      run_dir: where they are.
      grid: the cells.
      damaged: chunks that are to be trained again.
    """
    finished, unfinished = (stored_cells(folder, damaged) for folder in (run_dir.chunks, run_dir.unfinished))
    trained, missing = {int(key[_STEPS]) for key in (*finished, *unfinished)}, []
    for structure in grid.structures:
        config = structure.config
        lengths = [config.training.steps, *(steps for steps in trained if _begins(steps, config))]
        by_recorded: dict[int, list[Cell]] = {}
        places: dict[CellKey, Place] = {}
        for cell in structure.cells:
            if cell.key in finished:
                continue
            keys = [(*cell.key[:_STEPS], steps, *cell.key[_STEPS + 1 :]) for steps in lengths]
            begun = [unfinished[key] for key in keys if key in unfinished]
            # The last step of a shorter run is gone through again: its loss came with the step after it.
            ended = [finished[key] for key in keys if key in finished]
            begun += [place._replace(recorded=place.recorded - 1) for place in ended]
            furthest = max(begun, key=lambda place: place.recorded, default=None)
            if furthest is not None:
                places[cell.key] = furthest
            by_recorded.setdefault(furthest.recorded if furthest else 0, []).append(cell)
        missing += [
            Missing(Structure(config, tuple(cells)), recorded, places) for recorded, cells in by_recorded.items()
        ]
    return missing


def load_progress(run_dir: RunDir, cells: Sequence[Cell], missing: Missing, blank: train.Progress) -> train.Progress:
    """How far missing cells that have begun are, as NumPy arrays with a leading axis C.

    Args:
      run_dir: where they are.
      cells: C of the missing ones, at least one.
      missing: what is told of them.
      blank: the progress of one cell with zeros in it.
    """
    config, treedef = missing.structure.config, jax.tree.structure(blank)
    done = recorded_steps(config)[: missing.recorded]
    num_kept = len(set(done) & set(kept_steps(config)))
    places = [missing.places[cell.key] for cell in cells]
    trees = {folder: checkpoint.load(folder) for folder in {place.folder for place in places}}

    def begin(stack: Any, room: Any, number: int) -> Any:
        return np.concatenate([stack[:number], room[number:]])

    def progress_of(place: Place) -> train.Progress:
        stored = jax.tree.map(lambda stack: stack[place.row], trees[place.folder])
        if place.folder.parent == run_dir.unfinished:
            state, record = jax.tree.unflatten(treedef, [stored[str(i)] for i in range(treedef.num_leaves)])
        else:
            record = train.Record(**stored)
            state = blank.state._replace(params=jax.tree.map(lambda stack: stack[-1], record.params))
        metrics, params, attention = blank.record
        return train.Progress(
            state,
            train.Record(
                jax.tree.map(lambda stack, room: begin(stack, room, missing.recorded), record.metrics, metrics),
                jax.tree.map(lambda stack, room: begin(stack, room, num_kept), record.params, params),
                begin(record.mean_attention, attention, num_kept),
            ),
        )

    return jax.tree.map(lambda leaf, *leaves: np.stack(leaves).astype(leaf.dtype), blank, *map(progress_of, places))


def remove_beginnings(run_dir: RunDir, grid: Grid) -> None:
    """Removes the chunks of shorter runs, of which a finished sweep has longer ones."""
    wanted = {cell.key for structure in grid.structures for cell in structure.cells}
    for path in checkpoint.saved(run_dir.chunks):
        if wanted.isdisjoint(stored_keys(path)):
            checkpoint.remove(path)


def write_environment(run_dir: RunDir, environment: dict[str, Any], earlier_calls: list[dict[str, Any]]) -> None:
    """Writes what this call has to say of itself, with what earlier calls on the directory have said."""
    text = json.dumps({**environment, "earlier_calls": earlier_calls}, indent=2)
    write_atomically(run_dir.environment_file, text)
