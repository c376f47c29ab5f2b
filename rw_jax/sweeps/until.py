"""As many seeds as are needed: a sweep that adds seeds, setting by setting, until an interval is narrow enough."""

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import ml_collections
import numpy as np
from absl import logging

from rw_jax.analysis.run import Group, Run
from rw_jax.analysis.statistics import Estimate, confidence_sequence
from rw_jax.study.config import ALL, Config
from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import is_piece, shown, without_digest
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Cell
from rw_jax.study.reading import checked
from rw_jax.sweeps.sweep import sweep
from rw_jax.training.metrics import METRICS

MOST_SEEDS = 100_000
"""No setting is given more seeds than these."""


class Goal(NamedTuple):
    """How narrow an interval is to be.

    Attributes:
      width: from its lower to its upper end.
      metric: of which metric after the last step, one that lies between 0 and 1.
    """

    width: float
    metric: str = "predicts_optimally"


def sweep_until(
    config: Config | ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    goal: Goal,
    folders: Sequence[str | os.PathLike[str]] = (),
) -> Run:
    """Trains a study, and then more seeds of each setting whose interval is wider than it is to be.

    An interval for a fixed number of seeds is too narrow once it decides whether to add seeds; this one is a
    confidence sequence, which holds at every number of seeds at once (`statistics.confidence_sequence`).

    Args:
      config: the study; its seeds are those that every setting has.
      workdir: the run directory. Its grid becomes a list of runs: settings can have different numbers of seeds.
      goal: how narrow.
      folders: as of sweep.

    Raises:
      ConfigError: as of sweep; or if the goal cannot be, or the metric is none, or does not lie between 0 and 1.
      OSError: as of sweep.
    """
    config = checked(config) if isinstance(config, Config) else from_config_dict(config)
    check(goal, config)
    run = sweep(config, workdir, folders)
    while True:
        added: list[dict[str, Any]] = []
        for group in run.groups():
            missing = _num_missing(group, goal)
            first = 1 + max(cell.config.seed for cell in group.cells)
            added += [{**group.labels, "seed": first + i} for i in range(missing)]
        if not added:
            return run
        logging.info("%d more runs, for intervals of %s no wider than %g", len(added), goal.metric, goal.width)
        run = sweep(_with(run, added), workdir, folders)


def check(goal: Goal, config: Config) -> None:
    """Refuses a goal that cannot be, or whose metric is not among those that are recorded. Raises: ConfigError."""
    if not 0.001 <= goal.width < 1:
        raise ConfigError(f"--until_width is {goal.width:g}, but must be from 0.001 to below 1.")
    named = config.record.metrics
    labels = (named,) if isinstance(named, str) else named
    of_user = {without_digest(label).rpartition(":")[2] for label in labels if is_piece(label)}
    if goal.metric in of_user:
        return  # whether its numbers are shares is seen once there are some
    if goal.metric not in METRICS or not METRICS[goal.metric].is_share:
        raise _no_share(goal.metric)
    if ALL not in labels and goal.metric not in labels:
        raise ConfigError(
            f"record.metrics is {shown(config.record.metrics)}, but must name {goal.metric}, which is to have narrow "
            "intervals."
        )


def interval(group: Group, metric: str) -> Estimate:
    """The confidence sequence of a metric of a setting after the last step. Raises: ConfigError."""
    values = group.metric(metric)[:, -1] if metric in group.run.metrics.data_vars else np.array([np.nan])
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise _no_share(metric)
    return confidence_sequence(values)


def _no_share(metric: str) -> ConfigError:
    return ConfigError(
        f"--until_metric is {metric!r}, but must be a metric that lies between 0 and 1 in every run, such as "
        "predicts_optimally, parent_is_highest or accuracy."
    )


def _num_missing(group: Group, goal: Goal) -> int:
    """How many seeds a setting is to have more, so that its interval becomes as narrow; 0 if it is."""
    found = interval(group, goal.metric)
    width = found.high - found.low
    if width <= goal.width or found.seeds >= MOST_SEEDS:
        return 0
    # Widths fall with the root of the number of seeds; not more than twice as many at once, as the share may change.
    wanted = min(math.ceil(found.seeds * (width / goal.width) ** 2), 2 * found.seeds, MOST_SEEDS)
    return max(wanted - found.seeds, 1)


def _with(run: Run, added: Sequence[dict[str, Any]]) -> Config:
    """The study of a run with more runs in it: one list of the labels of each."""
    grid = run.grid
    axes = list(dict.fromkeys([*grid.axes, "seed"]))

    def labels_of(cell: Cell) -> list[Any]:
        return [cell.labels.get(axis, cell.values.get(axis)) for axis in axes]

    rows = [labels_of(grid.cell(number)) for number in range(grid.num_cells)]
    rows += [[labels[axis] for axis in axes] for labels in added]
    columns = tuple((axis, tuple(column)) for axis, column in zip(axes, zip(*rows, strict=True), strict=True))
    return dataclasses.replace(run.config, grid=columns, zipped=(tuple(axes),) if len(axes) > 1 else ())
