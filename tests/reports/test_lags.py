"""The study of where attention ends, on runs whose attention is made up."""

import numpy as np
import pytest

import rw_jax
from rw_jax.analysis.run import Run
from rw_jax.reports.lags import lag_map, table
from rw_jax.study.flags import from_config_dict
from tests.made_up import source_of


@pytest.fixture
def run():
    """Attention on the parent for K = 5, and on the token three before the target for K = 20."""
    config = rw_jax.base_config()
    config.task.walk_length, config.task.walks, config.precision = 13, "infinite", "float64"
    config.training.steps, config.record.parameters = 4, (2,)
    config.grid.num_nodes, config.grid.p = (5, 20), (0.6, 0.8)

    def keep(cell, step):
        weights = np.full(13, 0.01)
        weights[12 - (1 if cell.config.task.num_nodes == 5 or step < 2 else 3)] = 0.88
        return {"mean_attention": weights}

    def metric(name, cell):
        return {"optimal_accuracy": 0.8, "expected_accuracy": 0.5, "quadrature_error": 1e-13}.get(name, 0.0)

    return Run(source_of(from_config_dict(config), metric, keep))


def test_each_circle_has_a_row_with_the_lag_that_attention_goes_to_and_what_is_known_of_it(run):
    rows = table(run).set_index(["K", "p"])
    assert len(rows) == 4
    assert rows.loc[(5, 0.8), ["predicted", "at_step_2", "at_end"]].tolist() == [1, 1, 1]
    assert rows.loc[(20, 0.6), ["at_step_2", "at_end"]].tolist() == [3, 3]
    assert rows["weight"].tolist() == pytest.approx([0.88] * 4)
    assert rows["below_optimum"].tolist() == pytest.approx([0.3] * 4)
    # On 20 nodes lag 3 is stable from p = 0.754 on (theory.lags.stability_threshold).
    assert rows.loc[20, "is_stable"].to_dict() == {0.6: False, 0.8: True}
    assert rows["quadrature_error"].max() == 1e-13


def test_the_map_shows_the_lags(run):
    figure, rows = lag_map(run)
    assert len(figure.axes) == 3
    texts = [text.get_text() for text in figure.axes[2].texts]
    assert texts == ["1", "1", "3", "3"]  # K = 5 below K = 20
    assert "nothing is drawn" in figure.legends[0].get_title().get_text()
    assert rows.equals(table(run))
