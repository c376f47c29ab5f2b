"""What heads and attention are for: the accuracy that is lost without them."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.circuits import num_heads_of, without_head
from rw_jax.analysis.statistics import mean_interval, rate_interval
from rw_jax.training.metrics import OPTIMAL
from studies.claim import Evidence
from studies.evidence import by_labels, evidence, row


def ablation(run: Run) -> pd.DataFrame:
    """What each head of the decoders with several is for, at p = 0.9, seed by seed.

    Returns:
      A row for each head with `relative`, `seed`, `layer`, `head`; `lost`, how far the expected accuracy falls without
      it; `on_parent`, its attention on the parent.
    """
    rows = []
    for group in run.groups(p=0.9):
        num_layers, num_heads = num_heads_of(run.params(step=None, **group.cells[0].labels))
        if num_layers * num_heads == 1:
            continue
        whole = group.metric("expected_accuracy")[:, -1]
        for i, cell in enumerate(group.cells):
            params, on_parent = run.params(step=None, **cell.labels), run.mean_head_attention(step=None, **cell.labels)
            for layer, head in itertools.product(range(num_layers), range(num_heads)):
                without = _expected_accuracy(run, cell.labels, without_head(params, layer, head))
                rows.append(
                    {
                        "relative": str(group.labels["arm"]),
                        "seed": cell.config.seed,
                        "layer": layer,
                        "head": head,
                        "lost": float(whole[i] - without),
                        "on_parent": float(on_parent[layer, head, -2]),
                    }
                )
    return pd.DataFrame(rows)


def without_attention(run: Run) -> pd.DataFrame:
    """The expected accuracy that decoders with a residual stream lose without attention, at p = 0.9, by seed."""
    rows = []
    for group in run.groups(p=0.9, residual="on"):
        whole = group.metric("expected_accuracy")[:, -1]
        for i, cell in enumerate(group.cells):
            params = {"value": np.zeros_like(run.value_matrix(step=None, **cell.labels))}
            lost = float(whole[i] - _expected_accuracy(run, cell.labels, params))
            rows.append({"relative": str(group.labels["arm"]), "seed": cell.config.seed, "lost": lost})
    return pd.DataFrame(rows)


def lost_without_attention(table: pd.DataFrame) -> Evidence:
    """The mean of that loss, for each relative."""
    groups = by_labels(table, "relative")
    return evidence([row(labels, mean_interval(group["lost"].to_numpy())) for labels, group in groups], table)


def _expected_accuracy(run: Run, labels: Mapping[str, Any], params: Mapping[str, np.ndarray]) -> float:
    return float(run.evaluate(step=None, params=params, attention=None, **labels)["expected_accuracy"])


def one_head_does_it(table: pd.DataFrame) -> Evidence:
    """The share of seeds in which the head that costs most is the one with most attention on the parent.

    Seeds in which no head costs more than 0.001 are left out.
    """
    rows = []
    for relative, group in table.groupby("relative", sort=False):
        seeds = [seed for _, seed in group.groupby("seed") if seed["lost"].max() > OPTIMAL]
        if not seeds:  # no head costs anything
            continue
        same = [seed["lost"].to_numpy().argmax() == seed["on_parent"].to_numpy().argmax() for seed in seeds]
        most = np.mean([seed["lost"].max() for seed in seeds])
        rows.append(row({"relative": relative}, rate_interval(np.array(same)), most_lost=most))
    return evidence(rows, table)
