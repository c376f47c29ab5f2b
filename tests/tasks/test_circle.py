"""The law of the walks against the enumeration of all walks, judged by standard errors with fixed keys."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.study.errors import ConfigError
from rw_jax.tasks import circle
from tests import oracle


@functools.cache
def compiled_sampler(num_walks, walk_length):
    """(key, p, num_nodes) -> Walks; nothing in it depends on the number of nodes, so that one program serves all."""

    def sample(key, p, num_nodes):
        return circle.sample(key, num_walks, p, num_nodes=num_nodes, walk_length=walk_length)

    return jax.jit(sample)


def draw(seed, p, num_nodes=6, walk_length=97, num_walks=1000):
    """Sampled walks with their targets, int[B, N]."""
    tokens_LxB, targets_B, _ = compiled_sampler(num_walks, walk_length)(jax.random.key(seed), p, num_nodes)
    return np.vstack([tokens_LxB, targets_B]).T


def steps_of(states_BxN, num_nodes):
    """+1 or -1 for each step; anything else is no step of the circle."""
    steps = np.diff(states_BxN, axis=1) % num_nodes
    return np.where(steps == num_nodes - 1, -1, steps)


@pytest.mark.parametrize("walk_length", [3, 4, 5])
@pytest.mark.parametrize("num_nodes", [3, 4, 5])
def test_every_walk_occurs_as_often_as_its_probability_says(num_nodes, walk_length):
    num_walks = 20_000
    walks = oracle.all_walks(num_nodes, walk_length)
    place = {tuple(walk): i for i, walk in enumerate(walks)}
    assert len(place) == num_nodes * 2 ** (walk_length - 1)
    for p in (0.0, 0.3, 0.5, 0.85, 1.0):
        states_BxN = draw(1, p, num_nodes, walk_length, num_walks)
        counts = np.bincount([place[tuple(walk)] for walk in states_BxN], minlength=len(walks))
        expected = num_walks * oracle.probabilities(walks, num_nodes, p)
        assert not counts[expected == 0].any()
        counts, expected = counts[expected > 0], expected[expected > 0]
        standard_errors = np.sqrt(expected * (1 - expected / num_walks))
        # Some 1,200 frequencies are judged in all: one beyond 4.5 standard errors has a chance of 1%.
        assert (np.abs(counts - expected) < 4.5 * standard_errors).all()
        # Pearson's statistic has mean n - 1 and variance 2 (n - 1).
        freedom = len(counts) - 1
        assert np.sum((counts - expected) ** 2 / expected) < freedom + 4 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.7])
def test_share_of_clockwise_steps_is_p_at_every_node_and_every_time(p):
    num_nodes = 6
    states_BxN = draw(2, p)
    clockwise = steps_of(states_BxN, num_nodes) == 1
    for node in range(num_nodes):
        here = clockwise[states_BxN[:, :-1] == node]
        assert abs(here.mean() - p) < 4 * np.sqrt(p * (1 - p) / here.size)
    standard_error = np.sqrt(p * (1 - p) / 1000)
    assert (np.abs(clockwise.mean(axis=0) - p) < 4.5 * standard_error).all()  # 96 times
    # Two steps in a row are independent.
    both = (clockwise[:, 1:] & clockwise[:, :-1]).mean()
    assert abs(both - p**2) < 4 * np.sqrt(p**2 * (1 - p**2) * 3 / clockwise[:, 1:].size)


def test_every_step_goes_to_a_neighbour():
    assert set(np.unique(steps_of(draw(3, 0.4, num_nodes=20), 20))) == {1, -1}


def test_walks_at_p_one_always_go_clockwise():
    assert (steps_of(draw(4, 1.0), 6) == 1).all()


def test_walks_at_p_zero_never_go_clockwise():
    assert (steps_of(draw(4, 0.0), 6) == -1).all()


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_first_states_are_uniform(p):
    num_walks, num_nodes = 20_000, 5
    counts = np.bincount(draw(5, p, num_nodes, 4, num_walks)[:, 0], minlength=num_nodes)
    assert counts.shape == (num_nodes,)
    standard_error = np.sqrt(num_walks * (1 / num_nodes) * (1 - 1 / num_nodes))
    assert (np.abs(counts - num_walks / num_nodes) < 4 * standard_error).all()


def test_one_key_gives_the_same_first_states_at_every_p_and_no_fewer_clockwise_steps_at_a_larger_p():
    lower, upper = draw(6, 0.3), draw(6, 0.6)
    np.testing.assert_array_equal(lower[:, 0], upper[:, 0])
    assert (steps_of(lower, 6) <= steps_of(upper, 6)).all()
    assert (steps_of(lower, 6) < steps_of(upper, 6)).any()


def test_one_key_gives_one_batch_of_walks_and_another_key_another():
    np.testing.assert_array_equal(draw(7, 0.5), draw(7, 0.5))
    one, other = draw(7, 0.5), draw(8, 0.5)
    # Independent walks of 97 states agree in all of them with probability 2^-96 / 6.
    assert not (one == other).all(axis=1).any()
    assert abs((one[:, 0] == other[:, 0]).mean() - 1 / 6) < 4 * np.sqrt(5 / 36 / 1000)


def test_walks_of_a_run_do_not_depend_on_the_runs_beside_it():
    sample = compiled_sampler(50, 5)
    seeds, p = np.array([9, 10, 11]), np.array([0.2, 0.5, 1.0], np.float32)
    batch = jax.jit(jax.vmap(lambda seed, p: sample(jax.random.key(seed), p, 6)))(seeds, p)
    for i in range(3):
        alone = sample(jax.random.key(seeds[i]), p[i], 6)
        jax.tree.map(np.testing.assert_array_equal, alone, jax.tree.map(lambda leaf, i=i: leaf[i], batch))


def test_walks_are_the_same_in_float64():
    narrow = draw(12, 0.7, walk_length=5, num_walks=50)
    with jax.enable_x64(True):
        wide = draw(12, 0.7, walk_length=5, num_walks=50)
    np.testing.assert_array_equal(narrow, wide)


def test_tokens_targets_and_weights_have_the_promised_shapes_and_types():
    tokens_LxB, targets_B, weights_B = compiled_sampler(50, 5)(jax.random.key(0), 0.5, 5)
    assert (tokens_LxB.shape, targets_B.shape, weights_B.shape) == ((4, 50), (50,), (50,))
    assert (tokens_LxB.dtype, targets_B.dtype, weights_B.dtype) == (jnp.int32, jnp.int32, jnp.float32)
    assert (weights_B == 1).all()
    assert tokens_LxB.min() >= 0
    assert tokens_LxB.max() < 5


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("num_nodes", [3, 6])
def test_transition_matrix_is_that_of_the_definition(num_nodes, p, float64):
    np.testing.assert_array_equal(circle.transition_matrix(num_nodes, p), oracle.transition_matrix(num_nodes, p))


def test_next_state_law_is_the_conditional_law_of_the_enumerated_walks(float64):
    num_nodes, p = 4, 0.3
    walks = oracle.all_walks(num_nodes, 5)
    probabilities = oracle.probabilities(walks, num_nodes, p)
    law_BxK = np.asarray(circle.circle(num_nodes, 5).next_state_law(jnp.asarray(walks[:, :-1].T), {"p": p})).T
    for walk, law_K in zip(walks, law_BxK, strict=True):
        alike = (walks[:, :-1] == walk[:-1]).all(axis=1)
        joint_K = np.bincount(walks[alike, -1], probabilities[alike], minlength=num_nodes)
        np.testing.assert_allclose(law_K, joint_K / joint_K.sum(), rtol=1e-14)


@functools.cache
def compiled_population(num_nodes, walk_length):
    return jax.jit(lambda p: circle.circle(num_nodes, walk_length).population({"p": p}))


@pytest.mark.parametrize(("num_nodes", "walk_length"), [(3, 3), (5, 6)])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_the_population_is_every_walk_once_with_its_probability(num_nodes, walk_length, p, float64):
    tokens_LxB, targets_B, weights_B = compiled_population(num_nodes, walk_length)(p)
    states = np.vstack([tokens_LxB, targets_B]).T.tolist()
    weight = dict(zip(map(tuple, states), np.asarray(weights_B), strict=True))
    walks = oracle.all_walks(num_nodes, walk_length)
    assert len(weight) == len(targets_B) == len(walks)
    expected = oracle.probabilities(walks, num_nodes, p)
    np.testing.assert_allclose([weight[tuple(walk)] for walk in walks], expected, rtol=1e-14)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_population_of_long_deterministic_walks_is_one_from_each_node(p):
    tokens_LxK, targets_K, weights_K = compiled_population(6, 97)(p)
    walks = (np.arange(6)[:, None] + (1 if p == 1 else -1) * np.arange(97)) % 6
    np.testing.assert_array_equal(np.vstack([tokens_LxK, targets_K]).T, walks)
    np.testing.assert_array_equal(weights_K, np.full(6, np.float32(1 / 6)))


def test_walks_can_be_enumerated_up_to_the_limit():
    assert circle.can_enumerate(4, 16)
    assert not circle.can_enumerate(5, 16)


def test_the_chain_of_the_task_starts_uniform_and_goes_on_by_the_transition_matrix(float64):
    law = circle.circle(5, 6).law({"p": 0.3})
    np.testing.assert_array_equal(law.start_K, np.full(5, 0.2))
    np.testing.assert_array_equal(law.transition_KxK, oracle.transition_matrix(5, 0.3))


def test_a_circle_of_two_nodes_is_refused_because_both_directions_lead_to_the_same():
    with pytest.raises(ConfigError, match="num_nodes is 2, but must be at least 3"):
        circle.circle(2, 6)


def test_all_walks_are_refused_where_they_cannot_be_enumerated():
    task = circle.circle(6, 97)
    task.check({"p": 1.0, "walks": "all", "test_walks": 10})
    task.check({"p": 0.3, "walks": 10, "test_walks": 10})
    with pytest.raises(ConfigError, match=r"test_walks is 'all', but must be a number for task.p = 0.3"):
        task.check({"p": 0.3, "walks": 10, "test_walks": "all"})
