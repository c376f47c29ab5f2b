"""Positional embeddings, their norms, and what scores are scaled by."""

import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.models import Scores

UNIT_LENGTH = ("none", "keys", "both")
"""Which of the vectors x~_i are scaled to unit length inside the softmax: none, the keys, or the keys and the query."""


def sine_positions(walk_length: int, width: int) -> np.ndarray:
    """p_i = (sin(i pi / (M+1)), ..., sin(M i pi / (M+1))) for i = 1..N, float64[N, M] (section 2).

    If N <= M, rows are vectors of the discrete sine basis: orthogonal, with squared norm (M + 1) / 2 (Lemma E.5).
    """
    i = np.arange(1, walk_length + 1)[:, None]
    m = np.arange(1, width + 1)[None, :]
    # i * m is reduced exactly, in integers, so that sin sees small arguments and keeps every digit.
    return np.sin(np.pi * ((i * m) % (2 * (width + 1))) / (width + 1))


def squared_norm(width: int) -> float:
    """The squared norm q = (M + 1) / 2 of every sine position of this width (Lemma E.5)."""
    return (width + 1) / 2


def key_scales(unit_length: str, squared_norm: float | None) -> tuple[float, float]:
    """What the raw scores x~_i^T W x~_N of a token and of the empty slot are multiplied by.

    A token x~_i = (x_i, p_i) has squared length 1 + q, the empty slot and query x~_N = (0, p_N) has q.

    Args:
      unit_length: one of UNIT_LENGTH.
      squared_norm: q; None, for "none" alone, if slots differ in length.
    """
    q = squared_norm or 0.0
    match unit_length:
        case "none":
            return 1.0, 1.0
        case "keys":
            return (1 + q) ** -0.5, q**-0.5
        case "both":
            return ((1 + q) * q) ** -0.5, 1 / q
    raise ValueError(f"unit_length is {unit_length!r}, but must be one of {', '.join(UNIT_LENGTH)}.")


def scaled_scores(state_K: jax.Array, position_N: jax.Array, unit_length: str, squared_norm: float | None) -> Scores:
    """The scores inside the softmax from the raw ones, u and a. Args: as of `key_scales`."""
    if unit_length == "none":
        return Scores(state_K, position_N)
    token_scale, empty_scale = key_scales(unit_length, squared_norm)
    scaled_N = jnp.append(token_scale * position_N[:-1], empty_scale * position_N[-1])
    return Scores(token_scale * state_K, scaled_N)
