"""The command line.

    python -m rw_jax.main --config=configs/sweep.py [--workdir=runs/sweep] [--config.FIELD=VALUE ...]
        [--until_width=0.05 [--until_metric=predicts_optimally]] [--dry_run] [--strict] [--distributed]

--config is a file whose get_config() returns the study; --config.FIELD changes one of its fields, such as
--config.training.steps=100 or --config.grid.seed='range(100)'; --workdir is the run directory, runs/NAME if it is not
given. Repeat the command to resume an interrupted run. --until_width adds seeds to each setting until the 95% interval
of a metric after the last step is no wider: one that may be looked at as often as you like. --dry_run only tells what
there is to do; --strict makes the exit code 3 if a run diverged; --distributed lets the processes of a job share the
sweep.
"""

import contextlib
import functools
import sys

from rw_jax import command_line, ending
from rw_jax.analysis.numbers import axes
from rw_jax.store.processes import is_first
from rw_jax.study.errors import ConfigError
from rw_jax.study.flags import Command, read_command
from rw_jax.study.grid import Grid
from rw_jax.sweeps import interruption, processes
from rw_jax.sweeps.sweep import plan, sweep
from rw_jax.sweeps.until import Goal, check, sweep_until

SWITCHES = {
    "dry_run": "Only tell what there is to do.",
    "strict": "Exit with 3 if a run diverged.",
    "distributed": "Share the sweep with the other processes of the job.",
}
"""The flags without a value."""

WORDS = {
    "until_width": "Add seeds to each setting until the interval of a metric is no wider than this.",
    "until_metric": "That metric, predicts_optimally if it is not given; it must lie between 0 and 1.",
}
"""The flags with a value beside --config and --workdir."""


def main(command: Command) -> None:
    """Runs the sweep of a config in a run directory and shows what came out, or tells what it would do.

    Exit codes beside 0: 2 if the directory or the environment cannot be used; 1 if the sweep cannot continue, 130 or
    143 if a signal ends it (repeat the command to resume); 1 if a figure cannot be drawn; 3 if a run diverged and
    `strict` is given.
    """
    is_distributed, folders = "distributed" in command.switches, [command.config_file.parent]
    exit_code = 0
    with (
        processes.leaving_at_once() if is_distributed else contextlib.nullcontext(),
        command_line.explaining(is_distributed),
    ):
        if is_distributed:
            processes.join()
        goal = _goal(command)
        if "dry_run" in command.switches:
            print("\n".join([*axes(command.config), str(plan(command.config, command.workdir, folders))]))
            return
        if goal is None:
            run = sweep(command.config, command.workdir, folders)
        else:
            run = sweep_until(command.config, command.workdir, goal, folders)
        if is_first():
            if goal is not None or run.grid.num_cells == Grid(command.config).num_cells:
                exit_code = ending.finish(run, is_strict="strict" in command.switches)
                if goal is not None:
                    ending.print_intervals(run, goal.metric)
            else:
                ending.print_smaller(run, command.config)
    if exit_code:
        sys.exit(exit_code)


def _goal(command: Command) -> Goal | None:
    """How narrow intervals are to be, if that is asked for. Raises: ConfigError."""
    if "until_width" not in command.words:
        if command.words:
            raise ConfigError("--until_metric is given, but must come with --until_width, such as --until_width=0.05.")
        return None
    try:
        width = float(command.words["until_width"])
    except ValueError:
        raise ConfigError(
            f"--until_width is {command.words['until_width']!r}, but must be a number, such as 0.05."
        ) from None
    metric = command.words.get("until_metric")
    goal = Goal(width) if metric is None else Goal(width, metric)
    check(goal, command.config)
    return goal


def parse(argv: list[str]) -> Command:
    """What a command line asks for; bad input is one sentence and exit code 2. Args: as command_line.parsed."""
    read = functools.partial(read_command, switches=SWITCHES, words=WORDS)
    return command_line.parsed(argv, read, command_line.about(__doc__))


def command() -> None:
    """The console script rw-jax."""
    with interruption.leaving_on_signal(interruption.CONTINUE):
        command_line.run(main, parse)


if __name__ == "__main__":
    command()
