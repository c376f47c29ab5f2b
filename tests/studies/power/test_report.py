"""The study of what V tends to, on runs that are made up, and its configs."""

import ast

import numpy as np
import pytest

import rw_jax
from rw_jax import Run
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Grid
from rw_jax.theory.lags import circle_matrix
from studies.claim import judge
from studies.power import measures, report
from studies.power.pictures import distances_from_counts, powers_and_distances
from studies.power.report import CLAIMS, POPULATION, SAMPLES
from studies.rules import FAILS, HOLDS, PARTLY
from studies.sweeps import beside
from tests.made_up import source_of

BY_NAME = {claim.name: claim for claim in CLAIMS}


@pytest.mark.parametrize(("name", "runs"), [("power", 175), ("power_samples", 160)])
def test_a_config_has_as_many_runs_as_it_says(name, runs):
    path = beside(report.__file__, name)
    assert Grid(from_config_dict(rw_jax.read_config(path))).num_cells == runs
    assert f"{runs:,} runs" in ast.get_docstring(ast.parse(path.read_text()))


def made_up(power, lag=1, rate=None):
    """A run with V + epsilon a power of Pi^lag that grows with the step, and attention on a lag."""
    config = rw_jax.read_config(POPULATION.file)
    config.grid.arm = {name: config.grid.arm[name] for name in ("base", "η = 10")}
    config.grid.p = (0.6, 0.8)

    def kept(cell, step):
        a, task = cell.labels["exponent"], cell.config.task
        chance = np.linalg.matrix_power(circle_matrix(task.num_nodes, task.p), lag).T
        grown = np.where(chance > 0, (max(step, 1) * np.where(chance > 0, chance, 1)) ** power(a), 0)
        if rate is not None:  # a distance from the limit that falls as a power of the step
            grown = np.where(chance > 0, chance ** power(a), 0)
            grown[0, 1] += 0.1 * max(step, 1) ** rate(a)
        attention = np.zeros(task.walk_length)
        attention[-1 - lag] = 1.0
        epsilon = cell.config.training.epsilon if rate is None else 0
        return {
            "params": {"value": np.where(chance > 0, grown - epsilon, 0), "position_scores": attention},
            "mean_attention": attention,
        }

    return Run(source_of(from_config_dict(config), lambda name, cell: 1.0, kept))


@pytest.mark.parametrize("lag", [1, 2])
def test_the_power_of_an_entry_is_found_at_the_lag_that_attention_is_on(lag):
    judged = judge(BY_NAME["powers"], [made_up(lambda a: 1 / (1 + a), lag)])
    assert judged.verdict.word == HOLDS
    rows = judged.evidence.rows
    assert len(rows) == 2 * 5 * 2
    np.testing.assert_allclose(rows["power"], 1 / (1 + rows["a"]), rtol=1e-9)
    assert (rows["lag"] == lag).all()
    figure = powers_and_distances(judged.evidence.points)
    assert "base" in [line.get_label() for line in figure.axes[0].lines]
    assert {f"a = {a:g}" for a in (0, 0.5, 1, 2, 3)} <= {line.get_label() for line in figure.axes[1].lines}
    # The square root alone is right for one exponent.
    assert judge(BY_NAME["powers"], [made_up(lambda a: 0.5, lag)]).verdict.word == PARTLY


def test_the_rate_is_that_of_the_last_decade():
    right = judge(BY_NAME["rates"], [made_up(lambda a: 1 / (1 + a), rate=lambda a: -1 / (1 + a))])
    assert right.verdict.word == HOLDS
    np.testing.assert_allclose(right.evidence.rows["estimate"], 0, atol=0.01)
    wrong = judge(BY_NAME["rates"], [made_up(lambda a: 1 / (1 + a), rate=lambda a: -1.5 / (1 + a))])
    assert wrong.verdict.word in (FAILS, PARTLY)


def test_v_is_held_against_the_counts_of_the_walks_at_the_lag_of_each_seed(monkeypatch):
    config = rw_jax.read_config(SAMPLES.file)
    config.grid.num_nodes, config.grid.walk_length, config.grid.walks = (4,), (6,), (300,)
    config.grid.p, config.grid.seed, config.task.test_walks = (0.8,), range(3), 5
    walks = {}

    def kept(cell, step):
        a, seed = cell.labels["exponent"], cell.labels["seed"]
        lag = 1 + seed
        tokens, targets = walks[seed]
        counts = np.zeros((4, 4))
        np.add.at(counts, (targets, tokens[:, 5 - lag]), 1)
        attention = np.eye(6)[5 - lag] if seed < 2 else np.full(6, 1 / 6)  # the last seed has not settled
        grown = counts ** (1 / (1 + a)) - cell.config.training.epsilon
        return {"params": {"value": grown, "position_scores": attention}, "mean_attention": attention}

    run = Run(source_of(from_config_dict(config), lambda name, cell: 1.0, kept))
    walks.update({seed: run.walks("train", exponent=0.0, p=0.8, seed=seed, num_nodes=4) for seed in range(3)})
    judged = judge(BY_NAME["counts"], [run])
    rows = judged.evidence.rows
    assert judged.verdict.word == HOLDS
    np.testing.assert_allclose(rows["estimate"], 0, atol=1e-12)
    assert rows["settled"].tolist() == [2] * 4
    assert rows["lags"].tolist() == ["1/2"] * 4
    assert (rows["from_square_root"] > 0.05)[rows["a"] != 1].all()
    figure = distances_from_counts(judged.evidence.points)
    assert [axes.get_title() for axes in figure.axes] == ["K = 4: on lags 1, 2"]
    assert measures.SHARP < 1
