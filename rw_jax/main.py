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
import dataclasses
import functools
import sys

import numpy as np
from absl import app, flags, logging

from rw_jax import command_line
from rw_jax.analysis import summary
from rw_jax.analysis.numbers import axes, label, with_interval
from rw_jax.analysis.run import Run
from rw_jax.show import told
from rw_jax.store import products
from rw_jax.store.processes import is_first
from rw_jax.study.config import Config, symbol
from rw_jax.study.errors import ConfigError
from rw_jax.study.flags import Command, read_command
from rw_jax.study.grid import Cell, Grid
from rw_jax.study.labels import same_label
from rw_jax.sweeps import interruption, processes
from rw_jax.sweeps.sweep import plan, sweep
from rw_jax.sweeps.until import Goal, check, interval, sweep_until

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

    Exit codes beside 0: 2 if the directory or the environment cannot be used; 1 if the sweep cannot go on, 130 or 143
    if it is told not to, and the same command continues it; 1 if a figure cannot be drawn; 3 if a run diverged and
    `strict` is given.
    """
    command_line.log_plainly()
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
                exit_code = show(run, is_strict="strict" in command.switches)
                if goal is not None:
                    _tell_intervals(run, goal.metric)
            else:
                _answer(run, command.config)
    if exit_code:
        sys.exit(exit_code)


def show(run: Run, is_strict: bool = False) -> int:
    """Draws the figures of a finished run, writes its table and prints it; gives the exit code.

    What has been drawn and written since the last training, and is still there, is left as it is.

    Args:
      run: the run.
      is_strict: whether a run that diverged is to make the exit code 3.
    """
    # Matplotlib takes a good part of the start: it waits until runs are trained.
    from rw_jax.analysis import plots

    run_dir = run.run_dir
    lost, failed, table = products.lost(run_dir, run.grid), {}, run.summary()
    is_done = run_dir.summary_file in products.noted(run_dir, run.grid) and not lost
    if not is_done:
        for path in lost:
            logging.warning("%s is not as it was written, and is made again.", command_line.short(path))
        summary.write(table, run_dir.summary_file)
        drawn, failed = plots.write_figures(run, run_dir.figures)
        others = sorted(path.name for path in run_dir.figures.glob("*.*") if path not in drawn)
        if others:
            logging.warning("These files in figures are not of this grid: %s.", ", ".join(others))
        # A figure that cannot be drawn here is tried again by the next call.
        products.note(run_dir, run.grid, drawn if failed else [*drawn, run_dir.summary_file])
    for name, error in failed.items():
        logging.warning(
            "The figure %s cannot be drawn (%s: %s).", name, type(error).__name__, " ".join(str(error).split())
        )
    diverged = int(run.metrics["diverged_at"].notnull().sum())
    if diverged:
        names = "; ".join(summary.diverged(run.metrics))
        logging.warning("%d runs diverged, their training loss NaN or infinite: %s.", diverged, names)
    total = run.grid.num_cells
    if is_done:
        ending = f"All {total} runs that were asked for are there. Nothing to do."
    else:
        ending = (
            f"{run.environment.get('runs', 0)} of {total} runs trained in {run.environment.get('seconds', 0.0):.1f} s."
        )
    command_line.write(f"{told(run, run.groups())}\n{ending}")
    return 1 if failed else 3 if diverged and is_strict else 0


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


def parse(argv: list[str], flag_values: flags.FlagValues = flags.FLAGS) -> Command:
    """What a command line asks for; bad input is one sentence and exit code 2. Args: as command_line.parsed."""
    return command_line.parsed(
        argv, functools.partial(read_command, switches=SWITCHES, words=WORDS), command_line.about(__doc__), flag_values
    )


def _tell_intervals(run: Run, metric: str) -> None:
    """Prints the interval of each setting by which it was decided how many seeds it takes."""
    command_line.write(
        f"\n{metric}, with intervals that hold at every number of seeds (those above are for a fixed one):"
    )
    for group in run.groups():
        found = interval(group, metric)
        labels = ", ".join(f"{symbol(axis)} = {label(value)}" for axis, value in group.labels.items()) or "all runs"
        told = with_interval(found.mean, found.low, found.high, digits=4)
        command_line.write(f"  {labels}: {told}, {found.seeds} seeds")


def _answer(run: Run, config: Config) -> None:
    """Prints what a run has of a smaller study, all of whose runs are finished; nothing is drawn or written."""
    grid = dict(config.grid)

    def is_asked_for(cell: Cell) -> bool:
        return all(
            any(same_label(label, asked) for asked in grid.get(axis, (config.value(axis),)))
            for axis, label in cell.labels.items()
        )

    asked_for = [(group, [cell.number for cell in group.cells if is_asked_for(cell)]) for group in run.groups()]
    groups = [dataclasses.replace(group, numbers=np.array(numbers)) for group, numbers in asked_for if numbers]
    count = sum(map(len, groups))
    ending = f"All {count} runs that were asked for are there, among {run.grid.num_cells}. Nothing to do."
    command_line.write(f"{told(run, groups)}\n{ending}")


def command() -> None:
    """The console script rw-jax."""
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main, flags_parser=parse)


if __name__ == "__main__":
    command()
