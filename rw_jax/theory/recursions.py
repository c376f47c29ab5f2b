"""Exact recursions that continue training, in float64 NumPy."""

from collections.abc import Sequence

import numpy as np


def one_hot_training(
    value_KxK: np.ndarray,
    transition_KxK: np.ndarray,
    learning_rate: float,
    epsilon: float,
    steps: Sequence[int],
    exponent: float = 1.0,
) -> np.ndarray:
    """Gradient descent on V while attention is exactly on the direct parent, float64[S, ..., K, K].

    For a loss of f_y whose derivative is -(f_y + eps)^-a; the log-loss has a = 1. Then f_y = V[y, s_{N-1}], and each
    entry moves alone: v += eta pi / (K (v + eps)^a), pi the entry of Pi^T. So (v + eps)^(1 + a) grows by
    (1 + a) eta pi / K a step and by less and less beside it, and V tends in direction to the elementwise power
    1 / (1 + a) of Pi^T.

    Args:
      value_KxK: V at step 0 of the recursion; leading axes are runs.
      transition_KxK: Pi, with the same leading axes. On another lag than the parent's, or on a sample of walks, it is
        K times the share of each pair of the token that is attended to, and the target.
      learning_rate: eta.
      epsilon: that of the loss.
      steps: S increasing numbers of steps after which V is given.
      exponent: a.
    """
    value_KxK = np.array(value_KxK, np.float64)
    drive_KxK = learning_rate * np.swapaxes(transition_KxK, -1, -2) / transition_KxK.shape[-1]
    kept, done = [], 0
    for step in steps:
        for _ in range(step - done):
            value_KxK += drive_KxK / (value_KxK + epsilon) ** exponent
        kept.append(value_KxK.copy())
        done = step
    return np.stack(kept)
