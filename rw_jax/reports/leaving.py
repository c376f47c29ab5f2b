"""How long attention takes to leave an unstable lag, beside what is predicted (scripts/leaving.py)."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis.plots.drawing import COLOURS, MARKERS, Picture, legend_below, styled
from rw_jax.models.positions import squared_norm
from rw_jax.study.config import Config
from rw_jax.sweeps.one import train
from rw_jax.theory import lags


class Start(NamedTuple):
    """One-hot attention on a lag of a circle.

    Attributes:
      num_nodes: K.
      p: probability of a clockwise step.
      lag: where attention is.
      gap: by how much the score of the lag leads that of its strongest rival.
    """

    num_nodes: int
    p: float
    lag: int
    gap: float


def rival_of(start: Start) -> tuple[int, float]:
    """The lag with the largest R(k'|k), and that."""
    ratios = lags.exchange_ratios(lags.circle_matrix(start.num_nodes, start.p), start.lag, start.lag)
    ratios[start.lag - 1] = 0
    return int(np.argmax(ratios)) + 1, float(ratios.max())


def starts(nodes: tuple[int, ...], probabilities: tuple[float, ...], gaps: tuple[float, ...], most: int) -> list[Start]:
    """Every start on a lag up to `most` that attention leaves in less than a million steps or so."""
    every = (Start(K, p, lag, gap) for K in nodes for p in probabilities for lag in range(2, most + 1) for gap in gaps)
    return [start for start in every if rival_of(start)[1] > 1 + 1e-2]


def times(base: Config, chosen: list[Start]) -> pd.DataFrame:
    """Trains from each start on infinitely many walks until its rival has a tenth of the weight.

    V starts in its limit, a multiple of the square root of J_k; all other lags are far below.

    Args:
      base: N, M and eta, on infinitely many walks.
      chosen: the starts.

    Returns:
      Columns K, p, lag, rival, ratio, gap, `predicted` and `observed`, in steps; NaN if it has not left in twice the
      time that is predicted.
    """
    N, rows = base.task.walk_length, []
    for start in chosen:
        K, p, lag, gap = start
        rival, ratio = rival_of(start)
        predicted = lags.steps_to_leave(
            gap, base.training.learning_rate, squared_norm(base.model.position_width), ratio
        )
        scores = np.full(N, -60.0)
        scores[N - 1 - lag], scores[N - 1 - rival] = 0.0, -gap
        joint_KxK = np.linalg.matrix_power(lags.circle_matrix(K, p), lag).T / K
        params = {"value": 1000 * np.sqrt(joint_KxK), "state_scores": np.zeros(K), "position_scores": scores}
        steps = max(int(2 * predicted), 10)
        run = train(_recorded(base, steps), init=params, num_nodes=K, p=p, steps=steps)
        recorded = [run.params(step=step)["position_scores"] for step in run.steps]
        overtaken = [each[N - 1 - lag] - each[N - 1 - rival] < np.log(9) for each in recorded]
        observed = float(run.steps[int(np.argmax(overtaken))]) if any(overtaken) else np.nan
        rows.append({**start._asdict(), "rival": rival, "ratio": ratio, "predicted": predicted, "observed": observed})
    return pd.DataFrame(rows).rename(columns={"num_nodes": "K"})


def _recorded(base: Config, steps: int) -> Config:
    """The config with parameters at some 200 of its steps."""
    record = dataclasses.replace(base.record, every=max(steps // 200, 1), parameters="all")
    return dataclasses.replace(base, record=record)


@styled()
def predicted_and_observed(table: pd.DataFrame) -> Picture:
    """The observed time against the predicted one: a point for each start."""
    figure = Figure(figsize=(4.8, 3.6), layout="constrained")
    axes = figure.subplots()
    for (gap, group), colour, marker in zip(table.groupby("gap"), COLOURS, MARKERS, strict=False):
        axes.plot(group["predicted"], group["observed"], marker, color=colour, linestyle="none", label=f"gap {gap:g}")
    ends = np.array([table["predicted"].min(), table["predicted"].max()])
    axes.plot(ends, ends, "k--", linewidth=0.8, label="equal")
    axes.set(xlabel="predicted, gradient steps", ylabel="observed, gradient steps", xscale="log", yscale="log")
    axes.set_title("When attention leaves an unstable lag")
    legend_below(figure, axes)
    return figure, table
