"""Gradient descent of both forms, by hand."""

import jax.numpy as jnp
import numpy as np
import optax

from rw_jax.training.optimizer import gradient_descent, reduced_gradient_descent


def step(optimizer, params, gradients):
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    return optax.apply_updates(params, updates)


def test_full_parameters_move_by_eta_times_their_gradient(float64):
    params = {"value": jnp.asarray([1.0, 2.0]), "key_query": jnp.asarray([[3.0]])}
    gradients = {"value": jnp.asarray([0.5, -1.0]), "key_query": jnp.asarray([[2.0]])}
    moved = step(gradient_descent(jnp.asarray(0.1)), params, gradients)
    np.testing.assert_allclose(moved["value"], [0.95, 2.1], rtol=1e-15)
    np.testing.assert_allclose(moved["key_query"], [[2.8]], rtol=1e-15)


def test_state_scores_move_q_times_and_position_scores_q_squared_times_as_far(float64):
    params = {name: jnp.asarray([1.0, 2.0]) for name in ("value", "state_scores", "position_scores")}
    gradients = {name: jnp.asarray([0.5, -1.0]) for name in params}
    moved = step(reduced_gradient_descent(jnp.asarray(0.1), squared_norm=3.0), params, gradients)
    np.testing.assert_allclose(moved["value"], [0.95, 2.1], rtol=1e-15)
    np.testing.assert_allclose(moved["state_scores"], [0.85, 2.3], rtol=1e-15)
    np.testing.assert_allclose(moved["position_scores"], [0.55, 2.9], rtol=1e-15)
