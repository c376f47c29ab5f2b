"""The figure of the rounding study (configs/precision.py)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis.plots.drawing import (
    COLOURS,
    MARKERS,
    OPTIMUM,
    Picture,
    band,
    estimate_columns,
    set_title,
    styled,
)
from rw_jax.analysis.run import Group, Run
from rw_jax.analysis.statistics import mean_interval
from rw_jax.reports.figures import one

_SMALLEST_SPREAD = 1e-17
"""Where a spread of 0 is drawn; below the smallest difference of two float64 weights of tokens, some 1e-18 to 1e-16."""


@styled()
def rounding(runs: Mapping[str, Run], multipliers: np.ndarray) -> Picture:
    """The rounding study: attention spread, its growth per step, and accuracy against the step, for each arithmetic.

    A spread that is exactly 0 has no place on the logarithmic axis and is drawn along its lower edge. Growth per step
    is that over two steps (`growth_of_spread`), beside the geometric mean of the largest eigenvalues of the two.

    Args:
      runs: by precision, runs over the axes form and seed that agree in everything else.
      multipliers: float[steps], the largest absolute eigenvalue of the linearised dynamics of each of the first steps.
    """
    arithmetics = _arithmetics(runs)
    figure = Figure(figsize=(7.0, 3.0), layout="constrained")
    spread_axes, growth_axes, accuracy_axes = figure.subplots(1, 3)
    predicted = np.sqrt(multipliers[:-1] * multipliers[1:])
    growth_axes.plot(np.arange(1, len(multipliers)), predicted, **OPTIMUM, label="largest eigenvalue")
    numbers = [
        pd.DataFrame({"quantity": "largest eigenvalue", "step": np.arange(len(multipliers)), "mean": multipliers})
    ]
    for (precision, form, group), colour, marker in zip(arithmetics, COLOURS, MARKERS, strict=False):
        spread, accuracy = (group.metric(name) for name in ("attention_spread", "accuracy"))
        steps = np.arange(spread.shape[1])
        style: Any = {
            "color": colour,
            "marker": marker,
            "markevery": 10,
            "linewidth": 1.2,
            "label": f"{form}, {precision}",
        }
        drawn = np.maximum(spread, _SMALLEST_SPREAD)
        spread_axes.plot(steps, np.median(drawn, axis=0), **style)
        spread_axes.fill_between(steps, drawn.min(axis=0), drawn.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        band(accuracy_axes, steps, estimate_columns(accuracy), **style)
        growth = growth_of_spread(spread)
        measured = np.flatnonzero(np.isfinite(growth).sum(axis=0) > 1)
        points = pd.DataFrame([mean_interval(column[np.isfinite(column)]) for column in growth.T[measured]])
        if len(points):
            growth_axes.vlines(measured + 1, points["low"], points["high"], color=colour, linewidth=1)
            growth_axes.plot(measured + 1, points["mean"], color=colour, marker=marker, linestyle="none")
        medians = pd.DataFrame({"mean": np.median(spread, axis=0), "seeds": len(group.cells), "step": steps})
        tables = {"median attention spread": medians, "accuracy": estimate_columns(accuracy).assign(step=steps)}
        tables["growth of attention spread"] = points.assign(step=measured + 1)
        numbers += [table.assign(quantity=name, form=form, precision=precision) for name, table in tables.items()]
    spread_axes.set(xlabel="gradient descent steps", ylabel="attention spread", yscale="log")
    spread_axes.set_ylim(_SMALLEST_SPREAD / 3, 3)
    growth_axes.set(xlabel="gradient descent steps", ylabel="growth of the spread per step", yscale="log")
    accuracy_axes.set(xlabel="gradient descent steps", ylabel="accuracy", ylim=(0, 1.03))
    handles, names = (
        first + rest
        for first, rest in zip(*(axes.get_legend_handles_labels() for axes in (growth_axes, spread_axes)), strict=True)
    )
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    ending = "median and range of the spread, mean and 95% interval of the others, {seeds}"
    seen = "At p = 1 rounding makes the full form leave the equilibrium; the reduced form stays"
    set_title(figure, seen, [group for _, _, group in arithmetics], ending)
    return figure, pd.concat(numbers, ignore_index=True)


def growth_of_spread(spread: np.ndarray) -> np.ndarray:
    """How much the attention spread of each run grows per step, over two steps, float[runs, T - 2].

    The leading eigenvalues come in pairs of either sign, as a difference in the scores makes one in V and the other way
    round, so that single steps alternate between little and much. NaN where the spread is 0 or above 1e-3, where the
    dynamics are no longer linear.

    Args:
      spread: float[runs, T], at consecutive steps.
    """
    before, after = spread[:, :-2], spread[:, 2:]
    linear = (before > 0) & (after < 1e-3)
    return np.sqrt(np.divide(after, before, out=np.full(before.shape, np.nan), where=linear))


def _arithmetics(runs: Mapping[str, Run]) -> list[tuple[str, str, Group]]:
    """Each precision and form of a rounding study, with its runs."""
    return [
        (precision, str(form), one(run, form=form))
        for precision, run in runs.items()
        for form in dict(run.config.grid)["form"]
    ]
