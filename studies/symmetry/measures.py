"""What each seed did with each remedy, and the shares of seeds that the claims are about."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.run import Group
from rw_jax.analysis.statistics import first_step, mean_interval, rate_interval
from rw_jax.training.metrics import OPTIMAL
from studies.claim import Evidence
from studies.evidence import evidence, on_parent, predicts_optimally, row, shares, with_first_steps
from studies.symmetry.remedies import COORDINATEWISE, PAPER, remedy_of


def table_of(run: Run) -> pd.DataFrame:
    """Of each remedy and p what each seed did.

    Returns:
      A row for each seed with `remedy`, `kind`, `leaves` (whether it was to), `p` and `seed`; `stays`, whether all
      tokens weighed the same, to the bit, at every recorded step; `optimal`, whether it predicts optimally in the end;
      `learned_at`, the first recorded step at which it did, infinite for none; `parent`, whether attention is highest
      on the direct parent; `lag`, where it is highest, `weight`, that weight, and `residue`, the residue class of lags
      mod K with the most attention (K for that of 0), and `of_residue`, its share; `shorter` and `other_p`, how far its
      accuracy is below the optimum on the last 48 tokens alone, and on walks with p = 0.9 (0.1 for p = 0).
    """
    rows = []
    for group in run.groups():
        remedy, p = remedy_of(str(group.labels["arm"]))
        spread, optimal = group.metric("attention_spread"), group.metric("predicts_optimally") == 1
        parents, K, learned = on_parent(group), group.config.task.num_nodes, first_step(optimal, group.steps)
        for i, cell in enumerate(group.cells):
            weights = run.mean_attention(step=None, **cell.labels)[:-1]
            by_residue = _by_residue(weights, K)
            rows.append(
                {
                    "remedy": remedy.name,
                    "kind": remedy.kind,
                    "leaves": remedy.leaves,
                    "p": p,
                    "seed": cell.config.seed,
                    "stays": bool((spread[i] == 0).all()),
                    "optimal": bool(optimal[i, -1]),
                    "learned_at": learned[i],
                    "parent": bool(parents[i]),
                    "lag": len(weights) - int(np.argmax(weights)),
                    "weight": float(weights.max()),
                    "residue": int(np.argmax(by_residue)) or K,
                    "of_residue": float(by_residue.max() / max(weights.sum(), 1e-30)),
                    "shorter": below_optimum(run, cell.labels, p, len(weights) // 2),
                    "other_p": below_optimum(run, cell.labels, 0.9 if p >= 0.5 else 0.1, len(weights)),
                }
            )
    return pd.DataFrame(rows)


def _by_residue(weights: np.ndarray, num_nodes: int) -> np.ndarray:
    """The attention on the tokens of each residue class of lags mod K, float[K]."""
    return np.bincount(np.arange(len(weights), 0, -1) % num_nodes, weights, num_nodes)


_TESTED = {axis: value for axis, value in PAPER.items() if axis != "walk_length"} | {
    "walks": 1, "stages": "", "test_walks": 500, "seed": 0,
}  # fmt: skip
"""What a run is tested with on walks that it was not trained on: the same walks, and one program, for all."""


def below_optimum(run: Run, labels: Mapping[str, Any], p: float, num_tokens: int) -> float:
    """How far the accuracy of a run is below the optimum on walks that it was not trained on.

    Args:
      run: the study.
      labels: of one of its runs.
      p: probability of a clockwise step.
      num_tokens: the tokens that are there: the last ones, next to the query.
    """
    at = {**_TESTED, "p": p, "shortest_walk": num_tokens + 1}
    tokens, targets = run.walks("test", at=at, **labels)
    tokens[:, :-num_tokens] = run.num_nodes(**labels)  # these are missing
    found = run.evaluate(on=(tokens, targets), at=at, **labels)
    return float(found["optimal_accuracy"] - found["expected_accuracy"])


def _by_remedy(table: pd.DataFrame, shown: str, *means: str) -> Evidence:
    return shares(table, ("remedy", "p"), shown, *means)


def stays(table: pd.DataFrame) -> Evidence:
    """The share of seeds that stay, of the remedies that are to stay."""
    return _by_remedy(table[~table["leaves"]], "stays")._replace(points=table)


def leaves(table: pd.DataFrame) -> Evidence:
    """The share of seeds that leave, of the remedies that are to leave."""
    chosen = table[table["leaves"]]
    return _by_remedy(chosen.assign(gone=~chosen["stays"]), "gone")


def learns(table: pd.DataFrame) -> Evidence:
    """The share of seeds that predict optimally in the end, of the remedies that leave, and when they first do."""
    chosen = table[table["leaves"]]
    return _by_remedy(with_first_steps(chosen), "optimal", "learned_at")


def on_one_residue(table: pd.DataFrame) -> Evidence:
    """The share of the seeds that have learned with all attention on tokens of one residue class, and which."""
    learned = table[table["optimal"]]
    marked = learned.assign(one=learned["of_residue"] > 0.99, parents=learned["residue"] == 1)
    return _by_remedy(marked, "one", "of_residue", "parents", "parent", "weight")


def right_on_shorter(table: pd.DataFrame) -> Evidence:
    """The share of the seeds that have learned that are optimal on the last half of the tokens, too."""
    learned = table[table["optimal"]]
    return _by_remedy(learned.assign(right=learned["shorter"] <= OPTIMAL), "right", "shorter")


def right_at_other_p(table: pd.DataFrame) -> Evidence:
    """The share of the seeds that have learned that are optimal on random walks, too."""
    learned = table[table["optimal"]]
    return _by_remedy(learned.assign(right=learned["other_p"] <= OPTIMAL), "right", "other_p")


def coordinatewise(table: pd.DataFrame) -> Evidence:
    """For each optimizer whether it leaves exactly if it looks at every entry of W by itself: 1 or 0, by its seeds."""
    rows = []
    for remedy, group in table[table["kind"].isin(["optimizer", "none"])].groupby("remedy", sort=False):
        is_coordinatewise = remedy in COORDINATEWISE
        as_said = rate_interval((~group["stays"]).to_numpy(bool) == is_coordinatewise)
        rows.append(row({"remedy": remedy}, as_said, coordinatewise=is_coordinatewise, stays=group["stays"].mean()))
    return evidence(rows, table)


def costs(run: Run) -> Evidence:
    """By how much a remedy changes the share of seeds that predict optimally, seeds paired with those of none."""
    by_remedy: dict[tuple[str, float], Group] = {}
    for group in run.groups():
        remedy, p = remedy_of(str(group.labels["arm"]))
        by_remedy[remedy.name, p] = group
    rows = []
    for (name, p), group in by_remedy.items():
        base = by_remedy.get(("none", p))
        if base is None or name == "none":
            continue
        optimal, of_none = map(predicts_optimally, (group, base))
        change = mean_interval(optimal.astype(float) - of_none.astype(float))
        shares = {"optimal": optimal.mean(), "optimal_of_none": of_none.mean()}
        shares |= {"on_parent": on_parent(group).mean(), "on_parent_of_none": on_parent(base).mean()}
        rows.append(row({"remedy": name, "p": p}, change, **shares))
    return evidence(rows, rows)


def curriculum(run: Run) -> Evidence:
    """The share of seeds that predict p = 1 optimally, by the p of the first stage and its steps."""
    rows = []
    for group in run.groups():
        steps = int(group.config.training.stages.partition(":")[0])
        label = {"first_p": group.config.task.p, "steps": steps}
        share = rate_interval(predicts_optimally(group))
        weights = [run.mean_attention(step=None, **cell.labels)[:-1] for cell in group.cells]
        class_of_parent = [_by_residue(each, group.config.task.num_nodes)[1] > 0.9 * each.sum() for each in weights]
        means = {"on_parent": on_parent(group).mean(), "on_class_of_parent": np.mean(class_of_parent)}
        rows.append(row(label, share, **means))
    return evidence(rows, rows)
