"""Where gradient descent goes first on any Markov chain, in float64 NumPy.

From zero weights the first step of gradient descent on the population log-loss gives V(1) = eta / (eps N) S with
S[y, s] = sum_j P(s_N = y, s_j = s), and leaves the scores. In the second step attention is still uniform, f_y is the
average of V(1)[y, s_j] over all slots, and the score of position j moves by a positive factor times

    E[(V(1)[y, s_j] - f_y) / (f_y + eps)].

Only the first part depends on j, and what u moves by is the same at all positions of a stationary walk. With f_y in the
denominator replaced by its mean over the walks that end in y, and g_y = 1 / (E[f_y; s_N = y] / P(s_N = y) + eps), the
token k places before the target is attended to most for the largest

    c_k = sum_{y, s} g_y S[y, s] P(s_N = y, s_{N-k} = s).

The log-loss weighs the targets by g_y. Where the mean f_y is the same for all y the weights drop out, as on the circle,
where c_k is `closed_forms.token_correlations` up to a factor and a term that is the same for all k.
"""

import numpy as np


def joint_laws(start_K: np.ndarray, transition_KxK: np.ndarray, target_KxK: np.ndarray, walk_length: int) -> np.ndarray:
    """P(s_N = y, s_j = s) for the tokens j = 1..N-1, float64[N - 1, y, s].

    Args:
      start_K: the law of the first state.
      transition_KxK: Pi.
      target_KxK: the law of the target, row = the last token.
      walk_length: N.
    """
    marginals = [np.asarray(start_K, np.float64)]
    after = [np.asarray(target_KxK, np.float64)]
    for _ in range(walk_length - 2):
        marginals.append(marginals[-1] @ transition_KxK)
        after.append(transition_KxK @ after[-1])
    return np.stack([(law[:, None] * ahead).T for law, ahead in zip(marginals, after[::-1], strict=True)])


def token_scores(
    start_K: np.ndarray,
    transition_KxK: np.ndarray,
    target_KxK: np.ndarray,
    walk_length: int,
    learning_rate: float,
    epsilon: float,
) -> np.ndarray:
    """c_k for k = 1..N-1, float64[N - 1]: the token with the largest is attended to most after the second step.

    Args:
      start_K: as `joint_laws`.
      transition_KxK: as there.
      target_KxK: as there.
      walk_length: as there.
      learning_rate: eta.
      epsilon: that of the log-loss.
    """
    joint_LxKxK = joint_laws(start_K, transition_KxK, target_KxK, walk_length)
    sum_KxK = joint_LxKxK.sum(axis=0)
    of_target_K = joint_LxKxK[-1].sum(axis=1)
    first_KxK = learning_rate / (epsilon * walk_length) * sum_KxK
    total_K = (first_KxK * sum_KxK).sum(axis=1) / walk_length  # E[f_y; s_N = y]
    mean_K = np.divide(total_K, of_target_K, out=np.zeros_like(total_K), where=of_target_K > 0)
    weighted_KxK = sum_KxK / (mean_K + epsilon)[:, None]
    return np.einsum("ys,lys->l", weighted_KxK, joint_LxKxK)[::-1]


def scores_of_long_walks(
    stationary_K: np.ndarray, transition_KxK: np.ndarray, most: int, learning_rate: float, epsilon: float
) -> np.ndarray:
    """What c_k / N tends to on ever longer stationary walks, float64[most], for k = 1..most.

    S[y, s] / N tends to pi_y pi_s there and f_y to (eta / eps) pi_y |pi|^2. So the limit is the correlation of two
    functions of the states' probabilities, one at the target and one k states before:

        sum_{y, s} P(s_N = y, s_{N-k} = s) pi_s pi_y / (f_y + eps).

    Where the law is uniform it is the same for all k, and the next order decides.

    Args:
      stationary_K: the stationary law, from which walks start.
      transition_KxK: Pi.
      most: the largest k.
      learning_rate: eta.
      epsilon: that of the log-loss.
    """
    mean_K = learning_rate / epsilon * stationary_K * (stationary_K @ stationary_K)
    of_target_K = stationary_K / (mean_K + epsilon)
    scores = []
    for _ in range(most):
        of_target_K = transition_KxK @ of_target_K
        scores.append((stationary_K**2) @ of_target_K)
    return np.array(scores)


def lead(scores: np.ndarray) -> float:
    """By how much the largest score leads, relative to the spread of all; 0 for a tie, to rounding."""
    second, first = np.sort(scores)[-2:]
    is_tie = first - second <= 1e-12 * np.abs(scores).max()
    return 0.0 if is_tie else float((first - second) / np.ptp(scores))


def lead_of_parent(scores: np.ndarray) -> float:
    """By how much the score of the last token leads all others, relative to the spread of all; 0 for a tie."""
    gap = scores[0] - scores[1:].max()
    return 0.0 if abs(gap) <= 1e-12 * np.abs(scores).max() else float(gap / np.ptp(scores))


def is_informative(transition_KxK: np.ndarray, stationary_K: np.ndarray, walk_length: int) -> bool:
    """Whether a token drawn from a stationary walk at random tells of the target: sum_{l=1}^{N-1} (Pi^l - 1 pi^T) != 0.

    If it does not, V(1) has equal columns, and the second step moves the scores by nothing but what g_y makes of it.
    """
    transition = np.asarray(transition_KxK, np.float64)
    power, total = transition.copy(), np.zeros_like(transition)
    for _ in range(walk_length - 1):
        total += power - stationary_K
        power = power @ transition
    return bool(np.abs(total).max() > 1e-9)


def mixing_rate(transition_KxK: np.ndarray) -> float:
    """The second largest modulus of an eigenvalue of Pi: 0 mixes at once, 1 never."""
    moduli = np.sort(np.abs(np.linalg.eigvals(np.asarray(transition_KxK, np.float64))))
    return float(moduli[-2])


def drift(transition_KxK: np.ndarray, stationary_K: np.ndarray) -> float:
    """How far a stationary walk is from reversible: half the sum of |pi_i Pi_ij - pi_j Pi_ji|, from 0 to 1."""
    flow = stationary_K[:, None] * transition_KxK
    return float(np.abs(flow - flow.T).sum() / 2)


def unevenness(stationary_K: np.ndarray) -> float:
    """How far a law is from uniform: 1 - its entropy over log K, from 0 to 1."""
    positive = stationary_K[stationary_K > 0]
    return float(1 + (positive * np.log(positive)).sum() / np.log(len(stationary_K)))
