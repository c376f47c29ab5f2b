"""One sweep at a time in a run directory: a lock that the system lets go when its process ends, however it ends."""

import contextlib
import datetime
import os
import socket
from collections.abc import Generator
from pathlib import Path

from absl import logging


class LockedError(Exception):
    """Another process holds the lock; one sentence that names it."""


@contextlib.contextmanager
def hold(folder: Path, path: Path) -> Generator[None]:
    """Holds the lock of a folder, and of a file in it, which is made if it is not there and keeps the holder's name.

    A file of a process that has ended, or a copy, locks nothing. One that is removed lets nobody in, as the folder is
    locked, too, where its file system can. On a file system without locks there is a warning.

    Raises:
      LockedError: at once, if another process holds it.
      OSError: if the file cannot be written.
    """
    with contextlib.ExitStack() as stack, open(path, "a+", encoding="utf-8", errors="replace") as file:
        try:
            if (why := _lock(file.fileno())) is None:
                of_folder = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, of_folder)
                _lock(of_folder)  # a file system of a network may know no locks of folders
            else:
                logging.warning("%s cannot be locked (%s): see to it that no other command trains here.", path, why)
        except BlockingIOError as error:
            raise LockedError(f"{folder} is in use by {holder(path) or 'another process'}.") from error
        file.truncate(0)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
        print(f"process {os.getpid()} on {socket.gethostname()} since {now}", file=file, flush=True)
        yield


def holder(path: Path) -> str:
    """Who has held the lock last, in words; empty if it does not say."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(200).strip()
    except OSError:
        return ""


def _lock(descriptor: int) -> str | None:
    """Locks a file; why that cannot be, if it cannot. Raises: BlockingIOError, if another process holds it."""
    try:
        import fcntl  # which Windows has not
    except ImportError as error:
        return str(error)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        return error.strerror
    return None
