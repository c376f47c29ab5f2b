"""Chunks: cells that are trained by one call of a compiled program and stored together, each in a folder of its own.

A chunk holds, of each of its cells, the state at the last recorded step that it has reached, and the record up to
there: `state` (leaves by name), `record.metrics` and `record.kept`. Its description lists its cells.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rw_jax.store import checkpoint
from rw_jax.store.layout import study_digest
from rw_jax.study.errors import RunError
from rw_jax.study.grid import Cell, Grid, digest, kept_steps, recorded_steps


class About(NamedTuple):
    """What is kept of a metric with its numbers.

    Attributes:
      dims: the names of its axes, beside those of runs and steps.
      unit: its unit.
      meaning: what it is, in words.
    """

    dims: tuple[str, ...] = ()
    unit: str = ""
    meaning: str = ""


class Chunk(NamedTuple):
    """A chunk on disk.

    Attributes:
      folder: where it is.
      columns: what its cells are (`Grid.columns`).
      rows: the row of each cell along the first axis of the arrays.
      recorded: how many recorded steps they have gone through.
      study: the digest of their study.
      cells_per_batch: how many of them were trained in a batch, on which last bits depend, and whether a step may go
        over classes of walks.
      metrics: what its metrics are, by name; None of a chunk of a version that did not keep it.
      unread: the fields that nothing in its runs reads.
    """

    folder: Path
    columns: Mapping[str, Any]
    rows: np.ndarray
    recorded: int
    study: str
    cells_per_batch: int
    metrics: Mapping[str, About] | None = None
    unread: frozenset[str] = frozenset()

    def steps(self) -> tuple[int, ...]:
        """The labels of `steps` among its cells."""
        steps = self.columns["steps"]
        return tuple(sorted(set(steps))) if isinstance(steps, list) else (steps,)


class Locations(NamedTuple):
    """Where the cells of a grid are stored, among chunks.

    Attributes:
      chunks: the chunks that hold them.
      chunk: int[cells], the place among them of that which holds a cell; -1 if none does.
      row: int[cells], its row there.
      recorded: int[cells], how many recorded steps it has gone through; 0 if none holds it.
    """

    chunks: tuple[Chunk, ...]
    chunk: np.ndarray
    row: np.ndarray
    recorded: np.ndarray


def save(
    folder: Path,
    grid: Grid,
    cells: Sequence[Cell],
    rows: Sequence[int],
    recorded: int,
    cells_per_batch: int,
    metrics: Mapping[str, About],
    unread: Collection[str],
    tree: checkpoint.Tree,
) -> Path:
    """Writes the arrays of these cells into a folder of chunks, atomically and by all processes; gives where.

    Args:
      folder: `chunks` or `unfinished` of a run directory.
      grid: the grid of the cells.
      cells: the cells, of one structure.
      rows: the row of each along the first axis of the arrays.
      recorded: how many recorded steps they have gone through.
      cells_per_batch: how many of them were trained in a batch.
      metrics: what their metrics are, by name.
      unread: the fields that nothing in them reads.
      tree: `state`, `record.metrics` and `record.kept`.

    Raises:
      OSError: if it cannot be written.
    """
    config = cells[0].config
    description = {
        "study": study_digest(config),
        "cells": grid.columns(cells),
        "rows": list(rows),
        "recorded": recorded,
        "cells_per_batch": cells_per_batch,
        "recorded_steps": recorded_steps(config),
        "kept_steps": kept_steps(config),
        "metrics": {name: about._asdict() for name, about in metrics.items()},
        "unread": sorted(unread),
    }
    path = folder / digest([description["study"], description["cells"], len(cells), recorded])
    checkpoint.save(path, tree, description)
    return path


def read(path: Path) -> Chunk:
    """What a chunk says of itself.

    Raises:
      DamagedError: if its description is not what was saved.
      OSError: if it cannot be read.
    """
    said = checkpoint.load_metadata(path)
    rows = np.array(said["rows"], np.int64)
    metrics = None
    if "metrics" in said:
        metrics = {name: About(**about | {"dims": tuple(about["dims"])}) for name, about in said["metrics"].items()}
    unread = frozenset(said.get("unread", ()))
    return Chunk(path, said["cells"], rows, said["recorded"], said["study"], said["cells_per_batch"], metrics, unread)


def read_all(folder: Path, damaged: Collection[Path] = ()) -> list[Chunk]:
    """The chunks in a folder, without the damaged ones. Raises: as read."""
    return [read(path) for path in checkpoint.saved(folder) if path not in damaged]


def locate(grid: Grid, chunks: Sequence[Chunk]) -> Locations:
    """Where the cells of a grid are among chunks; where one is there more than once, the furthest."""
    chunk, row, recorded = (np.full(grid.num_cells, start, np.int64) for start in (-1, 0, 0))
    for i, each in enumerate(chunks):
        numbers = grid.locate(each.columns, len(each.rows))
        further = (numbers >= 0) & (each.recorded > recorded[numbers])
        found = numbers[further]
        chunk[found], row[found], recorded[found] = i, each.rows[further], each.recorded
    return Locations(tuple(chunks), chunk, row, recorded)


def check_study(grid: Grid, chunks: Sequence[Chunk]) -> None:
    """Refuses chunks of another study.

    Raises:
      RunError: naming the first of them.
    """
    for chunk in chunks:
        if chunk.study != study_digest(grid.config):
            raise RunError(f"{chunk.folder} is of another study than the config.json beside it.")
