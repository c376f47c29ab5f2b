"""Where gradient descent goes first on circles whose walks have several lengths, in float64 NumPy.

A walk of n states has n - 1 tokens and the empty slot, each with the weight 1/n before training. With P(n) the share of
walks of n states and h_k = E V(1)[s_N, s_{N-k}], the first step of gradient descent on the log-loss from zero gives

    V(1)[y, s] = eta / eps sum_n P(n) / n sum_{k < n} P(s_N = y, s_{N-k} = s),

and the second moves the score of the token k states before the target by a positive factor times

    c_k = sum_{n > k} P(n) / n (h_k - m_n) / (m_n + eps),    m_n = 1/n sum_{k < n} h_k,

with the output f_y in the denominator replaced by its mean m_n over the walks of n states. A token k states back is
there only in walks of more than k states: that is what favours the parent where many walks are short.
"""

import numpy as np


def whole_walks(walk_length: int) -> np.ndarray:
    """P(n) for n = 0..N where all walks have N states, float64[N + 1]."""
    return lengths_from(walk_length, walk_length)


def lengths_from(shortest: int, walk_length: int) -> np.ndarray:
    """P(n) for n = 0..N where all lengths from `shortest` to N are equally likely (`training.shortest_walk`)."""
    share = np.zeros(walk_length + 1)
    share[shortest:] = 1 / (walk_length + 1 - shortest)
    return share


def geometric(mean: float, walk_length: int) -> np.ndarray:
    """P(n) for n = 0..N that falls as a power of n from 2 on, float64[N + 1].

    Args:
      mean: what the mean of n would be if there were no largest length.
      walk_length: N.
    """
    n = np.arange(walk_length + 1)
    share = np.where(n >= 2, (1 - 1 / (mean - 1)) ** (n - 2.0), 0)
    return share / share.sum()


def second_scores(num_nodes: int, p: float, lengths: np.ndarray, learning_rate: float, epsilon: float) -> np.ndarray:
    """c_k for k = 1..N-1, float64[N - 1]: the token with the largest is attended to most after the second step.

    Args:
      num_nodes: K.
      p: probability of a clockwise step.
      lengths: P(n) for n = 0..N; 0 for n < 2.
      learning_rate: eta.
      epsilon: that of the log-loss.
    """
    N = len(lengths) - 1
    n, weight = np.arange(N + 1), np.zeros(N + 1)
    weight[2:] = lengths[2:] / n[2:]
    of_longer = np.cumsum(weight[::-1])[::-1]  # sum of P(m) / m over m >= n
    # The law of s_N - s_{N-k} has the Fourier coefficients lambda^k.
    angle = 2 * np.pi * np.arange(num_nodes) / num_nodes
    eigenvalues = p * np.exp(1j * angle) + (1 - p) * np.exp(-1j * angle)
    powers = np.cumprod(np.broadcast_to(eigenvalues, (N - 1, num_nodes)), axis=0)
    first = learning_rate / epsilon * (of_longer[2:] @ powers)
    h = (powers.conj() @ first).real / num_nodes**2
    mean = np.zeros(N + 1)
    mean[2:] = np.cumsum(h) / n[2:]
    gain = weight / (mean + epsilon)
    of_longer_gain = np.cumsum(gain[::-1])[::-1]
    of_longer_loss = np.cumsum((gain * mean)[::-1])[::-1]
    return h * of_longer_gain[2:] - of_longer_loss[2:]
