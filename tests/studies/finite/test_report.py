"""The study of samples against infinitely many walks, on runs whose V and attention are made up."""

import math

import numpy as np
import pytest

import rw_jax
from rw_jax import Run, RunError
from rw_jax.analysis.statistics import rate_interval
from rw_jax.study.flags import from_config_dict
from studies.finite.report import approach, exponents, table
from tests.made_up import source_of


def made_up(walks):
    """V is off by walks^-0.4 in one entry; seed 0 attends elsewhere with 1000 walks."""
    config = rw_jax.base_config()
    config.task.num_nodes, config.task.walk_length, config.precision = 3, 7, "float64"
    config.training.steps, config.record.parameters = 2, ()
    config.grid.walks, config.grid.p, config.grid.seed = walks, (0.7,), range(5)

    def keep(cell, step):
        number = cell.config.task.walks
        value, weights = np.eye(3), np.full(7, 0.1)
        if number != math.inf:
            value[0, 1] = (1 + 0.1 * cell.config.seed) * number**-0.4
        weights[3 if (number, cell.config.seed) == (1000, 0) else 5] = 0.4
        scores = np.full(3, 2.0) + (0 if number == math.inf else number**-0.3)
        params = {"value": value, "state_scores": scores, "position_scores": scores}
        return {"params": params, "mean_attention": weights}

    return Run(source_of(from_config_dict(config), keep=keep))


def test_seeds_are_compared_with_the_exact_run_of_their_setting():
    rows = table(made_up((1000, 10_000, "infinite"))).set_index("walks")
    assert rows.index.tolist() == [1000, 10_000]
    assert tuple(rows.loc[1000, ["agree", "agree_low", "agree_high"]]) == pytest.approx(
        tuple(rate_interval(np.array([0, 1, 1, 1, 1])))[:3]
    )
    # Over the seeds that agree: 1 to 4, and 0 to 4.
    assert rows.loc[1000, "distance"] == pytest.approx(1.25 * 1000**-0.4 / np.sqrt(3))
    assert rows.loc[1000, "distance_u"] == pytest.approx(1000**-0.3 / 2)
    assert rows.loc[10_000, "distance"] == pytest.approx(1.2 * 10_000**-0.4 / np.sqrt(3))


def test_the_exponent_is_that_of_the_seeds_that_agree_everywhere():
    rows = exponents(made_up((1000, 10_000, 100_000, "infinite"))).set_index("of")
    assert rows["seeds"].tolist() == [4, 4, 4]
    assert rows["exponent"].to_dict() == pytest.approx({"V": -0.4, "u": -0.3, "a": -0.3})


def test_without_the_exact_run_there_is_nothing_to_compare_with():
    with pytest.raises(RunError, match="no cell on infinitely many walks"):
        table(made_up((1000, 10_000)))


def test_the_picture_shows_every_number_of_walks():
    figure, rows = approach(made_up((100, 1000, "infinite")))
    assert len(figure.axes) == 2
    assert rows["walks"].tolist() == [100, 1000]
    assert "5 seeds" in figure.legends[0].get_title().get_text()
