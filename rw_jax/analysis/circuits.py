"""Heads of a model with several: what is left without one, and how those of one layer feed those of a later one."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rw_jax.study.errors import RunError

Params = Mapping[str, np.ndarray]


def without_head(params: Params, layer: int, head: int) -> dict[str, np.ndarray]:
    """The parameters with V of one head at zero: it attends to nothing that counts (zero ablation).

    Args:
      params: of a model with several heads or layers.
      layer: its layer, from 0.
      head: its place in the layer, from 0.

    Raises:
      RunError: if there is no such head.
    """
    num_layers, num_heads = num_heads_of(params)
    if not (0 <= layer < num_layers and 0 <= head < num_heads):
        raise RunError(
            f"layer and head are {layer} and {head}, but must be below {num_layers} and {num_heads}, from 0 on."
        )
    value = np.array(params["value"])
    value.reshape(num_layers, num_heads, *value.shape[-2:])[layer, head] = 0
    without = {**params, "value": value}
    if "position_value" in params:  # V on positions that are added to tokens
        without["position_value"] = np.array(params["position_value"])
        without["position_value"].reshape(num_heads, *value.shape[-2:-1], -1)[head] = 0
    return without


def num_heads_of(params: Params) -> tuple[int, int]:
    """How many layers, and heads in each, a model has. Raises: RunError if it is not one of ours."""
    if "value" not in params or params["value"].ndim not in (2, 3, 4):
        raise RunError(f"params has {', '.join(params)}, but must be those of a model with a value matrix.")
    sizes = params["value"].shape[:-2]
    return (1, 1) if not sizes else (1, *sizes) if len(sizes) == 1 else sizes


def composition(params: Params) -> pd.DataFrame:
    """How much each head reads of what an earlier one writes to the residual stream.

    Each is |A B| / (|A| |B|), in Frobenius norms, where B = output . value is what the earlier head writes, and A what
    the later one reads by: as a query, as a key, or as a value (Elhage et al., A Mathematical Framework for Transformer
    Circuits, 2021). Of independent random directions its mean square is 1/D.

    Args:
      params: of a decoder with a residual stream.

    Returns:
      A row for each pair of heads in different layers: `layer`, `head`, `later_layer`, `later_head`, `query`, `key`,
      `value`, and `chance`, 1/sqrt(D).

    Raises:
      RunError: if there is no residual stream.
    """
    num_layers, num_heads = num_heads_of(params)
    value = np.asarray(params["value"], np.float64)
    writes = np.asarray(params["output"], np.float64) @ value if "output" in params else value
    if value.ndim != 4 or writes.shape[-2] != writes.shape[-1] or "readout" not in params:
        raise RunError("params is of a model without a residual stream, but must be of one with it.")
    if "key_query" in params:  # a row for what is looked at, a column for what looks
        scores = np.asarray(params["key_query"], np.float64)
    else:
        key, query = (np.asarray(params[name], np.float64) for name in ("key", "query"))
        scores = np.swapaxes(key, -1, -2) @ query
    rows = []
    for later in range(1, num_layers):
        for layer in range(later):
            for later_head in range(num_heads):
                for head in range(num_heads):
                    wrote, by = writes[layer, head], scores[later, later_head]
                    shares = {"query": by, "key": by.T, "value": writes[later, later_head]}
                    rows.append(
                        {"layer": layer, "head": head, "later_layer": later, "later_head": later_head}
                        | {name: _share(matrix, wrote) for name, matrix in shares.items()}
                        | {"chance": len(wrote) ** -0.5}
                    )
    columns = ["layer", "head", "later_layer", "later_head", "query", "key", "value", "chance"]
    return pd.DataFrame(rows, columns=columns)


def _share(one: np.ndarray, other: np.ndarray) -> float:
    norms = np.linalg.norm(one) * np.linalg.norm(other)
    return float(np.linalg.norm(one @ other) / norms) if norms else np.nan
