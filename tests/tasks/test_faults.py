"""Faults of walks against NumPy: what is random in each is drawn here by the same keys, and done in plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rw_jax.tasks import Task, Walks, faults
from rw_jax.tasks.chain import chain
from rw_jax.tasks.circle import circle
from tests.tiny import experiment_and_values, tiny_study

K, N, B = 4, 6, 200
L = N - 1
NONE = K
"""In the place of a token that is missing."""

VALUES = {
    "p": 0.5,
    "task": {},
    "label_noise": 0.4,
    "dropped_tokens": 0.3,
    "mixed_share": 0.3,
    "mixed_p": 1.0,
    "fault_key": jax.random.key(5),
}
KEY = jax.random.key(8)


def drawn(task, values=VALUES, number=B):
    """The walks of a task: tokens int[B, L], targets and weights."""
    walks = jax.jit(lambda values: task.sample(KEY, number, values))(values)
    return np.asarray(walks.tokens_LxB).T, np.asarray(walks.targets_B), np.asarray(walks.weights_B)


CLEAN = drawn(circle(K, N))


def keys():
    """Those of a share, a state, noise, missing tokens and lengths."""
    share, rest = jax.random.split(VALUES["fault_key"])
    return share, *jax.random.split(rest, 4)


def uniform(key, *shape):
    return np.asarray(jax.random.uniform(key, shape, jnp.float32))


def with_noise(targets):
    _, state, noise, _, _ = keys()
    is_wrong = uniform(noise, len(targets)) < VALUES["label_noise"]
    return np.where(is_wrong, jax.random.randint(state, targets.shape, 0, K, targets.dtype), targets)


def without_some(tokens):
    *_, drop, _ = keys()
    return np.where(VALUES["dropped_tokens"] > uniform(drop, *tokens.T.shape).T, NONE, tokens)


def cut(tokens, shortest):
    states = np.asarray(jax.random.randint(keys()[-1], (len(tokens),), shortest, N + 1))
    return np.array(
        [[NONE if j < N - n else walk[j] for j in range(L)] for walk, n in zip(tokens, states, strict=True)]
    )


def by_position(tokens, targets, weights):
    """The first n tokens of every walk and what follows them, for each n in turn."""
    states = np.column_stack([tokens, targets])
    walks = [(n, walk) for n in range(1, N) for walk in states]
    shortened = np.array([[walk[j] if j < n else NONE for j in range(L)] for n, walk in walks])
    return shortened, np.array([walk[n] for n, walk in walks]), np.tile(weights, L)


def with_others():
    others = drawn(circle(K, N), {**VALUES, "p": 1.0})
    is_other = uniform(keys()[0], B) < VALUES["mixed_share"]
    return tuple(
        np.where(is_other.reshape(-1, *[1] * (own.ndim - 1)), other, own)
        for other, own in zip(others, CLEAN, strict=True)
    )


TOKENS, TARGETS, WEIGHTS = CLEAN
FAULTS = {
    "mixed": (faults.mixed, with_others()),
    "every position": (faults.every_position, by_position(*CLEAN)),
    "label noise": (faults.label_noise, (TOKENS, with_noise(TARGETS), WEIGHTS)),
    "dropped tokens": (faults.dropped_tokens, (without_some(TOKENS), TARGETS, WEIGHTS)),
    "lengths": (lambda task: faults.lengths(task, 3), (cut(TOKENS, 3), TARGETS, WEIGHTS)),
}
"""Each fault, and the walks that it makes of those without."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_the_walks_that_there_are_without_it_and_nothing_else_of_them(name):
    fault, expected = FAULTS[name]
    for found, right, clean in zip(drawn(fault(circle(K, N))), expected, CLEAN, strict=True):
        assert found.dtype == clean.dtype
        np.testing.assert_array_equal(found, right)
    assert any(
        found.shape != clean.shape or (found != clean).any() for found, clean in zip(expected, CLEAN, strict=True)
    )


def composed(task: Task) -> Task:
    return faults.dropped_tokens(faults.label_noise(faults.every_position(faults.mixed(task))))


def test_faults_compose_and_what_is_random_in_one_does_not_depend_on_the_others():
    tokens, targets, weights = by_position(*with_others())
    found = drawn(composed(circle(K, N)))
    for array, right in zip(found, (without_some(tokens), with_noise(targets), weights), strict=True):
        np.testing.assert_array_equal(array, right)
    cut_and_noisy = drawn(faults.label_noise(faults.lengths(circle(K, N), 3)))
    other_way_round = drawn(faults.lengths(faults.label_noise(circle(K, N)), 3))
    for one, other, right in zip(
        cut_and_noisy, other_way_round, (cut(TOKENS, 3), with_noise(TARGETS), WEIGHTS), strict=True
    ):
        np.testing.assert_array_equal(one, right)
        np.testing.assert_array_equal(other, right)


def test_shares_are_those_that_are_asked_for():
    _, targets, _ = drawn(faults.label_noise(circle(K, N)))
    # One in K of those that are replaced is what it was.
    assert stats.binomtest(int(np.sum(targets != TARGETS)), B, 0.4 * (K - 1) / K).pvalue > 1e-4
    assert set(targets) == set(range(K))
    tokens, _, _ = drawn(faults.dropped_tokens(circle(K, N)))
    assert stats.binomtest(int(np.sum(tokens == NONE)), tokens.size, 0.3).pvalue > 1e-4
    tokens, _, _ = drawn(faults.lengths(circle(K, N), 3))
    assert stats.chisquare(np.bincount(1 + np.sum(tokens != NONE, axis=1), minlength=N + 1)[3:]).pvalue > 1e-4
    tokens, targets, _ = drawn(faults.mixed(circle(K, N)))
    deterministic = np.all(np.diff(np.column_stack([tokens, targets]), axis=1) % K == 1, axis=1)
    # Of the others, with p = 1/2, one in 2^5 goes round by chance.
    assert stats.binomtest(int(np.sum(deterministic)), B, 0.3 + 0.7 / 2**5).pvalue > 1e-4


def test_every_position_is_predicted_from_what_is_before_it():
    walks = Walks(jnp.array([[0, 3], [1, 2], [2, 1]]), jnp.array([3, 0]), jnp.array([0.2, 0.8]))
    task = Task(K, 4, sample=lambda key, num_walks, values: walks, population=lambda values: walks)
    shortened = faults.every_position(task)
    for tokens_LxB, targets_B, weights_B in (shortened.sample(KEY, 2, VALUES), shortened.population(VALUES)):
        assert np.asarray(tokens_LxB.T).tolist() == [
            [0, NONE, NONE], [3, NONE, NONE], [0, 1, NONE], [3, 2, NONE], [0, 1, 2], [3, 2, 1]
        ]  # fmt: skip
        assert targets_B.tolist() == [1, 2, 2, 1, 3, 0]
        np.testing.assert_allclose(weights_B, [0.2, 0.8] * 3)


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "mixed"])
def test_walks_that_are_enumerated_have_the_same_faults(name):
    task = circle(K, 4)
    fault = FAULTS[name][0](task)
    every = task.population(VALUES)
    given = task._replace(sample=lambda key, num_walks, values: every)
    for found, right in zip(fault.population(VALUES), FAULTS[name][0](given).sample(KEY, 0, VALUES), strict=True):
        np.testing.assert_array_equal(found, right)


def test_a_fault_says_what_it_makes_of_a_task():
    task = circle(K, N)
    says = {name: (fault(task).has_gaps, fault(task).population is None) for name, (fault, _) in FAULTS.items()}
    assert says == {
        "mixed": (False, True),  # a share of what is enumerated is no walk
        "every position": (True, False),
        "label noise": (False, False),
        "dropped tokens": (True, False),
        "lengths": (True, False),
    }
    for fault, _ in FAULTS.values():
        kept = fault(task)
        assert (kept.num_nodes, kept.walk_length, kept.law, kept.offsets) == (K, N, task.law, task.offsets)
        # What cannot be enumerated cannot be with a fault.
        assert fault(task._replace(population=None)).population is None


def test_the_arrays_of_a_task_are_made_for_the_other_p_as_well():
    task = chain(K, N, {})
    labels = {"family": "cycle", "p": 1.0, "mixed_p": 0.0, "walks": 200, "test_walks": 24, "target": "last"}
    of_share = faults.mixed(task).host_values(labels)
    np.testing.assert_array_equal(of_share["transition"], np.roll(np.eye(K), 1, axis=1))
    np.testing.assert_array_equal(of_share["mixed"]["transition"], np.roll(np.eye(K), -1, axis=1))
    tokens, targets, _ = drawn(faults.mixed(task), {**VALUES, "task": of_share})
    moves = np.diff(np.column_stack([tokens, targets]), axis=1) % K
    is_other = uniform(keys()[0], B) < VALUES["mixed_share"]
    np.testing.assert_array_equal(moves, np.where(is_other, K - 1, 1)[:, None].repeat(L, axis=1))


def test_faults_are_seen_by_the_task_that_is_trained_on_and_not_by_that_which_is_tested():
    fields = {"label_noise": 0.4, "dropped_tokens": 0.3, "shortest_walk": 3, "mixed_share": 0.3, "mixed_p": 1.0}
    config = tiny_study(fields={f"training.{name}": value for name, value in fields.items()} | {"task.p": 0.5})
    experiment, values = experiment_and_values(config)
    given = {**values, "fault_key": VALUES["fault_key"]}
    expected = without_some(with_others()[0]), with_noise(with_others()[1])
    tokens, targets, _ = drawn(experiment.trained_on, given)
    np.testing.assert_array_equal(tokens, np.where(cut(TOKENS, 3) == NONE, NONE, expected[0]))
    np.testing.assert_array_equal(targets, expected[1])
    for found, right in zip(drawn(experiment.task, values), CLEAN, strict=True):
        np.testing.assert_array_equal(found, right)
