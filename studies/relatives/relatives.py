"""The models that differ from the paper's: fields alone, which configs read, too."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Relative(NamedTuple):
    """A model that differs from the paper's.

    Attributes:
      name: what it is called.
      changes: fields, by the names of their axes, that differ from those of the config.
      keeps: whether from zero all tokens weigh the same at p = 1 for good, by the proof of Theorem 4.1.
    """

    name: str
    changes: Mapping[str, Any] = {}
    keeps: bool = True


RELATIVES = (
    Relative("paper"),
    Relative("2 heads", {"heads": 2}),
    Relative("4 heads", {"heads": 4}),
    Relative("2 heads from 1e-6", {"heads": 2, "init": "gaussian", "init_scale": 1e-6}, keeps=False),
    Relative("no positions", {"positions": "none"}),
    Relative("one-hot positions", {"positions": "one_hot", "position_width": 97}),
    Relative("one-hot for 2000 steps", {"positions": "one_hot", "position_width": 97, "steps": 2000}),
    Relative("sines of M = 48", {"position_width": 48}, keeps=False),
    Relative("random positions", {"positions": "random"}, keeps=False),
    Relative("random at η = 0.001", {"positions": "random", "learning_rate": 0.001, "steps": 1000}, keeps=False),
    Relative("added sines", {"position_place": "added"}, keeps=False),
    Relative(
        "added at η = 0.001", {"position_place": "added", "learning_rate": 0.001, "steps": 1000}, keeps=False
    ),
    Relative("random tokens of E = 6", {"embedding": "random", "embedding_width": 6}, keeps=False),
    Relative("random tokens of E = 64", {"embedding": "random", "embedding_width": 64}, keeps=False),
)  # fmt: skip
"""Those that reduce exactly. The first is the paper's model."""

_STREAM = {"query": "last", "residual": "on", "key_width": 8}

OF_DECODERS = (
    Relative("paper"),
    Relative("keys and queries", {"key_width": 8}),
    Relative("learned positions", {"positions": "learned"}),
    Relative("learned embeddings", {"embedding": "learned", "embedding_width": 16}),
    Relative("last token as query", {"query": "last"}),
    Relative("rotary", {"query": "last", "key_width": 8, "positions": "rotary"}),
    Relative("all positions", {"query": "last", "target": "all"}),
    Relative("residual stream", _STREAM),
    Relative("4 heads", {**_STREAM, "heads": 4}),
    Relative("feed-forward", {**_STREAM, "feed_forward_width": 32}),
    Relative("LayerNorm", {**_STREAM, "layer_norm": "on"}),
    Relative("2 layers", {**_STREAM, "layers": 2}),
    Relative("4 layers", {**_STREAM, "layers": 4}),
    Relative(
        "everything",
        {
            **_STREAM, "layers": 2, "heads": 2, "feed_forward_width": 32, "layer_norm": "on", "positions": "rotary",
            "embedding": "learned", "embedding_width": 16, "target": "all",
        },
    ),
)  # fmt: skip
"""Parts of a decoder, trained with Adam from a Gaussian start. The first is the paper's model, trained so."""

OF_TASKS = (
    Relative("1 layer with 1 head", _STREAM),
    Relative("1 layer with 2 heads", {**_STREAM, "heads": 2}),
    Relative("2 layers with 1 head", {**_STREAM, "layers": 2}),
    Relative("2 layers with 2 heads", {**_STREAM, "layers": 2, "heads": 2}),
)
"""Decoders for tasks that take more than one token."""

KEEPS = {relative.name: relative.keeps for relative in (*RELATIVES, *OF_DECODERS, *OF_TASKS)}
"""Whether a relative keeps all tokens equal at p = 1, by its name."""


def arms(relatives: Iterable[Relative]) -> dict[str, Mapping[str, Any]]:
    """The arms of a study of relatives: the changes of each, by its name."""
    return {relative.name: relative.changes for relative in relatives}
