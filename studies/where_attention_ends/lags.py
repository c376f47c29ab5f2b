"""The lag that attention goes to on infinitely many walks, beside what is predicted of it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.interpret import attended_lag
from rw_jax.analysis.numbers import text
from rw_jax.analysis.run import Group
from rw_jax.study.grid import kept_steps
from rw_jax.theory import closed_forms, lags
from studies.evidence import accuracy_gap, predicts_optimally

SHARP = 0.5
"""Attention is sharp once a token has more than this mean weight."""


def table(run: Run) -> pd.DataFrame:
    """Of each circle of a run on infinitely many walks, the lag that attention goes to, and what is predicted of it.

    Returns:
      A row for each way of descent, p, K and N: `by`, the way; `predicted`, the lag with the largest correlation
      (`token_correlations`), and by how much it leads, relative to the largest, `lead`; `at_step_2`, `sharp` and
      `at_end`, the lags with the highest weight after the second step, at the first step that keeps parameters and has
      a weight above SHARP, and after the last step; `log_others`, the logarithm of what all other lags have there,
      relative to the highest; `is_stable`, whether that lag is stable once attention is one-hot; `below_optimum`, how
      far the expected accuracy lies below the optimum, and `optimal`, whether it predicts optimally;
      `quadrature_error`, the largest.
    """
    rows = []
    for group in run.groups():
        cell, task = group.cells[0], group.config.task
        correlations = closed_forms.token_correlations(task.num_nodes, task.p, task.walk_length)
        first, second = np.sort(correlations)[::-1][:2]
        weights = {step: run.mean_attention(step=step, **cell.labels) for step in kept_steps(group.config)}
        sharp = [attended_lag(weight) for weight in weights.values() if weight.max() > SHARP]
        scores = np.sort(run.params(step=None, **cell.labels)["position_scores"].astype(np.float64))
        at_end, matrix = attended_lag(weights[group.config.training.steps]), lags.circle_matrix(task.num_nodes, task.p)
        rows.append(
            {
                "by": way(group),
                "p": task.p,
                "K": task.num_nodes,
                "N": task.walk_length,
                "predicted": int(np.argmax(correlations)) + 1,
                "lead": (first - second) / abs(first),
                "at_step_2": attended_lag(weights[2]),
                "sharp": sharp[0] if sharp else np.nan,
                "at_end": at_end,
                "log_others": scores[-2] - scores[-1] + np.log(np.exp(scores[:-1] - scores[-2]).sum()),
                "is_stable": at_end > 0 and lags.is_stable(matrix, int(at_end), int(at_end)),
                "below_optimum": accuracy_gap(group)[0],
                "optimal": bool(predicts_optimally(group)[0]),
                "quadrature_error": np.nanmax(group.metric("quadrature_error")[0]),
            }
        )
    return pd.DataFrame(rows)


def way(group: Group) -> str:
    """By what a group is trained, in words: gradient descent at a rate, or gradient flow."""
    training = group.config.training
    return f"η = {text(training.learning_rate)}" if training.optimizer == "gd" else "gradient flow"


def threshold_table(nodes: Sequence[int], most: int) -> pd.DataFrame:
    """p_k of circles, the probability from which lag k is stable: columns K, lag, p; lags 2 to `most`."""
    rows = [{"K": K, "lag": lag, "p": lags.stability_threshold(K, lag)} for K in nodes for lag in range(2, most + 1)]
    return pd.DataFrame(rows)


def sentences(rows: pd.DataFrame) -> list[str]:
    """What the table says, in sentences."""
    lines = [f"The largest estimated relative error of the gradients is {rows['quadrature_error'].max():.1e}."]
    for by, group in rows.groupby("by"):
        clear = group[group["lead"] > 0.01]
        others = group[group["at_end"] != 1]
        unstable = group[~group["is_stable"]]
        lines += [
            f"By {by}, of {len(group)} settings:",
            f"  after 2 steps attention is highest on the predicted lag in {_right(group, 'at_step_2')}, and in "
            f"{_right(clear, 'at_step_2')} where that leads by more than 1%;",
            f"  when it is first sharp, in {_right(group, 'sharp')}; that is the last one, too, in "
            f"{int((group['sharp'] == group['at_end']).sum())};",
            f"  it ends on the direct parent in {len(group) - len(others)}; of the {len(others)} others "
            f"{int((~others['optimal']).sum())} predict below the optimum;",
            f"  {len(unstable)} end on an unstable lag"
            + (f", all others at most exp({unstable['log_others'].max():.0f}) of it." if len(unstable) else "."),
        ]
    return lines


def _right(rows: pd.DataFrame, name: str) -> str:
    return f"{int((rows['predicted'] == rows[name]).sum())} of {len(rows)}"
