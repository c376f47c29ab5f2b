"""What is shown of a finished run: its figures, its table and, where they were asked for, its intervals."""

import dataclasses
import textwrap
from collections.abc import Sequence

from absl import logging

from rw_jax import command_line
from rw_jax.analysis import summary
from rw_jax.analysis.numbers import label, setting, with_interval
from rw_jax.analysis.run import Group, Run
from rw_jax.store import products
from rw_jax.store.layout import RunDir
from rw_jax.study.config import Config, symbol
from rw_jax.study.grid import Grid
from rw_jax.sweeps.until import interval


def description(run: Run, groups: Sequence[Group]) -> str:
    """The setting of groups of runs, their table as wide as the output, and where the files are."""
    width = summary.width_of_output()
    words = setting([group.config for group in groups], unread=run.source.unread(run.grid))
    common = ", ".join(word.replace(" ", "\N{NO-BREAK SPACE}") for word in words)
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


def finish(run: Run, is_strict: bool = False) -> int:
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
    command_line.write(f"{description(run, run.groups())}\n{ending}")
    return 1 if failed else 3 if diverged and is_strict else 0


def print_intervals(run: Run, metric: str) -> None:
    """Prints the interval of each setting by which it was decided how many seeds it takes."""
    command_line.write(
        f"\n{metric}, with intervals that hold at every number of seeds (those above are for a fixed one):"
    )
    for group in run.groups():
        found = interval(group, metric)
        labels = ", ".join(f"{symbol(axis)} = {label(value)}" for axis, value in group.labels.items()) or "all runs"
        interval_in_words = with_interval(found.mean, found.low, found.high, digits=4)
        command_line.write(f"  {labels}: {interval_in_words}, {found.seeds} seeds")


def print_smaller(run: Run, config: Config) -> None:
    """Prints what a run has of a smaller study, all of whose runs are finished; nothing is drawn or written."""
    asked = Grid(config)
    asked_for = [
        (group, group.numbers[asked.locate(run.grid.columns(group.cells), len(group)) >= 0]) for group in run.groups()
    ]
    groups = [dataclasses.replace(group, numbers=numbers) for group, numbers in asked_for if len(numbers)]
    count = sum(map(len, groups))
    ending = f"All {count} runs that were asked for are there, among {run.grid.num_cells}. Nothing to do."
    command_line.write(f"{description(run, groups)}\n{ending}")
