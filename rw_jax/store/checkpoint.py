"""Trees of arrays on disk, with checksums: the only door to Orbax. Knows nothing of what is in a tree."""

import contextlib
import json
import logging
import os
import re
import shutil
import threading
import warnings
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from rw_jax.store import processes

Tree = Any

_UNFINISHED = ".orbax-checkpoint-tmp"

# Orbax tells some forty lines a save to absl's logger; its warnings are for the user, and its errors are raised, too.
logging.getLogger("absl").addFilter(lambda record: record.levelno == logging.WARNING or "orbax" not in record.pathname)
# It reads and writes many parts at once: the error of the first that fails is raised, and those of the others are told
# in these ways.
logging.getLogger("asyncio").addFilter(lambda record: "exception was never retrieved" not in record.getMessage())
warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)


class DamagedError(Exception):
    """A tree on disk is not what was saved: a file is missing, cut short or changed."""


def save(path: Path, tree: Tree, metadata: dict[str, Any]) -> None:
    """Writes a tree of arrays, atomically: a save that is killed leaves nothing under this name.

    Where there are several processes, all of them call it together, and each writes its own part of every array.

    Args:
      path: the folder to write; one that is there is replaced.
      tree: nested dicts of arrays; JAX's are sharded evenly along their first axis, in the order of the processes.
      metadata: what JSON can hold, to find out what the tree is without reading it.

    Raises:
      OSError: if it cannot be written.
    """
    leaves = _leaves(tree)
    checksums = np.array([[_checksum(part) for part in _parts(leaf)] for leaf in leaves.values()], np.uint32)
    checksums = processes.gathered(checksums)
    content: dict[str, Any] = {"metadata": metadata, "checksums": dict(zip(leaves, checksums.tolist(), strict=True))}
    try:
        with _silent_threads():
            ocp.save(
                str(path.resolve()),
                tree,
                overwrite=True,
                custom_metadata=content | {"checksum": _checksum_of_text(content)},
            )
    except ValueError as error:  # of a disk that is full TensorStore makes a ValueError with the number in its text
        number = re.search(r"os_error_code='(\d+)'", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def load(path: Path, *names: str) -> Tree:
    """The tree at this path, as NumPy arrays, whatever devices it was written from.

    Args:
      path: where the tree was saved.
      *names: keys that lead to the part that is wanted; only that part is read, and given.

    Raises:
      DamagedError: if the files do not hold what was saved.
    """
    try:
        with _alone():
            description = ocp.metadata(str(path.resolve()))
            part = description.metadata
            for name in names:
                part = part[name]
            wanted = {id(leaf) for leaf in jax.tree.leaves(part)}
            arrays = jax.tree.map(
                lambda leaf: np.empty(leaf.shape, leaf.dtype) if id(leaf) in wanted else ocp.PLACEHOLDER,
                description.metadata,
            )
            tree = ocp.load(str(path.resolve()), arrays)
    except Exception as error:  # whatever Orbax and TensorStore make of files that are not as they were
        raise DamagedError(f"{path} is damaged: a file is missing, cut short or changed.") from error
    checksums = _content(path, description)["checksums"]
    for name, leaf in _leaves(tree).items():
        if leaf is not ocp.PLACEHOLDER:
            parts = np.split(leaf, len(checksums[name])) if len(checksums[name]) > 1 else [leaf]
            if checksums[name] != [_checksum(part) for part in parts]:
                raise DamagedError(f"{path} is damaged: {name} is not what was saved.")
    for name in names:
        tree = tree[name]
    return tree


def load_metadata(path: Path) -> dict[str, Any]:
    """What was saved beside the tree at this path.

    Raises:
      DamagedError: if the file does not hold what was saved.
    """
    try:
        with _alone():
            description = ocp.metadata(str(path.resolve()))
    except Exception as error:  # as in load
        raise DamagedError(f"{path} is damaged: a file is missing, cut short or changed.") from error
    return _content(path, description)["metadata"]


def saved(folder: Path) -> list[Path]:
    """The trees in a folder, in the order of their names; those of saves in flight or killed are left out."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and _UNFINISHED not in path.name)


def remove(path: Path) -> None:
    """Removes a tree; if that is killed, what is left is no tree but the rest of a save that was."""
    doomed = path.with_name(path.name + _UNFINISHED)
    path.rename(doomed)
    shutil.rmtree(doomed)


def remove_unfinished(folder: Path) -> None:
    """Removes what saves that were killed have left in a folder."""
    for path in folder.glob(f"*{_UNFINISHED}*"):
        shutil.rmtree(path)


def _alone() -> ocp.Context:
    """Orbax's context in which this process reads by itself, waiting for no other."""
    context = ocp.Context()
    context.multiprocessing.primary_host = jax.process_index()
    context.multiprocessing.active_processes = {jax.process_index()}
    context.multiprocessing.barrier_sync_key_prefix = f"process{jax.process_index()}"
    return context


@contextlib.contextmanager
def _silent_threads() -> Generator[None]:
    """An error in a thread of Orbax is raised here, too, and need not be printed there."""
    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        yield
    finally:
        threading.excepthook = hook


def _content(path: Path, description: ocp.CheckpointMetadata) -> dict[str, Any]:
    content: Any = description.custom_metadata
    content = dict(content or {})
    if content.pop("checksum", None) != _checksum_of_text(content):
        raise DamagedError(f"{path} is damaged: its description is not what was saved.")
    return content


def _leaves(tree: Tree) -> dict[str, Any]:
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in jax.tree.leaves_with_path(tree)
    }


def _parts(leaf: Any) -> list[np.ndarray]:
    """The parts of an array that this process has, in order; those of a NumPy array are one."""
    if not isinstance(leaf, jax.Array):
        return [leaf]
    shards = sorted(leaf.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return [np.asarray(shard.data) for shard in shards]


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).tobytes(), zlib.crc32(f"{array.dtype}{array.shape}".encode()))


def _checksum_of_text(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
