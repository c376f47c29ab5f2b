"""Leaving on SIGTERM (a preemption notice) and SIGINT (Ctrl-C), within seconds whatever the process is computing."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Generator

CONTINUE = "what is finished is kept; repeat the command to resume."
"""How to continue what was interrupted, in a clause."""

_SECONDS_FOR_A_SAVE = 10.0
_saving = threading.Lock()


@contextlib.contextmanager
def leaving_on_signal(how_to_continue: str) -> Generator[None]:
    """Inside, SIGTERM and SIGINT end the process with a line on stderr, and exit code 143 or 130.

    A save in flight is finished first, if that takes no more than seconds; a second signal ends the process at once.
    What is being computed is dropped. To be called from the main thread. Behind it signals do what they did before.
    """
    receiver, sender = os.pipe()
    os.set_blocking(sender, False)
    # Python calls handlers between two lines of Python only, which a chunk in a compiled program can keep it from for
    # hours; but the number of the signal is written to this pipe at once, and another thread waits for it.
    before = signal.set_wakeup_fd(sender)
    handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}

    def watch() -> None:
        read = os.read(receiver, 1)
        if not read:  # nothing came until the end
            os.close(receiver)
            return
        (number,) = read
        show_cursor = "\x1b[?25h\n" if sys.stderr.isatty() else ""  # which the progress bar has hidden
        line = f"{show_cursor}rw_jax: {signal.Signals(number).name}: {how_to_continue}\n"
        os.write(sys.stderr.fileno(), line.encode())
        threading.Thread(target=leave_after_a_save, args=(number,), daemon=True).start()
        os.read(receiver, 1)
        os._exit(128 + number)

    def leave_after_a_save(number: int) -> None:
        _saving.acquire(timeout=_SECONDS_FOR_A_SAVE)
        os._exit(128 + number)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        os.close(sender)


@contextlib.contextmanager
def finished_first() -> Generator[None]:
    """What is done inside is finished before the process leaves."""
    with _saving:
        yield
