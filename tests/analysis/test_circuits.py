"""A model without one of its heads, and how heads feed each other, against sums and norms by hand."""

import jax
import numpy as np
import pytest

import rw_jax
from rw_jax.analysis.circuits import composition, num_heads_of, without_head
from rw_jax.models.decoder import decoder
from rw_jax.models.embeddings import make_embeddings
from rw_jax.models.reduced import reduced_transformer
from tests.tiny import assert_sentence

K, N, B, H = 3, 5, 4, 2

REDUCED = {
    "tokens alone": {},
    "positions that are added": {"position_place": "added"},
    "positions that are added, and a feed-forward layer": {"position_place": "added", "feed_forward_width": 4},
}


def of_reduced(position_place="beside", feed_forward_width=0):
    """(the reduced form of two heads, some parameters of it)."""
    embeddings = make_embeddings(K, N, 7, position_place=position_place)
    model = reduced_transformer(embeddings, "none", feed_forward_width, "gaussian", num_heads=H)
    shapes = jax.eval_shape(model.init, jax.random.key(0), {"init_scale": 0.1})
    rng = np.random.default_rng(0)
    return model, {name: rng.normal(size=leaf.shape) for name, leaf in shapes.items()}


def some_tokens():
    return np.random.default_rng(1).integers(0, K, (N - 1, B))


def softmax(scores):
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum()


def output_of(params, tokens, heads):
    """f(X) of the reduced form, as a sum over these of its heads alone, float64[K]."""
    total = 0
    for h in heads:
        u, a = params["state_scores"][h], params["position_scores"][h]
        weights = softmax(np.array([*(u[token] + a[j] for j, token in enumerate(tokens)), a[-1]]))
        for j, token in enumerate(tokens):
            total = total + weights[j] * params["value"][h][:, token]
        if "position_value" in params:
            total = total + params["position_value"][h] @ weights
    return params["readout"] @ np.maximum(total, 0) if "readout" in params else total


@pytest.mark.parametrize("name", REDUCED)
def test_the_output_without_a_head_is_that_of_the_others(name, float64):
    model, params = of_reduced(**REDUCED[name])
    tokens_LxB, apply = some_tokens(), jax.jit(model.apply)
    assert ("position_value" in params) == ("added" in name)
    for removed in range(H):
        without = apply(without_head(params, 0, removed), tokens_LxB).output_KxB
        for b in range(B):
            expected = output_of(params, tokens_LxB[:, b], [h for h in range(H) if h != removed])
            np.testing.assert_allclose(without[:, b], expected, rtol=1e-10, atol=1e-12)
            assert np.abs(expected - output_of(params, tokens_LxB[:, b], range(H))).max() > 1e-3


def of_layers(num_layers=2, num_heads=H, key_width=2):
    """(a decoder with a residual stream that predicts at the last token, some parameters of it)."""
    model = decoder(
        num_nodes=K, walk_length=N, position_width=4, positions="sine", position_place="beside", embedding="one_hot",
        embedding_width=0, embedding_seed=0, query="last", heads=num_heads, key_width=key_width, layers=num_layers,
        residual="on", layer_norm="off", feed_forward_width=0, init="gaussian", init_place="both",
    )  # fmt: skip
    shapes = jax.eval_shape(model.init, jax.random.key(0), {"init_scale": 0.1})
    rng = np.random.default_rng(2)
    return model, {name: 0.6 * rng.normal(size=leaf.shape) for name, leaf in shapes.items()}


def output_of_layers(params, tokens, removed):
    """What the decoder predicts at the last token, head by head but for one, in plain loops, float64[K]."""
    positions = make_embeddings(K, N, 4).positions_NxM
    stream = [np.concatenate([np.eye(K)[token], positions[t]]) for t, token in enumerate(tokens)]
    num_layers, num_heads, d = params["key"].shape[:3]
    for layer in range(num_layers):
        added = [np.zeros_like(vector) for vector in stream]
        for h in range(num_heads):
            if (layer, h) == removed:
                continue
            for t in range(len(stream)):
                query = params["query"][layer, h] @ stream[t]
                scores = [params["key"][layer, h] @ stream[j] @ query / d**0.5 for j in range(t + 1)]
                averaged = sum(weight * stream[j] for j, weight in enumerate(softmax(np.array(scores))))
                added[t] += params["output"][layer, h] @ params["value"][layer, h] @ averaged
        stream = [vector + more for vector, more in zip(stream, added, strict=True)]
    return params["readout"] @ stream[-1]


def test_a_decoder_without_a_head_is_one_that_never_had_it(float64):
    model, params = of_layers()
    tokens_LxB, apply = some_tokens(), jax.jit(model.apply)
    for removed in ((0, 0), (0, 1), (1, 0), (1, 1), None):
        without = params if removed is None else without_head(params, *removed)
        output_KxB = apply(without, tokens_LxB).output_KxB
        for b in range(B):
            expected = output_of_layers(params, tokens_LxB[:, b], removed)
            np.testing.assert_allclose(output_KxB[:, b], expected, rtol=1e-10, atol=1e-12, err_msg=str(removed))


def test_taking_a_head_away_leaves_the_parameters_that_were_given_as_they_were():
    _, params = of_reduced("added")
    before = {name: leaf.copy() for name, leaf in params.items()}
    without = without_head(params, 0, 1)
    assert list(without) == list(params)
    for name, leaf in before.items():
        np.testing.assert_array_equal(params[name], leaf)
    np.testing.assert_array_equal(without["value"][0], params["value"][0])
    one_head = {"value": np.ones((K, K)), "state_scores": np.ones(K), "position_scores": np.ones(N)}
    assert num_heads_of(one_head) == (1, 1)
    np.testing.assert_array_equal(without_head(one_head, 0, 0)["value"], 0)


@pytest.mark.parametrize(("layer", "head"), [(1, 0), (0, 2), (-1, 0), (0, -1)])
def test_a_head_that_there_is_not_is_refused_in_a_sentence(layer, head):
    with pytest.raises(rw_jax.RunError, match=f"are {layer} and {head}, but must be below 1 and 2, from 0") as refused:
        without_head(of_reduced()[1], layer, head)
    assert_sentence(str(refused.value))


@pytest.mark.parametrize("params", [{"table": np.eye(3)}, {"value": np.ones(3)}, {"value": np.ones((1, 1, 1, 3, 3))}])
def test_parameters_without_a_value_matrix_have_no_heads(params):
    with pytest.raises(rw_jax.RunError, match="must be those of a model with a value matrix") as refused:
        without_head(params, 0, 0)
    assert_sentence(str(refused.value))


def norm(matrix):
    return sum(float(entry) ** 2 for entry in matrix.ravel()) ** 0.5


@pytest.mark.parametrize("key_width", [0, 2])
def test_composition_is_a_share_of_frobenius_norms(key_width):
    num_layers, width = 3, K + 4
    _, params = of_layers(num_layers, key_width=key_width)
    of_pairs = composition({name: leaf.astype(np.float32) for name, leaf in params.items()})
    pairs = [(layer, head, later, other) for later in (1, 2) for layer in range(later)
             for other in range(H) for head in range(H)]  # fmt: skip
    columns = ["layer", "head", "later_layer", "later_head"]
    assert list(of_pairs[columns].itertuples(index=False, name=None)) == pairs
    for _, found in of_pairs.iterrows():
        layer, head, later, other = (int(found[column]) for column in columns)
        reads, wrote = params["value"][later, other], params["value"][layer, head]
        if key_width:
            reads, wrote = params["output"][later, other] @ reads, params["output"][layer, head] @ wrote
            # The score of slot j, looked at from slot t, is (key x_j)^T (query x_t).
            scores = params["key"][later, other].T @ params["query"][later, other]
        else:
            scores = params["key_query"][later, other]  # x_j^T W x_t
        for name, by in (("query", scores), ("key", scores.T), ("value", reads)):
            assert found[name] == pytest.approx(norm(by @ wrote) / (norm(by) * norm(wrote)), rel=1e-5), name
        assert found["chance"] == pytest.approx(width**-0.5)


def test_a_head_that_reads_what_another_writes_by_its_query_alone_is_told_from_one_that_does_by_its_key():
    D = 4
    axes = np.eye(D)
    writes = np.outer(axes[1], axes[0])[None, None]  # moves what is along the first axis to the second
    for name, key_query in (("query", np.outer(axes[3], axes[1])), ("key", np.outer(axes[1], axes[3]))):
        params = {
            "value": np.concatenate([writes, np.zeros_like(writes)]),
            "key_query": np.stack([axes, key_query])[:, None],
            "readout": np.ones((K, D)),
        }
        (found,) = composition(params).to_dict("records")
        assert {axis for axis in ("query", "key") if found[axis] > 0} == {name}
        assert found[name] == 1
        assert np.isnan(found["value"])  # a matrix that is zero has no direction


def test_of_independent_heads_the_mean_square_of_composition_is_that_of_chance():
    rng, D = np.random.default_rng(0), 16
    params = {name: rng.normal(size=(2, 8, D, D)) for name in ("value", "key_query")} | {"readout": np.ones((K, D))}
    found = composition(params)
    assert len(found) == 64
    for name in ("query", "key", "value"):
        assert np.mean(found[name] ** 2) ** 0.5 == pytest.approx(found["chance"].iloc[0], rel=0.03)


def test_one_layer_has_no_pairs_of_heads():
    found = composition(of_layers(num_layers=1)[1])
    assert len(found) == 0
    assert list(found) == ["layer", "head", "later_layer", "later_head", "query", "key", "value", "chance"]


@pytest.mark.parametrize(
    "params",
    [
        {"value": np.ones((H, K, K)), "state_scores": np.ones((H, K)), "position_scores": np.ones((H, N))},
        {"value": np.ones((K, K)), "key_query": np.ones((6, 6))},
        {"value": np.ones((1, H, K, K)), "key_query": np.ones((1, H, 6, 6))},
        {"value": np.ones((1, H, 9, K)), "key_query": np.ones((1, H, 6, 6)), "readout": np.ones((K, 9))},
    ],
    ids=["reduced form", "full form", "decoder", "decoder with the paper's feed-forward layer"],
)
def test_composition_without_a_residual_stream_is_refused_in_a_sentence(params):
    with pytest.raises(rw_jax.RunError, match="of a model without a residual stream") as refused:
        composition(params)
    assert_sentence(str(refused.value))
