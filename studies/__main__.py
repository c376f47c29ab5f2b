"""Trains what a study needs, judges its claims, draws its pictures, and writes the report.

    python -m studies NAME [PART ...] [--quick] [--workdir=runs/NAME]
    python -m studies --list

PART is the name of a section of the report, such as fig4 of figures: the report is then of these alone. --workdir is
the folder of the report, runs/NAME if it is not given; --quick takes grids so small that no verdict means anything, to
see that everything works, and has the folder runs/NAME_quick. Every sweep is a run directory WORKDIR/SWEEP, which
`rw_jax.load_run` opens. Repeat a command to continue a report that was interrupted; a finished report is judged anew
without training. A field of the setting around which theorems are tested is changed by --config.FIELD=VALUE.
"""

import argparse
import importlib
from typing import NoReturn

from rw_jax import ConfigError, command_line
from rw_jax.study.flags import read_command
from rw_jax.study.paths import local_path
from rw_jax.sweeps import interruption
from studies import pages, runner
from studies.study import Study
from studies.sweeps import StudyCommand

STUDIES = {
    "theorems": "paper",
    "figures": "figures_of_the_paper",
    "all_lengths": "all_lengths",
    "power": "power",
    "where_attention_ends": "where_attention_ends",
    "finite": "finite",
    "chains": "chains",
    "small_steps": "small_steps",
    "symmetry": "symmetry",
    "relatives": "relatives",
    "rounding": "rounding",
    "million": "million",
}
"""The folder of each study. The docstring of its __init__ says what it is; report.py has `study`, which makes it."""


class _Words(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message.rstrip('.')}.")


def parse(argv: list[str]) -> tuple[Study, StudyCommand] | None:
    """The study that a command line names and what is asked of it; None for the list of studies.

    Raises:
      ConfigError: if a word, a name or a field of the setting is not right.
    """
    words = _Words(allow_abbrev=False, add_help=False)
    words.add_argument("--quick", action="store_true")
    words.add_argument("--list", action="store_true")
    words.add_argument("--workdir")
    given, others = words.parse_known_args(argv)
    named = [word for word in others if not word.startswith("-")]
    fields = [word for word in others if word.startswith("-")]
    if given.list or not others:
        return None
    name = named[0] if named else ""
    if name not in STUDIES:
        raise ConfigError(f"the study is {name!r}, but must be one of {', '.join(STUDIES)}.")
    study = importlib.import_module(f"studies.{STUDIES[name]}.report").study()
    base = None
    if study.base is not None:
        base = read_command(["studies", f"--config={study.base}", *fields], {}).config
    elif fields:
        raise ConfigError(f"{fields[0].partition('=')[0]} is not a flag of {name}; there are --quick and --workdir.")
    folder = f"runs/{name}_quick" if given.quick else f"runs/{name}"
    workdir = local_path("--workdir", folder if given.workdir is None else given.workdir)
    return study, StudyCommand(workdir, given.quick, tuple(dict.fromkeys(named[1:])), base)


def listed() -> list[str]:
    """A line for each study: its name and what it is."""
    about = {name: importlib.import_module(f"studies.{folder}").__doc__ for name, folder in STUDIES.items()}
    return [f"{name:22}{text}" for name, text in about.items()]


def main(argv: list[str]) -> None:
    """Does what a command line asks for; bad input is one sentence and exit code 2."""
    command_line.open_streams()
    command_line.allow_many_files()
    if {"--help", "-h"} & set(argv):
        command_line.write(__doc__)
        return
    with command_line.explaining():
        asked_for = parse(argv)
        if asked_for is None:
            command_line.write("\n".join(listed()))
            return
        written = runner.run(*asked_for)
        for line in [*written.lines(), *([pages.QUICK] if asked_for[1].is_quick else [])]:
            print(line)
        folder, name = command_line.short(written.path), written.path.stem
        print(f"The report is {folder}; {name}.md, {name}.json, figures and tables are beside it.")


if __name__ == "__main__":
    with interruption.leaving_on_signal(interruption.CONTINUE):
        command_line.run(main, lambda argv: argv[1:])
