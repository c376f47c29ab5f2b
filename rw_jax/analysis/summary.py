"""The table at the end of a sweep: every number over seeds, with its interval."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import rich.console
import rich.table
import xarray as xr

from rw_jax.analysis.statistics import Estimate, mean_interval, rate_interval

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


def final_metrics(metrics: xr.Dataset) -> xr.Dataset:
    """The metrics of every cell at its last recorded step; where `steps` is an axis, that differs between cells."""
    recorded = metrics["optimal_accuracy"].notnull()  # a known number at every recorded step, even if training diverged
    last = recorded.cumsum("step").argmax("step")
    return metrics.isel(step=last).drop_vars("step")


def cells_without_seed(metrics: xr.Dataset) -> list[dict[str, int]]:
    """Every combination of places along the dimensions other than seed and step."""
    names = [str(name) for name in metrics["accuracy"].dims if name not in ("seed", "step")]
    ranges = [range(metrics.sizes[name]) for name in names]
    return [dict(zip(names, places, strict=True)) for places in itertools.product(*ranges)]


def table(metrics: xr.Dataset) -> pd.DataFrame:
    """One row for each combination of labels other than the seed, at the last step, over the seeds that are finished.

    Args:
      metrics: the metrics of a run.

    Returns:
      A column for each axis; `seeds`; `diverged`, how many of them did; and for each metric M of COLUMNS its estimate M
      and 95% interval M_low, M_high.
    """
    final, rows = final_metrics(metrics), []
    for places in cells_without_seed(metrics):
        cells = final.isel(places)
        finished = cells["optimal_accuracy"].notnull().values.ravel()
        row = {str(name): label.item() for name, label in cells.coords.items() if label.ndim == 0}
        row |= {"seeds": int(finished.sum()), "diverged": int(cells["diverged_at"].notnull().sum())}
        for name, (_, estimate) in COLUMNS.items():
            values = cells[name].values.ravel()[finished]
            result = estimate(values) if values.size else Estimate(np.nan, np.nan, np.nan, 0)
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
    for heading, _ in COLUMNS.values():
        shown.add_column(heading, justify="right")
    for _, row in rows.head(_LARGEST_TABLE).iterrows():
        shown.add_row(*(str(row[name]) if isinstance(row[name], str) else f"{row[name]:g}" for name in axes),
                      *(_cell(row, name) for name in COLUMNS))  # fmt: skip
    # Where the output is no terminal, the table is as wide as its rows are.
    console = rich.console.Console(width=None if rich.console.Console().is_terminal else 1000)
    console.print(shown)
    if len(rows) > _LARGEST_TABLE:
        print(f"The other {len(rows) - _LARGEST_TABLE} rows are in summary.csv.")


def write(rows: pd.DataFrame, path: Path) -> None:
    """Writes the table as CSV, atomically."""
    unfinished = path.with_name(path.name + ".tmp")
    rows.to_csv(unfinished, index=False)
    unfinished.replace(path)


def _cell(row: pd.Series, name: str) -> str:
    estimate, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if name == "optimal_accuracy" or np.isnan(low):
        return f"{estimate:.3f}"
    return f"{estimate:.3f} [{low:.3f}, {high:.3f}]"
