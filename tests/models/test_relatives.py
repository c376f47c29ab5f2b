"""Heads and fixed embeddings: the reduced form against the full one, and both as corners of a decoder."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rw_jax.models.decoder import decoder
from rw_jax.models.embeddings import make_embeddings
from rw_jax.models.full import full_transformer
from rw_jax.models.reduced import project, rebuild, reduced_transformer
from rw_jax.tasks import Walks
from rw_jax.training.losses import log_loss
from rw_jax.training.objectives import mean_loss
from tests.tiny import some

K, N, B = 4, 7, 20

RELATIVES = {
    "heads": {"heads": 3},
    "narrow sines": {"position_width": 4},
    "random positions": {"positions": "random"},
    "one-hot positions": {"positions": "one_hot"},
    "no positions": {"positions": "none"},
    "added": {"position_place": "added"},
    "added one-hot positions": {"position_place": "added", "positions": "one_hot", "heads": 2},
    "random tokens": {"embedding": "random"},
    "narrow random tokens": {"embedding": "random", "embedding_width": 3, "heads": 2},
    "random tokens, added": {"embedding": "random", "position_place": "added", "positions": "random"},
    "heads with a feed-forward layer": {"heads": 2, "feed_forward_width": 5},
    "added, with a feed-forward layer": {"position_place": "added", "feed_forward_width": 5},
}
FAST = ["added one-hot positions"]


def relative(heads=1, feed_forward_width=0, position_width=9, **of_embeddings):
    """(embeddings, the full form, the reduced form, the decoder that is the same)."""
    embeddings = make_embeddings(K, N, position_width, **of_embeddings)
    rest = (embeddings, "none", feed_forward_width, "gaussian", "both", True, heads)
    fields = {"positions": "sine", "position_place": "beside", "embedding": "one_hot", "embedding_width": 0}
    of_decoder = decoder(
        K, N, position_width, **fields | of_embeddings, embedding_seed=0, query="empty", heads=heads, key_width=0,
        layers=1, residual="off", layer_norm="off", feed_forward_width=feed_forward_width, init="gaussian",
        init_place="both",
    )  # fmt: skip
    return embeddings, full_transformer(*rest), reduced_transformer(*rest), of_decoder


def some_walks():
    rng = np.random.default_rng(0)
    tokens_LxB = rng.integers(0, K, (N - 1, B))
    tokens_LxB[0, :5] = K  # missing
    return Walks(jnp.asarray(tokens_LxB), jnp.asarray(rng.integers(0, K, B)), jnp.asarray(rng.uniform(0.5, 1, B)))


def gradient(model):
    return jax.jit(jax.grad(mean_loss(model, functools.partial(log_loss, values={"epsilon": 3.0}), some_walks(), K)))


@pytest.mark.parametrize("name", some(RELATIVES, *FAST))
def test_the_reduced_form_goes_the_way_of_the_full_one(name, float64):
    embeddings, full, reduced, _ = relative(**RELATIVES[name])
    start = jax.jit(full.init)(jax.random.key(0), {"init_scale": 0.3})
    params, own = start, project(start, embeddings)
    of_full, of_reduced, rate = gradient(full), gradient(reduced), 0.3
    for _ in range(3):
        params = optax.apply_updates(params, jax.tree.map(lambda leaf: -rate * leaf, of_full(params)))
        moved = reduced.reduction.precondition(of_reduced(own))
        own = optax.apply_updates(own, jax.tree.map(lambda leaf: -rate * leaf, moved))
    for leaf_name, leaf in project(params, embeddings).items():
        np.testing.assert_allclose(own[leaf_name], leaf, rtol=1e-10, atol=1e-12, err_msg=leaf_name)
    for leaf_name, leaf in rebuild(own, start, embeddings).items():
        np.testing.assert_allclose(leaf, params[leaf_name], rtol=1e-10, atol=1e-12, err_msg=leaf_name)
    assert np.abs(params["value"] - start["value"]).max() > 1e-3
    assert (np.abs(params["key_query"] - start["key_query"]).max() > 1e-3) == (name != "no positions")
    one, other = (
        jax.jit(model.apply)(leaves, some_walks().tokens_LxB) for model, leaves in ((full, params), (reduced, own))
    )
    for field, leaf in one._asdict().items():
        if leaf is not None:
            np.testing.assert_allclose(getattr(other, field), leaf, rtol=1e-9, atol=1e-12, err_msg=field)
    # What people look at: the values of each head on states.
    if full.looks.head_values is not None:
        of_reduced, of_full = reduced.looks.head_values(own), full.looks.head_values(params)
        np.testing.assert_allclose(of_reduced, of_full, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", some(RELATIVES, *FAST))
def test_a_decoder_without_any_part_of_its_own_is_the_paper_s_model(name, float64):
    _, full, _, of_layers = relative(**RELATIVES[name])
    params = full.init(jax.random.key(1), {"init_scale": 0.4})

    def with_axes(params):
        axes = (None,) if "heads" in RELATIVES[name] else (None, None)
        return {name: leaf if name == "readout" else jnp.asarray(leaf)[axes] for name, leaf in params.items()}

    one, other = (
        jax.jit(model.apply)(leaves, some_walks().tokens_LxB)
        for model, leaves in ((full, params), (of_layers, with_axes(params)))
    )
    np.testing.assert_allclose(other.output_KxB, one.output_KxB, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(other.attention_NxB, one.attention_NxB, rtol=1e-12, atol=1e-14)
    if one.head_attention is not None:
        np.testing.assert_allclose(other.head_attention, one.head_attention, rtol=1e-12, atol=1e-14)
    expected, actual = with_axes(gradient(full)(params)), gradient(of_layers)(with_axes(params))
    for leaf_name, leaf in expected.items():
        np.testing.assert_allclose(actual[leaf_name], leaf, rtol=1e-10, atol=1e-13, err_msg=leaf_name)
    shapes = jax.eval_shape(of_layers.init, jax.random.key(0), {"init_scale": 0.1})
    assert {name: leaf.shape for name, leaf in shapes.items()} == {name: leaf.shape for name, leaf in actual.items()}


def test_heads_from_zero_are_one_head_with_other_rates(float64):
    # V of H equal heads moves H times as fast as seen from the sum, W a 1/H-th.
    H, rate = 3, 0.2
    _, _, one, _ = relative()
    _, _, several, _ = relative(heads=H)
    zero = jax.tree.map(jnp.zeros_like, one.init(jax.random.key(0), {"init_scale": 0.1}))
    of_one, of_several = gradient(one), gradient(several)
    params, heads = zero, jax.tree.map(lambda leaf: jnp.stack([leaf] * H), zero)
    rates = {"value": H * rate, "state_scores": rate / H, "position_scores": rate / H}
    for _ in range(4):
        moved = one.reduction.precondition(of_one(params))
        params = {name: leaf - rates[name] * moved[name] for name, leaf in params.items()}
        moved = several.reduction.precondition(of_several(heads))
        heads = jax.tree.map(lambda leaf, by: leaf - rate * by, heads, moved)
    assert np.ptp(params["position_scores"]) > 1e-3
    for name, leaf in heads.items():
        np.testing.assert_array_equal(leaf, np.stack([leaf[0]] * H))
        expected = params[name] / H if name == "value" else params[name]
        np.testing.assert_allclose(leaf[0], expected, rtol=1e-11, atol=1e-13, err_msg=name)
