"""The linearised dynamics against differences of trained parameters."""

import jax
import numpy as np
import pytest

from configs import base
from rw_jax.analysis.stability import step_multipliers
from rw_jax.study.config import from_config_dict
from rw_jax.training import train


def test_multipliers_are_the_largest_eigenvalues_of_finite_differences_of_a_step(float64):
    config = from_config_dict(base.get_config()).replace(
        num_nodes=4, walk_length=5, position_width=40, walks=30, p=1.0, learning_rate=1.0
    )
    values = train.run_values(config)
    start, (walks, _) = jax.jit(lambda values: (train.init(config, values), train.sample_walks(config, values)))(values)
    gradient_descent = train.make_learner(config).gradient_descent(values.learning_rate)
    flat, unravel = jax.flatten_util.ravel_pytree(start.params)

    @jax.jit
    def step(flat):
        loss_of_params = train.mean_loss(config, walks, values.epsilon)
        state, _ = train.train_step(loss_of_params, gradient_descent, start._replace(params=unravel(flat)))
        return jax.flatten_util.ravel_pytree(state.params)[0]

    expected = []
    for _ in range(3):
        columns = [(step(flat + 1e-6 * e) - step(flat - 1e-6 * e)) / 2e-6 for e in np.eye(flat.size)]
        expected.append(np.abs(np.linalg.eigvals(np.stack(columns, axis=1))).max())
        flat = step(flat)
    assert step_multipliers(config, 3) == pytest.approx(expected, rel=1e-5)
