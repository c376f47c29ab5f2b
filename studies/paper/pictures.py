"""Pictures of theorems: each draws the numbers that a claim was measured by (`Evidence.points`)."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rw_jax.analysis.plots.drawing import COLOURS, MARKERS, legend_below, show_map, styled


@styled()
def courses(points: pd.DataFrame) -> Figure:
    """A positive quantity against the step, by training (points) and by the recursion (lines), for each p.

    Args:
      points: columns p, source ("training" or "recursion"), quantity (what it is), step, value.
    """
    figure, axes = _panel()
    for (p, group), style in zip(points.groupby("p"), _styles(), strict=False):
        trained, recursion = (group[group["source"] == name] for name in ("training", "recursion"))
        axes.plot(trained["step"], trained["value"], **style)
        axes.plot(recursion["step"], recursion["value"], color=style["color"], linewidth=1, label=f"p = {p:g}")
    axes.set(xlabel="T, gradient descent steps (points: training; lines: recursion)", xscale="log", yscale="log")
    axes.set_ylabel(points["quantity"].iloc[0])
    _slope_mark(axes, points)
    legend_below(figure, axes)
    return figure


@styled()
def decay(points: pd.DataFrame) -> Figure:
    """log(1 - parent weight) against N with its interval and the fitted line, for each p.

    Args:
      points: columns p, N, estimate, low, high.
    """
    figure, axes = _panel()
    for (p, group), style in zip(points.groupby("p"), _styles(), strict=False):
        _with_intervals(axes, group["N"], group, style, f"p = {p:g}")
        slope, intercept = np.polyfit(group["N"], group["estimate"], 1)
        axes.plot(group["N"], intercept + slope * group["N"], color=style["color"], linewidth=0.8)
    axes.set(xlabel="N, walk length", ylabel="log(1 − parent weight), worst walk")
    legend_below(figure, axes)
    return figure


@styled()
def errors_against_walks(points: pd.DataFrame) -> Figure:
    """A relative error against the number of training walks, for each p.

    Args:
      points: columns p, walks, estimate, low, high.
    """
    figure, axes = _panel()
    for (p, group), style in zip(points.groupby("p"), _styles(), strict=False):
        _with_intervals(axes, group["walks"], group, {**style, "linestyle": "-", "linewidth": 1}, f"p = {p:g}")
    axes.set(xlabel="training walks", ylabel="relative error of V(1)", xscale="log", yscale="log")
    legend_below(figure, axes)
    return figure


@styled()
def rates_against_walks(points: pd.DataFrame) -> Figure:
    """The share of seeds that succeed against the number of walks, for each p; args as errors_against_walks."""
    return _rates(points, "walks", "training walks", "log")


@styled()
def rates_against_nodes(points: pd.DataFrame) -> Figure:
    """The share of seeds that succeed against the number of nodes, for each p.

    Args:
      points: columns p, K, estimate, low, high.
    """
    return _rates(points, "K", "K, nodes", "linear")


@styled()
def lengths_against_nodes(points: pd.DataFrame) -> Figure:
    """The walk length that is needed against the number of nodes, for each p; nothing where no length tried will do.

    Args:
      points: columns p, K, estimate.
    """
    figure, axes = _panel()
    for (p, group), style in zip(points.groupby("p"), _styles(), strict=False):
        finite = group[np.isfinite(group["estimate"])]
        style |= {"linestyle": "-", "linewidth": 0.8, "label": f"p = {p:g}"}
        axes.plot(finite["K"], finite["estimate"], **style)
    axes.set(xlabel="K, nodes", ylabel="N, shortest walks that suffice", xscale="log", yscale="log")
    nodes = sorted(set(points["K"]))
    axes.set_xticks(nodes, [str(K) for K in nodes], minor=False)
    axes.xaxis.set_minor_formatter("")
    legend_below(figure, axes)
    return figure


def _rates(points: pd.DataFrame, column: str, label: str, scale: str) -> Figure:
    figure, axes = _panel()
    groups = list(points.groupby("p"))
    for place, ((p, group), style) in enumerate(zip(groups, _styles(), strict=False)):
        # Points that coincide are moved apart.
        shift = (place - (len(groups) - 1) / 2) * 0.02
        x = group[column] * math.exp(shift) if scale == "log" else group[column] + 10 * shift
        _with_intervals(axes, x, group, {**style, "linestyle": "-", "linewidth": 0.8}, f"p = {p:g}")
    axes.set(xlabel=label, ylabel="share of seeds", xscale=scale, ylim=(-0.03, 1.03))
    if scale == "linear":
        axes.set_xticks(sorted(set(points[column])))
    legend_below(figure, axes)
    return figure


@styled()
def map_over_p(
    points: pd.DataFrame, column: str, label: str, limits: tuple[float, float], name: str, cmap: str = "viridis"
) -> Figure:
    """A map of `estimate` over p and another column, each cell on its own: labels need not be evenly spaced."""
    table = points.pivot(index=column, columns="p", values="estimate")
    figure, axes = _panel(width=5.2)
    xs, ys = ([f"{place:g}" for place in places] for places in (table.columns, table.index))
    figure.colorbar(show_map(axes, table.to_numpy(), xs, ys, limits, cmap), ax=axes, label=name)
    axes.set(xlabel="p, probability of a clockwise step", ylabel=label)
    return figure


def _panel(width: float = 4.8) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, 3.3), layout="constrained")
    return figure, figure.subplots()


def _styles() -> Iterator[dict[str, Any]]:
    for colour, marker in zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False):
        yield {"color": colour, "marker": marker, "linestyle": "none"}


def _with_intervals(axes: Axes, x: pd.Series, group: pd.DataFrame, style: dict[str, Any], label: str) -> None:
    axes.vlines(x, group["low"], group["high"], color=style["color"], linewidth=1)
    axes.plot(x, group["estimate"], label=label, **style)


def _slope_mark(axes: Axes, points: pd.DataFrame) -> None:
    """A dashed line of slope -1/2 or 1/2, whichever way the quantity goes, over the last factor of 100."""
    recursion = points[points["source"] == "recursion"].sort_values("step")
    ends = recursion.groupby("p")["value"].agg(["first", "last"])
    falls = np.log(ends["last"] / ends["first"]).sum() < 0
    x = np.array([recursion["step"].max() / 100, recursion["step"].max()])
    y = 0.8 * ends["last"].min() * np.array([10, 1]) if falls else 1.25 * ends["last"].max() * np.array([0.1, 1])
    axes.plot(x, y, color="black", linestyle="--", linewidth=0.8, label="slope −1/2" if falls else "slope 1/2")
