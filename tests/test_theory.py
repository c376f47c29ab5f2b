"""Closed forms against the enumeration of all walks; test_train.py compares training with them."""

import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax import theory
from tests import oracle


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("num_nodes", "walk_length"), [(3, 3), (5, 6)])
def test_first_value_matrix_is_the_mean_of_target_times_sum_of_tokens(num_nodes, walk_length, p, float64):
    learning_rate, epsilon = 2.0, 0.1
    walks = oracle.all_walks(num_nodes, walk_length)
    expected_KxK = np.zeros((num_nodes, num_nodes))
    for walk, probability in zip(walks, oracle.probabilities(walks, num_nodes, p), strict=True):
        for state in walk[:-1]:
            # At V = 0 the loss has slope -1/eps in f_y, and f_y has slope 1/N in V[y, s] for each token s.
            expected_KxK[walk[-1], state] += learning_rate * probability / (epsilon * walk_length)
    transition_KxK = jnp.asarray(oracle.transition_matrix(num_nodes, p))
    actual_KxK = theory.first_step_value_matrix(transition_KxK, walk_length, learning_rate, epsilon)
    np.testing.assert_allclose(actual_KxK, expected_KxK, rtol=1e-13)
