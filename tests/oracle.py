"""The paper's section 2 once more, as slow float64 NumPy loops that share nothing with rw_jax."""

import itertools
import math

import numpy as np


def all_walks(num_nodes: int, walk_length: int) -> np.ndarray:
    """Every walk of the circle, int[K 2^(N-1), N]: any first state, then any sequence of steps."""
    walks = []
    for first in range(num_nodes):
        for steps in itertools.product((1, -1), repeat=walk_length - 1):
            walk = [first]
            for step in steps:
                walk.append((walk[-1] + step) % num_nodes)
            walks.append(walk)
    return np.array(walks)


def probabilities(walks: np.ndarray, num_nodes: int, p: float) -> np.ndarray:
    """The probability of each walk, float[B]."""
    transition = transition_matrix(num_nodes, p)
    result = []
    for walk in walks:
        probability = 1 / num_nodes
        for now, following in itertools.pairwise(walk):
            probability *= transition[now, following]
        result.append(probability)
    return np.array(result)


def transition_matrix(num_nodes: int, p: float) -> np.ndarray:
    """Pi: row = now, column = next."""
    transition = np.zeros((num_nodes, num_nodes))
    for i in range(num_nodes):
        transition[i, (i + 1) % num_nodes] = p
        transition[i, (i - 1) % num_nodes] = 1 - p
    return transition


def positions(walk_length: int, width: int) -> np.ndarray:
    """Row i - 1 is p_i."""
    return np.array(
        [[math.sin(m * i * math.pi / (width + 1)) for m in range(1, width + 1)] for i in range(1, walk_length + 1)]
    )


def scores(key_query: np.ndarray, tokens: np.ndarray, num_nodes: int, unit_length: str) -> np.ndarray:
    """The scores x~_i^T W x~_N before the softmax of one walk, float[N], from the columns of X~."""
    walk_length = len(tokens) + 1
    p = positions(walk_length, len(key_query) - num_nodes)
    columns = []
    for i in range(walk_length):
        x = np.zeros(num_nodes)
        if i < len(tokens):
            x[tokens[i]] = 1
        columns.append(np.concatenate([x, p[i]]))
    query = columns[-1]
    if unit_length == "both":
        query = query / math.sqrt(query @ query)
    if unit_length in ("keys", "both"):
        columns = [column / math.sqrt(column @ column) for column in columns]
    return np.array([column @ key_query @ query for column in columns])


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax of a vector."""
    weights = np.array([math.exp(score - max(scores)) for score in scores])
    return weights / math.fsum(weights)


def average_token(attention: np.ndarray, tokens: np.ndarray, num_nodes: int) -> np.ndarray:
    """X S of one walk, float[K]; the empty slot adds nothing."""
    average = np.zeros(num_nodes)
    for weight, token in zip(attention, tokens, strict=False):
        average[token] += weight
    return average


def attention_and_output(
    value: np.ndarray, key_query: np.ndarray, tokens: np.ndarray, unit_length: str
) -> tuple[np.ndarray, np.ndarray]:
    """The softmax weights, float[N], and f(X), float[K], of one walk."""
    attention = softmax(scores(key_query, tokens, len(value), unit_length))
    return attention, value @ average_token(attention, tokens, len(value))


def mean_loss(outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray, epsilon: float) -> float:
    """The weighted mean of -log(f_y + epsilon) over walks; outputs are float[B, K]."""
    total = 0.0
    for output, target, weight in zip(outputs, targets, weights, strict=True):
        total -= weight * math.log(output[target] + epsilon)
    return total / math.fsum(weights)
