"""What rw_jax says when it cannot do what was asked: one sentence each."""

import difflib
from collections.abc import Iterable


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
