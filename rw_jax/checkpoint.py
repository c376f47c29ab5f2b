"""Trees of arrays on disk: the only door to Orbax. Knows nothing of what is in a tree."""

import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

Tree = Any

# Orbax tells some forty lines a save to absl's logger; only its warnings are for the user.
logging.getLogger("absl").addFilter(lambda record: record.levelno >= logging.WARNING or "orbax" not in record.pathname)


def save(path: Path, tree: Tree, metadata: dict[str, Any]) -> None:
    """Writes a tree of arrays, atomically: a save that is killed leaves nothing under this name.

    Args:
      path: the folder to write; one that is there is replaced.
      tree: nested dicts of arrays.
      metadata: what JSON can hold, to find out what the tree is without reading it.
    """
    ocp.save(str(path.resolve()), tree, overwrite=True, custom_metadata=metadata)


def load(path: Path) -> Tree:
    """The tree at this path, as NumPy arrays, whatever devices it was written from."""
    description = ocp.metadata(str(path.resolve())).metadata
    return ocp.load(str(path.resolve()), jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), description))
