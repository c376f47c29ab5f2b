"""Measurements of Theorem 3.1: where attention goes, how fast, and how long walks must be for that."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax import Run
from rw_jax.analysis.interpret import attended_lag
from rw_jax.analysis.statistics import rate_interval, slopes
from rw_jax.theory import closed_forms
from studies.claim import Evidence
from studies.evidence import accuracy_gap, evidence, on_parent, row
from studies.paper import pictures
from studies.paper.measures import largest_log_other_attention, settings


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
    """How long walks must be for the theorem, for each p: the shortest that suffice for each K, and for all."""
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
        of_each = ", ".join(f"{K}: {'none' if math.inf == N else N}" for K, N in shortest.items())
        rows.append(row({"p": p}, max(shortest.values()), shortest_by_K=of_each, longest_tried=lengths[-1]))
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
    return pictures.map_over_p(points, column, label, (0, 1), "share of seeds on the parent")
