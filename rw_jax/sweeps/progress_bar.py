"""How far a sweep has come and what has come out so far, for those who wait."""

import contextlib
import sys
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

import numpy as np
import rich.console
import rich.progress
import rich.table
from absl import logging

Advance = Callable[[int, Mapping[str, np.ndarray]], None]
"""(number of runs that are finished now, their metrics after the last step by name) -> None."""

SHOWN = {"accuracy": "accuracy", "parent_is_highest": "on the parent"}
"""The metrics that are shown, and what they are called."""


@contextlib.contextmanager
def shown(total: int, missing: int) -> Generator[Advance]:
    """Tells after each chunk how many runs are finished, what they reach in the mean, the rate, and the time left.

    In a notebook that is a line that is replaced, where stderr is a terminal a progress bar, else a line in the log.
    """
    so_far = _SoFar(total, missing)
    display = _in_notebook()
    if display is not None:
        handle = display({"text/plain": so_far.text()}, raw=True, display_id=True)

        def replace(count: int, measured: Mapping[str, np.ndarray]) -> None:
            so_far.add(count, measured)
            handle.update({"text/plain": so_far.text()}, raw=True)

        yield replace
    elif sys.stderr.isatty():
        columns = (
            rich.progress.TextColumn("training"),
            rich.progress.BarColumn(bar_width=20),
            # Where a terminal is narrow the words go on in another line.
            rich.progress.TextColumn("{task.description}", table_column=rich.table.Column(no_wrap=False)),
        )
        # Told by the file alone: a kernel sets variables that make rich take a pipe for a terminal.
        console = rich.console.Console(stderr=True, force_interactive=True)
        with rich.progress.Progress(*columns, console=console) as bar:
            task = bar.add_task(so_far.text(), total=total, completed=total - missing)

            def advance(count: int, measured: Mapping[str, np.ndarray]) -> None:
                so_far.add(count, measured)
                bar.update(task, advance=count, description=so_far.text())

            yield advance
    else:

        def log(count: int, measured: Mapping[str, np.ndarray]) -> None:
            so_far.add(count, measured)
            logging.info("%s", so_far.text())

        yield log


class _SoFar:
    """What the chunks of one call have come to."""

    def __init__(self, total: int, missing: int) -> None:
        """Args: the runs of the grid, and how many of them are to be trained."""
        self._total, self._missing, self._trained = total, missing, 0
        self._started = time.perf_counter()
        self._first: tuple[int, float] | None = None
        self._values: dict[str, list[np.ndarray]] = {}

    def add(self, count: int, measured: Mapping[str, np.ndarray]) -> None:
        """Notes a finished chunk: its runs and their metrics after the last step."""
        self._trained += count
        self._first = self._first or (count, time.perf_counter())
        for name in SHOWN:
            if name in measured:
                self._values.setdefault(name, []).append(np.asarray(measured[name], np.float64))

    def text(self) -> str:
        """In words: runs, means over those that are trained, the rate, and the time left."""
        words = [f"{self._total - self._missing + self._trained} of {self._total} runs"]
        for name, values in self._values.items():
            known = np.concatenate(values)
            known = known[np.isfinite(known)]
            if known.size:
                words.append(f"{SHOWN[name]} {known.mean():.2f}")
        if self._first is not None:
            words += [f"{self._trained / max(time.perf_counter() - self._started, 1e-9):.3g} a second"]
            # The first chunk is a small one, and what was compiled for it is no measure of the others.
            number, at = self._first
            if self._trained > number:
                seconds = (time.perf_counter() - at) / (self._trained - number)
                words += [f"{(self._missing - self._trained) * seconds:.0f} s left"]
        return ", ".join(words)


def _in_notebook() -> Any:
    """IPython's display function where a notebook's kernel runs this; else None."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return ipython.display.display if shell is not None and getattr(shell, "kernel", None) is not None else None
