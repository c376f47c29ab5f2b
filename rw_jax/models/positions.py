"""Positional embeddings and their Gram matrix."""

import numpy as np


def sine_positions(walk_length: int, width: int) -> np.ndarray:
    """p_i = (sin(i pi / (M+1)), ..., sin(M i pi / (M+1))) for i = 1..N, float64[N, M] (section 2).

    Rows are vectors of the discrete sine basis: orthogonal, with squared norm (M + 1) / 2 (Lemma E.5),
    which needs N <= M.

    Raises:
      ValueError: if width < walk_length.
    """
    if width < walk_length:
        raise ValueError(f"width is {width}, but orthogonal sine positions need at least walk_length = {walk_length}.")
    i = np.arange(1, walk_length + 1)[:, None]
    m = np.arange(1, width + 1)[None, :]
    # i * m is reduced exactly, in integers, so that sin sees small arguments and keeps every digit.
    return np.sin(np.pi * ((i * m) % (2 * (width + 1))) / (width + 1))


def squared_norm(width: int) -> float:
    """The squared norm q = (M + 1) / 2 of every sine position of this width (Lemma E.5)."""
    return (width + 1) / 2
