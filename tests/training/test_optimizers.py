"""Optimizers of both forms, by hand."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rw_jax.models import Model
from rw_jax.models.reduced import precondition
from rw_jax.training.optimizers import GRADIENT_DESCENT, Optimizer, transformation

FULL = Model(init=lambda key, values: {}, apply=lambda params, tokens_LxB: None)
REDUCED = FULL._replace(precondition=precondition(3.0))
VALUES = {"learning_rate": 0.1}


def step(optimizer, params, gradients):
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    return optax.apply_updates(params, updates)


def test_full_parameters_move_by_eta_times_their_gradient(float64):
    params = {"value": jnp.asarray([1.0, 2.0]), "key_query": jnp.asarray([[3.0]])}
    gradients = {"value": jnp.asarray([0.5, -1.0]), "key_query": jnp.asarray([[2.0]])}
    moved = step(transformation(GRADIENT_DESCENT, FULL, VALUES), params, gradients)
    np.testing.assert_allclose(moved["value"], [0.95, 2.1], rtol=1e-15)
    np.testing.assert_allclose(moved["key_query"], [[2.8]], rtol=1e-15)


def test_state_scores_move_q_times_and_position_scores_q_squared_times_as_far(float64):
    params = {name: jnp.asarray([1.0, 2.0]) for name in ("value", "state_scores", "position_scores")}
    gradients = {name: jnp.asarray([0.5, -1.0]) for name in params}
    moved = step(transformation(GRADIENT_DESCENT, REDUCED, VALUES), params, gradients)
    np.testing.assert_allclose(moved["value"], [0.95, 2.1], rtol=1e-15)
    np.testing.assert_allclose(moved["state_scores"], [0.85, 2.3], rtol=1e-15)
    np.testing.assert_allclose(moved["position_scores"], [0.55, 2.9], rtol=1e-15)


def test_gradient_descent_is_linear_and_an_optimizer_that_does_not_say_so_is_not():
    assert GRADIENT_DESCENT.is_linear
    assert not Optimizer(lambda values: optax.adam(values["learning_rate"])).is_linear


@pytest.mark.parametrize("factor", [2.0, -0.5])
def test_updates_of_gradient_descent_are_linear_in_the_gradients(factor, float64):
    params, gradients = {"value": jnp.ones(3)}, {"value": jnp.asarray([0.5, -1.0, 2.0])}
    optimizer = transformation(GRADIENT_DESCENT, FULL, VALUES)
    one, other = (
        optimizer.update({"value": scale * gradients["value"]}, optimizer.init(params), params)[0]["value"]
        for scale in (1.0, factor)
    )
    np.testing.assert_allclose(other, factor * one, rtol=1e-15)
