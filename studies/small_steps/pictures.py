"""The picture of success by the learning rate."""

import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis.plots.drawing import styled
from studies.figures import map_of_shares


@styled()
def shares(points: pd.DataFrame) -> Figure:
    """The share of seeds that predict optimally, by arm and rate."""
    arms, rates = list(points["arm"].unique()), list(points["η"].unique())
    found = points.pivot(index="arm", columns="η", values="optimal").loc[arms, rates].to_numpy()
    figure = Figure(figsize=(5.6, 0.27 * len(arms) + 1.1), layout="constrained")
    panel = figure.subplots()
    image = map_of_shares(panel, found[::-1], rates, arms[::-1])
    panel.set(xlabel="learning rate η, and gradient flow")
    figure.colorbar(image, ax=panel, label="share predicting optimally")
    seeds = "–".join(str(count) for count in sorted(points["seeds"].unique()))
    figure.suptitle(f"What small steps change, and what they do not: {seeds} seeds each", fontsize=9)
    return figure
