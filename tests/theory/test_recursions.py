"""The recursion against training, and against what it grows to."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.theory.recursions import one_hot_training
from rw_jax.training.run import init, prepare, train_step
from tests import oracle
from tests.tiny import experiment_and_values, tiny_study


def test_training_with_attention_on_the_parent_is_the_recursion(float64):
    config = tiny_study(fields={"task.walks": "all", "task.test_walks": "all", "task.p": 0.7, "precision": "float64"})
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
        np.zeros((4, 4)), oracle.transition_matrix(4, 0.7), values["learning_rate"], values["epsilon"], [1, 2, 3, 4]
    )
    np.testing.assert_allclose(trained, expected, rtol=1e-12)


def test_the_recursion_grows_as_the_square_root_of_the_step():
    transition = oracle.transition_matrix(5, 0.8)
    (value,) = one_hot_training(np.zeros((5, 5)), transition, 2.0, 0.1, [100_000])
    np.testing.assert_allclose(value, np.sqrt(2 * 2.0 * transition.T * 100_000 / 5), rtol=2e-3)
