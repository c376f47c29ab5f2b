"""How values and labels are read: from Python, from a config file, and as words of the command line."""

import math
import numbers
import re
from collections.abc import Iterable
from typing import Any

from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import Right, Scalar, is_piece, shown, without_digest

_LARGEST_AXIS = 10_000_000


def read(path: str, right: Right, given: Any) -> Any:
    """The value of a field as the config keeps it.

    Raises:
      ConfigError: if it is not right.
    """
    if right.each is None:
        return _read(right, given, f"{path} is", "must")
    if not isinstance(given, tuple | list):
        raise ConfigError(f"{path} is {shown(given)}, but must be {right.words}.")
    return tuple(_read(right.each, element, f"{path} holds", "each must") for element in given)


def read_labels(path: str, right: Right, given: Any) -> tuple[Scalar, ...]:
    """The labels of an axis. Args: the path of the axis, what is right for each label, what was given."""
    if not isinstance(given, tuple | list):
        raise ConfigError(f"{path} is {shown(given)}, but must be a tuple of labels, each {right.words}.")
    labels = tuple(given)
    if set(map(type, labels)) == {int}:
        pass
    elif right.is_text:  # words with commas on the command line arrive as one word
        labels = tuple(word for label in labels for word in (label.split(",") if isinstance(label, str) else [label]))
    else:  # range(16) on the command line arrives as a word
        labels = tuple(number for label in labels for number in _expand_range(path, label))
    if not labels or (len(labels) == 1 and isinstance(labels[0], str) and not labels[0]):
        raise ConfigError(f"{path} is empty, but an axis needs at least one label; leave it None for no axis.")
    if set(map(type, labels)) == {int}:  # among integers those that are right are an interval; there may be a million
        read = type(_read(right, min(labels), f"{path} has the label", "each must"))
        _read(right, max(labels), f"{path} has the label", "each must")
        return tuple(map(read, labels))
    labels = tuple(_read(right, label, f"{path} has the label", "each must") for label in labels)
    if any(isinstance(label, tuple) for label in labels):
        raise ConfigError(f"{path} is {shown(labels)}, but each label must be a number or a word.")
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ConfigError(f"{path} is {shown(labels)}, but must hold numbers only or words only.")
    return labels


def _read(right: Right, given: Any, subject: str, must: str) -> Any:
    try:
        return right.read(given)
    except ValueError:
        raise ConfigError(f"{subject} {shown(given)}, but {must} be {right.words}.") from None


def _expand_range(path: str, label: Any) -> Iterable[Any]:
    match = re.fullmatch(r"range\(\s*(\d{1,10})\s*(?:,\s*(\d{1,10})\s*)?\)", label) if isinstance(label, str) else None
    if match is None:
        return (label,)
    first, second = match.groups()
    seeds = range(int(first)) if second is None else range(int(first), int(second))
    if len(seeds) > _LARGEST_AXIS:
        raise ConfigError(f"{path} is {label}, but an axis can have at most {_LARGEST_AXIS} labels.")
    return seeds


def _option(value: Any) -> Any:
    """A parameter of a piece as the config keeps it: Python's own numbers and words, or a tuple of them."""
    if isinstance(value, tuple | list):
        return tuple(_option(element) for element in value)
    if isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and not math.isnan(value):
        return float(value)
    raise ValueError


OPTION = Right("a number or a word, or a tuple of them", _option)
"""What is right for a parameter of a piece; its piece says more."""


def read_option(path: str, given: Any) -> Any:
    """The value of a parameter of a piece."""
    return _read(OPTION, given, f"{path} is", "must")


def same_label(label: Scalar, asked: Any) -> bool:
    """Whether a label is the one asked for: numbers with a fraction up to rounding, pieces without their digest."""
    if isinstance(label, bool | tuple):
        return type(asked) is type(label) and label == asked
    if isinstance(asked, bool) or not isinstance(asked, numbers.Real | str):  # True is no 1, and an array no number
        return False
    if isinstance(label, float) and not isinstance(asked, str):
        try:
            return math.isclose(label, asked, rel_tol=1e-9)
        except OverflowError:  # an integer beyond the range of float
            return False
    if isinstance(label, str) and is_piece(label):
        return asked in (label, without_digest(label))
    return label == asked
