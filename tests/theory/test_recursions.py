"""The recursion against training, and against what it grows to."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.theory.recursions import one_hot_training
from rw_jax.training.run import init, prepare, train_step
from tests import oracle
from tests.tiny import experiment_and_values, tiny_study


@pytest.mark.parametrize("exponent", [0, 0.5, 1.0, 3])
def test_training_with_attention_on_the_parent_is_the_recursion(exponent, float64):
    fields = {"task.walks": "all", "task.test_walks": "all", "task.p": 0.7, "precision": "float64"}
    config = tiny_study(fields=fields | {"training.loss": "power", "training.options.exponent": exponent})
    experiment, values = experiment_and_values(config)
    run, state = prepare(experiment, values), init(experiment, values)
    parent_only = jnp.zeros(6).at[4].set(2000.0)  # its weight is 1 to the last bit
    state = state._replace(params={**state.params, "position_scores": parent_only})
    step = jax.jit(functools.partial(train_step, run))
    trained = []
    for _ in range(4):
        state, _ = step(state)
        trained.append(state.params["value"])
    expected = one_hot_training(
        np.zeros((4, 4)),
        oracle.transition_matrix(4, 0.7),
        values["learning_rate"],
        values["epsilon"],
        [1, 2, 3, 4],
        exponent,
    )
    np.testing.assert_allclose(trained, expected, rtol=1e-12)


@pytest.mark.parametrize("exponent", [0, 0.5, 1.0, 3.0])
def test_an_entry_grows_as_the_power_of_the_step_that_the_loss_decides(exponent):
    transition = oracle.transition_matrix(5, 0.8)
    start = np.where(transition.T > 0, 1.0, 0.0)
    (value,) = one_hot_training(start, transition, 2.0, 0.01, [100_000], exponent)
    expected = ((1 + exponent) * 2.0 * transition.T * 100_000 / 5) ** (1 / (1 + exponent))
    np.testing.assert_allclose(value, np.where(transition.T > 0, expected, 0), rtol=2e-3)
