"""Theorem 4.1: at p = 0 and 1 the transformer learns nothing."""

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import mean_interval
from rw_jax.study.grid import kept_steps
from studies.claim import Claim, Evidence
from studies.evidence import evidence, row
from studies.paper.around import Around
from studies.paper.measures import params, settings, value_matrices
from studies.paper.sweeps import DETERMINISTIC, FULL, POPULATIONS, WIDTH
from studies.rules import Within

OVER_THE_LARGEST = (
    " over the largest, or over η/K, what a step can add to V, if that is larger (with cross-entropy V stays 0)"
)

ROUNDING_OF_VALUES = (
    "float32: for a loss of all outputs, an entry of V is a sum over walks whose order depends on the "
    "entry. The tolerance is 1e-5."
)

OFF_BY = Around(
    name="off_by",
    fields={"steps": 200, **POPULATIONS},
    grid={"walk_length": tuple(range(91, 98)), "p": (0.0, 1.0)},
    quick_fields={"steps": 20},
    quick_grid={"walk_length": (31, 32)},
    follows=(WIDTH,),
)


def of_deterministic_walks(run: Run, measure: Callable[[Group], float]) -> Evidence:
    """A number for each setting; the largest over p = 0 and 1, which mirror each other, and over learning rates."""
    table = pd.DataFrame([{**labels, "estimate": float(measure(group))} for labels, group in settings(run)])
    rows = []
    labels = ["K", "N", "loss"]
    for _, group in table.groupby(labels, sort=False):
        # With a run that has no number the setting is undecided: before it diverged it may have done anything.
        largest, setting = group["estimate"].max(skipna=False), group[labels].iloc[0].to_dict()
        rows.append(row(setting, largest, runs=len(group), diverged=int(group["estimate"].isna().sum())))
    return evidence(rows)


def accuracy_of_deterministic_walks(run: Run) -> Evidence:
    """Largest distance of the accuracy from 1/K at any recorded step."""
    return of_deterministic_walks(
        run, lambda group: np.abs(group.metric("accuracy") - 1 / group.config.task.num_nodes).max()
    )


def attention_of_deterministic_walks(run: Run) -> Evidence:
    """Largest difference between the weights of two tokens of a walk at any recorded step."""
    return of_deterministic_walks(run, lambda group: group.metric("attention_spread").max())


def value_of_deterministic_walks(run: Run) -> Evidence:
    """Largest relative difference between two entries of V at any recorded step."""
    return of_deterministic_walks(
        run, lambda group: np.max([value_spread(group, step) for step in kept_steps(group.config)])
    )


def value_spread(group: Group, step: int) -> float:
    """As spread, of V, over at least eta / K, what a step can add: some losses leave V at 0 up to rounding."""
    return spread(value_matrices(group, step), group.config.training.learning_rate / group.config.task.num_nodes)


def spread(array: np.ndarray, least: float = 0.0) -> float:
    """Largest less smallest entry over the largest absolute one, or `least`; NaN if an entry is not finite."""
    array = np.asarray(array, np.float64)
    if not np.isfinite(array).all():
        return np.nan
    return float(np.ptp(array) / (max(np.abs(array).max(), least) or 1))


def asymmetry(group: Group, step: int) -> float:
    """Largest relative difference within V, u and the scores of the N - 1 positions of a run after a step."""
    (weights,) = params(group, step)
    parts = (weights["state_scores"], weights["position_scores"][:-1])
    # NaN if one is, unlike Python's max.
    return float(np.max([value_spread(group, step), *map(spread, parts)]))


def deterministic_walks_of_other_lengths(run: Run) -> Evidence:
    """Accuracy after the last step, less 1/K, at p = 0 and 1, for lengths with and without N = rK + 1."""
    rows = []
    for _, group in settings(run):
        task = group.config.task
        accuracy, spread = (float(group.metric(name)[0, -1]) for name in ("accuracy", "attention_spread"))
        labels = {"N - 1 mod K": (task.walk_length - 1) % task.num_nodes, "p": task.p, "N": task.walk_length}
        rows.append(row(labels, accuracy - 1 / task.num_nodes, accuracy=accuracy, attention_spread=spread))
    return evidence(rows)


def deterministic_walks_in_full(run: Run) -> Evidence:
    """Accuracy less 1/K after the last step at p = 1 where every entry of W is trained in float32."""
    rows = []
    for labels, group in settings(run):
        if labels["p"] == 1:
            gaps = group.metric("accuracy")[:, -1] - 1 / group.config.task.num_nodes
            spread = float(np.mean(group.metric("attention_spread")[:, -1]))
            rows.append(row(labels, mean_interval(gaps), attention_spread=spread))
    return evidence(rows)


of_populations = functools.partial(
    Claim,
    setting="populations at p = 0 and 1, N = rK + 1",
    rule=Within(0, 1e-5, ROUNDING_OF_VALUES),
    labels=("loss", "K", "N"),
    sweeps=(DETERMINISTIC,),
)
"""A claim on populations at p = 0 and 1."""

CLAIMS = (
    of_populations(
        name="deterministic-accuracy",
        reference="Theorem 4.1",
        statement=(
            "The accuracy is 1/K, for every loss of f_y, here the log-loss, and every learning rate; the other losses, "
            "which are of all outputs, go beyond the theorem."
        ),
        statistic=(
            "Largest distance of the accuracy from 1/K, over p = 0 and 1, all learning rates and all recorded steps."
        ),
        rule=Within(0, 1e-6, "Rounding of a mean over K walks."),
        measure=accuracy_of_deterministic_walks,
    ),
    of_populations(
        name="deterministic-attention",
        reference="Theorem 4.1",
        statement="The weights of the N - 1 tokens are all equal.",
        statistic="Largest difference between the weights of two tokens, over the same runs and steps.",
        rule=Within(0, 0, "The reduced form keeps equal what is equal by symmetry, to the last bit."),
        measure=attention_of_deterministic_walks,
    ),
    of_populations(
        name="deterministic-value",
        reference="Theorem 4.1",
        statement="V is proportional to the all-ones matrix.",
        statistic=(
            "Largest difference between two entries of V" + OVER_THE_LARGEST + ", over the same runs and all steps "
            "with parameters."
        ),
        measure=value_of_deterministic_walks,
    ),
    Claim(
        name="deterministic-lengths",
        reference="Theorem 4.1 without N = rK + 1",
        setting="populations at p = 0 and 1, all N from rK + 1 to (r + 1)K + 1",
        statement=(
            "The accuracy is 1/K whatever N is; the theorem does not say so, and this shows whether its condition"
            " matters."
        ),
        statistic="Accuracy after the last step, less 1/K.",
        rule=Within(-1e-6, 1e-6, "Rounding of a mean over K walks."),
        labels=("N - 1 mod K", "p"),
        sweeps=(OFF_BY,),
        measure=deterministic_walks_of_other_lengths,
    ),
    Claim(
        name="deterministic-full",
        reference="Theorem 4.1, every entry of W trained",
        setting="samples at p = 1, full form, float32",
        statement="The accuracy is 1/K.",
        statistic="Accuracy less 1/K after the last step, mean over seeds with its t interval.",
        rule=Within(-0.05, 0.05, "A constant prediction has an accuracy within 0.05 of 1/6 on 1,000 test walks."),
        labels=("p",),
        sweeps=(FULL,),
        measure=deterministic_walks_in_full,
    ),
)
