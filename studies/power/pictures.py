"""The pictures of what V tends to."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis.plots.drawing import COLOURS, MARKERS, legend_below, set_letters, styled

DRAWN_ARM, DRAWN_P = "base", 0.8
"""Of the distances over steps those of this arm, at the p that is nearest."""


@styled()
def powers_and_distances(points: pd.DataFrame) -> Figure:
    """The power that V is of Pi^T over the exponent of the loss, and the distance from the limit over steps."""
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    found = points[points["kind"] == "power"]
    exponents = np.linspace(0, 1.05 * found["a"].max(), 200)
    left.plot(exponents, 1 / (1 + exponents), color="black", linewidth=1, label="1 / (1 + a)")
    for (arm, group), colour, marker in zip(found.groupby("arm", sort=False), COLOURS, MARKERS, strict=False):
        left.plot(
            group["a"], group["value"], linestyle="", marker=marker, markersize=4, color=colour, label=arm, alpha=0.7
        )
    left.set(xlabel="a, exponent of the loss", ylabel="power of Πᵀ that V + ε is", ylim=(0, 1.08))
    of_arm = points[(points["kind"] == "distance") & (points["arm"] == DRAWN_ARM)]
    p = min(of_arm["p"].unique(), key=lambda each: abs(each - DRAWN_P))
    for (a, group), colour, marker in zip(of_arm[of_arm["p"] == p].groupby("a"), COLOURS, MARKERS, strict=False):
        right.loglog(group["step"], group["value"], color=colour, marker=marker, markersize=4, label=f"a = {a:g}")
        last = group.iloc[-1]
        line = last["value"] * (group["step"] / last["step"]) ** (-1 / (1 + a))
        right.loglog(group["step"], line, color="black", linestyle=":", linewidth=1)
    right.set(xlabel="gradient descent steps T", ylabel="distance of V/|V| from its limit")
    right.set_title(f"p = {p:g}; dotted: T^(-1 / (1 + a))", fontsize=8)
    right.legend(fontsize=7)
    set_letters((left, right))
    figure.suptitle("V tends to the power 1 / (1 + a) of the transition matrix", fontsize=9)
    legend_below(figure, left)
    return figure


@styled()
def distances_from_counts(points: pd.DataFrame) -> Figure:
    """The distance of each seed from the power of its counts, beside that from their square root."""
    settled = points[points["lag"] > 0]
    nodes = sorted(settled["K"].unique())
    figure = Figure(figsize=(3.4 * max(len(nodes), 1), 3.0), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, max(len(nodes), 1), sharey=True))
    names = {"distance": "from the power 1 / (1 + a)", "from_square_root": "from the square root"}
    for panel, K in zip(panels, nodes, strict=False):
        of_nodes = settled[settled["K"] == K]
        for (column, name), colour, marker in zip(names.items(), COLOURS, MARKERS, strict=False):
            shift = 0.04 * (1 if column == "distance" else -1)
            panel.semilogy(
                of_nodes["a"] + shift, of_nodes[column], linestyle="", marker=marker, markersize=3, color=colour,
                alpha=0.6, label=name,
            )  # fmt: skip
        lags = ", ".join(str(lag) for lag in sorted(of_nodes["lag"].unique()))
        panel.set(xlabel="a, exponent of the loss")
        panel.set_title(f"K = {K}: on lags {lags}", fontsize=8)
    panels[0].set_ylabel("distance of V + ε, of unit norm")
    set_letters(panels)
    figure.suptitle("On samples V follows the counts at the lag that a seed attends to; a dot is a seed", fontsize=9)
    legend_below(figure, panels[0])
    return figure
