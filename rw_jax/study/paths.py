"""One rule for the paths that a user gives."""

import os
import re
from pathlib import Path
from typing import Any

from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import shown


def local_path(field: str, given: Any) -> Path:
    """A path that a user gives, absolute, ~ standing for the home directory. What it names need not be there.

    Args:
      field: what it is given for, for the message.
      given: the path.

    Raises:
      ConfigError: if it cannot name a file or a folder of this machine.
    """
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str) or not text or "\0" in text or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):
        raise ConfigError(f"{field} is {shown(text)}, but must be the path of a local file or folder.")
    try:
        text.encode()
    except UnicodeEncodeError as error:  # bytes that the system's locale cannot read
        raise ConfigError(
            f"{field} is {shown(text)}, which is no text in this locale; give one that is, or set PYTHONUTF8=1."
        ) from error
    try:
        path = Path(text).expanduser().absolute()
        path.exists()
    except (RuntimeError, OSError) as error:  # no home directory; a name that is too long; no working directory
        reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
        raise ConfigError(f"{field} is {shown(text)}, which cannot be used ({reason}).") from error
    return path
