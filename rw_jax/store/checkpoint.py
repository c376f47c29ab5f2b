"""Trees of arrays on disk, with checksums: the only door to Orbax. Knows nothing of what is in a tree."""

import contextlib
import errno
import gc
import itertools
import json
import logging
import os
import re
import shutil
import threading
import traceback
import warnings
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from rw_jax.store import processes
from rw_jax.store.layout import DamagedFileError, checksum_of, read_json, write_atomically

Tree = Any

_NAME = re.compile(r"[0-9a-f]{16}")
"""What a tree is called: `digest` has made its name. Whatever else lies in a folder is not ours."""

_UNFINISHED = re.compile(rf"{_NAME.pattern}\.orbax-checkpoint-tmp.*")
_DOOMED = ".orbax-checkpoint-tmp"


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
    leaves = by_name(tree)
    checksums = np.array([[_checksum(part) for part in _parts(leaf)] for leaf in leaves.values()], np.uint32)
    checksums = processes.gathered(checksums)
    try:
        with _quiet():
            ocp.save(str(path.absolute()), tree, overwrite=True)
    except Exception as error:  # Orbax and TensorStore raise many kinds
        number = _os_error_of(error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error
    if processes.is_first():
        manifest = {
            "metadata": metadata,
            "arrays": dict(zip(leaves, checksums.tolist(), strict=True)),
            "files": {str(file.relative_to(path)): checksum_of(file) for file in _files(path)},
        }
        write_atomically(path / _MANIFEST, json.dumps(manifest | {"checksum": _checksum_of_text(manifest)}))


_MANIFEST = "files.json"
"""What was saved beside the tree, and the checksums of its arrays and of the other files. It is written last."""


def check(path: Path) -> None:
    """Reads every file of a tree.

    Raises:
      DamagedError: if they do not hold what was saved.
      OSError: if they cannot be read.
    """
    for name, checksum in _manifest(path)["files"].items():
        try:
            found = checksum_of(path / name)
        except FileNotFoundError:
            raise _damage(path, f"{name} is missing") from None
        if found != checksum:
            raise _damage(path, f"{name} is not what was saved")


def _manifest(path: Path) -> dict[str, Any]:
    """What the manifest of a tree says. Raises: as check."""
    try:
        content = read_json(path / _MANIFEST)
    except FileNotFoundError:
        raise _damage(path, f"{_MANIFEST} is missing") from None
    except DamagedFileError:
        content = {}
    if content.pop("checksum", None) != _checksum_of_text(content):
        raise _damage(path, f"{_MANIFEST} is not what was saved")
    return content


def load(path: Path, *names: str) -> Tree:
    """The tree at this path, as NumPy arrays, whatever devices it was written from.

    Args:
      path: where the tree was saved.
      *names: keys that lead to the part that is wanted; only that part is read, and given.

    Raises:
      DamagedError: if the files do not hold what was saved.
      OSError: if they cannot be read.
      KeyError: if there is no such part.
    """
    checksums = _manifest(path)["arrays"]
    if sum(file.stat().st_size for file in _files(path)) <= _SMALL:
        check(path)  # where files are damaged Orbax tells of it in many ways
    with _reading(path), _alone():
        description = ocp.metadata(str(path.absolute()))
    part: Any = description.metadata
    if not isinstance(part, dict):
        raise _damage(path, "it has no arrays by name")
    for name in names:
        part = part[name]
    wanted = {id(leaf) for leaf in jax.tree.leaves(part)}
    arrays = jax.tree.map(
        lambda leaf: np.empty(leaf.shape, leaf.dtype) if id(leaf) in wanted else ocp.PLACEHOLDER,
        description.metadata,
    )
    with _reading(path), _alone():
        tree = ocp.load(str(path.absolute()), arrays)
    for name, leaf in by_name(tree).items():
        if leaf is not ocp.PLACEHOLDER:
            parts = np.split(leaf, len(checksums[name])) if len(checksums[name]) > 1 else [leaf]
            if checksums[name] != [_checksum(part) for part in parts]:
                raise _damage(path, f"{name} is not what was saved")
    for name in names:
        tree = tree[name]
    return tree


_SMALL = 2**26


def load_metadata(path: Path) -> dict[str, Any]:
    """What was saved beside the tree at this path. Raises: as load."""
    return _manifest(path)["metadata"]


def saved(folder: Path) -> list[Path]:
    """The trees in a folder, in the order of their names; what has no name of ours is left out."""
    if not folder.is_dir():
        return []
    ours = (path for path in folder.iterdir() if _NAME.fullmatch(path.name) and not path.is_symlink())
    return sorted(path for path in ours if path.is_dir())


def links(folder: Path) -> list[Path]:
    """The links in a folder that stand in the place of trees: what is written to one would go elsewhere."""
    return [path for path in folder.glob("*") if _NAME.fullmatch(path.name) and path.is_symlink()]


def set_aside(path: Path) -> None:
    """Takes a damaged tree from among the others, under a name that `remove_set_aside` knows."""
    names = (f"{path.name}.damaged{number or ''}" for number in itertools.count())
    _rename(path, next(aside for name in names if not (aside := path.with_name(name)).exists()))


def remove_set_aside(folder: Path) -> None:
    """Removes the damaged trees in a folder, once there are others in their place."""
    for path in folder.glob("*.damaged*"):
        if re.fullmatch(rf"{_NAME.pattern}\.damaged\d*", path.name):
            _remove_folder(path)


def remove(path: Path) -> None:
    """Removes a tree; if that is killed, what is left is no tree but the rest of a save that was."""
    doomed = path.with_name(path.name + _DOOMED)
    _rename(path, doomed)
    _remove_folder(doomed)


def _rename(path: Path, target: Path) -> None:
    """Renames a folder. One in a layer of an image (overlayfs) is copied; killed midway, that leaves a damaged tree."""
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copytree(path, target)
        _remove_folder(path)


def _remove_folder(path: Path) -> None:
    """Removes a folder; files that another process has open may stay behind on a file system of a network (NFS)."""
    try:
        shutil.rmtree(path)
    except OSError:
        left = [file for file in path.rglob("*") if file.is_file()]
        if not left or not all(file.name.startswith(".nfs") for file in left):
            raise


def remove_unfinished(folder: Path) -> None:
    """Removes what saves that were killed have left in a folder."""
    for path in folder.glob("*"):
        if _UNFINISHED.fullmatch(path.name):
            _remove_folder(path)


def by_name(tree: Tree) -> dict[str, Any]:
    """The leaves of a tree by their names, such as "record.kept.params.value"."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in jax.tree.leaves_with_path(tree)
    }


@contextlib.contextmanager
def _reading(path: Path) -> Generator[None]:
    """Tells damage from whatever else keeps files from being read: only what was read, and is wrong, is damage."""
    _open_many(path)
    try:
        with _quiet():
            yield
    except MemoryError:
        raise
    except Exception as error:  # whatever Orbax and TensorStore make of files that are not as they were
        number = _os_error_of(error)
        if number is not None and number not in (errno.ENOENT, errno.EINVAL):
            raise OSError(number, os.strerror(number), str(path)) from error
        check(path)
        first = (str(error).splitlines() or [type(error).__name__])[0]  # no thread could be started, or the like
        raise OSError(errno.EAGAIN, f"{first}; its files are as they were written", str(path)) from error


def _damage(path: Path, what: str) -> DamagedError:
    """The error that says what is wrong with a tree, once all its files could be read.

    Raises:
      OSError: naming the file, if one cannot be read, or too few can be opened.
    """
    if not path.is_dir():
        return DamagedError(f"{path} is not there any more.")
    for file in _files(path):
        checksum_of(file)
    return DamagedError(f"{path} is damaged: {what}.")


def _open_many(path: Path) -> None:
    """Orbax opens many files at once; of too many it makes errors of all kinds, or brings the process down.

    Raises:
      OSError: naming the path, if as many cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        try:
            for _ in range(64):
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def _os_error_of(error: BaseException) -> int | None:
    """The number of the error of the system that an error, or one behind it, was made of; None if there is none."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, OSError) and behind.errno:
            return behind.errno
        # TensorStore makes a ValueError with the number in its text.
        if found := re.search(r"os_error_code='(\d+)'", str(behind)):
            return int(found[1])
        behind = behind.__cause__ or behind.__context__
    return None


def _alone() -> ocp.Context:
    """Orbax's context in which this process reads by itself, waiting for no other."""
    context = ocp.Context()
    context.multiprocessing.primary_host = jax.process_index()
    context.multiprocessing.active_processes = {jax.process_index()}
    context.multiprocessing.barrier_sync_key_prefix = f"process{jax.process_index()}"
    return context


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Inside, what Orbax tells of its work is not heard; one thread at a time is.

    It tells some forty lines a save to absl's logger. It reads and writes many parts at once: the error of the first
    that fails is raised, and asyncio reports those of the others, as warnings, and in threads of its own.
    """

    def is_of_ours(record: logging.LogRecord) -> bool:
        return record.levelno == logging.WARNING or "orbax" not in record.pathname

    def is_of_no_task(record: logging.LogRecord) -> bool:
        return "exception was never retrieved" not in record.getMessage()

    filters = {"absl": is_of_ours, "asyncio": is_of_no_task}
    _alone_in_process.acquire()
    hook, threading.excepthook = threading.excepthook, lambda _: None
    for name, filtered in filters.items():
        logging.getLogger(name).addFilter(filtered)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            try:
                yield
            except Exception as error:
                traceback.clear_frames(error.__traceback__)
                gc.collect()  # what tasks have left is reported when it is collected
                raise
    finally:
        threading.excepthook = hook
        for name, filtered in filters.items():
            logging.getLogger(name).removeFilter(filtered)
        _alone_in_process.release()


_alone_in_process = threading.RLock()
"""Filters and hooks are of the whole process: of two threads, the later would put back what the earlier has set."""


def _parts(leaf: Any) -> list[np.ndarray]:
    """The parts of an array that this process has, in order; those of a NumPy array are one."""
    if not isinstance(leaf, jax.Array):
        return [leaf]
    shards = sorted(leaf.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return [np.asarray(shard.data) for shard in shards]


def _files(path: Path) -> list[Path]:
    """The files of a tree except its manifest. Raises: OSError, naming the folder, if one cannot be listed."""

    def refuse(error: OSError) -> None:
        raise error

    every = (Path(folder) / name for folder, _, names in os.walk(path, onerror=refuse) for name in names)
    return sorted(file for file in every if file.name != _MANIFEST)


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).tobytes(), zlib.crc32(f"{array.dtype}{array.shape}".encode()))


def _checksum_of_text(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
