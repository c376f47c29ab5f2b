"""The reduced form against the full one, a slow loop, and finite differences."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from rw_jax.models import reduced
from rw_jax.models.embeddings import make_embeddings
from rw_jax.models.full import FullTransformer, full_transformer
from rw_jax.models.output_layer import OutputLayer
from rw_jax.models.positions import UNIT_LENGTH
from rw_jax.models.sums import apply_matrix
from tests import oracle

K, N, M = 4, 9, 12
EMBEDDINGS = make_embeddings(K, N, M)


@functools.cache
def reduced_apply(unit_length):
    output_layer = OutputLayer(K, 0, nn.initializers.zeros, apply_matrix)
    model = reduced.ReducedTransformer(EMBEDDINGS, unit_length, output_layer)
    return jax.jit(lambda params, tokens_LxB: model.apply({"params": params}, tokens_LxB))


@functools.cache
def full_apply(unit_length):
    output_layer = OutputLayer(K, 0, nn.initializers.zeros, jnp.matmul)
    model = FullTransformer(EMBEDDINGS, unit_length, output_layer, nn.initializers.zeros)
    return jax.jit(lambda params, tokens_LxB: model.apply({"params": params}, tokens_LxB))


@jax.jit
def pull_back(params, tokens_LxB, gradient_KxB):
    """The gradient of the mean over walks of gradient_KxB . X S."""

    def product(params):
        return jnp.sum(gradient_KxB * reduced_apply("none")(params, tokens_LxB).output_KxB) / gradient_KxB.shape[1]

    return jax.grad(product)(params)


def random_full(seed, scale=0.3):
    generator = np.random.default_rng(seed)
    return {"value": generator.normal(size=(K, K)), "key_query": scale * generator.normal(size=(K + M, K + M))}


def random_reduced(seed):
    generator = np.random.default_rng(seed)
    return {
        "value": generator.normal(size=(K, K)),
        "state_scores": generator.normal(size=K),
        "position_scores": generator.normal(size=N),
    }


def some_tokens(num_walks=6):
    return np.random.default_rng(0).integers(0, K, (N - 1, num_walks))


@pytest.mark.parametrize("unit_length", UNIT_LENGTH)
def test_attention_and_output_equal_those_of_the_full_form(unit_length, float64):
    full, tokens_LxB = random_full(1), some_tokens()
    expected = full_apply(unit_length)(full, tokens_LxB)
    actual = reduced_apply(unit_length)(reduced.project(full, EMBEDDINGS), tokens_LxB)
    assert float(jnp.ptp(actual.attention_NxB)) > 0.01
    np.testing.assert_allclose(actual.attention_NxB, expected.attention_NxB, rtol=1e-12)
    np.testing.assert_allclose(actual.output_KxB, expected.output_KxB, rtol=1e-12, atol=1e-13)


def test_projected_parameters_give_the_scores_of_the_definition(float64):
    full = random_full(2)
    projected = reduced.project(full, EMBEDDINGS)
    for tokens in some_tokens().T:
        scores_N = np.array(projected["position_scores"])
        scores_N[:-1] += np.array(projected["state_scores"])[tokens]
        np.testing.assert_allclose(scores_N, oracle.scores(full["key_query"], tokens, K, "none"), rtol=1e-11)


def test_projection_of_rebuilt_parameters_gives_the_reduced_ones_back(float64):
    moved = random_reduced(3)
    back = reduced.project(reduced.rebuild(moved, random_full(4), EMBEDDINGS), EMBEDDINGS)
    assert back.keys() == moved.keys()
    for name, leaf in moved.items():
        np.testing.assert_allclose(back[name], leaf, rtol=1e-12, atol=1e-12)


def test_rebuilding_without_any_step_gives_the_start_back(float64):
    start = random_full(5)
    back = reduced.rebuild(reduced.project(start, EMBEDDINGS), start, EMBEDDINGS)
    np.testing.assert_array_equal(back["value"], start["value"])
    np.testing.assert_allclose(back["key_query"], start["key_query"], rtol=0, atol=1e-14)


def test_rebuilt_parameters_differ_from_the_start_by_a_matrix_of_rank_one_along_the_query(float64):
    start = random_full(6)
    moved_DxD = np.asarray(reduced.rebuild(random_reduced(7), start, EMBEDDINGS)["key_query"]) - start["key_query"]
    query_D = np.concatenate([np.zeros(K), oracle.positions(N, M)[-1]])
    along_D = moved_DxD @ query_D / (query_D @ query_D)
    np.testing.assert_allclose(moved_DxD, np.outer(along_D, query_D), atol=1e-13)
    assert np.abs(along_D).min() > 1e-3


def test_zero_parameters_attend_to_all_slots_alike_to_the_last_bit():
    params = jax.tree.map(lambda leaf: np.zeros_like(leaf, np.float32), random_reduced(0))
    attention_NxB = reduced_apply("none")(params, some_tokens()).attention_NxB
    np.testing.assert_array_equal(attention_NxB, np.full_like(attention_NxB, np.float32(1) / N))


def never_meeting(gap, empty):
    """Scores whose largest u and largest a lie `gap` above all others and never meet, and tokens to show it.

    In the first walk the best token loses one gap, in the second a position is missed, the third meets no gap.
    """
    generator = np.random.default_rng(8)
    state_scores, position_scores = generator.normal(size=K), generator.normal(size=N)
    state_scores[0] += gap
    position_scores[2] += gap
    position_scores[-1] = empty
    tokens_LxB = generator.integers(1, K, (N - 1, 3))
    tokens_LxB[5, 0] = 0
    tokens_LxB[2, 2] = 0
    return {"value": np.eye(K), "state_scores": state_scores, "position_scores": position_scores}, tokens_LxB


def spread_out(u_range, a_range, empty):
    """Random tokens with u and a spread evenly over their ranges."""
    generator = np.random.default_rng(9)
    position_scores = np.append(generator.permutation(np.linspace(0, a_range, N - 1)), empty)
    params = {"value": np.eye(K), "state_scores": np.linspace(0, u_range, K), "position_scores": position_scores}
    return params, generator.integers(0, K, (N - 1, 5))


SCORES = {
    "moderate": spread_out(2, 3, 1),
    "u over 2000": spread_out(2000, 3, 1990),
    "a over 2000": spread_out(2, 2000, 1000),
    "u and a over 2000": spread_out(2000, 2000, 3000),
    "empty slot far above": spread_out(2, 3, 3000),
    "empty slot above by 60": spread_out(2, 3, 65),
    "empty slot far below": spread_out(2, 3, -3000),
    **{f"apart by {gap}": never_meeting(gap, empty=gap + 0.5) for gap in (10, 26, 29, 50, 310, 325, 700, 1000, 2000)},
    "apart by 1000, empty slot far above": never_meeting(1000, empty=5000),
    "apart by 1000, empty slot far below": never_meeting(1000, empty=-5000),
    "apart by 300, empty slot far below": never_meeting(300, empty=-5000),
}
"""Scores that the factors can and cannot represent: a gap of 27 in float32, of 317 in float64, makes them underflow."""


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("case", SCORES)
def test_averaged_token_its_gradient_and_attention_equal_the_slow_loop(case, precision):
    params, tokens_LxB = SCORES[case]
    # The loop gets the rounded scores: that a score of 2000 in float32 has four digits after the point is no error.
    params = {name: leaf.astype(precision) for name, leaf in params.items()}
    gradient_KxB = np.random.default_rng(10).normal(size=(K, tokens_LxB.shape[1])).astype(precision)
    with jax.enable_x64(precision == "float64"):
        output = reduced_apply("none")(params, tokens_LxB)
        gradient = pull_back(params, tokens_LxB, gradient_KxB)
    assert output.output_KxB.dtype == precision

    u_K, a_N = params["state_scores"].astype(float), params["position_scores"].astype(float)
    # float32 scores lose digits of their sum where |u + a| is large.
    size = np.abs(u_K).max() + np.abs(a_N).max()
    tolerance = np.finfo(precision).eps * (20 + 2 * size)
    u_gradient_K, a_gradient_N = np.zeros(K), np.zeros(N)
    num_walks = tokens_LxB.shape[1]
    for b, tokens in enumerate(tokens_LxB.T):
        weights_N = oracle.softmax(np.append(u_K[tokens] + a_N[:-1], a_N[-1]))
        average_K = oracle.average_token(weights_N, tokens, K)
        np.testing.assert_allclose(output.attention_NxB[:, b], weights_N, rtol=tolerance, atol=tolerance**2)
        np.testing.assert_allclose(output.output_KxB[:, b], average_K, rtol=tolerance, atol=tolerance**2)
        mean = average_K @ gradient_KxB[:, b]
        for j, token in enumerate(tokens):
            pull = weights_N[j] * (gradient_KxB[token, b] - mean) / num_walks
            u_gradient_K[token] += pull
            a_gradient_N[j] += pull
        a_gradient_N[-1] -= weights_N[-1] * mean / num_walks
    np.testing.assert_allclose(gradient["state_scores"], u_gradient_K, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(gradient["position_scores"], a_gradient_N, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", ["moderate", "apart by 1000"])
def test_gradient_of_the_output_equals_finite_differences(case, float64):
    params, tokens_LxB = SCORES[case]
    check_grads(lambda params: reduced_apply("none")(params, tokens_LxB).output_KxB, (params,), order=1, modes=["rev"])


def test_preconditioned_gradients_are_q_times_those_of_states_and_q_squared_those_of_positions():
    gradients = {name: jnp.asarray([0.5, -1.0]) for name in ("value", "state_scores", "position_scores")}
    preconditioned = reduced.precondition(make_embeddings(2, 3, 5))(gradients)
    for name, factor in (("value", 1), ("state_scores", 3), ("position_scores", 9)):
        np.testing.assert_allclose(preconditioned[name], factor * gradients[name], rtol=1e-15)


def test_the_model_as_functions_starts_at_the_projection_of_the_full_start_and_is_rebuilt_from_it(float64):
    arguments = (EMBEDDINGS, "none", 0, "gaussian")
    full, model = full_transformer(*arguments), reduced.reduced_transformer(*arguments)
    key, values = jax.random.key(3), {"init_scale": 0.3}
    start, params = (jax.jit(each.init)(key, values) for each in (full, model))
    for name, leaf in reduced.project(start, EMBEDDINGS).items():
        np.testing.assert_array_equal(params[name], leaf)
    np.testing.assert_allclose(
        model.reduction.to_full(params, key, values)["key_query"], start["key_query"], atol=1e-14
    )
    output, expected = jax.jit(model.apply)(params, some_tokens()), jax.jit(full.apply)(start, some_tokens())
    np.testing.assert_allclose(output.output_KxB, expected.output_KxB, atol=1e-13)
