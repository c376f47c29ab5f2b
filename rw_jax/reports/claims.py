"""The claims of the paper: what each says, what is measured of it, and the rule that turns numbers into a verdict.

A claim is judged setting by setting. Every setting is a row of numbers with one that counts, `estimate`, and its 95%
interval `low` to `high` (NaN where nothing is random, as on a population). The row agrees with the claim if the
interval lies inside the range that the claim allows, disagrees if it lies outside, and is undecided otherwise. No
verdict is written by hand.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from rw_jax.reports import evidence, theorems
from rw_jax.reports.evidence import Evidence, Runs

HOLDS = "holds"
FAILS = "fails"
PARTLY = "holds only where"
UNTESTABLE = "not testable at this size"


class Verdict(NamedTuple):
    """One of HOLDS, FAILS, PARTLY and UNTESTABLE, and why, in a clause."""

    word: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement of the paper in one kind of setting.

    Attributes:
      name: a word for files and links.
      reference: where the paper says it.
      setting: what it is tested on.
      statement: what it says, in words.
      statistic: what `estimate` is, and how it is estimated.
      allowed: the least and the largest value of the statistic that agree with the claim.
      tolerance: why these two.
      labels: the columns that tell its settings apart.
      studies: the names of the studies it is measured on.
      measure: the measurement.
      draw: its Matplotlib figure, from the points; None if the rows say it all.
    """

    name: str
    reference: str
    setting: str
    statement: str
    statistic: str
    allowed: tuple[float, float]
    tolerance: str
    labels: tuple[str, ...]
    studies: tuple[str, ...]
    measure: Callable[[Runs], Evidence]
    draw: Callable[[pd.DataFrame], Any] | None = None


class Judged(NamedTuple):
    """A claim with its evidence, whose rows have a column `agrees` (True, False or None), and its verdict."""

    claim: Claim
    evidence: Evidence
    verdict: Verdict


def judge(claim: Claim, runs: Runs) -> Judged:
    """Measures a claim on the runs of its studies and gives its verdict."""
    rows, points = claim.measure(runs)
    rows = rows.assign(agrees=agreement(rows, claim.allowed))
    return Judged(claim, Evidence(rows, points), verdict(rows, claim.labels))


def agreement(rows: pd.DataFrame, allowed: tuple[float, float]) -> list[bool | None]:
    """For each row: True if its interval lies inside the allowed range, False if outside, None if undecided.

    A number without an interval is an interval of one point; one that is NaN is undecided.
    """
    least, largest = allowed
    result = []
    for estimate, low, high in zip(rows["estimate"], rows["low"], rows["high"], strict=True):
        low, high = (estimate, estimate) if math.isnan(low) else (low, high)
        if math.isnan(estimate):
            result.append(None)
        elif least <= low and high <= largest:
            result.append(True)
        else:
            result.append(False if high < least or low > largest else None)
    return result


def verdict(rows: pd.DataFrame, labels: Sequence[str]) -> Verdict:
    """The verdict on a claim from the rows of its settings; one that is undecided does not agree.

    Args:
      rows: with the columns of `labels` and `agrees`.
      labels: what tells the settings apart.
    """
    agreeing = sum(value is True for value in rows["agrees"])
    undecided = sum(value is None for value in rows["agrees"])
    counts = f"{agreeing} of {len(rows)} settings agree" + (f", {undecided} undecided" if undecided else "")
    if undecided == len(rows):
        return Verdict(UNTESTABLE, f"none of {len(rows)} settings is decided")
    if agreeing == len(rows):
        return Verdict(HOLDS, counts)
    if not agreeing:
        return Verdict(FAILS, counts)
    return Verdict(PARTLY, f"{where(rows, labels)} ({counts})")


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
    """Labels in words, three or more that follow one another among those tested as a range."""
    ordered = sorted(tested)
    words, place = [], 0
    while place < len(ordered):
        end = place
        while end < len(ordered) and ordered[end] in values:
            end += 1
        chosen = ordered[place:end]
        words += [f"{_word(chosen[0])} to {_word(chosen[-1])}"] if len(chosen) > 2 else map(_word, chosen)
        place = end + 1
    return ", ".join(words)


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


_RATE = "Share of seeds with its Wilson interval. "
_EXACT = "float64, so that what differs is not rounding"
_MOST = "Four seeds in five must succeed, by the whole interval: that is what the seeds of a setting can show."
_EXPONENT = (
    "-1/2, with 0.05 to spare: at these T the corrections of order log T / T and eps / T^(1/2) still bend the line."
)
_PARENT_IS_HIGHEST = "The weight, averaged over the test walks, is highest on token N-1 after the last step."

_OVER_THE_LARGEST = (
    " over the largest, or over η/K, what a step can add to V, if that is larger (with cross-entropy V stays 0)"
)

_ROUNDING_OF_VALUES = (
    "float32: for a loss of all outputs, an entry of V is a sum over walks whose order depends on the "
    "entry. The tolerance is 1e-5."
)


def _success(over: str, reference: str, symbol: str, measure: Callable[[Runs], Evidence]) -> Claim:
    """That attention is on the direct parent, over p and something else."""
    return Claim(
        name=f"success-{over}",
        reference=reference,
        setting=f"samples, over p and {'the number of walks' if symbol == 'walks' else symbol}",
        statement="Attention is on the direct parent.",
        statistic=_RATE + _PARENT_IS_HIGHEST,
        allowed=(0.8, 1),
        tolerance=_MOST,
        labels=(symbol, "p"),
        studies=(f"success_by_{over}",),
        measure=measure,
        draw=theorems.success_map,
    )


def _of_samples(lemma: str, tends: str, measure: Callable[[Runs], Evidence]) -> Claim:
    """That what a lemma says of V(1) on the population comes true with ever more walks."""
    return Claim(
        name=f"{lemma}-samples",
        reference=f"Lemma {lemma[0]}.{lemma[1:]}",
        setting="samples, ever more walks",
        statement=f"V(1) {tends} as the walks grow in number.",
        statistic="Exponent of the number of walks in the relative distance, with its bootstrap interval over seeds.",
        allowed=(-0.6, -0.4),
        tolerance="-1/2 is that of a mean over independent walks, 0 that of a bias that stays; seeds tell it to 0.05.",
        labels=("p",),
        studies=("walks",),
        measure=measure,
        draw=theorems.errors_against_walks,
    )


CLAIMS = (
    Claim(
        name="accuracy",
        reference="Theorem 3.1, item 1",
        setting="populations: every walk, weighted by its probability",
        statement="For 0 < p < 1 the trained transformer predicts with the optimal accuracy max(p, 1 - p).",
        statistic="Optimum less expected accuracy after the last step.",
        allowed=(-1e-6, 1e-6),
        tolerance="An accuracy below the optimum misses it by the probability of a walk at least; 1e-6 is rounding.",
        labels=("p", "N", "K"),
        studies=("population",),
        measure=evidence.accuracy_of_populations,
    ),
    Claim(
        name="accuracy-samples",
        reference="Theorem 3.1, item 1",
        setting="samples, ever more walks",
        statement="The accuracy is optimal, where the loss is the mean over sampled walks.",
        statistic=_RATE
        + ("A seed succeeds if its expected accuracy is within 0.001 of the optimum after the last step."),
        allowed=(0.8, 1),
        tolerance=_MOST,
        labels=("p", "walks"),
        studies=("walks",),
        measure=evidence.accuracy_of_samples,
        draw=theorems.rates_against_walks,
    ),
    Claim(
        name="output",
        reference="Theorem 3.1, item 2",
        setting="populations, continued by the recursion",
        statement="f/|f| tends to f_OPT/|f_OPT| at rate O(T^(-1/2)).",
        statistic="Exponent of T in the distance, mean over walks, fitted over the last factor of 100 in T.",
        allowed=(-math.inf, -0.45),
        tolerance=_EXPONENT,
        labels=("p",),
        studies=("long",),
        measure=evidence.output_to_transition,
        draw=theorems.courses,
    ),
    Claim(
        name="value",
        reference="Theorem 3.1, item 3",
        setting="populations, continued by the recursion",
        statement="V/|V| tends to Π^T/|Π^T| at rate O(T^(-1/2)).",
        statistic="Exponent of T in the Frobenius distance, fitted over the last factor of 100 in T.",
        allowed=(-math.inf, -0.45),
        tolerance=_EXPONENT,
        labels=("p",),
        studies=("long",),
        measure=evidence.value_to_transition,
        draw=theorems.courses,
    ),
    Claim(
        name="value-root",
        reference="In place of Theorem 3.1, item 3",
        setting="populations, continued by the recursion",
        statement="V/|V| tends to √Π^T/|√Π^T|, the elementwise square root, at rate O(T^(-1/2)).",
        statistic="Exponent of T in the Frobenius distance, fitted over the last factor of 100 in T.",
        allowed=(-math.inf, -0.45),
        tolerance=_EXPONENT,
        labels=("p",),
        studies=("long",),
        measure=evidence.value_to_square_root,
        draw=theorems.courses,
    ),
    Claim(
        name="recursion",
        reference="The recursion that continues training",
        setting="populations",
        statement="Once attention is on the parent, every entry of V moves alone: v += η π / (K (v + ε)).",
        statistic="Largest relative difference of V between recursion and training, over the steps that both have.",
        allowed=(0, 0.01),
        tolerance=(
            "Attention is not exactly on the parent when the recursion takes over; 1% is a twentieth of the "
            "distance between the limits that it is to tell apart."
        ),
        labels=("p",),
        studies=("long",),
        measure=evidence.recursion_against_training,
    ),
    Claim(
        name="value-samples",
        reference="Theorem 3.1, item 3",
        setting="samples, seeds that found the parent",
        statement="V/|V| tends to Π^T/|Π^T| at rate O(T^(-1/2)), where the loss is the mean over sampled walks.",
        statistic=(
            "Exponent of T in the Frobenius distance over the last factor of 20 in T, with its bootstrap interval"
            " over seeds; beside it the distances to √Π^T and to the square root of how often each state follows "
            "each in the training walks."
        ),
        allowed=(-math.inf, -0.45),
        tolerance=_EXPONENT,
        labels=("p", "walks"),
        studies=("growth",),
        measure=evidence.value_of_samples,
    ),
    Claim(
        name="attention",
        reference="Theorem 3.1, item 4",
        setting="populations, M in proportion to N^(3/2)",
        statement="The weight on the direct parent is at least 1 - exp(-Ω(N)), every other at most exp(-Ω(N)).",
        statistic=(
            "Slope of log(1 - parent weight), worst walk, after the last step, against N; in float64 from the scores."
        ),
        allowed=(-math.inf, 0),
        tolerance="Exponentially small in N is a line that falls; any negative slope will do.",
        labels=("p",),
        studies=("population",),
        measure=evidence.attention_of_populations,
        draw=theorems.decay,
    ),
    Claim(
        name="attention-length",
        reference="Theorem 3.1, item 4",
        setting="samples, ever longer walks, M in proportion to N^(3/2)",
        statement="The weight on the direct parent is at least 1 - exp(-Ω(N)), also on samples.",
        statistic=(
            "Slope of log(1 - parent weight), worst test walk, against N, with its bootstrap interval over all seeds. "
            "Where a line in log N fits better, as it would to a power of N, there is no estimate."
        ),
        allowed=(-math.inf, 0),
        tolerance="Exponentially small in N is a line in N that falls; any slope with a negative interval will do.",
        labels=("p",),
        studies=("length",),
        measure=evidence.decay_after_training,
        draw=theorems.decay,
    ),
    _success("length", "Theorem 3.1: N at least C_p poly(K)", "N", evidence.success_by_length),
    _success("nodes", "Theorem 3.1: N at least C_p poly(K)", "K", evidence.success_by_nodes),
    _success("walks", "Theorem 3.1: the population loss", "walks", evidence.success_by_walks),
    Claim(
        name="many-nodes",
        reference="Theorem 3.1, item 4: K > 4",
        setting="samples, many walks on many nodes",
        statement="Attention is on the direct parent for every K > 4, if N is large enough.",
        statistic=_RATE + _PARENT_IS_HIGHEST + " Places count back from the target: 1 is the parent.",
        allowed=(0.6, 1),
        tolerance="10 seeds of 10 have an interval from 0.72 up.",
        labels=("K", "p"),
        studies=("many_nodes",),
        measure=evidence.attention_with_many_nodes,
        draw=theorems.success_lines,
    ),
    Claim(
        name="deterministic-accuracy",
        reference="Theorem 4.1",
        setting="populations at p = 0 and 1, N = rK + 1",
        statement=(
            "The accuracy is 1/K, for every loss of f_y, here the log-loss, and every learning rate; the other losses, "
            "which are of all outputs, go beyond the theorem."
        ),
        statistic=(
            "Largest distance of the accuracy from 1/K, over p = 0 and 1, all learning rates and all recorded steps."
        ),
        allowed=(0, 1e-6),
        tolerance="Rounding of a mean over K walks.",
        labels=("loss", "K", "N"),
        studies=("deterministic",),
        measure=evidence.accuracy_of_deterministic_walks,
    ),
    Claim(
        name="deterministic-attention",
        reference="Theorem 4.1",
        setting="populations at p = 0 and 1, N = rK + 1",
        statement="The weights of the N - 1 tokens are all equal.",
        statistic="Largest difference between the weights of two tokens, over the same runs and steps.",
        allowed=(0, 0),
        tolerance="The reduced form keeps equal what is equal by symmetry, to the last bit.",
        labels=("loss", "K", "N"),
        studies=("deterministic",),
        measure=evidence.attention_of_deterministic_walks,
    ),
    Claim(
        name="deterministic-value",
        reference="Theorem 4.1",
        setting="populations at p = 0 and 1, N = rK + 1",
        statement="V is proportional to the all-ones matrix.",
        statistic=(
            "Largest difference between two entries of V" + _OVER_THE_LARGEST + ", over the same runs and all steps "
            "with parameters."
        ),
        allowed=(0, 1e-5),
        tolerance=_ROUNDING_OF_VALUES,
        labels=("loss", "K", "N"),
        studies=("deterministic",),
        measure=evidence.value_of_deterministic_walks,
    ),
    Claim(
        name="deterministic-lengths",
        reference="Theorem 4.1 without N = rK + 1",
        setting="populations at p = 0 and 1, all N from rK + 1 to (r + 1)K + 1",
        statement=(
            "The accuracy is 1/K whatever N is; the theorem does not say so, and this shows whether its condition"
            " matters."
        ),
        statistic="Accuracy after the last step, less 1/K.",
        allowed=(-1e-6, 1e-6),
        tolerance="Rounding of a mean over K walks.",
        labels=("N - 1 mod K", "p"),
        studies=("off_by",),
        measure=evidence.deterministic_walks_of_other_lengths,
    ),
    Claim(
        name="deterministic-full",
        reference="Theorem 4.1, every entry of W trained",
        setting="samples at p = 1, full form, float32",
        statement="The accuracy is 1/K.",
        statistic="Accuracy less 1/K after the last step, mean over seeds with its t interval.",
        allowed=(-0.05, 0.05),
        tolerance="A constant prediction has an accuracy within 0.05 of 1/6 on 1,000 test walks.",
        labels=("p",),
        studies=("full",),
        measure=evidence.deterministic_walks_in_full,
    ),
    Claim(
        name="C1",
        reference="Lemma C.1",
        setting="populations",
        statement="V(1) = η/(ε N K) Σ_{i=1}^{N-1} (Π^T)^(N-i) and W(1) = 0.",
        statistic="Relative Frobenius distance of V(1), or the largest entry of u(1) and a(1) if that is larger.",
        allowed=(0, 1e-12),
        tolerance=_EXACT + ".",
        labels=("p", "N", "K"),
        studies=("population",),
        measure=evidence.first_value_matrix,
    ),
    _of_samples("C1", "tends to the closed form", evidence.first_value_matrix_of_samples),
    Claim(
        name="C2",
        reference="Lemma C.2",
        setting="populations",
        statement="V(1) is circulant.",
        statistic="Relative Frobenius distance of V(1) from the nearest circulant matrix.",
        allowed=(0, 1e-12),
        tolerance=_EXACT + ".",
        labels=("p", "N", "K"),
        studies=("population",),
        measure=evidence.circulant_value_matrix,
    ),
    _of_samples("C2", "becomes circulant", evidence.circulant_value_matrix_of_samples),
    Claim(
        name="C3",
        reference="Lemma C.3",
        setting="the closed form of V(1), for walks so long that it changes no more",
        statement="The largest entry of V(1) sits where Π^T has its largest.",
        statistic="By how much it is ahead of the rest, over the largest; the smaller of an even and an odd N.",
        allowed=(1e-12, math.inf),
        tolerance="A tie, as at p = 1/2 for an even K, leaves the largest entry elsewhere, too; 1e-12 is rounding.",
        labels=("p", "K"),
        studies=(),
        measure=evidence.place_of_the_largest_entry,
    ),
    Claim(
        name="C3-samples",
        reference="Lemma C.3",
        setting="samples, ever more walks",
        statement="The largest entry of V(1) sits where Π^T has its largest.",
        statistic=_RATE + "One of the K places, or 2K at p = 1/2, is right.",
        allowed=(0.8, 1),
        tolerance=_MOST,
        labels=("p", "walks"),
        studies=("walks",),
        measure=evidence.largest_entry_of_samples,
        draw=theorems.rates_against_walks,
    ),
    Claim(
        name="C5",
        reference="Lemma C.5",
        setting="samples, ever longer walks, M in proportion to N^(3/2)",
        statement="After step 2 the direct parent already has weight 1 - exp(-Ω(N)).",
        statistic=(
            "Slope of log(1 - parent weight), worst test walk, against N, with its bootstrap interval over all seeds. "
            "Where a line in log N fits better, as it would to a power of N, there is no estimate."
        ),
        allowed=(-math.inf, 0),
        tolerance="Exponentially small in N is a line in N that falls; any slope with a negative interval will do.",
        labels=("p",),
        studies=("length",),
        measure=evidence.decay_after_step_two,
        draw=theorems.decay,
    ),
    Claim(
        name="C7-growth",
        reference="Lemma C.7",
        setting="populations, continued by the recursion",
        statement="In V = β Π^T + Ṽ the factor β grows at least as T^(1/2).",
        statistic=(
            "Exponent of T in β, fitted over the last factor of 100 in T; β makes the largest entry of Ṽ smallest."
        ),
        allowed=(0.45, math.inf),
        tolerance="1/2, with 0.05 to spare for corrections at finite T.",
        labels=("p",),
        studies=("long",),
        measure=evidence.growth_of_value,
        draw=theorems.courses,
    ),
    Claim(
        name="C7-residual",
        reference="Lemma C.7",
        setting="populations, continued by the recursion",
        statement="In V = β Π^T + Ṽ the largest entry of Ṽ stays bounded (but for a term T exp(-Ω(N))).",
        statistic="Exponent of T in the largest entry of Ṽ, fitted over the last factor of 100 in T.",
        allowed=(-math.inf, 0.05),
        tolerance="A bounded sequence has exponent 0; one that grows like V has 1/2.",
        labels=("p",),
        studies=("long",),
        measure=evidence.residual_of_value,
        draw=theorems.courses,
    ),
    Claim(
        name="D1",
        reference="Lemma D.1",
        setting="populations at p = 0 and 1, N = rK + 1",
        statement="V(1) is a multiple of all-ones, η r/(ε N K) for the log-loss, and W(1) = 0.",
        statistic=(
            "Largest relative distance of an entry, or largest entry of u(1) and a(1), over p = 0 and 1 and all "
            "learning rates."
        ),
        allowed=(0, 1e-5),
        tolerance="float32.",
        labels=("loss", "K", "N"),
        studies=("deterministic",),
        measure=evidence.first_step_of_deterministic_walks,
    ),
    Claim(
        name="D2",
        reference="Lemma D.2",
        setting="populations at p = 0 and 1, N = rK + 1",
        statement=(
            "V(2) is a multiple of all-ones, W_12(2) of 1 p_N^T, and W_22(2) = (α Σ_{i<N} p_i - α' p_N) p_N^T: u "
            "and the scores of the N - 1 positions have equal entries."
        ),
        statistic=(
            "Largest difference between two entries of V" + _OVER_THE_LARGEST + "; and of u, and of a without the "
            "empty slot, over the largest."
        ),
        allowed=(0, 1e-5),
        tolerance=_ROUNDING_OF_VALUES,
        labels=("loss", "K", "N"),
        studies=("deterministic",),
        measure=evidence.second_step_of_deterministic_walks,
    ),
    Claim(
        name="D3",
        reference="Lemma D.3",
        setting="populations at p = 0 and 1, N = rK + 1",
        statement="V, u and the scores of the N - 1 positions have equal entries at every later step.",
        statistic="As for Lemma D.2, the largest over all later steps with parameters.",
        allowed=(0, 1e-5),
        tolerance=_ROUNDING_OF_VALUES,
        labels=("loss", "K", "N"),
        studies=("deterministic",),
        measure=evidence.later_steps_of_deterministic_walks,
    ),
    Claim(
        name="zero-blocks",
        reference="Appendix B",
        setting="samples, full form",
        statement="W_11 and W_21, which meet the states of the query, stay 0.",
        statistic="Largest absolute entry over all seeds and all steps with parameters.",
        allowed=(0, 0),
        tolerance="Their gradient is a product with zeros.",
        labels=("p",),
        studies=("full",),
        measure=evidence.zero_blocks,
    ),
    Claim(
        name="E4",
        reference="Lemma E.4, as the proof of Lemma C.5 uses it",
        setting="closed form, for walks so long that it changes no more",
        statement=(
            "[Π Γ]_11 - [Π^k Γ]_11 ≥ C_p > 0 for k = 2..N-1, with Γ = Σ_{l=1}^{N-1} (Π^T)^l: the target goes with"
            " its parent more than with any other token."
        ),
        statistic="The smallest difference over k, and over an even and an odd N.",
        allowed=(1e-9, math.inf),
        tolerance="Positive; 1e-9 is rounding.",
        labels=("p", "K"),
        studies=(),
        measure=evidence.gap_between_correlations,
        draw=theorems.gap_map,
    ),
    Claim(
        name="E5",
        reference="Lemma E.5",
        setting="sine positions, as many as their width M",
        statement="The positions are orthogonal, with squared norm (M + 1)/2.",
        statistic="Largest entry of P^T P / q - I.",
        allowed=(0, 1e-11),
        tolerance="float64 sums of M terms.",
        labels=("M",),
        studies=(),
        measure=evidence.orthogonal_positions,
    ),
)
"""Every claim, in the order of the report."""
