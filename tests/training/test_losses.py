"""The losses of one walk."""

import functools
import math

import jax
import numpy as np
import pytest

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
