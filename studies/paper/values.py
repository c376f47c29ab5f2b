"""Measurements of Theorem 3.1: what the accuracy, the output and V tend to."""

import numpy as np

from rw_jax import Run
from rw_jax.analysis import interpret, measures
from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import Estimate, bootstrap_interval, slopes
from rw_jax.study.grid import kept_steps
from rw_jax.theory import closed_forms
from studies.claim import Evidence
from studies.evidence import evidence, on_parent, predicts_optimally, row, transition_matrix
from studies.paper.measures import Course, exponents, settings, success, value_matrices


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
    return success(run, predicts_optimally)


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
