"""Pieces of the user's own by name, "file.py:attribute" or "module:attribute", and matrices in files.

A name in a study is pinned: the digest of the text that it stands in is written behind it, so that runs of one text are
never taken for runs of another. The text is kept in the run directory; nothing of it is executed until it is needed.
"""

import ast
import dataclasses
import functools
import hashlib
import importlib
import itertools
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from rw_jax.study.config import ALL, PIECE_AXES, Config
from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import is_piece, is_start, without_digest
from rw_jax.training.starts import StartName, has_all_of, read_name


class Pinned(NamedTuple):
    """A study whose pieces are pinned.

    Attributes:
      config: the study.
      texts: the texts of its pieces, by digest.
    """

    config: Config
    texts: Mapping[str, str]


def pin(
    config: Config,
    folders: Sequence[Path],
    read_start: Callable[[StartName], str],
    kept: Mapping[str, str] | None = None,
    earlier: Config | None = None,
) -> Pinned:
    """Pins the pieces of a study to the texts that they have now; one that is pinned stays as it is.

    Args:
      config: the study.
      folders: where files are looked for, in order.
      read_start: reads the parameters that a start from another run asks for, as a text.
      kept: texts of pieces that were pinned before, by digest.
      earlier: the study in which they were pinned: what it starts from is looked for there first, as the runs that it
        was read from can have become more, or be gone.

    Raises:
      ConfigError: if a file or a module is not there, or is not what it was when it was pinned.
    """
    texts: dict[str, str] = {}

    def pinned_text(name: str, text_of: Callable[[str], str]) -> str:
        short = without_digest(name)
        digest = name[len(short) + 1 :]
        if kept and digest in kept:
            texts[digest] = kept[digest]
            return name
        text = text_of(short)
        if digest and digest != digest_of(text):
            raise ConfigError(f"{short} is not what it was when it was pinned as {name}; leave out the @ and the rest.")
        texts[digest_of(text)] = text
        return f"{short}@{digest_of(text)}"

    def text_of_piece(short: str) -> str:
        path = _path_of(short, folders)
        text = _text_of(path)
        for module in _imported_from_beside(path, text):
            logging.warning(
                "%s imports %s, which is not kept: begin a new run directory once it changes.", path.name, module
            )
        return text

    def pinned(name: Any) -> Any:
        return pinned_text(name, text_of_piece) if isinstance(name, str) and is_piece(name) else name

    def pinned_matrix(name: Any) -> Any:
        # Of what is no name the task says what is wrong with it.
        return pinned_text(name, lambda short: _text_of_matrix(short, folders)) if isinstance(name, str) else name

    of_earlier = {} if earlier is None else {without_digest(name): name for name in earlier.labels("init")}

    def pinned_start(name: str) -> str:
        if not is_start(name):
            return name
        before = of_earlier.get(name, "").rpartition("@")[2]
        if kept and before in kept:
            try:
                now = read_start(read_name(name))
            except ConfigError:  # the runs are gone, but not what was read of them
                now = kept[before]
            if has_all_of(now, kept[before]):
                return pinned_text(of_earlier[name], str)
        return pinned_text(name, lambda short: read_start(read_name(short)))

    pins: dict[str, Callable[[Any], Any]] = {**dict.fromkeys(PIECE_AXES, pinned), "init": pinned_start}
    if config.options.get(_FILE) == f"task.options.{_FILE}":
        pins[_FILE] = pinned_matrix
    return Pinned(_replaced(config, pins, pinned), texts)


def _replaced(config: Config, pins: Mapping[str, Callable[[Any], Any]], pinned: Callable[[Any], Any]) -> Config:
    """The study with other names in its fields, its grid and its arms, and of its metrics."""

    def of(axis: str, value: Any) -> Any:
        return pins[axis](value) if axis in pins else value

    changes = {axis: of(axis, config.value(axis)) for axis in pins}
    grid = tuple((axis, tuple(map(pins[axis], labels)) if axis in pins else labels) for axis, labels in config.grid)
    arms = tuple((arm, tuple((axis, of(axis, value)) for axis, value in of_arm)) for arm, of_arm in config.arms)
    metrics = config.record.metrics
    record = dataclasses.replace(config.record, metrics=metrics if metrics == ALL else tuple(map(pinned, metrics)))
    config = config.replace(**{axis: name for axis, name in changes.items() if name != config.value(axis)})
    return dataclasses.replace(config, grid=grid, arms=arms, record=record)


_FILE = "file"
"""The option of a task that names a file with a matrix, whose text is kept."""


def _imported_from_beside(path: Path, text: str) -> list[str]:
    """The modules that a text imports from the folder that it lies in, or the working directory."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):  # it is executed later, and fails with a sentence
        return []
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    roots = sorted({name.partition(".")[0] for name in names} - {"rw_jax"})
    return [
        name for name in roots
        if any((folder / f"{name}.py").is_file() or (folder / name).is_dir() for folder in (path.parent, Path()))
    ]  # fmt: skip


def load(name: str, texts: Mapping[str, str]) -> Any:
    """The piece, or the function that makes it, that a pinned name stands for; its file is executed if it was not yet.

    Args:
      name: as `pin` has written it.
      texts: the texts of pieces, by digest.

    Raises:
      ConfigError: if its text is another one now, cannot be executed, or has no such attribute.
    """
    where, _, rest = name.partition(":")
    attribute, _, digest = rest.partition("@")
    try:
        if where.endswith(".py"):
            if digest not in texts or digest_of(texts[digest]) != digest:
                raise ConfigError(f"{where} is not kept with the run, as its text was when the run was trained.")
            module = _executed(where, digest, texts[digest])
        else:
            # A module that is loaded already is of the text that its file had then.
            text = _text_of(_path_of(name, ()))
            if digest_of(text) != digest or _loaded.setdefault(where, digest) != digest:
                raise ConfigError(f"The module {where} is not what it was when it was pinned; begin a new process.")
            module = importlib.import_module(where)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # whatever a file does wrong
        raise ConfigError(f"{where} cannot be used ({type(error).__name__}: {error}).") from error
    if not hasattr(module, attribute):
        raise ConfigError(f"{without_digest(name)} names nothing: {where} has no attribute {attribute!r}.")
    return getattr(module, attribute)


@functools.cache
def _executed(where: str, digest: str, text: str) -> types.ModuleType:
    """The module of a text, which this process executes once; dataclasses and pickles find it by its name."""
    module = types.ModuleType(f"rw_jax_piece_{digest}")
    module.__file__ = where
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, where, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


_loaded: dict[str, str] = {}
"""The digest of the text of each module when it was first loaded as a piece by this process."""


def digest_of(text: str) -> str:
    """The digest of a text, to which a name is pinned; 12 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}).") from error


def _text_of_matrix(short: str, folders: Sequence[Path]) -> str:
    found = next((folder / short for folder in folders if (folder / short).is_file()), None)
    if found is None:
        where = ", ".join(str(folder.absolute()) for folder in folders)
        raise ConfigError(f"task.options.file is {short!r}, which is in none of the folders {where}.")
    return _matrix_text(found)


def _matrix_text(path: Path) -> str:
    """The matrix in a .csv or .npy file: a row in each line, commas between."""
    if path.suffix != ".npy":
        return _text_of(path)
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{path} cannot be read ({error}).") from error
    if rows.ndim != 2 or rows.dtype.kind not in "fiub":
        raise ConfigError(
            f"{path} has an array of {rows.dtype} and shape {rows.shape}, but must have a matrix of numbers."
        )
    return "\n".join(",".join(map(repr, row)) for row in rows.astype(np.float64).tolist()) + "\n"


def _spec_of(module: str) -> Any:
    """What is found of a module; `importlib.util.find_spec` would execute the packages that it is in."""
    parts = module.split(".")
    spec, folders = None, None
    for name in itertools.accumulate(parts, "{}.{}".format) if all(map(str.isidentifier, parts)) else ():
        if spec is not None and folders is None:  # no package
            return None
        found = (finder.find_spec(name, folders) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((each for each in found if each is not None), None)
        if spec is None:
            return None
        folders = spec.submodule_search_locations
    return spec


def _path_of(name: str, folders: Sequence[Path]) -> Path:
    where, _, _ = name.partition(":")
    if where.endswith(".py"):
        for folder in folders:
            if (folder / where).is_file():
                return folder / where
        raise ConfigError(f"{name} names no file: {where} is in none of {', '.join(map(str, folders))}.")
    spec = _spec_of(where)
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        raise ConfigError(f"{name} names no module: {where} is not installed, and no file, as 'file.py:attribute' is.")
    return Path(spec.origin)
