"""How long attention takes to leave an unstable lag, beside what is predicted."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import rw_jax
from rw_jax.analysis.plots.drawing import COLOURS, MARKERS, Picture, legend_below, styled
from rw_jax.models.positions import squared_norm
from rw_jax.study.config import Config
from rw_jax.study.flags import from_config_dict
from rw_jax.theory import lags
from studies.sweeps import StudyCommand


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
        run = rw_jax.train(_recorded(base, steps), init=params, num_nodes=K, p=p, steps=steps)
        recorded = [run.params(step=step)["position_scores"] for step in run.steps]
        overtaken = [each[N - 1 - lag] - each[N - 1 - rival] < np.log(9) for each in recorded]
        observed = float(run.steps[int(np.argmax(overtaken))]) if any(overtaken) else np.nan
        rows.append({**start._asdict(), "rival": rival, "ratio": ratio, "predicted": predicted, "observed": observed})
    return pd.DataFrame(rows).rename(columns={"num_nodes": "K"})


def _recorded(base: Config, steps: int) -> Config:
    """The config with parameters at some 200 of its steps."""
    record = dataclasses.replace(base.record, every=max(steps // 200, 1), parameters="all")
    return dataclasses.replace(base, record=record)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Leaving:
    """A training from every start, at a rate so small that no step overshoots: ten minutes on 2 cores."""

    name: str = "leaving"

    def planned(self, command: StudyCommand) -> Callable[[], pd.DataFrame]:
        """As Sweep.planned, with the table of `times` in the place of a run."""
        config = rw_jax.base_config()
        config.task.walk_length, config.model.position_width = 9, 13
        config.task.walks, config.task.test_walks, config.precision = "infinite", 20, "float64"
        config.training.learning_rate = 4e-3 if command.is_quick else 1e-3
        base = from_config_dict(config)
        if command.is_quick:
            return lambda: times(base, [Start(6, 0.5, 3, 3.5)])
        chosen = starts(nodes=(6, 9, 12), probabilities=(0.5, 0.6, 0.7), gaps=(3.0, 4.0), most=4)
        return lambda: times(base, chosen)


def sentences(table: pd.DataFrame) -> list[str]:
    """What the table says, in a sentence."""
    ratios = table["observed"] / table["predicted"]
    return [
        f"From {len(table)} starts attention left the lag in {int(ratios.notna().sum())}, in {ratios.min():.2f} to "
        f"{ratios.max():.2f} times the predicted steps, {ratios.median():.2f} in the median."
    ]


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
