"""Where attention ends: which lags are stable once attention is one-hot, in float64 NumPy.

Let attention be all but one-hot on lag k, the token k places before the target, with small weights S_k' on other lags.
Then f_y + eps = V[y, s_k] + eps to first order, and the population log-loss moves

- each entry of V alone: dv/dt = J_k[y, s] / (v + eps) with J_k[y, s] = P(s_N = y, s_{N-k} = s), so that V tends to
  sqrt(2 t J_k);
- the scores by da_k'/dt = q^2 S_k' (E[(V[y, s_k'] + eps) / (V[y, s_k] + eps)] - 1), where t counts eta times the steps.

With V in its limit the expectation is R(k'|k) = E sqrt(J_k[y, s_k'] / J_k[y, s_k]). Lag k' gains on lag k if it is
above 1, so that lag k is stable if R(k'|k) < 1 for every other k'. For k' > k and a uniform stationary law it is a mean
Bhattacharyya coefficient, at most 1: an earlier token never wins, and the direct parent, k = 1, is always stable, but
for exact ties such as lags 1 and 3 of four nodes at p = 1/2.

A loss whose derivative is -(f_y + eps)^-a, of which the log-loss is the case a = 1, has dv/dt = J_k / (v + eps)^a, so
that V tends to ((1 + a) t J_k)^b with b = 1 / (1 + a), and R(k'|k) = E[J_k[y, s_k]^-ab J_k[y, s_k']^b] / sum J_k^2b.
For k' > k and a uniform law, P(y, s_k, s_k') = J_k[y, s_k] B[s_k, s_k'] with B doubly stochastic, so that the numerator
is sum_y x_y^T B x_y, x_y = J_k[y, .]^b, and at most sum_y |x_y|^2, the denominator: the parent is stable for every a.
"""

import functools

import numpy as np

from rw_jax.study.errors import ConfigError
from rw_jax.tasks.chain import stationary_law


def circle_matrix(num_nodes: int, p: float) -> np.ndarray:
    """Pi of the circle, float64[K, K]."""
    identity = np.eye(num_nodes)
    return p * np.roll(identity, 1, axis=1) + (1 - p) * np.roll(identity, -1, axis=1)


def exchange_ratios(transition_KxK: np.ndarray, lag: int, most: int, exponent: float = 1.0) -> np.ndarray:
    """R(k'|k) of a stationary walk for k' = 1..most, float64[most]; 1 at k' = k.

    Args:
      transition_KxK: Pi.
      lag: k, at least 1.
      most: the largest k'.
      exponent: a of the loss.
    """
    transition = np.asarray(transition_KxK, np.float64)
    start_K = stationary_law(transition)
    powers = list(_powers(transition, max(lag, most)))
    after_lag = powers[lag]  # [s, y]
    joint_sy = start_K[:, None] * after_lag  # J_k[y, s], transposed
    root = joint_sy ** (1 / (1 + exponent))
    inverse = np.where(joint_sy > 0, np.where(joint_sy > 0, root, 1) ** -exponent, 0) / np.sum(root**2)
    ratios = []
    for other in range(1, most + 1):
        if other > lag:  # s_k' comes first: P(s', s, y) = pi(s') Pi^(k'-k)[s', s] Pi^k[s, y]
            towards = start_K[:, None] * powers[other - lag]
            ratios.append(np.einsum("as,sy,ay,sy->", towards, after_lag, root, inverse, optimize=True))
        elif other < lag:  # s_k' lies between: P(s, s', y) = pi(s) Pi^(k-k')[s, s'] Pi^k'[s', y]
            towards = start_K[:, None] * powers[lag - other]
            ratios.append(np.einsum("sa,ay,ay,sy->", towards, powers[other], root, inverse, optimize=True))
        else:
            ratios.append(1.0)
    return np.array(ratios)


def _powers(transition: np.ndarray, most: int):
    power = np.eye(len(transition))
    for _ in range(most + 1):
        yield power
        power = power @ transition


def is_stable(transition_KxK: np.ndarray, lag: int, most: int, exponent: float = 1.0) -> bool:
    """Whether attention that is one-hot on a lag stays there, whichever of the lags 1..most has a small weight.

    Args: as of `exchange_ratios`.
    """
    others = np.delete(exchange_ratios(transition_KxK, lag, most, exponent), lag - 1)
    return bool((others < 1 - 1e-12).all())  # with R = 1 the two lags are the same to first order


@functools.cache
def stability_threshold(num_nodes: int, lag: int) -> float:
    """p_k of the circle: lag k is stable for p_k <= p < 1, and unstable from 1/2 up to p_k; 1/2 for the direct parent.

    Later lags alone can win, as an earlier one never does; those of the other parity have R = 0 on an even circle.

    Raises:
      ConfigError: if there are less than three nodes, or the lag is below 1.
    """
    if num_nodes < 3 or lag < 1:
        raise ConfigError(f"num_nodes is {num_nodes} and lag {lag}, but must be at least 3 and 1.")
    if lag == 1:
        return 0.5

    def is_unstable(p: float) -> bool:
        return not is_stable(circle_matrix(num_nodes, p), lag, lag)

    grid = np.concatenate([np.linspace(0.5 + 1e-6, 0.99, 400), 1 - np.logspace(-2, -9, 141)])
    unstable = [p for p in grid if is_unstable(p)]
    if not unstable:
        return 0.5
    low = float(unstable[-1])
    high = float(grid[np.searchsorted(grid, low) + 1]) if low < grid[-1] else 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if is_unstable(middle) else (low, middle)
    return high


def steps_to_leave(gap: float, learning_rate: float, squared_norm: float, ratio: float) -> float:
    """Steps until a rival lag has overtaken, from one-hot attention with a gap D between the two scores.

    The gap closes at the rate 2 eta q^2 S (R - 1) with S = exp(-gap): both scores move, in opposite directions. So
    exp(gap) falls by 2 eta q^2 (R - 1) a step, and reaches exp(log 9), a weight of one tenth, after (e^D - 9) /
    (2 eta q^2 (R - 1)) steps.

    Args:
      gap: D.
      learning_rate: eta.
      squared_norm: q.
      ratio: R(k'|k) > 1 of the rival.
    """
    return float((np.exp(gap) - 9) / (2 * learning_rate * squared_norm**2 * (ratio - 1)))
