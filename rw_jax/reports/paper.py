"""The figures of the paper, over all seeds of a run. What each is to show is in reproduction.py."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rw_jax.analysis.plots.drawing import (
    COLOURS,
    OPTIMUM,
    STYLE,
    Picture,
    as_matrix,
    band,
    bars,
    direction,
    estimate_columns,
    label_slots,
    label_text,
    legend_below,
    line_styles,
    runs_by_p,
    set_title,
    show_attention,
    show_matrix,
    unit_value_matrices,
)
from rw_jax.analysis.run_dir import Run, metric_of
from rw_jax.analysis.statistics import first_step, median_interval, rate_interval
from rw_jax.study.config import Scalar
from rw_jax.study.grid import Cell, recorded_steps
from rw_jax.training.train import transition_to_compare

LEARNED = 0.95
"""A run has learned at the first recorded step at which its expected accuracy is this share of the optimum."""

_STEPS = "gradient descent steps"


def steps_to_learn(run: Run, cells: list[Cell]) -> np.ndarray:
    """When runs that differ in their seed alone have learned, float[runs]; infinite if they never do."""
    expected, optimum = (metric_of(run, name, cells) for name in ("expected_accuracy", "optimal_accuracy"))
    return first_step(expected >= LEARNED * optimum, np.array(recorded_steps(cells[0].config)))


def loss_is_undefined(run: Run, cells: list[Cell]) -> np.ndarray:
    """Whether the loss of each run is no number at the last step, as where f_y + epsilon < 0 in a walk, bool[runs]."""
    return ~np.isfinite(metric_of(run, "train_loss", cells)[:, -1])


@mpl.rc_context(STYLE)
def transition_matrices(run: Run) -> Picture:
    """Figure 2: Pi for each p above the share of transitions in the test walks."""
    by_p, numbers = runs_by_p(run, {}), []
    figure = Figure(figsize=(1.5 * len(by_p) + 1.4, 3.6), layout="constrained")
    panels = figure.subplots(2, len(by_p), squeeze=False)
    for (p, cells), column in zip(by_p.items(), panels.T, strict=True):
        exact = np.asarray(transition_to_compare(cells[0].config, p))
        counted = estimate_columns(np.stack([transition_shares(run, cell).ravel() for cell in cells]))
        for matrix, panel in zip((exact, counted["mean"].to_numpy().reshape(exact.shape)), column, strict=True):
            image = show_matrix(panel, matrix, vmin=0, vmax=1)
            panel.label_outer()
        column[0].set_title(f"p = {label_text(p)}")
        column[-1].set_xlabel("next state")
        now, following = np.indices(exact.shape).reshape(2, -1)
        numbers.append(counted.assign(p=p, now=now, next=following, transition=exact.ravel()))
    for panel, name in zip(panels[:, 0], (r"$\Pi$", "test walks"), strict=True):
        panel.set_ylabel(f"{name}\nstate now")
    figure.colorbar(image, ax=panels, shrink=0.8, label="probability, share of the transitions")
    set_title(figure, run, by_p, "shares are means over {seeds}")
    return figure, pd.concat(numbers, ignore_index=True)


def transition_shares(run: Run, cell: Cell) -> np.ndarray:
    """The share of each next state among the transitions of a run's test walks from each state, float[K, K]."""
    tokens, targets = run.walks("test", **cell.labels)
    walks = np.concatenate([tokens, targets[:, None]], axis=1)
    counts = np.zeros((cell.config.task.num_nodes,) * 2)
    np.add.at(counts, (walks[:, :-1], walks[:, 1:]), 1)
    return counts / counts.sum(axis=1, keepdims=True)


@mpl.rc_context(STYLE)
def walk_learning(run: Run) -> Picture:
    """Figures 4, 5, 8 and 9: accuracy against the step, V beside Pi^T, mean attention against the slot and its zoom."""
    by_p = runs_by_p(run, {})
    ((p, cells),) = by_p.items()
    steps, last = recorded_steps(cells[0].config), cells[0].config.training.steps
    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    panels = figure.subplot_mosaic([["accuracy", "V", "transition"], ["whole", "zoom", "zoom"]])
    style = {"color": COLOURS[0], "marker": None, "linewidth": 1.2}

    accuracy, optimum = (estimate_columns(metric_of(run, name, cells)) for name in ("accuracy", "optimal_accuracy"))
    band(panels["accuracy"], steps, accuracy, **style, label="accuracy")
    panels["accuracy"].plot(steps, optimum["mean"], label="optimum", **OPTIMUM)
    panels["accuracy"].set(xlabel=_STEPS, ylabel="accuracy", ylim=(0, 1.03))

    value = unit_value_matrices(run, cells, last)
    transition = direction(np.asarray(transition_to_compare(cells[0].config, p)).T)
    learned = as_matrix(value, "mean")
    limits = {"vmin": min(0.0, learned.min()), "vmax": max(learned.max(), transition.max())}
    for name, matrix, title in (("V", learned, "$V$"), ("transition", transition, r"$\Pi^{\sf T}$")):
        image = show_matrix(panels[name], matrix, **limits)
        panels[name].set(xlabel="state now", ylabel="next state", title=f"{title} at unit norm")
    figure.colorbar(image, ax=panels["transition"], shrink=0.8)

    weights = estimate_columns(np.stack([run.mean_attention(step=last, **cell.labels) for cell in cells]))
    show_attention(panels["whole"], panels["zoom"], weights, 0.0, {**style, "marker": "o"})
    label_slots(panels["whole"], panels["zoom"], len(weights))
    top = min(1.03, 1.3 * weights["high"].max())  # equal weights of many tokens are small
    for name in ("whole", "zoom"):
        panels[name].set_ylim(-0.03 * top, top)

    highest = rate_interval(metric_of(run, "parent_is_highest", cells)[:, -1])
    legend_below(figure, panels["accuracy"])
    found = f"{highest.mean:.0%} [{highest.low:.0%}, {highest.high:.0%}]"
    ending = f"mean and 95% interval over {{seeds}}; attention is highest on the direct parent for {found} of them"
    set_title(figure, run, by_p, f"p = {label_text(p)}, {ending}")
    numbers = [
        accuracy.assign(metric="accuracy", step=steps),
        optimum.assign(metric="optimal_accuracy", step=steps),
        value.assign(metric="value", transition=transition.ravel()),
        weights.assign(metric="attention", slot=np.arange(1, len(weights) + 1)),
        pd.DataFrame([highest]).assign(metric="parent_is_highest", step=last),
    ]
    return figure, pd.concat(numbers, ignore_index=True)


@mpl.rc_context(STYLE)
def losses_and_rates(run: Run) -> Picture:
    """Figure 5 for each loss and learning rate: accuracy and attention spread against the step."""
    axes_of_grid, numbers = dict(run.config.grid), []
    losses, rates = axes_of_grid["loss"], axes_of_grid["learning_rate"]
    figure = Figure(figsize=(7.0, 3.9), layout="constrained")
    panels = figure.subplots(2, len(losses), sharex=True, sharey="row")
    drawn: dict[float, list[Cell]] = {}
    for loss, (accuracy_axes, spread_axes) in zip(losses, panels.T, strict=True):
        by_rate = {rate: _one(runs_by_p(run, {"loss": loss, "learning_rate": rate})) for rate in rates}
        for (rate, cells), style in zip(by_rate.items(), line_styles(by_rate), strict=True):
            steps = recorded_steps(cells[0].config)
            style["markevery"] = max(len(steps) // 5, 1)
            for name, axes in (("accuracy", accuracy_axes), ("attention_spread", spread_axes)):
                table = estimate_columns(metric_of(run, name, cells))
                band(axes, steps, table, **style, label=f"η = {label_text(rate)}")
                numbers.append(table.assign(metric=name, loss=loss, learning_rate=rate, step=steps))
            drawn[len(drawn)] = cells
        accuracy_axes.axhline(1 / run.config.task.num_nodes, **OPTIMUM, label="1/K")
        accuracy_axes.set(title=str(loss).replace("_", " "), ylim=(0, 1.03))
        spread_axes.set(xlabel=_STEPS, ylim=(-0.03, 1.03))
    panels[0, 0].set_ylabel("accuracy")
    panels[1, 0].set_ylabel("attention spread")
    legend_below(figure, panels[0, 0])
    set_title(figure, run, drawn)
    return figure, pd.concat(numbers, ignore_index=True)


@mpl.rc_context(STYLE)
def gaussian_start(run: Run) -> Picture:
    """Figure 6: accuracy, KL divergence, and the share of seeds that have learned, against the step, for each p.

    The KL divergence is the median over seeds; it is infinite, and not drawn, while most outputs have a negative entry.
    """
    by_p, numbers = runs_by_p(run, {}), []
    figure = Figure(figsize=(7.0, 3.1), layout="constrained")
    accuracy_axes, kl_axes, share_axes = figure.subplots(1, 3)
    for (p, cells), style in zip(by_p.items(), line_styles(by_p), strict=True):
        steps, when = np.array(recorded_steps(cells[0].config)), steps_to_learn(run, cells)
        style["markevery"] = max(len(steps) // 8, 1)
        tables = {
            "accuracy": estimate_columns(metric_of(run, "accuracy", cells)),
            "optimal_accuracy": estimate_columns(metric_of(run, "optimal_accuracy", cells)),
            "kl_divergence": _medians(metric_of(run, "kl_divergence", cells)),
            "share that has learned": pd.DataFrame([rate_interval(when <= step) for step in steps]),
        }
        band(accuracy_axes, steps, tables["accuracy"], **style, label=f"p = {label_text(p)}")
        accuracy_axes.plot(steps, tables["optimal_accuracy"]["mean"], **OPTIMUM)
        _median_line(kl_axes, steps, tables["kl_divergence"], style)
        band(share_axes, steps, tables["share that has learned"], **style)
        numbers += [table.assign(metric=name, p=p, step=steps) for name, table in tables.items()]
    accuracy_axes.lines[-1].set_label("optimum")
    accuracy_axes.set(xlabel=_STEPS, ylabel="accuracy", ylim=(0, 1.03))
    kl_axes.set(xlabel=_STEPS, ylabel="KL divergence (nats), median", ylim=(0, None))
    share_axes.set(xlabel=_STEPS, ylabel="share of seeds that have learned", ylim=(-0.03, 1.03))
    legend_below(figure, accuracy_axes)
    set_title(figure, run, by_p)
    return figure, pd.concat(numbers, ignore_index=True)


@mpl.rc_context(STYLE)
def value_snapshots(run: Run, p: float) -> Picture:
    """Figures 11 and 12: V at unit norm at the recorded steps, of the first seed and as the mean over all."""
    by_p, numbers = runs_by_p(run, {"p": p}), []
    cells, steps = _one(by_p), run.config.record.parameters
    figure = Figure(figsize=(1.5 * len(steps) + 1, 4.2), layout="constrained")
    panels = figure.subplots(2, len(steps))
    for step in steps:
        first = direction(run.value_matrix(step=step, **cells[0].labels)).ravel()
        numbers.append(unit_value_matrices(run, cells, step).assign(step=step, first=first))
    entries = np.concatenate([table[["first", "mean"]].to_numpy() for table in numbers])
    limits = {"vmin": min(0.0, np.nanmin(entries)), "vmax": np.nanmax(entries)}
    for table, step, column in zip(numbers, steps, panels.T, strict=True):
        for name, panel in zip(("first", "mean"), column, strict=True):
            image = show_matrix(panel, as_matrix(table, name), **limits)
            panel.label_outer()
        column[0].set_title(f"{step} steps")
        column[1].set_xlabel("state now")
    for panel, name in zip(panels[:, 0], (f"seed {cells[0].labels['seed']}", "mean"), strict=True):
        panel.set_ylabel(f"$V$, {name}\nnext state")
    figure.colorbar(image, ax=panels, shrink=0.7, label="entry of V at unit norm")
    set_title(figure, run, by_p, f"p = {label_text(p)}, V at unit norm, mean over {{seeds}}")
    return figure, pd.concat(numbers, ignore_index=True)


@mpl.rc_context(STYLE)
def token_snapshots(run: Run, p: float) -> Picture:
    """Figures 11 and 13: the averaged token X S at the recorded steps, of one walk, and its variance over walks."""
    by_p, numbers = runs_by_p(run, {"p": p}), []
    cells, steps = _one(by_p), run.config.record.parameters
    figure = Figure(figsize=(7.0, 3.8), layout="constrained")
    panels = figure.subplots(2, len(steps), sharey="row", sharex=True)
    states = np.arange(run.config.task.num_nodes)
    for step, (one_walk, variance) in zip(steps, panels.T, strict=True):
        averaged = [run.averaged_tokens(None, step=step, **cell.labels) for cell in cells]
        table = estimate_columns(np.stack([tokens_BxK.var(axis=0) for tokens_BxK in averaged]))
        table = table.assign(step=step, state=states, one_walk=averaged[0][0])
        one_walk.bar(states, table["one_walk"], color=COLOURS[5])
        one_walk.axhline(1 / len(states), **OPTIMUM, label="1/K")
        variance.bar(states, table["mean"], color=COLOURS[1])
        variance.vlines(states, table["low"].clip(1e-12), table["high"], color="black", linewidth=1)
        one_walk.set(title=f"{step} steps", xticks=states)
        variance.set(xlabel="state", yscale="log")
        numbers.append(table)
    panels[0, 0].set_ylabel(f"entry of X S, one walk\nof seed {cells[0].labels['seed']}")
    panels[1, 0].set_ylabel("variance over walks")
    legend_below(figure, panels[0, 0])
    set_title(figure, run, by_p, f"p = {label_text(p)}; variance: mean and 95% interval over {{seeds}}")
    return figure, pd.concat(numbers, ignore_index=True)


@mpl.rc_context(STYLE)
def readings(run: Run) -> Picture:
    """The steps that each seed takes to learn, for every reading of figure 6.

    Gradient descent on the sum of the losses of n walks is that on their mean with n eta: the axis of eta holds both.
    Each dot is a seed, a cross one whose loss is no number at the last step, each marker with a bar the median and its
    95% interval. Seeds that have not learned at the last step are above the line; the share that has stands on top.
    """
    grid, last = dict(run.config.grid), run.config.training.steps
    lengths, scales, rates = (grid[axis] for axis in ("unit_length", "init_scale", "learning_rate"))
    figure = Figure(figsize=(7.0, 6.6), layout="constrained")
    panels = figure.subplots(len(lengths), len(scales), sharex=True, sharey=True, squeeze=False)
    numbers: list[dict[str, Scalar]] = []
    drawn: dict[float, list[Cell]] = {}
    for panel, (unit_length, scale) in zip(panels.flat, itertools.product(lengths, scales), strict=True):
        for place, rate in enumerate(rates):
            labels = {"unit_length": unit_length, "init_scale": scale, "learning_rate": rate}
            by_p = runs_by_p(run, labels)
            sides = np.linspace(-0.22, 0.22, len(by_p))
            for (p, cells), side, style in zip(by_p.items(), sides, line_styles(by_p), strict=True):
                when, undefined = steps_to_learn(run, cells), loss_is_undefined(run, cells)
                _draw_times(panel, place + side, when, undefined, last, style)
                median, learns = median_interval(when), rate_interval(np.isfinite(when))
                text = f"{learns.mean:.0%}"
                panel.text(place + side, last * 1.27, text, ha="center", fontsize=5, color=style["color"])
                shares = {"learn": learns.mean, "learn_low": learns.low, "learn_high": learns.high}
                numbers.append({**labels, "p": p, **median._asdict(), **shares, "undefined_loss": int(undefined.sum())})
                drawn[len(drawn)] = cells
        panel.axhline(last, color="grey", linewidth=0.6)
        panel.set_xticks(range(len(rates)), [label_text(rate) for rate in rates])
        panel.set(ylim=(-0.03 * last, 1.38 * last), yticks=np.linspace(0, last, 5))
        panel.set_title(f"unit length: {unit_length}; start {label_text(scale)}")
    for panel in panels[-1]:
        panel.set_xlabel("learning rate η, mean loss")
    for panel in panels[:, 0]:
        panel.set_ylabel(f"steps to {LEARNED:.0%} of the optimum")
    for p, style in zip(by_p, line_styles(by_p), strict=True):
        panels[0, 0].plot([], [], color=style["color"], marker=style["marker"], linestyle="none", label=f"p = {p:g}")
    legend_below(figure, panels[0, 0])
    key = "dots: each of {seeds}, crosses where the loss is no number; above the line: never, and the share that learns"
    rates_of_sum = f"bars: median and 95% interval; a loss summed over walks has η / {run.config.task.walks}"
    set_title(figure, run, drawn, f"{key}\n{rates_of_sum}")
    return figure, pd.DataFrame(numbers)


@mpl.rc_context(STYLE)
def questions(run: Run) -> Picture:
    """Figures 7 and 10: accuracy and KL divergence, the latter as median over seeds, of both tasks against the step."""
    tasks, numbers = dict(run.config.grid)["task"], []
    figure = Figure(figsize=(7.0, 3.1), layout="constrained")
    accuracy_axes, kl_axes = figure.subplots(1, 2)
    drawn: dict[float, list[Cell]] = {}
    for number, (task, style) in enumerate(zip(tasks, line_styles(tasks), strict=True), start=1):
        drawn[number] = cells = _one(runs_by_p(run, {"task": task}))
        steps = recorded_steps(cells[0].config)
        style["markevery"] = max(len(steps) // 10, 1)
        accuracy = estimate_columns(metric_of(run, "accuracy", cells))
        divergence = _medians(metric_of(run, "kl_divergence", cells))
        band(accuracy_axes, steps, accuracy, **style, label=f"Task {number}, {task}")
        _median_line(kl_axes, np.array(steps), divergence, style)
        for name, table in (("accuracy", accuracy), ("kl_divergence", divergence)):
            numbers.append(table.assign(metric=name, task=task, step=steps))
    accuracy_axes.axhline(0.5, **OPTIMUM, label="1/2")
    accuracy_axes.set(xlabel=_STEPS, ylabel="accuracy", ylim=(0, 1.03))
    kl_axes.set(xlabel=_STEPS, ylabel="KL divergence (nats), median", ylim=(0, None))
    legend_below(figure, accuracy_axes)
    set_title(figure, run, drawn)
    return figure, pd.concat(numbers, ignore_index=True)


@mpl.rc_context(STYLE)
def question_readings(run: Run) -> Picture:
    """Accuracy of both tasks after the last step against the learning rate, for every reading of figure 10."""
    grid, numbers = dict(run.config.grid), []
    lengths, rates, tasks = (grid[axis] for axis in ("unit_length", "learning_rate", "task"))
    figure = Figure(figsize=(7.0, 3.0), layout="constrained")
    drawn: dict[float, list[Cell]] = {}
    for panel, length in zip(figure.subplots(1, len(lengths), sharey=True), lengths, strict=True):
        for number, (task, style) in enumerate(zip(tasks, line_styles(tasks), strict=True), start=1):
            by_rate = [
                _one(runs_by_p(run, {"unit_length": length, "learning_rate": rate, "task": task})) for rate in rates
            ]
            table = estimate_columns(np.stack([metric_of(run, "accuracy", cells)[:, -1] for cells in by_rate], axis=1))
            bars(panel, np.arange(len(rates)) + 0.1 * number - 0.15, table, **style, label=f"Task {number}, {task}")
            numbers.append(table.assign(unit_length=length, learning_rate=rates, task=task))
            drawn |= {len(drawn) + place: cells for place, cells in enumerate(by_rate)}
        panel.axhline(0.5, **OPTIMUM, label="1/2")
        panel.set_xticks(range(len(rates)), [label_text(rate) for rate in rates])
        panel.set(title=f"unit length: {length}", xlabel="η for the mean loss", ylim=(0, 1.03))
    figure.axes[0].set_ylabel("accuracy after the last step")
    legend_below(figure, figure.axes[0])
    set_title(figure, run, drawn)
    return figure, pd.concat(numbers, ignore_index=True)


class Curve(NamedTuple):
    """A curve of the overview: the runs of one p that have these labels."""

    run: Run
    labels: dict[str, Scalar]
    p: float
    name: str


@mpl.rc_context(STYLE)
def overview(panels: Mapping[str, Sequence[Curve]]) -> Picture:
    """Accuracy against the step for several figures of the paper, by title."""
    numbers = []
    figure = Figure(figsize=(7.6, 4.6), layout="constrained")
    for (title, drawn), axes in zip(panels.items(), figure.subplots(2, len(panels) // 2).flat, strict=True):
        for curve, style in zip(drawn, line_styles(drawn), strict=True):
            cells = runs_by_p(curve.run, curve.labels)[curve.p]
            steps = recorded_steps(cells[0].config)
            style["markevery"] = max(len(steps) // 6, 1)
            table, optimum = (estimate_columns(metric_of(curve.run, name, cells)) for name in _ACCURACIES)
            band(axes, steps, table, **style, label=f"{curve.name}, {len(cells)} seeds")
            axes.plot(steps, optimum["mean"], **OPTIMUM)
            numbers.append(table.assign(figure=title, curve=curve.name, step=steps, optimum=optimum["mean"]))
        axes.set(title=title, xlabel=_STEPS, ylabel="accuracy", ylim=(0, 1.03))
        axes.legend(loc="center left", bbox_to_anchor=(0.08, 0.76))  # where no curve of the paper's figures runs
    figure.suptitle("accuracy: mean and 95% interval over seeds; dashed: optimum")
    return figure, pd.concat(numbers, ignore_index=True)


_ACCURACIES = ("accuracy", "optimal_accuracy")


def _draw_times(
    panel: Axes, x: float, when: np.ndarray, undefined: np.ndarray, last: int, style: dict[str, Any]
) -> None:
    """The steps of all seeds around x, and their median with its interval as far as it is finite."""
    aside = x + np.linspace(-0.12, 0.12, len(when))
    heights = np.where(np.isfinite(when), when, 1.1 * last)
    for chosen, marker in ((~undefined, "."), (undefined, "x")):
        panel.plot(aside[chosen], heights[chosen], marker, color=style["color"], markersize=2, alpha=0.5)
    median = median_interval(when)
    low, middle, high = np.clip((median.low, median.median, median.high), 0, 1.1 * last)
    panel.vlines(x, low, high, color=style["color"], linewidth=1.5)
    panel.plot(x, middle, marker=style["marker"], color=style["color"], markeredgecolor="white", markersize=4.5)


def _medians(samples: np.ndarray) -> pd.DataFrame:
    """Median, interval and number of seeds of each column of float[seeds, columns]."""
    return pd.DataFrame([median_interval(column) for column in samples.T])


def _median_line(axes: Axes, x: np.ndarray, medians: pd.DataFrame, style: dict[str, Any]) -> None:
    """A line of medians with its band, where they are finite."""
    middle, low, high = (medians[name].where(np.isfinite(medians["high"])) for name in ("median", "low", "high"))
    axes.plot(x, middle, **style)
    axes.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)


def _one(by_p: dict[float, list[Cell]]) -> list[Cell]:
    """The runs of the only p there is."""
    (cells,) = by_p.values()
    return cells
