"""How training on samples comes to that on infinitely many walks."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from rw_jax import Run, RunError
from rw_jax.analysis.plots.drawing import Picture, bars, legend_below, line_styles, set_letters, set_title, styled
from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import bootstrap_interval, mean_interval, of_numbers, rate_interval, slopes
from studies.study import Exhibit, Study
from studies.sweeps import sweep_of

LEAST_WALKS = 1000
"""Exponents are fitted from so many walks on: with fewer, many seeds attend elsewhere."""


def table(run: Run) -> pd.DataFrame:
    """Of each p and number of walks, how near the seeds come to the run on infinitely many walks.

    Returns:
      A row for each with `agree`, the share of seeds that attend most to the token that the exact run attends to, and
      `distance`, |V - V_exact| / |V_exact| over those seeds, each with its interval; `distance_u` and `distance_a`, the
      means of the same of the scores u and a; `seeds`.

    Raises:
      RunError: if no run of some p is on infinitely many walks.
    """
    rows = []
    for group in _on_samples(run):
        agrees, distances = _compared(run, group)
        share, distance = rate_interval(agrees), of_numbers(mean_interval, distances["value"][agrees])
        of_scores = {name: of_numbers(mean_interval, distances[name][agrees]).mean for name in _SCORES}
        rows.append(
            {
                "p": group.config.task.p, "walks": group.config.task.walks, "seeds": len(agrees),
                "agree": share.mean, "agree_low": share.low, "agree_high": share.high,
                "distance": distance.mean, "distance_low": distance.low, "distance_high": distance.high,
                **{f"distance_{name}": of_scores[leaf] for leaf, name in _SCORES.items()},
            }
        )  # fmt: skip
    return pd.DataFrame(rows).sort_values(["p", "walks"], ignore_index=True)


def exponents(run: Run) -> pd.DataFrame:
    """The exponent of the number of walks in the distances, for each p, over the seeds that agree at all of them.

    Returns:
      A row for each p and each of V, u and a, `of`: columns p, of, exponent, low, high, seeds.
    """
    rows = []
    for p in sorted({group.config.task.p for group in _on_samples(run)}):
        groups = [group for group in _on_samples(run, p=p) if float(group.config.task.walks) >= LEAST_WALKS]
        compared = [_compared(run, group) for group in groups]
        agree = np.all([agrees for agrees, _ in compared], axis=0)
        walks = np.log([float(group.config.task.walks) for group in groups])
        for leaf, name in {"value": "V", **_SCORES}.items():
            logs = np.log(np.stack([distances[leaf] for _, distances in compared], axis=1))[agree]
            found = bootstrap_interval(slopes(walks, logs))
            interval = {"exponent": found.mean, "low": found.low, "high": found.high, "seeds": found.seeds}
            rows.append({"p": p, "of": name, **interval})
    return pd.DataFrame(rows)


def _on_samples(run: Run, **labels: float) -> list[Group]:
    return [group for group in run.groups(over="seed", **labels) if group.config.task.walks != math.inf]


_SCORES = {"state_scores": "u", "position_scores": "a"}


def _compared(run: Run, group: Group) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Of each seed, whether it attends to the token of the exact run, and how far its V, u and a are from those."""
    try:
        exact = run.groups(over="seed", **(group.labels | {"walks": math.inf}))[0].cells[0].labels
    except RunError as error:
        raise RunError(f"The run has no cell on infinitely many walks for {group.labels}.") from error
    token, of_exact = np.argmax(run.mean_attention(step=None, **exact)), run.params(step=None, **exact)
    agrees = [np.argmax(run.mean_attention(step=None, **cell.labels)) == token for cell in group.cells]
    params = [run.params(step=None, **cell.labels) for cell in group.cells]
    distances = {
        name: np.array([np.linalg.norm(of_seed[name] - of_exact[name]) for of_seed in params]) / np.linalg.norm(leaf)
        for name, leaf in of_exact.items()
    }
    return np.array(agrees), distances


@styled()
def approach(run: Run) -> Picture:
    """The share of seeds that attend to the token of the exact run, and the distance of their V, against the walks."""
    rows = table(run)
    figure = Figure(figsize=(7.0, 3.3), layout="constrained")
    share, distance = figure.subplots(1, 2)
    groups = list(rows.groupby("p"))
    for (p, of_p), style in zip(groups, line_styles(groups), strict=True):
        points = {"color": style["color"], "marker": style["marker"], "label": f"p = {p:g}"}
        for panel, name in ((share, "agree"), (distance, "distance")):
            columns = {name: "mean", f"{name}_low": "low", f"{name}_high": "high"}
            bars(panel, of_p["walks"].to_numpy(float), of_p.rename(columns=columns), **points)
    share.set(xlabel="training walks", ylabel="share of seeds", xscale="log", ylim=(-0.03, 1.03))
    distance.set(xlabel="training walks", ylabel="relative distance of V", xscale="log", yscale="log")
    x = np.array([rows["walks"].min(), rows["walks"].max()], float)
    distance.plot(x, rows["distance"].max() * (x / x[0]) ** -0.5, "k--", linewidth=0.8, label="slope −1/2")
    set_letters((share, distance))
    legend_below(figure, distance)
    seen = "How training on samples comes to that on infinitely many walks"
    ending = "A: seeds that attend to the token of the exact run; B: |V − V exact| / |V exact| of those; {seeds}"
    set_title(figure, seen, run.groups(), ending)
    return figure, rows


def sentences(table: pd.DataFrame) -> list[str]:
    """The exponents, in sentences."""
    return [
        f"p = {row['p']:g}: the distance of {row['of']} falls as walks^{row['exponent']:.3f} "
        f"[{row['low']:.3f}, {row['high']:.3f}], {row['seeds']} seeds."
        for row in table.to_dict("records")
    ]


def quick(config: ConfigDict) -> None:
    """Few numbers of short walks, and three seeds."""
    config.task.walk_length, config.model.position_width = 9, 27
    config.grid.walks, config.grid.seed = (100, 1000, 3000, "infinite"), range(3)


def study() -> Study:
    """The report on samples beside infinitely many walks."""
    sweeps = (sweep_of(__file__, "finite", quick),)
    return Study(
        name="finite",
        title="Samples and infinitely many walks",
        introduction=(
            "How training on samples comes to that on infinitely many walks: the share of seeds that attend to the "
            "token of the exact run, how far V and the scores u and a of those are from its own, and the exponent of "
            "the number of walks in that distance. Brackets are 95% intervals."
        ),
        exhibits=(
            Exhibit(name="finite", title="How samples come to infinitely many walks", make=approach, sweeps=sweeps),
            Exhibit(name="exponents", title="With what power", make=exponents, sentences=sentences, sweeps=sweeps),
        ),
    )
