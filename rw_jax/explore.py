"""Writes the page of a run: every run of its grid in one file, to look inside of.

    python -m rw_jax.explore DIR [--output=FILE]

DIR is a run directory, finished or not; the page is DIR/explore.html, or the file that is given. It opens in a browser
and needs no network.
"""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from absl import flags

from rw_jax import command_line
from rw_jax.analysis.run import Run, load_run
from rw_jax.study.errors import ConfigError, RunError
from rw_jax.study.paths import local_path


class ExploreCommand(NamedTuple):
    """What a command line asks for: a run, and where its page goes."""

    run: Run
    output: Path


def parse(argv: list[str]) -> ExploreCommand:
    """What a command line asks for; bad input is one sentence and exit code 2. Args: as command_line.parsed."""

    def read(argv: list[str]) -> ExploreCommand:
        flag_values = flags.FlagValues()
        output = flags.DEFINE_string("output", None, "Where the page goes.", flag_values=flag_values)
        try:
            paths = flag_values(argv)[1:]
        except flags.Error as error:
            raise ConfigError(
                f"{' '.join(str(error).split()).rstrip('.')}; give a run directory, and --output alone."
            ) from error
        if len(paths) != 1:
            raise ConfigError(f"{len(paths) or 'No'} run directories are given; give one, such as runs/sweep.")
        try:
            run = load_run(paths[0])
        except RunError as error:
            raise ConfigError(str(error)) from error
        path = run.run_dir.path / "explore.html" if output.value is None else local_path("--output", output.value)
        if not path.parent.is_dir():
            raise ConfigError(f"--output is {output.value!r}, but must be a file in a folder that is there.")
        return ExploreCommand(run, path)

    return command_line.parsed(argv, read, __doc__ or "")


def main(given: ExploreCommand) -> None:
    """Writes the page of a run and says where it is. Exit code 1 if a file cannot be read or written."""
    try:
        Path.home()
    except RuntimeError:  # Bokeh looks for its settings in a home directory, which not every user has
        os.environ["HOME"] = tempfile.gettempdir()
    from rw_jax.explorer import page

    run, path = given
    with command_line.explaining():
        numbers = page.write(run, path)
        size = path.stat().st_size / 1e6
        notes = " ".join(["", *numbers.notes])
        print(f"{command_line.short(path)} shows {int((numbers.status == 1).sum())} runs in {size:.1f} MB.{notes}")


def command() -> None:
    """The console script rw-jax-explore."""
    command_line.run(main, parse)


if __name__ == "__main__":
    command()
