"""One sweep at a time in a run directory: a lock that the system lets go when its process ends, however it ends."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Generator
from pathlib import Path


class LockedError(Exception):
    """Another process holds the lock; one sentence that names it."""


@contextlib.contextmanager
def hold(folder: Path, path: Path) -> Generator[None]:
    """Holds the lock of a folder, and of a file in it, which is made if it is not there and keeps the holder's name.

    A file of a process that has ended, or a copy, locks nothing. One that is removed lets nobody in, as the folder is
    locked, too, where its file system can.

    Raises:
      LockedError: at once, if another process holds it.
      OSError: if the file cannot be written.
    """
    with contextlib.ExitStack() as stack, open(path, "a+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            of_folder = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, of_folder)
            with _unless_held():  # a file system of a network may know no locks of folders
                fcntl.flock(of_folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise LockedError(f"{folder} is in use by {file.read(200).strip() or 'another process'}.") from error
        file.truncate(0)
        print(f"process {os.getpid()} on {socket.gethostname()}", file=file, flush=True)
        yield


@contextlib.contextmanager
def _unless_held() -> Generator[None]:
    try:
        yield
    except BlockingIOError:
        raise
    except OSError:
        pass
