"""What there is to do in a sweep, and whether it fits on the machine: from sizes alone, before anything is written."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from rw_jax.study.config import Config
from rw_jax.study.errors import ConfigError
from rw_jax.study.grid import Grid
from rw_jax.sweeps.devices import Placement, free_memory
from rw_jax.sweeps.program import shape_of_cell, shape_of_walks
from rw_jax.sweeps.resume import Part
from rw_jax.training.experiment import Own, make_experiment
from rw_jax.training.run import Progress


class Work(NamedTuple):
    """What there is to do.

    Attributes:
      total: cells of the grid.
      cells: those to train.
      begun: those of them that have begun.
      programs: structures among them, each a program to compile.
      cells_per_chunk: how many runs a chunk has at most.
      disk: bytes of their results, before compression.
      memory: bytes of the results of a chunk.
      shapes: of each structure, the shapes of the progress of a cell.
    """

    total: int
    cells: int
    begun: int
    programs: int
    cells_per_chunk: int
    disk: int
    memory: int
    shapes: Mapping[Config, Progress]

    def __str__(self) -> str:
        continued = f", {self.begun} of them from where they are" if self.begun else ""
        return (
            f"{self.cells} of {self.total} runs to train{continued}: {_counted(self.programs, 'program')}, "
            f"chunks of at most {self.cells_per_chunk} runs, "
            f"{self.disk / 1e6:.1f} MB on disk before compression, "
            f"{self.memory / 1e6:.1f} MB of results in memory at a time"
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def work_of(grid: Grid, parts: Sequence[Part], own: Own, placement: Placement) -> Work:
    """What there is to do for these cells.

    Raises:
      ConfigError: if a single batch does not fit into memory, or the pieces of a run cannot be traced.
    """
    missing: dict[Config, int] = {}
    for part in parts:
        missing[part.structure.config] = missing.get(part.structure.config, 0) + len(part.cells)
    experiments = {config: make_experiment(config, own) for config in missing}
    shapes = {config: shape_of_cell(experiment) for config, experiment in experiments.items()}
    bytes_of = {config: _size_of(shape) for config, shape in shapes.items()}
    batch = placement.cells_at_once
    free = free_memory(placement.mesh) * len(placement.mesh.local_devices)
    for config, experiment in experiments.items():
        least = batch * (bytes_of[config] + _size_of(shape_of_walks(experiment)))
        if least > free:
            raise ConfigError(
                f"The walks and results of {batch} runs, a batch of {placement.cells_per_batch} on each device, take "
                f"{least / 1e9:.1f} GB, but {free / 1e9:.1f} GB of memory are free; take fewer or smaller ones: "
                f"execution.cells_per_batch is {config.execution.cells_per_batch}, task.walks {config.task.walks}, "
                f"task.test_walks {config.task.test_walks}, task.walk_length {config.task.walk_length}, "
                f"task.num_nodes {config.task.num_nodes}, model.form {config.model.form!r}, model.position_width "
                f"{config.model.position_width}, training.steps {config.training.steps}, record.every "
                f"{config.record.every}."
            )
    sizes = {
        config: placement_of(placement, config, count, shapes[config]).cells_per_chunk
        for config, count in missing.items()
    }
    return Work(
        total=grid.num_cells,
        cells=sum(missing.values()),
        begun=sum(len(part.cells) for part in parts if part.recorded),
        programs=len(missing),
        cells_per_chunk=max(sizes.values(), default=0),
        disk=sum(count * bytes_of[config] for config, count in missing.items()),
        memory=max((min(sizes[config], count) * bytes_of[config] for config, count in missing.items()), default=0),
        shapes=shapes,
    )


def placement_of(placement: Placement, structure: Config, num_cells: int, shape: Progress) -> Placement:
    """Where the cells of a structure are trained, with the room that their chunks have.

    Args:
      placement: that of the sweep.
      structure: the structure.
      num_cells: how many of its cells are to be trained.
      shape: the shapes of the progress of one of them.
    """
    is_given = structure.execution.cells_per_chunk is not None
    return placement if is_given else placement.for_cells(num_cells, _size_of(shape))


def _size_of(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
