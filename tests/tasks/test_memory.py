"""Walks with a memory against their definitions: slow loops over all walks, and over what is hidden."""

import fractions
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.study.errors import ConfigError
from rw_jax.tasks import circle
from rw_jax.tasks.chain import chain
from rw_jax.tasks.memory import hidden_direction, lagged, persistent
from rw_jax.tasks.questions import majority
from tests import oracle

TASKS = {
    "hidden_direction": hidden_direction,
    "persistent": persistent,
    "lagged by 1": functools.partial(lagged, lag=1),
    "lagged by 3": functools.partial(lagged, lag=3),
}
LAGS = {"hidden_direction": 1, "persistent": 1, "lagged by 1": 1, "lagged by 3": 3}
each_task = pytest.mark.parametrize("name", TASKS)
each_p = pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])


@functools.cache
def task_of(name, num_nodes, walk_length):
    return TASKS[name](num_nodes, walk_length)


@functools.cache
def compiled_population(name, num_nodes, walk_length):
    return jax.jit(lambda p: task_of(name, num_nodes, walk_length).population({"p": p}))


@functools.cache
def compiled_sampler(name, num_walks, num_nodes, walk_length):
    return jax.jit(lambda key, p: task_of(name, num_nodes, walk_length).sample(key, num_walks, {"p": p}))


@functools.cache
def compiled_law(name, num_nodes, walk_length):
    return jax.jit(lambda tokens_LxB, p: task_of(name, num_nodes, walk_length).next_state_law(tokens_LxB, {"p": p}))


def states_of(walks):
    """Tokens and target of each walk, int[B, N]."""
    return np.vstack([walks.tokens_LxB, walks.targets_B]).T


def draw(name, seed, p, num_nodes=6, walk_length=40, num_walks=1000):
    return states_of(compiled_sampler(name, num_walks, num_nodes, walk_length)(jax.random.key(seed), p))


def chance(name, steps, p):
    """The probability of these directions, +1 or -1, the last of them from the lagged token to the target."""
    if name == "hidden_direction":
        return sum(math.prod(q if step == 1 else 1 - q for step in steps) for q in (p, 1 - p)) / 2
    if name == "persistent":
        return 0.5 * math.prod(p if now == before else 1 - p for before, now in itertools.pairwise(steps))
    return 0.5 ** (len(steps) - 1) * (p if steps[-1] == 1 else 1 - p)


@functools.cache
def every_walk(name, num_nodes, walk_length, p):
    """The probability of each walk there is, by its states."""
    walks = {}
    for first in range(num_nodes):
        for steps in itertools.product((1, -1), repeat=walk_length - 1):
            states = [first]
            for step in steps[:-1]:
                states.append((states[-1] + step) % num_nodes)
            states.append((states[-LAGS[name]] + steps[-1]) % num_nodes)
            walks[tuple(states)] = chance(name, steps, p) / num_nodes
    return walks


@each_task
@each_p
@pytest.mark.parametrize(("num_nodes", "walk_length"), [(3, 4), (5, 6)])
def test_the_population_is_every_walk_once_with_its_probability(name, num_nodes, walk_length, p, float64):
    walks = compiled_population(name, num_nodes, walk_length)(p)
    expected = every_walk(name, num_nodes, walk_length, p)
    weight = dict(zip(map(tuple, states_of(walks).tolist()), np.asarray(walks.weights_B), strict=True))
    assert len(walks.weights_B) == len(weight) == len(expected) == num_nodes * 2 ** (walk_length - 1)
    np.testing.assert_allclose([weight[states] for states in expected], list(expected.values()), rtol=1e-14)
    assert math.fsum(weight.values()) == pytest.approx(1, abs=1e-14)


@each_task
@each_p
@pytest.mark.parametrize(("num_nodes", "walk_length"), [(3, 4), (4, 5), (5, 6)])
def test_the_law_is_that_of_the_target_given_all_tokens(name, num_nodes, walk_length, p, float64):
    joint = {}
    for (*tokens, target), probability in every_walk(name, num_nodes, walk_length, p).items():
        joint.setdefault(tuple(tokens), np.zeros(num_nodes))[target] += probability
    law_BxK = np.asarray(compiled_law(name, num_nodes, walk_length)(jnp.array(list(joint)).T, p)).T
    assert law_BxK.shape == (len(joint), num_nodes)
    assert np.isfinite(law_BxK).all()
    np.testing.assert_allclose(law_BxK.sum(axis=1), 1, rtol=1e-14)
    judged = 0
    for law_K, joint_K in zip(law_BxK, joint.values(), strict=True):
        if joint_K.sum() > 0:
            np.testing.assert_allclose(law_K, joint_K / joint_K.sum(), rtol=1e-13)
            judged += 1
    assert judged == len(joint) or p in (0, 1)
    assert judged >= num_nodes


@each_task
@each_p
def test_every_walk_is_drawn_as_often_as_its_probability_says(name, p):
    num_walks, num_nodes, walk_length = 20_000, 3, 5
    probabilities = every_walk(name, num_nodes, walk_length, p)
    place = {states: i for i, states in enumerate(probabilities)}
    states_BxN = draw(name, 1, p, num_nodes, walk_length, num_walks).tolist()
    counts = np.bincount([place[tuple(states)] for states in states_BxN], minlength=len(place))
    expected = num_walks * np.array(list(probabilities.values()))
    assert not counts[expected == 0].any()
    counts, expected = counts[expected > 0], expected[expected > 0]
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()
    # Pearson's statistic has mean n - 1 and variance 2 (n - 1).
    freedom = len(counts) - 1
    assert np.sum((counts - expected) ** 2 / expected) < freedom + 4 * np.sqrt(2 * freedom)


def directions_of(name, states_BxN, num_nodes):
    """Whether each direction, seen from the lagged token in the end, is clockwise; it leads to a neighbour."""
    before_BxL = states_BxN[:, :-1].copy()
    before_BxL[:, -1] = states_BxN[:, -1 - LAGS[name]]
    steps_BxL = (states_BxN[:, 1:] - before_BxL) % num_nodes
    assert set(np.unique(steps_BxL)) <= {1, num_nodes - 1}
    return steps_BxL == 1


def test_one_key_gives_the_same_hidden_directions_at_every_p_and_no_fewer_steps_that_way_at_a_larger_p():
    name = "hidden_direction"
    lower, upper, certain = (draw(name, 6, p) for p in (0.3, 0.6, 1.0))
    np.testing.assert_array_equal(lower[:, 0], upper[:, 0])
    hidden_BxL = directions_of(name, certain, 6)
    assert (hidden_BxL == hidden_BxL[:, :1]).all()
    assert abs(hidden_BxL[:, 0].mean() - 0.5) < 4 * np.sqrt(0.25 / 1000)
    follows_lower_BxL, follows_upper_BxL = (directions_of(name, states, 6) == hidden_BxL for states in (lower, upper))
    assert (follows_lower_BxL <= follows_upper_BxL).all()
    assert (follows_lower_BxL < follows_upper_BxL).any()


def test_one_key_gives_the_same_first_steps_at_every_p_and_no_fewer_that_are_kept_at_a_larger_p():
    lower, upper = draw("persistent", 6, 0.3), draw("persistent", 6, 0.6)
    np.testing.assert_array_equal(lower[:, :2], upper[:, :2])
    keeps_lower_BxS, keeps_upper_BxS = (
        ~np.diff(directions_of("persistent", states, 6), axis=1) for states in (lower, upper)
    )
    assert (keeps_lower_BxS <= keeps_upper_BxS).all()
    assert (keeps_lower_BxS < keeps_upper_BxS).any()


@pytest.mark.parametrize("name", ["lagged by 1", "lagged by 3"])
def test_one_key_gives_the_same_tokens_at_every_p_and_no_fewer_clockwise_targets_at_a_larger_p(name):
    lower, upper = draw(name, 6, 0.3), draw(name, 6, 0.6)
    np.testing.assert_array_equal(lower[:, :-1], upper[:, :-1])
    lower_B, upper_B = (directions_of(name, states, 6)[:, -1] for states in (lower, upper))
    assert (lower_B <= upper_B).all()
    assert (lower_B < upper_B).any()


@each_task
def test_walks_are_the_same_in_float64(name):
    narrow = draw(name, 12, 0.7, num_walks=50)
    with jax.enable_x64(True):
        wide = draw(name, 12, 0.7, num_walks=50)
    np.testing.assert_array_equal(narrow, wide)


@each_task
def test_tokens_targets_and_weights_have_the_promised_shapes_and_types(name):
    walks = compiled_sampler(name, 50, 6, 40)(jax.random.key(0), 0.5)
    for tokens_LxB, targets_B, weights_B in (walks, compiled_population(name, 3, 5)(0.5)):
        B = len(weights_B)
        assert (tokens_LxB.ndim, tokens_LxB.shape[1], targets_B.shape) == (2, B, (B,))
        assert (tokens_LxB.dtype, targets_B.dtype, weights_B.dtype) == (jnp.int32, jnp.int32, jnp.float32)
    assert walks.tokens_LxB.shape == (39, 50)
    assert (walks.weights_B == 1).all()


def optimal_accuracy(name, p, num_nodes=5, walk_length=6):
    """The share of targets that the most probable next state gets right, over all walks."""
    walks = compiled_population(name, num_nodes, walk_length)(p)
    law_KxB = np.asarray(compiled_law(name, num_nodes, walk_length)(walks.tokens_LxB, p))
    return np.sum(np.asarray(walks.weights_B) * (law_KxB.argmax(axis=0) == np.asarray(walks.targets_B)))


@pytest.mark.parametrize("name", ["persistent", "lagged by 1", "lagged by 3"])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_the_optimal_accuracy_is_that_of_the_likelier_direction(name, p, float64):
    assert optimal_accuracy(name, p) == pytest.approx(max(p, 1 - p), abs=1e-14)


@pytest.mark.parametrize(("p", "accuracy"), [(0.0, 1), (0.5, 0.5), (1.0, 1)])
def test_a_hidden_direction_is_found_where_it_is_certain_and_of_no_use_where_it_is_none(p, accuracy, float64):
    assert optimal_accuracy("hidden_direction", p) == pytest.approx(accuracy, abs=1e-14)


def test_more_tokens_tell_more_of_a_hidden_direction(float64):
    short, long = (optimal_accuracy("hidden_direction", 0.8, 3, walk_length) for walk_length in (3, 12))
    assert 0.5 < short < long < 0.8


@pytest.mark.parametrize("p", [0.0, 1e-6, 0.3, 0.5, 0.7, 0.999, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_law_of_a_hidden_direction_is_that_of_exact_beliefs_on_long_walks(p, share):
    K, N, B = 6, 97, 20
    is_clockwise_SxB = np.random.default_rng(0).random((N - 2, B)) < share
    steps_SxB = np.where(is_clockwise_SxB, 1, -1)
    tokens_LxB = np.cumsum(np.vstack([np.arange(B), steps_SxB]), axis=0) % K
    law_KxB = np.asarray(compiled_law("hidden_direction", K, N)(jnp.asarray(tokens_LxB, jnp.int32), np.float32(p)))
    assert np.isfinite(law_KxB).all()
    p = fractions.Fraction(float(np.float32(p)))
    judged = 0
    for law_K, last, clockwise_S in zip(law_KxB.T, tokens_LxB[-1], is_clockwise_SxB.T, strict=True):
        belief = {p: fractions.Fraction(1, 2), 1 - p: fractions.Fraction(1, 2)}
        for is_clockwise in clockwise_S:
            belief = {q: weight * (q if is_clockwise else 1 - q) for q, weight in belief.items()}
        if any(belief.values()):  # else no walk goes like this
            clockwise = float(sum(weight * q for q, weight in belief.items()) / sum(belief.values()))
            expected_K = np.zeros(K)
            expected_K[(last + 1) % K], expected_K[(last - 1) % K] = clockwise, 1 - clockwise
            np.testing.assert_allclose(law_K, expected_K, atol=5e-7)
            judged += 1
    assert judged == (B if 0 < p < 1 or share in (0, 1) else 0)


@each_task
@pytest.mark.parametrize(("p", "expected"), [(0.0, 1), (0.5, 0.5), (1.0, 1)])
def test_the_law_is_exact_where_the_direction_is_certain_or_a_fair_coin(name, p, expected):
    states_BxN = draw(name, 3, p, walk_length=40)
    law_KxB = np.asarray(compiled_law(name, 6, 40)(jnp.asarray(states_BxN[:, :-1].T), np.float32(p)))
    assert (law_KxB.T[np.arange(1000), states_BxN[:, -1]] == expected).all()


@each_task
def test_walks_too_many_to_enumerate_have_no_population(name):
    assert TASKS[name](4, 16).population is not None
    assert TASKS[name](5, 16).population is None
    assert circle.LARGEST_POPULATION == 4 * 2**15


@pytest.mark.parametrize("name", list(LAGS))
def test_the_direct_parent_is_the_token_whose_neighbour_is_the_target(name):
    assert task_of(name, 6, 7).parent == LAGS[name]
    for back in range(1, 7):
        offsets = {(states[-1] - states[-1 - back]) % 6 for states in every_walk(name, 6, 7, 0.9)}
        assert (offsets == {1, 5}) == (back == LAGS[name])


@each_p
def test_the_last_token_of_a_persistent_walk_does_not_tell_its_direction_which_the_one_before_does(p):
    by_last, by_both = np.zeros((5, 5)), np.zeros((5, 5, 5))
    for (*_, parent, last, target), probability in every_walk("persistent", 5, 6, p).items():
        by_last[last, target] += probability
        by_both[last, parent, target] += probability
    np.testing.assert_allclose(by_last, oracle.transition_matrix(5, 0.5) / 5, atol=1e-15)
    for last in range(5):
        np.testing.assert_allclose(by_both[last, last - 1, (last + 1) % 5], p / 10, atol=1e-15)


def test_the_target_is_the_next_state_of_walks_without_a_lag():
    assert circle.circle(5, 6).is_next
    assert chain(5, 6, {}).is_next
    assert not majority().is_next
    assert {name: task_of(name, 5, 6).is_next for name in TASKS} == {
        "hidden_direction": True, "persistent": True, "lagged by 1": False, "lagged by 3": False,
    }  # fmt: skip


@each_task
def test_a_circle_of_two_nodes_is_refused(name):
    with pytest.raises(
        ConfigError, match=f"num_nodes is 2, but must be at least 3 for task.name = '{name.split()[0]}'"
    ):
        TASKS[name](2, 6)


def test_a_walk_without_a_step_to_keep_is_refused():
    with pytest.raises(ConfigError, match=r"walk_length is 2, but must be at least 3 for task.name = 'persistent'"):
        persistent(5, 2)


@pytest.mark.parametrize("lag", [0, 6, 7, 1.0, True, "1"])
def test_a_lag_without_a_token_is_refused(lag):
    sentence = rf"lag is {lag!r}, but must be an integer from 1 to 5, below task.walk_length = 6\."
    with pytest.raises(ConfigError, match=sentence):
        lagged(5, 6, lag)
    lagged(5, 6, 5)
