"""The numbers on the page of a run, gathered from a Run."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from rw_jax.analysis.numbers import label, setting_of_grid
from rw_jax.analysis.run import Run
from rw_jax.explorer.blocks import block_of, of_one_shape
from rw_jax.explorer.fitting import LARGEST_PAGE, PAGE, SAMPLE, packed, sizes_of, thinned
from rw_jax.explorer.numbers import FAILURES, LEFT_OUT, SHOWN, UNFINISHED, Axis, Numbers, accuracy_of, others_of
from rw_jax.study.config import ALL, symbol
from rw_jax.study.errors import RunError
from rw_jax.study.fields import without_digest

_SHOWN = (
    *("train_loss", "accuracy", "expected_accuracy", "optimal_accuracy", "predicts_optimally"),
    *("parent_attention", "parent_is_highest", "highest_lag", "attention_spread"),
)
"""What of the metrics the page is made of, where a model and a task have them."""


def gather(run: Run, limit: int = LARGEST_PAGE) -> Numbers:
    """The numbers of a run, finished or not.

    Args:
      run: with at least one finished cell.
      limit: bytes of a page, above which seeds are left out; those that failed are kept, and one of each setting.

    Raises:
      RunError: if no cell is finished, or one cannot be read; or if metrics that are shown were not to be recorded.
    """
    recorded = run.config.record.metrics
    missing = [name for name in _SHOWN if ALL not in recorded and name not in recorded]
    if missing:
        raise RunError(
            f"record.metrics of this run leaves out {', '.join(missing)}, which the page shows; train it with them, in "
            "another folder."
        )
    metrics = run.metrics.load()  # a large file would be read anew for every run
    finished = run.source.finished(run.grid)
    if not finished.any():
        raise RunError("No run of the grid is finished, so that there is nothing to see; run its command again.")
    cells = [run.grid.cell(number) for number in np.flatnonzero(finished)]
    kept, others = cells, others_of(metrics)
    if sizes_of(cells, len(others)).sum() > limit - PAGE:
        few = cells[:: -(-len(cells) // SAMPLE)]  # what packing makes of these it makes of the others
        packed_few = packed([block_of(run, metrics, together) for together in of_one_shape(few)])[1]
        kept = thinned(metrics, cells, limit, min(1.0, len(packed_few) / sizes_of(few, len(others)).sum()))
    status = np.where(finished, LEFT_OUT, UNFINISHED).astype(np.uint8)
    status[[cell.number for cell in kept]] = SHOWN
    axes = tuple(map(_axis, run.grid.dimensions))
    across, down = _map_of(axes)
    return Numbers(
        run.config.name,
        tuple(setting_of_grid(run.grid, run.source.unread(run.grid))),
        axes,
        across,
        down,
        status,
        tuple(block_of(run, metrics, together) for together in of_one_shape(kept)),
        accuracy_of(metrics),
        _loss(metrics),
        next((words for name, words in FAILURES.items() if name in metrics), "diverged: its numbers are no numbers"),
        others,
        tuple(_notes(status, limit)),
    )


def _axis(dimension: Any) -> Axis:
    words = [
        ", ".join(f"{symbol(axis)} = {_word(value)}" for axis, value in zip(dimension.axes, labels, strict=True))
        for labels in dimension.labels
    ]
    firsts = tuple(_word(labels[0]) for labels in dimension.labels)
    if len(set(firsts)) < len(firsts):  # of paired axes the first need not tell
        firsts = tuple(words)
    return Axis(dimension.axes, ", ".join(map(symbol, dimension.axes)), firsts, tuple(words))


def _word(value: Any) -> str:
    return label(without_digest(value) if isinstance(value, str) else value)


def _map_of(axes: Sequence[Axis]) -> tuple[int | None, int | None]:
    """The dimensions that the map of runs has along x and y: p, or else the longest; and the seeds."""
    down = next((i for i, axis in enumerate(axes) if "seed" in axis.names), None)
    others = [i for i in range(len(axes)) if i != down]
    across = max(others, key=lambda i: ("p" in axes[i].names, len(axes[i].labels)), default=None)
    return across, down


def _notes(status: np.ndarray, limit: int) -> Iterator[str]:
    unfinished, left_out = (int(np.sum(status == code)) for code in (UNFINISHED, LEFT_OUT))
    if unfinished:
        yield f"{unfinished} of {len(status)} runs are not finished."
    if left_out:
        yield (
            f"{left_out} of {len(status)} runs are left out, so that the page stays near {limit / 1e6:.3g} MB: every "
            "run that failed is kept, and of the others of each setting seeds at equal distances. Shares of what is "
            "shown are therefore no rates."
        )


def _loss(metrics: xr.Dataset) -> str:
    unit = metrics["train_loss"].attrs.get("units") if "train_loss" in metrics else None
    return f"training loss / {unit}" if unit else "training loss"
