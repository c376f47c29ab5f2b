"""Writes the page of a run: every run of its grid in one file, to look inside of.

    python -m rw_jax.explore DIR

DIR is a run directory, finished or not; the page is DIR/explore.html. It opens in a browser and needs no network.
"""

from absl import flags

from rw_jax import command_line
from rw_jax.analysis.run import Run, load_run
from rw_jax.explorer import page
from rw_jax.study.errors import ConfigError, RunError


def parse(argv: list[str]) -> Run:
    """The run that a command line names; bad input is one sentence and exit code 2. Args: as command_line.parsed."""

    def read(argv: list[str]) -> Run:
        try:
            paths = flags.FlagValues()(argv)[1:]
        except flags.Error as error:
            raise ConfigError(f"{' '.join(str(error).split()).rstrip('.')}; give a run directory alone.") from error
        if len(paths) != 1:
            raise ConfigError(f"{len(paths) or 'No'} run directories are given; give one, such as runs/sweep.")
        try:
            return load_run(paths[0])
        except RunError as error:
            raise ConfigError(str(error)) from error

    return command_line.parsed(argv, read, __doc__ or "")


def main(run: Run) -> None:
    """Writes the page of a run and says where it is. Exit code 1 if a file cannot be read or written."""
    with command_line.explaining():
        path = run.run_dir.path / "explore.html"
        numbers = page.write(run, path)
        size = path.stat().st_size / 1e6
        notes = " ".join(["", *numbers.notes])
        print(f"{command_line.short(path)} shows {int((numbers.status == 1).sum())} runs in {size:.1f} MB.{notes}")


def command() -> None:
    """The console script rw-jax-explore."""
    command_line.run(main, parse)


if __name__ == "__main__":
    command()
