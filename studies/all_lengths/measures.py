"""How many seeds succeed with walks of which lengths, and which token the second step raises most."""

import functools
import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.statistics import rate_interval
from rw_jax.theory import lengths
from studies.claim import Evidence
from studies.evidence import evidence, on_parent, predicts_optimally, row, shares

NODES = (5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 64)
PROBABILITIES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
LENGTHS = (25, 49, 97, 145, 193, 289, 385, 577)
"""The settings of the closed form: 2,048 of them."""


def shortest_in_words(shortest: int, walk_length: int) -> str:
    """What the lengths of training walks are called."""
    if shortest in (0, walk_length):
        return "whole walks"
    return "from N/2" if shortest == walk_length // 2 + 1 else f"from {shortest}"


def success_by_lengths(run: Run) -> Evidence:
    """The share of seeds that predict optimally, and that attend to the parent, by lengths, K and p."""
    rows = []
    for group in run.groups():
        task, shortest = group.config.task, group.config.training.shortest_walk
        labels = {"lengths": shortest_in_words(shortest, task.walk_length), "K": task.num_nodes, "p": task.p}
        parent = rate_interval(on_parent(group))
        interval = {"on_parent": parent.mean, "on_parent_low": parent.low, "on_parent_high": parent.high}
        rows.append(row(labels, rate_interval(predicts_optimally(group)), **interval))
    return evidence(rows, rows)


def success_by_arm(run: Run) -> Evidence:
    """The same by arm, lengths and p."""
    rows = []
    for group in run.groups():
        arm, shortest, p = (group.labels[name] for name in ("arm", "shortest_walk", "p"))
        labels = {"arm": arm, "lengths": shortest_in_words(shortest, group.config.task.walk_length), "p": p}
        rows.append(row(labels, rate_interval(predicts_optimally(group)), on_parent=on_parent(group).mean()))
    return evidence(rows)


def success_by_share(run: Run) -> Evidence:
    """The share of seeds that predict optimally, and that attend to the parent, by the share of walks of two states."""
    rows = []
    for group in run.groups():
        labels = {"share": group.labels["share"], "K": group.config.task.num_nodes, "p": group.config.task.p}
        rows.append(row(labels, rate_interval(predicts_optimally(group)), on_parent=float(on_parent(group).mean())))
    return evidence(rows, rows)


def success_by_query(run: Run) -> Evidence:
    """The share of seeds that predict optimally, and that attend to the parent, by arm and p."""
    rows = []
    for group in run.groups():
        query, _, trained_on = str(group.labels["arm"]).partition("; ")
        labels = {"query": query, "trained on": trained_on, "p": group.config.task.p}
        rows.append(row(labels, rate_interval(predicts_optimally(group)), on_parent=float(on_parent(group).mean())))
    return evidence(rows)


def of_populations(run: Run) -> Evidence:
    """The share of circles whose one run, on infinitely many walks of all lengths, predicts optimally."""
    found = [
        {
            "K": group.config.task.num_nodes, "p": group.config.task.p,
            "training": "gradient descent" if group.labels["optimizer"] == "gd" else "gradient flow",
            "lag": group.metric("highest_lag")[0, -1], "optimal": bool(predicts_optimally(group)[0]),
        }
        for group in run.groups()
    ]  # fmt: skip
    table = pd.DataFrame(found)
    rows = [
        row({"training": words}, float(group["optimal"].mean()), on_parent=float((group["lag"] == 1).mean()),
            circles=len(group))
        for words, group in table.groupby("training")
    ]  # fmt: skip
    return evidence(rows, table)


def of_chains(run: Run) -> Evidence:
    """The share of chains whose one run on infinitely many walks predicts optimally, by the width M and the lengths."""
    found = []
    for group in run.groups():
        labels, shortest = group.labels, group.config.training.shortest_walk
        lengths_in_words = shortest_in_words(shortest, group.config.task.walk_length)
        found.append(
            {
                "M": labels["position_width"], "lengths": lengths_in_words, "family": labels["family"],
                "optimal": bool(predicts_optimally(group)[0]), "on_parent": bool(on_parent(group)[0]),
            }
        )  # fmt: skip
    return shares(pd.DataFrame(found), ("lengths", "M"), "optimal", "on_parent")


def of_all_lengths(run: Run) -> Evidence:
    """The same of walks of all lengths alone; the points are of all."""
    found = success_by_lengths(run)
    return found._replace(rows=found.rows[found.rows["lengths"] == "from 2"].reset_index(drop=True))


def _with_pairs(share: float, walk_length: int) -> np.ndarray:
    law = (1 - share) * lengths.whole_walks(walk_length)
    law[2] += share
    return law


LAWS: Mapping[str, Callable[[int], np.ndarray]] = {
    "whole walks": lengths.whole_walks,
    "from N/2": lambda N: lengths.lengths_from(N // 2 + 1, N),
    **{f"from {shortest}": functools.partial(lengths.lengths_from, shortest) for shortest in (10, 4, 3, 2)},
    **{f"geometric, mean {mean}": functools.partial(lengths.geometric, mean) for mean in (10, 100)},
    **{f"{share:.0%} of two states": functools.partial(_with_pairs, share) for share in (0.01, 0.02, 0.1)},
}
"""Laws of the lengths, by name: (N) -> P(n) for n = 0..N."""


def _leads(num_nodes: int, p: float, law: np.ndarray) -> bool:
    scores = lengths.second_scores(num_nodes, p, law, learning_rate=1.0, epsilon=0.1)
    return bool(scores[0] >= scores.max() - 1e-12 * np.abs(scores).max())


def needed_share(num_nodes: int, p: float, walk_length: int) -> float:
    """The smallest share of walks of two states, among whole ones, with which the second step favours the parent."""
    none, enough = 0.0, 1.0
    if _leads(num_nodes, p, _with_pairs(none, walk_length)):
        return none
    while enough - none > 1e-7:
        middle = (none + enough) / 2
        leads = _leads(num_nodes, p, _with_pairs(middle, walk_length))
        none, enough = (none, middle) if leads else (middle, enough)
    return enough


def second_step() -> Evidence:
    """The share of circles on which the second step raises the score of the parent most, by the law of the lengths."""
    marked = []
    for K, p, N in itertools.product(NODES, PROBABILITIES, LENGTHS):
        for words, law in LAWS.items():
            marked.append({"lengths": words, "K": K, "p": p, "N": N, "parent_leads": _leads(K, p, law(N))})
    table = pd.DataFrame(marked)
    rows = [
        row({"lengths": words}, float(group["parent_leads"].mean()), circles=len(group))
        for words, group in table.groupby("lengths", sort=False)
    ]
    return evidence(rows, table)
