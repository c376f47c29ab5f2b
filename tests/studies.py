"""Studies and checks that several tests share."""

import itertools
from pathlib import Path
from typing import Any

from configs import base
from rw_jax import checkpoint
from rw_jax.config import AXES, Config, Scalar, from_config_dict


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


def stored_records(workdir: Path) -> dict[tuple[str, ...], bytes]:
    """The bytes of every array that the chunks of a run hold, by (chunk, path in its tree)."""
    records: dict[tuple[str, ...], bytes] = {}
    for chunk in sorted((workdir / "chunks").iterdir()):
        tree = checkpoint.load(chunk)
        leaves = {
            ("metrics",): tree["metrics"],
            ("params",): tree["params"],
            (): {"mean_attention": tree["mean_attention"]},
        }
        for prefix, group in leaves.items():
            records |= {(chunk.name, *prefix, name): array.tobytes() for name, array in group.items()}
    return records


def cell_records(workdir: Path, config: Config) -> dict[tuple[Scalar, ...], list[bytes]]:
    """The bytes of all that is stored of each cell of a grid with one structure, by its labels, in the grid's order."""
    labels = list(itertools.product(*(labels for _, labels in config.grid)))
    size = config.execution.cells_per_chunk
    records = {}
    for i, cell in enumerate(labels):
        tree = checkpoint.load(workdir / "chunks" / f"000-{i // size:06d}")
        arrays = [*tree["metrics"].values(), *tree["params"].values(), tree["mean_attention"]]
        records[cell] = [array[i % size].tobytes() for array in arrays]
    return records


def assert_sentence(text: str) -> None:
    """That a text is one sentence for people: one line that ends with a period and is no traceback."""
    assert text == text.strip()
    assert "\n" not in text
    assert text.endswith(".")
    assert "Traceback" not in text
    assert len(text) < 700
