"""Where attention ends, against enumeration, and against training on infinitely many walks."""

import itertools

import numpy as np
import pytest

import rw_jax
from rw_jax.study.errors import ConfigError
from rw_jax.tasks.chain import stationary_law
from rw_jax.tasks.circle import transition_matrix
from rw_jax.theory import lags


def ratio_by_enumeration(transition: np.ndarray, lag: int, other: int, exponent: float = 1.0) -> float:
    """How fast the score of a lag moves by the gradient of the loss at V = J^(1 / (1 + a)), over all stationary walks.

    It is E[-l'(V_lag) (V_other - V_lag)] beside what keeps attention where it is, E[-l'(V_lag) V_lag]; plus 1.
    """
    K, length = len(transition), max(lag, other)
    start = stationary_law(transition)
    joint = start[:, None] * np.linalg.matrix_power(transition, lag)  # [s, y]
    value, gained, kept = joint ** (1 / (1 + exponent)), 0.0, 0.0
    for walk in itertools.product(range(K), repeat=length + 1):
        probability = start[walk[0]] * np.prod([transition[i, j] for i, j in itertools.pairwise(walk)])
        if probability:
            own, rival = value[walk[-1 - lag], walk[-1]], value[walk[-1 - other], walk[-1]]
            gained += probability * own**-exponent * (rival - own)
            kept += probability * own**-exponent * own
    return 1 + gained / kept


@pytest.mark.parametrize(("lag", "other"), [(1, 2), (2, 1), (3, 1), (2, 4), (3, 2)])
@pytest.mark.parametrize(("seed", "exponent"), [(0, 1.0), (1, 1.0), (2, 0.0), (3, 0.5), (4, 3.0)])
def test_ratios_are_those_of_all_walks(lag, other, seed, exponent):
    transition = np.random.default_rng(seed).dirichlet(np.ones(4), 4)
    found = lags.exchange_ratios(transition, lag, 4, exponent)
    assert found[lag - 1] == 1
    assert found[other - 1] == pytest.approx(ratio_by_enumeration(transition, lag, other, exponent), rel=1e-12)


def test_the_matrix_and_its_law_are_those_of_the_circle():
    np.testing.assert_allclose(lags.circle_matrix(7, 0.3), transition_matrix(7, 0.3), rtol=1e-6)
    transition = np.random.default_rng(3).dirichlet(np.ones(5), 5)
    np.testing.assert_allclose(stationary_law(transition) @ transition, stationary_law(transition), atol=1e-14)


@pytest.mark.parametrize("num_nodes", [5, 6, 9, 20])
@pytest.mark.parametrize("p", [0.5, 0.7, 0.95])
def test_an_earlier_token_never_wins_so_that_the_parent_is_stable(num_nodes, p):
    transition = lags.circle_matrix(num_nodes, p)
    for lag, exponent in itertools.product((1, 2, 3), (0.0, 0.5, 1.0, 4.0)):
        assert (lags.exchange_ratios(transition, lag, 9, exponent)[lag:] <= 1 + 1e-12).all()
    assert all(lags.is_stable(transition, 1, 9, exponent) for exponent in (0.0, 0.5, 1.0, 4.0))


def test_odd_and_even_lags_never_exchange_on_an_even_circle():
    ratios = lags.exchange_ratios(lags.circle_matrix(8, 0.8), 3, 6)
    np.testing.assert_array_equal(ratios[1::2], 0)


def test_thresholds_of_the_circle_part_the_stable_from_the_unstable():
    for num_nodes, lag in ((20, 3), (20, 4), (7, 5)):
        threshold = lags.stability_threshold(num_nodes, lag)
        assert 0.5 < threshold < 1
        for p, stable in ((threshold + 1e-6, True), (threshold - 1e-6, False)):
            ratios = [ratio_by_enumeration_of_steps(num_nodes, p, lag, other) for other in range(1, lag)]
            assert (max(ratios) < 1) == stable
    assert lags.stability_threshold(20, 1) == 0.5
    with pytest.raises(ConfigError):
        lags.stability_threshold(20, 0)


def ratio_by_enumeration_of_steps(num_nodes: int, p: float, lag: int, other: int) -> float:
    """The ratio on a circle for other < lag, from all sequences of so many steps."""
    after = {}
    for steps in itertools.product((1, -1), repeat=lag):
        place = sum(steps) % num_nodes
        after[place] = after.get(place, 0.0) + np.prod([p if step == 1 else 1 - p for step in steps])
    total = 0.0
    for steps in itertools.product((1, -1), repeat=lag):
        probability = np.prod([p if step == 1 else 1 - p for step in steps])
        between = after.get(sum(steps[lag - other :]) % num_nodes, 0.0)
        total += probability * np.sqrt(between / after[sum(steps) % num_nodes])
    return total


@pytest.mark.slow
@pytest.mark.parametrize(("lag", "rival", "p"), [(4, 2, 0.6), (3, 1, 0.7), (3, 1, 0.85)])
def test_training_leaves_an_unstable_lag_when_it_is_predicted_and_stays_on_a_stable_one(lag, rival, p):
    """The prediction is to first order in the weight of the rival, which is 0.1 in the end: within a quarter."""
    K, N, gap, rate = 9, 6, 4.0, 4e-3
    transition = lags.circle_matrix(K, p)
    config = rw_jax.base_config()
    config.task.num_nodes, config.task.walk_length, config.model.position_width = K, N, 13
    config.task.walks, config.task.test_walks, config.precision = "infinite", 20, "float64"
    config.training.learning_rate, config.training.steps = rate, 3000
    config.record.every, config.record.parameters = 20, "all"
    scores = np.full(N, -60.0)
    scores[N - 1 - lag], scores[N - 1 - rival] = 0.0, -gap
    value = 1000 * np.sqrt(np.linalg.matrix_power(transition, lag) / K).T
    start = {"value": value, "state_scores": np.zeros(K), "position_scores": scores}
    run = rw_jax.train(config, init=start, p=p)
    gaps = []
    for step in run.steps:
        a = run.params(step=step)["position_scores"]
        gaps.append(a[N - 1 - lag] - a[N - 1 - rival])
    ratio = lags.exchange_ratios(transition, lag, lag)[rival - 1]
    if ratio < 1:
        assert lags.is_stable(transition, lag, lag)
        assert gaps[-1] > gap
        return
    left = run.steps[int(np.argmax(np.array(gaps) < np.log(9)))]
    assert left == pytest.approx(lags.steps_to_leave(gap, rate, 7.0, ratio), rel=0.25)
    assert float(run.metrics["quadrature_error"].max()) < 1e-10
