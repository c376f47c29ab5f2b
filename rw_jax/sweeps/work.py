"""What there is to do in a sweep, and whether it fits on the machine: from sizes alone, before anything is written."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from rw_jax.study.errors import ConfigError
from rw_jax.study.grid import Structure
from rw_jax.sweeps.devices import Placement, free_memory
from rw_jax.sweeps.program import shape_of_walks
from rw_jax.sweeps.resume import Part
from rw_jax.training.grids import Experiments


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
    """

    total: int
    cells: int
    begun: int
    programs: int
    cells_per_chunk: int
    disk: int
    memory: int

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


def work_of(experiments: Experiments, parts: Sequence[Part], placement: Placement) -> Work:
    """What there is to do for these cells.

    Raises:
      ConfigError: if a single batch does not fit into memory.
    """
    missing: dict[Structure, int] = {}
    for part in parts:
        missing[part.structure] = missing.get(part.structure, 0) + len(part.cells)
    bytes_of = {structure: size_of(experiments.checked(structure).shape) for structure in missing}
    batch = placement.cells_at_once
    free = free_memory(placement.mesh) * len(placement.mesh.local_devices)
    for structure in missing:
        experiment, config = experiments.checked(structure).experiment, structure.config
        least = batch * (bytes_of[structure] + size_of(shape_of_walks(experiment)))
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
    is_given = experiments.grid.config.execution.cells_per_chunk is not None
    sizes = {
        structure: (placement if is_given else placement.for_cells(count, bytes_of[structure])).cells_per_chunk
        for structure, count in missing.items()
    }
    return Work(
        total=experiments.grid.num_cells,
        cells=sum(missing.values()),
        begun=sum(len(part.cells) for part in parts if part.recorded),
        programs=len(missing),
        cells_per_chunk=max(sizes.values(), default=0),
        disk=sum(count * bytes_of[structure] for structure, count in missing.items()),
        memory=max((min(sizes[each], count) * bytes_of[each] for each, count in missing.items()), default=0),
    )


def size_of(tree: Any) -> int:
    """Bytes of the arrays of a tree, or of their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
