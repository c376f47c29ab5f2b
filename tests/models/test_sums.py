"""Sums, look-ups and products in a fixed order, against loops and NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.models import sums

K = 4


@pytest.mark.parametrize("positions_a_round", [sums._ON_CPU, sums._ON_ACCELERATORS])
@pytest.mark.parametrize("one_weight_for_all_walks", [True, False])
def test_sums_by_state_of_either_kind_equal_the_slow_loop(positions_a_round, one_weight_for_all_walks, float64):
    tokens_LxB = np.random.default_rng(11).integers(0, K, (37, 5)).astype(np.int8)
    weights = np.random.default_rng(12).normal(size=37 if one_weight_for_all_walks else (37, 5))
    expected_KxB = np.zeros((K, 5))
    for j in range(37):
        for b in range(5):
            expected_KxB[tokens_LxB[j, b], b] += weights[j] if one_weight_for_all_walks else weights[j, b]
    sums_of = jax.jit(sums._sums_in_rounds, static_argnums=(2, 3))
    actual_KxB = sums_of(weights, tokens_LxB, K, positions_a_round)
    np.testing.assert_allclose(actual_KxB, expected_KxB, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("positions_a_round", [sums._ON_CPU, sums._ON_ACCELERATORS])
def test_positions_of_no_weight_are_passed_over_and_a_batch_has_the_same_bits(positions_a_round):
    generator = np.random.default_rng(16)
    tokens = jnp.asarray(generator.integers(0, K, (3, 37, 5)), jnp.int8)
    weights = jnp.asarray(generator.uniform(size=(3, 37)), jnp.float32)
    weights = weights.at[0, ::2].set(0).at[1, 5:].set(0)
    sums_of = functools.partial(sums._sums_in_rounds, num_nodes=K, positions_a_round=positions_a_round)
    for number, (weights_L, tokens_LxB) in enumerate(zip(weights, tokens, strict=True)):
        order, counted = sums.in_order(weights_L != 0)
        assert counted == [18, 5, 37][number]
        np.testing.assert_array_equal(order[:counted], np.flatnonzero(weights_L))
        # Weights of each walk's own are never passed over.
        of_each = sums_of(jnp.broadcast_to(weights_L[:, None], (37, 5)), tokens_LxB)
        np.testing.assert_array_equal(sums_of(weights_L, tokens_LxB), of_each)
    batch = jax.vmap(sums_of)(weights, tokens)
    np.testing.assert_array_equal(batch, jnp.stack(list(map(sums_of, weights, tokens))))


def test_weights_of_a_single_walk_can_be_differentiated():
    tokens_Lx1 = jnp.array([[0], [2], [0]], jnp.int8)
    gradient = jax.jit(jax.grad(lambda weights: sums.sums_by_state(weights, tokens_Lx1, 3)[0, 0]))(jnp.ones((3, 1)))
    np.testing.assert_array_equal(gradient, [[1], [0], [1]])


@pytest.mark.parametrize("num_nodes", [1, 4, 5, 6, 7, 12, 20, 128])
def test_looking_up_equals_indexing(num_nodes):
    tokens_LxB = np.random.default_rng(14).integers(0, num_nodes, (99, 6))
    table_KxB = np.random.default_rng(13).normal(size=(num_nodes, 6)).astype(np.float32)
    np.testing.assert_array_equal(sums.look_up(table_KxB[:, 0], tokens_LxB), table_KxB[:, 0][tokens_LxB])
    by_walk_LxB = np.take_along_axis(table_KxB, tokens_LxB, axis=0)
    np.testing.assert_array_equal(sums.look_up(table_KxB, tokens_LxB), by_walk_LxB)


def test_applied_matrix_and_its_gradient_equal_numpys(float64):
    generator = np.random.default_rng(14)
    matrix_KxK, vectors_KxB, gradient_KxB = (generator.normal(size=shape) for shape in [(7, 7), (7, 31), (7, 31)])
    product_KxB, pull = jax.vjp(sums.apply_matrix, jnp.asarray(matrix_KxK), jnp.asarray(vectors_KxB))
    np.testing.assert_allclose(product_KxB, matrix_KxK @ vectors_KxB, rtol=1e-12, atol=1e-13)
    matrix_gradient_KxK, vectors_gradient_KxB = pull(jnp.asarray(gradient_KxB))
    np.testing.assert_allclose(matrix_gradient_KxK, gradient_KxB @ vectors_KxB.T, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(vectors_gradient_KxB, matrix_KxK.T @ gradient_KxB, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("size", [5, 6, 7, 12, 20])
def test_applied_matrix_of_equal_entries_gives_equal_rows_to_the_last_bit(size):
    vectors_KxB = jnp.tile(jnp.asarray(np.random.default_rng(15).normal(size=101), jnp.float32), (size, 1))
    matrix_KxK = jnp.full((size, size), 0.1, jnp.float32)
    product_KxB, pull = jax.vjp(sums.apply_matrix, matrix_KxK, vectors_KxB)
    for array in (product_KxB, *pull(vectors_KxB)):
        np.testing.assert_array_equal(array, jnp.broadcast_to(array[:1], array.shape))
