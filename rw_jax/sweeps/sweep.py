"""The host loop over chunks: trains the cells of a grid that are missing in a run directory, and stores them."""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import ml_collections
import numpy as np
from absl import logging

from rw_jax.analysis.run import Run, load_run
from rw_jax.analysis.sources import InRunDir, about_metrics
from rw_jax.store import checkpoint, chunks, metrics_file, processes, products
from rw_jax.store.layout import (
    DamagedFileError,
    RunDir,
    read_environment,
    read_pieces,
    stored_config,
    write_environment,
)
from rw_jax.store.provenance import describe_environment
from rw_jax.study.config import Config
from rw_jax.study.errors import ConfigError, RunError
from rw_jax.study.fields import shown
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Grid, Structure
from rw_jax.study.paths import local_path
from rw_jax.study.reading import checked
from rw_jax.sweeps import devices, interruption, lock, pace, progress_bar, resume
from rw_jax.sweeps.devices import Placement
from rw_jax.sweeps.program import Program, as_tree, compile_program, run_chunk
from rw_jax.sweeps.starts import read_start
from rw_jax.sweeps.work import Work, size_of, work_of
from rw_jax.training.grids import Experiments, make_grid
from rw_jax.training.pieces import Pieces
from rw_jax.training.pins import pin
from rw_jax.training.run import Progress


def sweep(
    config: Config | ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    folders: Sequence[str | os.PathLike[str]] = (),
) -> Run:
    """Trains every cell of the config's grid into a run directory, and gives the finished run.

    On a directory of the same config it trains the cells that are missing; a finished one is left as it is. On a
    directory of a smaller grid it trains the cells that this one adds. Nothing is printed or drawn.

    Args:
      config: the study.
      workdir: the run directory.
      folders: where the files of pieces that the config names are looked for before the working directory.

    Raises:
      ConfigError: if the config cannot be run, or the directory holds something else, is in use, or cannot be written.
      OSError: if it can no longer be written; what is finished is kept.
    """
    started = time.perf_counter()
    run_dir = RunDir(local_path("workdir", workdir))
    experiments, placement = _experiments(config, run_dir, folders)
    grid = experiments.grid
    there = _looked_at(run_dir, grid, placement)
    if there.is_finished:
        return _opened(run_dir, experiments)
    work = work_of(experiments, there.parts, placement)
    environment = describe_environment(placement.mesh, placement.cells_per_batch)

    def program_of(structure: Structure) -> Program:
        experiment, shape, _ = experiments.checked(structure)
        # Counted once the directory is locked, so that all processes come to the same room.
        missing = sum(len(part.cells) for part in parts if part.structure is structure)
        is_given = grid.config.execution.cells_per_chunk is not None
        room = placement if is_given else placement.for_cells(missing, size_of(shape))
        return compile_program(experiment, room, shape)

    with contextlib.ExitStack() as stack:
        if processes.is_first():
            earlier_calls = resume.prepare(run_dir, grid, experiments.pieces.texts, environment, stack)
        processes.wait_for_all("the directory is open")
        place = _Place.of(run_dir)
        parts = resume.missing_parts(resume.look(run_dir), grid)
        processes.wait_for_all("every process knows what is missing")
        logging.info("%s", work)
        num_trained = sum(len(part.cells) for part in parts)
        with progress_bar.shown(grid.num_cells, num_trained) as advance:
            _train(place, experiments, parts, program_of, advance)
        processes.wait_for_all("every run is trained")
        if processes.is_first():
            place.check()
            resume.clear(run_dir, grid)
            environment["runs"] = num_trained
            environment["seconds"] = round(time.perf_counter() - started, 3)
            write_environment(run_dir, environment, earlier_calls)
            source = InRunDir(run_dir)
            if not source.finished(grid).all():
                raise RunError(f"{run_dir.path} has lost runs while it was trained; give the command again.")
            metrics_file.write(run_dir.metrics_file, grid, functools.partial(source.parts, grid), source.abouts(grid))
            products.note(run_dir, grid, [run_dir.metrics_file])  # the last: it marks the run as finished
        processes.wait_for_all("the metrics are written")
    return _opened(run_dir, experiments)


def _opened(run_dir: RunDir, experiments: Experiments) -> Run:
    """The run of a directory; its experiments are those that it was trained with, if it has no others."""
    run = load_run(run_dir.path)
    if run.config != experiments.grid.config:  # more runs than these
        return run
    return Run(run.source, experiments)


def plan(
    config: Config | ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    folders: Sequence[str | os.PathLike[str]] = (),
) -> Work:
    """What `sweep` would do: nothing is written. Args and errors as sweep."""
    run_dir = RunDir(local_path("workdir", workdir))
    experiments, placement = _experiments(config, run_dir, folders)
    return work_of(experiments, _looked_at(run_dir, experiments.grid, placement).parts, placement)


class _There(NamedTuple):
    """What a run directory has of a study.

    Attributes:
      is_finished: whether nothing is missing.
      parts: the cells that are not finished.
    """

    is_finished: bool
    parts: list[resume.Part]


def _looked_at(run_dir: RunDir, grid: Grid, placement: Placement) -> _There:
    """What a run directory has of a study. Raises: ConfigError, if it is of another one, or cannot be read."""
    try:
        contents, damaged = resume.look(run_dir), resume.damaged(run_dir)
        resume.check_is_of(contents, run_dir, grid)
        if resume.is_larger(contents, grid):
            if damaged:
                raise ConfigError(
                    f"workdir is {run_dir.path}, which has more runs than those you asked for, and whose "
                    f"{next(iter(damaged)).name} is damaged; give the command of all its runs first."
                )
            return _There(True, [])
        intact = contents.without(damaged)
        parts = resume.missing_parts(intact, grid)
        if parts:
            resume.check_batches(intact, run_dir, placement.cells_per_batch)
        is_intact = products.is_intact(run_dir, grid, run_dir.metrics_file)
        try:
            is_intact &= bool(read_environment(run_dir))
        except DamagedFileError:
            is_intact = False
    except OSError as error:
        raise ConfigError(f"workdir is {run_dir.path}, which cannot be used ({resume.in_words(error)}).") from error
    return _There(contents.config == grid.config and not damaged and not parts and is_intact, parts)


def _experiments(
    config: Config | ml_collections.ConfigDict, run_dir: RunDir, folders: Sequence[str | os.PathLike[str]]
) -> tuple[Experiments, Placement]:
    """The experiments of a study whose pieces are pinned, and where it is trained."""
    config = checked(config) if isinstance(config, Config) else from_config_dict(config)
    placement = devices.set_up(config.execution)  # before a piece is executed that uses a device
    if isinstance(folders, str) or not isinstance(folders, Sequence):
        raise ConfigError(f"folders is {shown(folders)}, but must be a list of folders.")
    places = [*(local_path("folders", folder) for folder in folders), Path()]
    try:
        kept = read_pieces(run_dir)
    except RunError as error:
        raise ConfigError(f"workdir is {run_dir.path}, which cannot be used: {error}") from error
    pinned = pin(config, places, read_start, kept, _earlier(run_dir))
    return make_grid(pinned.config, Pieces(pinned.texts)), placement


def _earlier(run_dir: RunDir) -> Config | None:
    """The study of a run directory, if it has one that can be read; `resume` says what is wrong with another."""
    try:
        return stored_config(run_dir)
    except RunError:
        return None


class _Place(NamedTuple):
    """A run directory that is trained into.

    Attributes:
      run_dir: where it is.
      inode: of its folder, by which it is known again.
      holder: what its lock says, by which it is known where a file system gives a folder another inode now and then.
    """

    run_dir: RunDir
    inode: int
    holder: str

    @classmethod
    def of(cls, run_dir: RunDir) -> "_Place":
        return cls(run_dir, run_dir.path.stat().st_ino, lock.holder(run_dir.lock_file))

    def check(self) -> None:
        """Before something is written: it would make the folder anew. Raises: RunError if it was moved or removed."""
        path = self.run_dir.path
        now = _Place.of(self.run_dir) if path.is_dir() else None
        if now is None or (now.inode != self.inode and (now.holder != self.holder or not now.holder)):
            raise RunError(
                f"{path} was moved or removed while it was trained; give the command again with --workdir where it is."
            )


def _train(
    place: _Place,
    experiments: Experiments,
    parts: Sequence[resume.Part],
    program_of: Callable[[Structure], Program],
    advance: progress_bar.Advance,
) -> None:
    """Trains the missing cells, chunk by chunk; the program of a structure is compiled once."""
    program, structure = None, None
    for part in parts:
        if program is None or structure is not part.structure:
            program, structure = program_of(part.structure), part.structure
        pace_now, start = pace.first(program.placement, experiments.grid.config.execution.cells_per_chunk), 0
        while start < len(part.cells):
            started, numbers = time.perf_counter(), part.cells[start : start + pace_now.size]
            advance(len(numbers), _train_chunk(place, experiments, part, numbers, program))
            pace_now = pace_now.after(len(numbers), time.perf_counter() - started)
            start += len(numbers)


def _train_chunk(
    place: _Place,
    experiments: Experiments,
    part: resume.Part,
    numbers: np.ndarray,
    program: Program,
) -> dict[str, np.ndarray]:
    """Trains the cells of a chunk from the recorded step where they are, and stores them.

    Returns:
      Their metrics that are shown (`progress_bar.SHOWN`), after the last step, where this process sees it.
    """
    grid, checked = experiments.grid, experiments.checked(part.structure)
    cells, assigned = [grid.cell(number) for number in numbers], program.placement.assign(len(numbers))
    abouts = about_metrics(checked.experiment.metrics, checked.shape.record.metrics)
    size, kept = program.placement.cells_per_batch, list[Path]()

    def save(folder: Path, recorded: int, progress: Progress) -> Path:
        place.check()
        rows, tree = assigned.rows, as_tree(progress)
        if jax.process_count() == 1:  # several write each its own part, with the room that is left
            rows, tree = range(len(cells)), jax.tree.map(assigned.of_own, tree)
        return chunks.save(folder, grid, cells, rows, recorded, size, abouts, checked.unread, tree)

    def remove(paths: Sequence[Path]) -> None:
        if processes.is_first():
            for path in paths:
                checkpoint.remove(path)

    def keep(recorded: int, progress: Progress) -> None:
        with interruption.finished_first():
            kept.append(save(place.run_dir.unfinished, recorded, progress))
        remove(kept[:-1])
        del kept[:-1]

    here = [cells[i] for i in assigned.own]
    progress = resume.load_progress(part, here, program) if part.recorded and here else None
    progress = run_chunk(program, cells, (part.recorded, progress), keep)
    with interruption.finished_first():
        save(place.run_dir.chunks, len(checked.experiment.recorded), progress)
    remove(kept)
    metrics = progress.record.metrics
    last = {name: metrics[name] for name in progress_bar.SHOWN if name in metrics}
    return {name: assigned.of_own(each)[:, -1] for name, each in last.items() if each.is_fully_addressable}
