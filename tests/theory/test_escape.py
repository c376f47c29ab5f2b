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


def test_walks_that_do_not_go_round_as_often_from_each_state_are_refused():
    with pytest.raises(ValueError, match="one more than a multiple of 4"):
        growth_factors(4, 10, 5.0, 1.0, 0.1, 3)
