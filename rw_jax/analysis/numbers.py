"""How numbers are told, in tables, titles and pages."""

import math
from typing import Any


def text(value: Any, digits: int = 4) -> str:
    """A number to so many digits, a word as it is; what is missing or no number is a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def label(value: Any) -> str:
    """A label of an axis, whole but for the rounding of arithmetic on it."""
    return text(value, 12)


def with_interval(estimate: float, low: float, high: float, digits: int = 3) -> str:
    """A number with its interval in brackets, where it has one."""
    shown = text(float(estimate), digits)
    return shown if math.isnan(low) else f"{shown} [{text(float(low), digits)}, {text(float(high), digits)}]"
