"""How a small difference grows, and how long a small start takes to leave, beside the linearised dynamics."""

import itertools
from typing import Any

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import bootstrap_interval, first_step
from rw_jax.models.positions import squared_norm
from rw_jax.theory.escape import growth_factors
from studies.claim import Evidence
from studies.evidence import evidence, row

_LINEAR = 1e-3
"""The spread of the weights is small, as linearisation wants it, below this."""

_ESCAPED = 1e-2
"""Weights of 1/96 that differ by this much are no longer the same."""


def growth(run: Run) -> Evidence:
    """The measured growth of the spread of the weights in a step over mu_t, by rate and t, from the smallest start."""
    rows = []
    for group in _smallest_starts(run):
        spread, predicted = group.metric("attention_spread"), _predicted(group)
        for t in range(3, len(predicted) - 1):
            if (spread[:, t + 1] < _LINEAR).all():
                measured = spread[:, t + 1] / spread[:, t]
                means = {"measured": measured.mean(), "predicted": predicted[t]}
                labels = {"η": group.config.training.learning_rate, "t": t}
                rows.append(row(labels, bootstrap_interval(measured / predicted[t]), **means))
    return evidence(rows, _escape_points(run))


def _smallest_starts(run: Run) -> list[Group]:
    """The runs from the smallest start, for each rate."""
    return run.groups(init_scale=min(group.config.model.init_scale for group in run.groups()))


def _predicted(group: Group) -> np.ndarray:
    task, training = group.config.task, group.config.training
    q = squared_norm(group.config.model.position_width)
    sizes = (task.num_nodes, task.walk_length, q, training.learning_rate, training.epsilon)
    return growth_factors(*sizes, num_steps=training.steps)


def escape_times(run: Run) -> dict[float, dict[float, np.ndarray]]:
    """By rate and scale of the start, the steps of each seed until weights differ, with the fraction of a step."""
    times: dict[float, dict[float, np.ndarray]] = {}
    for group in run.groups():
        logs, steps = np.log(np.maximum(group.metric("attention_spread"), 1e-300)), group.steps
        after = first_step(logs > np.log(_ESCAPED), steps)
        of_seeds = [
            np.interp(np.log(_ESCAPED), row_T[int(t) - 1 : int(t) + 1], [t - 1, t]) if 0 < t < np.inf else t
            for row_T, t in zip(logs, np.where(np.isfinite(after), after, np.nan), strict=True)
        ]
        by_scale = times.setdefault(group.config.training.learning_rate, {})
        by_scale[group.config.model.init_scale] = np.array(of_seeds)
    return times


def _escape_points(run: Run) -> pd.DataFrame:
    points: list[dict[str, Any]] = []
    for group in _smallest_starts(run):
        spread, rate = group.metric("attention_spread"), group.config.training.learning_rate
        for t, mu in enumerate(_predicted(group)[:-1]):
            if t >= 2 and (spread[:, t + 1] < _LINEAR).all():
                measured = np.exp(np.mean(np.log(spread[:, t + 1] / spread[:, t])))
                points += [{"quantity": "measured", "rate": rate, "step": t, "mean": measured}]
                points += [{"quantity": "predicted", "rate": rate, "step": t, "mean": mu}]
    for rate, by_scale in escape_times(run).items():
        for scale, times in by_scale.items():
            points += [{"quantity": "time", "rate": rate, "scale": scale, "mean": time} for time in times]
    return pd.DataFrame(points)


def escape_slope(run: Run) -> Evidence:
    """How many more steps a start takes that is smaller by a factor of e, over what mu_t predicts for it."""
    rows = []
    for rate, by_scale in escape_times(run).items():
        logs = np.log(_predicted(run.groups(learning_rate=rate)[0])[2:])
        steps, grown = np.arange(2, len(logs) + 3), np.concatenate([[0.0], np.cumsum(logs)])
        scales = sorted(by_scale)
        for smaller, larger in itertools.pairwise(scales):
            # When the larger start has left, the smaller one has this much to grow.
            missing = np.interp(by_scale[larger], steps, grown) + np.log(larger / smaller)
            predicted = np.interp(missing, grown, steps) - by_scale[larger]
            measured = by_scale[smaller] - by_scale[larger]
            labels = {"η": rate, "from_scale": larger, "to_scale": smaller}
            means = {"measured": measured.mean(), "predicted": predicted.mean()}
            rows.append(row(labels, bootstrap_interval(measured / predicted), **means))
    return evidence(rows)
