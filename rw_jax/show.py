"""Prints the table of a run directory again.

    python -m rw_jax.show [--watch] DIR [DIR ...]

DIR is a run directory, finished or not. Nothing is trained, drawn or written. --watch prints the tables anew whenever
runs have been finished, until all of them are.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from absl import flags

from rw_jax import command_line
from rw_jax.analysis.run import load_run
from rw_jax.ending import description
from rw_jax.study.errors import ConfigError


class ShowCommand(NamedTuple):
    """What a command line asks for: run directories, and whether they are to be watched."""

    paths: list[str]
    watch: bool = False


def parse(argv: list[str]) -> ShowCommand:
    """What a command line asks for. Args: as command_line.parsed."""

    def read(argv: list[str]) -> ShowCommand:
        is_watched = "--watch" in argv
        try:
            paths = flags.FlagValues()([word for word in argv if word != "--watch"])[1:]
        except flags.Error as error:
            raise ConfigError(f"{' '.join(str(error).split()).rstrip('.')}; give run directories alone.") from error
        if not paths:
            raise ConfigError("No run directory is given; give one, such as runs/sweep.")
        return ShowCommand(paths, is_watched)

    return command_line.parsed(argv, read, __doc__ or "")


def main(given: ShowCommand) -> None:
    """Prints what each run directory holds. Exit code 1 if one cannot be read."""
    with command_line.explaining():
        if given.watch:
            watch(given.paths, time.sleep)
            return
        for number, path in enumerate(given.paths):
            run = load_run(path)
            command_line.write("\n" * (number > 0) + description(run, run.groups()))


def watch(paths: Sequence[str], wait: Callable[[float], None]) -> None:
    """Prints the table of each run directory, and again whenever it has more finished runs, until all are finished.

    Args:
      paths: the directories.
      wait: waits for so many seconds.
    """
    seen, unfinished = dict.fromkeys(paths, 0), list(paths)
    while True:
        for path in list(unfinished):
            run = load_run(path)
            finished = int(run.source.finished(run.grid).sum())
            if finished > seen[path]:
                seen[path] = finished
                command_line.write(f"\n{finished} of {run.grid.num_cells} runs\n{description(run, run.groups())}")
            if finished == run.grid.num_cells:
                unfinished.remove(path)
        if not unfinished:
            return
        wait(_SECONDS)


_SECONDS = 2.0
"""How often directories are looked at."""


def command() -> None:
    """The console script rw-jax-show."""
    command_line.run(main, parse)


if __name__ == "__main__":
    command()
