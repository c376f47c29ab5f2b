"""Where gradient descent goes first on walks of several lengths: against every walk there is, and what is proven."""

import itertools

import numpy as np
import pytest

from rw_jax.theory import lengths
from rw_jax.theory.closed_forms import token_correlations

K, N, ETA, EPSILON = 4, 5, 1.0, 0.1


def walks_by_hand(p):
    """(states, probability) of every walk of N states on the circle."""
    for first, steps in itertools.product(range(K), itertools.product((1, -1), repeat=N - 1)):
        states = [first]
        for step in steps:
            states.append((states[-1] + step) % K)
        yield states, np.prod([p if step == 1 else 1 - p for step in steps]) / K


def scores_by_hand(p, shares):
    """What the second step adds to the score of each token, up to a factor, from every walk of every length."""
    value = np.zeros((K, K))
    for states, probability in walks_by_hand(p):
        for n, share in enumerate(shares):
            for token in states[N - n : -1] if n > 1 else ():
                value[states[-1], token] += ETA / EPSILON * probability * share / n
    of_lengths = {}
    for states, probability in walks_by_hand(p):
        for n in range(2, N + 1):
            tokens = states[N - n : -1]
            of_lengths.setdefault(n, []).append((probability, [value[states[-1], token] for token in tokens]))
    scores = np.zeros(N - 1)
    for n, of_walks in of_lengths.items():
        mean = sum(probability * sum(values) / n for probability, values in of_walks)
        for probability, values in of_walks:
            for k in range(1, n):
                scores[k - 1] += shares[n] / n * probability * (values[-k] - sum(values) / n) / (mean + EPSILON)
    return scores


@pytest.mark.parametrize("p", [0.5, 0.8, 1.0])
@pytest.mark.parametrize("shares", [(0, 0, 0, 0, 0, 1), (0, 0, 0.25, 0.25, 0.25, 0.25), (0, 0, 0.6, 0, 0.1, 0.3)])
def test_the_scores_of_the_second_step_are_those_over_every_walk(p, shares):
    found = lengths.second_scores(K, p, np.array(shares), ETA, EPSILON)
    np.testing.assert_allclose(found, scores_by_hand(p, shares), atol=1e-14)


def test_of_whole_walks_they_order_tokens_as_their_correlations_do():
    found = lengths.second_scores(20, 0.8, lengths.whole_walks(97), ETA, EPSILON)
    right = token_correlations(20, 0.8, 97)
    np.testing.assert_allclose((found - found.min()) / np.ptp(found), (right - right.min()) / np.ptp(right), atol=1e-9)
    assert np.argmax(found) == 2  # lag 3


def test_lengths_are_equally_likely_from_the_shortest_on():
    assert lengths.lengths_from(3, 6).tolist() == [0, 0, 0, 0.25, 0.25, 0.25, 0.25]
    assert lengths.whole_walks(3).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("seed", range(20))
def test_without_drift_the_parent_leads_whatever_the_lengths_which_is_proven(seed):
    generator = np.random.default_rng(seed)
    walk_length = int(generator.integers(3, 60))
    shares = np.append([0, 0], generator.dirichlet(np.full(walk_length - 1, 0.1)))
    scores = lengths.second_scores(int(generator.integers(5, 30)), 0.5, shares, ETA, EPSILON)
    assert scores[0] >= scores.max() - 1e-12 * np.abs(scores).max()


def test_with_walks_of_all_lengths_the_parent_leads_where_with_whole_walks_it_does_not():
    wrong_on_whole = 0
    for num_nodes, p, walk_length in itertools.product((6, 20, 31, 64), (0.6, 0.8, 0.97, 0.999), (49, 97, 193)):
        whole, mixed = (
            lengths.second_scores(num_nodes, p, of_lengths, ETA, EPSILON)
            for of_lengths in (lengths.whole_walks(walk_length), lengths.lengths_from(2, walk_length))
        )
        wrong_on_whole += int(np.argmax(whole) != 0)
        assert np.argmax(mixed) == 0
    assert wrong_on_whole > 10


def test_geometric_lengths_fall_by_the_same_factor_and_have_their_mean():
    share = lengths.geometric(10.0, 2000)
    assert share[:2].tolist() == [0, 0]
    np.testing.assert_allclose(share[3:1000] / share[2:999], 1 - 1 / 9, rtol=1e-12)
    assert share.sum() == pytest.approx(1)
    assert np.arange(2001) @ share == pytest.approx(10)
