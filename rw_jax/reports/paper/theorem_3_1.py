"""Theorem 3.1: for 0 < p < 1 the transformer learns the random walk."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis import interpret, measures
from rw_jax.analysis.interpret import attended_lag
from rw_jax.analysis.run import Group, Run
from rw_jax.analysis.statistics import Estimate, bootstrap_interval, rate_interval, slopes
from rw_jax.reports import figures
from rw_jax.reports.claim import Claim, Evidence, Within
from rw_jax.reports.evidence import (
    Course,
    accuracy_gap,
    attention_success,
    courses,
    decay,
    evidence,
    exponents,
    largest_log_other_attention,
    on_parent,
    row,
    settings,
    success,
    transition_matrix,
    value_matrices,
)
from rw_jax.reports.paper.studies import (
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
from rw_jax.reports.study import Study, spread_out
from rw_jax.study.grid import kept_steps
from rw_jax.theory import closed_forms

RATE = "Share of seeds with its Wilson interval. "
MOST = "Four seeds in five must succeed, by the whole interval: that is what the seeds of a setting can show."
_PARENT_IS_HIGHEST = "The weight, averaged over the test walks, is highest on token N-1 after the last step."
_EXPONENT = (
    "-1/2, with 0.05 to spare: at these T the corrections of order log T / T and eps / T^(1/2) still bend the line."
)

GROWTH = Study(
    name="growth",
    fields={"steps": 1000},
    grid={"walks": (1000, 10_000), "p": (0.5, 0.7, 0.9), "seed": tuple(range(16))},
    quick_fields={"steps": 40, **FEW_SHORT_SAMPLES},
    quick_grid={"walks": (100,), "seed": QUICK_SEEDS},
    quick_keep=spread_out(40),
    follows=(WIDTH,),
    keep=spread_out(1000),
)

NEEDED = Study(
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

MANY_NODES = Study(
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
) -> Study:
    """Where seeds find the parent, over p, ever closer to 0 and 1, and another axis."""
    return Study(
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


def accuracy_of_populations(run: Run) -> Evidence:
    """How far the accuracy after the last step lies below the optimum, and since when it does not."""
    rows = []
    for labels, group in settings(run):
        (gap,) = group.metric("optimal_accuracy") - group.metric("expected_accuracy")
        late = np.flatnonzero(gap > 1e-6)
        since = int(group.steps[late[-1] + 1]) if len(late) and late[-1] + 1 < len(gap) else None
        rows.append(row(labels, gap[-1], optimal_since_step=since))
    return evidence(rows)


def accuracy_of_samples(run: Run) -> Evidence:
    """Share of seeds whose accuracy is optimal after the last step, against the number of walks."""
    return success(run, lambda group: accuracy_gap(group) < 1e-3)


def output_to_transition(courses: list[Course]) -> Evidence:
    """Approach of f/|f| to f_OPT/|f_OPT|."""

    def distance(value_KxK, transition_KxK):
        # With attention on the parent f is the column of V that belongs to it, and parents are uniform.
        columns = zip(value_KxK.T, transition_KxK, strict=True)
        return np.mean([measures.direction_distance(column, row) for column, row in columns])

    return exponents(
        courses, "distance of f/|f| from f_OPT/|f_OPT|", distance, of_the_square_root=closed_forms.square_root_distance
    )


def value_to_transition(courses: list[Course]) -> Evidence:
    """Approach of V/|V| to Pi^T/|Pi^T|."""
    return exponents(
        courses,
        "distance of V/|V| from Π^T/|Π^T|",
        lambda value_KxK, transition_KxK: measures.direction_distance(value_KxK, transition_KxK.T),
        of_the_square_root=closed_forms.square_root_distance,
    )


def value_to_square_root(courses: list[Course]) -> Evidence:
    """Approach of V/|V| to the normalised elementwise square root of Pi^T."""
    return exponents(
        courses,
        "distance of V/|V| from √Π^T/|√Π^T|",
        lambda value_KxK, transition_KxK: measures.direction_distance(value_KxK, np.sqrt(transition_KxK.T)),
    )


def recursion_against_training(courses: list[Course]) -> Evidence:
    """Largest relative difference of V between the recursion and training over the steps that both have."""
    rows = []
    for course in courses:
        shared = np.isin(course.recursion_steps, course.trained_steps)
        errors = [
            interpret.relative_error(recursion, course.trained[list(course.trained_steps).index(step)])
            for step, recursion in zip(course.recursion_steps[shared], course.recursion[shared], strict=True)
        ]
        first = int(course.recursion_steps[0])
        rows.append(row({"p": course.p}, max(errors), from_step=first, to_step=int(course.trained_steps[-1])))
    return evidence(rows)


def value_of_samples(run: Run) -> Evidence:
    """Exponents of T in the distance of V to three limits, over seeds that found the parent, for p and walks."""
    rows = []
    for labels, group in settings(run):
        found = on_parent(group)
        if found.sum() < 2:
            rows.append(row(labels, Estimate(np.nan, np.nan, np.nan, int(found.sum()))))
            continue
        steps = np.array([step for step in kept_steps(group.config) if step >= group.config.training.steps / 20])
        values = np.stack([value_matrices(group, int(step)) for step in steps], axis=1)[found]
        transposed = transition_matrix(group).T
        limits = {
            "transition": np.broadcast_to(transposed, (len(values), *transposed.shape)),
            "root": np.broadcast_to(np.sqrt(transposed), (len(values), *transposed.shape)),
            "counted": np.sqrt(_counts(group)[found]),
        }
        distances = {
            name: np.array(
                [
                    [measures.direction_distance(value, limit) for value in of_run]
                    for of_run, limit in zip(values, limit_of_runs, strict=True)
                ]
            )
            for name, limit_of_runs in limits.items()
        }
        exponent = {name: bootstrap_interval(slopes(np.log(steps), np.log(stack))) for name, stack in distances.items()}
        last = {name: float(np.mean(stack[:, -1])) for name, stack in distances.items()}
        rows.append(
            row(labels, exponent["transition"], distance_to_transition=last["transition"],
                exponent_to_square_root=exponent["root"].mean, distance_to_square_root=last["root"],
                exponent_to_square_root_of_counts=exponent["counted"].mean,
                distance_to_square_root_of_counts=last["counted"])
        )  # fmt: skip
    return evidence(rows)


def _counts(group: Group) -> np.ndarray:
    """How often each state (row) follows each state (column) at the end of the training walks, float64[runs, K, K]."""
    counts = np.zeros((len(group.cells), *(group.config.task.num_nodes,) * 2))
    for count, cell in zip(counts, group.cells, strict=True):
        tokens, targets = group.run.walks("train", **cell.labels)
        np.add.at(count, (targets, tokens[:, -1]), 1)
    return counts


def attention_of_populations(run: Run, step: int | None = None) -> Evidence:
    """Slope of log(1 - parent weight) at a step against N, for the K with most lengths; the last if none is given."""
    points = [
        row(labels, float(largest_log_other_attention(group, group.config.training.steps if step is None else step)[0]))
        for labels, group in settings(run)
    ]
    table = pd.DataFrame(points)
    table = table[table["K"] == table["K"].mode()[0]].sort_values(["p", "N"])
    rows = [
        row({"p": p}, float(slopes(group["N"], group["estimate"].to_numpy()[None])[0]), K=group["K"].iloc[0],
            log_other_weight_at_largest_N=group["estimate"].iloc[-1], largest_N=group["N"].iloc[-1])
        for p, group in table.groupby("p")
    ]  # fmt: skip
    return evidence(rows, table)


def attention_after_step_two(run: Run) -> Evidence:
    """The same after the second step."""
    return attention_of_populations(run, step=2)


def attended_lags(run: Run) -> Evidence:
    """The lag with the highest weight after the last step on infinitely many walks, and what sends it there."""
    rows = []
    for labels, group in settings(run):
        task, (cell,) = group.config.task, group.cells
        weights = run.mean_attention(step=None, **cell.labels)
        predicted = int(np.argmax(closed_forms.token_correlations(task.num_nodes, task.p, task.walk_length))) + 1
        rows.append(
            row(labels, attended_lag(weights), weight=float(weights.max()), lag_with_largest_correlation=predicted,
                accuracy_below_optimum=float(accuracy_gap(group)[0]))
        )  # fmt: skip
    return evidence(rows, rows)


MOST_WEIGHT = 0.99
"""A length suffices if the parent has more weight than this and the accuracy is optimal, there and at longer ones."""


def needed_lengths(run: Run) -> Evidence:
    """How long walks must be for the theorem, for each K and p, and the exponent of K in that, for each p."""
    suffices = {
        (labels["p"], labels["K"], labels["N"]): bool(
            group.metric("parent_attention")[0, -1] > MOST_WEIGHT and accuracy_gap(group)[0] < 1e-6
        )
        for labels, group in settings(run)
    }
    probabilities, nodes, lengths = (sorted({key[place] for key in suffices}) for place in range(3))
    rows, points = [], []
    for p in probabilities:
        shortest = {}
        for K in nodes:
            too_short = [N for N in lengths if not suffices[p, K, N]]
            longer = [N for N in lengths if not too_short or too_short[-1] < N]
            shortest[K] = longer[0] if longer else math.inf
            points.append(row({"p": p, "K": K}, shortest[K]))
        found = {K: N for K, N in shortest.items() if math.inf > N}
        without = ", ".join(str(K) for K in shortest if K not in found)
        x, y = np.log(list(found)), np.log(list(found.values()))
        exponent, intercept = np.polyfit(x, y, 1) if len(found) > 1 else (np.nan, np.nan)
        residual = float(np.max(np.abs(y - exponent * x - intercept), initial=0))
        rows.append(
            row({"p": p}, math.inf if without else exponent, exponent_of_K=exponent, factor=np.exp(intercept),
                largest_residual_as_a_factor=np.exp(residual), K_without=without or "none", longest_tried=lengths[-1])
        )  # fmt: skip
    return evidence(rows, points)


def attention_with_many_nodes(run: Run) -> Evidence:
    """Share of seeds on the parent for many nodes, where attention goes, and where Lemma C.5's scores send it."""
    rows = []
    for labels, group in settings(run):
        task, steps = group.config.task, group.config.training.steps
        attended = [attended_lag(run.mean_attention(step=steps, **cell.labels)) for cell in group.cells]
        places, counts = np.unique(attended, return_counts=True)
        predicted = int(np.argmax(closed_forms.token_correlations(task.num_nodes, task.p, task.walk_length))) + 1
        rows.append(
            row(labels, rate_interval(on_parent(group)), mostly_attended_place=int(places[np.argmax(counts)]),
                place_with_largest_correlation=predicted, accuracy_below_optimum=float(np.mean(accuracy_gap(group))),
                gap_of_Lemma_E4=closed_forms.parent_gap(task.num_nodes, task.p, task.walk_length))
        )  # fmt: skip
    return evidence(rows, rows)


def success_map(points: pd.DataFrame) -> Figure:
    """The share of seeds that succeed over p and one other label.

    Args:
      points: columns p, estimate, and N, K or walks.
    """
    names = {"walks": "training walks", "N": "N, walk length", "K": "K, nodes"}
    column, label = next((column, label) for column, label in names.items() if column in points)
    return figures.map_over_p(points, column, label, (0, 1), "share of seeds on the parent")


def _success(over: str, reference: str, label: str, study: Study) -> Claim:
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
        studies=(study,),
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
        studies=(POPULATION,),
        measure=accuracy_of_populations,
    ),
    Claim(
        name="accuracy-samples",
        reference="Theorem 3.1, item 1",
        setting="samples, ever more walks",
        statement="The accuracy is optimal, where the loss is the mean over sampled walks.",
        statistic=RATE
        + ("A seed succeeds if its expected accuracy is within 0.001 of the optimum after the last step."),
        rule=Within(0.8, 1, MOST),
        labels=("p", "walks"),
        population="accuracy",
        studies=(WALKS,),
        measure=accuracy_of_samples,
        draw=figures.rates_against_walks,
    ),
    Claim(
        name="output",
        reference="Theorem 3.1, item 2",
        setting="infinitely many walks, K = 6 and N = 97, continued by the recursion",
        statement="f/|f| tends to f_OPT/|f_OPT| at rate O(T^(-1/2)).",
        statistic="Exponent of T in the distance, mean over walks, fitted over the last factor of 100 in T.",
        rule=Within(-math.inf, -0.45, _EXPONENT),
        labels=("p",),
        studies=(LONG,),
        derive=courses,
        measure=output_to_transition,
        draw=figures.courses,
    ),
    Claim(
        name="value",
        reference="Theorem 3.1, item 3",
        setting="infinitely many walks, K = 6 and N = 97, continued by the recursion",
        statement="V/|V| tends to Π^T/|Π^T| at rate O(T^(-1/2)).",
        statistic="Exponent of T in the Frobenius distance, fitted over the last factor of 100 in T.",
        rule=Within(-math.inf, -0.45, _EXPONENT),
        labels=("p",),
        studies=(LONG,),
        derive=courses,
        measure=value_to_transition,
        draw=figures.courses,
    ),
    Claim(
        name="value-root",
        reference="In place of Theorem 3.1, item 3",
        setting="infinitely many walks, K = 6 and N = 97, continued by the recursion",
        statement="V/|V| tends to √Π^T/|√Π^T|, the elementwise square root, at rate O(T^(-1/2)).",
        statistic="Exponent of T in the Frobenius distance, fitted over the last factor of 100 in T.",
        rule=Within(-math.inf, -0.45, _EXPONENT),
        labels=("p",),
        studies=(LONG,),
        derive=courses,
        measure=value_to_square_root,
        draw=figures.courses,
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
        studies=(LONG,),
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
        studies=(GROWTH,),
        measure=value_of_samples,
    ),
    Claim(
        name="attention",
        reference="Theorem 3.1, item 4",
        setting="infinitely many walks, K = 6 and N = 13 to 1000, M in proportion to N^(3/2)",
        statement="The weight on the direct parent is at least 1 - exp(-Ω(N)), every other at most exp(-Ω(N)).",
        statistic=(
            "Slope of log(1 - parent weight), the same for all walks, after the last step, against N; from the scores."
        ),
        rule=Within(-math.inf, 0, "Exponentially small in N is a line that falls; any negative slope will do."),
        labels=("p",),
        studies=(POPULATION,),
        measure=attention_of_populations,
        draw=figures.decay,
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
        rule=Within(
            -math.inf,
            0,
            "Exponentially small in N is a line in N that falls; any slope with a negative interval will do.",
        ),
        labels=("p",),
        population="attention",
        studies=(LENGTH,),
        measure=decay,
        draw=figures.decay,
    ),
    Claim(
        name="attended-lag",
        reference="Theorem 3.1, item 4: K > 4",
        setting="infinitely many walks, K = 5 to 64, N = 13 to 1000",
        statement="Attention is on the direct parent for every K > 4, if N is large enough.",
        statistic="The lag with the highest weight after the last step: 1 is the direct parent.",
        rule=Within(1, 1, "A lag is a whole number."),
        labels=("K", "p", "N"),
        studies=(POPULATION,),
        measure=attended_lags,
    ),
    Claim(
        name="needed-length",
        reference="Theorem 3.1: N at least C_p poly(K)",
        setting="infinitely many walks, N = 9 to 217",
        statement="From some N on, polynomial in K, the weight is on the direct parent and the accuracy optimal.",
        statistic=(
            f"Exponent of K in the shortest N from which on the parent has more than {MOST_WEIGHT} of the weight, and "
            "the accuracy is optimal; infinite if no N tried will do for some K."
        ),
        rule=Within(-math.inf, 10, "Any power is polynomial."),
        labels=("p",),
        studies=(NEEDED,),
        measure=needed_lengths,
        draw=figures.lengths_against_nodes,
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
        studies=(MANY_NODES,),
        measure=attention_with_many_nodes,
        draw=figures.rates_against_nodes,
    ),
)
