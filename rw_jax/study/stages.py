"""Stages of a training: {20: {"p": 0.9}, 100: {"p": 1}} has p = 0.9 from step 20 on, and p = 1 from step 100 on.

A label is a number or a word, so that stages are kept as one: "20: p=0.9; 100: p=1", which `stages_of` alone reads.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from rw_jax.study.fields import LARGEST, Right


class Stage(NamedTuple):
    """A part of a training: from step `first` on these fields have these values, the others those that they had."""

    first: int
    changes: Mapping[str, float | str]


def stages_of(word: str) -> tuple[Stage, ...]:
    """The later stages that a word stands for, in order; none for "".

    Raises:
      ValueError: if it stands for none.
    """
    stages = []
    for part in word.split(";") if word.strip() else ():
        first, colon, changes = part.partition(":")
        pairs = [change.partition("=") for change in changes.split()]
        names = [name for name, _, _ in pairs]
        if not (colon and re.fullmatch(r"\d{1,10}", first.strip()) and pairs and len(set(names)) == len(names)):
            raise ValueError
        if not all(name.isidentifier() and value for name, _, value in pairs):
            raise ValueError
        stages.append(Stage(int(first), {name: _value(name, value) for name, _, value in sorted(pairs)}))
    firsts = [stage.first for stage in stages]
    if firsts != sorted(set(firsts)) or not all(0 < first <= LARGEST for first in firsts):
        raise ValueError
    return tuple(stages)


NUMBERS = ("p", "learning_rate", "epsilon")
"""The fields that can change in training; parameters of a task whose labels are values can, too."""


def _value(name: str, word: str) -> float | str:
    if name not in NUMBERS and re.fullmatch(r"-?\d{1,18}", word):
        return int(word)
    try:
        number = float(word)
    except ValueError:
        return word
    return number if math.isfinite(number) else word


def _word(stages: tuple[Stage, ...]) -> str:
    def shown(value: float | str) -> str:
        return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)

    return "; ".join(
        f"{stage.first}: {' '.join(f'{name}={shown(value)}' for name, value in stage.changes.items())}"
        for stage in stages
    )


def _read(given: Any) -> str:
    if isinstance(given, Mapping):
        given = "; ".join(f"{first}: {_pairs(changes)}" for first, changes in given.items())
    if not isinstance(given, str):
        raise ValueError
    return _word(stages_of(given))


def _pairs(changes: Any) -> str:
    if not isinstance(changes, Mapping):
        raise ValueError
    return " ".join(f"{name}={value}" for name, value in changes.items())


STAGES = Right(
    "stages, such as {20: {'p': 0.9}} or, in a word, '20: p=0.9; 100: p=1 learning_rate=0.1', whose steps increase "
    "from 1 on, or '' for one stage",
    _read,
    is_text=True,
)
"""What is right for the stages of a training."""


def same_program(word: str) -> str:
    """The word that stands for all with as many stages, which share a compiled program."""
    return "; ".join(f"{i}: p=0" for i, _ in enumerate(stages_of(word), 1))
