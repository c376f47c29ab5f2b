"""The files of a run directory.

  config.json        the frozen config, and the number of this layout (`schema`)
  environment.json   versions, devices, commit, command, timings
  pieces/            the texts of pieces of the user's own, by digest
  chunks/            states, metrics and parameters of finished cells, a folder for each chunk (Orbax)
  unfinished/        cells in the midst of a long training, until their chunk is finished (Orbax)
  lock               held while a sweep writes here
  metrics.nc         all metrics, labelled (xarray), once every chunk is there
  summary.csv        the table that the command line prints
  figures/           pictures (PNG and SVG) with their numbers (CSV)

A directory can be opened at any time. Each chunk lists its own cells; its name means nothing.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rw_jax.study.config import Config, parse, to_json
from rw_jax.study.errors import ConfigError, RunError
from rw_jax.study.grid import digest

SCHEMA = 3
"""Number of the layout; a run directory of another one is refused."""


class RunDir(NamedTuple):
    """Where the files of a run are."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def environment_file(self) -> Path:
        return self.path / "environment.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.nc"

    @property
    def summary_file(self) -> Path:
        return self.path / "summary.csv"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def chunks(self) -> Path:
        return self.path / "chunks"

    @property
    def unfinished(self) -> Path:
        return self.path / "unfinished"

    @property
    def pieces(self) -> Path:
        return self.path / "pieces"


def study_digest(config: Config) -> str:
    """The digest of what decides numbers beside the fields of a run: it is in every chunk.

    It knows nothing of the grid, the batch or the devices, since a grid may grow and be cut in another way.
    """
    return digest({"schema": SCHEMA, "study_seed": config.study_seed, "record": config.as_mapping()["record"]})


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file under another name first, so that the file is never half there."""
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(text)
    os.replace(unfinished, path)


def write_config(run_dir: RunDir, config: Config) -> None:
    """Writes config.json, atomically."""
    write_atomically(run_dir.config_file, to_json(config, schema=SCHEMA))


def read_config(run_dir: RunDir) -> Config:
    """The config of a run directory.

    Raises:
      RunError: if there is no run directory at the path, or its config cannot be read.
    """
    if not run_dir.config_file.is_file():
        raise RunError(f"{run_dir.path} is not a run directory: it has no {run_dir.config_file.name}.")
    try:
        mapping = json.loads(run_dir.config_file.read_text())
        if not isinstance(mapping, dict):
            raise ValueError("it is JSON, but not an object")
        schema = mapping.pop("schema", 2)
        if schema != SCHEMA:
            commit = read_environment(run_dir).get("commit")
            raise RunError(
                f"{run_dir.path} has format {schema}, but this rw_jax reads format {SCHEMA}; commit {commit} wrote it."
            )
        return parse(mapping)
    except (ConfigError, OSError, ValueError) as error:
        raise RunError(f"{run_dir.config_file} cannot be read: {str(error).rstrip('.')}.") from error


def read_environment(run_dir: RunDir) -> dict[str, Any]:
    """What the last call on a run directory wrote about itself; empty before the first has.

    Raises:
      RunError: if it cannot be read.
    """
    if not run_dir.environment_file.is_file():
        return {}
    try:
        environment = json.loads(run_dir.environment_file.read_text())
        return dict(environment)
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{run_dir.environment_file} cannot be read: {str(error).rstrip('.')}.") from error


def write_pieces(run_dir: RunDir, texts: Mapping[str, str]) -> None:
    """Keeps the texts of the pieces of a study."""
    for name, text in texts.items():
        run_dir.pieces.mkdir(exist_ok=True)
        write_atomically(run_dir.pieces / f"{name}.py", text)


def read_pieces(run_dir: RunDir) -> dict[str, str]:
    """The texts of the pieces of a run, by digest; nothing of them is executed."""
    return {path.stem: path.read_text() for path in sorted(run_dir.pieces.glob("*.py"))}
