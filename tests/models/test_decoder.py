"""The decoder against a slow loop over slots in NumPy, and against Penzai's layers on the same weights."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.models import decoder as decoders
from rw_jax.models.decoder import decoder
from rw_jax.models.embeddings import make_embeddings
from rw_jax.study.errors import ConfigError
from tests.tiny import some

K, N, B = 5, 7, 6

PARTS = {
    "last query": {"query": "last"},
    "learned positions": {"positions": "learned"},
    "learned embeddings, added": {"embedding": "learned", "position_place": "added", "positions": "learned"},
    "keys and queries": {"key_width": 3, "heads": 2},
    "rotary": {"query": "last", "positions": "rotary", "key_width": 4, "heads": 2},
    "two layers, merged": {"layers": 2, "residual": "on", "heads": 2},
    "feed-forward, last query": {"layers": 1, "residual": "on", "feed_forward_width": 6, "query": "last"},
    "everything": {
        "query": "last", "positions": "rotary", "key_width": 4, "heads": 2, "layers": 3, "residual": "on",
        "feed_forward_width": 7, "layer_norm": "on", "embedding": "learned", "embedding_width": 6,
    },
}  # fmt: skip
FAST = ["everything"]


def shape_of(
    query="empty", positions="sine", embedding="one_hot", embedding_width=0, position_place="beside", key_width=0,
    heads=1, layers=1, residual="off", feed_forward_width=0, layer_norm="off",
):  # fmt: skip
    """The fields of a decoder, of which those that are not given are the paper's."""
    return types.SimpleNamespace(**locals())


def model_of(shape, **others):
    start = {"init": "gaussian", "init_place": "both"}
    return decoder(num_nodes=K, walk_length=N, position_width=8, embedding_seed=0, **start | vars(shape) | others)


def embeddings_of(shape):
    return make_embeddings(
        K, N, 8, shape.positions, shape.embedding, shape.embedding_width, position_place=shape.position_place
    )


def some_params(shape):
    params = jax.jit(model_of(shape).init)(jax.random.key(0), {"init_scale": 0.5})
    rng = np.random.default_rng(0)  # biases, too, are something
    return {name: np.asarray(leaf) + 0.1 * rng.normal(size=leaf.shape) for name, leaf in params.items()}


def some_tokens(num_missing=0):
    tokens_LxB = np.random.default_rng(1).integers(0, K, (N - 1, B))
    tokens_LxB[:num_missing] = K
    return tokens_LxB


def slow(params, tokens, shape):
    """(outputs at each slot, [T, K]; attention of each layer and head, [layers, H, T, T]) of one walk, slot by slot."""
    embeddings, T = embeddings_of(shape), N if shape.query == "empty" else N - 1
    embedding = params.get("embedding", embeddings.tokens_KxE)
    positions = params.get("positions", embeddings.positions_NxM)
    of_tokens, slots = [], []
    for t in range(T):
        token = embedding[tokens[t]] if t < N - 1 and tokens[t] < K else np.zeros(embedding.shape[1])
        both = token + positions[t] if embeddings.are_added else np.concatenate([token, positions[t]])
        slots.append(both)
        of_tokens.append(both if embeddings.are_added else token)
    norms = iter(range(100))

    def read(vectors):
        if shape.layer_norm == "off":
            return vectors
        number = next(norms)
        scaled = [(x - x.mean()) / np.sqrt(x.var() + 1e-6) for x in vectors]
        return [x * params["norm_scale"][number] + params["norm_bias"][number] for x in scaled]

    def turn(vector, t):
        if shape.positions != "rotary":
            return vector
        half = len(vector) // 2
        turned = np.empty_like(vector)
        for i in range(half):
            z = (vector[i] + 1j * vector[i + half]) * np.exp(1j * t / 10000 ** (2 * i / len(vector)))
            turned[i], turned[i + half] = z.real, z.imag
        return turned

    def weights(layer, h, vectors, t):
        scores = []
        for j in range(t + 1):
            if shape.key_width:
                query = turn(params["query"][layer, h] @ vectors[t], t)
                key = turn(params["key"][layer, h] @ vectors[j], j)
                score = query @ key / np.sqrt(shape.key_width)
            else:
                score = vectors[j] @ params["key_query"][layer, h] @ vectors[t]
            is_missing = j < N - 1 and tokens[j] == K and j != t
            scores.append(-np.inf if is_missing else score)
        exponentials = np.exp(np.array(scores) - max(scores))
        return np.concatenate([exponentials / exponentials.sum(), np.zeros(T - t - 1)])

    attention = np.zeros((shape.layers, shape.heads, T, T))
    if shape.residual == "off":
        outputs = []
        for t in range(T):
            total = 0
            for h in range(shape.heads):
                attention[0, h, t] = weights(0, h, slots, t)
                total = total + params["value"][0, h] @ sum(attention[0, h, t, j] * of_tokens[j] for j in range(T))
            outputs.append(params["readout"] @ np.maximum(total, 0) if shape.feed_forward_width else total)
        return np.array(outputs), attention
    stream = [np.array(slot) for slot in slots]
    for layer in range(shape.layers):
        vectors, added = read(stream), []
        for t in range(T):
            total = 0
            for h in range(shape.heads):
                attention[layer, h, t] = weights(layer, h, vectors, t)
                value = params["value"][layer, h] @ sum(attention[layer, h, t, j] * vectors[j] for j in range(T))
                total = total + (params["output"][layer, h] @ value if shape.key_width else value)
            added.append(total)
        stream = [x + more for x, more in zip(stream, added, strict=True)]
        if shape.feed_forward_width:
            for t, vector in enumerate(read(stream)):
                hidden = np.maximum(params["up"][layer] @ vector + params["up_bias"][layer], 0)
                stream[t] = stream[t] + params["down"][layer] @ hidden + params["down_bias"][layer]
    return np.array([params["readout"] @ x for x in read(stream)]), attention


@functools.cache
def of_part(name):
    shape = shape_of(**PARTS[name])
    return shape, model_of(shape)


@pytest.mark.parametrize("name", some(PARTS, *FAST))
def test_output_and_attention_are_those_of_a_slow_loop(name, float64):
    shape, model = of_part(name)
    params = some_params(shape)
    tokens_LxB = some_tokens(num_missing=2)
    output, maps = jax.jit(model.apply)(params, tokens_LxB), jax.jit(model.looks.maps)(params, tokens_LxB)
    outputs = None if shape.query == "empty" else jax.jit(model.every_position)(params, tokens_LxB)
    assert (model.every_position is None) == (shape.query == "empty")
    for b in range(B):
        expected_TxK, attention = slow(params, tokens_LxB[:, b], shape)
        np.testing.assert_allclose(output.output_KxB[:, b], expected_TxK[-1], rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(maps[..., b], attention, rtol=1e-9, atol=1e-12)
        of_query = attention[:, :, -1]
        np.testing.assert_allclose(output.head_attention[:, :, : of_query.shape[2], b], of_query, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(output.attention_NxB[: of_query.shape[2], b], of_query.mean((0, 1)), rtol=1e-9)
        if outputs is not None:
            np.testing.assert_allclose(outputs[..., b], expected_TxK, rtol=1e-9, atol=1e-11)
            assert output.empty_attention_B[b] == 0
    if shape.key_width:
        assert np.ptp(attention[-1, :, -1]) > 0.05


@pytest.mark.parametrize("name", some(["two layers, merged", "everything"], "everything"))
def test_what_a_head_adds_by_itself_is_what_the_output_is_of_full_attention_to_one_state(name, float64):
    # Without norms, with positions and all other parts at zero, and one head, the output is that of the matrix alone.
    shape = shape_of(**{**PARTS[name], "layer_norm": "off", "feed_forward_width": 0})
    model, params = model_of(shape), some_params(shape)
    of_heads = model.looks.head_values(params)
    assert of_heads.shape == (shape.layers, shape.heads, K, K)
    last = shape.layers - 1
    alone = {**params, "value": np.zeros_like(params["value"])}
    alone["value"][last, 1] = params["value"][last, 1]
    with_it, without = (
        jax.jit(model.apply)({**alone, "value": value}, np.full((N - 1, 1), 3)).output_KxB[:, 0]
        for value in (alone["value"], np.zeros_like(params["value"]))
    )
    # Of a walk that stands still, whatever attention is, all of it is on one state; the rest comes of its positions.
    of_positions = embeddings_of(shape).positions_NxM.shape[1]
    if not of_positions:
        np.testing.assert_allclose(with_it - without, of_heads[last, 1, :, 3], rtol=1e-9)
    else:
        E = embeddings_of(shape).tokens_KxE.shape[1]
        expected = params["readout"] @ params["value"][last, 1][:, :E][:, 3]
        np.testing.assert_allclose(of_heads[last, 1, :, 3], expected, rtol=1e-9)


def test_what_follows_does_not_change_what_is_predicted_at_a_token(float64):
    shape, model = of_part("everything")
    params, tokens_LxB = some_params(shape), some_tokens()
    changed = tokens_LxB.copy()
    changed[4:] = (changed[4:] + 1) % K
    one, other = (jax.jit(model.every_position)(params, tokens) for tokens in (tokens_LxB, changed))
    np.testing.assert_array_equal(one[:4], other[:4])
    assert np.abs(one[4:] - other[4:]).min() > 0


def test_learned_parts_start_where_random_ones_are():
    shape = shape_of(embedding="learned", embedding_width=400, positions="learned")
    params = model_of(shape, init="zero").init(jax.random.key(3), {"init_scale": 0.1})
    assert params["embedding"].shape == (K, 400)
    assert params["positions"].shape == (N, 8)
    assert abs(np.mean(np.sum(np.square(params["embedding"]), axis=1)) - 1) < 0.15
    assert abs(np.mean(np.square(params["positions"])) - 0.5) < 0.35
    assert all(np.all(leaf == 0) for name, leaf in params.items() if name not in ("embedding", "positions"))
    random = make_embeddings(K, N, 400, positions="random", embedding="random", embedding_width=400)
    assert abs(np.mean(np.sum(random.tokens_KxE**2, axis=1)) - 1) < 0.15
    assert abs(np.mean(random.positions_NxM**2) - 0.5) < 0.05


def test_a_start_that_other_parameters_replace_is_zero_and_may_be_one_of_products():
    shape = shape_of(key_width=2, residual="on")
    params = model_of(shape, init="runs/first?p=0.5").init(jax.random.key(3), {"init_scale": 0.1})
    assert {name: leaf.shape[:2] for name, leaf in params.items()} == {
        **dict.fromkeys(["key", "query", "value", "output"], (1, 1)),
        "readout": (K, K + 8),
    }
    assert not any(np.any(leaf) for leaf in params.values())
    with pytest.raises(ConfigError, match=r"model\.init is 'zero', but must be 'gaussian' for a product of matrices"):
        model_of(shape, init="zero")


def test_rotary_scores_hang_on_distances_alone(float64):
    vectors = np.random.default_rng(0).normal(size=(2, 6, 4))
    vectors[:] = vectors[:, :1]  # the same query and the same key at every slot
    queries, keys = decoders.turned(jnp.asarray(vectors[0]), 0), decoders.turned(jnp.asarray(vectors[1]), 0)
    scores = np.asarray(queries @ keys.T)
    for distance in range(-5, 6):
        diagonal = np.diagonal(scores, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-12)
    np.testing.assert_allclose(decoders.turned(jnp.asarray(vectors[0, 3:]), 3), queries[3:], rtol=1e-12)


def penzai_decoder(pz, params, shape):
    """The decoder "everything" of Penzai's layers, from tokens, [slots], to outputs, [slots, states]."""

    def parameter(array, *axes):
        return pz.ParameterValue(label="parameter", value=pz.nx.wrap(jnp.asarray(array)).tag(*axes))

    def linear(array, outputs, inputs):
        return pz.nn.Linear(parameter(array, *outputs, *inputs), in_axis_names=inputs, out_axis_names=outputs)

    def bias(array, axis):
        return pz.nn.AddBias(parameter(array, axis), new_axis_names=())

    norms = iter(zip(params["norm_scale"], params["norm_bias"], strict=True))

    def norm():
        scale, shift = next(norms)
        scaled = pz.nn.Linear(parameter(scale, "embedding"), in_axis_names=(), out_axis_names=())
        return [pz.nn.Standardize("embedding", epsilon=1e-6), scaled, bias(shift, "embedding")]

    turned = pz.nn.ApplyRoPE("projection", 10000.0, "token_positions")
    to_heads, seq = ("heads", "projection"), "seq"
    layers = []
    for layer in range(shape.layers):
        query, key, value = (
            linear(params[name][layer], to_heads, ("embedding",)) for name in ("query", "key", "value")
        )
        scores = pz.nn.NamedEinsum(
            ({seq: "tq", "heads": "h", "projection": "p"}, {seq: "tkv", "heads": "h", "projection": "p"}),
            {seq: "tq", "heads": "h", "kv_seq": "tkv"},
        )
        mixed = pz.nn.NamedEinsum(
            ({seq: "tq", "heads": "h", "kv_seq": "tkv"}, {seq: "tkv", "heads": "h", "projection": "p"}),
            {seq: "tq", "heads": "h", "projection": "p"},
        )
        output = pz.nn.Linear(
            parameter(params["output"][layer], "heads", "embedding", "projection"),
            in_axis_names=to_heads, out_axis_names=("embedding",),
        )  # fmt: skip
        attention = pz.nn.Attention(
            input_to_query=pz.nn.Sequential([query, turned, pz.nn.ConstantRescale(shape.key_width**-0.5)]),
            input_to_key=pz.nn.Sequential([key, turned]),
            input_to_value=pz.nn.Sequential([value]),
            query_key_to_attn=pz.nn.Sequential(
                [scores, pz.nn.ApplyCausalAttentionMask(masked_out_value=jnp.array(-1e30)), pz.nn.Softmax("kv_seq")]
            ),
            attn_value_to_output=pz.nn.Sequential([mixed, output]),
        )
        up = [linear(params["up"][layer], ("neurons",), ("embedding",)), bias(params["up_bias"][layer], "neurons")]
        down = [
            linear(params["down"][layer], ("embedding",), ("neurons",)),
            bias(params["down_bias"][layer], "embedding"),
        ]
        layers += [
            pz.nn.Residual(pz.nn.Sequential([*norm(), attention])),
            pz.nn.Residual(pz.nn.Sequential([*norm(), *up, pz.nn.Elementwise(jax.nn.relu), *down])),
        ]
    table = pz.nn.EmbeddingTable(parameter(params["embedding"], "vocabulary", "embedding"), "vocabulary")
    readout = linear(params["readout"], ("states",), ("embedding",))
    return pz.nn.Sequential([pz.nn.EmbeddingLookup(table), *layers, *norm(), readout])


@pytest.mark.slow
def test_a_decoder_is_that_of_penzai_on_the_same_weights(float64):
    pz = pytest.importorskip("penzai.pz", reason="Penzai is not installed")
    shape, model = of_part("everything")
    params, tokens_LxB = some_params(shape), some_tokens()
    theirs = penzai_decoder(pz, params, shape)
    outputs = jax.jit(model.every_position)(params, tokens_LxB)
    positions = pz.nx.wrap(jnp.arange(N - 1)).tag("seq")
    for b in range(B):
        tokens = pz.nx.wrap(jnp.asarray(tokens_LxB[:, b])).tag("seq")
        expected = theirs(tokens, token_positions=positions).unwrap("seq", "states")
        np.testing.assert_allclose(outputs[..., b], expected, rtol=1e-9, atol=1e-11)
