"""How fast gradient descent leaves the symmetric state of Theorem 4.1 once it is off it, from closed forms.

On K deterministic walks (p = 1) of N = rK + 1 states every token weighs the same in every walk, and V has equal
columns, if both are so at the start: three numbers tell the whole training, and a small difference between the weights
of two tokens is multiplied by a factor of its own at each step.
"""

import numpy as np


def growth_factors(
    num_nodes: int, walk_length: int, squared_norm: float, learning_rate: float, epsilon: float, num_steps: int
) -> np.ndarray:
    """By what a step multiplies a small difference of attention weights, mu_t, float64[num_steps]; NaN for t = 0, 1.

    mu_t = 1 + eta q S_t sqrt(r / K) / (f_t + epsilon), with S_t = 1 / (N - 1) the weight of each token and f_t the
    output for the target. A difference of V along a state moves the scores of all tokens of a residue class, through u
    and a by eta q^2 and more, and one of these scores moves V: the two drive each other. It takes an empty slot without
    weight, which gradient descent brings about at its second step.

    Args:
      num_nodes: K.
      walk_length: N = rK + 1.
      squared_norm: q, of a positional embedding.
      learning_rate: eta.
      epsilon: that of the log-loss.
      num_steps: how many steps.

    Raises:
      ValueError: if K does not divide N - 1.
    """
    repeats, rest = divmod(walk_length - 1, num_nodes)
    if rest:
        raise ValueError(f"walk_length is {walk_length}, but must be one more than a multiple of {num_nodes}.")
    states = symmetric_training(num_nodes, walk_length, squared_norm, learning_rate, epsilon, num_steps)
    weight, output = states[:, 0], states[:, 1]
    factors = 1 + learning_rate * squared_norm * weight * np.sqrt(repeats / num_nodes) / (output + epsilon)
    factors[:2] = np.nan
    return factors


def symmetric_training(
    num_nodes: int, walk_length: int, squared_norm: float, learning_rate: float, epsilon: float, num_steps: int
) -> np.ndarray:
    """The weight of each token and the output for the target at steps 0 to num_steps - 1, float64[num_steps, 2].

    With v the entries of V, S the weight of a token, S_e that of the empty slot and g = 1 / (f + epsilon), a step moves
    v by eta g r S / K, u by eta q g r S S_e v, a token's a_j by eta q^2 g S S_e v and the empty slot's by
    -eta q^2 g S_e f. Args: as of growth_factors.
    """
    num_tokens, rate, q = walk_length - 1, learning_rate, squared_norm
    repeats = num_tokens / num_nodes
    value, token_score, empty_score, states = 0.0, 0.0, 0.0, []
    for _ in range(num_steps):
        ratio = np.exp(min(empty_score - token_score, 700.0))  # weights of the empty slot and of a token
        weight, empty = 1 / (num_tokens + ratio), ratio / (num_tokens + ratio)
        output = value * num_tokens * weight
        slope = 1 / (output + epsilon)
        states.append((weight, output))
        token_score += rate * q * (repeats + q) * slope * weight * empty * value
        empty_score -= rate * q**2 * slope * empty * output
        value += rate * slope * repeats * weight / num_nodes
    return np.array(states)
