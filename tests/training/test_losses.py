"""The losses of one walk."""

import functools
import math

import jax
import numpy as np
import pytest

from rw_jax.study.errors import ConfigError
from rw_jax.training import losses
from rw_jax.training.losses import log_loss


@functools.cache
def with_gradient(loss):
    return jax.jit(jax.value_and_grad(loss))


@pytest.mark.parametrize("target", [0, 1, 2])
def test_log_loss_is_minus_the_logarithm_of_the_targets_output_plus_epsilon(target, float64):
    output_K = np.array([0.3, 2.0, -0.05])
    assert float(log_loss(output_K, np.eye(3)[target], {"epsilon": 0.1})) == pytest.approx(
        -math.log(output_K[target] + 0.1), 1e-14
    )


def test_log_loss_pulls_at_the_targets_output_only(float64):
    gradient_K = jax.grad(log_loss)(np.array([0.3, 2.0, -0.05]), np.eye(3)[1], {"epsilon": 0.1})
    np.testing.assert_allclose(gradient_K, [0, -1 / 2.1, 0], rtol=1e-14)


def test_log_loss_is_nan_where_output_plus_epsilon_is_negative():
    assert np.isnan(log_loss(np.array([-0.2, 1, 1], np.float32), np.eye(3, dtype=np.float32)[0], {"epsilon": 0.1}))


@pytest.mark.parametrize("target", [0, 1, 2])
def test_cross_entropy_squared_error_and_hinge_equal_their_definitions(target, float64):
    output_K, target_K = np.array([0.3, 2.0, -0.05]), np.eye(3)[target]
    softmax_K = np.exp(output_K) / np.exp(output_K).sum()
    others = [i for i in range(3) if i != target]
    expected = {
        losses.cross_entropy: -math.log(softmax_K[target]),
        losses.squared_error: sum((output_K[i] - target_K[i]) ** 2 for i in range(3)) / 2,
        losses.hinge: max(0, 1 + max(output_K[others]) - output_K[target]),
    }
    gradients = {
        losses.cross_entropy: softmax_K - target_K,
        losses.squared_error: output_K - target_K,
        losses.hinge: np.eye(3)[next(i for i in others if output_K[i] == max(output_K[others]))] - target_K,
    }
    gradients[losses.hinge] *= expected[losses.hinge] > 0
    for loss, expected_value in expected.items():
        value, gradient_K = with_gradient(loss)(output_K, target_K, {"epsilon": 0.1})
        assert float(value) == pytest.approx(expected_value, 1e-14)
        np.testing.assert_allclose(gradient_K, gradients[loss], rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("exponent", [0, 0.5, 2, 3.5])
def test_a_power_loss_has_minus_a_power_of_the_targets_output_for_a_derivative(exponent, float64):
    loss = losses.power(exponent).of_walk
    output_K, target_K = np.array([0.3, 2.0, -0.05]), np.eye(3)[1]
    value, gradient_K = with_gradient(loss)(output_K, target_K, {"epsilon": 0.1})
    z = np.linspace(1, 2.1, 200_001)
    area = np.sum((z[1:] ** -exponent + z[:-1] ** -exponent) / 2) * (z[1] - z[0])
    assert float(value) == pytest.approx(-area, rel=1e-9)  # it is 0 at z = 1, as the log-loss is
    np.testing.assert_allclose(gradient_K, [0, -(2.1**-exponent), 0], rtol=1e-14)


def test_the_power_loss_of_exponent_one_is_the_log_loss_and_near_one_it_is_nearly(float64):
    assert losses.power(1) is losses.LOSSES["log"]
    near = losses.power(1 + 1e-7).of_walk(np.array([0.3, 2.0]), np.eye(2)[1], {"epsilon": 0.1})
    assert float(near) == pytest.approx(-math.log(2.1), rel=1e-6)


@pytest.mark.parametrize("exponent", [-0.1, math.inf, math.nan, True, "1", (1,)])
def test_an_exponent_that_is_no_number_from_0_on_is_refused(exponent):
    with pytest.raises(ConfigError, match=r"training\.options\.exponent is .*, but must be a number of at least 0"):
        losses.power(exponent)
