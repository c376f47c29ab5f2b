"""Where attention ends on infinitely many walks (configs/infinite.py, lengths.py), beside what is predicted of it."""

import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from rw_jax.analysis.measures import attended_lag
from rw_jax.analysis.numbers import label
from rw_jax.analysis.plots.drawing import Picture, set_letters, set_title, show_map, styled
from rw_jax.analysis.run import Run
from rw_jax.theory import closed_forms, lags

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00")
"""Of lags 1 to 4, and of longer ones."""


def table(run: Run) -> pd.DataFrame:
    """Of each circle of a run on infinitely many walks, the lag that attention goes to, and what is predicted of it.

    Returns:
      A row for each p, K and N: `predicted`, the lag with the largest correlation (`token_correlations`), and by how
      much it leads, relative to the largest, `lead`; `at_step_2` and `at_end`, the lags with the highest weight, and
      `weight`, that weight at the end; `is_stable`, whether the last lag is stable once attention is one-hot;
      `below_optimum`, how far the expected accuracy lies below the optimum; `quadrature_error`, the largest.
    """
    rows = []
    for group in run.groups():
        cell, task = group.cells[0], group.config.task
        correlations = closed_forms.token_correlations(task.num_nodes, task.p, task.walk_length)
        first, second = np.sort(correlations)[::-1][:2]
        early, late = (run.mean_attention(step=step, **cell.labels) for step in (2, None))
        at_end = attended_lag(late)
        metric = {name: group.metric(name)[0] for name in ("expected_accuracy", "optimal_accuracy", "quadrature_error")}
        rows.append(
            {
                "p": task.p,
                "K": task.num_nodes,
                "N": task.walk_length,
                "predicted": int(np.argmax(correlations)) + 1,
                "lead": (first - second) / abs(first),
                "at_step_2": attended_lag(early),
                "at_end": at_end,
                "weight": late.max(),
                "is_stable": lags.is_stable(lags.circle_matrix(task.num_nodes, task.p), at_end, at_end),
                "below_optimum": (metric["optimal_accuracy"] - metric["expected_accuracy"])[-1],
                "quadrature_error": np.nanmax(metric["quadrature_error"]),
            }
        )
    return pd.DataFrame(rows)


@styled()
def lag_map(run: Run) -> Picture:
    """The lag that is predicted, and the ones that attention goes to, over p and K, or N where that is varied."""
    rows = table(run)
    across, name_of_axis = ("N", "N, states of a walk") if rows["N"].nunique() > 1 else ("K", "K, nodes")
    figure = Figure(figsize=(7.6, 4.0), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    cmap, norm = ListedColormap(_COLOURS), BoundaryNorm([0.5, 1.5, 2.5, 3.5, 4.5, 1000], len(_COLOURS))
    steps = run.config.training.steps
    titles = {"predicted": "largest correlation", "at_step_2": "after 2 steps", "at_end": f"after {steps} steps"}
    for panel, (name, title) in zip(panels, titles.items(), strict=True):
        found = rows.pivot(index=across, columns="p", values=name)
        xs, ys = ([label(each) for each in labels] for labels in (found.columns.tolist(), found.index.tolist()))
        image = show_map(panel, found.to_numpy(), xs, ys)
        image.set(cmap=cmap, norm=norm)
        for (row, column), lag in np.ndenumerate(found.to_numpy()):
            panel.text(column, row, f"{lag:.0f}", ha="center", va="center", fontsize=5.5, color="white")
        panel.set(xlabel="p", title=title)
    panels[0].set_ylabel(name_of_axis)
    set_letters(panels)
    seen = "The lag with the largest correlation, and the lags that attention goes to"
    set_title(
        figure, seen, run.groups(), "infinitely many walks: nothing is drawn; the lag is how far before the target"
    )
    return figure, rows
