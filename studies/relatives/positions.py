"""What draws of random positions do, beside the slot that is predicted to come first."""

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.interpret import attended_lag
from rw_jax.models.embeddings import make_embeddings
from rw_jax.theory.geometry import second_scores
from rw_jax.theory.lags import circle_matrix
from studies.claim import Evidence
from studies.evidence import shares


def positions_table_of(run: Run) -> pd.DataFrame:
    """What each draw of random positions did, a row each.

    Returns:
      `width`, `rate`, `p`, `draw`; `lag`, the slot with the highest mean attention after the second step, as a lag, 0
      for the empty slot; `predicted`, the same by `second_scores`; `optimal`, `parent` at the end.
    """
    rows = []
    for group in run.groups():
        config = group.config
        for i, cell in enumerate(group.cells):
            task, model = cell.config.task, cell.config.model
            embeddings = make_embeddings(
                task.num_nodes, task.walk_length, model.position_width, model.positions, seed=model.embedding_seed
            )
            scores = second_scores(circle_matrix(task.num_nodes, task.p), embeddings.positions_NxM)
            second = np.searchsorted(group.steps, 2)
            rows.append(
                {
                    "width": model.position_width,
                    "rate": config.training.learning_rate,
                    "p": task.p,
                    "draw": model.embedding_seed,
                    "lag": group.metric("highest_lag")[i, second],
                    "predicted": attended_lag(scores),
                    "optimal": bool(group.metric("predicts_optimally")[i, -1] == 1),
                    "parent": bool(group.metric("parent_is_highest")[i, -1] == 1),
                }
            )
    return pd.DataFrame(rows)


def predicted_slot(table: pd.DataFrame) -> Evidence:
    """The share of draws whose attention after the second step is highest where it is predicted."""
    compared = table.assign(as_said=table["lag"] == table["predicted"])
    return shares(compared, ("width", "rate", "p"), "as_said")


def random_positions_do(table: pd.DataFrame) -> Evidence:
    """The share of draws of random positions with which the parent is attended to in the end."""
    return shares(table, ("width", "rate", "p"), "parent", "optimal")
