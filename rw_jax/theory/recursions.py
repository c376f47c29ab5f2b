"""Exact recursions that continue training, in float64 NumPy."""

from collections.abc import Sequence

import numpy as np


def one_hot_training(
    value_KxK: np.ndarray,
    transition_KxK: np.ndarray,
    learning_rate: float,
    epsilon: float,
    steps: Sequence[int],
) -> np.ndarray:
    """Gradient descent on V for the log-loss while attention is exactly on the direct parent, float64[S, ..., K, K].

    Then f_y = V[y, s_{N-1}], and each entry moves alone: v += eta pi / (K (v + eps)), pi the entry of Pi^T. So an entry
    with pi > 0 grows as sqrt(2 eta pi t / K), and V tends in direction to the elementwise square root of Pi^T.

    Args:
      value_KxK: V at step 0 of the recursion; leading axes are runs.
      transition_KxK: Pi, with the same leading axes.
      learning_rate: eta.
      epsilon: that of the log-loss.
      steps: S increasing numbers of steps after which V is given.
    """
    value_KxK = np.array(value_KxK, np.float64)
    drive_KxK = learning_rate * np.swapaxes(transition_KxK, -1, -2) / transition_KxK.shape[-1]
    kept, done = [], 0
    for step in steps:
        for _ in range(step - done):
            value_KxK += drive_KxK / (value_KxK + epsilon)
        kept.append(value_KxK.copy())
        done = step
    return np.stack(kept)
