"""The theorem report: trains what the claims of the paper are judged by, judges them, and writes the page.

    python -m rw_jax.verify --config=configs/verify.py [--workdir=runs/verify] [--quick] [--config.FIELD=VALUE ...]

--config gives the setting around which claims are tested; --workdir is the folder of the report, runs/NAME if it is not
given; --quick takes grids so small that no verdict means anything, to see that everything works. Every study is a run
directory WORKDIR/STUDY, which `rw_jax.load_run` opens. The same command goes on with a report that was interrupted, and
judges a finished one anew without training.
"""

from pathlib import Path

from absl import app, flags, logging

from rw_jax import command_line
from rw_jax.reports import pages
from rw_jax.reports.claim import judge_all
from rw_jax.reports.paper import THEOREMS
from rw_jax.reports.study import Study
from rw_jax.study.config import AXES, Config
from rw_jax.study.errors import ConfigError
from rw_jax.study.flags import Command, read_command
from rw_jax.sweeps import interruption
from rw_jax.sweeps.sweep import sweep

SWITCHES = {"quick": "Take grids so small that no verdict means anything, to see that everything works."}
"""The flags without a value."""


def studies(config: Config, quick: bool) -> dict[Study, Config]:
    """The studies that the claims are judged by, each with its config.

    Args:
      config: the setting around which they are made; its grid is not looked at.
      quick: whether to make them tiny.

    Raises:
      ConfigError: if the config is of another model, task, start or loss than the claims, or does not go with a study.
    """
    for axis, assumed in THEOREMS.assumed.items():
        if config.value(axis) != assumed:
            raise ConfigError(
                f"{AXES[axis]} is {config.value(axis)!r}, but must be {assumed!r}, as the claims assume it."
            )
    return {study: study.config(config, quick) for study in THEOREMS.studies}


def run(config: Config, workdir: Path, quick: bool) -> pages.Written:
    """Trains the studies that are not finished, judges every claim and writes the report into the folder.

    Raises:
      ConfigError: if a study cannot be made from the config, or the folder holds another report.
    """
    configs, runs = studies(config, quick), {}
    for number, (study, of_study) in enumerate(configs.items(), 1):
        logging.info("study %d of %d: %s", number, len(configs), study.name)
        runs[study] = sweep(of_study, workdir / study.name)
    return pages.write(THEOREMS, judge_all(THEOREMS.claims, runs), runs, workdir, quick)


def parse(argv: list[str], flag_values: flags.FlagValues = flags.FLAGS) -> Command:
    """What a command line asks for; bad input is one sentence and exit code 2. Args: as command_line.parsed."""

    def read(argv: list[str], flag_values: flags.FlagValues) -> Command:
        command = read_command(argv, SWITCHES, flag_values)
        has_folder = any(word.startswith(("--workdir", "-workdir")) for word in argv)
        if "quick" in command.switches and not has_folder:
            return command._replace(workdir=Path(f"{command.workdir}_quick"))
        return command

    return command_line.parsed(argv, read, command_line.about(__doc__), flag_values)


def _main(command: Command) -> None:
    command_line.log_plainly()
    with command_line.explaining():
        written = run(command.config, command.workdir, "quick" in command.switches)
        for line in written.verdicts():
            print(line)
        folder = command_line.short(written.path)
        print(f"The report is {folder}; report.md, report.json and figures are beside it.")


def command() -> None:
    """The console script rw-jax-verify."""
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(_main, flags_parser=parse)


if __name__ == "__main__":
    command()
