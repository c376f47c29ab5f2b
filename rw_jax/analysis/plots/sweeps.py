"""The figures of any sweep."""

import functools
import numbers as python_numbers
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rw_jax.analysis.measures import direction
from rw_jax.analysis.numbers import label
from rw_jax.analysis.plots.drawing import (
    COLOURS,
    OPTIMUM,
    ZOOM,
    Picture,
    band,
    bars,
    differing,
    drawn,
    estimate_columns,
    legend_below,
    line_styles,
    names_of,
    rendered,
    set_letters,
    set_title,
    shares,
    show_map,
    show_matrix,
    styled,
    told,
    write_rendered,
)
from rw_jax.analysis.run import Group, Run, checked_run
from rw_jax.analysis.statistics import mean_interval, of_numbers, rate_interval
from rw_jax.study.config import symbol
from rw_jax.study.errors import RunError
from rw_jax.study.fields import Scalar, shown
from rw_jax.study.grid import Cell


class Written(NamedTuple):
    """What has come of the figures of a sweep.

    Attributes:
      paths: the files that are written.
      failed: by the name of a figure, why it could not be drawn.
    """

    paths: list[Path]
    failed: dict[str, Exception]


def write_figures(run: Run, folder: Path) -> Written:
    """All figures of a sweep; one that cannot be drawn is left out.

    Raises:
      OSError: naming the file, if one cannot be written.
    """
    written, axes, groups = Written([], {}), varied(run), run.groups()
    figures: dict[str, Callable[[], Picture]] = {}
    has_accuracy = _accuracy(run) in run.metrics
    has_success = any(metric in run.metrics for metric in SUCCESS)
    if axes == [main_axis(run)] and (has_success or has_accuracy):
        figures[f"success_against_{axes[0]}"] = functools.partial(success_against, run, axes[0])
    if len(axes) > 1 and (has_success or has_accuracy):
        figures[f"success_over_{axes[0]}_and_{axes[1]}"] = functools.partial(success_over, run, axes[0], axes[1])
    if has_accuracy or "parent_attention" in run.metrics:
        figures["curves"] = functools.partial(curves, run)
    # The units of a feed-forward layer come in any order.
    has_units = any(group.config.model.feed_forward_width for group in groups)
    if any(str(name).startswith("value_") for name in run.metrics) and not has_units:
        figures["value_matrices"] = functools.partial(value_matrices, run)
    if {"parent_attention", "parent_is_highest"} & set(run.metrics):
        figures["attention"] = functools.partial(attention, run)
    for name, draw in figures.items():
        try:
            contents = rendered(*draw())
        except Exception as error:  # the numbers of a finished training are not to wait for a picture
            written.failed[name] = error
        else:
            written.paths.extend(write_rendered(contents, folder / name))
    return written


def varied(run: Run) -> list[str]:
    """The axes other than the seed along which a run has several labels, one of those that are paired.

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
    """The axis that figures have along x: p, or else the first with numbers other than the seed; None if there is none.

    It has more than one label, each once.
    """
    is_list = any(dimension.is_list for dimension in checked_run(run).grid.dimensions)
    axes = {
        axis: labels
        for axis, labels in run.config.grid
        if axis != "seed" and len(set(labels)) > 1 and (is_list or len(set(labels)) == len(labels))
    }
    numeric = [axis for axis, labels in axes.items() if isinstance(labels[0], python_numbers.Real)]
    return "p" if "p" in numeric else next(iter(numeric), None)


def _accuracy(run: Run) -> str:
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
    scale, numbers = _Scale.of(axis, _labels(axis, groups)), list[pd.DataFrame]()
    has_accuracy, notions = _accuracy(run) in run.metrics, [metric for metric in SUCCESS if metric in run.metrics]
    if not (has_accuracy or notions):
        known = ", ".join(("expected_accuracy", "accuracy", *SUCCESS))
        raise RunError(f"There is nothing to draw: none of {known} is a metric of the run.")
    count = has_accuracy + bool(notions)
    figure = Figure(figsize=(3.5 * count if count > 1 else 4.0, 3.3), layout="constrained")
    panels = figure.subplots(1, count, squeeze=False)[0]
    told: list[str] = []
    if has_accuracy:
        numbers += _draw_seeds(panels[0], scale, axis, groups)
        told.append("each of {seeds}")
    if notions:
        numbers += _draw_shares(panels[-1], scale, axis, groups)
        told.append("share of seeds with its 95% interval")
    for panel in panels:
        scale.mark(panel)
        panel.set_xlabel(f"{symbol(axis)}{scale.name}")
    legend_below(figure, *panels)
    set_letters(panels)
    seen = ["how far single seeds come"] * has_accuracy + ["how many succeed"] * bool(notions)
    ending = f"A: {told[0]}; B: {told[1]}" if count > 1 else told[0]
    diverged = sum(int(np.isfinite(run.metrics["diverged_at"].values.ravel()[group.numbers]).sum()) for group in groups)
    title = f"{', and '.join(seen)}, against {symbol(axis)}"
    set_title(figure, f"{title[0].upper()}{title[1:]}", groups,
              ending + (f"; {diverged} runs that diverged are left out" if diverged else ""))  # fmt: skip
    return figure, pd.concat(numbers, ignore_index=True)


def _draw_seeds(panel: Axes, scale: "_Scale", axis: str, groups: Sequence[Group]) -> list[pd.DataFrame]:
    """The accuracy of every seed, and the optimum."""
    run, numbers = groups[0].run, []
    name = _accuracy(run)
    rng = np.random.default_rng(0)  # points that coincide are moved apart
    for place, group in zip(scale.places, groups, strict=True):
        reached = group.metric(name)[:, -1]
        aside = rng.uniform(-1, 1, len(reached)) * scale.aside
        panel.plot(place + aside, reached, ".", color=COLOURS[0], markersize=2.5, alpha=0.5)
        seeds = [cell.labels.get("seed", group.config.seed) for cell in group.cells]
        numbers.append(pd.DataFrame({"metric": name, axis: group.config.value(axis), "seed": seeds, "mean": reached}))
    panel.plot([], [], ".", color=COLOURS[0], label="a seed")
    if "optimal_accuracy" in run.metrics:
        optimum = [of_numbers(mean_interval, group.metric("optimal_accuracy")[:, -1]) for group in groups]
        scale.line(panel, [each.mean for each in optimum], label="optimum", **OPTIMUM)
        numbers.append(pd.DataFrame(optimum).assign(metric="optimal_accuracy", **{axis: _labels(axis, groups)}))
    chance = [1 / group.config.task.num_nodes for group in groups]
    panel.plot(scale.places, chance, color="grey", linestyle=":", linewidth=1, label="chance 1/K")
    panel.set(ylabel=name.replace("_", " "), ylim=(0, 1.03))
    return numbers


def _draw_shares(panel: Axes, scale: "_Scale", axis: str, groups: Sequence[Group]) -> list[pd.DataFrame]:
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
    return np.array([group.config.value(axis) for group in groups], float)


class _Scale(NamedTuple):
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
    def of(cls, axis: str, x: np.ndarray) -> "_Scale":
        """The scale of increasing labels: p by its logit where it comes close to 0 or 1, others by their logarithm."""
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
        measures[_accuracy(run)] = (_accuracy(run).replace("_", " "), mean_interval)
    columns = [axis for axis in differing(groups) if axis not in (x, y) and not _is_paired(run, axis, x, y)]
    settings: dict[tuple, list[Group]] = {}
    for group in groups:
        settings.setdefault(tuple(group.labels[axis] for axis in columns), []).append(group)
    keys = [
        list(settings)[i] for i in sorted({round(i) for i in np.linspace(0, len(settings) - 1, min(len(settings), 4))})
    ]
    xs, ys = (list(dict.fromkeys(sorted(group.labels[axis] for group in groups))) for axis in (x, y))
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


def _is_paired(run: Run, axis: str, *others: str) -> bool:
    paired = [set(dimension.axes) for dimension in run.grid.dimensions if not dimension.is_list]
    return any(axis in axes and set(others) & axes for axes in paired)


def _along(run: Run, axis: str, labels: dict[str, Scalar]) -> list[Group]:
    """The groups over seeds along an axis of numbers, in increasing order. Raises: as success_against."""
    if axis not in checked_run(run).grid.axes:
        raise RunError(f"axis is {shown(axis)}, but must be one of the grid: {', '.join(run.grid.axes)}.")
    groups = sorted(run.groups(over="seed", **labels), key=lambda group: group.config.value(axis))
    for other in groups[0].labels:
        if other != axis and not _is_paired(run, other, axis) and len({group.labels[other] for group in groups}) > 1:
            raise RunError(f"{other} is not given, but the runs differ in it; give one of its labels.")
    return groups


@styled()
def curves(run: Run, **labels: Scalar) -> Picture:
    """Accuracy, and mean attention on the direct parent of a model that has attention, against the step.

    Beside the means there are single seeds that do not predict optimally in the end, at most five of a setting.
    """
    groups, numbers = drawn(run, **labels), []
    accuracy = _accuracy(run)
    shown_names = [name for name in (accuracy, "parent_attention") if name in run.metrics]
    if not shown_names:
        raise RunError(
            "There are no curves to draw: none of expected_accuracy, accuracy, parent_attention is a metric of the run."
        )
    names = [*shown_names, *({"optimal_accuracy"} & set(run.metrics) if accuracy in shown_names else ())]
    figure = Figure(figsize=(3.5 * len(shown_names), 3.3), layout="constrained")
    panels = dict(zip(shown_names, figure.subplots(1, len(shown_names), squeeze=False)[0], strict=True))
    columns, failed = differing(groups), False
    for group, name_of_line, style in zip(groups, names_of(groups), line_styles(groups), strict=True):
        steps = group.steps
        tables = {name: estimate_columns(group.metric(name)) for name in names}
        style["marker"] = None
        for name, panel in panels.items():
            band(panel, steps, tables[name], **style, label=name_of_line or "mean over seeds")
            for row in _not_optimal(group)[:5] if len(group) > 1 else []:
                failed = True
                panel.plot(steps, group.metric(name)[row], color=style["color"], linewidth=0.5, linestyle=":")
                seed = group.cells[row].labels.get("seed")
                numbers.append(pd.DataFrame({"mean": group.metric(name)[row], "seed": seed, "metric": name,
                                             **told(group, columns), "step": steps}))  # fmt: skip
        if "optimal_accuracy" in tables:
            panels[accuracy].plot(steps, tables["optimal_accuracy"]["mean"], **OPTIMUM)
        numbers += [table.assign(metric=name, **told(group, columns), step=steps) for name, table in tables.items()]
    if "optimal_accuracy" in names:
        panels[accuracy].plot([], [], label="optimum", **OPTIMUM)
    if failed:
        panels[shown_names[0]].plot([], [], ":", color="grey", linewidth=0.8, label="a seed that is not optimal")
    labels_of = {accuracy: accuracy.replace("_", " "), "parent_attention": "attention on the direct parent"}
    for name, panel in panels.items():
        panel.set(xlabel="gradient steps", ylabel=labels_of[name], ylim=(-0.03, 1.03))
        last = max(group.config.training.steps for group in groups)
        if last > 20:  # the first ten steps are where most happens
            panel.set_xscale("symlog", linthresh=10, linscale=1.5)
            panel.set_xlim(-0.3, last)
            panel.set_xlabel("gradient steps, logarithmic from 10 on")
            ticks = [0, 2, 4, 6, 8, 10, *(10 * 10**i * factor for i in range(8) for factor in (2, 5, 10))]
            panel.set_xticks([tick for tick in ticks if tick <= last], minor=False)
            panel.set_xticks([], minor=True)
            panel.xaxis.set_major_formatter("{x:g}")
        else:
            panel.locator_params("x", integer=True)
    set_letters(panels.values())
    legend_below(figure, panels[shown_names[0]])
    seen = " and ".join(dict.fromkeys(labels_of[name] for name in shown_names))
    ending = "means and 95% intervals over {seeds}"
    if failed:
        ending += "; of seeds that are not optimal, five of a setting at most"
    set_title(figure, f"{seen[0].upper()}{seen[1:]} during training", groups, ending)
    return figure, pd.concat(numbers, ignore_index=True)


def _not_optimal(group: Group) -> np.ndarray:
    """The rows of the runs of a group that do not predict optimally in the end; none where it is not known."""
    if "predicts_optimally" not in group.run.metrics:
        return np.zeros(0, int)
    return np.flatnonzero(group.metric("predicts_optimally")[:, -1] != 1)  # NaN of one that has diverged


@styled()
def value_matrices(run: Run, **labels: Scalar) -> Picture:
    """The value matrix of single seeds after the last step above Pi^T and its elementwise square root.

    The first seed that predicts optimally, and the first that does not, where there are such; the first of all where it
    is not known. All are at unit Frobenius norm; one without a direction, being zero or not finite, is left blank.
    """
    groups, numbers = drawn(run, **labels), []
    columns, counts = differing(groups), []
    rows: dict[str, list[np.ndarray | None]] = {}
    for place, group in enumerate(groups):
        matrices, seeds = _value_matrices_of(group)
        counts.append(f"{len(group) - len(_not_optimal(group))} of {len(group)} optimal")
        for name, matrix in matrices.items():
            rows.setdefault(name, [None] * len(groups))[place] = matrix
        size = next(iter(matrices.values())).shape
        following, now = np.indices(size).reshape(2, -1)
        flat = {name: matrix.ravel() for name, matrix in matrices.items()}
        numbers.append(pd.DataFrame({**flat, **seeds, **told(group, columns), "next": following, "now": now}))
    order = [name for name in _ROWS if name in rows]
    size = (max(1.45 * len(groups) + 1.4, 4.2), max(1.4 * len(order) + 1.1, 2.8))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(order), len(groups), squeeze=False)
    entries = np.concatenate([matrix.ravel() for each in rows.values() for matrix in each if matrix is not None])
    finite = entries[np.isfinite(entries)]
    limits = {"vmin": min(0.0, finite.min(initial=0.0)), "vmax": finite.max(initial=1e-9)}
    image: Any = None
    for name, line in zip(order, panels, strict=True):
        for matrix, panel in zip(rows[name], line, strict=True):
            if matrix is None:
                panel.set_axis_off()
                panel.text(0.5, 0.5, "none", ha="center", transform=panel.transAxes)
                continue
            image = show_matrix(panel, matrix, **limits)
        line[0].set_ylabel(f"{_ROWS[name]}\n\nnext state", visible=True)
    known = "predicts_optimally" in run.metrics
    for name, count, column in zip(names_of(groups), counts, panels.T, strict=True):
        column[0].set_title("\n".join(filter(None, (name, count if known else ""))), visible=True)
        column[-1].set_xlabel("state now")
    figure.colorbar(image, ax=panels, shrink=0.6, label="entry at unit norm")
    set_title(figure, "What single seeds have learned: the value matrix V", groups,
              "V of the first seed of each kind, of {seeds}; each matrix at unit norm")  # fmt: skip
    return figure, pd.concat(numbers, ignore_index=True)


_ROWS = {
    "optimal": "V of a seed\nthat is optimal",
    "not_optimal": "V of a seed\nthat is not",
    "first": "V of the\nfirst seed",
    "transition": r"$\Pi^{\sf T}$",
    "sqrt_transition": "square root\n" + r"of $\Pi^{\sf T}$",
}


def _value_matrices_of(group: Group) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The matrices of a group that are shown, at unit norm, and the seeds whose V they are."""
    wrong = set(_not_optimal(group).tolist())
    right = [row for row in range(len(group)) if row not in wrong]
    if "predicts_optimally" not in group.run.metrics:
        shown_rows = {"first": 0}
    else:
        shown_rows = {
            name: next(iter(rows)) for name, rows in (("optimal", right), ("not_optimal", sorted(wrong))) if rows
        }
    cells: dict[str, Cell] = {name: group.cells[row] for name, row in shown_rows.items()}
    last = group.config.training.steps
    matrices = {name: direction(group.run.value_matrix(step=last, **cell.labels)) for name, cell in cells.items()}
    seeds = {f"seed_{name}": cell.labels.get("seed", cell.config.seed) for name, cell in cells.items()}
    transition_KxK = group.run.target_law(**group.cells[0].labels)
    if transition_KxK is not None:
        exact = transition_KxK.T
        matrices |= {"transition": direction(exact), "sqrt_transition": direction(np.sqrt(exact))}
    return matrices, seeds


@styled()
def attention(run: Run, **labels: Scalar) -> Picture:
    """Mean attention of every slot after the last step, of single seeds, and the share of seeds that attend most to it.

    At most thirty seeds of a setting are drawn; the share is of all.
    """
    groups, numbers = drawn(run, **labels), []
    figure = Figure(figsize=(7.0, 3.3), layout="constrained")
    whole, zoom = figure.subplots(1, 2, width_ratios=(1, 1.2))
    longest, columns, lowest = 0, differing(groups), 1.0
    dodges = np.linspace(-0.25, 0.25, len(groups)) if len(groups) > 1 else [0.0]
    for group, name, style, dodge in zip(groups, names_of(groups), line_styles(groups), dodges, strict=True):
        weights = np.stack([run.mean_attention(step=None, **cell.labels) for cell in group.cells])
        length = weights.shape[1]
        longest, slots = max(longest, length), np.arange(1, length + 1)
        lowest = min(lowest, 1 / max(length - 1, 1))
        for seed_weights in weights[:30]:
            whole.plot(slots, seed_weights, color=style["color"], linewidth=0.6, alpha=0.4)
        is_highest = weights == np.nanmax(weights, axis=1, keepdims=True, initial=-1.0)
        is_highest &= is_highest.sum(axis=1, keepdims=True) == 1  # of equal weights none is the highest
        highest = shares(np.where(np.isnan(weights).any(axis=1, keepdims=True), np.nan, is_highest))
        last = min(ZOOM - 1, length)
        earlier = shares(np.where(np.isnan(weights).any(axis=1), np.nan, is_highest[:, :-last].any(axis=1))[:, None])
        table = pd.concat([earlier, highest.tail(last)], ignore_index=True)
        points = {"color": style["color"], "marker": style["marker"], "label": name or "share of seeds"}
        bars(zoom, np.arange(-last, 1) + dodge, table, **points)
        numbers.append(
            estimate_columns(weights).assign(
                **told(group, columns), slot=slots, highest=highest["mean"], highest_low=highest["low"],
                highest_high=highest["high"],
            )
        )  # fmt: skip
    whole.axhline(lowest, color="black", linestyle="--", linewidth=0.8)
    whole.annotate("1/(N − 1)", (1, lowest), (2, 3), textcoords="offset points", fontsize=7)
    whole.set(xlabel="slot", ylabel="mean attention weight, each seed", yscale="log", ylim=(lowest / 100, 1.5))
    names = {-1: "N−1\nparent", 0: "N\nempty", 1 - ZOOM: "earlier"}
    words = [names.get(place, f"N−{-place}\n") for place in range(1 - ZOOM, 1)]
    zoom.set_xticks(range(1 - ZOOM, 1), words, fontsize=7)
    zoom.set(xlabel="slot with the highest weight", ylabel="share of seeds", ylim=(-0.03, 1.03))
    set_letters((whole, zoom))
    legend_below(figure, zoom)
    each = "each of the first 30 of {seeds}" if max(map(len, groups)) > 30 else "each of {seeds}"
    set_title(figure, "Where attention has gone after the last step", groups,
              f"A: {each}; B: shares, 95% intervals; equal weights not counted")  # fmt: skip
    return figure, pd.concat(numbers, ignore_index=True)


@styled()
def attention_maps(run: Run, *, step: int | None = None, **labels: Scalar) -> Picture:
    """Attention of every slot of a decoder to every slot, mean over the test walks of one run: a map for each head.

    Raises:
      RunError: as `Run.attention_maps`.
    """
    maps = checked_run(run).attention_maps(None, step=step, **labels).mean(axis=0)
    num_layers, num_heads, num_slots = maps.shape[:3]
    figure = Figure(figsize=(0.9 + 2.2 * num_heads, 0.8 + 2.1 * num_layers), layout="constrained")
    panels, slots = figure.subplots(num_layers, num_heads, squeeze=False), [str(i + 1) for i in range(num_slots)]
    for (layer, head), panel in np.ndenumerate(panels):
        image = show_map(panel, maps[layer, head], slots, slots)
        panel.set(xlabel="slot looked at", ylabel="slot that looks")
        panel.set_title(f"layer {layer}, head {head}", fontsize=8)
    figure.colorbar(image, ax=panels, label="attention weight", shrink=0.8)
    told = ", ".join(f"{symbol(axis)} = {label(each)}" for axis, each in run.cell(**labels).labels.items())
    figure.suptitle(f"Which slot each head looks at{f', {told}' if told else ''}", fontsize=9)
    layers, heads, looks, at = np.indices(maps.shape)
    names = {"layer": layers, "head": heads, "slot": looks + 1, "looks_at": at + 1, "weight": maps}
    return figure, pd.DataFrame({name: array.ravel() for name, array in names.items()})
