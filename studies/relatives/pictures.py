"""The pictures of relatives of the model."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis.numbers import text
from rw_jax.analysis.plots.drawing import COLOURS, MARKERS, legend_below, set_letters, show_shares, styled
from rw_jax.analysis.statistics import rate_interval


@styled()
def optimal_map(table: pd.DataFrame) -> Figure:
    """The share of seeds of each relative that predict optimally, by p."""
    found = table.pivot_table(index="relative", columns="p", values="optimal", aggfunc="mean", sort=False)
    found = found.reindex(columns=sorted(found.columns)).iloc[::-1]  # maps begin below
    figure = Figure(figsize=(5.4, 0.26 * len(found) + 1.2), layout="constrained")
    axes = figure.subplots()
    show_shares(axes, found)
    axes.set(xlabel="p, probability of a clockwise step")
    axes.set_title("Share of seeds that predict optimally in the end", fontsize=8)
    return figure


@styled()
def value_distances(table: pd.DataFrame) -> Figure:
    """The distance of V from Pi^T, seed by seed, for each relative."""
    relatives = list(dict.fromkeys(table["relative"]))[::-1]
    figure = Figure(figsize=(6.4, 0.26 * len(relatives) + 1.2), layout="constrained")
    axes = figure.subplots()
    for (_, group), colour, marker in zip(table.groupby("p"), COLOURS, MARKERS, strict=False):
        places, name = group["relative"].map(relatives.index), f"p = {group['p'].iloc[0]:g}"
        axes.plot(group["value_error"], places, marker, color=colour, markersize=3, alpha=0.6, label=name)
    axes.axvline(2**0.5, color="0.6", linewidth=0.8)
    axes.set(xlabel="distance of the directions of V and Pi^T, columns centred; √2 (line): unrelated")
    axes.set_yticks(range(len(relatives)), relatives)
    axes.set_title("How much V looks like the transition matrix, a point for each seed that predicts optimally")
    legend_below(figure, axes)
    return figure


@styled()
def task_losses(table: pd.DataFrame) -> Figure:
    """The expected accuracy that is missing, by task, p and model, seed by seed with means."""
    tasks, relatives = list(dict.fromkeys(table["task"])), list(dict.fromkeys(table["relative"]))
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(tasks), sharey=True))
    ps = sorted(table["p"].unique())
    for axes, task in zip(panels, tasks, strict=True):
        for number, (relative, colour, marker) in enumerate(zip(relatives, COLOURS, MARKERS, strict=False)):
            chosen = table[(table["task"] == task) & (table["relative"] == relative)]
            places = chosen["p"].map(ps.index) + 0.14 * (number - (len(relatives) - 1) / 2)
            axes.plot(places, chosen["gap"], ".", color=colour, markersize=2, alpha=0.5)
            means = chosen.assign(place=places).groupby("place")["gap"].mean()
            axes.plot(means.index, means, marker, color=colour, markersize=5, linestyle="none", label=relative)
        axes.set_xticks(range(len(ps)), [text(float(p)) for p in ps])
        axes.set(xlabel="p")
        axes.set_title(task.replace("_", " "), fontsize=8)
    panels[0].set_ylabel("accuracy below the optimum")
    set_letters(panels)
    figure.suptitle("How far below the optimum each model ends", fontsize=9)
    legend_below(figure, panels[0])
    return figure


@styled()
def ablated_heads(table: pd.DataFrame) -> Figure:
    """The accuracy that is lost without a head against its attention on the parent, a point for each head and seed."""
    relatives = list(dict.fromkeys(table["relative"]))
    figure = Figure(figsize=(7.6, 2.9), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(relatives), sharey=True, sharex=True))
    for axes, relative in zip(panels, relatives, strict=True):
        for (layer, group), colour, marker in zip(
            table[table["relative"] == relative].groupby("layer"), COLOURS, MARKERS, strict=False
        ):
            name = f"layer {layer}"
            axes.plot(group["on_parent"], group["lost"], marker, color=colour, markersize=3, alpha=0.7, label=name)
        axes.set_title(relative, fontsize=8)
        axes.set_xlabel("attention on the parent")
    panels[0].set_ylabel("accuracy lost without the head")
    set_letters(panels)
    figure.suptitle("What each head is for, at p = 0.9", fontsize=9)
    widest = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[0]))
    legend_below(figure, widest)
    return figure


@styled()
def random_positions_map(table: pd.DataFrame) -> Figure:
    """The share of draws of random positions that attend to the parent, by width and rate, over all p < 1."""
    figure = Figure(figsize=(5.6, 2.8), layout="constrained")
    axes = figure.subplots()
    for (_, group), colour, marker in zip(table.groupby("rate"), COLOURS, MARKERS, strict=False):
        widths = np.unique(group["width"].to_numpy())
        shares = [rate_interval(group["parent"][group["width"] == width].to_numpy(bool)) for width in widths]
        mean = np.array([share.mean for share in shares])
        errors = np.array([(share.mean - share.low, share.high - share.mean) for share in shares]).T
        name, errors = f"η = {group['rate'].iloc[0]:g}", np.maximum(errors, 0)
        axes.errorbar(widths, mean, yerr=errors, fmt=f"{marker}-", color=colour, markersize=4, label=name)
    axes.set(
        xscale="log", xlabel="width M of random positions", ylabel="share attending to the parent", ylim=(-0.03, 1.03)
    )
    axes.set_title("How many draws of random positions end on the parent", fontsize=8)
    legend_below(figure, axes)
    return figure
