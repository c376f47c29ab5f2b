"""Closed forms that training is compared with, in float64 NumPy."""

import numpy as np


def first_step_value_matrix(
    transition_KxK: np.ndarray, walk_length: int, learning_rate: float, epsilon: float
) -> np.ndarray:
    """V(1) = eta / (eps N K) sum_{i=1}^{N-1} (Pi^T)^{N-i}, float64[K, K] (Lemma C.1).

    The value matrix after one step of gradient descent on the expected log-loss, from zero weights. It holds for
    every chain whose states are uniform at all times, as those of the circle are; W does not move in that step.

    Args:
      transition_KxK: Pi.
      walk_length: N.
      learning_rate: eta.
      epsilon: that of the log-loss.
    """
    transposed_KxK = np.asarray(transition_KxK, np.float64).T
    power_KxK, sum_KxK = np.eye(len(transposed_KxK)), np.zeros_like(transposed_KxK)
    for _ in range(walk_length - 1):
        power_KxK = power_KxK @ transposed_KxK
        sum_KxK += power_KxK
    return learning_rate / (epsilon * walk_length * len(transposed_KxK)) * sum_KxK


def token_correlations(num_nodes: int, p: float, walk_length: int) -> np.ndarray:
    """c_k = [Pi^k sum_{l=1}^{N-1} (Pi^T)^l]_{1,1} less a term that is the same for all k, float64[N - 1].

    Up to a positive factor c_k is E[e_y^T V(1) x_{N-k}], which decides what the second step adds to the score of the
    token k places before the target, the direct parent at k = 1 (proof of Lemma C.5): the rest is the same for every
    token once walks are so long that their average token is uniform. Attention goes to the token with the largest c_k.

    Args:
      num_nodes: K.
      p: probability of a clockwise step, 0 < p < 1.
      walk_length: N.

    Returns:
      c_k for k = 1..N-1.
    """
    # Pi is circulant: sums of its powers are sums over its eigenvalues; the one that is 1 adds the same to every c_k.
    angle = 2 * np.pi * np.arange(1, num_nodes) / num_nodes
    eigenvalues = p * np.exp(1j * angle) + (1 - p) * np.exp(-1j * angle)
    conjugate = eigenvalues.conj()
    sums = (conjugate - conjugate**walk_length) / (1 - conjugate)
    powers = np.cumprod(np.broadcast_to(eigenvalues, (walk_length - 1, num_nodes - 1)), axis=0)
    return (powers @ sums).real / num_nodes


def parent_gap(num_nodes: int, p: float, walk_length: int) -> float:
    """By how much the direct parent leads in `token_correlations`; Lemma E.4 says that it is at least C_p > 0."""
    parent, *others = token_correlations(num_nodes, p, walk_length)
    return float(parent - max(others))


def first_step_margin(num_nodes: int, p: float, walk_length: int) -> float:
    """By how much the largest entry of V(1) lies where Pi^T has its largest, over the largest entry (Lemma C.3).

    It is negative where the largest entry lies elsewhere. At p = 1/2, where Pi^T has two largest entries in a column,
    the smaller of the two is compared with the rest. Args as `token_correlations`.
    """
    # The first column of sum_l (Pi^T)^l, from its eigenvalues: how often a walk from node 0 is expected at each node.
    angle = 2 * np.pi * np.arange(num_nodes) / num_nodes
    eigenvalues = p * np.exp(-1j * angle) + (1 - p) * np.exp(1j * angle)
    sums = np.append(walk_length - 1, (eigenvalues[1:] - eigenvalues[1:] ** walk_length) / (1 - eigenvalues[1:]))
    visits_K = np.fft.ifft(sums).real
    largest = [1] if p > 0.5 else [num_nodes - 1] if p < 0.5 else [1, num_nodes - 1]
    return float((visits_K[largest].min() - np.delete(visits_K, largest).max()) / visits_K.max())


def square_root_distance(p: float) -> float:
    """Distance between the directions of Pi^T and of its elementwise square root, for every K.

    It is also the distance between the directions of f_OPT and its square root, and 0 at p = 0, 1/2 and 1 only.
    """
    cosine = (p**1.5 + (1 - p) ** 1.5) / np.sqrt(p**2 + (1 - p) ** 2)
    return float(np.sqrt(max(2 - 2 * cosine, 0)))


def symmetric_first_value(num_nodes: int, walk_length: int, learning_rate: float, epsilon: float) -> float:
    """Every entry of V(1) at p = 0 and 1, N = rK + 1, log-loss: eta r / (eps N K) (Lemma D.1)."""
    return learning_rate * ((walk_length - 1) // num_nodes) / (epsilon * walk_length * num_nodes)
