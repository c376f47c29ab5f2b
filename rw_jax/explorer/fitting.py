"""What fits on a page: how large it gets, which runs are left out, and how arrays are packed."""

import base64
import gzip
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from rw_jax.explorer.numbers import FAILURES, Block, metric_of, others_of, setting_of
from rw_jax.study.config import Config
from rw_jax.study.grid import Cell, kept_steps, recorded_steps

LARGEST_PAGE = 20_000_000
"""Bytes of a page, above which seeds are left out."""


def thinned(metrics: xr.Dataset, cells: Sequence[Cell], limit: int, ratio: float = 1.0) -> list[Cell]:
    """Those of the cells that fit on a page of so many bytes, in their order.

    All that failed are kept, by either notion of success, and of the others of each setting, which differ in their
    seeds alone, the same share, at equal distances, at least one.

    Args:
      metrics: of the run.
      cells: its finished cells.
      limit: bytes of the page.
      ratio: what packing leaves of the bytes of a run.
    """
    sizes, room = ratio * sizes_of(cells, len(others_of(metrics))), limit - PAGE
    if sizes.sum() <= room:
        return list(cells)
    failed = _have_failed(metrics, cells)
    share = max(0.0, float((room - sizes[failed].sum()) / max(sizes[~failed].sum(), 1)))
    settings: dict[tuple, list[int]] = {}
    for i in np.flatnonzero(~failed):
        settings.setdefault(setting_of(cells[i]), []).append(int(i))
    kept = set(np.flatnonzero(failed).tolist())
    for those in settings.values():
        count = max(1, math.floor(share * len(those)))
        kept |= {those[i * len(those) // count] for i in range(count)}
    return [cells[i] for i in sorted(kept)]


PAGE = 1_500_000
"""Bytes of a page without any run."""

SAMPLE = 100
"""How many runs tell what packing leaves of the bytes of a run."""


def sizes_of(cells: Sequence[Cell], num_others: int = 0) -> np.ndarray:
    """Bytes that each run takes on a page, at most: those of its arrays, in base64.

    Args:
      cells: the runs.
      num_others: how many other metrics they have.
    """
    return np.array([size_of(cell.config, num_others) for cell in cells])


def size_of(config: Config, num_others: int = 0) -> int:
    """Bytes that a run takes on a page, at most."""
    K, N = config.task.num_nodes, config.task.walk_length
    at_kept = 4 * (K * K + K + N + K // 2 + 1 + 2)
    at_recorded = (3 + num_others) * 4 + 2 + 1
    return 4 * (at_kept * len(kept_steps(config)) + at_recorded * len(recorded_steps(config))) // 3


def packed(blocks: Sequence[Block]) -> tuple[list[dict[str, Any]], str]:
    """Blocks for JSON, with the places of their arrays, and the bytes of all arrays: base64 of gzip, little-endian."""
    parts: list[bytes] = []

    def placed(array: np.ndarray) -> dict[str, Any]:
        content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        offset = sum(map(len, parts))
        parts.append(content + bytes(-len(content) % 4))  # typed arrays begin at multiples of their size
        return {"type": array.dtype.name, "shape": list(array.shape), "offset": offset}

    described = [
        block._asdict()
        | {
            "cells": placed(block.cells.astype(np.uint32)),
            "arrays": {name: placed(array) for name, array in block.arrays.items()},
        }
        for block in blocks
    ]
    return described, base64.b64encode(gzip.compress(b"".join(parts), mtime=0)).decode()


def _have_failed(metrics: xr.Dataset, cells: Sequence[Cell]) -> np.ndarray:
    """Whether each run did not succeed by one of the notions of success, or has diverged, bool[C]."""
    last_Cx1 = np.array([[cell.config.training.steps] for cell in cells])
    succeed = [metric_of(metrics, name, cells, last_Cx1)[:, 0] == 1 for name in FAILURES if name in metrics]
    return ~np.all([*succeed, np.isfinite(metric_of(metrics, "train_loss", cells, last_Cx1)[:, 0])], axis=0)
