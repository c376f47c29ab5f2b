"""The host loop over chunks: trains the cells of a grid that are missing in a run directory, and stores them."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
from absl import logging

from rw_jax.analysis.run import Run, load_run
from rw_jax.store import checkpoint, chunks, metrics_file, processes
from rw_jax.store.layout import RunDir
from rw_jax.store.provenance import describe_environment
from rw_jax.study.config import Config, checked
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Grid, recorded_steps
from rw_jax.sweeps import devices, interruption, progress_bar, resume
from rw_jax.sweeps.devices import Placement
from rw_jax.sweeps.program import Program, as_tree, compile_program, progress_shape, run_chunk
from rw_jax.training.experiment import Own, make_experiment, make_grid
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
    run_dir = RunDir(Path(workdir))
    grid, own = _grid_of(config, folders)
    kept = resume.check(run_dir, grid)
    placement = devices.set_up(grid.config.execution)
    if (
        kept == grid.config
        and run_dir.metrics_file.is_file()
        and not resume.damaged(run_dir)
        and not resume.missing_parts(run_dir, grid)
    ):
        return load_run(workdir)
    environment = describe_environment(placement.mesh, placement.cells_per_batch)
    with contextlib.ExitStack() as stack:
        if processes.is_first():
            earlier_calls = resume.prepare(run_dir, grid.config, own.texts, environment, stack)
        processes.wait_for_all("the directory is open")
        parts = resume.missing_parts(run_dir, grid)
        processes.wait_for_all("every process knows what is missing")
        num_trained = sum(len(part.cells) for part in parts)
        logging.info("%s", describe_plan(grid, parts, own))
        with progress_bar.shown(grid.num_cells, num_trained) as advance:
            _train(run_dir, grid, own, parts, placement, advance)
        processes.wait_for_all("every run is trained")
        if processes.is_first():
            shutil.rmtree(run_dir.unfinished, ignore_errors=True)
            if any(part.recorded for part in parts):
                resume.remove_beginnings(run_dir, grid)
            environment["runs"] = num_trained
            environment["seconds"] = round(time.perf_counter() - started, 3)
            resume.write_environment(run_dir, environment, earlier_calls)
            # The last file: it marks the run as finished.
            metrics_file.write(run_dir.metrics_file, grid, load_run(workdir).metrics)
        processes.wait_for_all("the metrics are written")
    return load_run(workdir)


def plan(
    config: Config | ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    folders: Sequence[str | os.PathLike[str]] = (),
) -> str:
    """What `sweep` would do, in a line: nothing is written. Args and errors as sweep."""
    run_dir = RunDir(Path(workdir))
    grid, own = _grid_of(config, folders)
    resume.check(run_dir, grid)
    devices.set_up(grid.config.execution)
    return describe_plan(grid, resume.missing_parts(run_dir, grid, resume.damaged(run_dir)), own)


def _grid_of(config: Config | ml_collections.ConfigDict, folders: Sequence[str | os.PathLike[str]]) -> tuple[Grid, Own]:
    """The grid of a study whose pieces are pinned, and their texts."""
    config = checked(config) if isinstance(config, Config) else from_config_dict(config)
    pinned = pin(config, [*map(Path, folders), Path()])
    own = Own(texts=pinned.texts)
    return make_grid(pinned.config, own), own


def _train(
    run_dir: RunDir,
    grid: Grid,
    own: Own,
    parts: Sequence[resume.Part],
    placement: Placement,
    advance: Callable[[int], None],
) -> None:
    """Trains the missing cells, chunk by chunk; the program of a structure is compiled once."""
    program: Program | None = None
    for part in parts:
        if program is None or program.experiment.config != part.structure.config:
            program = compile_program(make_experiment(part.structure.config, own), placement)
        size = program.placement.cells_per_chunk
        for start in range(0, len(part.cells), size):
            numbers = part.cells[start : start + size]
            _train_chunk(run_dir, grid, part, numbers, program)
            advance(len(numbers))


def _train_chunk(
    run_dir: RunDir,
    grid: Grid,
    part: resume.Part,
    numbers: np.ndarray,
    program: Program,
) -> None:
    """Trains the cells of a chunk from the recorded step where they are, and stores them."""
    cells, dealt = [grid.cell(number) for number in numbers], program.placement.deal(len(numbers))
    kept: list[Path] = []

    def remove(paths: Sequence[Path]) -> None:
        if processes.is_first():
            for path in paths:
                checkpoint.remove(path)

    def keep(recorded: int, progress: Progress) -> None:
        with interruption.finished_first():
            kept.append(chunks.save(run_dir.unfinished, grid, cells, dealt.rows, recorded, as_tree(progress)))
        remove(kept[:-1])
        del kept[:-1]

    here = [cells[i] for i in dealt.own]
    progress = resume.load_progress(part, here, program) if part.recorded and here else None
    progress = run_chunk(program, cells, (part.recorded, progress), keep)
    with interruption.finished_first():
        recorded = len(recorded_steps(program.experiment.config))
        chunks.save(run_dir.chunks, grid, cells, dealt.rows, recorded, as_tree(progress))
    remove(kept)


def describe_plan(grid: Grid, parts: Sequence[resume.Part], own: Own) -> str:
    """What there is to do, in a line: programs, chunks and bytes."""

    def size_of(tree: Any) -> int:
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))

    size = grid.config.execution.cells_per_chunk
    structures = {part.structure.config: make_experiment(part.structure.config, own) for part in parts}
    bytes_of = {config: size_of(progress_shape(experiment)) for config, experiment in structures.items()}
    num_chunks = sum(-(-len(part.cells) // size) for part in parts)
    disk = sum(len(part.cells) * bytes_of[part.structure.config] for part in parts)
    memory = max((min(size, len(part.cells)) * bytes_of[part.structure.config] for part in parts), default=0)
    cells = sum(len(part.cells) for part in parts)
    begun = sum(len(part.cells) for part in parts if part.recorded)
    continued = f", {begun} of them from where they are" if begun else ""
    return (
        f"{cells} of {grid.num_cells} runs to train{continued}: {len(structures)} programs, {num_chunks} chunks of at "
        f"most {size} runs, {disk / 1e6:.1f} MB on disk before compression, {memory / 1e6:.1f} MB of results in memory "
        "at a time"
    )
