"""The files of a run directory.

  config.json        the frozen config, the number of this layout (`schema`) and a digest of both
  environment.json   versions, devices, commit, command, timings
  pieces/            the texts of pieces of the user's own, by digest
  chunks/            states, metrics and parameters of finished cells, a folder for each chunk (Orbax)
  unfinished/        cells in the midst of a long training, until their chunk is finished (Orbax)
  lock               held while a sweep writes here
  metrics.nc         all metrics, labelled (xarray), once every chunk is there
  summary.csv        the table that the command line prints
  figures/           pictures (PNG and SVG) with their numbers (CSV)
  products.json      checksums of what is made of the chunks: metrics.nc, summary.csv and figures

A directory can be opened at any time. Each chunk lists its own cells; its name means nothing.
"""

import contextlib
import json
import os
import re
import zlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rw_jax.study.config import DECLARATIONS, Config
from rw_jax.study.errors import ConfigError, RunError
from rw_jax.study.fields import shown
from rw_jax.study.grid import digest
from rw_jax.study.reading import parse
from rw_jax.training.precision import GENERATOR

SCHEMA = 4
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
    def products_file(self) -> Path:
        return self.path / "products.json"

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

    def links(self) -> list[Path]:
        """Which of these are links: what is written here would go elsewhere."""
        files = (self.config_file, self.environment_file, self.metrics_file, self.summary_file, self.products_file)
        every = (*files, self.lock_file, self.figures, self.chunks, self.unfinished, self.pieces)
        return [path for path in every if path.is_symlink()]


class DamagedFileError(RunError):
    """A file of a run directory does not hold what was written."""


def study_digest(config: Config) -> str:
    """The digest of what numbers depend on beside the fields of a run: it is in every chunk.

    It knows nothing of the grid, the batch or the devices, since a grid may grow and be cut in another way.
    """
    # What says nothing is left out, so that a field that came later leaves earlier runs what they are.
    record = {
        name: value
        for name, value in config.as_mapping()["record"].items()
        if value != DECLARATIONS[f"record.{name}"].neutral
    }
    decides = {"study_seed": config.study_seed, "record": record, "generator": GENERATOR}
    return digest({"schema": SCHEMA, **decides})


@contextlib.contextmanager
def replaced(path: Path) -> Generator[Path]:
    """Gives the name under which a file is to be written, and puts it in its place when it is; never half there.

    A link is replaced, not followed.

    Raises:
      OSError: naming the file, if it cannot be written.
    """
    unfinished = path.with_name(path.name + ".tmp")
    try:
        unfinished.unlink(missing_ok=True)  # of a call that was killed
        try:
            yield unfinished
            with open(unfinished, "rb") as file:
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file as `replaced` does. Raises: as replaced."""
    with replaced(path) as unfinished, open(unfinished, "xb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def checksum_of(path: Path) -> int:
    """The checksum of a file. Raises: OSError, if it cannot be read."""
    checksum = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def write_config(run_dir: RunDir, config: Config) -> None:
    """Writes config.json, atomically."""
    content = {"schema": SCHEMA, **config.as_mapping()}
    write_atomically(run_dir.config_file, json.dumps({"digest": digest(content), **content}, indent=2))


def stored_config(run_dir: RunDir) -> Config:
    """The config of a run directory.

    Raises:
      DamagedFileError: if its file does not hold what was written.
      RunError: if there is no run directory at the path, or it cannot be read.
    """
    try:
        if not run_dir.config_file.is_file():
            kind = DamagedFileError if run_dir.chunks.is_dir() else RunError
            raise kind(f"{run_dir.path} is not a run directory: it has no {run_dir.config_file.name}.")
        mapping = read_json(run_dir.config_file)
    except OSError as error:
        raise RunError(f"{run_dir.config_file} cannot be read ({error.strerror}).") from error
    said, schema = mapping.pop("digest", None), mapping.get("schema", 2)
    if schema != SCHEMA:
        commit = None
        with contextlib.suppress(RunError, OSError):
            commit = read_json(run_dir.environment_file).get("commit")
        raise RunError(
            f"{run_dir.path} has format {shown(schema)}, but this rw_jax reads format {SCHEMA}; "
            f"{'its commit is not known' if commit is None else f'commit {shown(commit)[1:-1]} wrote it'}."
        )
    if said != digest(mapping):
        raise DamagedFileError(f"{run_dir.config_file} is not as it was written; its command writes it again.")
    try:
        return parse({name: value for name, value in mapping.items() if name != "schema"})
    except ConfigError as error:
        raise RunError(f"{run_dir.config_file} is of another version of rw_jax: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
      DamagedFileError: if it holds something else.
      OSError: if it cannot be read.
    """
    text = path.read_bytes()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # no JSON, or too deep; a number too long
        raise DamagedFileError(f"{path} is not as it was written ({type(error).__name__}); its command writes it again."
                               ) from error  # fmt: skip
    if not isinstance(content, dict):
        raise DamagedFileError(f"{path} is not as it was written; its command writes it again.")
    return content


def read_environment(run_dir: RunDir) -> dict[str, Any]:
    """What the last call on a run directory wrote about itself; empty before the first has.

    Raises:
      DamagedFileError: if its file does not hold what was written.
      RunError: if it cannot be read.
    """
    try:
        if not run_dir.environment_file.is_file():
            return {}
        environment = read_json(run_dir.environment_file)
    except OSError as error:
        raise RunError(f"{run_dir.environment_file} cannot be read ({error.strerror}).") from error
    if environment.pop("digest", None) != digest(environment):
        raise DamagedFileError(f"{run_dir.environment_file} is not as it was written; its command writes it again.")
    return environment


def write_environment(run_dir: RunDir, environment: dict[str, Any], earlier_calls: list[dict[str, Any]]) -> None:
    """Writes what this call has to say of itself, with what earlier calls on the directory have said."""
    content = {**environment, "earlier_calls": earlier_calls}
    write_atomically(run_dir.environment_file, json.dumps({"digest": digest(content), **content}, indent=2))


def write_pieces(run_dir: RunDir, texts: Mapping[str, str]) -> None:
    """Keeps the texts of the pieces of a study."""
    for name, text in texts.items():
        run_dir.pieces.mkdir(exist_ok=True)
        write_atomically(run_dir.pieces / f"{name}.py", text)


def read_pieces(run_dir: RunDir) -> dict[str, str]:
    """The texts of the pieces of a run, by digest; nothing of them is executed.

    Raises:
      RunError: if they cannot be read.
    """
    try:
        if not run_dir.pieces.is_dir():
            return {}
        paths = [path for path in sorted(run_dir.pieces.glob("*.py")) if re.fullmatch(r"[0-9a-f]{12}", path.stem)]
        return {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    except OSError as error:
        raise RunError(f"{error.filename} cannot be read ({error.strerror}).") from error
