"""How a field of the config is declared: what it is, what is right for it, and what a sweep does with it.

A field is declared once, where its dataclass stands (`config.py`); axes, checks, messages, titles and what tells a run
from others are derived from the declaration.
"""

import dataclasses
import math
import numbers
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Scalar = int | float | str
"""A label of an axis."""

STRUCTURE, VALUE, FIXED = "structure", "value", "fixed"
"""Roles. A structure field changes a shape or a program: each of its labels compiles another. A value field is an
argument of the compiled program. A fixed field belongs to the whole study and cannot be an axis."""

LARGEST = 2**31 - 1
"""Shapes, steps and seeds are 32-bit integers in the compiled program."""

NO_NEUTRAL: Any = object()
"""In place of a neutral value: the field is a part of what every run is."""


class Right(NamedTuple):
    """What is right for a field.

    Attributes:
      words: in words, for messages.
      read: the value as the config keeps it; raises ValueError if it is not right.
      each: of a tuple, what is right for each element.
      is_text: whether a label is a word, so that one on the command line is not read as numbers.
      names: of a tuple, words that are right in place of one.
      is_piece: whether it names a piece.
    """

    words: str
    read: Callable[[Any], Any]
    each: "Right | None" = None
    is_text: bool = False
    names: tuple[str, ...] = ()
    is_piece: bool = False


def integer(least: int) -> Right:
    """An integer of 32 bits that is not below `least`; NumPy's integers become Python's."""

    def read(value: Any) -> int:
        value = as_python(value)
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not least <= value <= LARGEST:
            raise ValueError
        return int(value)

    return Right(f"an integer from {least} to {LARGEST}", read)


def number(least: float, largest: float) -> Right:
    """A number in a closed interval, kept as a float."""

    def read(value: Any) -> float:
        value = as_python(value)
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ValueError
        try:
            value = float(value)
        except OverflowError:  # an integer beyond the range of float
            value = math.inf
        if not least <= value <= largest:
            raise ValueError
        return value

    return Right(f"a number from {least:g} to {largest:g}", read)


def choice(*names: str) -> Right:
    """One of several names."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError
        return value

    return Right(f"one of {', '.join(names)}", read, is_text=True)


def piece() -> Right:
    """The name of a piece: one of its table, "file.py:attribute" or "module:attribute"."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not (re.fullmatch(r"[^:@\s]+", value) or is_piece(value)):
            raise ValueError
        return value

    words = "the name of a piece, or 'file.py:attribute' or 'module:attribute'"
    return Right(words, read, is_text=True, is_piece=True)


_PIECE = re.compile(r"[^:@]+:[A-Za-z_]\w*(@[0-9a-f]{12})?")


def is_piece(name: str) -> bool:
    """Whether a name is that of a piece of the user's own; @ and the digest of its text may follow."""
    return _PIECE.fullmatch(name) is not None


def without_digest(name: str) -> str:
    """A name that is pinned as the user writes it, without the digest of its text."""
    return _DIGEST.sub("", name)


_DIGEST = re.compile(r"@[0-9a-f]{12}$")


def choice_or_start(*names: str) -> Right:
    """One of several names, or a run directory and labels, "runs/first?p=0.5&step=50"."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not (value in names or is_start(value)):
            raise ValueError
        return value

    return Right(f"one of {', '.join(names)}, or a run as 'runs/first?p=0.5&step=50'", read, is_text=True)


def is_start(name: str) -> bool:
    """Whether a name is that of runs to start from."""
    return not name.startswith("?") and "?" in name


def integer_or(least: int, *words: str) -> Right:
    """An integer, or one of some words."""
    whole = integer(least)

    def read(value: Any) -> int | str:
        return value if isinstance(value, str) and value in words else whole.read(value)

    return Right(f"{whole.words}, or {', '.join(map(repr, words))}", read)


def integer_or_infinite(least: int, *words: str) -> Right:
    """An integer, infinity, which may be written "infinite", or one of some words."""
    other = integer_or(least, *words)

    def read(value: Any) -> int | float | str:
        is_infinite = isinstance(value, numbers.Real) and not isinstance(value, bool) and value == math.inf
        return math.inf if is_infinite or value == "infinite" else other.read(value)

    return Right(f"{other.words}, or 'infinite'", read)


def on_or_off(label: float) -> float:
    """The label that stands for all with the same program, where 0 leaves a part of the program out."""
    return float(label != 0)


def word() -> Right:
    """A word that can name a folder."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._-]+", value) or set(value) == {"."}:
            raise ValueError
        return value

    return Right("a word of letters, digits, '.', '_' and '-'", read, is_text=True)


def name_of_arm() -> Right:
    """The name of a condition: a word, or several, without commas."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not value.strip() or "," in value or value != value.strip():
            raise ValueError
        return value

    return Right("a name without commas", read, is_text=True)


def optional(right: Right) -> Right:
    """None, or what is right otherwise."""

    def read(value: Any) -> Any:
        is_none = value is None or (isinstance(value, str) and value == "None")  # as a command line has it
        return None if is_none else right.read(value)

    return right._replace(words=f"{right.words}, or None", read=read)


def several(right: Right, *names: str) -> Right:
    """A tuple, each element right, or one of some words."""

    def read(value: Any) -> Any:
        if isinstance(value, str) and value in names:
            return value
        if not isinstance(value, tuple | list):
            raise ValueError
        return tuple(right.read(element) for element in value)

    words = "".join(f", or {name!r}" for name in names)
    return Right(f"a tuple, each element {right.words}{words}", read, right, names=names)


def pieces(always: str, every: str) -> Right:
    """Names of one piece or more, kept in alphabetical order with one that is always there; or a word for all."""
    some = several(piece(), every)

    def read(value: Any) -> Any:
        value = some.read(value)
        if not value:
            raise ValueError
        if isinstance(value, str) or set(value) == {every}:
            return every
        return tuple(sorted(set(value) if every in value else {always, *value}))

    return some._replace(words=f"{every!r}, or a tuple of one name or more, {every!r} for all among them", read=read)


class Declaration(NamedTuple):
    """What is said of a field where it is declared.

    Attributes:
      what: what it is, in words.
      right: what is right for it.
      role: STRUCTURE, VALUE or FIXED.
      axis: its name as an axis of a grid, and among the labels of a run; None if it cannot be one.
      symbol: what titles and tables call it; None for its own name.
      neutral: the value that says nothing. A run is known by the fields that are not at theirs, so that a field added
        with a neutral value leaves all earlier runs what they are.
      same_program: of a value that changes the program by some of its values: (label) -> the label that stands for all
        with the same program.
    """

    what: str
    right: Right
    role: str
    axis: str | None
    symbol: str | None
    neutral: Any
    same_program: Callable[[Any], Any] | None = None


_DECLARATION = "rw_jax"


def field(
    what: str,
    right: Right,
    *,
    role: str = FIXED,
    axis: str | None = None,
    symbol: str | None = None,
    neutral: Any = NO_NEUTRAL,
    same_program: Callable[[Any], Any] | None = None,
) -> Any:
    """Declares a field of a config's dataclass. Args: as of Declaration; `axis` is the field's name if not given."""
    declared = Declaration(what, right, role, axis, symbol, neutral, same_program)
    return dataclasses.field(metadata={_DECLARATION: declared})


def declarations(group: Any, prefix: str = "") -> dict[str, Declaration]:
    """The declared fields of a dataclass and of the groups in it, by their paths."""
    found: dict[str, Declaration] = {}
    for each in dataclasses.fields(group):
        path, declared = f"{prefix}{each.name}", each.metadata.get(_DECLARATION)
        if declared is not None:
            axis = None if declared.role == FIXED else declared.axis or each.name
            found[path] = declared._replace(axis=axis)
        elif dataclasses.is_dataclass(each.type):
            found |= declarations(each.type, f"{path}.")
    return found


def as_python(value: Any) -> Any:
    """Python's own number of one of NumPy's or JAX's; anything else as it is."""
    is_one = hasattr(value, "dtype") and getattr(value, "ndim", None) == 0 and not np.ma.isMaskedArray(value)
    return widened(value).item() if is_one else value


def widened(given: Any) -> np.ndarray:
    """An array whose short floats are the numbers that are written: of np.float32(0.1) it is 0.1."""
    array = np.asarray(given)
    if array.dtype.kind in "biuOSUc" or array.dtype.itemsize >= 8:
        return array
    return np.array([float(str(number)) for number in array.ravel()], np.float64).reshape(array.shape)


def plain(given: Any) -> np.ndarray | None:
    """An array of integers or real numbers; None of all else, of which NumPy would drop a mask or an imaginary part."""
    parts = given if isinstance(given, list | tuple) else (given,)
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):  # rows of different lengths
        return None
    return None if any(map(np.ma.isMaskedArray, parts)) or array.dtype.kind not in "iuf" else array


def shown(value: Any) -> str:
    """A value in one line of a message, the middle of a long one left out."""
    try:
        text = " ".join(repr(value).split())
    except Exception as error:  # an integer of 5,000 digits; whatever an object of the user's does
        text = f"a {type(value).__name__} that cannot be shown ({error})"
    return text if len(text) <= 120 else f"{text[:80]} ... {text[-30:]}"
