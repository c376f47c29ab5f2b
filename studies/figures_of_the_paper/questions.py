"""Figures 7 and 10: two question-answering tasks, in every reading of the paper."""

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax import Run
from rw_jax.analysis.numbers import label
from rw_jax.analysis.plots.drawing import (
    OPTIMUM,
    WITH_SINGLE_SEEDS,
    Picture,
    band,
    bars,
    estimate_columns,
    legend_below,
    line_styles,
    paper_says,
    set_letters,
    set_title,
    single_seeds,
    styled,
)
from rw_jax.analysis.run import Group
from rw_jax.study.config import Config
from rw_jax.study.fields import Scalar
from studies.claim import Claim, all_of, of_seeds
from studies.figures import STEPS, median_line, medians, one
from studies.figures_of_the_paper.walks import at

PAPER: Mapping[Scalar, float] = {"majority": 1.0, "preference": 0.5}
"""The accuracy after the last step that the paper reports, by task."""


@styled()
def questions(run: Run) -> Picture:
    """Figures 7 and 10: accuracy and KL divergence, the latter as median over seeds, of both tasks against the step."""
    tasks, numbers = dict(run.config.grid)["task"], []
    figure = Figure(figsize=(7.0, 3.1), layout="constrained")
    accuracy_axes, kl_axes = figure.subplots(1, 2)
    drawn: list[Group] = []
    for number, (task, style) in enumerate(zip(tasks, line_styles(tasks), strict=True), start=1):
        group = one(run, task=task)
        drawn.append(group)
        steps = group.steps
        style["markevery"] = max(len(steps) // 10, 1)
        accuracy = estimate_columns(group.metric("accuracy"))
        divergence = medians(group.metric("kl_divergence"))
        singles = single_seeds(accuracy_axes, group, "accuracy", style["color"])
        band(accuracy_axes, steps, accuracy, **style, label=f"Task {number}, {task}")
        paper_says(accuracy_axes, steps[-1], PAPER[task])
        numbers.append(singles.assign(metric="accuracy of a seed", task=task))
        median_line(kl_axes, steps, divergence, style)
        for name, table in (("accuracy", accuracy), ("kl_divergence", divergence)):
            numbers.append(table.assign(metric=name, task=task, step=steps))
    accuracy_axes.axhline(0.5, **OPTIMUM, label="1/2")
    accuracy_axes.set(xlabel=STEPS, ylabel="accuracy", ylim=(0, 1.03))
    kl_axes.set(xlabel=STEPS, ylabel="KL divergence (nats), median", ylim=(0, None))
    set_letters((accuracy_axes, kl_axes))
    legend_below(figure, accuracy_axes)
    seen = "The two tasks of questions: accuracy and divergence from the true answers"
    set_title(figure, seen, drawn, WITH_SINGLE_SEEDS)
    return figure, pd.concat(numbers, ignore_index=True)


@styled()
def question_readings(run: Run) -> Picture:
    """Accuracy of both tasks after the last step against the learning rate, for every reading of figure 10."""
    grid, numbers = dict(run.config.grid), []
    lengths, rates, tasks = (grid[axis] for axis in ("unit_length", "learning_rate", "task"))
    figure = Figure(figsize=(7.0, 3.0), layout="constrained")
    drawn: list[Group] = []
    for panel, length in zip(figure.subplots(1, len(lengths), sharey=True), lengths, strict=True):
        for number, (task, style) in enumerate(zip(tasks, line_styles(tasks), strict=True), start=1):
            by_rate = [one(run, unit_length=length, learning_rate=rate, task=task) for rate in rates]
            table = estimate_columns(np.stack([group.metric("accuracy")[:, -1] for group in by_rate], axis=1))
            bars(panel, np.arange(len(rates)) + 0.1 * number - 0.15, table, **style, label=f"Task {number}, {task}")
            numbers.append(table.assign(unit_length=length, learning_rate=rates, task=task))
            drawn += by_rate
        panel.axhline(0.5, **OPTIMUM, label="1/2")
        panel.set_xticks(range(len(rates)), [label(rate) for rate in rates])
        panel.set(title=f"unit length: {length}", xlabel="η for the mean loss", ylim=(0, 1.03))
    figure.axes[0].set_ylabel("accuracy after the last step")
    set_letters(figure.axes)
    legend_below(figure, figure.axes[0])
    set_title(figure, "Accuracy on the two tasks of questions in the readings of figure 10", drawn)
    return figure, pd.concat(numbers, ignore_index=True)


def question_claims(config: Config, **labels: Scalar) -> list[Claim]:
    """Figures 7 and 10: the averaged token tells the answer in Task 1 and says nothing in Task 2."""
    last = config.training.steps
    majority, preference = (at("accuracy", last, task=task, **labels) for task in ("majority", "preference"))
    return [
        of_seeds(f"Task 1: accuracy at least 0.95 at step {last}", majority, 0.95, 1),
        of_seeds(f"Task 2: accuracy from 0.45 to 0.55 at step {last}", preference, 0.45, 0.55),
    ]


def question_readings_claims(config: Config) -> list[Claim]:
    """Figure 10 in every reading: a seed shows it if it shows both claims."""
    grid = dict(config.grid)
    return [
        all_of(
            question_claims(config, unit_length=length, learning_rate=rate),
            f"unit length {length}, η = {rate:g}: figure 10 as reported",
        )
        for length, rate in itertools.product(grid["unit_length"], grid["learning_rate"])
    ]
