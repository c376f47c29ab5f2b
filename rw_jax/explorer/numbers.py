"""What a page shows, as plain NumPy arrays: the runs of a grid in blocks, whose arrays have the same shapes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from rw_jax.study.grid import Cell

UNFINISHED, SHOWN, LEFT_OUT = 0, 1, 2
"""What a page has of a cell of the grid."""

NO_NUMBER, ALL_ALIKE = -1, -2
"""In the place of a lag: no attention weight is a number, or every token has the same."""

SPREAD = 1e-6
"""Weights of tokens that differ by at most this, in every test walk, are alike."""

FAILURES = {
    "predicts_optimally": (
        "does not predict optimally: its expected accuracy is more than 0.001, or p (1 - p) / 10, below the optimum"
    ),
    "parent_is_highest": "does not attend most to the direct parent",
}
"""What is a failure, by the metric that is then 0; the first that there is counts. A run that has diverged failed."""

Arrays = dict[str, np.ndarray]


class Axis(NamedTuple):
    """A dimension of the grid, as a page shows it.

    Attributes:
      names: its axes: several where they are paired.
      symbol: what it is called.
      labels: the labels of its first axis, in words, by which the address names them.
      words: what its labels are called in full.
    """

    names: tuple[str, ...]
    symbol: str
    labels: tuple[str, ...]
    words: tuple[str, ...]


class Block(NamedTuple):
    """C runs whose arrays have the same shapes: K states, N slots, T recorded steps, S of them with parameters.

    Attributes:
      cells: their numbers in the grid, int[C].
      num_nodes, walk_length: K, N.
      parent: the lag of the direct parent; None if there is none.
      recorded, kept: the T and the S steps.
      arrays: by name; what these runs do not have is absent. Of runs and recorded steps, [C, T]: `lag`, int16, that of
        the highest mean attention weight, or NO_NUMBER or ALL_ALIKE; `failed`, uint8; `accuracy`, `parent_attention`,
        `train_loss`. Of runs, [C]: `optimum`, `tolerance`, and `setting`, the row of what depends on the law alone. Of
        runs and kept steps: `value`, float[C, S, K, K]; `value_spectrum`, float[C, S, K // 2 + 1]; `attention`,
        float[C, S, N], the last of the empty slot; `scores`, float[C, S, K]; `with_parent` and `with_law`, float[C, S],
        as `blocks.split`. Of settings: `law`, float[settings, K, K], row = the last token; `law_spectrum`,
        `root_spectrum`, of Pi^T and its square root; `correlations`, float[settings, N - 1], as `blocks.correlations`.
        Of runs and recorded steps every other metric that is one number, float[C, T], by its name after "metric ".
      missing: what is absent, by panel, and why, in a sentence.
      vocabulary: what its states are called; None for numbers.
    """

    cells: np.ndarray
    num_nodes: int
    walk_length: int
    parent: int | None
    recorded: tuple[int, ...]
    kept: tuple[int, ...]
    arrays: Arrays
    missing: dict[str, str]
    vocabulary: tuple[str, ...] | None = None


class Other(NamedTuple):
    """A metric that is one number of a run at each recorded step, beside those that the page is made of.

    Attributes:
      name: its variable in the metrics of the run.
      words: what it is.
      unit: its unit.
    """

    name: str
    words: str
    unit: str


class Numbers(NamedTuple):
    """All that a page shows.

    Attributes:
      name: of the study.
      setting: what all its runs have in common, in words.
      axes: the dimensions of its grid, in their order.
      across, down: which of them the map of runs has along x, and along y; None for none.
      status: UNFINISHED, SHOWN or LEFT_OUT, uint8[cells].
      blocks: its runs.
      accuracy: the metric that `accuracy` is.
      loss: what the training loss is called, with its unit.
      failure: what a run that failed is, in words.
      others: the other metrics of its runs.
      notes: what else is to be said, in sentences.
    """

    name: str
    setting: tuple[str, ...]
    axes: tuple[Axis, ...]
    across: int | None
    down: int | None
    status: np.ndarray
    blocks: tuple[Block, ...]
    accuracy: str
    loss: str
    failure: str
    others: tuple[Other, ...]
    notes: tuple[str, ...]


def setting_of(cell: Cell) -> tuple:
    """What a cell has in common with others that differ in the seed alone."""
    return tuple((axis, value) for axis, value in cell.labels.items() if axis != "seed")


def metric_of(metrics: xr.Dataset, name: str, cells: Sequence[Cell], steps: ArrayLike) -> np.ndarray:
    """A metric of runs at some recorded steps, float64[C, T]; NaN if there is none.

    Args:
      metrics: of the run.
      name: of the metric.
      cells: C runs.
      steps: T steps for all of them, int[T], or those of each, int[C, T].
    """
    places_CxT = np.broadcast_to(np.searchsorted(metrics["step"].values, steps), (len(cells), np.shape(steps)[-1]))
    if name not in metrics:
        return np.full(places_CxT.shape, np.nan)
    along = np.array([cell.index for cell in cells]).T
    return metrics.variables[name].values[(*(index_C[:, None] for index_C in along), places_CxT)]


def accuracy_of(metrics: xr.Dataset) -> str:
    """The metric that is the accuracy of a page."""
    return "expected_accuracy" if "expected_accuracy" in metrics else "accuracy"


def others_of(metrics: xr.Dataset) -> tuple[Other, ...]:
    """The metrics that are one number of a run at each step and have no curve of their own."""
    have_curves = (accuracy_of(metrics), "parent_attention", "train_loss")
    return tuple(
        Other(str(name), str(of.attrs.get("long_name", "")), str(of.attrs.get("units", "")))
        for name, of in metrics.data_vars.items()
        if of.dims[-1:] == ("step",) and name not in have_curves
    )
