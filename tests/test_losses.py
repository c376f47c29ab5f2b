"""The losses of one walk."""

import math

import jax
import numpy as np
import pytest

from rw_jax.losses import log_loss


@pytest.mark.parametrize("target", [0, 1, 2])
def test_log_loss_is_minus_the_logarithm_of_the_targets_output_plus_epsilon(target, float64):
    output_K = np.array([0.3, 2.0, -0.05])
    assert float(log_loss(output_K, np.eye(3)[target], 0.1)) == pytest.approx(-math.log(output_K[target] + 0.1), 1e-14)


def test_log_loss_pulls_at_the_targets_output_only(float64):
    gradient_K = jax.grad(log_loss)(np.array([0.3, 2.0, -0.05]), np.eye(3)[1], 0.1)
    np.testing.assert_allclose(gradient_K, [0, -1 / 2.1, 0], rtol=1e-14)


def test_log_loss_is_nan_where_output_plus_epsilon_is_negative():
    assert np.isnan(log_loss(np.array([-0.2, 1, 1], np.float32), np.eye(3, dtype=np.float32)[0], 0.1))
