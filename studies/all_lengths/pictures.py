"""The pictures of walks of all lengths."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis.plots.drawing import COLOURS, MARKERS, legend_below, set_letters, styled
from rw_jax.analysis.plots.success import Scale
from studies.figures import map_of_shares


@styled()
def success_over_p(points: pd.DataFrame) -> Figure:
    """The shares of seeds over p, with whole walks and with walks of all lengths, a panel for each number of nodes."""
    nodes = sorted(points["K"].unique())
    figure = Figure(figsize=(3.8 * len(nodes), 3.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(nodes), sharey=True))
    for panel, K in zip(panels, nodes, strict=True):
        of_nodes = points[points["K"] == K].sort_values("p")
        scale = Scale.of("p", of_nodes["p"].unique())
        of_lengths = of_nodes.groupby("lengths", sort=True)
        for (words, group), colour, marker in zip(of_lengths, COLOURS, MARKERS, strict=False):
            name = "all lengths" if words == "from 2" else words
            panel.vlines(scale.places, group["low"], group["high"], color=colour, linewidth=1)
            scale.line(panel, group["estimate"], color=colour, marker=marker, markersize=4, label=f"{name}: optimal")
            scale.line(
                panel, group["on_parent"], color=colour, linestyle=":", linewidth=1, label=f"{name}: on the parent"
            )
        scale.mark(panel)
        panel.set(xlabel=f"p{scale.name}", ylim=(-0.03, 1.03))
        panel.set_title(f"K = {K}", fontsize=8)
    panels[0].set_ylabel("share of seeds")
    set_letters(panels)
    seeds = "–".join(str(count) for count in sorted(points["seeds"].unique()))
    figure.suptitle(
        f"Walks of all lengths are learned at nearly every p: {seeds} seeds each, 95% intervals", fontsize=9
    )
    legend_below(figure, panels[0])
    return figure


@styled()
def success_by_shortest(points: pd.DataFrame) -> Figure:
    """The share of seeds that predict optimally, by the shortest walk and p, a map for each number of nodes."""
    nodes = sorted(points["K"].unique())
    figure = Figure(figsize=(2.7 * len(nodes) + 0.8, 2.4), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(nodes), sharey=True))
    order = [words for words in ("from 2", "from 10", "from N/2", "whole walks") if words in set(points["lengths"])]
    for panel, K in zip(panels, nodes, strict=True):
        found = points[points["K"] == K].pivot(index="lengths", columns="p", values="estimate").loc[order]
        image = map_of_shares(panel, found.to_numpy(), [f"{p:g}" for p in found.columns], order)
        panel.set(xlabel="p")
        panel.set_title(f"K = {K}", fontsize=8)
    panels[0].set_ylabel("states of a training walk")
    figure.colorbar(image, ax=panels, label="share predicting optimally")
    set_letters(panels)
    seeds = "–".join(str(count) for count in sorted(points["seeds"].unique()))
    figure.suptitle(f"On many nodes only walks down to two states help: {seeds} seeds each", fontsize=9)
    return figure
