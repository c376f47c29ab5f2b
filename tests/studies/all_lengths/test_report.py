"""The study of walks of all lengths, on runs that are made up, and its closed form by counting."""

import ast

import numpy as np
import pytest
from scipy import stats

import rw_jax
from rw_jax import Run
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Grid
from rw_jax.theory import lengths
from studies.all_lengths import measures, report
from studies.all_lengths.pictures import success_by_shortest, success_over_p
from studies.all_lengths.report import ARMS, CHAINS, CLAIMS, DECODER, NODES, OVER_P, POPULATION, SHARE
from studies.claim import judge
from studies.rules import FAILS, HOLDS, PARTLY
from studies.sweeps import beside
from tests.made_up import source_of

BY_NAME = {claim.name: claim for claim in CLAIMS}


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("all_lengths", 18_400),
        ("all_lengths_nodes", 1_200),
        ("all_lengths_arms", 640),
        ("all_lengths_share", 2_400),
        ("all_lengths_decoder", 180),
        ("all_lengths_infinite", 264),
        ("all_lengths_chains", 424),
    ],
)
def test_a_study_has_as_many_runs_as_it_says_and_all_its_lengths_are_possible(name, runs):
    path = beside(report.__file__, name)
    config = from_config_dict(rw_jax.read_config(path))
    assert Grid(config).num_cells == runs
    assert f"{runs:,} runs" in ast.get_docstring(ast.parse(path.read_text()))
    for cell in Grid(config).cells():
        assert cell.config.training.shortest_walk <= cell.config.task.walk_length


def made_up(sweep, learns):
    """A run whose seeds predict optimally where `learns` says so of (shortest walk, K, p, seed)."""
    config = rw_jax.read_config(sweep.file)
    config.grid.p, config.grid.seed = (0.7, 0.99), range(50)

    def metric(name, cell):
        task = cell.config.task
        right = learns(cell.config.training.shortest_walk, task.num_nodes, task.p, cell.config.seed)
        return {"predicts_optimally": float(right), "parent_is_highest": 1.0}.get(name, 0.0)

    return Run(source_of(from_config_dict(config), metric, lambda cell, step: {}))


def test_walks_of_all_lengths_are_judged_and_whole_ones_are_drawn_beside_them():
    run = made_up(OVER_P, lambda shortest, K, p, seed: shortest == 2 or (K == 6 and seed < 25))
    judged = judge(BY_NAME["all-lengths"], [run])
    assert judged.verdict.word == HOLDS
    rows = judged.evidence.rows
    assert rows[["lengths", "K", "p", "estimate"]].to_numpy().tolist() == [
        ["from 2", K, p, 1.0] for K in (6, 20) for p in (0.7, 0.99)
    ]
    interval = stats.binomtest(50, 50).proportion_ci(method="wilson")
    assert rows[["low", "high"]].to_numpy()[0].tolist() == pytest.approx([interval.low, interval.high])
    figure = success_over_p(judged.evidence.points)
    assert [axes.get_title() for axes in figure.axes] == ["K = 6", "K = 20"]
    drawn = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in figure.axes[0].lines}
    assert drawn["all lengths: optimal"] == [1, 1]
    assert drawn["whole walks: optimal"] == [0.5, 0.5]
    assert drawn["whole walks: on the parent"] == [1, 1]
    fails = made_up(OVER_P, lambda shortest, K, p, seed: shortest == 0)
    assert judge(BY_NAME["all-lengths"], [fails]).verdict.word == FAILS


def test_the_shortest_walk_is_told_by_its_name_and_each_share_is_in_the_map():
    run = made_up(NODES, lambda shortest, K, p, seed: shortest == 2 or (shortest == 10 and seed < 10))
    judged = judge(BY_NAME["shortest"], [run])
    assert judged.verdict.word == PARTLY
    shares = judged.evidence.rows.groupby("lengths")["estimate"].unique().map(list).to_dict()
    assert shares == {"whole walks": [0], "from N/2": [0], "from 10": [0.2], "from 2": [1]}
    figure = success_by_shortest(judged.evidence.points)
    assert [axes.get_title() for axes in figure.axes[:3]] == ["K = 6", "K = 20", "K = 31"]
    np.testing.assert_allclose(figure.axes[1].images[0].get_array(), [[1, 1], [0.2, 0.2], [0, 0], [0, 0]])
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == [
        "from 2", "from 10", "from N/2", "whole walks",
    ]  # fmt: skip


def test_the_closed_form_says_that_only_walks_from_two_states_on_always_favour_the_parent(monkeypatch):
    monkeypatch.setattr(measures, "NODES", (6, 31))
    monkeypatch.setattr(measures, "LENGTHS", (49, 121))
    monkeypatch.setattr(measures, "PROBABILITIES", (0.5, 0.8, 0.9, 0.97))
    judged = judge(BY_NAME["second-step"], [])
    rows = judged.evidence.rows.set_index("lengths")
    assert rows["circles"].tolist() == [16] * len(measures.LAWS)
    enough = ["from 2", "from 3", "geometric, mean 10", "geometric, mean 100", "2% of two states", "10% of two states"]
    assert (rows.loc[enough, "estimate"] == 1).all()
    assert (rows.loc[["whole walks", "from N/2", "from 10"], "estimate"] < 1).all()
    for law in measures.LAWS.values():
        assert law(49).sum() == pytest.approx(1)
        assert not law(49)[:2].any()
    assert judged.verdict.word == PARTLY
    lost = judged.evidence.points[~judged.evidence.points["parent_leads"]]
    assert set(lost["K"]) == {31}


def test_other_failures_are_told_by_arm_and_lengths():
    config = rw_jax.read_config(ARMS.file)
    config.grid.p = (0.9,)

    def metric(name, cell):
        right = cell.labels["shortest_walk"] == 2 and cell.labels["arm"] != "start of 0.01"
        return {"predicts_optimally": float(right)}.get(name, 0.0)

    judged = judge(BY_NAME["others"], [Run(source_of(from_config_dict(config), metric, lambda cell, step: {}))])
    shares = judged.evidence.rows.set_index(["arm", "lengths"])["estimate"].to_dict()
    assert {setting for setting, share in shares.items() if share == 1} == {
        (arm, "from 2") for arm in ("paper", "random positions", "sines of M = 48")
    }
    assert len(shares) == 8


def made_up_of(sweep, learns, **axes):
    """A run on the config of a sweep, with some axes others, that predicts optimally where `learns` says of labels."""
    config = rw_jax.read_config(sweep.file)
    config.grid.update(axes)

    def metric(name, cell):
        right = learns(cell.labels)
        return {"predicts_optimally": float(right), "parent_is_highest": float(right), "highest_lag": 2.0 - right}.get(
            name, 0.0
        )

    return Run(source_of(from_config_dict(config), metric, lambda cell, step: {}))


def test_the_share_of_short_walks_is_told_by_nodes_and_p():
    run = made_up_of(SHARE, lambda labels: labels["share"] >= 0.02)
    rows = judge(BY_NAME["share"], [run]).evidence.rows
    assert rows.groupby("share")["estimate"].unique().map(list).to_dict() == {
        0: [0], 0.005: [0], 0.01: [0], 0.02: [1], 0.05: [1], 0.1: [1], 0.5: [1], 1: [1],
    }  # fmt: skip
    assert len(rows) == 8 * 3 * 5
    assert (rows["seeds"] == 20).all()


def test_decoders_are_told_by_query_and_what_they_are_trained_on():
    run = made_up_of(DECODER, lambda labels: labels["arm"] in ("last token; all positions", "empty slot; all lengths"))
    judged = judge(BY_NAME["decoder"], [run])
    assert judged.verdict.word == PARTLY
    right = judged.evidence.rows[judged.evidence.rows["agrees"].astype(bool)]
    assert set(map(tuple, right[["query", "trained on"]].to_numpy())) == {
        ("last token", "all positions"), ("empty slot", "all lengths"),
    }  # fmt: skip
    assert len(judged.evidence.rows) == 6 * 3


def test_populations_are_counted_by_training_and_one_circle_is_a_counterexample():
    every = judge(BY_NAME["population"], [made_up_of(POPULATION, lambda labels: True)])
    assert every.verdict.word == HOLDS
    assert every.evidence.rows[["training", "circles"]].to_numpy().tolist() == [
        ["gradient descent", 132], ["gradient flow", 132],
    ]  # fmt: skip
    but_one = made_up_of(
        POPULATION, lambda labels: (labels["optimizer"], labels["num_nodes"], labels["p"]) != ("gd", 20, 0.8)
    )
    judged = judge(BY_NAME["population"], [but_one])
    assert judged.verdict.word == PARTLY
    assert judged.evidence.rows["estimate"].tolist() == [131 / 132, 1]


def test_chains_are_counted_by_width_and_lengths():
    run = made_up_of(CHAINS, lambda labels: labels["shortest_walk"] == 2 or labels["family"] == "cycle")
    judged = judge(BY_NAME["chains"], [run])
    rows = judged.evidence.rows.set_index(["lengths", "M"])
    assert (rows["seeds"] == 106).all()
    assert rows.loc["from 2", "estimate"].tolist() == [1, 1]
    assert (rows.loc["whole walks", "estimate"] < 0.2).all()
    assert judged.verdict.word == PARTLY


def test_the_share_that_is_needed_is_where_the_parent_begins_to_lead():
    assert measures.needed_share(6, 0.8, 97) == 0
    needed = measures.needed_share(31, 0.7, 121)
    for share, leads in ((needed, True), (needed - 1e-6, False)):
        law = (1 - share) * lengths.whole_walks(121)
        law[2] += share
        scores = lengths.second_scores(31, 0.7, law, 1.0, 0.1)
        assert (scores.argmax() == 0) == leads


def test_a_population_that_has_diverged_is_on_no_lag_and_counts_as_not_learned():
    config = rw_jax.read_config(POPULATION.file)
    config.grid.optimizer = ("gd", "sign")

    def metric(name, cell):
        is_lost = cell.config.task.num_nodes == 5
        values = {"highest_lag": np.nan if is_lost else 1.0, "predicts_optimally": float(not is_lost)}
        return values.get(name, values["predicts_optimally"])

    run = Run(source_of(from_config_dict(config), metric, lambda cell, step: {"params": {}}))
    rows = measures.of_populations(run).rows
    lost = np.mean([cell.config.task.num_nodes == 5 for cell in Grid(from_config_dict(config)).cells()])
    assert 0 < lost < 1
    assert rows["estimate"].tolist() == pytest.approx([1 - lost] * 2)
    assert rows["on_parent"].tolist() == pytest.approx([1 - lost] * 2)
