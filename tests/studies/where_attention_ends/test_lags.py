"""The study of where attention ends, on runs whose attention is made up."""

import numpy as np
import pytest

import rw_jax
from rw_jax import Run
from rw_jax.study.flags import from_config_dict
from rw_jax.theory.lags import stability_threshold
from studies.where_attention_ends.lags import table, threshold_table
from studies.where_attention_ends.pictures import lag_map, thresholds
from tests.made_up import ROOT, source_of


@pytest.fixture
def run():
    """Attention on the parent for K = 5; for K = 20 first on the token five, then three before the target."""
    config = rw_jax.read_config(ROOT / "configs" / "infinite.py")
    config.task.walk_length, config.training.steps, config.record.parameters = 13, 4, (2, 3)
    config.record.every = 4
    config.grid.num_nodes, config.grid.p = (5, 20), (0.6, 0.8)

    def keep(cell, step):
        weights, scores = np.full(13, 0.01), np.zeros(13)
        lag = 1 if cell.config.task.num_nodes == 5 else {0: 1, 2: 1, 3: 5, 4: 3}[step]
        weights[12 - lag] = 0.3 if step < 3 else 0.88
        scores[12 - lag] = 10.0
        return {"mean_attention": weights, "params": {"position_scores": scores}}

    def metric(name, cell):
        return {"optimal_accuracy": 0.8, "expected_accuracy": 0.5, "quadrature_error": 1e-13}.get(name, 0.0)

    return Run(source_of(from_config_dict(config), metric, keep))


def test_each_circle_has_a_row_with_the_lag_that_attention_goes_to_and_what_is_known_of_it(run):
    rows = table(run)
    assert len(rows) == 8
    assert set(rows["by"]) == {"η = 1", "gradient flow"}
    rows = rows[rows["by"] == "η = 1"].set_index(["K", "p"])
    assert rows.loc[(5, 0.8), ["predicted", "at_step_2", "at_end"]].tolist() == [1, 1, 1]
    assert rows.loc[(20, 0.6), ["at_step_2", "sharp", "at_end"]].tolist() == [1, 5, 3]
    assert rows["log_others"].tolist() == pytest.approx([np.log(12) - 10] * 4)
    assert rows["below_optimum"].tolist() == pytest.approx([0.3] * 4)
    # On 20 nodes lag 3 is stable from p = 0.754 on (theory.lags.stability_threshold).
    assert rows.loc[20, "is_stable"].to_dict() == {0.6: False, 0.8: True}
    assert rows["quadrature_error"].max() == 1e-13


def test_the_map_shows_the_lags(run):
    figure, rows = lag_map(run)
    assert len(figure.axes) == 7  # what is predicted is the same for both ways, and is drawn once
    assert figure.axes[0].get_title() == "largest correlation"
    assert figure.axes[5].get_title() == "gradient flow: first sharp lag"
    texts = [text.get_text() for text in figure.axes[6].texts]
    assert texts == ["1", "1", "3", "3"]  # K = 5 below K = 20
    assert "nothing is drawn" in figure.legends[0].get_title().get_text()
    assert rows.equals(table(run))


def test_a_line_goes_round_where_the_largest_correlation_is_not_the_parents(run):
    figure, rows = lag_map(run)
    inside = rows[(rows["by"] == "η = 1") & (rows["predicted"] > 1)]
    assert inside[["K", "p"]].to_numpy().tolist() == [[20, 0.8]]
    lines = [np.column_stack(line.get_data()).tolist() for line in figure.axes[0].lines]
    corners = [[0.5, 0.5], [1.5, 0.5], [1.5, 1.5], [0.5, 1.5]]  # around the second p and the second K
    sides = [sorted([corners[i], corners[(i + 1) % 4]]) for i in range(4)]
    assert sorted(map(sorted, lines)) == sorted(sides)


def test_the_thresholds_are_those_of_theory():
    rows = threshold_table((6, 7), 3)
    assert rows["p"].tolist() == [stability_threshold(K, lag) for K in (6, 7) for lag in (2, 3)]
    figure, drawn = thresholds((6, 7), 3)
    assert drawn.equals(rows)
    assert [line.get_label() for line in figure.axes[0].lines] == ["lag 2", "lag 3"]
