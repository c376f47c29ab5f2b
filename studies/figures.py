"""What pictures of several studies share: the groups that they draw, lines of medians, and maps of lags."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap

from rw_jax import Run
from rw_jax.analysis.numbers import label
from rw_jax.analysis.plots.drawing import show_map
from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import median_interval
from rw_jax.study.fields import Scalar

STEPS = "gradient descent steps"


def by_p(run: Run, **labels: Scalar) -> dict[float, Group]:
    """The finished runs that have these labels, a group of seeds for each p, in increasing order."""
    groups = run.groups("seed", **labels)
    return {group.config.task.p: group for group in sorted(groups, key=lambda group: group.config.task.p)}


def one(run: Run, **labels: Scalar) -> Group:
    """The finished runs that have these labels, which differ in their seed alone."""
    (group,) = run.groups("seed", **labels)
    return group


def medians(samples: np.ndarray) -> pd.DataFrame:
    """Median, interval and number of seeds of each column of float[seeds, columns]."""
    return pd.DataFrame([median_interval(column) for column in samples.T])


def median_line(axes: Axes, x: np.ndarray, table: pd.DataFrame, style: dict[str, Any]) -> None:
    """A line of medians with its band, where they are finite."""
    middle, low, high = (table[name].where(np.isfinite(table["high"])) for name in ("median", "low", "high"))
    axes.plot(x, middle, **style)
    axes.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)


_OF_LAGS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00")
"""Of lags 1 to 4, and of longer ones."""


def show_lags(panel: Axes, found: pd.DataFrame) -> None:
    """A map of lags, a colour and a number in each cell; the index is drawn upwards, the columns across."""
    xs, ys = ([label(each) for each in labels] for labels in (found.columns.tolist(), found.index.tolist()))
    image = show_map(panel, found.to_numpy(), xs, ys)
    image.set(cmap=ListedColormap(_OF_LAGS), norm=BoundaryNorm([0.5, 1.5, 2.5, 3.5, 4.5, 1000], len(_OF_LAGS)))
    for (row, column), lag in np.ndenumerate(found.to_numpy()):
        if np.isfinite(lag):
            panel.text(column, row, f"{lag:.0f}", ha="center", va="center", fontsize=5.5, color="white")


def map_of_shares(panel: Axes, shares: np.ndarray, columns: list[str], rows: list[str]) -> Any:
    """Shares as a map with each number in its cell; gives the image. Args: as of `show_map`."""
    image = show_map(panel, shares, columns, rows)
    for (y, x), share in np.ndenumerate(shares):
        colour = "black" if float(share) > 0.6 else "white"
        panel.text(x, y, f"{share:.2f}", ha="center", va="center", fontsize=5.5, color=colour)
    return image
