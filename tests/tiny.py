"""Studies and checks that several tests share."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import rw_jax
from rw_jax.store import checkpoint, chunks
from rw_jax.store.metrics_file import Parts
from rw_jax.study.config import Config
from rw_jax.study.fields import Scalar
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Grid
from rw_jax.tasks import Values
from rw_jax.training.experiment import Experiment, make_experiment
from rw_jax.training.grids import Checked, make_grid
from rw_jax.training.pieces import BUILT_IN, Pieces
from rw_jax.training.values import run_values

QUICK_FLAGS = "--xla_cpu_use_fusion_emitters=false" if jax.__version_info__ < (0, 11) else ""
"""Of XLA, with which programs are compiled in half the time; later versions have but one kind of emitter."""


def tiny_study(*, zipped: tuple = (), fields: dict[str, Any] | None = None, **axes: tuple[Scalar, ...]) -> Config:
    """K = 4, N = 6, 16 walks, 5 steps of which 0, 2 and 5 keep parameters: trained in milliseconds once compiled.

    Args:
      zipped: as the config's field.
      fields: other fields to change, by their paths in the config.
      **axes: the axes of the grid.
    """
    config = rw_jax.base_config()
    changes = {
        "name": "tiny",
        "task.num_nodes": 4,
        "task.walk_length": 6,
        "task.p": 0.7,
        "task.walks": 16,
        "task.test_walks": 24,
        "model.position_width": 8,
        "training.learning_rate": 0.5,
        "training.steps": 5,
        "record.parameters": (2,),
        "execution.cells_per_chunk": 4,
        "zipped": zipped,
        **(fields or {}),
    }
    options = {path: changes.pop(path) for path in list(changes) if ".options." in path}
    config.update_from_flattened_dict(changes)
    for path, value in options.items():
        group, _, name = path.rpartition(".")
        config[group.split(".")[0]].options[name] = value
    config.grid.update(axes)
    return from_config_dict(config)


def checked(config: Config, pieces: Pieces = BUILT_IN) -> Checked:
    """The pieces of the runs of a config that are all of one structure, and the shapes of their progress."""
    experiments = make_grid(config, pieces)
    (structure,) = experiments.grid.structures
    return experiments.checked(structure)


def experiment_and_values(config: Config, pieces: Pieces = BUILT_IN) -> tuple[Experiment, Values]:
    """The pieces of the run of a config without a grid, and its values."""
    experiment = make_experiment(config, pieces)
    return experiment, run_values(experiment.labels, experiment)


def contents(workdir: Path) -> dict[str, bytes]:
    """Every file and folder under a path, with what is in it."""
    return {str(path.relative_to(workdir)): path.read_bytes() if path.is_file() else b"" for path in workdir.rglob("*")}


def stored_records(workdir: Path) -> dict[str, list[bytes]]:
    """The bytes of all that the chunks of a run hold of each cell, by what tells it from others."""
    grid = Grid(rw_jax.load_run(workdir).config)
    found = chunks.locate(grid, chunks.read_all(workdir / "chunks"))
    trees = [checkpoint.load(chunk.folder) for chunk in found.chunks]
    return {
        str(grid.columns([cell])): [array[found.row[cell.number]].tobytes() for array in jax.tree.leaves(trees[i])]
        for cell in grid.cells()
        if (i := found.chunk[cell.number]) >= 0
    }


def chunk_of(workdir: Path, **labels: Scalar) -> Path:
    """The folder of the chunk that holds the cell with these labels."""
    run = rw_jax.load_run(workdir)
    found = chunks.locate(run.grid, chunks.read_all(workdir / "chunks"))
    return found.chunks[found.chunk[run.cell(**labels).number]].folder


def assert_sentence(text: str) -> None:
    """That a text is one sentence for people: one line that ends with a period and is no traceback."""
    assert text == text.strip()
    assert "\n" not in text
    assert text.endswith((".", "?"))
    assert "Traceback" not in text
    assert len(text) < 700


def some(names, *quick: Any) -> list:
    """The names, of which all but a few are slow tests."""
    return [
        name if name in quick else pytest.param(*([name] if isinstance(name, str) else name), marks=pytest.mark.slow)
        for name in names
    ]


def parts_of(parts: Parts, cells: np.ndarray) -> Parts:
    """Of parts of metrics those of some cells."""
    for numbers, metrics in parts:
        here = np.isin(numbers, cells)
        if here.any():
            yield numbers[here], {name: stack[here] for name, stack in metrics.items()}
