"""Classes of walks, against softmax over tokens, one walk at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.models import classes
from rw_jax.models.classes import Classes, group, most_positions
from rw_jax.models.mix import TokenScores, attention_spread, mix, token_attention, weighs

K, L, B = 4, 12, 500
PARENT, OTHER = L - 1, 3


def walks():
    generator = np.random.default_rng(3)
    tokens_LxB = generator.integers(0, K, (L, B)).astype(np.int8)
    targets_B = (tokens_LxB[PARENT] + generator.integers(1, 3, B)) % K
    weights_B = generator.uniform(0.5, 2, B)
    return jnp.asarray(tokens_LxB), jnp.asarray(targets_B), jnp.asarray(weights_B)


def parameters(weak, strong=(PARENT, OTHER)):
    """V and scores, of which those of `strong` positions weigh, and all others together are a share `weak`."""
    generator = np.random.default_rng(4)
    scores_L = np.log(weak / (L - len(strong))) + generator.uniform(-1, 0, L)
    scores_L[list(strong)] = np.linspace(0, -1, len(strong))
    value_KxK = generator.uniform(0.1, 1, (K, K))
    return tuple(map(jnp.asarray, (value_KxK, generator.uniform(-0.2, 0.2, K), scores_L, -2.0)))


def loss_of_walks(parameters, tokens_LxB, targets_B, weights_B):
    """The mean loss, by a softmax over the slots of each walk."""
    value_KxK, u_K, a_L, empty = parameters

    def of_walk(tokens_L, target):
        attention_N = jax.nn.softmax(jnp.append(u_K[tokens_L] + a_L, empty))
        averaged_K = jax.nn.one_hot(tokens_L, K).T @ attention_N[:-1]
        return -jnp.log(value_KxK[target] @ averaged_K + 0.1)

    return jnp.average(jax.vmap(of_walk, (1, 0))(tokens_LxB, targets_B), weights=weights_B)


def loss_of_classes(parameters, grouped):
    value_KxK, u_K, a_L, empty = parameters
    averaged_KxC = mix(TokenScores(u_K, a_L, empty), grouped.classes).averaged_KxB
    losses_C = -jnp.log((value_KxK @ averaged_KxC)[grouped.targets_C, jnp.arange(len(grouped.targets_C))] + 0.1)
    return jnp.average(losses_C, weights=grouped.weights_C)


@pytest.mark.parametrize("weak", [1e-3, 1e-5, 1e-7])
def test_loss_and_gradients_of_classes_are_off_by_the_square_of_what_does_not_weigh(weak, float64):
    drawn, at = walks(), parameters(weak)
    weighs_L = jnp.zeros(L, bool).at[jnp.array([PARENT, OTHER])].set(True)
    grouped = group(weighs_L, *drawn, K)
    assert grouped.fits
    found = jax.value_and_grad(loss_of_classes)(at, grouped)
    right = jax.value_and_grad(loss_of_walks)(at, *drawn)
    scores = found[1][2], right[1][2]
    strong = np.array([PARENT, OTHER])
    for number, exact in ((found[0], right[0]), *((found[1][i], right[1][i]) for i in (0, 1, 3))):
        np.testing.assert_allclose(number, exact, rtol=0, atol=weak**2 + 1e-15)
    np.testing.assert_allclose(scores[0][strong], scores[1][strong], rtol=0, atol=weak**2 + 1e-15)
    # Of a position that does not weigh, the gradient itself is of the order of its weight.
    np.testing.assert_allclose(scores[0], scores[1], rtol=0, atol=2 * weak**2 + 1e-15)
    others = np.setdiff1d(np.arange(L), strong)
    assert np.max(np.abs(scores[1][others])) > 1e-3 * weak, "the gradients that are compared must not be nothing"


def test_classes_are_the_walks_that_agree_where_it_weighs():
    tokens_LxB, targets_B, weights_B = walks()
    weighs_L = jnp.zeros(L, bool).at[PARENT].set(True)
    grouped = group(weighs_L, tokens_LxB, targets_B, weights_B, K)
    pairs, index_C = np.unique(np.stack([tokens_LxB[PARENT], targets_B]), axis=1, return_inverse=True)
    expected = {
        (token, target): np.sum(weights_B[index_C == place]) for place, (token, target) in enumerate(pairs.T.tolist())
    }
    there = np.flatnonzero(grouped.weights_C)
    shares_LxKxC = np.asarray(grouped.classes.shares_LxKxC)
    found = {
        (int(np.argmax(shares_LxKxC[PARENT, :, place])), int(grouped.targets_C[place])): grouped.weights_C[place]
        for place in there
    }
    assert found.keys() == expected.keys()
    for pair, weight in expected.items():
        np.testing.assert_allclose(found[pair], weight, rtol=1e-5)
    np.testing.assert_allclose(np.sum(shares_LxKxC, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.max(shares_LxKxC[PARENT][:, there], axis=0), 1, rtol=1e-5)


def test_too_many_positions_or_classes_do_not_fit():
    drawn, most = walks(), most_positions(K, L + 1)
    assert not group(jnp.ones(L, bool), *drawn, K).fits
    assert not group(jnp.arange(L) < 4, *drawn, K).fits, f"they are {4**5} classes of {B} walks"
    assert most == 6 < L
    assert group(jnp.arange(L) < 2, *drawn, K).fits


def test_the_number_of_a_class_is_an_integer_of_32_bits():
    for num_nodes in (1, 2, 6, 20, 128, 1000, 30_000):
        assert max(num_nodes, 2) ** (most_positions(num_nodes, 97) + 1) <= 2**31


def test_what_does_not_weigh_is_less_than_half_the_root_of_eps_of_any_sum():
    for weak in (1e-9, 1e-5, 1e-3, 1):
        u_K, a_L, empty = (leaf.astype(jnp.float32) for leaf in parameters(weak)[1:])
        weighs_L = np.asarray(weighs(TokenScores(u_K, a_L, empty)))
        least = np.exp(np.min(u_K) - np.max(u_K))
        others = np.sum(np.exp(np.asarray(a_L) - np.max(a_L))[~weighs_L])
        assert others <= 2.0**-12.5 * least
        assert np.all(weighs_L[[PARENT, OTHER]])
        assert weighs_L.sum() == (2 if weak < 1e-4 else L)


def test_scores_that_underflow_weigh_everywhere():
    u_K = jnp.array([0.0, -90.0, -90.0, -90.0])
    assert jnp.all(weighs(TokenScores(u_K, jnp.linspace(-80.0, 0.0, L), jnp.float32(0))))


@pytest.mark.parametrize("scale", [0.0, 0.3, 5.0, 40.0])
def test_spread_of_attention_is_that_of_all_weights_to_the_bit(scale):
    generator = np.random.default_rng(5)
    tokens_LxB = walks()[0]
    scores = TokenScores(
        jnp.asarray(scale * generator.normal(size=K) / 5, jnp.float32),
        jnp.asarray(scale * generator.normal(size=L), jnp.float32),
        jnp.float32(-1),
    )
    mixture = mix(scores, tokens_LxB)
    attention_LxB = token_attention(scores, mixture, tokens_LxB)
    spread_B = jnp.max(attention_LxB, axis=0) - jnp.min(attention_LxB, axis=0)
    np.testing.assert_array_equal(attention_spread(scores, mixture, tokens_LxB), spread_B)


def test_classes_take_no_more_memory_than_they_say():
    shapes = jax.eval_shape(lambda: group(jnp.ones(L, bool), *walks(), K))
    assert shapes.classes == Classes(jax.ShapeDtypeStruct((L, K, classes.MOST_CLASSES), shapes.weights_C.dtype))
