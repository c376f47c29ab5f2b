"""The pictures of where attention ends."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rw_jax import Run
from rw_jax.analysis.plots.drawing import COLOURS, Picture, legend_below, set_letters, set_title, styled
from studies.figures import show_lags
from studies.where_attention_ends.lags import table, threshold_table

_PANELS = {
    "predicted": "largest correlation",
    "at_step_2": "after 2 steps",
    "sharp": "first sharp lag",
    "at_end": "at the end",
}


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
        predicted = chosen.pivot(index=across, columns="p", values="predicted")
        for panel, (name, title) in zip(of_way, _PANELS.items(), strict=True):
            show_lags(panel, predicted if name == "predicted" else chosen.pivot(index=across, columns="p", values=name))
            _mark_border(panel, predicted.to_numpy() > 1)
            panel.set(title=title if name == "predicted" else f"{by}: {title}", xlabel="p" if by == ways[-1] else "")
        first = of_way[0]
        if by != ways[0]:  # what is predicted is the same for each way
            first.remove()
            first = of_way[1]
            first.tick_params(labelleft=True)
        first.set_ylabel(name_of_axis)
    set_letters([panel for panel in panels.ravel() if panel.figure is not None])
    set_title(
        figure, "The lag with the largest correlation, and the lags that attention goes to", run.groups(),
        "infinitely many walks: nothing is drawn; the lag is how far before the target; inside the black line the "
        "largest correlation is not the direct parent's",
    )  # fmt: skip
    return figure, rows


def _mark_border(panel: Axes, inside: np.ndarray) -> None:
    """A line around the cells of a map that are inside."""
    for axis, (columns, rows) in enumerate(((0, 1), (1, 0))):
        padded = np.pad(inside, ((rows, rows), (columns, columns)))
        for row, column in np.argwhere(np.diff(padded, axis=axis)):
            x, y = column - 0.5, row - 0.5
            panel.plot([x, x + rows], [y, y + columns], color="black", linewidth=1.2)


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
