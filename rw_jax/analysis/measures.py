"""What is read off runs: when they have learned, whether their loss is a number, how often states follow each other."""

import numpy as np

from rw_jax.analysis.run import Group
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
    """The share of each next state among the transitions of the test walks from each state, float[runs, K, K]."""
    counts = np.zeros((len(group.cells), *(group.config.task.num_nodes,) * 2))
    for count, cell in zip(counts, group.cells, strict=True):
        tokens, targets = group.run.walks("test", **cell.labels)
        walks = np.concatenate([tokens, targets[:, None]], axis=1)
        np.add.at(count, (walks[:, :-1], walks[:, 1:]), 1)
    return counts / counts.sum(axis=2, keepdims=True)
