"""What is made of the chunks of a run, and can be made again: metrics.nc, summary.csv and figures.

`products.json` holds the digest of the study and its axes, and the checksum of each of these files.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rw_jax.store.layout import (
    DamagedFileError,
    RunDir,
    checksum_of,
    read_json,
    study_digest,
    write_atomically,
)
from rw_jax.study.grid import Grid, digest


def identity(grid: Grid) -> str:
    """The digest of what the numbers of a study depend on, with the axes of its grid and their labels."""
    axes = [[dimension.axes, dimension.labels] for dimension in grid.dimensions]
    fixed = {axis: value for axis, value in grid.config.values().items() if axis not in grid.axes}
    arms = {"arms": grid.config.as_mapping()["arms"]} if grid.config.arms else {}
    return digest({"study": study_digest(grid.config), "axes": axes, "fixed": fixed, **arms})


def note(run_dir: RunDir, grid: Grid, paths: Iterable[Path]) -> None:
    """Notes that these files are made of the chunks of this study; those that are noted of another are forgotten.

    Raises:
      OSError: if a file cannot be read, or the note cannot be written.
    """
    every = noted(run_dir, grid) | {path: checksum_of(path) for path in paths}
    checksums = {str(path.relative_to(run_dir.path)): checksum for path, checksum in every.items()}
    write_atomically(run_dir.products_file, json.dumps({"identity": identity(grid), "checksums": checksums}, indent=2))


def noted(run_dir: RunDir, grid: Grid) -> dict[Path, int]:
    """The files that are made of the chunks of this study, with their checksums.

    Raises:
      OSError: if there is a note that cannot be read.
    """
    try:
        content: dict[str, Any] = read_json(run_dir.products_file)
    except (FileNotFoundError, DamagedFileError):  # it can be made again
        return {}
    checksums = content.get("checksums")
    if content.get("identity") != identity(grid) or not isinstance(checksums, dict):
        return {}
    return {run_dir.path / name: checksum for name, checksum in checksums.items()}


def is_intact(run_dir: RunDir, grid: Grid, path: Path) -> bool:
    """Whether a file is noted, is there, and is as it was. Errors as lost."""
    checksum = noted(run_dir, grid).get(path)
    return checksum is not None and _is(path, checksum)


def lost(run_dir: RunDir, grid: Grid) -> list[Path]:
    """The noted files that are not there any more, or not as they were.

    Raises:
      OSError: if one is there, and cannot be read.
    """
    return [path for path, checksum in noted(run_dir, grid).items() if not _is(path, checksum)]


def _is(path: Path, checksum: int) -> bool:
    try:
        return checksum_of(path) == checksum
    except FileNotFoundError:
        return False
