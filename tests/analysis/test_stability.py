"""The linearised dynamics against differences of trained parameters."""

import jax
import numpy as np
import pytest

import rw_jax
from rw_jax.analysis.stability import step_multipliers
from rw_jax.study.flags import from_config_dict
from rw_jax.training.run import init, prepare, train_step
from tests.tiny import experiment_and_values


@pytest.mark.slow
def test_multipliers_are_the_largest_eigenvalues_of_finite_differences_of_a_step(float64):
    config = from_config_dict(rw_jax.base_config()).replace(
        num_nodes=4, walk_length=5, position_width=40, walks=30, p=1.0, learning_rate=1.0, precision="float64"
    )
    experiment, values = experiment_and_values(config)
    start = jax.jit(lambda values: init(experiment, values))(values)
    flat, unravel = jax.flatten_util.ravel_pytree(start.params)

    @jax.jit
    def step(flat):
        state, _ = train_step(prepare(experiment, values), start._replace(params=unravel(flat)))
        return jax.flatten_util.ravel_pytree(state.params)[0]

    expected = []
    for _ in range(3):
        columns = [(step(flat + 1e-6 * e) - step(flat - 1e-6 * e)) / 2e-6 for e in np.eye(flat.size)]
        expected.append(np.abs(np.linalg.eigvals(np.stack(columns, axis=1))).max())
        flat = step(flat)
    assert step_multipliers(config, 3) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_stage_without_a_rate_multiplies_nothing():
    config = from_config_dict(rw_jax.base_config()).replace(
        num_nodes=4, walk_length=5, position_width=40, walks=30, p=1.0, stages="2: learning_rate=0"
    )
    first, second, third = step_multipliers(config, 3)
    assert first > 1.5 < second
    assert third == pytest.approx(1, abs=1e-5)
