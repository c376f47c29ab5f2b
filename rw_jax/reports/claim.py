"""Claims: what is said, what is measured of it, and the rule that turns numbers into a verdict.

A claim is measured as a table with a row for each thing that can agree or not: a setting or a seed. Its rule says
which rows agree and makes the verdict. No verdict is written by hand.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import pandas as pd

from rw_jax.analysis.numbers import text
from rw_jax.analysis.run import Run
from rw_jax.analysis.statistics import Estimate, rate_interval
from rw_jax.reports.study import Study
from rw_jax.study.fields import Scalar

HOLDS = "holds"
FAILS = "fails"
COUNTEREXAMPLE = "counterexample"
PARTLY = "holds only where"
UNTESTABLE = "not testable at this size"

REPRODUCED = "reproduced"
DIFFERS = "differs"
NOT_REPRODUCED = "not reproduced"

MOST_SEEDS = 0.8
"""A claim is reproduced if the share of seeds that show it is above this with 95% confidence."""
FEW_SEEDS = 10
"""What fails for fewer seeds than these is called a counterexample, which is all that it is."""
HALF_OF_SEEDS = 0.5
"""A claim is not reproduced if the share of seeds that show it is below this with 95% confidence."""


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


class Verdict(NamedTuple):
    """What becomes of a claim: one of the words of its rule, and why, in a clause."""

    word: str
    reason: str


class Rule(Protocol):
    """How a claim is judged: the range of `estimate` that agrees with it, and what follows from the rows."""

    @property
    def least(self) -> float: ...

    @property
    def largest(self) -> float: ...

    @property
    def tolerance(self) -> str:
        """Why this range, or what share of rows must lie in it, in a sentence."""
        ...

    def agrees(self, rows: pd.DataFrame) -> list[bool | None]:
        """Whether each row agrees with the claim; None if that is undecided."""
        ...

    def verdict(self, rows: pd.DataFrame, labels: Sequence[str]) -> Verdict:
        """The verdict from rows with a column `agrees`; `labels` are the columns that tell them apart."""
        ...


@dataclasses.dataclass(frozen=True)
class Within:
    """Setting by setting: the interval of a number must lie inside a range.

    Attributes:
      least: the smallest number that agrees with the claim.
      largest: the largest number that agrees with the claim.
      tolerance: why these two.
    """

    least: float
    largest: float
    tolerance: str

    def agrees(self, rows: pd.DataFrame) -> list[bool | None]:
        """For each row: True if its interval lies inside the range, False if outside, None if undecided.

        A number without an interval is an interval of one point; one that is NaN is undecided.
        """
        result = []
        for estimate, low, high in zip(rows["estimate"], rows["low"], rows["high"], strict=True):
            low, high = (estimate, estimate) if math.isnan(low) else (low, high)
            if math.isnan(estimate):
                result.append(None)
            elif self.least <= low and high <= self.largest:
                result.append(True)
            else:
                result.append(False if high < self.least or low > self.largest else None)
        return result

    def verdict(self, rows: pd.DataFrame, labels: Sequence[str]) -> Verdict:
        """HOLDS if every setting agrees, FAILS if none does, else PARTLY or UNTESTABLE; undecided is not agreeing.

        What fails for a few seeds alone is a COUNTEREXAMPLE.
        """
        agreeing = sum(value is True for value in rows["agrees"])
        undecided = sum(value is None for value in rows["agrees"])
        counts = f"{agreeing} of {len(rows)} settings agree" + (f", {undecided} undecided" if undecided else "")
        if undecided == len(rows):
            return Verdict(UNTESTABLE, f"none of {len(rows)} settings is decided")
        if agreeing == len(rows):
            return Verdict(HOLDS, counts)
        is_random = "low" in rows and rows["low"].notna().any()
        if not agreeing and is_random and rows["seeds"].sum() < FEW_SEEDS:
            of_first = ", ".join(f"{label} = {text(rows[label].iloc[0])}" for label in labels)
            return Verdict(COUNTEREXAMPLE, f"in {of_first}: {rows['seeds'].sum()} seeds ({counts})")
        if not agreeing:
            return Verdict(FAILS, counts)
        return Verdict(PARTLY, f"{where(rows, labels)} ({counts})")


@dataclasses.dataclass(frozen=True)
class ShareOfSeeds:
    """By the seeds: the share of them whose number lies in a range, by its 95% Wilson interval.

    The paper's curve is one draw of what the seeds draw here, so that a claim on it is one on each seed.

    Attributes:
      least: lower end of the range, in it.
      largest: upper end of the range, in it.
    """

    least: float
    largest: float

    tolerance: ClassVar[str] = (
        f"It is **{REPRODUCED}** if the 95% Wilson interval of the share of seeds in the range lies above "
        f"{MOST_SEEDS}, **{NOT_REPRODUCED}** if it lies below {HALF_OF_SEEDS}, and **{DIFFERS}** otherwise."
    )

    def agrees(self, rows: pd.DataFrame) -> list[bool | None]:
        """Whether the number of each seed lies in the range; NaN is in no range."""
        return rows["estimate"].between(self.least, self.largest).tolist()

    def verdict(self, rows: pd.DataFrame, labels: Sequence[str]) -> Verdict:
        """REPRODUCED if nearly every seed shows it, NOT_REPRODUCED if most do not, else DIFFERS; where others lie."""
        del labels  # seeds need no telling apart
        share = self.share(rows)
        reason = ", ".join(f"{count} {place}" for place, count in self.elsewhere(rows).items() if count)
        if share.low > MOST_SEEDS:
            return Verdict(REPRODUCED, reason)
        return Verdict(NOT_REPRODUCED if share.high < HALF_OF_SEEDS else DIFFERS, reason)

    def share(self, rows: pd.DataFrame) -> Estimate:
        """The share of seeds that show the claim, with its Wilson interval."""
        return rate_interval(np.array(self.agrees(rows)))

    def elsewhere(self, rows: pd.DataFrame) -> dict[str, int]:
        """How many seeds lie below the range, above it, and have no number."""
        values = rows["estimate"]
        outside = {"below": values < self.least, "above": values > self.largest, "without a number": values.isna()}
        return {place: int(seeds.sum()) for place, seeds in outside.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement that numbers decide.

    Attributes:
      statement: what it says, in words.
      measure: the measurement: from the runs of the studies, in their order, or from what `derive` makes of them.
      rule: what its numbers must be.
      name: a word for files and links.
      reference: where it is said.
      setting: what it is tested on.
      statistic: what `estimate` is, and how it is estimated.
      labels: the columns that tell its settings apart.
      population: the name of the claim that says the same of infinitely many walks, where this one is on samples.
      studies: what it is measured on; none if nothing is trained.
      derive: what is computed from the runs first; claims that share it compute it once.
      draw: its Matplotlib figure, from the points; None if the rows say it all.
    """

    statement: str
    measure: Callable[..., Evidence]
    rule: Rule
    name: str = ""
    reference: str = ""
    setting: str = ""
    statistic: str = ""
    labels: tuple[str, ...] = ()
    population: str = ""
    studies: tuple[Study, ...] = ()
    derive: Callable[..., Any] | None = None
    draw: Callable[[pd.DataFrame], Any] | None = None


class Report(NamedTuple):
    """Claims that are reported together.

    Attributes:
      title: the heading of the page.
      introduction: what the page says before its claims.
      assumed: fields, by axis, that the setting around which claims are tested must have.
      claims: in the order of the page.
    """

    title: str
    introduction: str
    assumed: Mapping[str, Scalar]
    claims: tuple[Claim, ...]

    @property
    def studies(self) -> tuple[Study, ...]:
        """Every study that a claim is measured on, once, in the order of the claims."""
        return tuple(dict.fromkeys(study for claim in self.claims for study in claim.studies))


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


def judge_all(claims: Sequence[Claim], runs: Mapping[Study, Run]) -> list[Judged]:
    """Judges claims on the runs of their studies; what several of them derive from the same is derived once."""
    derived: dict[tuple[Any, ...], Any] = {}
    judged = []
    for claim in claims:
        given = [runs[study] for study in claim.studies]
        if claim.derive is not None:
            key = (claim.derive, *claim.studies)
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


def where(rows: pd.DataFrame, labels: Sequence[str]) -> str:
    """Which of the rows agree, in words: by one label if it tells them apart, else by the first two."""
    agrees = pd.Series([value is True for value in rows["agrees"]], rows.index)
    for label in labels:
        yes, no = (set(rows[label][chosen]) for chosen in (agrees, ~agrees))
        if not yes & no:
            return f"{label} = {_listed(yes, set(rows[label]))}"
    if len(labels) < 2:
        return "in some of its settings"
    first, second = labels[:2]
    where_always: dict[str, set[Any]] = {}
    for value, group in rows.groupby(first):
        tested = set(group[second])
        always = {label for label in tested if agrees[group.index[group[second] == label]].all()}
        if always:
            shown = f"any {second}" if always == tested else f"{second} = {_listed(always, tested)}"
            where_always.setdefault(shown, set()).add(value)
    parts = (f"{first} = {_listed(values, set(rows[first]))}: {shown}" for shown, values in where_always.items())
    return "; ".join(parts) or f"some of its settings, with no {first} and {second} for all other labels"


def _listed(values: set[Any], tested: set[Any]) -> str:
    """Labels in words, three or more numbers that follow one another among those tested as a range."""
    ordered = sorted(tested)
    if any(isinstance(value, str) for value in ordered):
        return ", ".join(value for value in ordered if value in values)
    words, place = [], 0
    while place < len(ordered):
        end = place
        while end < len(ordered) and ordered[end] in values:
            end += 1
        chosen = ordered[place:end]
        words += (
            [f"{text(chosen[0], 6)} to {text(chosen[-1], 6)}"]
            if len(chosen) > 2
            else [text(each, 6) for each in chosen]
        )
        place = end + 1
    return ", ".join(words)
