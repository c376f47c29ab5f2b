"""Which power of its probability each entry of V grows as, and how fast V tends there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.measures import direction_distance
from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import Estimate, mean_interval, slopes
from studies.claim import Evidence
from studies.evidence import evidence, row, transition_matrix

SHARP = 0.99
"""Attention has settled on a lag if this much of it is there."""


def _labels(group: Group) -> dict[str, Any]:
    return {"arm": group.labels["arm"], "a": group.labels["exponent"], "p": group.labels["p"]}


def _power(value_KxK: np.ndarray, chance_KxK: np.ndarray, epsilon: float) -> float:
    """The slope of log(V + eps) in the logarithm of the probability, over the entries that have one."""
    has_one = chance_KxK > 0
    return float(slopes(np.log(chance_KxK[has_one]), np.log(value_KxK[has_one] + epsilon)[None])[0])


def _lag(attention_N: np.ndarray) -> int:
    """The lag that attention has settled on; 0 for none."""
    lag = len(attention_N) - 1 - int(np.argmax(attention_N))
    return lag if np.max(attention_N) > SHARP else 0


def _settled(group: Group) -> tuple[int, np.ndarray]:
    """The lag that the one run of a group attends to, and the law of the target after the token there, float[K, K]."""
    lag = _lag(group.run.mean_attention(**group.cells[0].labels))
    return lag, np.linalg.matrix_power(transition_matrix(group), lag).T


def powers(run: Run) -> Evidence:
    """The power of Pi^T that V + eps is after the last step; the points have its distance from the limit over steps.

    Where attention is on lag k it is Pi^k in the place of Pi.
    """
    rows, points = [], []
    for group in run.groups():
        labels, (lag, chance_KxK) = _labels(group), _settled(group)
        values = _values(group)
        found = _power(values[-1], chance_KxK, group.config.training.epsilon)
        rows.append(row(labels, found - _of(labels), power=found, lag=lag))
        points.append({**labels, "kind": "power", "step": 0, "value": found})
        points += [
            {**labels, "kind": "distance", "step": step, "value": distance}
            for step, distance in zip(_steps(group), _distances(values, chance_KxK, labels), strict=True)
        ]
    return evidence(rows, points)


def rates(run: Run) -> Evidence:
    """The exponent of the step in the distance of V's direction from that of the power, over the last decade."""
    rows = []
    for group in run.groups():
        labels, (lag, chance_KxK) = _labels(group), _settled(group)
        steps, values = np.array(_steps(group)), _values(group)
        distances = _distances(values, chance_KxK, labels)
        late = steps >= steps[-1] / 10
        found = float(slopes(np.log(steps[late]), np.log(distances[late])[None])[0])
        rows.append(row(labels, found + _of(labels), exponent_of_step=found, distance=distances[-1], lag=lag))
    return evidence(rows)


def _of(labels: dict[str, Any]) -> float:
    """1 / (1 + a)."""
    return 1 / (1 + labels["a"])


def _steps(group: Group) -> Sequence[int]:
    return [step for step in group.run.steps if step > 0]


def _values(group: Group) -> np.ndarray:
    (cell,) = group.cells
    return np.stack([group.run.value_matrix(step=step, **cell.labels) for step in _steps(group)])


def _distances(values: np.ndarray, chance_KxK: np.ndarray, labels: dict[str, Any]) -> np.ndarray:
    limit_KxK = chance_KxK ** _of(labels)
    return np.array([direction_distance(value_KxK, limit_KxK) for value_KxK in values])


def powers_of_counts(run: Run) -> Evidence:
    """How far V + eps of each seed is from the power of the counts of its sample at the lag that it attends to."""
    rows, points = [], []
    for group in run.groups():
        labels = {"K": group.config.task.num_nodes, "a": group.labels["exponent"], "p": group.config.task.p}
        of_seeds = pd.DataFrame([_of_seed(group, place, labels) for place in range(len(group.cells))])
        points.append(of_seeds.assign(**labels))
        settled = of_seeds[of_seeds["lag"] > 0]
        lags = "/".join(str(lag) for lag in sorted(settled["lag"].unique()))
        nothing = Estimate(np.nan, np.nan, np.nan, 0)
        distance = mean_interval(settled["distance"].to_numpy()) if len(settled) > 1 else nothing
        more = {"from_square_root": float(settled["from_square_root"].mean()), "lags": lags}
        rows.append(row(labels, distance, settled=len(settled), **more))
    return evidence(rows, pd.concat(points, ignore_index=True))


def _of_seed(group: Group, place: int, labels: dict[str, Any]) -> dict[str, Any]:
    cell, run = group.cells[place], group.run
    lag = _lag(run.mean_attention(**cell.labels))
    tokens, targets = run.walks("train", **cell.labels)
    counts_KxK = np.zeros((labels["K"],) * 2)
    np.add.at(counts_KxK, (targets, tokens[:, -lag]), 1)
    has_some = counts_KxK > 0
    grown = run.value_matrix(**cell.labels)[has_some] + group.config.training.epsilon
    distances = {
        name: direction_distance(grown, counts_KxK[has_some] ** power)
        for name, power in (("distance", _of(labels)), ("from_square_root", 0.5))
    }
    return {"seed": cell.labels["seed"], "lag": lag, **distances}
