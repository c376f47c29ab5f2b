"""The table at the end of a sweep: every number over seeds, with its interval."""

from pathlib import Path

import numpy as np
import pandas as pd
import rich.console
import rich.table
import xarray as xr

from rw_jax.analysis.numbers import label
from rw_jax.analysis.run import Run, checked_run
from rw_jax.analysis.statistics import mean_interval, rate_interval
from rw_jax.store.layout import write_atomically

COLUMNS = {
    "accuracy": ("accuracy", mean_interval),
    "expected_accuracy": ("expected accuracy", mean_interval),
    "optimal_accuracy": ("optimum", mean_interval),
    "parent_is_highest": ("parent highest", rate_interval),
    "output_direction_error": ("f to f_OPT", mean_interval),
    "value_direction_error": ("V to Pi^T", mean_interval),
    "value_sqrt_direction_error": ("V to sqrt Pi^T", mean_interval),
    "value_uniform_direction_error": ("V to all-ones", mean_interval),
}
"""Metric: (heading, how it is estimated over seeds)."""

_LARGEST_TABLE = 100
_LONGEST_LIST = 10


def table(run: Run) -> pd.DataFrame:
    """One row for each combination of labels other than the seed, at the last step, over the seeds that are finished.

    Returns:
      A column for each axis; `seeds`; `diverged`, how many of them did; and for each metric M of COLUMNS that the run
      has its estimate M and 95% interval M_low, M_high.
    """
    rows = []
    for group in checked_run(run).groups(over="seed"):
        diverged = [run.metrics["diverged_at"].values[cell.index] for cell in group.cells]
        row = {**group.labels, "seeds": len(group.cells), "diverged": int(np.isfinite(diverged).sum())}
        for name, (_, estimate) in COLUMNS.items():
            if name in run.metrics:
                result = estimate(group.metric(name)[:, -1])
                row |= {name: result.mean, f"{name}_low": result.low, f"{name}_high": result.high}
        rows.append(row)
    return pd.DataFrame(rows)


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


def show(rows: pd.DataFrame) -> None:
    """Prints the table, the numbers with their 95% intervals over seeds in brackets."""
    columns = list(rows.columns)
    axes = columns[: columns.index("diverged") + 1]
    shown = rich.table.Table(title="After the last step: mean over seeds [95% interval]", title_justify="left")
    for name in axes:
        shown.add_column(name, justify="right")
    measured = [name for name in COLUMNS if name in rows and rows[name].notna().any()]
    for name in measured:
        shown.add_column(COLUMNS[name][0], justify="right")
    for _, row in rows.head(_LARGEST_TABLE).iterrows():
        shown.add_row(*(label(row[name]) for name in axes), *(_cell(row, name) for name in measured))
    # Where the output is no terminal, the table is as wide as its rows are.
    console = rich.console.Console(width=None if rich.console.Console().is_terminal else 1000)
    with console.capture() as captured:  # a reader that has had enough is for the command line to see
        console.print(shown)
    print(captured.get(), end="")
    if len(rows) > _LARGEST_TABLE:
        print(f"The other {len(rows) - _LARGEST_TABLE} rows are in summary.csv.")


def write(rows: pd.DataFrame, path: Path) -> None:
    """Writes the table as CSV, atomically."""
    write_atomically(path, str(rows.to_csv(index=False)))


def _cell(row: pd.Series, name: str) -> str:
    """A number to three decimals, which stand below one another, with its interval."""
    estimate, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if name == "optimal_accuracy" or np.isnan(low):
        return f"{estimate:.3f}"
    return f"{estimate:.3f} [{low:.3f}, {high:.3f}]"
