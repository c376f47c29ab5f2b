"""A whole grid of runs: the only vmap over runs, the only jit, the only sharding; the host loop over chunks."""

import contextlib
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import rich.progress
from absl import logging
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rw_jax import checkpoint, plots, summary, train
from rw_jax.config import Config, ConfigError, differences
from rw_jax.grid import expand, kept_steps, recorded_steps
from rw_jax.run_dir import (
    Chunk,
    RunDir,
    RunError,
    cut,
    gather_metrics,
    load_run,
    read_config,
    write_atomically,
    write_metrics,
)

Program = Callable[[train.RunValues, jax.Array, train.Schedule], train.Record]


def run(config: Config, workdir: Path) -> None:
    """Trains every cell of the config's grid into a run directory, draws its figures and prints its table.

    On a directory of the same config it goes on with the chunks that are missing; on a finished one it says so.

    Raises:
      ConfigError: if the directory holds something else, or cannot be written.
    """
    started = time.perf_counter()
    run_dir, grid = RunDir(workdir), expand(config)
    _check_directory(run_dir, config)
    if run_dir.summary_file.is_file():
        print(f"{workdir} is finished: all {grid.num_cells} runs of this config are there. Nothing to do.")
        return
    mesh = set_up_devices(config)
    cells_per_batch = config.execution.cells_per_batch or default_cells_per_batch()
    environment = describe_environment(mesh, cells_per_batch)
    earlier_calls = _open_directory(run_dir, config, environment)

    if config.execution.cells_per_chunk < min(grid.num_cells, mesh.size * cells_per_batch):
        logging.warning(
            "execution.cells_per_chunk is %d; %d devices are busy only from %d on",
            config.execution.cells_per_chunk, mesh.size, mesh.size * cells_per_batch,
        )  # fmt: skip
    missing = [chunk for chunk in cut(grid, config.execution.cells_per_chunk) if not run_dir.chunk(chunk.name).is_dir()]
    programs: dict[Config, Program] = {}
    with _progress(grid.num_cells, sum(len(chunk.cells) for chunk in missing)) as advance:
        for chunk in missing:
            structure = chunk.structure.config
            if structure not in programs:
                programs = {structure: make_program(structure, mesh, cells_per_batch)}
            record = run_chunk(programs[structure], chunk, mesh, cells_per_batch, config.execution.cells_per_chunk)
            checkpoint.save(
                run_dir.chunk(chunk.name),
                record._asdict(),
                {
                    "cells": [cell.labels for cell in chunk.cells],
                    "recorded_steps": recorded_steps(structure),
                    "kept_steps": kept_steps(structure),
                },
            )
            advance(len(chunk.cells))
    write_metrics(run_dir, gather_metrics(run_dir, config))
    trained = time.perf_counter()
    finished = load_run(workdir)
    plots.write_figures(finished, run_dir.figures)
    environment["runs"] = sum(len(chunk.cells) for chunk in missing)
    environment["seconds"] = {
        "training": round(trained - started, 3),
        "total": round(time.perf_counter() - started, 3),
    }
    _write_environment(run_dir, environment, earlier_calls)
    table = summary.table(finished.metrics)
    summary.show(table)
    summary.write(table, run_dir.summary_file)  # the last file: it marks the run as finished
    print(f"{environment['runs']} of {grid.num_cells} runs trained in {environment['seconds']['total']:.1f} s.")
    print(f"Everything is in {workdir}:")
    print("metrics.nc (xarray), chunks (parameters), figures, summary.csv, config.json, environment.json.")


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


def make_program(structure: Config, mesh: Mesh, cells_per_batch: int) -> Program:
    """Compiles the training of the cells of one structure, for any number of cells.

    The program takes the values of C cells, C a multiple of devices times cells_per_batch, the number of batches that
    each device is to run (the rest of its cells are padding), and the schedule. Every device loops over its batches;
    nothing is communicated.
    """
    num_kept = len(kept_steps(structure))

    def run_cell(values: train.RunValues, schedule: train.Schedule) -> train.Record:
        return train.train(structure, values, train.init(structure, values), schedule, num_kept)[1]

    def run_one(values: train.RunValues, schedule: train.Schedule) -> train.Record:
        # The axis that vmap would carry through the program of a single run makes it up to three times slower.
        record = run_cell(jax.tree.map(lambda stack: stack[0], values), schedule)
        return jax.tree.map(lambda leaf: leaf[None], record)

    def run_cells(values: train.RunValues, num_batches_1: jax.Array, schedule: train.Schedule) -> train.Record:
        # Compiled by itself it is traced once for the shapes of its records and for the loop.
        run_batch = jax.jit(run_one if cells_per_batch == 1 else jax.vmap(run_cell, in_axes=(0, None)))

        def batch_of(stack, i):
            return jax.lax.dynamic_slice_in_dim(stack, i * cells_per_batch, cells_per_batch)

        def run_next(i, records):
            record = run_batch(jax.tree.map(lambda stack: batch_of(stack, i), values), schedule)
            return jax.tree.map(
                lambda stack, leaf: jax.lax.dynamic_update_slice_in_dim(stack, leaf, i * cells_per_batch, 0),
                records,
                record,
            )

        shapes = jax.eval_shape(run_batch, jax.tree.map(lambda stack: batch_of(stack, 0), values), schedule)
        capacity = len(jax.tree.leaves(values)[0])
        records = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape[1:]), leaf.dtype), shapes)
        # The number of batches is an argument, so that the program of a cell does not depend on how many there are.
        return jax.lax.fori_loop(0, num_batches_1[0], run_next, records)

    runs = PartitionSpec("run")
    sharded = jax.shard_map(
        run_cells, mesh=mesh, in_specs=(runs, runs, PartitionSpec()), out_specs=runs, check_vma=False
    )
    return jax.jit(sharded)


def run_chunk(program: Program, chunk: Chunk, mesh: Mesh, cells_per_batch: int, cells_per_chunk: int) -> train.Record:
    """Runs the cells of one chunk; gives their records as NumPy arrays with a leading axis C, in the cells' order.

    Cells are dealt to the devices in whole batches, as evenly as can be; the rest of a batch repeats the first cell.
    """
    structure, devices = chunk.structure.config, mesh.size
    capacity = -(-cells_per_chunk // (devices * cells_per_batch)) * cells_per_batch  # rows of one device
    batches = -(-len(chunk.cells) // cells_per_batch)
    num_batches = np.array([batches // devices + (d < batches % devices) for d in range(devices)], np.int32)
    rows = np.concatenate([d * capacity + np.arange(n * cells_per_batch) for d, n in enumerate(num_batches)])
    rows = rows[: len(chunk.cells)]

    values = jax.tree.map(lambda *scalars: np.stack(scalars), *(train.run_values(cell.config) for cell in chunk.cells))
    source = np.zeros(devices * capacity, int)
    source[rows] = np.arange(len(chunk.cells))
    runs = NamedSharding(mesh, PartitionSpec("run"))
    values = jax.tree.map(lambda stack: jax.device_put(stack[source], runs), values)
    record = program(values, jax.device_put(num_batches, runs), make_schedule(structure))
    return jax.tree.map(lambda stack: np.asarray(stack)[rows], record)


def make_schedule(structure: Config) -> train.Schedule:
    """When the runs of a structure are recorded."""
    recorded, kept = recorded_steps(structure), kept_steps(structure)
    gaps = np.diff([*recorded, recorded[-1] + 1])
    slots = [kept.index(step) if step in kept else len(kept) for step in recorded]
    return train.Schedule(np.asarray(gaps, np.int32), np.asarray(slots, np.int32))


def describe_environment(mesh: Mesh, cells_per_batch: int) -> dict[str, Any]:
    """What the numbers of a run depend on besides its config."""
    packages = ("jax", "jaxlib", "flax", "optax", "chex", "orbax-checkpoint", "numpy", "xarray")
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
        "devices": [f"{device.platform} {device.device_kind}" for device in mesh.devices.flat],
        "machine": platform.machine(),
        "commit": commit_of(Path(__file__)),
        "command": shlex.join(sys.orig_argv),
        "cells_per_batch": cells_per_batch,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def commit_of(file: Path) -> str | None:
    """The hash of the commit that is checked out where a file is tracked; None if it is not, or there is no git."""
    # An installed copy can lie in the checkout of another project, which does not track it.
    for command in (["ls-files", "--error-unmatch", file.name], ["rev-parse", "--verify", "--quiet", "HEAD"]):
        try:
            git = subprocess.run(["git", *command], cwd=file.parent, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return None
        if git.returncode != 0:
            return None
    return git.stdout.strip()


def _check_directory(run_dir: RunDir, config: Config) -> None:
    path = run_dir.path
    try:
        if path.exists() and not path.is_dir():
            raise ConfigError(f"workdir is {path}, which is a file, but must be a folder or not be there yet.")
        # A first start that was killed while it wrote the config leaves only its unfinished file.
        if not path.exists() or {entry.name for entry in path.iterdir()} <= {f"{run_dir.config_file.name}.tmp"}:
            return
    except OSError as error:
        raise ConfigError(f"workdir is {path}, which cannot be used ({error.strerror}).") from error
    try:
        there = read_config(run_dir)
    except RunError as error:
        raise ConfigError(f"workdir is {path}, which is not empty and no run of this config: {error}") from error
    different = differences(there, config)
    if different:
        raise ConfigError(
            f"workdir is {path}, which holds a run of another config ({'; '.join(different)}; there, here), but must "
            "be new or of this config."
        )


def _open_directory(run_dir: RunDir, config: Config, environment: dict[str, Any]) -> list[dict[str, Any]]:
    """Writes what is known before training; gives the environments of earlier calls on this directory."""
    try:
        earlier: list[dict[str, Any]] = []
        if run_dir.environment_file.is_file():
            last = json.loads(run_dir.environment_file.read_text())
            earlier = [*last.pop("earlier_calls"), last]
            if last["cells_per_batch"] != environment["cells_per_batch"]:
                raise ConfigError(
                    f"execution.cells_per_batch is {environment['cells_per_batch']} on this device, but must be "
                    f"{last['cells_per_batch']}, as for the runs already in {run_dir.path}: last bits depend on it."
                )
        run_dir.path.mkdir(parents=True, exist_ok=True)
        write_atomically(run_dir.config_file, config.to_json())
        _write_environment(run_dir, environment, earlier)
    except OSError as error:
        raise ConfigError(f"workdir is {run_dir.path}, which cannot be written ({error.strerror}).") from error
    return earlier


def _write_environment(run_dir: RunDir, environment: dict[str, Any], earlier_calls: list[dict[str, Any]]) -> None:
    text = json.dumps({**environment, "earlier_calls": earlier_calls}, indent=2)
    write_atomically(run_dir.environment_file, text)


@contextlib.contextmanager
def _progress(total: int, missing: int) -> Generator[Callable[[int], None]]:
    """A progress bar with the time left where stderr is a terminal, else a log line per chunk."""
    done = total - missing
    if sys.stderr.isatty():
        columns = (
            rich.progress.TextColumn("training"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("runs"),
            rich.progress.TimeRemainingColumn(),
        )
        console = rich.console.Console(stderr=True)
        with rich.progress.Progress(*columns, console=console) as bar:
            task = bar.add_task("training", total=total, completed=done)
            yield lambda count: bar.advance(task, count)
        return
    started = time.perf_counter()
    trained = 0

    def log(count: int) -> None:
        nonlocal trained
        trained += count
        elapsed = time.perf_counter() - started
        left = elapsed / trained * (missing - trained)
        logging.info("%d of %d runs, %.1f s, %.1f s left", done + trained, total, elapsed, left)

    yield log
