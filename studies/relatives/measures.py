"""What each seed of each relative did, and the shares and losses that the claims are about."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.circuits import num_heads_of
from rw_jax.analysis.interpret import attended_lag
from rw_jax.analysis.measures import direction_distance
from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import first_step, mean_interval
from studies.claim import Evidence
from studies.evidence import accuracy_gap, by_labels, evidence, row, shares, with_first_steps, without_intervals
from studies.relatives.relatives import KEEPS


def table_of(run: Run) -> pd.DataFrame:
    """Of each relative, task and p what each seed did.

    Returns:
      A row for each seed with `relative`, `keeps`, `task`, `p`, `seed`; `optimal`, whether it predicts optimally in the
      end; `gap`, how far its expected accuracy is below the optimum; `learned_at`, the first recorded step at which it
      predicts optimally, infinite for none; `stays`, whether all tokens weigh the same, to the bit, at every recorded
      step; `parent`, whether a head attends to the parent more than to any other slot; `on_parent`, the largest
      attention of a head on it; `lags`, the lag that each head attends to most, layer by layer; `value_error`, the
      distance between the directions of V and Pi^T, columns centred, of the head with most attention on the parent, NaN
      where there are no such matrices; `equal_heads`, whether all heads are the same to the bit; and `parameters`, how
      many numbers are trained.
    """
    rows = []
    for group in run.groups():
        relative, config = str(group.labels["arm"]), group.config
        optimal, gap = group.metric("predicts_optimally") == 1, accuracy_gap(group)
        learned, spread = first_step(optimal, group.steps), group.metric("attention_spread")
        parent = dict(config.task.options)["lag"] if config.task.name == "lagged" else 1
        for i, cell in enumerate(group.cells):
            params, heads = run.params(step=None, **cell.labels), _heads(run, cell.labels)
            attended = [attended_lag(head_N) for head_N in heads]
            on_parent = heads[:, -1 - parent]
            setting = {"relative": relative, "keeps": KEEPS[relative], "task": config.task.name, "p": config.task.p}
            rows.append(
                {
                    **setting,
                    "seed": cell.config.seed,
                    "optimal": bool(optimal[i, -1]),
                    "gap": gap[i],
                    "learned_at": learned[i],
                    "stays": bool((spread[i] == 0).all()),
                    "parent": parent in attended,
                    "on_parent": float(on_parent.max()),
                    "lags": " ".join(map(str, attended)),
                    "value_error": _value_error(group, i, int(np.argmax(on_parent))),
                    "equal_heads": len(heads) == 1 or all(bool((leaf == leaf[:1]).all()) for leaf in params.values()),
                    "parameters": sum(leaf.size for leaf in params.values()),
                }
            )
    return pd.DataFrame(rows)


def _heads(run: Run, labels: Mapping[str, Any]) -> np.ndarray:
    """The mean attention of each head at the end, layers after one another, float[heads, N]."""
    model = run.cell(**labels).config.model
    if model.form == "decoder" or model.heads > 1:
        of_heads = run.mean_head_attention(step=None, **labels)
        return of_heads.reshape(-1, of_heads.shape[-1])
    return run.mean_attention(step=None, **labels)[None]


def _value_error(group: Group, seed: int, head: int) -> float:
    """The distance between the directions of a head's V and the law of the target, columns centred."""
    run, labels = group.run, group.cells[seed].labels
    law, params = run.target_law(**labels), run.params(step=None, **labels)
    if law is None:
        return np.nan
    if params["value"].ndim > 2:
        if "head_value_error" not in run.metrics:
            return np.nan
        num_layers, num_heads = num_heads_of(params)  # NaN beyond them, where another relative has more
        return float(group.metric("head_value_error")[seed, -1, :num_layers, :num_heads].ravel()[head])
    return direction_distance(*(matrix - matrix.mean(axis=0) for matrix in (params["value"], law.T)))


_BY = ("relative", "p")


def as_good_as_paper(table: pd.DataFrame) -> Evidence:
    """By how much the share of seeds that predict optimally differs from the paper's model's, seeds paired, p < 1."""
    table, rows = with_first_steps(table[table["p"] < 1]), []
    paper = {p: group.set_index("seed")["optimal"] for p, group in table[table["relative"] == "paper"].groupby("p")}
    for labels, group in by_labels(table[table["relative"] != "paper"], *_BY):
        of_paper = paper[labels["p"]]
        change = group.set_index("seed")["optimal"].astype(float) - of_paper.astype(float)
        more = {"optimal": group["optimal"].mean(), "optimal_of_paper": of_paper.mean()}
        more |= {name: float(group[name].mean()) for name in ("parent", "learned_at", "value_error")}
        rows.append(row(labels, mean_interval(change.to_numpy()), **more))
    return evidence(rows, table)


def symmetric(table: pd.DataFrame, keeps: bool) -> Evidence:
    """The share of seeds that stay at p = 1 (relatives that should stay), or that leave (those that should leave)."""
    chosen = table[(table["p"] == 1) & (table["keeps"] == keeps)]
    found = shares(chosen.assign(as_said=chosen["stays"] == keeps), _BY, "as_said", "optimal")
    return without_intervals(found) if keeps else found


def equal_heads(table: pd.DataFrame) -> Evidence:
    """The share of seeds whose heads are the same to the bit at the end, of several heads from zero."""
    chosen = table[table["relative"].isin(["2 heads", "4 heads"])]
    return without_intervals(shares(chosen, _BY, "equal_heads"))


def reaches_optimum(table: pd.DataFrame) -> Evidence:
    """The share of seeds that predict optimally, and when they first do."""
    return shares(with_first_steps(table), _BY, "optimal", "gap", "learned_at", "parameters")


def finds_parent(table: pd.DataFrame) -> Evidence:
    """Of the seeds that predict optimally at p < 1 the share in which a head attends to the parent most."""
    return shares(table[table["optimal"] & (table["p"] < 1)], _BY, "parent", "on_parent")


def looks_like_transition(table: pd.DataFrame) -> Evidence:
    """The distance of V from Pi^T, columns centred, of the seeds that predict optimally at p < 1."""
    rows, table = [], table[table["optimal"] & (table["p"] < 1) & table["value_error"].notna()]
    for labels, group in by_labels(table, *_BY):
        rows.append(row(labels, mean_interval(group["value_error"].to_numpy())))
    return evidence(rows, table)


def loss_of(table: pd.DataFrame, *relatives: str) -> Evidence:
    """By how much less of the optimal accuracy the second of two relatives loses, seeds paired, for each task and p."""
    rows, (one, other) = [], relatives
    for labels, group in by_labels(table, "task", "p"):
        gaps = {name: each.set_index("seed")["gap"] for name, each in group.groupby("relative")}
        means = {one: gaps[one].mean(), other: gaps[other].mean()}
        rows.append(row(labels, mean_interval((gaps[one] - gaps[other]).to_numpy()), **means))
    return evidence(rows, table)


def losses_of_tasks(table: pd.DataFrame) -> Evidence:
    """How far the expected accuracy is below the optimum, for each relative, task and p."""
    rows = []
    for labels, group in by_labels(table, "relative", "task", "p"):
        rows.append(row(labels, mean_interval(group["gap"].to_numpy()), optimal=group["optimal"].mean()))
    return evidence(rows, table)
