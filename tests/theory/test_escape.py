"""The closed form of how fast the symmetric state is left, against the linearised dynamics and trainings."""

import numpy as np
import pytest

import rw_jax
from rw_jax.analysis.stability import step_multipliers
from rw_jax.models.positions import squared_norm
from rw_jax.study.flags import from_config_dict
from rw_jax.theory.escape import growth_factors, symmetric_training

K, N, M = 4, 9, 130


def config(**changes):
    """Deterministic walks in float64; positions are so long that the empty slot loses its weight at once."""
    base = rw_jax.base_config()
    base.task.walks = base.task.test_walks = "all"
    base.record.parameters = "all"
    return from_config_dict(base).replace(
        num_nodes=K, walk_length=N, position_width=M, p=1.0, precision="float64", steps=6, **changes
    )


@pytest.mark.slow
@pytest.mark.parametrize("learning_rate", [1.0, 0.3])
def test_growth_factors_are_the_largest_eigenvalues_of_the_linearised_steps(learning_rate):
    expected = step_multipliers(config(learning_rate=learning_rate), 6)
    factors = growth_factors(K, N, squared_norm(M), learning_rate, 0.1, 6)
    assert np.isnan(factors[:2]).all()
    np.testing.assert_allclose(factors[2:], expected[2:], rtol=1e-6)


@pytest.mark.slow
def test_symmetric_trainings_are_trainings():
    run = rw_jax.train(config(learning_rate=0.7))
    weights, outputs = symmetric_training(K, N, squared_norm(M), 0.7, 0.1, 7).T
    tokens, targets = run.walks("train")
    for step in range(7):
        attention, value = run.attention(step=step)[:, :-1], run.value_matrix(step=step)
        np.testing.assert_allclose(attention, weights[step], rtol=1e-9)
        output = np.sum(attention * value[targets[:, None], tokens], axis=1)
        np.testing.assert_allclose(output, outputs[step], rtol=1e-9, atol=1e-15)


def step_by_hand(state, q, rate, epsilon, num_nodes, walk_length):
    """A step of gradient descent on the K walks that go clockwise: (V, u, a) in one vector, in NumPy."""
    states = num_nodes * num_nodes, num_nodes * num_nodes + num_nodes
    value, u, a = state[: states[0]].reshape(num_nodes, num_nodes), state[states[0] : states[1]], state[states[1] :]
    by_value, by_u, by_a = np.zeros_like(value), np.zeros_like(u), np.zeros_like(a)
    for first in range(num_nodes):
        tokens, target = (first + np.arange(walk_length - 1)) % num_nodes, (first + walk_length - 1) % num_nodes
        scores = np.append(u[tokens] + a[:-1], a[-1])
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        values = np.append(value[target, tokens], 0)
        output = weights @ values
        slope = 1 / (output + epsilon) / num_nodes
        np.add.at(by_value[target], tokens, slope * weights[:-1])
        moved = slope * weights * (values - output)
        np.add.at(by_u, tokens, moved[:-1])
        by_a += moved
    return np.concatenate([(value + rate * by_value).ravel(), u + rate * q * by_u, a + rate * q**2 * by_a])


@pytest.mark.parametrize(("num_nodes", "repeats"), [(3, 2), (4, 2), (4, 3)])
def test_growth_factors_are_how_fast_a_small_difference_grows_by_hand(num_nodes, repeats):
    """By finite differences of a NumPy training; the largest of those that break the symmetry of the states."""
    walk_length, q, rate, epsilon = repeats * num_nodes + 1, squared_norm(M), 0.8, 0.1
    factors = growth_factors(num_nodes, walk_length, q, rate, epsilon, 5)
    state = np.zeros(num_nodes**2 + num_nodes + walk_length)
    for step in range(5):
        moved = step_by_hand(state, q, rate, epsilon, num_nodes, walk_length)
        if step >= 2:
            size = 1e-6
            columns = [
                (step_by_hand(state + size * unit, q, rate, epsilon, num_nodes, walk_length) - moved) / size
                for unit in np.eye(len(state))
            ]
            largest = np.abs(np.linalg.eigvals(np.array(columns).T)).max()
            assert factors[step] == pytest.approx(largest, rel=1e-3)
        state = moved


def test_walks_that_do_not_go_round_as_often_from_each_state_are_refused():
    with pytest.raises(ValueError, match="one more than a multiple of 4"):
        growth_factors(4, 10, 5.0, 1.0, 0.1, 3)
