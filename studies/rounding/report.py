"""At p = 1, rounding alone decides whether the transformer learns: the full form in two precisions."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from rw_jax import Run
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
from rw_jax.analysis.run import Group
from rw_jax.analysis.stability import step_multipliers
from rw_jax.analysis.statistics import mean_interval
from studies.figures import one
from studies.study import Exhibit, Study
from studies.sweeps import FromFile, beside

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


def picture(float32: Run, float64: Run) -> Picture:
    """The rounding study from its runs in two precisions, with the eigenvalues of the first 40 steps."""
    with jax.enable_x64(True):
        config = float64.cell(form="reduced", seed=0).config
        multipliers = step_multipliers(config, min(_EIGENVALUE_STEPS, config.training.steps))
    return rounding({"float32": float32, "float64": float64}, multipliers)


_EIGENVALUE_STEPS = 40
"""For how many steps the linearised dynamics are computed."""


def departures(float32: Run, float64: Run) -> pd.DataFrame:
    """For each form and precision, how many seeds leave accuracy 1/K, and the mean of the steps at which they do."""
    rows = []
    for precision, run in (("float32", float32), ("float64", float64)):
        for form in ("full", "reduced"):
            accuracy = run.metrics["accuracy"].sel(form=form).values
            # Far above what the accuracy of a constant prediction can be in 1000 test walks.
            left = accuracy > 2 / run.config.task.num_nodes
            first = np.argmax(left, axis=1)[left.any(axis=1)]
            mean, low, high, _ = mean_interval(first) if first.size else (np.nan,) * 4
            labels = {"form": form, "precision": precision, "leave": first.size, "seeds": len(accuracy)}
            rows.append({**labels, "step": mean, "low": low, "high": high})
    return pd.DataFrame(rows)


def sentences(table: pd.DataFrame) -> list[str]:
    """The departures, in sentences."""
    return [
        f"{row['form']}, {row['precision']}: {row['leave']} of {row['seeds']} seeds leave accuracy 1/K, "
        + (f"at step {row['step']:.1f} [{row['low']:.1f}, {row['high']:.1f}]." if row["leave"] else "at no step.")
        for row in table.to_dict("records")
    ]


def _sweep(precision: str) -> FromFile:
    def quick(config: ConfigDict) -> None:
        config.training.steps, config.task.walks, config.task.test_walks = 12, 100, 100
        config.model.position_width = 100
        config.grid.seed = range(2)

    def change(config: ConfigDict) -> None:
        config.precision = precision

    return FromFile(name=precision, file=beside(__file__, "precision"), quick=quick, change=change)


def study() -> Study:
    """The rounding study."""
    sweeps = (_sweep("float32"), _sweep("float64"))
    return Study(
        name="rounding",
        title="Rounding at p = 1",
        introduction=(
            "The spread of the attention weights against the step at p = 1, its growth per step beside the largest "
            "eigenvalue of the linearised dynamics, and the accuracy, in full and reduced form, in float32 and float64."
        ),
        exhibits=(
            Exhibit(name="rounding", title="Rounding alone decides", make=picture, sweeps=sweeps),
            Exhibit(
                name="departures",
                title="When seeds leave accuracy 1/K",
                make=departures,
                sentences=sentences,
                sweeps=sweeps,
            ),
        ),
    )
