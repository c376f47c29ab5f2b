"""Starts from the parameters of another run: "runs/first?p=0.5&step=50" names its directory, labels and a step.

An axis without a label takes the label of the run that starts, so that each seed starts from its own parameters.
The parameters are kept as a text, as those of pieces are, to whose digest the name is pinned (`pins.pin`).
"""

import functools
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import shown, without_digest
from rw_jax.study.labels import same_label


class StartName(NamedTuple):
    """What the name of a start says: a directory, labels as they are written, and a step; None for the last."""

    path: str
    labels: Mapping[str, str]
    step: int | None


class Stored(NamedTuple):
    """Parameters of some runs: for each its labels on the axes that are not asked for, and its arrays by name."""

    axes: tuple[str, ...]
    runs: Sequence[tuple[tuple[Any, ...], Mapping[str, np.ndarray]]]


def read_name(name: str) -> StartName:
    """What a name asks for. Raises: ConfigError if it cannot be read."""
    path, _, query = without_digest(name).partition("?")
    pairs = [word.partition("=") for word in query.split("&") if word]
    labels = {axis: label for axis, _, label in pairs}
    step = labels.pop("step", None)
    is_complete = all(axis and label and "," not in label and " " not in label for axis, _, label in pairs)
    if len({axis for axis, _, _ in pairs}) < len(pairs) or not is_complete:
        raise ConfigError(f"model.init is {name!r}, but must have labels as in 'runs/first?p=0.5&step=50'.")
    if step is not None and not re.fullmatch("[0-9]+", step):
        raise ConfigError(f"model.init is {name!r}, whose step is {step!r}, but must be a number.")
    return StartName(path, labels, None if step is None else int(step))


def is_label(label: Any, word: str) -> bool:
    """Whether a label of a run is the one that a word means."""
    if isinstance(label, str):
        return same_label(label, word)
    try:
        number = math.inf if word == "infinite" else float(word)
        return same_label(label, number)
    except ValueError:
        return False


def to_text(stored: Stored) -> str:
    """What is kept of them: JSON, every number with all its digits."""
    runs = [[labels, {name: leaf.tolist() for name, leaf in params.items()}] for labels, params in stored.runs]
    return json.dumps({"axes": stored.axes, "runs": runs})


@functools.lru_cache(maxsize=8)
def from_text(text: str) -> Stored:
    """What was kept."""
    kept = json.loads(text)
    runs = [
        (tuple(labels), {name: np.asarray(leaf) for name, leaf in params.items()}) for labels, params in kept["runs"]
    ]
    return Stored(tuple(kept["axes"]), runs)


def has_all_of(text: str, other: str) -> bool:
    """Whether a text has every run of another one, with the same parameters."""
    one, earlier = json.loads(text), json.loads(other)
    return one["axes"] == earlier["axes"] and all(run in one["runs"] for run in earlier["runs"])


def start_of(stored: Stored, labels: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters that a run with these labels starts from; NaN if there are not just one's."""
    found = _found(stored, labels)
    return dict(found[0]) if len(found) == 1 else {name: np.nan * leaf for name, leaf in stored.runs[0][1].items()}


def _found(stored: Stored, labels: Mapping[str, Any]) -> list[Mapping[str, np.ndarray]]:
    own = [labels.get(axis) for axis in stored.axes]
    return [params for theirs, params in stored.runs if all(map(same_label, theirs, own))]


def check_start(stored: Stored, name: str, labels: Mapping[str, Any]) -> None:
    """Refuses a run with these labels if it has nothing to start from. Raises: ConfigError."""
    found = _found(stored, labels)
    if len(found) != 1:
        own = [labels.get(axis) for axis in stored.axes]
        wanted = ", ".join(f"{axis} = {shown(label)}" for axis, label in zip(stored.axes, own, strict=True))
        raise ConfigError(
            f"model.init is {without_digest(name)!r}, which had {len(found)} finished runs with {wanted} when it was "
            "read, but must have one; name their labels, as in 'runs/first?p=0.5&seed=0', or a new run directory for "
            "runs that came later."
        )
