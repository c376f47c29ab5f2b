"""The table of a sweep: every number over seeds, with its interval."""

import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import rich.console
import rich.table
import xarray as xr

from rw_jax.analysis.groups import Group
from rw_jax.analysis.numbers import label
from rw_jax.analysis.statistics import mean_interval, of_numbers, rate_interval
from rw_jax.store.layout import write_atomically
from rw_jax.study.config import ALL, symbol
from rw_jax.training.metrics import METRICS

ESTIMATES = {
    "accuracy": mean_interval,
    "expected_accuracy": mean_interval,
    "optimal_accuracy": mean_interval,
    "parent_is_highest": rate_interval,
    "predicts_optimally": rate_interval,
    "output_direction_error": mean_interval,
    "value_direction_error": mean_interval,
    "value_sqrt_direction_error": mean_interval,
    "value_uniform_direction_error": mean_interval,
}
"""The metrics of the table where all are recorded, and how each is estimated over runs."""

SHOWN = {
    "accuracy": "accuracy",
    "expected_accuracy": "expected accuracy",
    "parent_is_highest": "on the parent",
    "predicts_optimally": "optimal",
}
"""The metrics that are printed, and their headings; the accuracy only where no expected one is known."""

_LARGEST_TABLE = 100
_LONGEST_LIST = 10


def table(groups: Sequence[Group]) -> pd.DataFrame:
    """One row for each group of runs, at the last step.

    Returns:
      A column for each label of the groups; `seeds`, how many runs there are; `diverged`, how many of them did; and for
      each metric M of ESTIMATES that there is its estimate M and 95% interval M_low, M_high, over the runs that have a
      number: those whose output is finite. Where `record.metrics` chooses, for each that is one number of a run.
    """
    rows = []
    for group in groups:
        metrics = group.run.metrics
        diverged = metrics["diverged_at"].values.ravel()[group.numbers]
        row = {**group.labels, "seeds": len(group), "diverged": int(np.isfinite(diverged).sum())}
        # On infinitely many walks, from zero, all seeds train alike: a share of them is no estimate.
        is_certain = group.config.task.walks == math.inf and group.config.model.init == "zero"
        for name in _of_table(group):
            estimate = ESTIMATES.get(name, mean_interval)
            if name in metrics and metrics[name].dims[-1] == "step":
                result = of_numbers(estimate, group.metric(name)[:, -1])
                if is_certain and estimate is rate_interval:
                    result = result._replace(low=math.nan, high=math.nan)
                row |= {name: result.mean, f"{name}_low": result.low, f"{name}_high": result.high}
        rows.append(row)
    return pd.DataFrame(rows)


def _of_table(group: Group) -> list[str]:
    """The names of the metrics of the table: those that are chosen, and all of the user's own."""
    chosen = group.config.record.metrics
    labels = (chosen,) if isinstance(chosen, str) else chosen
    built_in = ESTIMATES if ALL in labels else [label for label in labels if label in METRICS]
    return [*built_in, *(str(name) for name in group.run.metrics.data_vars if name not in (*METRICS, *_OF_CELLS))]


_OF_CELLS = ("finished", "diverged_at")


def diverged(metrics: xr.Dataset) -> list[str]:
    """The runs that diverged, by their labels, and the step from which on; the end of a long list left out."""
    steps = metrics["diverged_at"]
    places = np.argwhere(steps.notnull().values)
    cells = [steps[tuple(place)] for place in places[:_LONGEST_LIST]]
    names = [
        " ".join([*(f"{axis}={label.item()}" for axis, label in cell.coords.items()), f"from step {cell.item():g} on"])
        for cell in cells
    ]
    return [*names, "and so on"] if len(places) > _LONGEST_LIST else names


def show(rows: pd.DataFrame, width: int | None = None) -> str:
    """The table to print: the labels in which rows differ, and what matters most, each with its interval.

    Args:
      rows: as of `table`.
      width: columns of the terminal; what does not fit is left out, the last columns first. None: all that is there.
    """
    columns = list(rows.columns)
    axes = [name for name in columns[: columns.index("seeds")] if rows[name].nunique() > 1]
    counts = ["seeds", *(["diverged"] if rows["diverged"].any() else [])]
    known = [name for name in columns if f"{name}_low" in rows and rows[name].notna().any()]
    measured = [name for name in SHOWN if name in known]
    if not ESTIMATES.keys() >= set(known):  # metrics have been chosen: all that are in the table are shown
        measured += [name for name in known if name not in SHOWN]
    if {"accuracy", "expected_accuracy"} <= set(measured):
        measured.remove("accuracy")
    shown = rows.head(_LARGEST_TABLE)
    cells = {symbol(name): [label(value) for value in shown[name]] for name in [*axes, *counts]}
    headings = {name: SHOWN.get(name, name.replace("_", " ")) for name in measured}
    cells |= {headings[name]: [_cell(row, name) for _, row in shown.iterrows()] for name in measured}
    while width is not None and len(cells) > 1 and _width(cells) > width:
        cells.popitem()
    printed = rich.table.Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
    for name in cells:
        printed.add_column(name, justify="right", no_wrap=True)
    for row in zip(*cells.values(), strict=True):
        printed.add_row(*row)
    # No colours, whatever the environment says: they would stand in files as they are.
    console = rich.console.Console(width=_width(cells) + _GAP, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(printed)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    if len(rows) > _LARGEST_TABLE:
        lines.append(f"The other {len(rows) - _LARGEST_TABLE} rows are in summary.csv.")
    return "\n".join(lines)


_GAP = 2


def _width(cells: dict[str, list[str]]) -> int:
    return sum(max(map(len, [name, *column])) + _GAP for name, column in cells.items()) - _GAP


def width_of_output() -> int | None:
    """How wide the terminal is that is printed to; None for a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def write(rows: pd.DataFrame, path: Path) -> None:
    """Writes the table as CSV, atomically."""
    write_atomically(path, str(rows.to_csv(index=False)))


def _cell(row: pd.Series, name: str) -> str:
    """A number to three decimals, which stand below one another, with its interval."""
    estimate, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if np.isnan(low):
        return f"{estimate:.3f}"
    return f"{estimate:.3f} [{low:.3f}, {high:.3f}]"
