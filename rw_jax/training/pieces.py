"""Pieces of the user's own by name: "file.py:attribute" or "module:attribute".

A name in a study is pinned: the digest of the text that it stands in is written behind it, so that runs of one text are
never taken for runs of another. The text is kept in the run directory; nothing of it is executed until it is needed.
"""

import dataclasses
import hashlib
import importlib
import importlib.util
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rw_jax.study.config import Config
from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import is_piece

_AXES = ("task", "form", "loss", "optimizer")
"""The axes whose labels can be names of pieces."""


class Pinned(NamedTuple):
    """A study whose pieces are pinned.

    Attributes:
      config: the study.
      texts: the texts of its pieces, by digest.
    """

    config: Config
    texts: Mapping[str, str]


def pin(config: Config, folders: Sequence[Path]) -> Pinned:
    """Pins the pieces of a study to the texts that they have now.

    Args:
      config: the study.
      folders: where files are looked for, in order.

    Raises:
      ConfigError: if a file or a module is not there.
    """
    texts: dict[str, str] = {}

    def pinned(name: Any) -> Any:
        if not isinstance(name, str) or not is_piece(name) or "@" in name:
            return name
        text = _path_of(name, folders).read_text()
        texts[_digest(text)] = text
        return f"{name}@{_digest(text)}"

    changes = {axis: pinned(config.value(axis)) for axis in _AXES}
    grid = tuple((axis, tuple(map(pinned, labels)) if axis in _AXES else labels) for axis, labels in config.grid)
    config = config.replace(**{axis: name for axis, name in changes.items() if name != config.value(axis)})
    return Pinned(dataclasses.replace(config, grid=grid), texts)


def load(name: str, texts: Mapping[str, str]) -> Any:
    """The piece, or the function that makes it, that a pinned name stands for; its file is executed.

    Args:
      name: as `pin` has written it.
      texts: the texts of pieces, by digest.

    Raises:
      ConfigError: if its text is another one now, cannot be executed, or has no such attribute.
    """
    where, _, rest = name.partition(":")
    attribute, _, digest = rest.partition("@")
    if where.endswith(".py"):
        if digest not in texts:
            raise ConfigError(f"{where} is not kept with the run, as its text was when the run was trained.")
        module = types.ModuleType(Path(where).stem)
        module.__dict__["__file__"] = where
        try:
            exec(compile(texts[digest], where, "exec"), module.__dict__)
        except Exception as error:  # whatever a file does wrong
            raise ConfigError(f"{where} cannot be used ({type(error).__name__}: {error}).") from error
    else:
        # A module that is loaded already is of the text that its file had then.
        text = _path_of(name, ()).read_text()
        if _digest(text) != digest or _loaded.setdefault(where, digest) != digest:
            raise ConfigError(f"The module {where} is not what it was when it was pinned; begin a new process.")
        module = importlib.import_module(where)
    if not hasattr(module, attribute):
        raise ConfigError(f"{where} has no attribute {attribute!r}.")
    return getattr(module, attribute)


_loaded: dict[str, str] = {}
"""The digest of the text of each module when it was first loaded as a piece by this process."""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _path_of(name: str, folders: Sequence[Path]) -> Path:
    where, _, _ = name.partition(":")
    if where.endswith(".py"):
        for folder in folders:
            if (folder / where).is_file():
                return folder / where
        raise ConfigError(f"{name} names no file: {where} is in none of {', '.join(map(str, folders))}.")
    try:
        spec = importlib.util.find_spec(where)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        raise ConfigError(f"{name} names no module: {where} is not installed, and no file, as 'file.py:attribute' is.")
    return Path(spec.origin)
