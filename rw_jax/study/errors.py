"""What rw_jax says when it cannot do what was asked: one sentence each."""

import difflib
from collections.abc import Callable, Iterable
from typing import Any


class RwJaxError(Exception):
    """One sentence that names what was given and what would be right."""


class ConfigError(RwJaxError, ValueError):
    """A configuration that cannot be run, or a run directory that cannot be used."""


class RunError(RwJaxError, LookupError):
    """What was asked of a run is not in it; the sentence lists what there is."""


def meant(name: object, names: Iterable[str]) -> str:
    """A question whether a name that is close was meant."""
    close = difflib.get_close_matches(str(name), list(names), 1)
    return f" Did you mean {close[0]}?" if close else ""


def tried(name: str, function: Callable[[], Any]) -> Any:
    """What a function of a piece gives; what it does wrong is a sentence."""
    try:
        return function()
    except ConfigError:
        raise
    except Exception as error:  # whatever a piece of the user's own does wrong
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise ConfigError(f"{name} does not work ({type(error).__name__}: {reason}).") from error
