"""Where attention ends on infinitely many walks (configs/infinite.py, lengths.py, settled.py), beside predictions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from rw_jax.analysis.interpret import attended_lag
from rw_jax.analysis.numbers import label, text
from rw_jax.analysis.plots.drawing import COLOURS, Picture, legend_below, set_letters, set_title, show_map, styled
from rw_jax.analysis.run import Group, Run
from rw_jax.study.grid import kept_steps
from rw_jax.theory import closed_forms, lags

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00")
"""Of lags 1 to 4, and of longer ones."""

SHARP = 0.5
"""Attention is sharp once a token has more than this mean weight."""

_PANELS = {
    "predicted": "largest correlation",
    "at_step_2": "after 2 steps",
    "sharp": "first sharp lag",
    "at_end": "at the end",
}


def table(run: Run) -> pd.DataFrame:
    """Of each circle of a run on infinitely many walks, the lag that attention goes to, and what is predicted of it.

    Returns:
      A row for each way of descent, p, K and N: `by`, the way; `predicted`, the lag with the largest correlation
      (`token_correlations`), and by how much it leads, relative to the largest, `lead`; `at_step_2`, `sharp` and
      `at_end`, the lags with the highest weight after the second step, at the first step that keeps parameters and has
      a weight above SHARP, and after the last step; `log_others`, the logarithm of what all other lags have there,
      relative to the highest; `is_stable`, whether that lag is stable once attention is one-hot; `below_optimum`, how
      far the expected accuracy lies below the optimum; `quadrature_error`, the largest.
    """
    rows = []
    for group in run.groups():
        cell, task = group.cells[0], group.config.task
        correlations = closed_forms.token_correlations(task.num_nodes, task.p, task.walk_length)
        first, second = np.sort(correlations)[::-1][:2]
        weights = {step: run.mean_attention(step=step, **cell.labels) for step in kept_steps(group.config)}
        sharp = [attended_lag(weight) for weight in weights.values() if weight.max() > SHARP]
        scores = np.sort(run.params(step=None, **cell.labels)["position_scores"].astype(np.float64))
        at_end = attended_lag(weights[group.config.training.steps])
        metric = {name: group.metric(name)[0] for name in ("expected_accuracy", "optimal_accuracy", "quadrature_error")}
        rows.append(
            {
                "by": way(group),
                "p": task.p,
                "K": task.num_nodes,
                "N": task.walk_length,
                "predicted": int(np.argmax(correlations)) + 1,
                "lead": (first - second) / abs(first),
                "at_step_2": attended_lag(weights[2]),
                "sharp": sharp[0] if sharp else np.nan,
                "at_end": at_end,
                "log_others": scores[-2] - scores[-1] + np.log(np.exp(scores[:-1] - scores[-2]).sum()),
                "is_stable": lags.is_stable(lags.circle_matrix(task.num_nodes, task.p), at_end, at_end),
                "below_optimum": (metric["optimal_accuracy"] - metric["expected_accuracy"])[-1],
                "quadrature_error": np.nanmax(metric["quadrature_error"]),
            }
        )
    return pd.DataFrame(rows)


def way(group: Group) -> str:
    """By what a group is trained, in words: gradient descent at a rate, or gradient flow."""
    training = group.config.training
    return f"η = {text(training.learning_rate)}" if training.optimizer == "gd" else "gradient flow"


@styled()
def lag_map(run: Run) -> Picture:
    """The lag that is predicted, and those that attention goes to, over p and K, or N where that is varied."""
    rows = table(run)
    across, name_of_axis = ("N", "N, states of a walk") if rows["N"].nunique() > 1 else ("K", "K, nodes")
    ways = rows["by"].unique()
    figure = Figure(
        figsize=(9.6, 0.8 + 0.26 * rows[across].nunique() * len(ways) + 0.5 * len(ways)), layout="constrained"
    )
    panels = figure.subplots(len(ways), len(_PANELS), sharey=True, squeeze=False)
    for of_way, by in zip(panels, ways, strict=True):
        chosen = rows[rows["by"] == by]
        for panel, (name, title) in zip(of_way, _PANELS.items(), strict=True):
            show_lags(panel, chosen.pivot(index=across, columns="p", values=name))
            _mark_border(panel, chosen.pivot(index=across, columns="p", values="predicted").to_numpy() > 1)
            panel.set(title=f"{by}: {title}", xlabel="p" if by == ways[-1] else "")
        of_way[0].set_ylabel(name_of_axis)
    set_letters(panels.ravel())
    set_title(
        figure, "The lag with the largest correlation, and the lags that attention goes to", run.groups(),
        "infinitely many walks: nothing is drawn; the lag is how far before the target; inside the black line the "
        "largest correlation is not the direct parent's",
    )  # fmt: skip
    return figure, rows


def show_lags(panel: Axes, found: pd.DataFrame) -> None:
    """A map of lags, a colour and a number in each cell; the index is drawn upwards, the columns across."""
    xs, ys = ([label(each) for each in labels] for labels in (found.columns.tolist(), found.index.tolist()))
    image = show_map(panel, found.to_numpy(), xs, ys)
    image.set(cmap=ListedColormap(_COLOURS), norm=BoundaryNorm([0.5, 1.5, 2.5, 3.5, 4.5, 1000], len(_COLOURS)))
    for (row, column), lag in np.ndenumerate(found.to_numpy()):
        if np.isfinite(lag):
            panel.text(column, row, f"{lag:.0f}", ha="center", va="center", fontsize=5.5, color="white")


def _mark_border(panel: Axes, inside: np.ndarray) -> None:
    """A line around the cells of a map that are inside."""
    for axis, (columns, rows) in enumerate(((0, 1), (1, 0))):
        padded = np.pad(inside, ((rows, rows), (columns, columns)))
        for row, column in np.argwhere(np.diff(padded, axis=axis)):
            x, y = column - 0.5, row - 0.5
            panel.plot([x, x + rows], [y, y + columns], color="black", linewidth=1.2)


def threshold_table(nodes: Sequence[int], most: int) -> pd.DataFrame:
    """p_k of circles, the probability from which lag k is stable: columns K, lag, p; lags 2 to `most`."""
    rows = [{"K": K, "lag": lag, "p": lags.stability_threshold(K, lag)} for K in nodes for lag in range(2, most + 1)]
    return pd.DataFrame(rows)


@styled()
def thresholds(nodes: Sequence[int], most: int) -> Picture:
    """From which p on each lag is stable, against the number of nodes."""
    rows = threshold_table(nodes, most)
    figure = Figure(figsize=(4.8, 3.3), layout="constrained")
    axes = figure.subplots()
    for (lag, group), colour in zip(rows.groupby("lag"), COLOURS, strict=False):
        axes.plot(group["K"], group["p"], marker=".", color=colour, label=f"lag {lag}")
    axes.set(xlabel="K, nodes", ylabel="p from which the lag is stable", ylim=(0.48, 1.02))
    legend_below(figure, axes)
    axes.set_title("With drift other lags than the parent are stable, too")
    return figure, rows
