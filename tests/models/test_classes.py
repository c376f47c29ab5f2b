"""Classes of walks, against softmax over tokens, one walk at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.models import classes
from rw_jax.models.classes import most_positions
from rw_jax.models.mix import TokenScores, attention_spread, mix, softmax, tells_apart
from tests.tiny import some

K, L, B = 4, 12, 500
PARENT, OTHER = L - 1, 3

group = jax.jit(classes.group, static_argnames="num_nodes")


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


LOSSES = {
    "log": lambda output_K, target: -jnp.log(output_K[target] + 0.1),
    "cross-entropy": lambda output_K, target: jax.nn.logsumexp(output_K) - output_K[target],
    "squared error": lambda output_K, target: jnp.sum((output_K - jax.nn.one_hot(target, K)) ** 2) / 2,
}


def loss_of_walks(parameters, loss, tokens_LxB, targets_B, weights_B):
    """The mean loss, by a softmax over the slots of each walk."""
    value_KxK, u_K, a_L, empty = parameters

    def of_walk(tokens_L, target):
        attention_N = jax.nn.softmax(jnp.append(u_K[tokens_L] + a_L, empty))
        averaged_K = jax.nn.one_hot(tokens_L, K).T @ attention_N[:-1]
        return loss(value_KxK @ averaged_K, target)

    return jnp.average(jax.vmap(of_walk, (1, 0))(tokens_LxB, targets_B), weights=weights_B)


def loss_of_classes(parameters, loss, grouped):
    value_KxK, u_K, a_L, empty = parameters
    averaged_KxC = mix(TokenScores(u_K, a_L, empty), grouped.classes).averaged_KxB
    losses_C = jax.vmap(loss, (1, 0))(value_KxK @ averaged_KxC, grouped.targets_C)
    return jnp.average(losses_C, weights=grouped.weights_C)


def gradients(loss_of):
    """A loss and its gradients, compiled."""
    return jax.jit(jax.value_and_grad(loss_of), static_argnums=1)


@pytest.mark.parametrize(
    ("name", "weak", "size"),
    some([("log", 1e-3, 1), ("log", 1e-5, 1), ("log", 1e-7, 1), ("log", 1e-5, 10), ("cross-entropy", 1e-5, 10),
          ("squared error", 1e-5, 10)], ("log", 1e-5, 10)),
)  # fmt: skip
def test_loss_and_gradients_of_classes_are_off_by_the_square_of_what_does_not_weigh(name, weak, size, float64):
    loss, drawn = LOSSES[name], walks()
    value_KxK, *scores = parameters(weak)
    at = (size * value_KxK, *scores)
    grouped = group(jnp.zeros(L, bool).at[jnp.array([PARENT, OTHER])].set(True), *drawn, K)
    assert grouped.fits
    found = gradients(loss_of_classes)(at, loss, grouped)
    right = gradients(loss_of_walks)(at, loss, *drawn)
    curvature = size**2 if name != "log" else 1  # V beside f_y, which grows with it
    for number, exact in zip(jax.tree.leaves(found), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(number, exact, rtol=0, atol=2 * curvature * weak**2 + 1e-14)
    others = np.setdiff1d(np.arange(L), [PARENT, OTHER])
    assert np.max(np.abs(right[1][2][others])) > 1e-4 * weak, "the gradients that are compared must not be nothing"


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
    drawn, most = walks(), most_positions(K, L + 1, B)
    assert not group(jnp.ones(L, bool), *drawn, K).fits
    assert not group(jnp.arange(L) < 4, *drawn, K).fits, f"they are {4**5} classes of {B} walks"
    assert most == 6 < L
    assert group(jnp.arange(L) < 2, *drawn, K).fits
    tokens_LxB, targets_B, _ = map(np.asarray, drawn)
    for weighing, fits in ((2, True), (3, False)):  # few positions, and no more classes than four times the room
        number = len(np.unique(np.vstack([tokens_LxB[:weighing], targets_B]), axis=1).T)
        assert (number <= classes.MOST_CLASSES) == fits
        assert number < 4 * classes.MOST_CLASSES
        assert group(jnp.arange(L) < weighing, *drawn, K).fits == fits


@pytest.mark.parametrize("num_walks", [128, 1000, 100_000])
def test_the_number_of_a_class_and_a_walk_is_an_integer_of_31_bits(num_walks):
    for num_nodes in (1, 2, 6, 20, 32):
        most = most_positions(num_nodes, 97, num_walks)
        assert max(num_nodes, 2) ** (most + 1) * num_walks < 2**31


def test_shares_of_many_walks_are_exactly_one_where_they_agree():
    walk_L = jnp.arange(L, dtype=jnp.int8) % K
    tokens_LxB = jnp.tile(walk_L[:, None], (1, 100_000))
    grouped = group(jnp.arange(L) == PARENT, tokens_LxB, jnp.zeros(100_000, jnp.int8), jnp.ones(100_000), K)
    np.testing.assert_array_equal(grouped.classes.shares_LxKxC[:, :, 0], jax.nn.one_hot(walk_L, K))
    assert grouped.weights_C[0] == 100_000


def test_what_does_not_weigh_is_less_than_half_the_root_of_eps_of_any_sum():
    for weak in (1e-9, 1e-5, 1e-3, 1):
        u_K, a_L, empty = (leaf.astype(jnp.float32) for leaf in parameters(weak)[1:])
        weighs_L = np.asarray(tells_apart(TokenScores(u_K, a_L, empty)))
        least = np.exp(np.min(u_K) - np.max(u_K))
        others = np.sum(np.exp(np.asarray(a_L) - np.max(a_L))[~weighs_L])
        assert others <= 2.0**-12.5 * least
        assert np.all(weighs_L[[PARENT, OTHER]])
        assert weighs_L.sum() == (2 if weak < 1e-4 else L)


def test_scores_that_underflow_weigh_everywhere():
    u_K = jnp.array([0.0, -90.0, -90.0, -90.0])
    assert jnp.all(tells_apart(TokenScores(u_K, jnp.linspace(-80.0, 0.0, L), jnp.float32(0))))


@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0, 2.0, 5.0, 40.0])
def test_spread_of_attention_is_that_of_the_softmax_over_tokens_alone_and_in_a_batch(scale):
    generator = np.random.default_rng(5)
    tokens_LxB = walks()[0]
    scores = TokenScores(
        jnp.asarray(scale * generator.normal(size=K) / 5, jnp.float32),
        jnp.asarray(scale * generator.normal(size=L), jnp.float32),
        jnp.float32(-1),
    )
    attention_LxB = np.asarray(jax.jit(softmax)(scores, tokens_LxB)[0])
    spread_B = attention_LxB.max(axis=0) - attention_LxB.min(axis=0)

    def spread_of(scores):
        return attention_spread(scores, mix(scores, tokens_LxB), tokens_LxB)

    tolerance = 0 if scale == 0 else 2e-6
    np.testing.assert_allclose(jax.jit(spread_of)(scores), spread_B, rtol=0, atol=tolerance)
    batch = jax.jit(jax.vmap(spread_of))(jax.tree.map(lambda leaf: jnp.stack([leaf, 0 * leaf]), scores))
    np.testing.assert_allclose(batch, np.stack([spread_B, 0 * spread_B]), rtol=0, atol=tolerance)


def test_a_gradient_is_never_nothing_because_it_is_small():
    """Sign descent moves an entry of V that a position of weight 1e-12 alone moves as far as any other."""
    tokens_LxB, targets_B, _ = walks()
    at = [jnp.asarray(leaf, jnp.float32) for leaf in parameters(1e-12, strong=(PARENT,))]

    def loss(parameters):
        value_KxK, u_K, a_L, empty = parameters
        averaged_KxB = mix(TokenScores(u_K, a_L, empty), tokens_LxB).averaged_KxB
        return jnp.mean(-jnp.log((value_KxK @ averaged_KxB)[targets_B, jnp.arange(B)] + 0.1))

    gradient_KxK = np.asarray(jax.jit(jax.grad(loss))(at)[0])
    assert np.all(gradient_KxK != 0)
    assert np.min(np.abs(gradient_KxK)) < 1e-10, "some entries of V are moved by what does not weigh alone"
