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


def load(path: Path, *names: str) -> Tree:
    """The tree at this path, as NumPy arrays, whatever devices it was written from.

    Args:
      path: where the tree was saved.
      *names: keys that lead to the part that is wanted; only that part is read, and given.
    """
    part = description = ocp.metadata(str(path.resolve())).metadata
    for name in names:
        part = part[name]
    wanted = {id(leaf) for leaf in jax.tree.leaves(part)}
    arrays = jax.tree.map(
        lambda leaf: np.empty(leaf.shape, leaf.dtype) if id(leaf) in wanted else ocp.PLACEHOLDER, description
    )
    tree = ocp.load(str(path.resolve()), arrays)
    for name in names:
        tree = tree[name]
    return tree
