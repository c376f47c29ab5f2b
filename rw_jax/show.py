"""Prints the table of a run directory again.

    python -m rw_jax.show DIR [DIR ...]

DIR is a run directory, finished or not. Nothing is trained, drawn or written.
"""

import textwrap
from collections.abc import Sequence

from absl import app, flags

from rw_jax import command_line
from rw_jax.analysis import summary
from rw_jax.analysis.numbers import setting
from rw_jax.analysis.run import Group, Run, load_run
from rw_jax.store.layout import RunDir
from rw_jax.study.errors import ConfigError


def told(run: Run, groups: Sequence[Group]) -> str:
    """The setting of groups of runs, their table as wide as the output, and where the files are."""
    width = summary.width_of_output()
    common = ", ".join(word.replace(" ", "\N{NO-BREAK SPACE}") for word in setting([group.config for group in groups]))
    lines = textwrap.wrap(f"{run.config.name}: {common}", width or 120, break_on_hyphens=False)
    return "\n".join(
        [
            *(line.replace("\N{NO-BREAK SPACE}", " ") for line in lines),
            "After the last step, over seeds [95% interval]:",
            "",
            summary.show(summary.table(groups), width),
            "",
            f"Everything is in {command_line.short(run.run_dir.path)}: {', '.join(_there(run.run_dir))}.",
        ]
    )


def _there(run_dir: RunDir) -> list[str]:
    """What a run directory has of what people look for, by name."""
    paths = (run_dir.metrics_file, run_dir.chunks, run_dir.figures, run_dir.summary_file)
    return [path.name for path in paths if path.exists()]


def parse(argv: list[str], flag_values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """The run directories that a command line names. Args: as command_line.parsed."""

    def read(argv: list[str], flag_values: flags.FlagValues) -> list[str]:
        try:
            paths = flag_values(argv)[1:]
        except flags.Error as error:
            raise ConfigError(f"{' '.join(str(error).split()).rstrip('.')}; give run directories alone.") from error
        if not paths:
            raise ConfigError("No run directory is given; give one, such as runs/sweep.")
        return paths

    return command_line.parsed(argv, read, __doc__ or "", flag_values)


def main(paths: list[str]) -> None:
    """Prints what each run directory holds. Exit code 1 if one cannot be read."""
    command_line.log_plainly()
    with command_line.explaining():
        for number, path in enumerate(paths):
            run = load_run(path)
            print("\n" * (number > 0) + told(run, run.groups()))


def command() -> None:
    """The console script rw-jax-show."""
    app.run(main, flags_parser=parse)


if __name__ == "__main__":
    command()
