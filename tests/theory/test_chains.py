"""Closed forms for Markov chains against enumeration and training."""

import itertools

import numpy as np
import pytest

import rw_jax
from rw_jax.analysis.interpret import attended_lag
from rw_jax.tasks.chain import stationary_law
from rw_jax.tasks.families import transition_of
from rw_jax.theory import chains, closed_forms, lags
from tests.tiny import tiny_study


def labels_of(family, **options):
    return {"family": family, "p": 0.7, **options}


def by_enumeration(start, transition, target, walk_length, learning_rate, epsilon):
    """E[V(1)[y, s_j] g_y] for each token, V(1) from the gradient at zero weights, all from every walk."""
    K, N = len(start), walk_length
    walks = list(itertools.product(range(K), repeat=N))
    weights = {
        walk: start[walk[0]]
        * np.prod([transition[a, b] for a, b in itertools.pairwise(walk[:-1])])
        * target[walk[-2], walk[-1]]
        for walk in walks
    }
    first = np.zeros((K, K))
    for walk, weight in weights.items():
        for state in walk[:-1]:
            first[walk[-1], state] += learning_rate * weight / (epsilon * N)
    total, of_target = np.zeros(K), np.zeros(K)
    for walk, weight in weights.items():
        total[walk[-1]] += weight * sum(first[walk[-1], state] for state in walk[:-1]) / N
        of_target[walk[-1]] += weight
    pull = 1 / (total / of_target + epsilon)
    return np.array(
        [sum(weight * pull[walk[-1]] * first[walk[-1], walk[N - 1 - k]] for walk, weight in weights.items())
         for k in range(1, N)]
    )  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_scores_of_tokens_are_those_of_all_walks(seed):
    generator = np.random.default_rng(seed)
    start, transition = generator.dirichlet(np.ones(3)), generator.dirichlet(np.full(3, 0.5), 3)
    target = transition @ transition
    found = chains.token_scores(start, transition, target, 5, 0.7, 0.1)
    expected = by_enumeration(start, transition, target, 5, 0.7, 0.1)
    np.testing.assert_allclose(found * 0.7 / (0.1 * 5), expected, rtol=1e-12)


@pytest.mark.parametrize(("num_nodes", "p"), [(6, 0.7), (20, 0.8), (24, 0.95)])
def test_on_the_circle_they_are_the_correlations_of_tokens(num_nodes, p):
    transition = lags.circle_matrix(num_nodes, p)
    uniform = np.full(num_nodes, 1 / num_nodes)
    scores = chains.token_scores(uniform, transition, transition, 97, 1.0, 0.1)
    correlations = closed_forms.token_correlations(num_nodes, p, 97)
    slope = np.ptp(scores) / np.ptp(correlations)
    np.testing.assert_allclose(scores - scores.mean(), slope * (correlations - correlations.mean()), atol=1e-9)
    assert np.argmax(scores) == np.argmax(correlations)


@pytest.mark.parametrize(
    ("num_nodes", "labels"),
    [
        pytest.param(8, labels_of("near_cycle", noise=0.0, spread=0.3, graph_seed=3), marks=pytest.mark.slow),
        pytest.param(5, labels_of("dirichlet", concentration=0.3, graph_seed=1), marks=pytest.mark.slow),
        pytest.param(6, labels_of("path"), marks=pytest.mark.slow),
        pytest.param(6, labels_of("barbell"), marks=pytest.mark.slow),
    ],
    ids=lambda each: str(each)[:24],
)
def test_attention_is_highest_on_the_predicted_lag_after_two_steps(num_nodes, labels):
    N = 25
    transition = transition_of(labels, num_nodes)
    config = tiny_study(
        fields={
            "task.name": "chain",
            "task.num_nodes": num_nodes,
            "task.walk_length": N,
            "model.position_width": 125,
            "training.steps": 2,
            "training.learning_rate": 1.0,
            "precision": "float64",
            **{f"task.options.{name}": value for name, value in labels.items() if name != "p"},
        }
    )
    run = rw_jax.train(config, walks="infinite", p=0.7)
    pi = stationary_law(transition)
    scores = chains.token_scores(pi, transition, transition, N, 1.0, 0.1)
    assert chains.lead(scores) > 0.01
    assert attended_lag(run.mean_attention(step=2)) == int(np.argmax(scores)) + 1


def test_a_reversible_chain_with_a_uniform_law_chooses_the_last_token_but_for_ties():
    for labels, K in ((labels_of("regular", degree=3, graph_seed=2), 8), (labels_of("torus", rows=2), 8)):
        transition, uniform = transition_of(labels, K), np.full(K, 1 / K)
        assert chains.drift(transition, uniform) == pytest.approx(0, abs=1e-15)
        scores = chains.token_scores(uniform, transition, transition, 24, 1.0, 0.1)
        assert np.argmax(scores) == 0
    # K_{3,3}: every other eigenvalue is 0, or -1: lags of one parity tie.
    halves = np.kron([[0, 1], [1, 0]], np.full((3, 3), 1 / 3))
    scores = chains.token_scores(np.full(6, 1 / 6), halves, halves, 24, 1.0, 0.1)
    assert chains.lead(scores) == 0
    np.testing.assert_allclose(scores[::2], scores[0])


def test_on_a_star_the_even_lags_tie_before_the_last_token():
    """Two steps lead from any leaf to any leaf alike: the token before the last says as much as all at even lags."""
    star = transition_of(labels_of("star"), 7)
    pi = stationary_law(star)
    scores = chains.token_scores(pi, star, star, 25, 1.0, 0.1)
    np.testing.assert_allclose(scores[1::2], scores[1])
    assert scores[1] > scores[0]
    assert chains.lead(scores) == 0


def test_a_token_drawn_at_random_says_nothing_where_every_other_eigenvalue_is_0_or_a_root_of_1_but_1():
    uniform = np.full(6, 1 / 6)
    cycle = np.roll(np.eye(6), 1, axis=1)
    assert not chains.is_informative(cycle, uniform, 13)  # 12 is a multiple of 6
    assert chains.is_informative(cycle, uniform, 12)
    assert not chains.is_informative(np.full((6, 6), 1 / 6), uniform, 12)
    assert chains.is_informative(lags.circle_matrix(6, 0.7), uniform, 13)
    of_two = transition_of(labels_of("permutation", cycles=(3, 3)), 6)
    assert chains.is_informative(of_two, uniform, 13)  # it tells the cycle


def test_what_is_told_of_a_chain():
    cycle = np.roll(np.eye(4), 1, axis=1)
    uniform = np.full(4, 0.25)
    assert chains.drift(cycle, uniform) == pytest.approx(1)
    assert chains.mixing_rate(cycle) == pytest.approx(1)
    assert chains.mixing_rate(np.full((4, 4), 0.25)) == pytest.approx(0, abs=1e-12)
    assert chains.mixing_rate(np.array([[0.4, 0.6], [0.2, 0.8]])) == pytest.approx(0.2)
    assert chains.unevenness(uniform) == pytest.approx(0)
    assert chains.unevenness(np.eye(4)[0]) == pytest.approx(1)
    assert chains.lead(np.array([1.0, 3.0, 2.0])) == pytest.approx(0.5)
    assert chains.lead(np.ones(3)) == 0
    assert chains.lead_of_parent(np.array([1.0, 3.0, 2.0])) == pytest.approx(-1)
    assert chains.lead_of_parent(np.array([3.0, 3.0, 2.0])) == 0


@pytest.mark.parametrize("family", ["dirichlet", "reversible", "near_cycle"])
def test_on_long_walks_the_scores_are_a_correlation_of_probabilities(family):
    """Against the sums over all positions, whose differences of the order of 1/N remain."""
    labels = labels_of(family, graph_seed=3, concentration=0.7, noise=0.05, spread=0.3)
    transition = transition_of(labels, 5)
    stationary, eta, epsilon = stationary_law(transition), 0.7, 0.2
    limit = chains.scores_of_long_walks(stationary, transition, 12, eta, epsilon)
    gaps = []
    for N in (2000, 4000):
        scores = chains.token_scores(stationary, transition, transition, N, eta, epsilon)[:12] / N
        gaps.append(np.abs((scores - scores[-1]) - (limit - limit[-1])).max())
    assert gaps[1] < 0.1 * np.ptp(limit)
    assert gaps[1] == pytest.approx(gaps[0] / 2, rel=0.1)
    by_hand = 0.0
    power = np.linalg.matrix_power(transition, 3)
    for y, s in itertools.product(range(5), repeat=2):
        mean = eta / epsilon * stationary[y] * np.sum(stationary**2)
        by_hand += stationary[s] * power[s, y] * stationary[s] * stationary[y] / (mean + epsilon)
    assert limit[2] == pytest.approx(by_hand, rel=1e-12)
