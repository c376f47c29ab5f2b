"""What is read off runs and matrices: when runs have learned, distances between directions, multiples of a pattern."""

import numpy as np

from rw_jax.analysis.groups import Group
from rw_jax.analysis.statistics import first_step

LEARNED = 0.95
"""A run has learned at the first recorded step at which its expected accuracy is this share of the optimum."""


def steps_to_learn(group: Group) -> np.ndarray:
    """When each run has learned, float[runs]; infinite if it never does."""
    expected, optimum = (group.metric(name) for name in ("expected_accuracy", "optimal_accuracy"))
    return first_step(expected >= LEARNED * optimum, group.steps)


def loss_is_undefined(group: Group) -> np.ndarray:
    """Whether the loss of each run is no number at the last step, as where f_y + epsilon < 0 in a walk, bool[runs]."""
    return ~np.isfinite(group.metric("train_loss")[:, -1])


def transition_shares(group: Group) -> np.ndarray:
    """The share of each next state among the transitions of the test walks from each state, float[runs, K, K].

    A walk counts by its weight: 1 if it was sampled, its probability if it is of the population.
    """
    counts = np.zeros((len(group.cells), *(group.config.task.num_nodes,) * 2))
    for count, cell in zip(counts, group.cells, strict=True):
        tokens, targets = group.run.walks("test", **cell.labels)
        walks = np.concatenate([tokens, targets[:, None]], axis=1)
        weights_Bx1 = group.run.walk_weights("test", **cell.labels)[:, None]
        np.add.at(count, (walks[:, :-1], walks[:, 1:]), weights_Bx1)
    return counts / counts.sum(axis=2, keepdims=True)


def direction(matrix: np.ndarray) -> np.ndarray:
    """The matrix at unit Frobenius norm, float64; NaN if it is zero or not finite."""
    matrix = np.asarray(matrix, np.float64)
    with np.errstate(invalid="ignore"):
        return matrix / np.linalg.norm(matrix)


def direction_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Distance between two arrays, each scaled to unit Frobenius norm; NaN if one is zero."""
    return float(np.linalg.norm(direction(one) - direction(other)))


def multiple_of(value_KxK: np.ndarray, pattern_KxK: np.ndarray) -> tuple[float, float]:
    """The beta that makes the largest absolute entry of V - beta * pattern smallest, and that entry (Lemma C.7).

    Args:
      value_KxK: V.
      pattern_KxK: Pi^T, not negative.
    """
    value, pattern = np.asarray(value_KxK, np.float64), np.asarray(pattern_KxK, np.float64)
    inside = pattern > 0
    ratios, weights = value[inside] / pattern[inside], pattern[inside]
    # max_i w_i |r_i - beta| is smallest where the two entries that are hardest to reconcile are equally far.
    pairs = np.abs(ratios[:, None] - ratios) * (weights[:, None] * weights) / (weights[:, None] + weights)
    i, j = np.unravel_index(np.argmax(pairs), pairs.shape)
    beta = (weights[i] * ratios[i] + weights[j] * ratios[j]) / (weights[i] + weights[j])
    return float(beta), float(max(pairs.max(), np.abs(value[~inside]).max(initial=0)))
