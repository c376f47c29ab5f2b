"""The pictures of what breaks the symmetry."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis.numbers import text
from rw_jax.analysis.plots.drawing import COLOURS, MARKERS, legend_below, set_letters, show_shares, styled
from rw_jax.analysis.statistics import rate_interval


@styled()
def what_each_does(table: pd.DataFrame) -> Figure:
    """The share of seeds of each remedy that leave, and that learn, at the largest p: a row for each."""
    table = table[table["p"] == table["p"].max()]  # p = 0 is its mirror image
    figure = Figure(figsize=(6.4, 0.23 * table["remedy"].nunique() + 1.0), layout="constrained")
    axes = figure.subplots()
    remedies = list(dict.fromkeys(table["remedy"]))
    shown = (("leaves", lambda group: ~group["stays"], 0.16), ("learns", lambda group: group["optimal"], -0.16))
    for (name, of_group, shift), colour, marker in zip(shown, COLOURS, MARKERS, strict=False):
        shares = [rate_interval(of_group(table[table["remedy"] == each]).to_numpy(bool)) for each in remedies]
        mean = np.array([share.mean for share in shares])
        errors = np.array([(share.mean - share.low, share.high - share.mean) for share in shares]).T
        places = np.arange(len(remedies))[::-1] + shift
        axes.errorbar(mean, places, xerr=np.maximum(errors, 0), fmt=marker, color=colour, markersize=4, label=name)
    axes.set(xlabel="share of seeds", xlim=(-0.03, 1.03))
    axes.set_yticks(np.arange(len(remedies))[::-1], remedies)
    axes.grid(axis="y", linewidth=0.3)
    axes.set_title(f"What leaves the symmetric state of p = {text(float(table['p'].iloc[0]))}, and what learns")
    legend_below(figure, axes)
    return figure


@styled()
def growth_and_escape(points: pd.DataFrame) -> Figure:
    """Growth of a small difference step by step, and the steps until it is large against the scale of the start."""
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (rate, group), colour in zip(points.groupby("rate"), COLOURS, strict=False):
        for name, style in (("predicted", "-"), ("measured", "o")):
            chosen = group[group["quantity"] == name]
            left.plot(chosen["step"], chosen["mean"], style, color=colour, markersize=3, label=f"{name}, η = {rate}")
        times = group[group["quantity"] == "time"]
        right.plot(times["scale"], times["mean"], "o", color=colour, markersize=3, alpha=0.4, label=f"η = {rate}")
    left.set(xlabel="gradient step t", ylabel="growth of a difference in a step", yscale="log")
    left.set_title("Differences of weights grow step by step", fontsize=8)
    left.legend()
    right.set(xlabel="standard deviation of the start", ylabel="steps until weights differ by 0.01", xscale="log")
    right.set_title("A smaller start takes longer by a logarithm", fontsize=8)
    right.legend()
    set_letters([left, right])
    return figure


@styled()
def curriculum_map(points: pd.DataFrame) -> Figure:
    """The shares of seeds that learn p = 1, and that attend to the parent, by the p before it and the steps there."""
    figure = Figure(figsize=(7.4, 2.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (name, title) in zip(
        panels, {"estimate": "predict p = 1 optimally", "on_parent": "attend to the parent"}.items(), strict=True
    ):
        show_shares(axes, points.pivot(index="first_p", columns="steps", values=name))
        axes.set(xlabel="steps before p = 1")
        axes.set_title(f"Share of seeds that {title}", fontsize=8)
    panels[0].set_ylabel("p of these steps")
    set_letters(panels)
    return figure


@styled()
def cost_map(points: pd.DataFrame) -> Figure:
    """The share of seeds that predict optimally with each remedy at 0 < p < 1."""
    of_none = points.drop_duplicates("p").assign(remedy="none", optimal=lambda rows: rows["optimal_of_none"])
    found = pd.concat([of_none, points]).pivot(index="remedy", columns="p", values="optimal")
    found = found.loc[list(dict.fromkeys(["none", *points["remedy"]]))[::-1]]  # maps begin below
    figure = Figure(figsize=(4.6, 0.24 * len(found) + 1.2), layout="constrained")
    axes = figure.subplots()
    show_shares(axes, found)
    axes.set(xlabel="p, probability of a clockwise step")
    axes.set_title("Share of seeds that predict optimally, with each remedy", fontsize=8)
    return figure
