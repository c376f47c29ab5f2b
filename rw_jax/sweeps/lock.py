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
def hold(path: Path) -> Generator[None]:
    """Holds the lock of this file, which is made if it is not there and stays there with the holder's name.

    A file of a process that has ended, or a copy, locks nothing.

    Raises:
      LockedError: at once, if another process holds it.
      OSError: if the file cannot be written.
    """
    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise LockedError(f"{path.parent} is in use by {file.read().strip() or 'another process'}.") from error
        file.truncate(0)
        print(f"process {os.getpid()} on {socket.gethostname()}", file=file, flush=True)
        yield
