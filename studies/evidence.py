"""What measurements of all studies share.

Evidence has a row for each setting with one number that counts, `estimate`, and its 95% interval `low` to `high`, which
is NaN where nothing is random, as on a population. Settings are named by symbols, as in the paper (K, N, M, η, p).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import Estimate, rate_interval
from studies.claim import Evidence

Labels = dict[str, Any]


def row(labels: Labels, estimate: Estimate | float, **more: Any) -> dict[str, Any]:
    """A row of evidence; a number that is no Estimate has no interval."""
    if not isinstance(estimate, Estimate):
        estimate = Estimate(estimate, np.nan, np.nan, 1)
    mean, low, high, seeds = estimate
    return {**labels, "estimate": mean, "low": low, "high": high, "seeds": seeds, **more}


def evidence(rows: list[dict[str, Any]], points: list[dict[str, Any]] | pd.DataFrame | None = None) -> Evidence:
    """Evidence from its rows, which can be none, and, if it has a figure, its points."""
    of_rows = pd.DataFrame(rows) if rows else pd.DataFrame(columns=["estimate", "low", "high", "seeds"])
    return Evidence(of_rows, pd.DataFrame([] if points is None else points))


def by_labels(table: pd.DataFrame, *labels: str) -> Iterator[tuple[Labels, pd.DataFrame]]:
    """The rows of a table that have the same in some columns, in their order, with what they have there."""
    for _, group in table.groupby(list(labels), sort=False):
        yield group[list(labels)].iloc[0].to_dict(), group


def shares(table: pd.DataFrame, labels: Sequence[str], shown: str, *means: str) -> Evidence:
    """The share of seeds for which a column is true, and means of other columns, for each setting.

    Args:
      table: a row for each seed.
      labels: the columns that tell settings apart.
      shown: the column that is true or not.
      means: the columns whose means stand beside it.
    """
    rows = []
    for own, group in by_labels(table, *labels):
        more = {name: float(group[name].mean()) for name in means}
        rows.append(row(own, rate_interval(group[shown].to_numpy(bool)), **more))
    return evidence(rows, table)


def without_intervals(given: Evidence) -> Evidence:
    """Shares without intervals, for claims that every seed must agree with."""
    return given._replace(rows=given.rows.assign(low=np.nan, high=np.nan))


def with_first_steps(table: pd.DataFrame) -> pd.DataFrame:
    """The table with NaN for an infinite `learned_at`, so that means are over the seeds that learn."""
    return table.assign(learned_at=table["learned_at"].replace(np.inf, np.nan))


def transition_matrix(group: Group) -> np.ndarray:
    """Pi of a group, float64[K, K].

    Raises:
      ValueError: if no chain of one token gives the law of the next state.
    """
    transition_KxK = group.run.transition_matrix(**group.cells[0].labels)
    if transition_KxK is None:
        raise ValueError(f"task is {group.config.task.name!r}, but must have a transition matrix.")
    return transition_KxK


def predicts_optimally(group: Group) -> np.ndarray:
    """Whether each run of a group predicts optimally after the last step, bool[C]."""
    return group.metric("predicts_optimally")[:, -1] == 1


def accuracy_gap(group: Group) -> np.ndarray:
    """How far the accuracy of each run after the last step lies below the optimum, float[runs]."""
    return group.metric("optimal_accuracy")[:, -1] - group.metric("expected_accuracy")[:, -1]


def on_parent(group: Group) -> np.ndarray:
    """Whether the attention of each run is highest on the direct parent after the last step, bool[runs]."""
    return group.metric("parent_is_highest")[:, -1] == 1
