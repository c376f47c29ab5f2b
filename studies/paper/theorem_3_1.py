"""Theorem 3.1: for 0 < p < 1 the transformer learns the random walk."""

import functools
import math

from studies.claim import Claim
from studies.paper import pictures
from studies.paper.around import Around, spread_out
from studies.paper.attention import (
    MOST_WEIGHT,
    attended_lags,
    attention_of_populations,
    attention_with_many_nodes,
    needed_lengths,
    success_map,
)
from studies.paper.measures import attention_success, courses, decay
from studies.paper.sweeps import (
    FEW_SAMPLES,
    FEW_SHORT_SAMPLES,
    INFINITE,
    LENGTH,
    LONG,
    POPULATION,
    QUICK_SEEDS,
    WALKS,
    WIDTH,
)
from studies.paper.values import (
    accuracy_of_populations,
    accuracy_of_samples,
    output_to_transition,
    recursion_against_training,
    value_of_samples,
    value_to_square_root,
    value_to_transition,
)
from studies.rules import Within

RATE = "Share of seeds with its Wilson interval. "
MOST = "Four seeds in five must succeed, by the whole interval: that is what the seeds of a setting can show."
_PARENT_IS_HIGHEST = "The weight, averaged over the test walks, is highest on token N-1 after the last step."
_EXPONENT = (
    "-1/2, with 0.05 to spare: at these T the corrections of order log T / T and eps / T^(1/2) still bend the line."
)

GROWTH = Around(
    name="growth",
    fields={"steps": 1000},
    grid={"walks": (1000, 10_000), "p": (0.5, 0.7, 0.9), "seed": tuple(range(16))},
    quick_fields={"steps": 40, **FEW_SHORT_SAMPLES},
    quick_grid={"walks": (100,), "seed": QUICK_SEEDS},
    quick_keep=spread_out(40),
    follows=(WIDTH,),
    keep=spread_out(1000),
)

NEEDED = Around(
    name="needed",
    fields={"steps": 50, **INFINITE},
    grid={
        "num_nodes": (5, 6, 8, 12, 16, 20),
        "walk_length": (9, 13, 19, 29, 43, 65, 97, 145, 217),
        "p": (0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 0.99, 0.999),
    },
    quick_fields={"steps": 5, "test_walks": 50},
    quick_grid={"num_nodes": (5, 6), "walk_length": (7, 13), "p": (0.5, 0.9)},
    follows=(WIDTH,),
    precision="float64",
)

MANY_NODES = Around(
    name="many_nodes",
    fields={"steps": 10, "walks": 10_000, "walk_length": 241},
    grid={"num_nodes": (12, 20, 24, 31), "p": (0.5, 0.6, 0.7, 0.8, 0.9), "seed": tuple(range(10))},
    quick_fields={"steps": 5, **FEW_SHORT_SAMPLES},
    quick_grid={"num_nodes": (7,), "seed": QUICK_SEEDS},
    follows=(WIDTH,),
    keep=(2,),
)


def _wide(*near_1: float) -> tuple[float, ...]:
    """Probabilities as far from 0 as from 1, with 1/2 in the middle."""
    return (*(round(1 - p, 3) for p in reversed(near_1)), 0.5, *near_1)


def _success_study(
    name: str,
    axis: str,
    labels: tuple[int, ...],
    quick_labels: tuple[int, ...],
    quick_samples: dict[str, int],
) -> Around:
    """Where seeds find the parent, over p, ever closer to 0 and 1, and another axis."""
    return Around(
        name=name,
        fields={"steps": 15},
        grid={axis: labels, "p": _wide(0.7, 0.9, 0.97, 0.99, 0.997, 0.999), "seed": tuple(range(100))},
        quick_fields={"steps": 5, **quick_samples},
        quick_grid={axis: quick_labels, "p": _wide(0.9, 0.99), "seed": QUICK_SEEDS},
        follows=(WIDTH,),
    )


SUCCESS_BY_LENGTH = _success_study("success_by_length", "walk_length", (7, 13, 25, 49, 97, 193), (7, 13), FEW_SAMPLES)
SUCCESS_BY_NODES = _success_study("success_by_nodes", "num_nodes", (5, 6, 8, 12, 16, 24), (6,), FEW_SHORT_SAMPLES)
SUCCESS_BY_WALKS = _success_study(
    "success_by_walks", "walks", (100, 300, 1000, 3000, 10_000), (100,), FEW_SHORT_SAMPLES
)


of_courses = functools.partial(
    Claim,
    setting="infinitely many walks, K = 6 and N = 97, continued by the recursion",
    statistic="Exponent of T in the Frobenius distance, fitted over the last factor of 100 in T.",
    rule=Within(-math.inf, -0.45, _EXPONENT),
    labels=("p",),
    sweeps=(LONG,),
    derive=courses,
    draw=pictures.courses,
)
"""A claim on what V does with ever more steps."""

of_decay = functools.partial(
    Claim,
    setting="infinitely many walks, K = 6 and N = 13 to 1000, M in proportion to N^(3/2)",
    rule=Within(-math.inf, 0, "Exponentially small in N is a line that falls; any negative slope will do."),
    labels=("p",),
    sweeps=(POPULATION,),
    draw=pictures.decay,
)
"""A claim on how the weight of other tokens falls with N."""

of_decay_on_samples = functools.partial(
    Claim,
    setting="samples, ever longer walks, M in proportion to N^(3/2)",
    statistic=(
        "Slope of log(1 - parent weight), worst test walk, against N, with its bootstrap interval over all seeds. "
        "Where a line in log N fits better, as it would to a power of N, there is no estimate."
    ),
    rule=Within(
        -math.inf, 0, "Exponentially small in N is a line in N that falls; any slope with a negative interval will do."
    ),
    labels=("p",),
    sweeps=(LENGTH,),
    draw=pictures.decay,
)
"""The same on samples."""

of_many_walks = functools.partial(
    Claim,
    setting="samples, ever more walks",
    rule=Within(0.8, 1, MOST),
    labels=("p", "walks"),
    sweeps=(WALKS,),
    draw=pictures.rates_against_walks,
)
"""A claim on the share of seeds that succeed with ever more walks."""


def _success(over: str, reference: str, label: str, study: Around) -> Claim:
    """That attention is on the direct parent, over p and something else."""
    return Claim(
        name=f"success-{over}",
        reference=reference,
        setting=f"samples, over p and {'the number of walks' if label == 'walks' else label}",
        statement="Attention is on the direct parent.",
        statistic=RATE + _PARENT_IS_HIGHEST,
        rule=Within(0.8, 1, MOST),
        labels=(label, "p"),
        population="attended-lag",
        sweeps=(study,),
        measure=attention_success,
        draw=success_map,
    )


CLAIMS = (
    Claim(
        name="accuracy",
        reference="Theorem 3.1, item 1",
        setting="infinitely many walks, K = 5 to 64, N = 13 to 1000",
        statement="For 0 < p < 1 the trained transformer predicts with the optimal accuracy max(p, 1 - p).",
        statistic="Optimum less expected accuracy after the last step.",
        rule=Within(
            -1e-6,
            1e-6,
            "Missing the likeliest next state of one of 1,000 test walks costs more; 1e-6 is rounding.",
        ),
        labels=("K", "p", "N"),
        sweeps=(POPULATION,),
        measure=accuracy_of_populations,
    ),
    of_many_walks(
        name="accuracy-samples",
        reference="Theorem 3.1, item 1",
        statement="The accuracy is optimal, where the loss is the mean over sampled walks.",
        statistic=RATE
        + ("A seed succeeds if its expected accuracy is within 0.001 of the optimum after the last step."),
        population="accuracy",
        measure=accuracy_of_samples,
    ),
    of_courses(
        name="output",
        reference="Theorem 3.1, item 2",
        statement="f/|f| tends to f_OPT/|f_OPT| at rate O(T^(-1/2)).",
        statistic="Exponent of T in the distance, mean over walks, fitted over the last factor of 100 in T.",
        measure=output_to_transition,
    ),
    of_courses(
        name="value",
        reference="Theorem 3.1, item 3",
        statement="V/|V| tends to Π^T/|Π^T| at rate O(T^(-1/2)).",
        measure=value_to_transition,
    ),
    of_courses(
        name="value-root",
        reference="In place of Theorem 3.1, item 3",
        statement="V/|V| tends to √Π^T/|√Π^T|, the elementwise square root, at rate O(T^(-1/2)).",
        measure=value_to_square_root,
    ),
    Claim(
        name="recursion",
        reference="The recursion that continues training",
        setting="infinitely many walks",
        statement="Once attention is on the parent, every entry of V moves alone: v += η π / (K (v + ε)).",
        statistic="Largest relative difference of V between recursion and training, over the steps that both have.",
        rule=Within(
            0,
            0.01,
            (
                "Attention is not exactly on the parent when the recursion takes over; 1% is a twentieth of the "
                "distance between the limits that it is to tell apart."
            ),
        ),
        labels=("p",),
        sweeps=(LONG,),
        derive=courses,
        measure=recursion_against_training,
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
        rule=Within(-math.inf, -0.45, _EXPONENT),
        labels=("p", "walks"),
        population="value",
        sweeps=(GROWTH,),
        measure=value_of_samples,
    ),
    of_decay(
        name="attention",
        reference="Theorem 3.1, item 4",
        statement="The weight on the direct parent is at least 1 - exp(-Ω(N)), every other at most exp(-Ω(N)).",
        statistic=(
            "Slope of log(1 - parent weight), the same for all walks, after the last step, against N; from the scores."
        ),
        measure=attention_of_populations,
    ),
    of_decay_on_samples(
        name="attention-length",
        reference="Theorem 3.1, item 4",
        statement="The weight on the direct parent is at least 1 - exp(-Ω(N)), also on samples.",
        population="attention",
        measure=decay,
    ),
    Claim(
        name="attended-lag",
        reference="Theorem 3.1, item 4: K > 4",
        setting="infinitely many walks, K = 5 to 64, N = 13 to 1000",
        statement="Attention is on the direct parent for every K > 4, if N is large enough.",
        statistic="The lag with the highest weight after the last step: 1 is the direct parent.",
        rule=Within(1, 1, "A lag is a whole number."),
        labels=("K", "p", "N"),
        sweeps=(POPULATION,),
        measure=attended_lags,
    ),
    Claim(
        name="needed-length",
        reference="Theorem 3.1: N at least C_p poly(K)",
        setting="infinitely many walks, N = 9 to 217",
        statement="From some N on the weight is on the direct parent and the accuracy optimal, for every K.",
        statistic=(
            f"The shortest N from which on the parent has more than {MOST_WEIGHT} of the weight, and the accuracy is "
            "optimal, for the K that needs the longest; infinite if no N tried will do for some K."
        ),
        rule=Within(0, 217, "The longest walks that were tried. With what power of K it grows is not told by five K."),
        labels=("p",),
        sweeps=(NEEDED,),
        measure=needed_lengths,
        draw=pictures.lengths_against_nodes,
    ),
    _success("length", "Theorem 3.1: N at least C_p poly(K)", "N", SUCCESS_BY_LENGTH),
    _success("nodes", "Theorem 3.1: N at least C_p poly(K)", "K", SUCCESS_BY_NODES),
    _success("walks", "Theorem 3.1: the population loss", "walks", SUCCESS_BY_WALKS),
    Claim(
        name="many-nodes",
        reference="Theorem 3.1, item 4: K > 4",
        setting="samples, many walks on many nodes",
        statement="Attention is on the direct parent for every K > 4, if N is large enough.",
        statistic=RATE + _PARENT_IS_HIGHEST + " Places count back from the target: 1 is the parent.",
        rule=Within(0.6, 1, "10 seeds of 10 have an interval from 0.72 up."),
        labels=("K", "p"),
        population="attended-lag",
        sweeps=(MANY_NODES,),
        measure=attention_with_many_nodes,
        draw=pictures.rates_against_nodes,
    ),
)
