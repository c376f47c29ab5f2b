"""The expected accuracy over all walks: against every walk there is, one by one in float64 NumPy, and closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rw_jax
from rw_jax.models import Scores
from rw_jax.tasks import Law
from rw_jax.training.accuracy import exact_accuracy, token_laws
from rw_jax.training.metrics import optimal_tolerance

K, N = 4, 6


def chain_of(rng, is_two_ahead):
    """A random chain in float64 whose target is the next state, or the one after it."""
    start_K, transition_KxK = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), K)
    return Law(start_K, transition_KxK, transition_KxK @ transition_KxK if is_two_ahead else None)


def accuracy_by_hand(law, value, state_scores, position_scores):
    """The mean over all walks of the probability of the predicted state."""
    found = 0.0
    for tokens in itertools.product(range(K), repeat=N - 1):
        probability = law.start_K[tokens[0]] * np.prod(
            [law.transition_KxK[i, j] for i, j in itertools.pairwise(tokens)]
        )
        scores = np.append(state_scores[list(tokens)] + position_scores[:-1], position_scores[-1])
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        output = sum(weight * value[:, state] for weight, state in zip(weights[:-1], tokens, strict=True))
        found += probability * law.target_KxK[tokens[-1], output.argmax()]
    return found


@pytest.mark.parametrize("is_two_ahead", [False, True])
@pytest.mark.parametrize("lag", range(1, N))
def test_of_attention_that_is_all_but_one_hot_it_is_that_over_every_walk(float64, lag, is_two_ahead):
    rng = np.random.default_rng(lag)
    law = chain_of(rng, is_two_ahead)
    value, state_scores, position_scores = rng.normal(size=(K, K)), rng.normal(size=K), rng.normal(size=N)
    position_scores[N - 1 - lag] += 14
    laws = token_laws(jax.tree.map(jnp.asarray, law), N - 1)
    found = exact_accuracy(jnp.asarray(value), Scores(state_scores, jnp.asarray(position_scores)), laws)
    assert found == pytest.approx(accuracy_by_hand(law, value, state_scores, position_scores), abs=1e-12)
    best = sum(law.start_K @ np.linalg.matrix_power(law.transition_KxK, N - 2) * law.target_KxK.max(axis=1))
    assert laws.optimum == pytest.approx(best, abs=1e-12)


def test_it_is_known_only_where_no_other_token_can_change_a_prediction(float64):
    rng = np.random.default_rng(0)
    law, zeros = chain_of(rng, is_two_ahead=False), np.zeros(K)
    laws = token_laws(jax.tree.map(jnp.asarray, law), N - 1)
    value = rng.normal(size=(K, K))
    top = np.sort(value, axis=0)
    gap, spread = (top[-1] - top[-2]).min(), (top[-1] - top[0]).max()
    # The other tokens and the empty slot weigh rho = (N - 1) exp(-a) beside the one with score a.
    at_which_it_is_sure = np.log((N - 1) * spread / gap)
    for more, is_known in ((0.01, True), (-0.01, False)):
        position_scores = np.zeros(N)
        position_scores[N - 2] = at_which_it_is_sure + more
        found = exact_accuracy(jnp.asarray(value), Scores(zeros, jnp.asarray(position_scores)), laws)
        assert np.isfinite(found) == is_known
        if is_known:
            assert found == pytest.approx(accuracy_by_hand(law, value, zeros, position_scores), abs=1e-12)


@pytest.mark.parametrize("value", [np.zeros((K, K)), np.full((K, K), np.nan), np.full((K, K), 1e30)])
def test_of_a_matrix_that_tells_nothing_or_has_diverged_it_is_not_known(value):
    laws = token_laws(Law(jnp.full(K, 1 / K), jnp.asarray(np.eye(K)[[1, 2, 3, 0]], jnp.float32)), N - 1)
    scores = Scores(jnp.zeros(K), jnp.asarray([0.0, 0, 0, 0, 90, 0]))
    assert jnp.isnan(exact_accuracy(jnp.asarray(value, jnp.float32), scores, laws))


def test_what_may_be_predicted_in_two_ways_is_known_if_both_are_worth_the_same():
    fair = 0.5 * (np.eye(K)[[1, 2, 3, 0]] + np.eye(K)[[3, 0, 1, 2]])
    laws = token_laws(Law(jnp.full(K, 1 / K), jnp.asarray(fair, jnp.float32)), N - 1)
    scores = Scores(jnp.zeros(K), jnp.asarray([0.0, 0, 0, 0, 30, 0]))
    assert exact_accuracy(jnp.asarray(fair.T, jnp.float32), scores, laws) == pytest.approx(0.5, abs=1e-6)


@pytest.fixture(scope="module")
def near_one():
    """A run in memory at p = 0.999 whose parameters are of no matter."""
    config = rw_jax.base_config()
    config.task.walk_length, config.task.walks, config.task.test_walks = 13, 20, 20
    config.model.position_width, config.training.steps = 40, 2
    return rw_jax.train(config, p=0.999)


def locked_on(lag):
    """Parameters that predict lag steps clockwise from the token of this lag."""
    position_scores = np.zeros(13, np.float32)
    position_scores[12 - lag] = 60
    value = np.roll(np.eye(6, dtype=np.float32), lag % 6, axis=0)
    return {"value": value, "state_scores": np.zeros(6, np.float32), "position_scores": position_scores}


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_near_one_an_earlier_token_is_not_optimal_though_no_test_walk_may_tell(near_one, lag):
    found = near_one.evaluate(params=locked_on(lag))
    # All steps go clockwise: no other number of them leads to the same node of six.
    assert float(found["expected_accuracy"]) == pytest.approx(0.999**lag, abs=1e-6)
    assert float(found["optimal_accuracy"]) == pytest.approx(0.999, abs=1e-6)
    assert (float(found["accuracy_is_exact"]), float(found["predicts_optimally"])) == (1, lag == 1)


def test_walks_or_attention_that_are_given_are_what_it_is_about(near_one):
    tokens = np.tile(np.arange(12) % 6, (3, 1))
    tokens[0, -1] = 3  # the last step goes back, so that two steps on from before it cannot be next
    found = near_one.evaluate(params=locked_on(2), on=(tokens, (tokens[:, -1] + 1) % 6))
    assert float(found["expected_accuracy"]) == pytest.approx(2 * 0.999 / 3, abs=1e-6)
    assert float(found["accuracy_is_exact"]) == 0
    of_parent = near_one.evaluate(params=locked_on(2), attention="parent")
    assert float(of_parent["accuracy_is_exact"]) == 0
    assert float(of_parent["expected_accuracy"]) < 0.1  # two steps on from the parent


def test_the_tolerance_is_a_thousandth_and_far_below_what_lag_two_costs_near_zero_and_one():
    for p, right in ((0.5, 1e-3), (0.9, 1e-3), (0.001, 0.0999e-3), (0.999, 0.0999e-3), (1.0, 1e-6)):
        law_KxB = jnp.asarray([[p, 1 - p], [1 - p, p]], jnp.float32)
        assert optimal_tolerance(law_KxB, jnp.ones(2)) == pytest.approx(right, rel=1e-4)
