"""How far a sweep has come, for those who wait."""

import contextlib
import sys
import time
from collections.abc import Callable, Generator

import rich.progress
from absl import logging


@contextlib.contextmanager
def shown(total: int, missing: int) -> Generator[Callable[[int], None]]:
    """A progress bar with the time left where stderr is a terminal, else a log line per chunk."""
    done = total - missing
    if sys.stderr.isatty():
        columns = (
            rich.progress.TextColumn("training"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("runs"),
            rich.progress.TimeRemainingColumn(),
        )
        console = rich.console.Console(stderr=True)
        with rich.progress.Progress(*columns, console=console) as bar:
            task = bar.add_task("training", total=total, completed=done)
            yield lambda count: bar.advance(task, count)
        return
    started = time.perf_counter()
    trained = 0

    def log(count: int) -> None:
        nonlocal trained
        trained += count
        elapsed = time.perf_counter() - started
        left = elapsed / trained * (missing - trained)
        logging.info("%d of %d runs, %.0f s left", done + trained, total, left)

    yield log
