"""Claims: what is said, what is measured of it, and the rule that turns numbers into a verdict.

A claim is measured as a table with a row for each thing that can agree or not: a setting or a seed. Its rule says
which rows agree and makes the verdict (rules.py).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rw_jax import Run
from studies.rules import Rule, ShareOfSeeds, Verdict
from studies.sweeps import Sweep


class Evidence(NamedTuple):
    """What was measured for a claim.

    Attributes:
      rows: what its rule judges. For `Within` a row for each setting: the claim's labels, `estimate`, its interval
        `low` to `high` (NaN where nothing is random), `seeds`, and what else is telling. For `ShareOfSeeds` a row for
        each seed with its number, `estimate`.
      points: what its figure shows; empty if it has none.
    """

    rows: pd.DataFrame
    points: pd.DataFrame


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement that numbers decide.

    Attributes:
      statement: what it says, in words.
      measure: the measurement: from the runs of the sweeps, in their order, or from what `derive` makes of them.
      rule: what its numbers must be.
      name: a word for files and links.
      section: the name of the section of the page that it shares with others; empty for one of its own.
      reference: where it is said.
      setting: what it is tested on.
      statistic: what `estimate` is, and how it is estimated.
      labels: the columns that tell its settings apart.
      population: the name of the claim that says the same of infinitely many walks, where this one is on samples.
      sweeps: what it is measured on; none if nothing is trained.
      derive: what is computed from the runs first; claims that share it compute it once.
      draw: its Matplotlib figure, from the points; None if the rows say it all.
    """

    statement: str
    measure: Callable[..., Evidence]
    rule: Rule
    name: str = ""
    section: str = ""
    reference: str = ""
    setting: str = ""
    statistic: str = ""
    labels: tuple[str, ...] = ()
    population: str = ""
    sweeps: tuple[Sweep, ...] = ()
    derive: Callable[..., Any] | None = None
    draw: Callable[[pd.DataFrame], Any] | None = None


class Judged(NamedTuple):
    """A claim with its evidence, whose rows have a column `agrees` (True, False or None), and its verdict."""

    claim: Claim
    evidence: Evidence
    verdict: Verdict


def judge(claim: Claim, given: Sequence[Any]) -> Judged:
    """Measures a claim on what its measurement takes and gives its verdict."""
    rows, points = claim.measure(*given)
    rows = rows.assign(agrees=claim.rule.agrees(rows))
    return Judged(claim, Evidence(rows, points), claim.rule.verdict(rows, claim.labels))


def judge_all(claims: Sequence[Claim], runs: Mapping[Sweep, Any]) -> list[Judged]:
    """Judges claims on the runs of their sweeps; what several of them derive from the same is derived once."""
    derived: dict[tuple[Any, ...], Any] = {}
    judged = []
    for claim in claims:
        given = [runs[sweep] for sweep in claim.sweeps]
        if claim.derive is not None:
            key = (claim.derive, *claim.sweeps)
            if key not in derived:
                derived[key] = claim.derive(*given)
            given = [derived[key]]
        judged.append(judge(claim, given))
    return judged


def of_seeds(statement: str, numbers: Callable[[Run], np.ndarray], least: float, largest: float) -> Claim:
    """The claim that a number of each seed of a run, float[seeds], lies in a range."""

    def measure(run: Run) -> Evidence:
        values = np.asarray(numbers(run), np.float64)
        return Evidence(pd.DataFrame({"estimate": values, "low": np.nan, "high": np.nan, "seeds": 1}), pd.DataFrame())

    return Claim(statement=statement, measure=measure, rule=ShareOfSeeds(least, largest))


def all_of(claims: Sequence[Claim], statement: str) -> Claim:
    """The claim that a seed shows every one of several claims on seeds: 1 if it does, else 0."""

    def shown(run: Run) -> np.ndarray:
        return np.all([judge(claim, [run]).evidence.rows["agrees"] for claim in claims], axis=0)

    return of_seeds(statement, shown, 1, 1)
