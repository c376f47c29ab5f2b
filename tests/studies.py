"""Studies and checks that several tests share."""

from pathlib import Path
from typing import Any

import jax

from configs import base
from rw_jax import load_run
from rw_jax.analysis.run_dir import stored_cells
from rw_jax.store import checkpoint
from rw_jax.study.config import AXES, Config, Scalar, from_config_dict
from rw_jax.study.grid import CellKey


def tiny_study(*, zipped: tuple = (), fields: dict[str, Any] | None = None, **axes: tuple[Scalar, ...]) -> Config:
    """K = 4, N = 6, 16 walks, 5 steps of which 0, 2 and 5 keep parameters: trained in milliseconds once compiled.

    Args:
      zipped: as the config's field.
      fields: other fields to change, by their paths in the config.
      **axes: the axes of the grid.
    """
    config = base.get_config()
    config.update_from_flattened_dict(
        {
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
            **{f"grid.{axis}": labels for axis, labels in axes.items()},
        }
    )
    assert set(axes) <= set(AXES)
    return from_config_dict(config)


def contents(workdir: Path) -> dict[str, bytes]:
    """Every file and folder under a path, with what is in it."""
    return {str(path.relative_to(workdir)): path.read_bytes() if path.is_file() else b"" for path in workdir.rglob("*")}


def stored_records(workdir: Path) -> dict[CellKey, list[bytes]]:
    """The bytes of all that the chunks of a run hold of each cell."""
    trees = {path: checkpoint.load(path) for path in checkpoint.saved(workdir / "chunks")}
    places = stored_cells(workdir / "chunks")
    return {
        key: [array[place.row].tobytes() for array in jax.tree.leaves(trees[place.folder])]
        for key, place in places.items()
    }


def chunk_of(workdir: Path, **labels: Scalar) -> Path:
    """The folder of the chunk that holds the cell with these labels."""
    key = load_run(workdir).cell(**labels).key
    return stored_cells(workdir / "chunks")[key].folder


def assert_sentence(text: str) -> None:
    """That a text is one sentence for people: one line that ends with a period and is no traceback."""
    assert text == text.strip()
    assert "\n" not in text
    assert text.endswith(".")
    assert "Traceback" not in text
    assert len(text) < 700
