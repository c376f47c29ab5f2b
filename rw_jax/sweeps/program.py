"""The compiled program of a structure: the only vmap over runs, jit and sharding."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from rw_jax.store import processes
from rw_jax.store.checkpoint import by_name
from rw_jax.study.grid import Cell
from rw_jax.sweeps.devices import Assignment, Placement, free_memory
from rw_jax.tasks import Walks
from rw_jax.training import run
from rw_jax.training.experiment import Experiment
from rw_jax.training.precision import compiler_options, numbers_of
from rw_jax.training.run import Progress, Record, Schedule, State
from rw_jax.training.values import num_stages, run_values, stacked_values
from rw_jax.training.walks import draw_test_walks, draw_training_walks

Training = Callable[[Mapping[str, Any], Progress, jax.Array, Schedule], Progress]
"""(values, progress, num_batches, schedule) -> progress, of the cells of a chunk; see make_training."""


class Program(NamedTuple):
    """The compiled training of the cells of one structure.

    Attributes:
      experiment: their pieces.
      placement: where they are trained, and how many together.
      shape: the shapes of the progress of one cell.
      train: the compiled training.
    """

    experiment: Experiment
    placement: Placement
    shape: Progress
    train: Training


def make_training(experiment: Experiment, placement: Placement) -> jax.stages.Wrapped:
    """The training of the cells of one structure, for any number of cells and any part of the training, to be compiled.

    The program takes the values of C cells, C a multiple of devices times cells_per_batch, their progress, which it may
    overwrite, the number of batches that each device is to run (the rest of its cells are padding), and the schedule.
    It gives their progress at the end of the schedule; one that begins at step 0 looks at no progress. Every device
    loops over its batches; nothing is communicated. It is to be called in the precision of the structure.
    """
    size = placement.cells_per_batch

    def run_cell(values: Mapping[str, Any], progress: Progress, schedule: Schedule) -> Progress:
        begun = jax.lax.cond(
            schedule.first == 0, lambda: run.begin(experiment, values, progress.record), lambda: progress
        )
        return run.train(experiment, values, begun, schedule, is_alone=size == 1)

    def run_one(values: Mapping[str, Any], progress: Progress, schedule: Schedule) -> Progress:
        # The axis that vmap would carry through the program of a single run makes it up to three times slower.
        values, progress = jax.tree.map(lambda stack: stack[0], (values, progress))
        return jax.tree.map(lambda leaf: leaf[None], run_cell(values, progress, schedule))

    run_batch = run_one if size == 1 else jax.vmap(run_cell, in_axes=(0, 0, None))

    def run_cells(
        values: Mapping[str, Any], progress: Progress, num_batches_1: jax.Array, schedule: Schedule
    ) -> Progress:
        def run_next(i, progress):
            batch = jax.tree.map(lambda stack: jax.lax.dynamic_slice_in_dim(stack, i * size, size), (values, progress))
            return jax.tree.map(
                lambda stack, leaf: jax.lax.dynamic_update_slice_in_dim(stack, leaf, i * size, 0),
                progress,
                run_batch(*batch, schedule),
            )

        # The number of batches is an argument, so that the program of a cell does not depend on how many there are.
        return jax.lax.fori_loop(0, num_batches_1[0], run_next, progress)

    runs = PartitionSpec("run")
    sharded = jax.shard_map(
        run_cells,
        mesh=placement.mesh,
        in_specs=(runs, runs, runs, PartitionSpec()),
        out_specs=runs,
        check_vma=False,
    )
    options = compiler_options()
    if jax.default_backend() == "cpu":
        # XLA takes 256 bits by itself, and splits kernels over all cores, where those of other devices wait in line.
        options |= {"xla_cpu_prefer_vector_width": 512, "xla_cpu_multi_thread_eigen": False}
    return jax.jit(sharded, donate_argnums=1, compiler_options=options)


def compile_program(experiment: Experiment, placement: Placement, shape: Progress) -> Program:
    """The program of a structure, for chunks as large as the placement has room for, or as the free memory holds.

    Args:
      experiment: its pieces.
      placement: where its cells are trained.
      shape: the shapes of the progress of one cell.
    """
    training = make_training(experiment, placement)
    compiled = _compiled(training, experiment, placement, shape)
    memory = compiled.memory_analysis()
    if memory is None:  # a backend that cannot tell
        return Program(experiment, placement, shape, compiled)
    needed = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
        - memory.alias_size_in_bytes
    )
    fits = int(placement.cells_per_chunk * _SHARE_OF_FREE_MEMORY * free_memory(placement.mesh) / needed)
    fits = int(processes.gathered(np.array([fits])).min())
    if fits >= placement.cells_per_chunk:
        return Program(experiment, placement, shape, compiled)
    smaller = placement._replace(cells_per_chunk=max(fits, placement.cells_at_once))
    return Program(experiment, smaller, shape, _compiled(training, experiment, smaller, shape))


_SHARE_OF_FREE_MEMORY = 0.6


def _compiled(
    training: jax.stages.Wrapped, experiment: Experiment, placement: Placement, shape: Progress
) -> jax.stages.Compiled:
    """The training compiled for full chunks."""
    rows = placement.rows_of_one_device * placement.mesh.size

    def stack(leaf: Any, sharding: NamedSharding, *leading: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((*leading, *leaf.shape), leaf.dtype, sharding=sharding)

    with numbers_of(experiment.precision):
        values, progress = jax.tree.map(
            lambda leaf: stack(leaf, placement.runs, rows),
            (run_values(experiment.labels, experiment), shape),
        )
        num_batches = stack(np.empty((), np.int32), placement.runs, placement.mesh.size)
        schedule = jax.tree.map(lambda leaf: stack(leaf, placement.everywhere), make_schedule(experiment, 0, 1))
        return training.lower(values, progress, num_batches, schedule).compile()


def shape_of_walks(experiment: Experiment) -> list[Walks | None]:
    """The shapes of the walks of one cell: the test walks, and the training walks of each stage."""
    with numbers_of(experiment.precision):
        values = run_values(experiment.labels, experiment)
        stages = range(num_stages(values))
        return jax.eval_shape(
            lambda: [
                draw_test_walks(experiment, values),
                *(draw_training_walks(experiment, values, stage) for stage in stages),
            ]
        )


def make_schedule(experiment: Experiment, first: int, last: int) -> Schedule:
    """When the runs of a structure are recorded, and the recorded steps to go through."""
    recorded, kept = experiment.recorded, experiment.kept
    gaps = np.diff([*recorded, recorded[-1]])
    slots = [kept.index(step) if step in kept else len(kept) for step in recorded]
    return Schedule(*(np.asarray(numbers, np.int32) for numbers in (gaps, slots, first, last)))


def run_chunk(
    program: Program,
    cells: Sequence[Cell],
    begun: tuple[int, Progress | None] = (0, None),
    keep: Callable[[int, Progress], None] = lambda recorded, progress: None,
) -> Progress:
    """Trains the cells of one chunk; gives their progress as arrays of all devices, each cell in its assigned row.

    Args:
      program: the program of their structure.
      cells: the cells.
      begun: where training continues: how many recorded steps are done, and the progress of this process's cells.
      keep: called after every `checkpoint_steps` steps, but not after the last, with how many recorded steps are done
        and the progress, as arrays of all devices that it must not keep itself.
    """
    experiment = program.experiment
    placement, assigned = program.placement, program.placement.assign(len(cells))
    with numbers_of(experiment.precision):
        values = stacked_values([cell.values for cell in cells], experiment)
        # Rows of padding repeat the first cell.
        values = jax.tree.map(lambda stack: _global(stack[np.maximum(assigned.cells, 0)], placement.runs), values)
        num_batches = _known_to_all(assigned.num_batches, placement.runs)
        first, progress = begun
        progress = _on_devices(progress, program.shape, assigned, placement.runs)
        for last in _ends(experiment.recorded, first, placement.checkpoint_steps):
            schedule = jax.tree.map(
                lambda array: _known_to_all(array, placement.everywhere), make_schedule(experiment, first, last)
            )
            progress = program.train(values, progress, num_batches, schedule)
            first = last
            if last < len(experiment.recorded):
                keep(last, progress)
        return jax.block_until_ready(progress)


def _ends(recorded: Sequence[int], first: int, checkpoint_steps: int) -> Iterator[int]:
    """Where the calls of a program end: at the first recorded step that is checkpoint_steps away, and at last at T."""
    for place in range(first + 1, len(recorded)):
        if recorded[place] - recorded[first] >= checkpoint_steps:
            yield place
            first = place
    yield len(recorded)


def _on_devices(own: Progress | None, shape: Progress, assigned: Assignment, runs: NamedSharding) -> Progress:
    """The progress of a chunk on its devices; zero in rows of padding, and everywhere if there is none."""

    def put(of_cell: jax.ShapeDtypeStruct, leaf: np.ndarray | None) -> jax.Array:
        rows = np.zeros((len(assigned.cells), *of_cell.shape), of_cell.dtype)
        if leaf is not None:
            rows[assigned.cells >= 0] = leaf
        return _global(rows, runs)

    leaves = jax.tree.leaves(own) if own is not None else [None] * len(jax.tree.leaves(shape))
    return jax.tree.unflatten(jax.tree.structure(shape), map(put, jax.tree.leaves(shape), leaves))


def _global(rows: np.ndarray, runs: NamedSharding) -> jax.Array:
    """An array of all processes, of which this one gives the rows of its devices."""
    return jax.make_array_from_process_local_data(runs, rows)


def _known_to_all(array: Any, sharding: NamedSharding) -> jax.Array:
    """An array of all processes, each of which has the whole."""
    return jax.make_array_from_callback(array.shape, sharding, np.asarray(array).__getitem__)


def as_tree(progress: Progress) -> dict[str, Any]:
    """A progress as it is stored: `state`, leaves by name; `record.metrics`; `record.kept`."""
    return {"state": by_name(progress.state), "record": progress.record._asdict()}


def from_tree(tree: Mapping[str, Any], shape: Progress) -> Progress:
    """The progress that was stored as a tree; `shape` is the progress of one cell."""
    names, treedef = by_name(shape.state), jax.tree.structure(shape.state)
    state: State = jax.tree.unflatten(treedef, [tree["state"][name] for name in names])
    return Progress(state, Record(**tree["record"]))
