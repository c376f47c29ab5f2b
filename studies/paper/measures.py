"""Measurements that theorems share: settings of a run, exponents, shares of seeds, V against the step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rw_jax import Run
from rw_jax.analysis import interpret
from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import Estimate, bootstrap_interval, mean_interval, rate_interval, slopes
from rw_jax.study.config import symbol
from rw_jax.study.grid import kept_steps
from rw_jax.theory import recursions
from studies.claim import Evidence
from studies.evidence import Labels, evidence, on_parent, row, transition_matrix


def settings(run: Run) -> list[tuple[Labels, Group]]:
    """The runs by their labels other than the seed, each named by its symbol, in the order of the grid."""
    return [({symbol(axis): label for axis, label in group.labels.items()}, group) for group in run.groups()]


def one_by_one(run: Run, measure: Callable[[Group], float]) -> Evidence:
    """A number without an interval for each setting."""
    return evidence([row(labels, measure(group)) for labels, group in settings(run)])


def params(group: Group, step: int) -> list[dict[str, np.ndarray]]:
    """The parameters of each run of a group at a step."""
    return [group.run.params(step=step, **cell.labels) for cell in group.cells]


def value_matrices(group: Group, step: int) -> np.ndarray:
    """V of each run of a group at a step, float[runs, K, K]."""
    return np.stack([group.run.value_matrix(step=step, **cell.labels) for cell in group.cells])


def success(run: Run, succeed: Callable[[Group], np.ndarray]) -> Evidence:
    """The share of seeds that succeed, bool[runs], for each setting."""
    rows = [row(labels, rate_interval(succeed(group))) for labels, group in settings(run)]
    return evidence(rows, rows)


def attention_success(run: Run) -> Evidence:
    """The share of seeds whose attention is on the direct parent, for each setting."""
    return success(run, on_parent)


def largest_log_other_attention(group: Group, step: int) -> np.ndarray:
    """log(1 - parent weight) of the worst test walk of each run at a step, float[runs]."""
    walks = [group.run.walks("test", **cell.labels)[0] for cell in group.cells]
    pairs = zip(params(group, step), walks, strict=True)
    return np.array([interpret.log_other_attention(weights, tokens).max() for weights, tokens in pairs])


def decay(run: Run, step: int | None = None) -> Evidence:
    """Slope of log(1 - parent weight) of the worst test walk against N at a step, the last if none is given.

    Where a line in log N fits better, as it would to a power of N, there is no estimate.
    """
    by_p: dict[float, dict[int, np.ndarray]] = {}
    for labels, group in settings(run):
        at = group.config.training.steps if step is None else step
        by_p.setdefault(labels["p"], {})[labels["N"]] = largest_log_other_attention(group, at)
    rows, points = [], []
    for p, by_length in by_p.items():
        lengths, logs = np.array(list(by_length)), np.stack(list(by_length.values()), axis=1)
        slope, means = bootstrap_interval(slopes(lengths, logs)), logs.mean(axis=0)
        fits = {"r_squared_in_N": _r_squared(lengths, means), "r_squared_in_log_N": _r_squared(np.log(lengths), means)}
        is_power = fits["r_squared_in_log_N"] > fits["r_squared_in_N"]
        estimate = Estimate(np.nan, np.nan, np.nan, slope.seeds) if is_power else slope
        last = {"log_other_weight_at_largest_N": means[-1], "largest_N": int(lengths[-1])}
        rows.append(row({"p": p}, estimate, slope=slope.mean, **last, **fits))
        points += [{**point, "high": min(point["high"], 0.0)} for point in _means({"p": p}, "N", lengths, logs)]
    return evidence(rows, points)


def _r_squared(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1] ** 2) if len(x) > 2 else np.nan


def against_walks(run: Run, errors: Callable[[Group], np.ndarray]) -> Evidence:
    """Exponent of the number of walks in an error of each run, float[runs], for each p."""
    by_p: dict[float, dict[int, np.ndarray]] = {}
    for labels, group in settings(run):
        by_p.setdefault(labels["p"], {})[labels["walks"]] = errors(group)
    rows, points = [], []
    for p, by_walks in by_p.items():
        walks, stack = np.array(list(by_walks)), np.stack(list(by_walks.values()), axis=1)
        exponent = bootstrap_interval(slopes(np.log(walks), np.log(stack)))
        rows.append(row({"p": p}, exponent, error_at_most_walks=stack[:, -1].mean(), most_walks=int(walks[-1])))
        points += _means({"p": p}, "walks", walks, stack)
    return evidence(rows, points)


def _means(labels: Labels, column: str, places: np.ndarray, samples: np.ndarray) -> list[dict[str, Any]]:
    """Points with the mean and interval of each column of float[seeds, places]."""
    estimates = map(mean_interval, samples.T)
    return [
        {**labels, column: int(place), "estimate": estimate.mean, "low": estimate.low, "high": estimate.high}
        for place, estimate in zip(places, estimates, strict=True)
    ]


class Course(NamedTuple):
    """V of one run: after the steps of training, and where the recursion goes from an early one of them."""

    p: float
    transition: np.ndarray
    trained_steps: np.ndarray
    trained: np.ndarray
    recursion_steps: np.ndarray
    recursion: np.ndarray


_RECURSION_STARTS = 0.05
"""The recursion takes over from training after this share of its steps, so that the rest of them can be compared."""


def courses(run: Run) -> list[Course]:
    """V against the step for each p of a study, by training and by the recursion, 50 times as far."""
    groups = run.groups()
    training = groups[0].config.training
    steps = np.array([step for step in kept_steps(groups[0].config) if step > 0])
    first = int(steps[steps >= _RECURSION_STARTS * steps[-1]][0])
    trained = np.stack([[value_matrices(group, int(step))[0] for step in steps] for group in groups])
    shared = steps[steps >= first]
    ahead = np.unique(np.round(np.geomspace(steps[-1], 50 * steps[-1], 20)).astype(int))
    every = np.unique(np.concatenate([shared, ahead]))
    transition = np.stack([transition_matrix(group) for group in groups])
    start = trained[:, list(steps).index(first)]
    taken = [int(step) - first for step in every]
    recursion = recursions.one_hot_training(start, transition, training.learning_rate, training.epsilon, taken)
    return [
        Course(group.config.task.p, transition[i], steps, trained[i], every, recursion[:, i])
        for i, group in enumerate(groups)
    ]


def exponents(
    courses: list[Course],
    quantity: str,
    measure: Callable[[np.ndarray, np.ndarray], float],
    **more: Callable[[float], float],
) -> Evidence:
    """The exponent of T in a quantity of V and Pi, in the last factor of 100 of the recursion, for each p.

    Args:
      courses: V against the step.
      quantity: what is measured, in words.
      measure: (V, Pi) -> the quantity.
      **more: other columns, as functions of p.
    """
    rows, points = [], []
    for course in courses:
        labels = {"p": course.p}
        trained, recursion = (
            np.array([measure(value, course.transition) for value in values])
            for values in (course.trained, course.recursion)
        )
        parts = {"training": (course.trained_steps, trained), "recursion": (course.recursion_steps, recursion)}
        for source, (steps, values) in parts.items():
            points += [
                {**labels, "source": source, "quantity": quantity, "step": int(step), "value": value}
                for step, value in zip(steps, values, strict=True)
            ]
        window = course.recursion_steps >= course.recursion_steps[-1] / 100
        steps, values = course.recursion_steps[window], recursion[window]
        exponent = float(slopes(np.log(steps), np.log(values)[None])[0])
        ends = {"from_step": int(steps[0]), "to_step": int(steps[-1]), "value_at_the_end": values[-1]}
        rows.append(row(labels, exponent, **ends, **{name: of_p(course.p) for name, of_p in more.items()}))
    return evidence(rows, points)
