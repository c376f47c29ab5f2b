"""The race between states and positions: after the second step, whose scores lie further apart."""

import math

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.interpret import attended_lag
from rw_jax.analysis.statistics import Estimate, rate_interval
from rw_jax.tasks.chain import stationary_law
from rw_jax.theory import chains
from studies.chains.measures import EVEN
from studies.claim import Evidence
from studies.evidence import by_labels, evidence, on_parent, predicts_optimally, row, transition_matrix


def race_table(run: Run) -> pd.DataFrame:
    """Of each training how far positions, and states, lie apart after the second step, and where it ends.

    Returns:
      A row for each run with `chain`, `family`, `law` ("uniform" or "uneven", the stationary one), `N`, `M`, `walks`
      and `seed`; `first`, the lag whose position has the largest score after the second step; `race`, by how much the
      position of the last token leads all others there, in units of the spread of the states' scores; `at_end`, the lag
      with the highest mean weight in the end, and `weight`, that weight; `on_parent`, `optimal` and `diverged`.
    """
    rows = []
    for group in run.groups():
        task, transition = group.config.task, transition_matrix(group)
        is_even = chains.unevenness(stationary_law(transition)) < EVEN
        ends = zip(group.cells, on_parent(group), predicts_optimally(group), strict=True)
        for cell, is_on_parent, is_optimal in ends:
            after_two = run.params(step=2, **cell.labels)
            positions_N, others_N = after_two["position_scores"], np.delete(after_two["position_scores"], -2)
            spread, weights = np.ptp(after_two["state_scores"]), run.mean_attention(step=None, **cell.labels)
            lead = positions_N[-2] - others_N.max()
            rows.append(
                {
                    "chain": group.config.value("graph_seed"),
                    "family": group.config.value("family"),
                    "law": "uniform" if is_even else "uneven",
                    "N": task.walk_length,
                    "M": group.config.model.position_width,
                    "walks": task.walks,
                    "seed": cell.values["seed"],
                    "first": attended_lag(positions_N),
                    "race": float(lead / spread) if spread > 1e-9 * abs(lead) else math.copysign(math.inf, lead),
                    "at_end": attended_lag(weights),
                    "weight": float(weights.max()),
                    "on_parent": bool(is_on_parent),
                    "optimal": bool(is_optimal),
                    "diverged": not np.isfinite(weights).all(),
                }
            )
    return pd.DataFrame(rows)


_BETWEEN = (-math.inf, 0.0, 0.1, 0.3, 1.0, 3.0, 10.0, math.inf)


def who_wins(table: pd.DataFrame) -> Evidence:
    """The share of trainings that are optimal where positions lead by more than states are spread, else of the others.

    Trainings that diverged are left out and counted.
    """
    table = table.assign(bin=pd.cut(table["race"], list(_BETWEEN)))
    rows = []
    for _, group in table.groupby(["walks", "N", "bin"], observed=True):
        walks, N, between = group[["walks", "N", "bin"]].iloc[0]
        diverged, group = int(group["diverged"].sum()), group[~group["diverged"]]
        if len(group):
            agrees = group.assign(agrees=group["optimal"] == (between.left >= 1))
            labels = {"walks": walks, "N": N, "race_from": between.left}
            rows.append(row(labels, _over_chains(agrees, "agrees"), runs=len(group), diverged=diverged))
    return evidence(rows, table.drop(columns="bin"))


def success_by_width(table: pd.DataFrame) -> Evidence:
    """The share of trainings that are optimal, by stationary law, N and M, and of those that are on the last token."""
    rows = []
    for labels, group in by_labels(table, "law", "N", "M"):
        more = {"on_parent": float(group["on_parent"].mean()), "chains": group["chain"].nunique()}
        rows.append(row(labels, _over_chains(group, "optimal"), **more))
    return evidence(rows, table)


def widest(table: pd.DataFrame) -> Evidence:
    """Of the widest positions the share of trainings whose attention ends on the lag that leads after step 2."""
    chosen = table[(table["M"] == table["M"].max()) & ~table["diverged"]]
    rows = []
    for labels, group in by_labels(chosen, "law", "N"):
        ended = group.assign(ended=group["first"] == group["at_end"])
        wrong = group[group["first"] != group["at_end"]]["chain"].tolist()
        rows.append(row(labels, _over_chains(ended, "ended"), runs=len(group), wrong=", ".join(map(str, wrong))))
    return evidence(rows, chosen)


def on_long_walks(run: Run) -> Evidence:
    """Of the chains with an uneven law the share on which the last token has the largest c_k, by η and N."""
    config, rows, first = run.config, [], {}
    for group in run.groups():
        first.setdefault(group.config.value("graph_seed"), group)
    matrices = [transition_matrix(group) for group in first.values()]
    laws = [(stationary_law(transition), transition) for transition in matrices]
    uneven = [(law, transition) for law, transition in laws if chains.unevenness(law) >= EVEN]
    for rate in _RATES:
        rates = (rate, config.training.epsilon)
        for N in (*config.labels("walk_length"), *_LONG):
            scores = [chains.token_scores(law, transition, transition, N, *rates) for law, transition in uneven]
            rows.append(_leading(rate, N, scores))
        limits = [chains.scores_of_long_walks(law, transition, _LONG[0], *rates) for law, transition in uneven]
        rows.append(_leading(rate, math.inf, limits))
    return evidence(rows)


_RATES, _LONG = (0.01, 1.0, 10.0), (200, 1000, 5000)


def _leading(rate: float, N: float, scores: list[np.ndarray]) -> dict[str, object]:
    leads = np.array([np.argmax(of_chain) == 0 for of_chain in scores])
    return row({"η": rate, "N": N}, float(leads.mean()), chains=len(leads), lead=int(leads.sum()))


def _over_chains(group: pd.DataFrame, name: str) -> Estimate:
    """The share of trainings, with an interval over chains, which are what is drawn at random."""
    of_chains = group.groupby("chain")[name].mean().to_numpy(np.float64)
    return rate_interval(of_chains)
