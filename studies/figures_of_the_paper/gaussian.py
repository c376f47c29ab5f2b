"""Figures 6 and 11 to 13: a Gaussian start, in every reading of the paper."""

import dataclasses
import functools
import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rw_jax import Run
from rw_jax.analysis.measures import LEARNED, direction, loss_is_undefined, steps_to_learn
from rw_jax.analysis.numbers import label
from rw_jax.analysis.plots.drawing import (
    COLOURS,
    OPTIMUM,
    WITH_SINGLE_SEEDS,
    Picture,
    as_matrix,
    band,
    estimate_columns,
    legend_below,
    line_styles,
    paper_says,
    set_letters,
    set_title,
    show_matrix,
    single_seeds,
    styled,
    unit_value_matrices,
)
from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import median_interval, rate_interval
from rw_jax.study.config import Config
from rw_jax.study.fields import Scalar
from studies.claim import Claim, all_of, of_seeds
from studies.figures import STEPS, by_p, median_line, medians, one
from studies.figures_of_the_paper.walks import ALL_ONES, at

_NOT_ALL_ONES = float(np.nextafter(ALL_ONES, 1))


PAPER = {0.5: (400, 0.5)}
"""The step and the accuracy that the paper reports then, by p."""


@styled()
def gaussian_start(run: Run) -> Picture:
    """Figure 6: accuracy, KL divergence, and the share of seeds that have learned, against the step, for each p.

    The KL divergence is the median over seeds; it is infinite, and not drawn, while most outputs have a negative entry.
    """
    groups, numbers = by_p(run), []
    figure = Figure(figsize=(7.0, 3.1), layout="constrained")
    accuracy_axes, kl_axes, share_axes = figure.subplots(1, 3)
    for (p, group), style in zip(groups.items(), line_styles(groups), strict=True):
        steps, when = group.steps, steps_to_learn(group)
        style["markevery"] = max(len(steps) // 8, 1)
        tables = {
            "accuracy": estimate_columns(group.metric("accuracy")).assign(step=steps),
            "optimal_accuracy": estimate_columns(group.metric("optimal_accuracy")).assign(step=steps),
            "kl_divergence": medians(group.metric("kl_divergence")).assign(step=steps),
            "share that has learned": pd.DataFrame([rate_interval(when <= step) for step in steps]).assign(step=steps),
        }
        tables["accuracy of a seed"] = single_seeds(accuracy_axes, group, "accuracy", style["color"])
        band(accuracy_axes, steps, tables["accuracy"], **style, label=f"p = {label(p)}")
        if p in PAPER and PAPER[p][0] <= steps[-1]:
            paper_says(accuracy_axes, *PAPER[p])
        accuracy_axes.plot(steps, tables["optimal_accuracy"]["mean"], **OPTIMUM)
        median_line(kl_axes, steps, tables["kl_divergence"], style)
        band(share_axes, steps, tables["share that has learned"], **style)
        numbers += [table.assign(metric=name, p=p) for name, table in tables.items()]
    accuracy_axes.plot([], [], label="optimum", **OPTIMUM)
    accuracy_axes.set(xlabel=STEPS, ylabel="accuracy", ylim=(0, 1.03))
    kl_axes.set(xlabel=STEPS, ylabel="KL divergence (nats), median", ylim=(0, None))
    share_axes.set(xlabel=STEPS, ylabel="share of seeds that have learned", ylim=(-0.03, 1.03))
    set_letters((accuracy_axes, kl_axes, share_axes))
    legend_below(figure, accuracy_axes)
    set_title(
        figure,
        "Training from a Gaussian start: accuracy, divergence, seeds that have learned",
        list(groups.values()),
        WITH_SINGLE_SEEDS,
    )
    return figure, pd.concat(numbers, ignore_index=True)


@styled()
def value_snapshots(run: Run, p: float) -> Picture:
    """Figures 11 and 12: V at unit norm at the recorded steps, of the first seed and as the mean over all."""
    group, numbers = one(run, p=p), []
    steps, first_labels = run.steps[1:], group.cells[0].labels
    figure = Figure(figsize=(1.5 * len(steps) + 1, 4.2), layout="constrained")
    panels = figure.subplots(2, len(steps))
    for step in steps:
        first = direction(run.value_matrix(step=step, **first_labels)).ravel()
        numbers.append(unit_value_matrices(group, step).assign(step=step, first=first))
    entries = np.concatenate([table[["first", "mean"]].to_numpy() for table in numbers])
    limits = {"vmin": min(0.0, np.nanmin(entries)), "vmax": np.nanmax(entries)}
    for table, step, column in zip(numbers, steps, panels.T, strict=True):
        for name, panel in zip(("first", "mean"), column, strict=True):
            image = show_matrix(panel, as_matrix(table, name), **limits)
            panel.label_outer()
        column[0].set_title(f"{step} steps")
        column[1].set_xlabel("state now")
    for panel, name in zip(panels[:, 0], (f"seed {first_labels['seed']}", "mean"), strict=True):
        panel.set_ylabel(f"$V$, {name}\nnext state")
    set_letters(panels.flat)
    figure.colorbar(image, ax=panels, shrink=0.7, label="entry of V at unit norm")
    set_title(figure, f"V during training at p = {label(p)}", [group], "V at unit norm, mean over {seeds}")
    return figure, pd.concat(numbers, ignore_index=True)


@styled()
def token_snapshots(run: Run, p: float) -> Picture:
    """Figures 11 and 13: the averaged token X S at the recorded steps, of one walk, and its variance over walks."""
    group, numbers = one(run, p=p), []
    steps = run.steps[1:]
    figure = Figure(figsize=(7.0, 3.8), layout="constrained")
    panels = figure.subplots(2, len(steps), sharey="row", sharex=True)
    states = np.arange(run.config.task.num_nodes)
    for step, (one_walk, variance) in zip(steps, panels.T, strict=True):
        averaged = [run.averaged_tokens(None, step=step, **cell.labels) for cell in group.cells]
        table = estimate_columns(np.stack([tokens_BxK.var(axis=0) for tokens_BxK in averaged]))
        table = table.assign(step=step, state=states, one_walk=averaged[0][0])
        one_walk.bar(states, table["one_walk"], color=COLOURS[5])
        one_walk.axhline(1 / len(states), **OPTIMUM, label="1/K")
        variance.bar(states, table["mean"], color=COLOURS[1])
        variance.vlines(states, table["low"].clip(1e-12), table["high"], color="black", linewidth=1)
        one_walk.set(title=f"{step} steps", xticks=states)
        variance.set(xlabel="state", yscale="log")
        numbers.append(table)
    panels[0, 0].set_ylabel(f"entry of X S, one walk\nof seed {group.cells[0].labels['seed']}")
    panels[1, 0].set_ylabel("variance over walks")
    set_letters(panels.flat)
    legend_below(figure, panels[0, 0])
    seen = f"The averaged token during training at p = {label(p)}"
    set_title(figure, seen, [group], "variance: mean and 95% interval over {seeds}")
    return figure, pd.concat(numbers, ignore_index=True)


@styled()
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
    drawn: list[Group] = []
    for panel, (unit_length, scale) in zip(panels.flat, itertools.product(lengths, scales), strict=True):
        for place, rate in enumerate(rates):
            labels = {"unit_length": unit_length, "init_scale": scale, "learning_rate": rate}
            groups = by_p(run, **labels)
            sides = np.linspace(-0.22, 0.22, len(groups))
            for (p, group), side, style in zip(groups.items(), sides, line_styles(groups), strict=True):
                when, undefined = steps_to_learn(group), loss_is_undefined(group)
                _draw_times(panel, place + side, when, undefined, last, style)
                median, learns = median_interval(when), rate_interval(np.isfinite(when))
                text = f"{learns.mean:.0%}"
                panel.text(place + side, last * 1.27, text, ha="center", fontsize=5, color=style["color"])
                shares = {"learn": learns.mean, "learn_low": learns.low, "learn_high": learns.high}
                numbers.append({**labels, "p": p, **median._asdict(), **shares, "undefined_loss": int(undefined.sum())})
                drawn.append(group)
        panel.axhline(last, color="grey", linewidth=0.6)
        panel.set_xticks(range(len(rates)), [label(rate) for rate in rates])
        panel.set(ylim=(-0.03 * last, 1.38 * last), yticks=np.linspace(0, last, 5))
        panel.set_title(f"unit length: {unit_length}; start {label(scale)}")
    for panel in panels[-1]:
        panel.set_xlabel("learning rate η, mean loss")
    for panel in panels[:, 0]:
        panel.set_ylabel(f"steps to {LEARNED:.0%} of the optimum")
    for p, style in zip(groups, line_styles(groups), strict=True):
        panels[0, 0].plot([], [], color=style["color"], marker=style["marker"], linestyle="none", label=f"p = {p:g}")
    set_letters(panels.flat)
    legend_below(figure, panels[0, 0])
    key = "dots: each of {seeds}, crosses where the loss is no number; above the line: never, and the share that learns"
    rates_of_sum = f"bars: median and 95% interval; a loss summed over walks has η / {run.config.task.walks}"
    seen = "When p = 0.5 and p = 1 are learned, in each reading of figure 6"
    set_title(figure, seen, drawn, f"{key}\n{rates_of_sum}")
    return figure, pd.DataFrame(numbers)


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


PICTURES = {
    "curves": gaussian_start,
    "values_half": functools.partial(value_snapshots, p=0.5),
    "values_one": functools.partial(value_snapshots, p=1.0),
    "tokens_one": functools.partial(token_snapshots, p=1.0),
}
"""The pictures of figures 6 and 11 to 13."""


def gaussian_start_claims(config: Config, **labels: Scalar) -> list[Claim]:
    """Figure 6: p = 1/2 is learned after about 400 steps, p = 1 later, not within 1000."""
    last = config.training.steps

    def half(run):
        return steps_to_learn(one(run, p=0.5, **labels))

    def later(run):
        with np.errstate(invalid="ignore"):
            return steps_to_learn(one(run, p=1.0, **labels)) - half(run)  # not a number where neither is learned

    return [
        of_seeds("p = 0.5: 95% of the optimum after 200 to 800 steps (about 400)", half, 200, 800),
        of_seeds(f"p = 1: accuracy at most 0.95 after {last} steps", at("accuracy", last, p=1.0, **labels), 0, 0.95),
        of_seeds("p = 1 learned later than p = 0.5: steps between them", later, 1, np.inf),
    ]


def readings_claims(config: Config) -> list[Claim]:
    """Figure 6 in every reading: a seed shows it if it shows all claims of figure 6; then, which p it learns later."""
    grid, together, later = dict(config.grid), [], []
    for length, scale, rate in itertools.product(
        *(grid[axis] for axis in ("unit_length", "init_scale", "learning_rate"))
    ):
        claims = gaussian_start_claims(config, unit_length=length, init_scale=scale, learning_rate=rate)
        name = f"unit length {length}, start {scale:g}, η = {rate:g}"
        together.append(all_of(claims, f"{name}: figure 6 as reported"))
        later.append(dataclasses.replace(claims[-1], statement=f"{name}: {claims[-1].statement}"))
    return together + later


def gaussian_half_claims(config: Config) -> list[Claim]:
    """Figure 11: what is learned at p = 1/2."""
    last = config.training.steps
    value, parent = (at(metric, last, p=0.5) for metric in ("value_direction_error", "parent_attention"))
    return [
        of_seeds(f"p = 0.5: V/|V| within 0.3 of Πᵀ/|Πᵀ| at step {last}", value, 0, 0.3),
        of_seeds(f"p = 0.5: attention on the parent at least 0.9 at step {last}", parent, 0.9, 1),
    ]


def gaussian_value_claims(config: Config) -> list[Claim]:
    """Figure 12: V at p = 1 leaves all-ones between 700 and 1000 steps."""
    del config  # the paper's own steps
    early, last = (at("value_uniform_direction_error", step, p=1.0) for step in (700, 1000))
    return [
        of_seeds(f"p = 1: V/|V| within {ALL_ONES} of all-ones at step 700", early, 0, ALL_ONES),
        of_seeds(f"p = 1: V/|V| no longer within {ALL_ONES} of it at step 1000", last, _NOT_ALL_ONES, 2),
    ]


def gaussian_token_claims(config: Config) -> list[Claim]:
    """Figure 13: the averaged token at p = 1 leaves all-ones between 700 and 1000 steps, when one token dominates."""
    del config  # the paper's own steps
    early, last = (functools.partial(token_uniform_errors, step=step) for step in (700, 1000))
    largest = functools.partial(largest_token_entries, step=1000)
    return [
        of_seeds(f"p = 1: X S within {ALL_ONES} of all-ones at step 700, mean over walks", early, 0, ALL_ONES),
        of_seeds(f"p = 1: X S no longer within {ALL_ONES} of it at step 1000", last, _NOT_ALL_ONES, 2),
        of_seeds("p = 1: largest entry of X S at least 0.5 at step 1000, mean over walks", largest, 0.5, 1),
    ]


def every_gaussian_claim(config: Config) -> list[Claim]:
    """Figures 6 and 11 to 13 together."""
    parts = (gaussian_start_claims, gaussian_half_claims, gaussian_value_claims, gaussian_token_claims)
    return [claim for claims in parts for claim in claims(config)]


def token_uniform_errors(run: Run, step: int) -> np.ndarray:
    """At p = 1, the distance between X S and all-ones, both at unit norm, the mean over test walks, float[seeds]."""
    errors = []
    for cell in one(run, p=1.0).cells:
        averaged_BxK = run.averaged_tokens(None, step=step, **cell.labels)
        unit_BxK = averaged_BxK / np.linalg.norm(averaged_BxK, axis=1, keepdims=True)
        errors.append(np.mean(np.linalg.norm(unit_BxK - averaged_BxK.shape[1] ** -0.5, axis=1)))
    return np.array(errors)


def largest_token_entries(run: Run, step: int) -> np.ndarray:
    """At p = 1, the largest entry of X S, the mean over test walks, float[seeds]."""
    cells = one(run, p=1.0).cells
    return np.array([run.averaged_tokens(None, step=step, **cell.labels).max(axis=1).mean() for cell in cells])
