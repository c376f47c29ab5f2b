"""What the weights of one run mean, in float64 NumPy: attention beyond the resolution of a weight, V against a pattern.

1 - w is 0 to rounding as soon as the weight w of the direct parent is within 1e-7 of 1 (float32). Here it is the sum of
the other weights, in logarithms, from the stored scores, and keeps its digits down to any size.
"""

from typing import NamedTuple

import numpy as np
import scipy.special

Params = dict[str, np.ndarray]


class Blocks(NamedTuple):
    """W by blocks: rows and columns of states, then of positions (appendix B)."""

    states_states: np.ndarray
    states_positions: np.ndarray
    positions_states: np.ndarray
    positions_positions: np.ndarray


def scores(params: Params, tokens_BxL: np.ndarray) -> np.ndarray:
    """Scores before softmax, float64[B, N]: u[s_j] + a_j of each token and a_N of the empty slot.

    Args:
      params: of a reduced form whose x~_i are not scaled.
      tokens_BxL: states 0..K-1.
    """
    u_K, a_N = (np.asarray(params[name], np.float64) for name in ("state_scores", "position_scores"))
    empty_Bx1 = np.full((len(tokens_BxL), 1), a_N[-1])
    return np.hstack([u_K[tokens_BxL] + a_N[:-1], empty_Bx1])


def log_other_attention(params: Params, tokens_BxL: np.ndarray) -> np.ndarray:
    """log(1 - weight of the direct parent) of each walk, float64[B]. Args as `scores`."""
    scores_BxN = scores(params, tokens_BxL)
    others_BxN = np.delete(scores_BxN, -2, axis=1)
    return scipy.special.logsumexp(others_BxN, axis=1) - scipy.special.logsumexp(scores_BxN, axis=1)


def blocks(key_query_DxD: np.ndarray, num_nodes: int) -> Blocks:
    """The blocks of W; num_nodes is K."""
    K = num_nodes
    W = key_query_DxD
    return Blocks(W[:K, :K], W[:K, K:], W[K:, :K], W[K:, K:])


def spectrum(matrix_KxK: np.ndarray) -> np.ndarray:
    """The eigenvalues of the nearest circulant matrix by Fourier mode, complex128[K] (Lemma C.2)."""
    matrix_KxK = np.asarray(matrix_KxK, np.float64)
    i, j = np.indices(matrix_KxK.shape)
    means_K = np.bincount(((i - j) % len(matrix_KxK)).ravel(), matrix_KxK.ravel()) / len(matrix_KxK)
    return np.fft.fft(means_K)


def circulant_error(matrix_KxK: np.ndarray) -> float:
    """Distance to the nearest circulant matrix over the norm, both Frobenius; NaN for a zero matrix (Lemma C.2)."""
    matrix_KxK = np.asarray(matrix_KxK, np.float64)
    i, j = np.indices(matrix_KxK.shape)
    diagonal_KxK = (i - j) % len(matrix_KxK)
    means_K = np.bincount(diagonal_KxK.ravel(), matrix_KxK.ravel()) / len(matrix_KxK)
    return relative_error(means_K[diagonal_KxK], matrix_KxK)


def relative_error(actual: np.ndarray, exact: np.ndarray) -> float:
    """|actual - exact| / |exact| in the Frobenius norm; NaN if `exact` is zero."""
    norm = np.linalg.norm(exact)
    return float(np.linalg.norm(np.asarray(actual, np.float64) - exact) / norm) if norm else np.nan


def attended_lag(attention_N: np.ndarray) -> int | float:
    """How many states before the target the token with the highest weight is; 0 for the empty slot, NaN of NaN."""
    return np.nan if np.isnan(attention_N).any() else len(attention_N) - 1 - int(np.argmax(attention_N))
