"""Rules: how the rows that a claim was measured by become a verdict. No verdict is written by hand."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import pandas as pd

from rw_jax.analysis.numbers import text, with_interval
from rw_jax.analysis.statistics import mean_interval, median_interval, rate_interval

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

    def reported(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The numbers that a report gives of the rows."""
        ...

    def shown(self, rows: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
        """The same as a page shows them: words only, intervals in brackets behind their numbers."""
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

    def reported(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows as they are."""
        return rows

    def shown(self, rows: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
        """A row for each setting: its labels, the estimate with its interval, what else was measured, the agreement."""
        rows = rows.reindex(columns=list(dict.fromkeys([*labels, *rows])))  # without rows there are no labels, either
        shown = rows[list(labels)].map(text)
        shown["estimate [95% interval]"] = [
            with_interval(estimate, low, high, digits=4)
            for estimate, low, high in zip(rows["estimate"], rows["low"], rows["high"], strict=True)
        ]
        others = [name for name in rows if name not in (*labels, "estimate", "low", "high", "seeds", "agrees")]
        shown[["seeds", *others]] = rows[["seeds", *others]].map(text)
        shown["agrees"] = [{True: "yes", False: "no", None: "undecided"}[value] for value in rows["agrees"]]
        return shown.rename(columns=lambda name: name.replace("_", " "))


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
        f"It is {REPRODUCED} if the 95% Wilson interval of the share of seeds in the range lies above "
        f"{MOST_SEEDS}, {NOT_REPRODUCED} if it lies below {HALF_OF_SEEDS}, and {DIFFERS} otherwise."
    )

    def agrees(self, rows: pd.DataFrame) -> list[bool | None]:
        """Whether the number of each seed lies in the range; NaN is in no range."""
        return rows["estimate"].between(self.least, self.largest).tolist()

    def verdict(self, rows: pd.DataFrame, labels: Sequence[str]) -> Verdict:
        """REPRODUCED if nearly every seed shows it, NOT_REPRODUCED if most do not, else DIFFERS; where others lie."""
        del labels  # seeds need no telling apart
        share = rate_interval(np.array(self.agrees(rows)))
        reason = ", ".join(f"{count} {place}" for place, count in self.elsewhere(rows).items() if count)
        if share.low > MOST_SEEDS:
            return Verdict(REPRODUCED, reason)
        return Verdict(NOT_REPRODUCED if share.high < HALF_OF_SEEDS else DIFFERS, reason)

    def elsewhere(self, rows: pd.DataFrame) -> dict[str, int]:
        """How many seeds lie below the range, above it, and have no number."""
        values = rows["estimate"]
        outside = {"below": values < self.least, "above": values > self.largest, "without a number": values.isna()}
        return {place: int(seeds.sum()) for place, seeds in outside.items()}

    def reported(self, rows: pd.DataFrame) -> pd.DataFrame:
        """One row: the mean over seeds, or the median where some number is infinite, and the share in the range."""
        values = rows["estimate"].to_numpy(np.float64)
        is_infinite, known = np.isinf(values).any(), values[~np.isnan(values)]
        middle, low, high, _ = median_interval(known) if is_infinite and known.size else mean_interval(values)
        share = rate_interval(np.array(self.agrees(rows)))
        row = {"estimate": middle, "low": low, "high": high, "of_seeds": "median" if is_infinite else "mean"}
        row |= {"share": share.mean, "share_low": share.low, "share_high": share.high, "seeds": share.seeds}
        row |= {name.replace(" ", "_"): count for name, count in self.elsewhere(rows).items()}
        agrees = {REPRODUCED: True, NOT_REPRODUCED: False, DIFFERS: None}[self.verdict(rows, ()).word]
        return pd.DataFrame([row]).assign(agrees=pd.Series([agrees], dtype=object))

    def shown(self, rows: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
        """One row: what was measured, the share of seeds, and the verdict with where the others lie."""
        (row,) = self.reported(rows).to_dict("records")
        word, reason = self.verdict(rows, labels)
        median = "median " if row["of_seeds"] == "median" else ""
        share = with_interval(row["share"], row["share_low"], row["share_high"])
        return pd.DataFrame(
            [
                {
                    "measured": median + with_interval(row["estimate"], row["low"], row["high"]),
                    "share of seeds": f"{share} of {row['seeds']}",
                    "verdict": word + (f": {reason}" if reason else ""),
                }
            ]
        )


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
