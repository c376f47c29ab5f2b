"""How values and labels are read: from Python, from a config file, and as words of the command line."""

import math
import numbers
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import Right, Scalar, as_python, shown, widened, without_digest

_LARGEST_AXIS = 10_000_000


def read(path: str, right: Right, given: Any) -> Any:
    """The value of a field as the config keeps it.

    Raises:
      ConfigError: if it is not right.
    """
    if right.each is None or (isinstance(given, str) and given in right.names):
        return _read(right, given, f"{path} is", "must")
    try:
        elements = tuple(_elements(path, right.each, given))
    except TypeError:
        raise ConfigError(f"{path} is {shown(given)}, but must be {right.words}.") from None
    read = tuple(_read(right.each, element, f"{path} holds", "each must") for element in elements)
    return _read(right, read, f"{path} is", "must")


def read_labels(path: str, right: Right, given: Any) -> tuple[Scalar, ...]:
    """The labels of an axis.

    Args:
      path: the path of the axis.
      right: what is right for each label.
      given: one label, or several as a tuple, a list, a range, a NumPy array, or in words: "0.1,0.5",
        "range(first, end, step)", "linspace(first, last, count)", "logspace", "geomspace", "1/3".
    """
    try:
        labels = tuple(_elements(path, right, given))
    except TypeError:
        raise ConfigError(f"{path} is {shown(given)}, but must be a tuple of labels, each {right.words}.") from None
    if not labels:
        raise ConfigError(f"{path} is empty, but an axis needs at least one label; leave it None for no axis.")
    if set(map(type, labels)) == {int}:  # among integers those that are right are an interval; there may be a million
        read = type(_read(right, min(labels), f"{path} has the label", "each must"))
        _read(right, max(labels), f"{path} has the label", "each must")
        return tuple(map(read, labels))
    how = "" if right.is_text else _HOW
    labels = tuple(
        _read(right, label, f"{path} has the label", "each must", how if isinstance(label, str) else "")
        for label in labels
    )
    if any(isinstance(label, tuple) for label in labels):
        raise ConfigError(f"{path} is {shown(labels)}, but each label must be a number or a word.")
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ConfigError(f"{path} is {shown(labels)}, but must hold numbers only or words only.")
    return labels


_HOW = "; several are written as 0.1,0.5 or range(16) or linspace(0, 1, 11) or geomspace(0.01, 1, 5)"


def _read(right: Right, given: Any, subject: str, must: str, how: str = "") -> Any:
    try:
        return right.read(given)
    except ValueError:
        raise ConfigError(f"{subject} {shown(given)}, but {must} be {right.words}{how}.") from None


def _elements(path: str, right: Right, given: Any) -> Iterable[Any]:
    """What a field that holds several was given, one by one. Raises: TypeError if it holds none."""
    if isinstance(given, str):
        words = _split(given.strip())
        return (element for word in words for element in ([word] if right.is_text else _expand(path, word)))
    if isinstance(given, tuple | list):  # on the command line, words may be among numbers
        return (
            element
            for part in given
            for element in (_elements(path, right, part) if isinstance(part, str) and part else [part])
        )
    if isinstance(given, range):
        _check_count(path, given, len(given))
        return given
    given = as_python(given)
    if isinstance(given, numbers.Real):
        return (given,)
    is_array = hasattr(given, "dtype") and not np.ma.isMaskedArray(given)
    elements = widened(given).tolist() if is_array else getattr(given, "tolist", lambda: None)()
    if not isinstance(elements, list):
        raise TypeError
    is_short = is_array and given.dtype.itemsize < 8
    return (_rounded(element, 7 if is_short else 15) for element in elements)


def _split(text: str) -> list[str]:
    """The parts of a text between its commas; commas inside brackets do not count."""
    if re.fullmatch(r"\(.*\)|\[.*\]", text, re.DOTALL):
        text = text[1:-1].strip().removesuffix(",")
    parts = re.findall(r"(?:[^,()]|\([^()]*\)|[()])+|(?<=,)(?=,)|^(?=,)", text)
    return [part.strip() for part in parts]


def _expand(path: str, word: str) -> Iterable[Any]:
    """The numbers that a word stands for; the word itself if it stands for none."""
    call = re.fullmatch(r"(range|linspace|logspace|geomspace)\((.*)\)", word)
    if call is None:
        return (number_or_word(word),)
    arguments = [number_or_word(argument.strip()) for argument in call[2].split(",")]
    if not all(isinstance(argument, int | float) and math.isfinite(argument) for argument in arguments):
        return (word,)
    try:
        numbers_of = list(_SEQUENCES[call[1]](path, word, *arguments))
        is_whole = all(float(number).is_integer() for number in numbers_of)
        return [int(number) for number in numbers_of] if is_whole else numbers_of
    except ConfigError:
        raise
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):  # too many numbers, or none that go together
        return (word,)


def number_or_word(word: str) -> Any:
    """The number that a word is, 1/3 being one; the word itself if it is none."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    numerator, slash, denominator = word.partition("/")
    try:
        return float(numerator) / float(denominator) if slash else word
    except (ValueError, ZeroDivisionError):
        return word


def _range(path: str, word: str, first: Any, end: Any = None, step: Any = 1) -> Iterable[Any]:
    """As NumPy's arange."""
    if end is None:
        first, end = 0, first
    if all(isinstance(number, int) for number in (first, end, step)):
        numbers = range(first, end, step)
        _check_count(path, word, len(numbers))
        return numbers
    count = max(math.ceil((end - first) / step - 1e-9), 0)
    _check_count(path, word, count)
    return [_rounded(first + i * step) for i in range(count)]


def _linspace(path: str, word: str, first: float, last: float, count: int) -> list[float]:
    """As NumPy's."""
    return [first, *map(_rounded, _between(path, word, first, last, count)), last][:count]


def _between(path: str, word: str, first: float, last: float, count: int) -> list[float]:
    """The inner ones of so many numbers at equal distances."""
    _check_count(path, word, count)
    gaps = max(operator.index(count) - 1, 1)
    return [(first * (gaps - i) + last * i) / gaps for i in range(1, count - 1)]


def _logspace(path: str, word: str, first: float, last: float, count: int) -> list[float]:
    """As NumPy's: powers of ten."""
    exponents = [first, *_between(path, word, first, last, count), last][:count]
    return [_rounded(10.0**exponent, 14) for exponent in exponents]


def _geomspace(path: str, word: str, first: float, last: float, count: int) -> list[float]:
    """As NumPy's, of positive numbers."""
    exponents = _between(path, word, math.log10(first), math.log10(last), count)
    return [first, *(_rounded(10.0**exponent, 13) for exponent in exponents), last][:count]


_SEQUENCES: dict[str, Callable[..., Iterable[Any]]] = {
    "range": _range, "linspace": _linspace, "logspace": _logspace, "geomspace": _geomspace
}  # fmt: skip


def _rounded(number: Any, digits: int = 15) -> Any:
    """A number that was computed, to so many digits, so that 0.3 is 0.3 however it came about."""
    return float(f"{number:.{digits}g}") if isinstance(number, float) else number


def _check_count(path: str, given: Any, count: int) -> None:
    if count > _LARGEST_AXIS:
        raise ConfigError(f"{path} is {given}, but an axis can have at most {_LARGEST_AXIS} labels.")


def _option(value: Any) -> Any:
    """A parameter of a piece as the config keeps it: Python's own numbers and words, or a tuple of them."""
    value = as_python(value)
    if hasattr(value, "tolist"):  # an array
        value = (value if np.ma.isMaskedArray(value) else widened(value)).tolist()
    if isinstance(value, tuple | list):
        return tuple(_option(element) for element in value)
    if isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and not math.isnan(value):
        return float(value)
    raise ValueError


OPTION = Right("a number other than NaN, or a word, or a tuple of them", _option)
"""What is right for a parameter of a piece; its piece says more."""


def read_option(path: str, given: Any) -> Any:
    """The value of a parameter of a piece."""
    return _read(OPTION, given, f"{path} is", "must")


def same_label(label: Scalar, asked: Any) -> bool:
    """Whether a label is the one asked for: numbers with a fraction up to rounding, pieces without their digest."""
    asked = as_python(asked)
    if isinstance(label, bool | tuple):
        return type(asked) is type(label) and label == asked
    if isinstance(asked, bool) or not isinstance(asked, numbers.Real | str):  # True is no 1, and an array no number
        return False
    if isinstance(label, float) and not isinstance(asked, str):
        try:
            return math.isclose(label, asked, rel_tol=1e-9)
        except OverflowError:  # an integer beyond the range of float
            return False
    if isinstance(label, str):
        return asked in (label, without_digest(label))
    return label == asked
