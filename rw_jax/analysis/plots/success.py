"""How many runs succeed, against one axis and over two."""

import numbers as python_numbers
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rw_jax.analysis.numbers import label
from rw_jax.analysis.plots.drawing import (
    COLOURS,
    OPTIMUM,
    Picture,
    differing,
    legend_below,
    set_letters,
    set_title,
    show_map,
    styled,
)
from rw_jax.analysis.run import Group, Run, checked_run
from rw_jax.analysis.statistics import mean_interval, of_numbers, rate_interval
from rw_jax.study.config import ARM, symbol
from rw_jax.study.errors import RunError
from rw_jax.study.fields import Scalar, shown


def varied(run: Run) -> list[str]:
    """The axes other than the seed with several labels; of paired axes one.

    The main axis comes first, then those with numbers, the longest first.
    """
    labels, main, axes = dict(checked_run(run).config.grid), main_axis(run), []
    for dimension in run.grid.dimensions:
        if dimension.is_list:
            axes += [axis for axis in dimension.axes if axis != "seed" and len(set(labels[axis])) > 1]
        elif dimension.axes != ("seed",) and len(dimension.labels) > 1:
            telling = [axis for axis in dimension.axes if len(set(labels[axis])) == len(labels[axis])]
            axes.append(main if main in telling else (telling or dimension.axes)[0])
    return sorted(axes, key=lambda axis: (axis != main, isinstance(labels[axis][0], str), -len(labels[axis])))


def main_axis(run: Run) -> str | None:
    """The axis that figures have along x: p, or else the first with numbers other than the seed, or else that of arms.

    None if there is none. It has more than one label, each once.
    """
    is_list = any(dimension.is_list for dimension in checked_run(run).grid.dimensions)
    axes = {
        axis: labels
        for axis, labels in run.config.grid
        if axis != "seed" and len(set(labels)) > 1 and (is_list or len(set(labels)) == len(labels))
    }
    numeric = [axis for axis, labels in axes.items() if isinstance(labels[0], python_numbers.Real)]
    return "p" if "p" in numeric else next(iter(numeric), ARM if ARM in axes else None)


def accuracy_of(run: Run) -> str:
    """The expected accuracy, or the plain one where none is known."""
    return "expected_accuracy" if "expected_accuracy" in run.metrics else "accuracy"


SUCCESS = {"parent_is_highest": "attends to the parent", "predicts_optimally": "predicts optimally"}
"""The two notions of success, metrics that are 0 or 1."""


@styled()
def success_against(run: Run, axis: str = "p", **labels: Scalar) -> Picture:
    """What single seeds reach after the last step, and the share of seeds that succeed, against an axis of numbers.

    Raises:
      RunError: if the runs differ in an axis that is not paired with this one, and is not among the labels.
    """
    groups = _along(run, axis, labels)
    scale, numbers = Scale.of(axis, _labels(axis, groups)), list[pd.DataFrame]()
    has_accuracy, notions = accuracy_of(run) in run.metrics, [metric for metric in SUCCESS if metric in run.metrics]
    if not (has_accuracy or notions):
        known = ", ".join(("expected_accuracy", "accuracy", *SUCCESS))
        raise RunError(f"There is nothing to draw: none of {known} is a metric of the run.")
    count = has_accuracy + bool(notions)
    figure = Figure(figsize=(3.5 * count if count > 1 else 4.0, 3.3), layout="constrained")
    panels = figure.subplots(1, count, squeeze=False)[0]
    contents: list[str] = []
    if has_accuracy:
        numbers += _draw_seeds(panels[0], scale, axis, groups)
        contents.append("each of {seeds}")
    if notions:
        numbers += _draw_shares(panels[-1], scale, axis, groups)
        contents.append("share of seeds with its 95% interval")
    for panel in panels:
        scale.mark(panel)
        panel.set_xlabel(f"{symbol(axis)}{scale.name}")
    legend_below(figure, *panels)
    set_letters(panels)
    seen = ["how far single seeds come"] * has_accuracy + ["how many succeed"] * bool(notions)
    ending = f"A: {contents[0]}; B: {contents[1]}" if count > 1 else contents[0]
    diverged = sum(int(np.isfinite(run.metrics["diverged_at"].values.ravel()[group.numbers]).sum()) for group in groups)
    title = f"{', and '.join(seen)}, against {symbol(axis)}"
    set_title(figure, f"{title[0].upper()}{title[1:]}", groups,
              ending + (f"; {diverged} runs that diverged are left out" if diverged else ""))  # fmt: skip
    return figure, pd.concat(numbers, ignore_index=True)


def _draw_seeds(panel: Axes, scale: "Scale", axis: str, groups: Sequence[Group]) -> list[pd.DataFrame]:
    """The accuracy of every seed, and the optimum."""
    run, numbers = groups[0].run, []
    name = accuracy_of(run)
    rng = np.random.default_rng(0)  # points that coincide are moved apart
    for place, group in zip(scale.places, groups, strict=True):
        reached = group.metric(name)[:, -1]
        aside = rng.uniform(-1, 1, len(reached)) * scale.aside
        panel.plot(place + aside, reached, ".", color=COLOURS[0], markersize=2.5, alpha=0.5)
        seeds = [cell.labels.get("seed", group.config.seed) for cell in group.cells]
        numbers.append(pd.DataFrame({"metric": name, axis: group.labels[axis], "seed": seeds, "mean": reached}))
    panel.plot([], [], ".", color=COLOURS[0], label="a seed")
    if "optimal_accuracy" in run.metrics:
        optimum = [of_numbers(mean_interval, group.metric("optimal_accuracy")[:, -1]) for group in groups]
        scale.line(panel, [each.mean for each in optimum], label="optimum", **OPTIMUM)
        numbers.append(pd.DataFrame(optimum).assign(metric="optimal_accuracy", **{axis: _labels(axis, groups)}))
    chance = [1 / group.config.task.num_nodes for group in groups]
    panel.plot(scale.places, chance, color="grey", linestyle=":", linewidth=1, label="chance 1/K")
    panel.set(ylabel=name.replace("_", " "), ylim=(0, 1.03))
    return numbers


def _draw_shares(panel: Axes, scale: "Scale", axis: str, groups: Sequence[Group]) -> list[pd.DataFrame]:
    """The shares of seeds that succeed, with their intervals."""
    numbers = []
    for i, metric in enumerate(metric for metric in SUCCESS if metric in groups[0].run.metrics):
        table = pd.DataFrame([of_numbers(rate_interval, group.metric(metric)[:, -1]) for group in groups])
        colour = COLOURS[1 + i]
        panel.vlines(scale.places + (i - 0.5) * scale.aside, table["low"], table["high"], color=colour, linewidth=1)
        scale.line(panel, table["mean"], (i - 0.5), color=colour, marker="os"[i], label=SUCCESS[metric], linewidth=1)
        numbers.append(table.assign(metric=metric, **{axis: _labels(axis, groups)}))
    panel.set(ylabel="share of seeds", ylim=(-0.03, 1.03))
    return numbers


def _labels(axis: str, groups: Sequence[Group]) -> np.ndarray:
    """The labels of groups on an axis: numbers, or names of arms."""
    labels = [group.labels[axis] for group in groups]
    return np.array(labels, object if isinstance(labels[0], str) else float)


class Scale(NamedTuple):
    """Where labels of an axis lie along x.

    Attributes:
      places: their places.
      aside: how far points that coincide are moved apart: little beside the distance of two labels, and of the ends.
      name: what is said of the scale behind the name of the axis.
      ticks: what is written at them.
      parts: slices of labels that a line may join: what is exactly 0 or 1 is no limit of what is near it.
    """

    places: np.ndarray
    aside: float
    name: str
    ticks: list[str]
    parts: list[slice]

    @classmethod
    def of(cls, axis: str, x: np.ndarray) -> "Scale":
        """The scale of increasing labels: p by its logit where it comes close to 0 or 1, others by their logarithm.

        Names of arms stand side by side, and no line joins them.
        """
        if x.dtype == object:
            return cls(np.arange(len(x)), 0.15, "", list(x), [slice(i, i + 1) for i in range(len(x))])
        finite = np.isfinite(x)
        inner = (x > 0) & (x < 1) if axis == "p" else finite
        places, name = x.astype(float), ""
        if axis == "p" and inner.any() and (x[inner].min() < 0.02 or x[inner].max() > 0.98):
            places[inner] = np.log(x[inner] / (1 - x[inner]))
            name, edge = ", by its logit", np.abs(places[inner]).max() + 2
            places[~inner] = np.where(x[~inner] == 0, -edge, edge)
        elif axis != "p" and finite.any() and x[finite].min() > 0 and x[finite].max() / x[finite].min() > 20:
            places[finite], name = np.log(x[finite]), ", logarithmic"
        gaps = np.diff(places[finite])
        gap = float(gaps.min()) if len(gaps) else 1.0
        if not finite.all():  # beyond the last number
            places[~finite] = (places[finite].max() if finite.any() else 0.0) + (
                float(gaps.max()) if len(gaps) else 1.0
            )
        aside = min(0.15 * gap, 0.006 * (float(np.ptp(places)) or 1.0))
        cuts = [0, *(i + 1 for i in range(len(x) - 1) if not (inner[i] and inner[i + 1])), len(x)]
        return cls(places, aside, name, [label(float(value)) for value in x], list(map(slice, cuts[:-1], cuts[1:])))

    def line(self, panel: Axes, y: Sequence[float] | pd.Series, shift: float = 0.0, **style: Any) -> None:
        """A line through the points, not across what is no limit."""
        heights = np.asarray(y)
        longest = max(self.parts, key=lambda part: part.stop - part.start)
        for part in self.parts:
            own: dict[str, Any] = dict(style) if part == longest else style | {"label": None}
            if part.stop - part.start == 1:
                own.setdefault("marker", "_")
            panel.plot(self.places[part] + shift * self.aside, heights[part], **own)

    def mark(self, panel: Axes) -> None:
        """Ticks at the labels, those that would touch left out."""
        width = (self.places.max() - self.places.min()) or 1.0
        kept: list[int] = []
        middle = (len(self.places) - 1) / 2
        for i in sorted(range(len(self.places)), key=lambda i: (0 < i < 2 * middle, abs(i - middle))):
            if all(abs(self.places[i] - self.places[j]) > width / 30 for j in kept):
                kept.append(i)
        panel.set_xticks(self.places[kept], [self.ticks[i] for i in kept], rotation=90, fontsize=7)


@styled()
def success_over(run: Run, x: str, y: str, **labels: Scalar) -> Picture:
    """The share of seeds that succeed after the last step over two axes, each cell on its own; without it the accuracy.

    Where runs differ in further axes, four of their settings are drawn, evenly spaced.

    Raises:
      RunError: if an axis is not one of the grid.
    """
    known = [axis for axis in checked_run(run).grid.axes if axis != "seed"]
    for axis, other in ((x, y), (y, x)):
        if axis not in known or axis == other:
            raise RunError(f"axis is {shown(axis)}, but must be another one of the grid: {', '.join(known)}.")
    groups = run.groups(over="seed", **labels)
    measures: dict[str, Any] = {
        metric: (words, rate_interval) for metric, words in SUCCESS.items() if metric in run.metrics
    }
    if not measures:
        measures[accuracy_of(run)] = (accuracy_of(run).replace("_", " "), mean_interval)
    columns = [axis for axis in differing(groups) if axis not in (x, y) and not _is_paired(run, axis, x, y)]
    settings: dict[tuple, list[Group]] = {}
    for group in groups:
        settings.setdefault(tuple(group.labels[axis] for axis in columns), []).append(group)
    keys = [
        list(settings)[i] for i in sorted({round(i) for i in np.linspace(0, len(settings) - 1, min(len(settings), 4))})
    ]
    xs, ys = (_in_order(axis, groups) for axis in (x, y))
    size = (0.9 + len(measures) * min(0.45 * len(xs) + 1.2, 4.6), 1.3 + len(keys) * min(0.28 * len(ys) + 0.8, 3.2))
    figure, numbers = Figure(figsize=(max(size[0], 4.0), size[1]), layout="constrained"), []
    panels = figure.subplots(len(keys), len(measures), squeeze=False)
    for row, key in zip(panels, keys, strict=True):
        for panel, (metric, (words, estimate)) in zip(row, measures.items(), strict=True):
            values = np.full((len(ys), len(xs)), np.nan)
            for group in settings[key]:
                found = of_numbers(estimate, group.metric(metric)[:, -1])
                values[ys.index(group.labels[y]), xs.index(group.labels[x])] = found.mean
                numbers.append({"metric": metric, **group.labels, **found._asdict()})
            image = show_map(panel, values, [label(each) for each in xs], [label(each) for each in ys])
            if len(xs) <= 12:
                for (row_number, column_number), value in np.ndenumerate(values):
                    colour = "black" if value > 0.5 else "white"
                    panel.text(
                        column_number, row_number, f"{value:.2f}", color=colour, fontsize=6, ha="center", va="center"
                    )
            named = ", ".join(f"{symbol(axis)} = {label(each)}" for axis, each in zip(columns, key, strict=True))
            panel.set(xlabel=symbol(x), ylabel=symbol(y), title="\n".join(filter(None, (named, words))))
    set_letters(panels.flat)
    of_success = set(measures) <= set(SUCCESS)
    figure.colorbar(image, ax=panels, label="share of seeds" if of_success else "accuracy", shrink=0.8)
    seen, ending = ("How many seeds succeed", "shares") if of_success else ("How far seeds come", "means")
    set_title(figure, f"{seen} over {symbol(x)} and {symbol(y)}", groups, f"{ending} of {{seeds}}")
    return figure, pd.DataFrame(numbers)


def _in_order(axis: str, groups: Sequence[Group]) -> list[Scalar]:
    """The labels of groups on an axis, each once: those of arms in the order of the grid, others sorted."""
    labels = list(dict.fromkeys(group.labels[axis] for group in groups))
    return labels if axis == ARM else sorted(labels)


def _is_paired(run: Run, axis: str, *others: str) -> bool:
    paired = [set(dimension.axes) for dimension in run.grid.dimensions if not dimension.is_list]
    return any(axis in axes and set(others) & axes for axes in paired)


def _along(run: Run, axis: str, labels: dict[str, Scalar]) -> list[Group]:
    """The groups over seeds along an axis, numbers in increasing order. Raises: as success_against."""
    if axis not in checked_run(run).grid.axes:
        raise RunError(f"axis is {shown(axis)}, but must be one of the grid: {', '.join(run.grid.axes)}.")
    groups = run.groups(over="seed", **labels)
    if axis != ARM:
        groups = sorted(groups, key=lambda group: group.labels[axis])
    for other in groups[0].labels:
        if other != axis and not _is_paired(run, other, axis) and len({group.labels[other] for group in groups}) > 1:
            raise RunError(f"{other} is not given, but the runs differ in it; give one of its labels.")
    return groups
