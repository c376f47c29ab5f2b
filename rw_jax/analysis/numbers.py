"""Numbers and settings in words, in tables, titles and pages."""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rw_jax.study.config import AXES, SYMBOLS, Config, neutral, symbol
from rw_jax.study.fields import NO_NEUTRAL, without_digest
from rw_jax.study.grid import Grid, recorded_steps


def text(value: Any, digits: int = 4) -> str:
    """A number to so many digits, a word as it is; what is missing or no number is a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def label(value: Any) -> str:
    """A label of an axis, without the rounding of arithmetic on it."""
    return "infinite" if value == math.inf else text(value, 12)


def with_interval(estimate: float, low: float, high: float, digits: int = 3) -> str:
    """A number with its interval in brackets, where it has one."""
    shown = text(float(estimate), digits)
    return shown if math.isnan(low) else f"{shown} [{text(float(low), digits)}, {text(float(high), digits)}]"


def setting(configs: Sequence[Config], axes: Iterable[str] = (), unread: Collection[str] = ()) -> list[str]:
    """The fields in which configs agree, such as "K = 6": those that have a symbol, and some others.

    Args:
      configs: at least one.
      axes: other fields to name, by the names of their axes.
      unread: fields that nothing in the runs reads, which are left out.
    """
    config = configs[0]
    named: dict[Any, Any] = dict.fromkeys([*SYMBOLS, *axes])
    for axis in AXES:  # fields that say something, of those that mostly do not
        if neutral(axis) is not NO_NEUTRAL and axis != "mixed_p" and config.value(axis) != neutral(axis):
            named[axis] = None
    for axis, matters in (
        ("init_scale", config.model.init == "gaussian"),
        ("mixed_p", config.training.mixed_share > 0),
    ):
        if matters:
            named[axis] = None
    known = config.values()  # arms are no field
    said = [axis for axis in named if axis in known and axis not in unread]
    common = {axis: config.value(axis) for axis in said if len({each.value(axis) for each in configs}) == 1}
    words = {axis: without_digest(value) if isinstance(value, str) else value for axis, value in common.items()}
    return [f"{symbol(axis)} = {label(value)}" for axis, value in words.items() if axis != "seed"]


def setting_of_grid(grid: Grid, unread: Collection[str] = ()) -> list[str]:
    """The fields in which all runs of a grid agree, its axes among them. Args: as of `setting`."""
    varying = {field for each in grid.dimensions for field, labels in each.columns.items() if len(set(labels)) > 1}
    return setting([grid.cell(0).config], grid.axes, {*unread, *varying})


def axes(config: Config) -> list[str]:
    """The axes of a grid, each with how many labels it has and its ends, such as "seed: 16 labels, 0 to 15"."""
    lines = []
    for axis, labels in config.grid:
        if len(labels) == 1:
            lines.append(f"{axis}: 1 label, {label(labels[0])}")
        elif isinstance(labels[0], str | tuple):
            lines.append(f"{axis}: {len(labels)} labels, {', '.join(dict.fromkeys(map(label, labels)))}")
        else:
            lines.append(f"{axis}: {len(labels)} labels, {label(min(labels))} to {label(max(labels))}")
    return lines


def about(grid: Grid, unread: Collection[str] = ()) -> list[str]:
    """What a study is, in lines: its axes, what its runs have in common, and when they are recorded.

    Args:
      grid: its grid.
      unread: as of `setting`.
    """
    steps = recorded_steps(grid.config)
    when = f"metrics at {len(steps)} steps, {steps[0]} to {steps[-1]}"
    return [*axes(grid.config), ", ".join(setting_of_grid(grid, unread)), when]
