"""Which slot the second step of gradient descent attends to, for positions of any Gram matrix, in float64 NumPy.

From zero the first step moves V alone, by a multiple of sum_k J_k with J_k[y, s] = P(s_N = y, s_{N-k} = s). While f is
small against epsilon, the second moves the score of a slot along its position by E V[y, s] - f, with f the mean output,
and that of the empty slot by -f. The scores themselves then move by the Gram matrix of the positions. If that is a
multiple of the identity, as of the paper's sines with M >= N, the order of these numbers decides, in which the direct
parent leads by c_1 - c_k (theory.chains). Else every slot takes a share of all others, and the lead has to be larger
than the overlap of the positions.
"""

import numpy as np

from rw_jax.tasks.chain import stationary_law
from rw_jax.theory.chains import joint_laws


def second_scores(transition_KxK: np.ndarray, positions_NxM: np.ndarray) -> np.ndarray:
    """The scores of the N slots after the second step, up to a positive factor and one number, float64[N].

    Args:
      transition_KxK: Pi, of a chain that starts from its stationary law, uniform, and is the same from every state.
      positions_NxM: a row for each slot, the last that of the empty slot; they lie beside one-hot tokens.
    """
    transition, positions = np.asarray(transition_KxK, np.float64), np.asarray(positions_NxM, np.float64)
    N, K = len(positions), len(transition)
    joints = joint_laws(stationary_law(transition), transition, transition, N)  # J_k for k = N - 1, ..., 1
    value = np.sum(joints, axis=0)
    of_lags = np.array([np.sum(value * joint) for joint in joints])
    mean = of_lags.sum() / N
    moved_N = np.concatenate([of_lags - mean, [-mean]])
    # The score of the state moves, too, by the same for every state, which tells all tokens from the empty slot.
    of_state = np.where(np.arange(N) < N - 1, moved_N[:-1].sum() / K, 0.0)
    return positions @ (positions.T @ moved_N) + of_state
