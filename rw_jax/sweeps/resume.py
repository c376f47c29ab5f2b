"""Continuing a run directory: whether it can be used, what is damaged, which cells are missing, how far they are."""

import contextlib
import functools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from rw_jax.store import checkpoint, chunks
from rw_jax.store.chunks import Chunk, Locations
from rw_jax.store.layout import (
    DamagedFileError,
    RunDir,
    read_environment,
    stored_config,
    study_digest,
    write_config,
    write_environment,
    write_pieces,
)
from rw_jax.store.provenance import changes
from rw_jax.study.config import AXES, Config
from rw_jax.study.errors import ConfigError, RunError
from rw_jax.study.fields import shown, without_digest
from rw_jax.study.grid import Cell, Grid, Structure, recorded_steps
from rw_jax.study.reading import differences
from rw_jax.sweeps import lock
from rw_jax.sweeps.program import Program, from_tree
from rw_jax.training.run import Progress, Record


class Part(NamedTuple):
    """Cells of one structure that are not finished and have gone through as many recorded steps.

    Attributes:
      structure: their structure.
      cells: their numbers.
      recorded: how many recorded steps they have gone through.
      begun: where their progress is stored; of no use if they have not begun.
    """

    structure: Structure
    cells: np.ndarray
    recorded: int
    begun: Locations


class Contents(NamedTuple):
    """What lies in a run directory.

    Attributes:
      config: its config; None if it holds no runs yet, or what was written of it is damaged.
      finished: the chunks of finished cells, without those whose description is damaged.
      unfinished: the chunks of cells in the midst of their training, likewise.
    """

    config: Config | None
    finished: tuple[Chunk, ...] = ()
    unfinished: tuple[Chunk, ...] = ()

    def without(self, damaged: Collection[Path]) -> "Contents":
        """The contents without these chunks."""
        finished, unfinished = (
            tuple(chunk for chunk in of_folder if chunk.folder not in damaged)
            for of_folder in (self.finished, self.unfinished)
        )
        return Contents(self.config, finished, unfinished)


def look(run_dir: RunDir) -> Contents:
    """What lies in a run directory. Raises: ConfigError, if it is none, or cannot be read."""
    path = run_dir.path
    try:
        if path.exists() and not path.is_dir():
            raise ConfigError(f"workdir is {path}, which is a file, but must be a folder or not be there yet.")
        if links := [*run_dir.links(), *checkpoint.links(run_dir.chunks), *checkpoint.links(run_dir.unfinished)]:
            raise ConfigError(
                f"workdir is {path}, in which {links[0].relative_to(path)} is a link, but must hold no link in the "
                "place of what a sweep writes."
            )
        # A first start that was killed while it wrote the config leaves only its lock and its unfinished file.
        nothing = {run_dir.lock_file.name, f"{run_dir.config_file.name}.tmp"}
        if not path.exists() or {entry.name for entry in path.iterdir()} <= nothing:
            return Contents(None)
        try:
            config = stored_config(run_dir)
        except DamagedFileError:
            if not run_dir.lock_file.is_file():
                raise
            config = None  # a sweep has been here, and the chunks tell of what study they are
        if not any(map(checkpoint.saved, (run_dir.chunks, run_dir.unfinished))):
            return Contents(None)  # nothing has been trained yet
        return Contents(config, _described(run_dir.chunks), _described(run_dir.unfinished))
    except RunError as error:
        raise ConfigError(f"workdir is {path}, which is not empty and no run of this config: {error}") from error
    except OSError as error:
        raise ConfigError(f"workdir is {path}, which cannot be used ({in_words(error)}).") from error


def _described(folder: Path) -> tuple[Chunk, ...]:
    """The chunks in a folder, without those whose description is damaged, which are trained again."""
    found = []
    for path in checkpoint.saved(folder):
        with contextlib.suppress(checkpoint.DamagedError):
            found.append(chunks.read(path))
    return tuple(found)


def is_larger(contents: Contents, grid: Grid) -> bool:
    """Whether a directory holds other runs as well, and all runs that are asked for are finished."""
    config = contents.config
    if config is None or not _differ_in_the_grid(config, grid.config) or _foreign(contents, grid) is None:
        return False
    return bool((chunks.locate(grid, contents.finished).chunk >= 0).all())


def check_is_of(contents: Contents, run_dir: RunDir, grid: Grid) -> None:
    """Refuses a directory that holds anything but runs of this grid, or their beginnings, and is no larger one.

    Raises:
      ConfigError: naming what is there and what was asked for.
    """
    path, config = run_dir.path, contents.config
    different = {} if config is None else differences(config, grid.config)
    for field, pair in different.items():
        there, asked = ({without_digest(name): name for name in _names(given)} for given in pair)
        changed = [name for name in there if name in asked and there[name] != asked[name]]
        if changed:
            raise ConfigError(
                f"workdir is {path}, whose runs were trained with another text of {field} = {changed[0]!r}, but must "
                "be new now that it has changed."
            )
    if all(map(_may_differ, different)):
        foreign = _foreign(contents, grid)
        if foreign is None or is_larger(contents, grid):
            return
        if not different:
            raise ConfigError(
                f"workdir is {path}, but must be new or hold no other runs than those of this grid: "
                f"{foreign.folder.relative_to(path)} has others."
            )
    # What could differ of a grid that holds all of these runs is left out where something else cannot.
    different = {field: pair for field, pair in different.items() if not _may_differ(field)} or different
    there = ", ".join(f"{field} = {shown(pair[0])}" for field, pair in different.items())
    asked = ", ".join(f"{field} = {shown(pair[1])}" for field, pair in different.items())
    raise ConfigError(
        f"workdir is {path}, which has other runs: the directory has {there}, you asked for {asked}; name another "
        "folder with --workdir, or ask for a grid that holds all of its runs, or for more steps of them that it "
        "records alike."
    )


def _names(given: Any) -> list[str]:
    """The words of a field that has one, or several."""
    return [name for name in (given if isinstance(given, tuple) else (given,)) if isinstance(name, str)]


def _differ_in_the_grid(one: Config, other: Config) -> bool:
    """Whether two configs differ, and only in what may differ if one holds the runs of the other."""
    different = differences(one, other)
    return bool(different) and all(map(_may_differ, different))


def _foreign(contents: Contents, grid: Grid) -> Chunk | None:
    """A chunk that holds a run that is neither of a grid nor the beginning of one; None if there is none."""
    config = contents.config
    # A label of an axis is to be looked at, and is no beginning, unless the axis has been added just now.
    can_be_longer = config is None or config == grid.config or len(config.labels("steps")) == 1
    every = (*contents.finished, *contents.unfinished)
    return next((chunk for chunk in every if not _is_of(grid, chunk, can_be_longer)), None)


def in_words(error: OSError) -> str:
    """An error of the system in words, with its file."""
    return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)


def _may_differ(field: str) -> bool:
    """Whether a field may be another than when a run directory was made, if the grid still holds all its runs."""
    of_the_grid = (
        field in AXES.values() or ".options." in field or field.startswith(("grid.", "arms.")) or field == "zipped"
    )
    return of_the_grid or field == "name" or field.startswith(("execution.", "figures."))


def _is_of(grid: Grid, chunk: Chunk, can_be_longer: bool) -> bool:
    """Whether every cell of a chunk is one of a grid, or the beginning of one."""
    count = len(chunk.rows)
    if chunk.study != study_digest(grid.config):
        return False
    here = grid.locate(chunk.columns, count) >= 0
    for structure in grid.structures if can_be_longer and not here.all() else ():
        longer = _as_beginning(chunk, structure.config)
        if longer is not None:
            here |= grid.locate(longer.columns, count) >= 0
    return bool(here.all())


def _as_beginning(chunk: Chunk, longer: Config) -> Chunk | None:
    """A chunk of shorter runs as one of runs of a longer structure in their midst; None if it cannot be.

    The last step of the shorter runs is gone through again, as the metrics there were taken with nothing after them.
    """
    steps = chunk.steps()
    if len(steps) != 1 or not _begins(steps[0], longer):
        return None
    columns = {**chunk.columns, "steps": longer.training.steps}
    return chunk._replace(columns=columns, recorded=chunk.recorded - 1)


@functools.cache
def _begins(steps: int, longer: Config) -> bool:
    """Whether a run of fewer steps, as far as it goes, records what a longer one of this structure does."""
    recorded = recorded_steps(longer.replace(steps=steps))
    return steps < longer.training.steps and recorded == recorded_steps(longer)[: len(recorded)]


def prepare(
    run_dir: RunDir,
    grid: Grid,
    texts: Mapping[str, str],
    environment: dict[str, Any],
    stack: contextlib.ExitStack,
) -> list[dict[str, Any]]:
    """Locks the directory until the stack is closed, and makes it ready for training.

    What is damaged is set aside, and its runs are trained again.

    Returns:
      The environments of earlier calls on this directory.
    """
    try:
        run_dir.path.mkdir(parents=True, exist_ok=True)
        stack.enter_context(lock.hold(run_dir.path, run_dir.lock_file))
        contents = look(run_dir)  # another sweep may have been here since it was looked at first
        check_is_of(contents, run_dir, grid)
        if is_larger(contents, grid):
            raise ConfigError(
                f"workdir is {run_dir.path}, which another sweep has just filled; give the command again."
            )
        earlier: list[dict[str, Any]] = []
        try:
            last = read_environment(run_dir)
        except DamagedFileError as error:
            logging.warning("%s What earlier calls wrote of themselves is lost.", error)
            last = {}
        if last:
            earlier = [*last.pop("earlier_calls"), last]
            for change in changes(last, environment):
                logging.warning("%s, when runs of %s were trained: their last bits can differ.", change, run_dir.path)
        for folder in (run_dir.chunks, run_dir.unfinished):
            checkpoint.remove_unfinished(folder)
        for path, error in damaged(run_dir).items():
            logging.warning("%s Its runs are trained again.", error)
            checkpoint.set_aside(path)
        write_config(run_dir, grid.config)
        write_pieces(run_dir, texts)
        write_environment(run_dir, environment, earlier)
    except lock.LockedError as error:
        raise ConfigError(f"workdir is {run_dir.path}, but {error}") from error
    except (OSError, RunError) as error:
        reason = in_words(error) if isinstance(error, OSError) else error
        raise ConfigError(f"workdir is {run_dir.path}, which cannot be written ({reason}).") from error
    return earlier


def check_batches(contents: Contents, run_dir: RunDir, cells_per_batch: int) -> None:
    """Refuses to continue runs that were trained in batches of another size.

    Raises:
      ConfigError: naming both sizes.
    """
    for chunk in (*contents.unfinished, *contents.finished):
        if chunk.cells_per_batch != cells_per_batch:
            raise ConfigError(
                f"execution.cells_per_batch is {cells_per_batch} on this device, but must be {chunk.cells_per_batch}, "
                f"as for the runs already in {run_dir.path}: last bits depend on it."
            )


def damaged(run_dir: RunDir) -> dict[Path, checkpoint.DamagedError]:
    """The chunks whose files are not what was saved; every file is read."""
    damaged = {}
    for path in [*checkpoint.saved(run_dir.chunks), *checkpoint.saved(run_dir.unfinished)]:
        try:
            checkpoint.check(path)
        except checkpoint.DamagedError as error:
            damaged[path] = error
    return damaged


def missing_parts(contents: Contents, grid: Grid) -> list[Part]:
    """The cells that are not finished, by structure and by how far they are.

    A cell has begun if it is in the midst of its training, or if the same run with fewer steps is.
    """
    finished, unfinished = contents.finished, contents.unfinished
    is_finished = chunks.locate(grid, finished).chunk >= 0
    parts = []
    for structure in grid.structures:
        cells = structure.cells[~is_finished[structure.cells]]
        if not len(cells):
            continue
        begun = chunks.locate(grid, _beginnings(structure.config, finished, unfinished))
        recorded = begun.recorded[cells]
        order = list(dict.fromkeys(recorded.tolist()))
        parts += [Part(structure, cells[recorded == number], number, begun) for number in order]
    return parts


def _beginnings(structure: Config, finished: Sequence[Chunk], unfinished: Sequence[Chunk]) -> list[Chunk]:
    """The chunks of runs of a structure in their midst, and of shorter runs that can be continued as such."""
    steps, found = structure.training.steps, []
    for chunk in unfinished:
        if chunk.steps() == (steps,):
            found.append(chunk)
        elif (longer := _as_beginning(chunk, structure)) is not None:
            found.append(longer._replace(recorded=chunk.recorded))
    return found + [longer for chunk in finished if (longer := _as_beginning(chunk, structure)) is not None]


def load_progress(part: Part, cells: Sequence[Cell], program: Program) -> Progress:
    """How far missing cells that have begun are, as NumPy arrays with a leading axis C.

    Args:
      part: which cells they are.
      cells: C of its cells, at least one.
      program: the program of their structure.
    """
    experiment, shape = program.experiment, program.shape
    num_kept = len(set(experiment.recorded[: part.recorded]) & set(experiment.kept))
    blank = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shape)
    numbers = [cell.number for cell in cells]
    held = part.begun.chunk[numbers]
    trees = {int(i): checkpoint.load(part.begun.chunks[i].folder) for i in np.unique(held)}

    def as_far_as(count: int):
        return lambda stack, room: np.concatenate([stack[:count], room[count:]])

    def progress_of(number: int) -> Progress:
        row = part.begun.row[number]
        stored = jax.tree.map(lambda stack: stack[row], trees[int(part.begun.chunk[number])])
        state, record = from_tree(stored, shape)
        metrics = jax.tree.map(as_far_as(part.recorded), record.metrics, blank.record.metrics)
        kept = jax.tree.map(as_far_as(num_kept), record.kept, blank.record.kept)
        return Progress(state, Record(metrics, kept))

    return jax.tree.map(lambda leaf, *leaves: np.stack(leaves).astype(leaf.dtype), blank, *map(progress_of, numbers))


def clear(run_dir: RunDir, grid: Grid) -> None:
    """Removes what a finished sweep needs no more: beginnings of its runs, and damaged chunks that it has replaced."""
    for chunk in chunks.read_all(run_dir.chunks):
        if (grid.locate(chunk.columns, len(chunk.rows)) < 0).all():
            checkpoint.remove(chunk.folder)
    for path in checkpoint.saved(run_dir.unfinished):
        checkpoint.remove(path)
    for folder in (run_dir.chunks, run_dir.unfinished):
        checkpoint.remove_set_aside(folder)
    with contextlib.suppress(OSError):  # it may hold what a sweep did not write
        run_dir.unfinished.rmdir()
