"""The full transformer against a slow loop over the columns of X~, and against weights made by hand."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.models.embeddings import make_embeddings
from rw_jax.models.full import FullTransformer, full_transformer
from rw_jax.models.output_layer import OutputLayer
from rw_jax.models.positions import UNIT_LENGTH, key_scales
from tests import oracle

K, N, M = 5, 8, 11
EMBEDDINGS = make_embeddings(K, N, M)


def transformer(unit_length, initializer, width=0):
    output_layer = OutputLayer(K, width, initializer, jnp.matmul)
    return FullTransformer(EMBEDDINGS, unit_length, output_layer, initializer)


@functools.cache
def apply(unit_length, width=0):
    model = transformer(unit_length, nn.initializers.zeros, width)
    return jax.jit(lambda params, tokens_LxB: model.apply({"params": params}, tokens_LxB))


def some_tokens(num_walks=7):
    """Walks need not be of the circle for the model."""
    return np.random.default_rng(0).integers(0, K, (num_walks, N - 1))


@pytest.mark.parametrize("unit_length", UNIT_LENGTH)
def test_scores_attention_and_output_equal_the_slow_loop(unit_length, float64):
    generator = np.random.default_rng(1)
    params = {"value": generator.normal(size=(K, K)), "key_query": 0.1 * generator.normal(size=(K + M, K + M))}
    tokens_BxL = some_tokens()
    output = apply(unit_length)(params, tokens_BxL.T)
    output_KxB, attention_NxB = output.output_KxB, output.attention_NxB
    for b, tokens in enumerate(tokens_BxL):
        attention_N, output_K = oracle.attention_and_output(params["value"], params["key_query"], tokens, unit_length)
        np.testing.assert_allclose(attention_NxB[:, b], attention_N, rtol=1e-12)
        np.testing.assert_allclose(output_KxB[:, b], output_K, rtol=1e-12, atol=1e-12)
        # Attention determines the scores but for a constant, here the empty slot's score.
        scores_N = oracle.scores(params["key_query"], tokens, K, unit_length)
        assert np.ptp(scores_N) > 0.05
        np.testing.assert_allclose(
            np.log(attention_NxB[:, b] / attention_NxB[-1, b]), scores_N - scores_N[-1], atol=1e-12
        )


@pytest.mark.parametrize("unit_length", UNIT_LENGTH)
def test_zero_weights_attend_to_all_slots_alike_and_output_nothing(unit_length, float64):
    params = {"value": jnp.zeros((K, K)), "key_query": jnp.zeros((K + M, K + M))}
    output = apply(unit_length)(params, some_tokens().T)
    np.testing.assert_array_equal(output.attention_NxB, np.full_like(output.attention_NxB, 1 / N))
    np.testing.assert_array_equal(output.output_KxB, np.zeros_like(output.output_KxB))


def test_weights_made_by_hand_attend_to_the_parent_alone_and_predict_its_row_of_pi(float64):
    positions_NxM = oracle.positions(N, M)
    q = (M + 1) / 2
    key_query = np.zeros((K + M, K + M))
    key_query[K:, K:] = 1000 * np.outer(positions_NxM[-2], positions_NxM[-1]) / q**2  # the parent's score is 1000
    transition_KxK = oracle.transition_matrix(K, 0.7)
    tokens_BxL = some_tokens()
    params = {"value": transition_KxK.T, "key_query": key_query}
    output = apply("none")(params, tokens_BxL.T)
    np.testing.assert_array_equal(output.attention_NxB, np.eye(N)[[N - 2] * len(tokens_BxL)].T)
    np.testing.assert_array_equal(output.output_KxB.T, transition_KxK[tokens_BxL[:, -1]])


def test_a_feed_forward_layer_reads_out_the_positive_part_of_its_units(float64):
    generator = np.random.default_rng(2)
    params = {
        "value": generator.uniform(0.1, 1, (3, K)) * [[1], [-1], [1]],
        "readout": generator.normal(size=(K, 3)),
        "key_query": 0.1 * generator.normal(size=(K + M, K + M)),
    }
    tokens_BxL = some_tokens()
    output = apply("none", 3)(params, tokens_BxL.T)
    for b, tokens in enumerate(tokens_BxL):
        hidden = params["value"] @ oracle.average_token(output.attention_NxB[:, b], tokens, K)
        np.testing.assert_allclose(output.output_KxB[:, b], params["readout"] @ np.maximum(hidden, 0), rtol=1e-12)


@pytest.mark.parametrize("width", [0, 3])
def test_parameters_start_as_the_initializer_says(width):
    init = jax.jit(transformer("none", nn.initializers.constant(3.0), width).init)
    params = init(jax.random.key(0), jnp.zeros((N - 1, 1), jnp.int32))["params"]
    values = {"value": (3, K), "readout": (K, 3)} if width else {"value": (K, K)}
    assert {name: leaf.shape for name, leaf in params.items()} == {**values, "key_query": (K + M, K + M)}
    assert all((leaf == 3).all() for leaf in params.values())


def test_walks_of_another_length_are_refused():
    with pytest.raises(AssertionError, match=r"has shape \(8, 1\) but expected \(7, None\)"):
        apply("none")({}, np.zeros((N, 1), int))


def test_an_unknown_unit_length_is_refused():
    with pytest.raises(ValueError, match="unit_length is 'half', but must be one of none, keys, both"):
        key_scales("half", 1.0)


@pytest.mark.parametrize("width", [0, 3])
def test_the_model_as_functions_starts_at_zero_or_gaussian_and_gives_the_module_of_its_parameters(width, float64):
    zero, gaussian = (full_transformer(EMBEDDINGS, "none", width, init) for init in ("zero", "gaussian"))
    key, values = jax.random.key(0), {"init_scale": 0.5}
    assert all((leaf == 0).all() for leaf in zero.init(key, values).values())
    params = gaussian.init(key, values)
    assert np.std(params["key_query"]) == pytest.approx(0.5, rel=0.2)
    expected = apply("none", width)(params, some_tokens().T)
    np.testing.assert_allclose(gaussian.apply(params, some_tokens().T).output_KxB, expected.output_KxB, rtol=1e-12)
    np.testing.assert_array_equal(gaussian.looks.value(params), params["value"])
    assert gaussian.looks.value_is_output == (width == 0)
    assert gaussian.reduction is None
