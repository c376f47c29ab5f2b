"""Positional embeddings entry by entry, and Lemma E.5."""

import numpy as np
import pytest

from rw_jax.models.positions import sine_positions, squared_norm
from tests import oracle


@pytest.mark.parametrize(("walk_length", "width"), [(1, 1), (4, 7), (7, 7), (97, 1000)])
def test_entries_are_those_of_the_formula(walk_length, width):
    # The oracle's sin sees arguments up to M N pi / (M + 1), about 300 here, which cost it two digits.
    np.testing.assert_allclose(sine_positions(walk_length, width), oracle.positions(walk_length, width), atol=2e-13)


@pytest.mark.parametrize(("walk_length", "width"), [(7, 7), (97, 1000), (101, 1015)])
def test_gram_matrix_is_q_times_the_identity(walk_length, width):
    positions = sine_positions(walk_length, width)
    q = squared_norm(width)
    assert q == (width + 1) / 2
    np.testing.assert_allclose(positions @ positions.T, q * np.eye(walk_length), atol=1e-14 * q)


def test_positions_are_float64_of_walk_length_by_width():
    positions = sine_positions(5, 9)
    assert positions.shape == (5, 9)
    assert positions.dtype == np.float64
