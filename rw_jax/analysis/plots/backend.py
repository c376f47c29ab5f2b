"""Loads Matplotlib whatever MPLBACKEND says, which may name what is not there, as a notebook's does elsewhere.

Files need no backend. One that is there is kept for the user's own figures.
"""

import contextlib
import os


def _load() -> None:
    wanted = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    finally:
        if wanted is not None:
            os.environ["MPLBACKEND"] = wanted
    if wanted is not None:
        with contextlib.suppress(ValueError):
            mpl.rcParams["backend"] = wanted


_load()
