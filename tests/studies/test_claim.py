"""The two rules, on numbers that satisfy or violate them by construction."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from studies.claim import Claim, Evidence, Judged, all_of, judge, judge_all, of_seeds
from studies.paper.around import Around
from studies.rules import COUNTEREXAMPLE, FAILS, HOLDS, PARTLY, UNTESTABLE, Within, where


def row(estimate: float, low: float = math.nan, high: float = math.nan, **labels: Any) -> dict[str, Any]:
    return {**labels, "estimate": estimate, "low": low, "high": high, "seeds": 5}


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (row(0.5), True),
        (row(1.5), False),
        (row(math.nan), None),
        (row(0.5, 0.1, 0.9), True),
        (row(0.5, 0.1, 1.2), None),
        (row(1.5, 1.1, 1.9), False),
        (row(-1.0, -2.0, -0.1), False),
        (row(math.inf), False),
    ],
)
def test_a_setting_agrees_if_its_interval_lies_inside_and_disagrees_if_it_lies_outside(measured, expected):
    assert Within(0, 1, "").agrees(pd.DataFrame([measured])) == [expected]


@pytest.mark.parametrize(
    ("agrees", "word"),
    [
        ([True, True], HOLDS),
        ([True, None], PARTLY),
        ([False, False], FAILS),
        ([False, None], FAILS),
        ([True, False], PARTLY),
        ([None, None], UNTESTABLE),
    ],
)
def test_a_claim_holds_if_every_setting_agrees_and_fails_if_none_does(agrees, word):
    rows = pd.DataFrame({"p": [0.5, 0.7], "agrees": pd.Series(agrees, dtype=object)})
    found = Within(0, 1, "").verdict(rows, ("p",))
    assert found.word == word
    assert ("1 undecided" in found.reason) == (agrees.count(None) == 1)


def test_what_fails_for_a_few_seeds_alone_is_a_counterexample():
    for seeds, word in ((4, COUNTEREXAMPLE), (40, FAILS)):
        rows = pd.DataFrame([{"p": 1.0, "seeds": seeds, "low": 0.8, "agrees": False}])
        found = Within(0, 0.2, "").verdict(rows, ("p",))
        assert found.word == word
    assert "in p = 1: 4 seeds" in Within(0, 0.2, "").verdict(rows.assign(seeds=4), ("p",)).reason
    exact = pd.DataFrame([{"p": 1.0, "seeds": 1, "low": math.nan, "agrees": False}])
    assert Within(0, 0.2, "").verdict(exact, ("p",)).word == FAILS  # nothing is random


def test_where_a_claim_holds_is_told_by_one_label_or_by_two():
    rows = pd.DataFrame([{"p": p, "K": K, "agrees": K < 12} for p in (0.5, 0.7) for K in (5, 6, 8, 12)])
    assert where(rows, ("p", "K")) == "K = 5 to 8"
    rows["agrees"] = [True, True, True, True, True, False, True, False]
    assert where(rows, ("p", "K")) == "p = 0.5: any K; p = 0.7: K = 5, 8"
    rows["agrees"] = pd.Series([True, None, True, True, True, False, True, False], dtype=object)
    assert where(rows, ("p", "K")) == "p = 0.5: K = 5, 8, 12; p = 0.7: K = 5, 8"  # what is undecided is not told


def near_one_half(values: np.ndarray) -> Judged:
    """The claim that numbers of seeds lie from 0.4 to 0.6, judged."""
    run: Any = None
    return judge(of_seeds("near one half", lambda run: values, 0.4, 0.6), [run])


@pytest.mark.parametrize(
    ("inside", "outcome"),
    # The lower end of Wilson's interval of n of n is n / (n + 1.96^2): 0.806 for 16, 0.796 for 15.
    [((16, 16), "reproduced"), ((15, 15), "differs"), ((25, 50), "differs"), ((17, 50), "not reproduced")],
)
def test_the_verdict_is_that_of_the_interval_of_the_share_of_seeds(inside, outcome):
    shown, seeds = inside
    values = np.where(np.arange(seeds) < shown, 0.5, 0.0)
    assert near_one_half(values).verdict.word == outcome


def test_what_claims_derive_from_the_same_sweeps_is_derived_once():
    calls = []

    def derive(run):
        calls.append(run)
        return len(calls)

    sweep = Around(name="one", fields={}, grid={})

    def measure(number):
        return Evidence(pd.DataFrame([row(number, p=0.5)]), pd.DataFrame())

    claim = Claim(statement="", measure=measure, rule=Within(0, 1, ""), labels=("p",), sweeps=(sweep,), derive=derive)
    runs: Any = {sweep: "the run"}
    assert [judged.evidence.rows["estimate"][0] for judged in judge_all([claim, claim], runs)] == [1, 1]
    assert calls == ["the run"]


def test_a_seed_shows_several_claims_if_it_shows_each_of_them():
    run: Any = None
    claims = [of_seeds("", lambda run: np.array([0.0, 1.0, 2.0]), 0, 1), of_seeds("", lambda run: np.ones(3) * 2, 0, 2)]
    assert judge(all_of(claims, "both"), [run]).evidence.rows["agrees"].tolist() == [True, True, False]


def test_seeds_that_do_not_show_a_claim_are_told_by_where_they_lie():
    judged = near_one_half(np.array([0.4, 0.6, 0.1, 0.9, np.inf, np.nan]))
    assert judged.verdict.reason == "1 below, 2 above, 1 without a number"


def test_a_claim_without_a_row_is_shown_as_an_empty_table_with_its_labels():
    empty = pd.DataFrame(columns=["estimate", "low", "high", "seeds", "agrees"])
    shown = Within(0, 1, "").shown(empty, ("family",))
    assert list(shown) == ["family", "estimate [95% interval]", "seeds", "agrees"]
    assert not len(shown)
