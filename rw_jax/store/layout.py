"""The files of a run directory."""

import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file under another name first, so that the file is never half there."""
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(text)
    os.replace(unfinished, path)
