"""Success by the learning rate."""

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.numbers import text
from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import rate_interval
from studies.claim import Evidence
from studies.evidence import evidence, on_parent, predicts_optimally, row

FLOW = "flow"
"""What gradient flow is called where others have a learning rate."""


def _training(group: Group) -> str:
    return text(group.labels["learning_rate"]) if group.labels["optimizer"] == "gd" else FLOW


def same_outcomes(run: Run) -> Evidence:
    """The share of seeds that at each rate do as they do at the largest; the points are the shares that succeed."""
    shares = {}
    for group in run.groups():
        shares[str(group.labels["arm"]), _training(group)] = predicts_optimally(group), on_parent(group)
    order = list(dict.fromkeys(training for _, training in shares))
    rows, points = [], []
    for (arm, training), (optimal, parent) in shares.items():
        share = rate_interval(optimal)
        points.append(
            {
                "arm": arm, "η": training, "optimal": share.mean, "low": share.low, "high": share.high,
                "on_parent": float(np.mean(parent)), "seeds": share.seeds,
            }
        )  # fmt: skip
        if training != order[0]:  # seeds have the walks and starts there that they have here
            at_largest = shares[arm, order[0]][0]
            same = rate_interval(optimal == at_largest)
            optimal_of = {"optimal": share.mean, "optimal_at_largest": float(np.mean(at_largest))}
            rows.append(row({"arm": arm, "η": training}, same, **optimal_of))
    return evidence(rows, pd.DataFrame(points))
