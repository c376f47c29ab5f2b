"""The scores after the second step against training on every walk."""

import numpy as np
import pytest

import rw_jax
from rw_jax.models.embeddings import make_embeddings
from rw_jax.theory.geometry import second_scores
from rw_jax.theory.lags import circle_matrix


@pytest.mark.slow
@pytest.mark.parametrize("of_positions", [{"positions": "random"}, {}, {"position_width": 4}])
def test_scores_after_two_small_steps_are_those_of_training_on_every_walk(of_positions):
    config = rw_jax.base_config()
    config.task.num_nodes, config.task.walk_length, config.task.p = 5, 7, 0.7
    config.task.walks = config.task.test_walks = "all"
    config.training.steps, config.training.learning_rate, config.precision = 2, 1e-5, "float64"
    config.model.position_width = 9
    config.model.update(of_positions)
    run = rw_jax.train(config)
    params = run.params()
    assert np.ptp(params["state_scores"]) < 1e-9 * np.abs(params["state_scores"]).max()
    scores = params["position_scores"] + np.where(np.arange(7) < 6, params["state_scores"][0], 0)
    embeddings = make_embeddings(5, 7, config.model.position_width, config.model.positions)
    expected = second_scores(circle_matrix(5, 0.7), embeddings.positions_NxM)
    np.testing.assert_allclose(scores / np.linalg.norm(scores), expected / np.linalg.norm(expected), atol=2e-3)
    if not of_positions:
        assert np.argmax(expected) == 5  # the direct parent
