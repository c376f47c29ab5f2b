"""Closed forms against the enumeration of all walks."""

import numpy as np
import pytest

from rw_jax.analysis.measures import direction_distance
from rw_jax.theory import closed_forms
from tests import oracle


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("num_nodes", "walk_length"), [(3, 3), (5, 6)])
def test_first_value_matrix_is_the_mean_of_target_times_sum_of_tokens(num_nodes, walk_length, p):
    learning_rate, epsilon = 2.0, 0.1
    walks = oracle.all_walks(num_nodes, walk_length)
    expected_KxK = np.zeros((num_nodes, num_nodes))
    for walk, probability in zip(walks, oracle.probabilities(walks, num_nodes, p), strict=True):
        for state in walk[:-1]:
            # At V = 0 the loss has slope -1/eps in f_y, and f_y has slope 1/N in V[y, s] for each token s.
            expected_KxK[walk[-1], state] += learning_rate * probability / (epsilon * walk_length)
    transition_KxK = oracle.transition_matrix(num_nodes, p)
    actual_KxK = closed_forms.first_step_value_matrix(transition_KxK, walk_length, learning_rate, epsilon)
    np.testing.assert_allclose(actual_KxK, expected_KxK, rtol=1e-13)


@pytest.mark.parametrize(("num_nodes", "walk_length", "p"), [(5, 6, 0.7), (6, 7, 0.5), (3, 8, 0.1)])
def test_token_correlations_are_means_of_the_first_value_matrix_at_target_and_token(num_nodes, walk_length, p):
    visits_KxK = first_value(num_nodes, walk_length, p)
    walks = oracle.all_walks(num_nodes, walk_length)
    weights = oracle.probabilities(walks, num_nodes, p)
    means = [weights @ visits_KxK[walks[:, -1], walks[:, -1 - k]] for k in range(1, walk_length)]
    correlations = closed_forms.token_correlations(num_nodes, p, walk_length)
    np.testing.assert_allclose(correlations - correlations[0], np.array(means) - means[0], atol=1e-13)
    assert closed_forms.parent_gap(num_nodes, p, walk_length) == pytest.approx(means[0] - max(means[1:]), abs=1e-13)


def first_value(num_nodes: int, walk_length: int, p: float) -> np.ndarray:
    """sum_l (Pi^T)^l by powers of a matrix."""
    transposed = oracle.transition_matrix(num_nodes, p).T
    return sum(np.linalg.matrix_power(transposed, length) for length in range(1, walk_length))


def test_the_parent_leads_on_few_nodes_but_not_on_many_if_the_walk_drifts():
    assert closed_forms.parent_gap(6, 0.7, 97) > 0.1
    assert closed_forms.parent_gap(31, 0.7, 5000) < -0.03
    assert closed_forms.parent_gap(31, 0.5, 5000) > 0.4


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
@pytest.mark.parametrize(("num_nodes", "walk_length"), [(5, 6), (6, 14)])
def test_the_margin_is_that_of_the_first_value_matrix(num_nodes, walk_length, p):
    column = first_value(num_nodes, walk_length, p)[:, 0]
    largest = oracle.transition_matrix(num_nodes, p)[0] == max(p, 1 - p)
    expected = (column[largest].min() - column[~largest].max()) / column.max()
    assert closed_forms.first_step_margin(num_nodes, p, walk_length) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 0.98])
def test_the_distance_of_the_square_root_is_that_of_the_matrices_and_of_their_columns(p):
    transition = oracle.transition_matrix(6, p)
    for matrix in (transition, transition[:, 0]):
        assert direction_distance(matrix, np.sqrt(matrix)) == pytest.approx(
            closed_forms.square_root_distance(p), abs=1e-7
        )


def test_the_first_step_of_a_deterministic_walk_is_lemma_c1s():
    exact = closed_forms.first_step_value_matrix(oracle.transition_matrix(5, 1.0), 16, 2.0, 0.1)
    np.testing.assert_allclose(exact, closed_forms.symmetric_first_value(5, 16, 2.0, 0.1), rtol=1e-12)
