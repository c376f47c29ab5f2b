"""Figure 5 with other losses and learning rates: Theorem 4.1 holds for any."""

import functools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax import Run
from rw_jax.analysis.numbers import label
from rw_jax.analysis.plots.drawing import (
    OPTIMUM,
    Picture,
    band,
    estimate_columns,
    legend_below,
    line_styles,
    set_letters,
    set_title,
    styled,
)
from rw_jax.analysis.run import Group
from rw_jax.study.config import Config
from studies.claim import Claim, of_seeds
from studies.figures import STEPS, one


@styled()
def losses_and_rates(run: Run) -> Picture:
    """Figure 5 for each loss and learning rate: accuracy and attention spread against the step."""
    axes_of_grid, numbers = dict(run.config.grid), []
    losses, rates = axes_of_grid["loss"], axes_of_grid["learning_rate"]
    figure = Figure(figsize=(7.0, 3.9), layout="constrained")
    panels = figure.subplots(2, len(losses), sharex=True, sharey="row")
    drawn: list[Group] = []
    for loss, (accuracy_axes, spread_axes) in zip(losses, panels.T, strict=True):
        by_rate = {rate: one(run, loss=loss, learning_rate=rate) for rate in rates}
        for (rate, group), style in zip(by_rate.items(), line_styles(by_rate), strict=True):
            style["markevery"] = max(len(group.steps) // 5, 1)
            for name, axes in (("accuracy", accuracy_axes), ("attention_spread", spread_axes)):
                table = estimate_columns(group.metric(name))
                band(axes, group.steps, table, **style, label=f"η = {label(rate)}")
                numbers.append(table.assign(metric=name, loss=loss, learning_rate=rate, step=group.steps))
            drawn.append(group)
        accuracy_axes.axhline(1 / run.config.task.num_nodes, **OPTIMUM, label="1/K")
        accuracy_axes.set(title=str(loss).replace("_", " "), ylim=(0, 1.03))
        spread_axes.set(xlabel=STEPS, ylim=(-0.03, 1.03))
    panels[0, 0].set_ylabel("accuracy")
    panels[1, 0].set_ylabel("attention spread")
    set_letters(panels.flat)
    legend_below(figure, panels[0, 0])
    set_title(figure, "Accuracy and attention spread at p = 1 with four losses", drawn)
    return figure, pd.concat(numbers, ignore_index=True)


def loss_and_rate_claims(config: Config) -> list[Claim]:
    """Theorem 4.1 for any loss and learning rate; of a seed, the learning rate and step farthest from the claim."""
    claims = []
    for loss in dict(config.grid)["loss"]:
        name = str(loss).replace("_", " ")
        accuracy, spread = (
            functools.partial(largest, metric=metric, loss=str(loss)) for metric in ("accuracy", "attention_spread")
        )
        columns = functools.partial(uneven_columns, loss=str(loss))
        most = 1.5 / config.task.num_nodes
        claims += [
            of_seeds(f"{name}: accuracy at most 3/2 of 1/K at every η and step", accuracy, 0, most),
            of_seeds(f"{name}: weights of all tokens equal to the last bit at every η and step", spread, 0, 0),
            of_seeds(f"{name}: columns of V equal to the last bit at every η", columns, 0, 0),
        ]
    return claims


def largest(run: Run, metric: str, loss: str) -> np.ndarray:
    """The largest value of a metric at any learning rate and step, float[seeds]."""
    return run.metrics[metric].sel(loss=loss).max(("learning_rate", "step"), skipna=False).values


def uneven_columns(run: Run, loss: str) -> np.ndarray:
    """Largest difference of two entries in a row of V after the last step, for any learning rate, float[seeds]."""
    grid, last = dict(run.config.grid), run.config.training.steps
    values = [
        [run.value_matrix(step=last, loss=loss, learning_rate=rate, seed=seed) for rate in grid["learning_rate"]]
        for seed in grid["seed"]
    ]
    return np.max(np.ptp(values, axis=3), axis=(1, 2))
