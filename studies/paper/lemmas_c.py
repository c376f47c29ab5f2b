"""The lemmas of appendix C: what the proof of Theorem 3.1 says along the way."""

import functools
import math
from collections.abc import Callable

import numpy as np

from rw_jax import Run
from rw_jax.analysis import interpret, measures
from rw_jax.analysis.run import Group
from rw_jax.models.positions import squared_norm
from rw_jax.theory import closed_forms
from studies.claim import Claim, Evidence
from studies.evidence import evidence, row, transition_matrix
from studies.paper import pictures
from studies.paper.attention import attention_after_step_two
from studies.paper.measures import (
    Course,
    against_walks,
    decay,
    exponents,
    one_by_one,
    params,
    success,
    value_matrices,
)
from studies.paper.sweeps import POPULATION, WALKS
from studies.paper.theorem_3_1 import RATE, of_courses, of_decay, of_decay_on_samples, of_many_walks
from studies.rules import Within

_NODES = (5, 6, 7, 8, 10, 12, 14, 16, 17, 18, 20, 21, 24, 31, 32, 48, 64)
_PROBABILITIES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""Where closed forms are evaluated, p below 1/2 being a mirror image."""


def first_value_matrix(run: Run) -> Evidence:
    """Relative distance of V(1) on infinitely many walks from its closed form, or the largest gradient of a score."""

    def error(group: Group) -> float:
        rate = group.config.training.learning_rate * squared_norm(group.config.model.position_width) ** 2
        return float(np.max([largest_score(group, 1) / rate, *closed_form_errors(group)]))

    return one_by_one(run, error)


def largest_score(group: Group, step: int) -> float:
    """The largest absolute entry of u and a of a run at a step."""
    (weights,) = params(group, step)
    return float(np.max([np.abs(weights[name]).max() for name in ("state_scores", "position_scores")]))


def closed_form_errors(group: Group) -> np.ndarray:
    """Relative distance of V(1) of each run from Lemma C.1's, float[runs]."""
    exact_KxK = first_value(group)
    return np.array([interpret.relative_error(value_KxK, exact_KxK) for value_KxK in value_matrices(group, 1)])


def first_value(group: Group) -> np.ndarray:
    """Lemma C.1's V(1), float64[K, K]."""
    task, training = group.config.task, group.config.training
    return closed_forms.first_step_value_matrix(
        transition_matrix(group), task.walk_length, training.learning_rate, training.epsilon
    )


def circulant_errors(group: Group) -> np.ndarray:
    """Relative distance of V(1) of each run from the nearest circulant matrix, float[runs]."""
    return np.array([interpret.circulant_error(value_KxK) for value_KxK in value_matrices(group, 1)])


def circulant_value_matrix(run: Run) -> Evidence:
    """Relative distance of V(1) from the nearest circulant matrix on infinitely many walks."""
    return one_by_one(run, lambda group: float(circulant_errors(group)[0]))


def first_value_matrix_of_samples(run: Run) -> Evidence:
    """Exponent of the number of walks in the relative distance of V(1) from its closed form, for each p."""
    return against_walks(run, closed_form_errors)


def circulant_value_matrix_of_samples(run: Run) -> Evidence:
    """Exponent of the number of walks in the relative distance of V(1) from a circulant matrix, for each p."""
    return against_walks(run, circulant_errors)


def on_long_walks(function: Callable[[int, float, int], float]) -> Evidence:
    """A closed form of (K, p, N) on a grid of K and p, for walks so long that it changes no more.

    The smaller of an even and an odd N, which matter for even K.
    """
    rows = []
    for K in _NODES:
        for p in _PROBABILITIES:
            length = math.ceil(K**2 / (p * (1 - p)))
            rows.append(row({"p": p, "K": K}, min(function(K, p, length), function(K, p, length + 1)), N=length))
    return evidence(rows, rows)


def place_of_the_largest_entry() -> Evidence:
    """The smallest margin of Lemma C.3 over the two long lengths, from the closed form of V(1)."""
    return on_long_walks(closed_forms.first_step_margin)


def largest_entry_of_samples(run: Run) -> Evidence:
    """Share of seeds whose V(1) is largest where Pi^T is, against the number of walks."""

    def succeed(group):
        transposed = transition_matrix(group).T.ravel()
        largest = [np.argmax(value_KxK) for value_KxK in value_matrices(group, 1)]
        return transposed[largest] == transposed.max()

    return success(run, succeed)


def decay_after_step_two(run: Run) -> Evidence:
    """Slope of log(1 - parent weight) against N after step 2, for each p."""
    return decay(run, step=2)


def growth_of_value(courses: list[Course]) -> Evidence:
    """Growth of beta, the multiple of Pi^T in V."""
    return exponents(
        courses, "β", lambda value_KxK, transition_KxK: measures.multiple_of(value_KxK, transition_KxK.T)[0]
    )


def residual_of_value(courses: list[Course]) -> Evidence:
    """Growth of the largest entry of V - beta Pi^T."""
    return exponents(
        courses,
        "largest entry of V − β Π^T",
        lambda value_KxK, transition_KxK: measures.multiple_of(value_KxK, transition_KxK.T)[1],
    )


def _of_samples(lemma: str, tends: str, measure: Callable[[Run], Evidence]) -> Claim:
    """That what a lemma says of V(1) on the population comes true with ever more walks."""
    return Claim(
        name=f"{lemma}-samples",
        reference=f"Lemma {lemma[0]}.{lemma[1:]}",
        setting="samples, ever more walks",
        statement=f"V(1) {tends} as the walks grow in number.",
        statistic="Exponent of the number of walks in the relative distance, with its bootstrap interval over seeds.",
        rule=Within(
            -0.6,
            -0.4,
            "-1/2 is that of a mean over independent walks, 0 that of a bias that stays; seeds tell it to 0.05.",
        ),
        labels=("p",),
        population=lemma,
        sweeps=(WALKS,),
        measure=measure,
        draw=pictures.errors_against_walks,
    )


_exactly = functools.partial(
    Claim,
    setting="infinitely many walks, K = 5 to 64, N = 13 to 1000",
    rule=Within(0, 1e-12, "float64, so that what differs is not rounding."),
    labels=("p", "N", "K"),
    sweeps=(POPULATION,),
)


CLAIMS = (
    _exactly(
        name="C1",
        reference="Lemma C.1",
        statement="V(1) = η/(ε N K) Σ_{i=1}^{N-1} (Π^T)^(N-i) and W(1) = 0.",
        statistic="Relative Frobenius distance of V(1), or the largest of u(1) and a(1) over η q², if that is larger.",
        measure=first_value_matrix,
    ),
    _of_samples("C1", "tends to the closed form", first_value_matrix_of_samples),
    _exactly(
        name="C2",
        reference="Lemma C.2",
        statement="V(1) is circulant.",
        statistic="Relative Frobenius distance of V(1) from the nearest circulant matrix.",
        measure=circulant_value_matrix,
    ),
    _of_samples("C2", "becomes circulant", circulant_value_matrix_of_samples),
    Claim(
        name="C3",
        reference="Lemma C.3",
        setting="the closed form of V(1), for walks so long that it changes no more",
        statement="The largest entry of V(1) sits where Π^T has its largest.",
        statistic="By how much it is ahead of the rest, over the largest; the smaller of an even and an odd N.",
        rule=Within(
            1e-12,
            math.inf,
            "A tie, as at p = 1/2 for an even K, leaves the largest entry elsewhere, too; 1e-12 is rounding.",
        ),
        labels=("p", "K"),
        measure=place_of_the_largest_entry,
    ),
    of_many_walks(
        name="C3-samples",
        reference="Lemma C.3",
        statement="The largest entry of V(1) sits where Π^T has its largest.",
        statistic=RATE + "One of the K places, or 2K at p = 1/2, is right.",
        population="C3",
        measure=largest_entry_of_samples,
    ),
    of_decay(
        name="C5-population",
        reference="Lemma C.5",
        statement="After step 2 the direct parent already has weight 1 - exp(-Ω(N)).",
        statistic="Slope of log(1 - parent weight), the same for all walks, against N.",
        measure=attention_after_step_two,
    ),
    of_decay_on_samples(
        name="C5",
        reference="Lemma C.5",
        statement="After step 2 the direct parent already has weight 1 - exp(-Ω(N)).",
        population="C5-population",
        measure=decay_after_step_two,
    ),
    of_courses(
        name="C7-growth",
        reference="Lemma C.7",
        statement="In V = β Π^T + Ṽ the factor β grows at least as T^(1/2).",
        statistic=(
            "Exponent of T in β, fitted over the last factor of 100 in T; β makes the largest entry of Ṽ smallest."
        ),
        rule=Within(0.45, math.inf, "1/2, with 0.05 to spare for corrections at finite T."),
        measure=growth_of_value,
    ),
    of_courses(
        name="C7-residual",
        reference="Lemma C.7",
        statement="In V = β Π^T + Ṽ the largest entry of Ṽ stays bounded (up to a term T exp(-Ω(N))).",
        statistic="Exponent of T in the largest entry of Ṽ, fitted over the last factor of 100 in T.",
        rule=Within(-math.inf, 0.05, "A bounded sequence has exponent 0; one that grows like V has 1/2."),
        measure=residual_of_value,
    ),
)
