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
from rw_jax.analysis.sources import InRunDir
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
from rw_jax.study.config import Config, checked
from rw_jax.study.errors import ConfigError, RunError
from rw_jax.study.fields import shown
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Grid, recorded_steps
from rw_jax.study.paths import local_path
from rw_jax.sweeps import devices, interruption, pace, progress_bar, resume
from rw_jax.sweeps.devices import Placement
from rw_jax.sweeps.program import Program, as_tree, compile_program, run_chunk, shape_of_cell
from rw_jax.sweeps.starts import read_start
from rw_jax.sweeps.work import Work, placement_of, work_of
from rw_jax.training.experiment import Own, make_experiment
from rw_jax.training.grids import make_grid
from rw_jax.training.pieces import pin
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
    grid, own, placement = _study(config, run_dir, folders)
    there = _looked_at(run_dir, grid, placement)
    if there.is_finished:
        return load_run(run_dir.path)
    work = work_of(grid, there.parts, own, placement)
    environment = describe_environment(placement.mesh, placement.cells_per_batch)

    def program_of(structure: Config) -> Program:
        experiment = make_experiment(structure, own)
        shape = work.shapes[structure] if structure in work.shapes else shape_of_cell(experiment)
        # Counted once the directory is locked, so that all processes come to the same room.
        missing = sum(len(part.cells) for part in parts if part.structure.config == structure)
        return compile_program(experiment, placement_of(placement, structure, missing, shape), shape)

    with contextlib.ExitStack() as stack:
        if processes.is_first():
            earlier_calls = resume.prepare(run_dir, grid, own.texts, environment, stack)
        processes.wait_for_all("the directory is open")
        place = _Place(run_dir, run_dir.path.stat().st_ino)
        parts = resume.missing_parts(run_dir, grid)
        processes.wait_for_all("every process knows what is missing")
        logging.info("%s", work)
        num_trained = sum(len(part.cells) for part in parts)
        with progress_bar.shown(grid.num_cells, num_trained) as advance:
            _train(place, grid, parts, program_of, advance)
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
            metrics_file.write(run_dir.metrics_file, grid, functools.partial(source.parts, grid))
            products.note(run_dir, grid, [run_dir.metrics_file])  # the last: it marks the run as finished
        processes.wait_for_all("the metrics are written")
    return load_run(run_dir.path)


def plan(
    config: Config | ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    folders: Sequence[str | os.PathLike[str]] = (),
) -> Work:
    """What `sweep` would do: nothing is written. Args and errors as sweep."""
    run_dir = RunDir(local_path("workdir", workdir))
    grid, own, placement = _study(config, run_dir, folders)
    return work_of(grid, _looked_at(run_dir, grid, placement).parts, own, placement)


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
        (kept, is_larger), damaged = resume.kept_config(run_dir, grid), resume.damaged(run_dir)
        if is_larger and damaged:
            raise ConfigError(
                f"workdir is {run_dir.path}, which has more runs than those you asked for, and of which "
                f"{next(iter(damaged)).name} is damaged; give the command of all its runs first."
            )
        if is_larger:
            return _There(True, [])
        parts = resume.missing_parts(run_dir, grid, damaged)
        if parts:
            resume.check_batches(run_dir, placement.cells_per_batch, damaged)
        is_intact = products.is_intact(run_dir, grid, run_dir.metrics_file)
        try:
            is_intact &= bool(read_environment(run_dir))
        except DamagedFileError:
            is_intact = False
    except OSError as error:
        raise ConfigError(f"workdir is {run_dir.path}, which cannot be used ({resume.told(error)}).") from error
    return _There(kept == grid.config and not damaged and not parts and is_intact, parts)


def _study(
    config: Config | ml_collections.ConfigDict, run_dir: RunDir, folders: Sequence[str | os.PathLike[str]]
) -> tuple[Grid, Own, Placement]:
    """The grid of a study whose pieces are pinned, their texts, and where it is trained."""
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
    own = Own(texts=pinned.texts)
    return make_grid(pinned.config, own), own, placement


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
    """

    run_dir: RunDir
    inode: int

    def check(self) -> None:
        """Before something is written: it would make the folder anew. Raises: RunError if it was moved or removed."""
        path = self.run_dir.path
        if not path.is_dir() or path.stat().st_ino != self.inode:
            raise RunError(
                f"{path} was moved or removed while it was trained; give the command again with --workdir where it is."
            )


def _train(
    place: _Place,
    grid: Grid,
    parts: Sequence[resume.Part],
    program_of: Callable[[Config], Program],
    advance: progress_bar.Advance,
) -> None:
    """Trains the missing cells, chunk by chunk; the program of a structure is compiled once."""
    program: Program | None = None
    for part in parts:
        if program is None or program.experiment.config != part.structure.config:
            program = program_of(part.structure.config)
        pace_now, start = pace.first(program.placement, grid.config.execution.cells_per_chunk), 0
        while start < len(part.cells):
            started, numbers = time.perf_counter(), part.cells[start : start + pace_now.size]
            advance(len(numbers), _train_chunk(place, grid, part, numbers, program))
            pace_now = pace_now.after(len(numbers), time.perf_counter() - started)
            start += len(numbers)


def _train_chunk(
    place: _Place,
    grid: Grid,
    part: resume.Part,
    numbers: np.ndarray,
    program: Program,
) -> dict[str, np.ndarray]:
    """Trains the cells of a chunk from the recorded step where they are, and stores them.

    Returns:
      What is told of them (`progress_bar.TOLD`) after the last step, where this process sees it.
    """
    cells, dealt = [grid.cell(number) for number in numbers], program.placement.deal(len(numbers))
    size, kept = program.placement.cells_per_batch, list[Path]()

    def save(folder: Path, recorded: int, progress: Progress) -> Path:
        place.check()
        rows, tree = dealt.rows, as_tree(progress)
        if jax.process_count() == 1:  # several write each its own part, with the room that is left
            rows, tree = range(len(cells)), jax.tree.map(dealt.of_own, tree)
        return chunks.save(folder, grid, cells, rows, recorded, size, tree)

    def remove(paths: Sequence[Path]) -> None:
        if processes.is_first():
            for path in paths:
                checkpoint.remove(path)

    def keep(recorded: int, progress: Progress) -> None:
        with interruption.finished_first():
            kept.append(save(place.run_dir.unfinished, recorded, progress))
        remove(kept[:-1])
        del kept[:-1]

    here = [cells[i] for i in dealt.own]
    progress = resume.load_progress(part, here, program) if part.recorded and here else None
    progress = run_chunk(program, cells, (part.recorded, progress), keep)
    with interruption.finished_first():
        save(place.run_dir.chunks, len(recorded_steps(program.experiment.config)), progress)
    remove(kept)
    metrics = progress.record.metrics
    told = {name: metrics[name] for name in progress_bar.TOLD if name in metrics}
    return {name: dealt.of_own(each)[:, -1] for name, each in told.items() if each.is_fully_addressable}
