"""How numbers and settings are told, in tables, titles and pages."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rw_jax.study.config import AXES, SYMBOLS, Config, neutral, symbol
from rw_jax.study.fields import NO_NEUTRAL, without_digest


def text(value: Any, digits: int = 4) -> str:
    """A number to so many digits, a word as it is; what is missing or no number is a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def label(value: Any) -> str:
    """A label of an axis, whole but for the rounding of arithmetic on it."""
    return "infinite" if value == math.inf else text(value, 12)


def with_interval(estimate: float, low: float, high: float, digits: int = 3) -> str:
    """A number with its interval in brackets, where it has one."""
    shown = text(float(estimate), digits)
    return shown if math.isnan(low) else f"{shown} [{text(float(low), digits)}, {text(float(high), digits)}]"


def setting(configs: Sequence[Config], axes: Iterable[str] = ()) -> list[str]:
    """The fields in which configs agree, such as "K = 6": those that have a symbol, and some others.

    Args:
      configs: at least one.
      axes: other fields to tell, by the names of their axes.
    """
    config = configs[0]
    told: dict[Any, Any] = dict.fromkeys([*SYMBOLS, *axes])
    for axis in AXES:  # fields that say something, of those that mostly do not
        if neutral(axis) is not NO_NEUTRAL and axis != "mixed_p" and config.value(axis) != neutral(axis):
            told[axis] = None
    for axis, matters in (
        ("init_scale", config.model.init == "gaussian"),
        ("mixed_p", config.training.mixed_share > 0),
        ("unit_length", config.model.unit_length != "none"),
        ("feed_forward_width", config.model.feed_forward_width > 0),
    ):
        if matters:
            told[axis] = None
    common = {axis: config.value(axis) for axis in told if len({each.value(axis) for each in configs}) == 1}
    words = {axis: without_digest(value) if isinstance(value, str) else value for axis, value in common.items()}
    return [f"{symbol(axis)} = {label(value)}" for axis, value in words.items() if axis != "seed"]


def axes(config: Config) -> list[str]:
    """The axes of a grid, each with how many labels it has and its ends, such as "seed: 16 labels, 0 to 15"."""
    told = []
    for axis, labels in config.grid:
        if len(labels) == 1:
            told.append(f"{axis}: 1 label, {label(labels[0])}")
        elif isinstance(labels[0], str):
            told.append(f"{axis}: {len(labels)} labels, {', '.join(map(str, labels))}")
        else:
            told.append(f"{axis}: {len(labels)} labels, {label(labels[0])} to {label(labels[-1])}")
    return told
