"""What weights mean, against patterns that are put in by hand and against slow searches."""

import math

import numpy as np
import pytest

from rw_jax.analysis import interpret, measures
from tests import oracle

TOKENS = np.array([[0, 1, 2, 1], [2, 2, 0, 1]])


def params(parent: float, u=(0.0, 0.0, 0.0)) -> dict[str, np.ndarray]:
    return {"state_scores": np.array(u), "position_scores": np.array([0.3, -0.2, 0.1, parent, 0.5])}


def test_what_is_not_on_the_parent_is_one_less_its_softmax_weight():
    given = params(1.7, (0.4, -0.6, 0.9))
    for tokens, actual in zip(TOKENS, interpret.log_other_attention(given, TOKENS), strict=True):
        scores = [given["state_scores"][s] + a for s, a in zip(tokens, given["position_scores"], strict=False)]
        weights = oracle.softmax(np.array([*scores, 0.5]))
        assert actual == pytest.approx(math.log(1 - weights[3]), rel=1e-12)


def test_it_keeps_its_digits_where_the_weight_is_one_to_rounding_and_where_it_underflows():
    rest = math.log(math.exp(0.3) + math.exp(-0.2) + math.exp(0.1) + math.exp(0.5))
    for parent in (60.0, 3000.0):
        np.testing.assert_allclose(interpret.log_other_attention(params(parent), TOKENS), rest - parent, rtol=1e-14)


def test_the_blocks_of_w_are_cut_between_states_and_positions():
    W = np.arange(25).reshape(5, 5)
    parts = interpret.blocks(W, 2)
    np.testing.assert_array_equal(np.block([[parts[0], parts[1]], [parts[2], parts[3]]]), W)
    assert parts.states_positions.shape == (2, 3)


def test_a_circulant_matrix_has_no_circulant_error_and_another_has_that_of_its_deviation():
    circulant = oracle.transition_matrix(5, 0.7) + 0.3
    assert interpret.circulant_error(circulant) < 1e-15
    deviation = np.zeros((5, 5))
    deviation[0, 0], deviation[1, 1] = 1, -1  # sums to 0 along its diagonal
    actual = interpret.circulant_error(circulant + deviation)
    assert actual == pytest.approx(math.sqrt(2) / np.linalg.norm(circulant + deviation))


@pytest.mark.parametrize("p", [0.5, 0.8, 1.0])
def test_the_multiple_is_the_best_of_a_fine_search(p):
    rng = np.random.default_rng(0)
    pattern = oracle.transition_matrix(4, p).T
    value = 3 * np.sqrt(pattern) + rng.uniform(0, 0.2, (4, 4))
    beta, residual = measures.multiple_of(value, pattern)
    searched = [np.abs(value - candidate * pattern).max() for candidate in np.linspace(0, 10, 20_001)]
    assert residual == pytest.approx(min(searched), abs=1e-3)
    assert np.abs(value - beta * pattern).max() == pytest.approx(residual)


def test_directions_have_no_distance_if_one_is_a_multiple_of_the_other():
    matrix = oracle.transition_matrix(5, 0.7)
    assert measures.direction_distance(matrix, 7 * matrix) < 1e-15
    assert measures.direction_distance(np.array([1.0, 0.0]), np.array([0.0, 2.0])) == pytest.approx(math.sqrt(2))
    assert math.isnan(measures.direction_distance(matrix, np.zeros((5, 5))))
