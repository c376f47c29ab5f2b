"""The report on Markov chains, on runs and tables that are made up."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import rw_jax
from rw_jax import Run
from rw_jax.study.flags import from_config_dict
from rw_jax.tasks.families import transition_of
from rw_jax.theory import chains, lags
from studies.chains.measures import chain_table
from studies.chains.pictures import (
    gallery,
    lag_counts,
    learned_by_width,
    noise_map,
    race_won,
    success_by_property,
)
from studies.chains.race import race_table
from studies.chains.report import CHAINS, CLAIMS
from studies.claim import judge
from studies.rules import FAILS, HOLDS, PARTLY, UNTESTABLE
from tests.made_up import source_of

BY_NAME = {claim.name: claim for claim in CLAIMS}


@pytest.fixture(scope="module")
def run():
    """A star, a circle and a random chain: attention on lag 2 after two steps, and on the last token at the end."""
    config = rw_jax.read_config(CHAINS.file)
    families = list(config.grid.family)
    chosen = [families.index(name) for name in ("star", "cycle", "dirichlet")]
    for axis in config.zipped[0]:
        config.grid[axis] = tuple(config.grid[axis][i] for i in chosen)
    config.task.walk_length, config.model.position_width, config.task.test_walks = 13, 47, 20
    config.training.steps, config.record.every, config.record.parameters = 4, 4, (2,)

    def keep(cell, step):
        lag = 2 if step == 2 else 1
        params = {"value": np.eye(8), "state_scores": np.arange(8.0), "position_scores": 14 * np.eye(13)[11]}
        return {"mean_attention": np.eye(13)[12 - lag], "params": params}

    def metric(name, cell):
        return {"optimal_accuracy": 0.8, "expected_accuracy": 0.5, "parent_is_highest": 1.0}.get(name, 0.0)

    return Run(source_of(from_config_dict(config), metric, keep))


def test_each_chain_has_a_row_with_what_it_is_and_where_attention_goes(run):
    table = chain_table(run).set_index("family")
    assert table.loc["cycle", ["at_step_2", "at_end", "on_parent", "optimal", "seeds"]].tolist() == [2, 1, 1, 0, 1]
    assert table[["weight", "spread_of_u"]].to_numpy().tolist() == [[1, 7]] * 3
    assert table["below_optimum"].tolist() == pytest.approx([0.3] * 3)
    p = run.config.replace(**run.groups(family="cycle")[0].cells[0].labels).task.p
    transition = lags.circle_matrix(8, p)
    assert table.loc["cycle", "drift"] == pytest.approx(2 * p - 1)
    scores = chains.token_scores(np.full(8, 1 / 8), transition, transition, 13, 1.0, 0.1)
    assert table.loc["cycle", "predicted"] == np.argmax(scores) + 1
    assert table.loc["cycle", "parent_lead"] == pytest.approx((scores[0] - scores[1:].max()) / np.ptp(scores))
    assert table.loc["cycle", "parent_is_stable"]
    assert table.loc["star", "unevenness"] > 0.15
    assert table.loc["star", "drift"] == pytest.approx(0, abs=1e-12)
    assert table.loc["star", "parent_lead"] < 0 == table.loc["star", "lead"]  # a tie of all even lags


def made_up(**columns) -> pd.DataFrame:
    """Chains of two families that are all right, but for what is given."""
    table = pd.DataFrame(
        {
            "chain": range(8),
            "family": ["cycle"] * 4 + ["star"] * 4,
            "K": 8,
            "N": 49,
            "M": 343,
            "walks": math.inf,
            "predicted": 1,
            "lead": 0.5,
            "parent_lead": 0.5,
            "at_step_2": 1,
            "at_end": 1,
            "weight": 1.0,
            "spread_of_u": 0.0,
            "end_is_stable": True,
            "parent_is_stable": True,
            "is_informative": True,
            "drift": 0.0,
            "mixing_rate": 0.5,
            "unevenness": 0.0,
            "below_optimum": 0.0,
            "on_parent": 10,
            "optimal": 10,
            "seeds": 10,
        }
    )
    return table.assign(**columns)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("second-step", {"at_step_2": 3}),
        ("sharp", {"weight": 0.1}),
        ("end", {"at_end": 3}),
        ("end-stable", {"end_is_stable": False}),
        ("flow-end", {"at_end": 3}),
        ("parent-stable", {"parent_is_stable": False}),
        ("uniform-reversible", {"at_end": 2}),
        ("optimum", {"optimal": 9}),
    ],
)
def test_chains_that_are_wrong_are_counted_and_named(name, wrong):
    def judged(table):
        return judge(BY_NAME[name], [table])

    assert judged(made_up()).verdict.word == HOLDS
    assert judged(made_up(**wrong)).verdict.word == FAILS
    (column,) = wrong
    partly = made_up()
    partly.loc[5, column] = wrong[column]
    found = judged(partly)
    assert found.verdict.word == PARTLY
    rows = found.evidence.rows.set_index("family")
    assert rows.loc["star", ["estimate", "wrong"]].tolist() == [0.75, "5"]
    assert rows.loc["all", "estimate"] == 7 / 8


def test_what_is_not_sharp_has_ended_on_no_lag():
    table = made_up(at_end=[3] * 4 + [1] * 4, weight=[0.1] * 4 + [1.0] * 4, end_is_stable=[False] * 4 + [True] * 4)
    for name in ("end", "end-stable"):
        assert judge(BY_NAME[name], [table]).verdict.word == HOLDS


def test_ties_are_reported_as_ties_and_do_not_count_against_the_prediction():
    table = made_up(lead=0.0, at_step_2=[1, 2, 3, 4] * 2)
    table.loc[0, "lead"] = 0.5
    judged = judge(BY_NAME["second-step"], [table])
    assert judged.evidence.rows["chains"].tolist() == [1, 1]
    tied = made_up(parent_lead=[0.0] + [0.5] * 7, at_end=[7] + [1] * 7)
    assert judge(BY_NAME["uniform-reversible"], [tied]).verdict.word == HOLDS


def test_without_chains_to_judge_nothing_is_decided():
    tied = made_up(lead=0.0, parent_lead=0.0, weight=0.1, at_end=2)
    for name in ("second-step", "end", "end-stable", "uniform-reversible"):
        assert judge(BY_NAME[name], [tied]).verdict.word == UNTESTABLE
    for name in ("samples", "calibration"):
        assert judge(BY_NAME[name], [(tied, samples(parent_lead=0.0))]).verdict.word == UNTESTABLE
    rows = judge(BY_NAME["what-hurts"], [(made_up(), samples())]).evidence.rows
    assert rows["agrees"].tolist() == [None] * len(rows)
    assert not lag_counts(tied).axes[0].texts


def samples(**columns):
    """The chains of `made_up` ten times, on two numbers of walks."""
    tables = [made_up(walks=walks, **columns) for walks in (300, 1000) for _ in range(10)]
    return pd.concat([table.assign(chain=table["chain"] + 8 * i) for i, table in enumerate(tables)], ignore_index=True)


def test_samples_are_held_beside_the_infinite_runs_that_end_on_the_last_token():
    copies = [made_up(chain=range(8 * i, 8 * i + 8), at_end=[1, 1, 1, 3, 1, 1, 1, 1]) for i in range(20)]
    infinite = pd.concat(copies)
    claim = BY_NAME["samples"]
    assert judge(claim, [(infinite, samples())]).verdict.word == HOLDS
    assert judge(claim, [(infinite, samples(on_parent=2))]).verdict.word == FAILS
    rows = judge(claim, [(infinite, samples())]).evidence.rows
    of_cycle = rows.set_index(["family", "walks"]).loc[("cycle", 300)]
    assert of_cycle[["seeds", "chains"]].tolist() == [300, 30]  # every fourth ends elsewhere


def test_the_share_that_is_predicted_optimally_is_told_by_law_family_and_width():
    of_widths = [
        made_up(M=M, chain=range(8 * i, 8 * i + 8), optimal=[10] * 4 + [right] * 4, unevenness=[0] * 4 + [0.2] * 4,
                weight=[1.0] * 4 + [0.5] * 4)
        for M, right in ((343, 0), (3000, 10))
        for i in range(10)
    ]  # fmt: skip
    table = pd.concat(of_widths, ignore_index=True)
    judged = judge(BY_NAME["widths"], [table])
    rows = judged.evidence.rows.set_index(["chains", "M"])
    assert judged.verdict.word == PARTLY
    assert rows["estimate"].to_dict() == {
        ("all with a uniform law", 343): 1, ("all with a uniform law", 3000): 1,
        ("all others", 343): 0, ("all others", 3000): 1,
        ("cycle", 343): 1, ("cycle", 3000): 1, ("star", 343): 0, ("star", 3000): 1,
    }  # fmt: skip
    assert rows.loc[("star", 343), ["seeds", "no_one_lag"]].tolist() == [40, 1]
    interval = stats.binomtest(0, 40).proportion_ci(method="wilson")
    assert rows.loc[("star", 343), ["low", "high"]].tolist() == pytest.approx([interval.low, interval.high])
    figure = learned_by_width(table)
    drawn = {axes.get_title(): axes.containers[0].lines[0].get_ydata().tolist() for axes in figure.axes}
    assert drawn == {"other laws, N = 49": [0, 1], "uniform stationary law, N = 49": [1, 1]}


def test_each_training_has_a_row_with_how_its_race_stands_and_where_it_ends(run):
    table = race_table(run).set_index("family")
    assert table["race"].tolist() == [2, 2, 2]  # 14 over a spread of 7
    assert table[["first", "at_end", "weight"]].to_numpy().tolist() == [[1, 1, 1]] * 3
    assert table["law"].to_dict() == {"star": "uneven", "cycle": "uniform", "dirichlet": "uneven"}
    assert table[["on_parent", "optimal", "diverged"]].to_numpy().tolist() == [[True, False, False]] * 3
    assert table[["N", "M", "walks"]].to_numpy().tolist() == [[13, 47, math.inf]] * 3


def raced(**columns) -> pd.DataFrame:
    """Trainings of 40 chains whose race stands at 0.2 or at 5, and which end as it says."""
    table = pd.DataFrame(
        {
            "chain": range(40), "law": "uneven", "N": 49, "M": 343, "walks": math.inf, "seed": 0,
            "race": [0.2] * 20 + [5.0] * 20, "first": 1, "at_end": 1, "on_parent": True,
            "optimal": [False] * 20 + [True] * 20, "diverged": False,
        }
    )  # fmt: skip
    return table.assign(**columns)


@pytest.mark.parametrize("name", ["race", "race-samples"])
def test_the_race_says_what_is_learned(name):
    judged = judge(BY_NAME[name], [raced()])
    assert judged.verdict.word == HOLDS
    assert judged.evidence.rows["race_from"].tolist() == [0.1, 3]
    assert judge(BY_NAME[name], [raced(optimal=[True] * 20 + [False] * 20)]).verdict.word == FAILS
    assert judge(BY_NAME[name], [raced(optimal=True)]).verdict.word == PARTLY
    lost = judge(BY_NAME[name], [raced(diverged=[False] * 39 + [True])]).evidence.rows
    assert lost["runs"].tolist() == [20, 19]
    assert lost["diverged"].tolist() == [0, 1]
    figure = race_won(raced())
    assert figure.axes[0].containers[0].lines[0].get_ydata().tolist() == [0, 1]


def test_the_widest_positions_end_where_they_lead():
    table = pd.concat([raced(at_end=5), raced(M=10_000)])
    assert judge(BY_NAME["widest"], [table]).verdict.word == HOLDS
    found = judge(BY_NAME["widest"], [pd.concat([raced(), raced(M=10_000, at_end=5)])])
    assert found.verdict.word == FAILS
    assert found.evidence.rows["wrong"].tolist() == [", ".join(map(str, range(40)))]


def test_success_is_a_share_of_seeds_with_an_interval_over_chains():
    table = pd.concat([raced(seed=seed, optimal=seed == 0) for seed in range(4)])
    rows = judge(BY_NAME["widths-samples"], [table]).evidence.rows
    assert rows[["law", "N", "M", "estimate", "seeds"]].to_numpy().tolist() == [["uneven", 49, 343, 0.25, 40]]
    interval = stats.binomtest(10, 40).proportion_ci(method="wilson")
    assert rows.loc[0, ["low", "high"]].tolist() == pytest.approx([interval.low, interval.high])


def test_how_often_the_last_token_leads_on_long_walks_is_counted_on_uneven_laws(run):
    rows = judge(BY_NAME["long-walks"], [run]).evidence.rows
    assert rows["N"].tolist() == [13, 200, 1000, 5000, math.inf] * 3
    assert rows["η"].tolist() == [0.01] * 5 + [1.0] * 5 + [10.0] * 5
    assert (rows["chains"] == 2).all()
    for rate, N, lead in zip(rows["η"], rows["N"], rows["lead"], strict=True):
        leads = 0
        for family in ("star", "dirichlet"):
            transition = run.transition_matrix(**run.groups(family=family)[0].cells[0].labels)
            law = np.linalg.matrix_power(transition.T @ (np.eye(8) + transition.T) / 2, 4000)[:, 0]
            given = (law, transition)
            scores = (
                chains.scores_of_long_walks(*given, 200, rate, 0.1)
                if math.isinf(N)
                else chains.token_scores(*given, transition, int(N), rate, 0.1)
            )
            leads += scores.argmax() == 0
        assert lead == leads


def test_the_prediction_is_compared_with_what_seeds_do():
    claim = BY_NAME["calibration"]
    agrees = samples(parent_lead=[0.5] * 4 + [-0.5] * 4, on_parent=[10] * 4 + [0] * 4)
    assert judge(claim, [(made_up(), agrees)]).verdict.word == HOLDS
    assert judge(claim, [(made_up(), agrees.assign(on_parent=10 - agrees["on_parent"]))]).verdict.word == FAILS


def test_what_success_falls_with_is_a_rank_correlation_with_its_interval():
    falling = samples(
        on_parent=[10, 9, 8, 7, 6, 5, 4, 3],
        drift=np.arange(8) / 8,
        mixing_rate=-np.arange(8) / 8,
        unevenness=[0, 1, 0, 1, 1, 0, 1, 0],
    )
    rows = judge(BY_NAME["what-hurts"], [(made_up(), falling)]).evidence.rows.set_index(["property", "walks"])
    assert rows.loc[("drift", 300), "estimate"] == pytest.approx(-1)
    assert rows.loc[("mixing_rate", 300), "estimate"] == pytest.approx(1)
    assert rows["agrees"].to_dict() == {
        ("drift", 300): True, ("mixing_rate", 300): False, ("unevenness", 300): None,
        ("drift", 1000): True, ("mixing_rate", 1000): False, ("unevenness", 1000): None,
    }  # fmt: skip


def test_the_pictures_show_every_chain(run):
    figure = lag_counts(made_up(at_end=[1, 1, 1, 3, 1, 1, 1, 1]))
    assert [text.get_text() for text in figure.axes[1].texts] == ["7", "1"]
    figure = success_by_property(samples(on_parent=5))
    assert sum(len(line.get_xdata()) for line in figure.axes[0].lines) == 80
    figure, numbers = gallery(run, ("star", "dirichlet"))
    assert len(figure.axes) == 7  # the graph, Pi and V of each, and a scale
    assert [axes.get_title() for axes in figure.axes[:6]] == ["star", "dirichlet", "", "", "on lag 1", "on lag 1"]
    assert figure.axes[6].get_ylabel().startswith("entry")
    assert set(numbers["M"]) == {47}
    star = numbers[numbers["family"] == "star"].pivot(index="now", columns="next", values="transition")
    np.testing.assert_array_equal(star.to_numpy(), transition_of({"family": "star"}, 8))


def test_noise_heals_in_the_closed_form():
    _, table = noise_map(24, 97)
    predicted = table.pivot(index="noise", columns="p", values="predicted")
    assert predicted.loc[0.0, 0.8] > 1
    assert (predicted.loc[[0.03, 0.1]] == 1).all(axis=None)
