"""A whole grid of runs: the only vmap over runs, the only jit, the only sharding; the host loop over chunks."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import psutil
from absl import logging
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rw_jax.analysis.run_dir import (
    Chunk,
    Run,
    RunDir,
    gather_metrics,
    load_run,
    save_cells,
    write_metrics,
)
from rw_jax.store import checkpoint, distributed
from rw_jax.store.environment import describe_environment
from rw_jax.study.config import Config
from rw_jax.study.grid import expand, kept_steps, recorded_steps
from rw_jax.sweeps import interruption, progress_bar, resume
from rw_jax.training import train

Program = Callable[[train.RunValues, train.Progress, jax.Array, train.Schedule], train.Progress]
"""A compiled function (values, progress, num_batches, schedule) -> progress; see make_program."""


def sweep(config: Config, workdir: Path) -> Run:
    """Trains every cell of the config's grid into a run directory, and gives the finished run.

    On a directory of the same config it goes on with the cells that are missing; a finished one is left as it is. On a
    directory of a smaller grid it trains the cells that this one adds.

    Args:
      config: the study.
      workdir: the run directory.

    Raises:
      ConfigError: if the directory holds something else, is in use, or cannot be written.
      OSError: if it can no longer be written; what is finished is kept.
    """
    started = time.perf_counter()
    run_dir, grid = RunDir(workdir), expand(config)
    there = resume.check(run_dir, config, grid)
    mesh = set_up_devices(config)
    if (
        there == config
        and run_dir.metrics_file.is_file()
        and not resume.damaged(run_dir)
        and not resume.missing_cells(run_dir, grid)
    ):
        return load_run(workdir)
    cells_per_batch = config.execution.cells_per_batch or default_cells_per_batch()
    environment = describe_environment(mesh, cells_per_batch)
    with contextlib.ExitStack() as stack:
        if distributed.is_first():
            earlier_calls = resume.prepare(run_dir, config, environment, stack)
        distributed.wait_for_all("the directory is open")
        missing = resume.missing_cells(run_dir, grid)
        distributed.wait_for_all("every process knows what is missing")
        num_trained = sum(len(part.structure.cells) for part in missing)
        logging.info("%s", describe_plan(config, missing, grid.num_cells))
        with progress_bar.shown(grid.num_cells, num_trained) as advance:
            _train(config, run_dir, missing, mesh, cells_per_batch, advance)
        distributed.wait_for_all("every run is trained")
        if distributed.is_first():
            shutil.rmtree(run_dir.unfinished, ignore_errors=True)
            if any(part.recorded for part in missing):
                resume.remove_beginnings(run_dir, grid)
            environment["runs"] = num_trained
            environment["seconds"] = round(time.perf_counter() - started, 3)
            resume.write_environment(run_dir, environment, earlier_calls)
            write_metrics(run_dir, gather_metrics(run_dir, config))  # the last file: it marks the run as finished
        distributed.wait_for_all("the metrics are written")
    return load_run(workdir)


def plan(config: Config, workdir: Path) -> str:
    """What `run` would do: nothing is written.

    Raises:
      ConfigError: if `run` would refuse the directory.
    """
    run_dir, grid = RunDir(workdir), expand(config)
    resume.check(run_dir, config, grid)
    set_up_devices(config)
    return describe_plan(config, resume.missing_cells(run_dir, grid, resume.damaged(run_dir)), grid.num_cells)


def _train(
    config: Config,
    run_dir: RunDir,
    missing: Sequence[resume.Missing],
    mesh: Mesh,
    cells_per_batch: int,
    advance: Callable[[int], None],
) -> None:
    """Trains the missing cells, chunk by chunk, in smaller chunks where memory is short."""
    programs: dict[Config, tuple[Program, int]] = {}
    smallest = mesh.size * cells_per_batch
    for part in missing:
        structure = part.structure
        if structure.config not in programs:
            program = make_program(structure.config, mesh, cells_per_batch)
            programs = {
                structure.config: fitted(
                    program, structure.config, mesh, cells_per_batch, config.execution.cells_per_chunk
                )
            }
        program, size = programs[structure.config]
        cells = structure.cells
        while cells:
            chunk = Chunk(structure, cells[:size])
            try:
                _train_chunk(run_dir, program, chunk, part, mesh, cells_per_batch, size)
            except jax.errors.JaxRuntimeError as error:
                # Several processes would have to agree on a new size, and some may have gone on.
                if "RESOURCE_EXHAUSTED" not in str(error) or size <= smallest or jax.process_count() > 1:
                    raise
                size = max(size // 2, smallest)
                program = make_program(structure.config, mesh, cells_per_batch)
                programs = {structure.config: (program, size)}
                logging.warning("Memory is short: going on in chunks of %d runs.", size)
                continue
            advance(len(chunk.cells))
            cells = cells[size:]


def _train_chunk(
    run_dir: RunDir,
    program: Program,
    chunk: Chunk,
    missing: resume.Missing,
    mesh: Mesh,
    cells_per_batch: int,
    size: int,
) -> None:
    """Trains the cells of a chunk from the recorded step where they are, and stores them."""
    structure, dealt = chunk.structure.config, deal(len(chunk.cells), mesh, cells_per_batch, size)
    kept: list[Path] = []

    def remove(paths: Sequence[Path]) -> None:
        if distributed.is_first():
            for path in paths:
                checkpoint.remove(path)

    def keep(recorded: int, progress: train.Progress) -> None:
        leaves = {str(i): leaf for i, leaf in enumerate(jax.tree.leaves(progress))}
        with interruption.finished_first():
            kept.append(save_cells(run_dir.unfinished, chunk.cells, dealt.rows, recorded, leaves))
        remove(kept[:-1])
        del kept[:-1]

    own = [chunk.cells[i] for i in dealt.own]
    progress = None
    if missing.recorded and own:
        blank = jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), progress_shape(structure))
        progress = resume.load_progress(run_dir, own, missing, blank)
    record = run_chunk(program, chunk, mesh, cells_per_batch, size, (missing.recorded, progress), keep)
    with interruption.finished_first():
        save_cells(run_dir.chunks, chunk.cells, dealt.rows, len(recorded_steps(structure)), record._asdict())
    remove(kept)


def fitted(
    program: jax.stages.Wrapped, structure: Config, mesh: Mesh, cells_per_batch: int, cells_per_chunk: int
) -> tuple[Program, int]:
    """The program compiled for chunks of cells_per_chunk if the free memory holds them, and how many cells it holds.

    Where it holds less, the program is compiled when it is called with as many.
    """
    rows = deal(0, mesh, cells_per_batch, cells_per_chunk)
    runs, everywhere = NamedSharding(mesh, PartitionSpec("run")), NamedSharding(mesh, PartitionSpec())
    capacity = len(rows.cells) // len(mesh.local_devices) * mesh.size

    def stack(leaf: Any, sharding: NamedSharding, *leading: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((*leading, *leaf.shape), leaf.dtype, sharding=sharding)

    values, progress = jax.tree.map(
        lambda leaf: stack(leaf, runs, capacity), (train.run_values(structure), progress_shape(structure))
    )
    schedule = jax.tree.map(lambda leaf: stack(leaf, everywhere), make_schedule(structure, 0, 1))
    compiled = program.lower(values, progress, stack(rows.num_batches, runs), schedule).compile()
    memory = compiled.memory_analysis()
    if memory is None:  # a backend that cannot tell
        return compiled, cells_per_chunk
    needed = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
        - memory.alias_size_in_bytes
    )
    fits = int(cells_per_chunk * _SHARE_OF_FREE_MEMORY * free_memory(mesh) / needed)
    fits = int(distributed.gathered(np.array([fits])).min())
    if fits >= cells_per_chunk:
        return compiled, cells_per_chunk
    return program, max(fits, mesh.size * cells_per_batch)


_SHARE_OF_FREE_MEMORY = 0.6


def free_memory(mesh: Mesh) -> int:
    """Bytes that each device of this process can still take, by the one that has least."""
    stats = [device.memory_stats() for device in mesh.local_devices]
    if all(stats):
        return min(stat["bytes_limit"] - stat["bytes_in_use"] for stat in stats)
    free = psutil.virtual_memory().available  # CPU devices share the memory of the machine
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    with contextlib.suppress(OSError, ValueError):  # a job may be given less than the machine has; "max" is no limit
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return max(free // len(mesh.local_devices), 1)


def describe_plan(config: Config, missing: Sequence[resume.Missing], num_cells: int) -> str:
    """What there is to do, in a line: programs, chunks and bytes."""

    def size_of(tree: Any) -> int:
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))

    size = config.execution.cells_per_chunk
    structures = [part.structure for part in missing]
    programs = len({structure.config for structure in structures})
    chunks = sum(-(-len(structure.cells) // size) for structure in structures)
    shapes = [(len(structure.cells), progress_shape(structure.config)) for structure in structures]
    disk = sum(cells * size_of(shape.record) for cells, shape in shapes)
    memory = max((min(size, cells) * size_of(shape) for cells, shape in shapes), default=0)
    cells = sum(cells for cells, _ in shapes)
    begun = sum(len(part.structure.cells) for part in missing if part.recorded)
    going_on = f", {begun} of them from where they are" if begun else ""
    return (
        f"{cells} of {num_cells} runs to train{going_on}: {programs} programs, {chunks} chunks of at most {size} runs, "
        f"{disk / 1e6:.1f} MB on disk before compression, {memory / 1e6:.1f} MB of results in memory at a time"
    )


def set_up_devices(config: Config) -> Mesh:
    """Sets the process to the config's precision and gives the mesh of all devices, one axis named "run"."""
    if "JAX_NUM_CPU_DEVICES" not in os.environ:
        with contextlib.suppress(RuntimeError):  # in a process that has used JAX the devices stay as they are
            jax.config.update("jax_num_cpu_devices", _usable_cores())
    jax.config.update("jax_enable_x64", config.precision == "float64")
    # float32 products are TF32 on recent GPUs and bfloat16 on TPUs otherwise.
    jax.config.update("jax_default_matmul_precision", "highest")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(Path("~/.cache/rw_jax").expanduser()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return make_mesh(jax.devices())


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # a job may be given fewer cores than the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_mesh(devices: Sequence[jax.Device]) -> Mesh:
    """The mesh of these devices, one axis named "run"."""
    return jax.make_mesh((len(devices),), ("run",), axis_types=(AxisType.Auto,), devices=devices)


def default_cells_per_batch() -> int:
    """How many cells are vmapped: one after another stays in cache on a CPU; a wide batch fills an accelerator."""
    return 1 if jax.default_backend() == "cpu" else 16


def make_program(structure: Config, mesh: Mesh, cells_per_batch: int) -> jax.stages.Wrapped:
    """Compiles the training of the cells of one structure, for any number of cells and any part of the training.

    The program takes the values of C cells, C a multiple of devices times cells_per_batch, their progress, which it may
    overwrite, the number of batches that each device is to run (the rest of its cells are padding), and the schedule.
    It gives their progress at the end of the schedule; one that begins at step 0 looks at no progress. Every device
    loops over its batches; nothing is communicated.
    """
    num_recorded, num_kept = len(recorded_steps(structure)), len(kept_steps(structure))

    def run_cell(values: train.RunValues, progress: train.Progress, schedule: train.Schedule) -> train.Progress:
        begun = jax.lax.cond(
            schedule.first == 0, lambda: train.begin(structure, values, num_recorded, num_kept), lambda: progress
        )
        return train.train(structure, values, begun, schedule)

    def run_one(values: train.RunValues, progress: train.Progress, schedule: train.Schedule) -> train.Progress:
        # The axis that vmap would carry through the program of a single run makes it up to three times slower.
        values, progress = jax.tree.map(lambda stack: stack[0], (values, progress))
        return jax.tree.map(lambda leaf: leaf[None], run_cell(values, progress, schedule))

    run_batch = run_one if cells_per_batch == 1 else jax.vmap(run_cell, in_axes=(0, 0, None))

    def run_cells(
        values: train.RunValues, progress: train.Progress, num_batches_1: jax.Array, schedule: train.Schedule
    ) -> train.Progress:
        def run_next(i, progress):
            batch = jax.tree.map(
                lambda stack: jax.lax.dynamic_slice_in_dim(stack, i * cells_per_batch, cells_per_batch),
                (values, progress),
            )
            return jax.tree.map(
                lambda stack, leaf: jax.lax.dynamic_update_slice_in_dim(stack, leaf, i * cells_per_batch, 0),
                progress,
                run_batch(*batch, schedule),
            )

        # The number of batches is an argument, so that the program of a cell does not depend on how many there are.
        return jax.lax.fori_loop(0, num_batches_1[0], run_next, progress)

    runs = PartitionSpec("run")
    sharded = jax.shard_map(
        run_cells, mesh=mesh, in_specs=(runs, runs, runs, PartitionSpec()), out_specs=runs, check_vma=False
    )
    return jax.jit(sharded, donate_argnums=1, compiler_options=compiler_options())


def compiler_options() -> dict[str, Any]:
    """What programs of runs are compiled with: on a CPU, vectors of 512 bits where it has them, one core a device."""
    if jax.default_backend() != "cpu":
        return {}
    # XLA takes 256 bits by itself, and splits kernels over all cores, where those of different devices wait in line.
    return {"xla_cpu_prefer_vector_width": 512, "xla_cpu_multi_thread_eigen": False}


class Deal(NamedTuple):
    """How the cells of a chunk are dealt to the devices: in whole batches, as evenly as can be.

    Attributes:
      num_batches: int32, how many batches each device runs.
      rows: the row of each cell in the arrays of all devices.
      cells: int, the cell in each row of this process's devices; -1 in rows of padding.
    """

    num_batches: np.ndarray
    rows: list[int]
    cells: np.ndarray

    @property
    def own(self) -> np.ndarray:
        """Which cells of the chunk this process trains, in order."""
        return self.cells[self.cells >= 0]


def deal(num_cells: int, mesh: Mesh, cells_per_batch: int, cells_per_chunk: int) -> Deal:
    """Deals the cells of a chunk; every device has rows for its share of a full one."""
    devices = mesh.size
    capacity = -(-cells_per_chunk // (devices * cells_per_batch)) * cells_per_batch  # rows of one device
    batches = -(-num_cells // cells_per_batch)
    num_batches = np.array([batches // devices + (d < batches % devices) for d in range(devices)], np.int32)
    rows = np.concatenate([d * capacity + np.arange(n * cells_per_batch) for d, n in enumerate(num_batches)])
    rows = rows[:num_cells].tolist()
    cells = np.full((devices, capacity), -1)
    np.put(cells, rows, np.arange(num_cells))
    own = [device.process_index == jax.process_index() for device in mesh.devices.flat]
    return Deal(num_batches, rows, cells[own].ravel())


def run_chunk(
    program: Program,
    chunk: Chunk,
    mesh: Mesh,
    cells_per_batch: int,
    cells_per_chunk: int,
    begun: tuple[int, train.Progress | None] = (0, None),
    keep: Callable[[int, train.Progress], None] = lambda recorded, progress: None,
) -> train.Record:
    """Trains the cells of one chunk; gives their records as arrays of all devices, each cell in the row of its deal.

    Args:
      program: the program of their structure.
      chunk: the cells.
      mesh: the devices, of all processes.
      cells_per_batch: how many cells a device runs at a time.
      cells_per_chunk: how many cells a full chunk has.
      begun: where training goes on: how many recorded steps are done, and the progress of this process's cells if any.
      keep: called after every `checkpoint_steps` steps, but not after the last, with how many recorded steps are done
        and the progress, as arrays of all devices that it must not keep itself.
    """
    structure, dealt = chunk.structure.config, deal(len(chunk.cells), mesh, cells_per_batch, cells_per_chunk)
    runs, everywhere = NamedSharding(mesh, PartitionSpec("run")), NamedSharding(mesh, PartitionSpec())
    values = jax.tree.map(lambda *scalars: np.stack(scalars), *(train.run_values(cell.config) for cell in chunk.cells))
    # Rows of padding repeat the first cell.
    values = jax.tree.map(lambda stack: _global(stack[np.maximum(dealt.cells, 0)], runs), values)
    num_batches = _known_to_all(dealt.num_batches, runs)
    first, progress = begun
    progress = _place(progress, structure, dealt, runs)
    for last in _ends(structure, first):
        schedule = jax.tree.map(lambda array: _known_to_all(array, everywhere), make_schedule(structure, first, last))
        progress = program(values, progress, num_batches, schedule)
        first = last
        if last < len(recorded_steps(structure)):
            keep(last, progress)
    return jax.block_until_ready(progress.record)


def _ends(structure: Config, first: int) -> Iterator[int]:
    """Where the calls of a program end: at the first recorded step that is checkpoint_steps away, and at last at T."""
    steps = recorded_steps(structure)
    for place in range(first + 1, len(steps)):
        if steps[place] - steps[first] >= structure.execution.checkpoint_steps:
            yield place
            first = place
    yield len(steps)


def progress_shape(structure: Config) -> train.Progress:
    """The shapes of the progress of one cell."""
    sizes = len(recorded_steps(structure)), len(kept_steps(structure))
    return jax.eval_shape(lambda values: train.begin(structure, values, *sizes), train.run_values(structure))


def _place(own: train.Progress | None, structure: Config, dealt: Deal, runs: NamedSharding) -> train.Progress:
    """The progress of a chunk on its devices; zero, and in rows of padding in any case, if there is none."""

    def place(shape: jax.ShapeDtypeStruct, leaf: np.ndarray | None) -> jax.Array:
        rows = np.zeros((len(dealt.cells), *shape.shape), shape.dtype)
        if leaf is not None:
            rows[dealt.cells >= 0] = leaf
        return _global(rows, runs)

    shapes = progress_shape(structure)
    leaves = jax.tree.leaves(own) if own is not None else [None] * len(jax.tree.leaves(shapes))
    return jax.tree.unflatten(jax.tree.structure(shapes), map(place, jax.tree.leaves(shapes), leaves))


def _global(rows: np.ndarray, runs: NamedSharding) -> jax.Array:
    """An array of all processes, of which this one gives the rows of its devices."""
    return jax.make_array_from_process_local_data(runs, rows)


def _known_to_all(array: Any, sharding: NamedSharding) -> jax.Array:
    """An array of all processes, each of which has the whole."""
    return jax.make_array_from_callback(array.shape, sharding, np.asarray(array).__getitem__)


def make_schedule(structure: Config, first: int, last: int) -> train.Schedule:
    """When the runs of a structure are recorded, and the recorded steps to go through."""
    recorded, kept = recorded_steps(structure), kept_steps(structure)
    gaps = np.diff([*recorded, recorded[-1] + 1])
    slots = [kept.index(step) if step in kept else len(kept) for step in recorded]
    return train.Schedule(*(np.asarray(numbers, np.int32) for numbers in (gaps, slots, first, last)))
