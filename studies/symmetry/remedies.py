"""What is said to leave the symmetric state of p = 0 and 1, or not to: fields alone, which configs read, too."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Remedy(NamedTuple):
    """A change of the training that is said to leave the symmetric state, or not to.

    Attributes:
      name: what it is called.
      kind: what it changes: start, optimizer, loss, walks or curriculum.
      leaves: whether it is to leave the state, by the proofs or the hypotheses that came before these numbers.
      changes: fields, by the names of their axes, that differ from those of the paper's training.
      first_p: p of the first steps, of a curriculum for a p above one half; mirrored for one below.
      first_steps: how many steps these are.
      share_of_walks: how many of the walks of the others it has, where it makes many of one.
    """

    name: str
    kind: str
    leaves: bool
    changes: Mapping[str, Any] = {}
    first_p: float | None = None
    first_steps: int = 50
    share_of_walks: float = 1.0


REMEDIES = (
    Remedy("none", "none", False),
    Remedy("rate 0.1", "optimizer", False, {"learning_rate": 0.1}),
    Remedy("rate 10", "optimizer", False, {"learning_rate": 10.0}),
    Remedy("momentum", "optimizer", False, {"optimizer": "momentum"}),
    Remedy("Nesterov", "optimizer", False, {"optimizer": "nesterov"}),
    Remedy("weight decay", "optimizer", False, {"optimizer": "weight_decay"}),
    Remedy("Muon", "optimizer", False, {"optimizer": "muon", "learning_rate": 0.02}),
    Remedy(
        "Adam on V", "optimizer", False,
        {"optimizer": "pieces/adam_on_value.py:adam_on_value", "learning_rate": 0.01},
    ),
    Remedy("Adam 0.001", "optimizer", True, {"optimizer": "adam", "learning_rate": 0.001}),
    Remedy("Adam 1e-7", "optimizer", True, {"optimizer": "adam", "learning_rate": 1e-7}),
    Remedy("sign", "optimizer", True, {"optimizer": "sign", "learning_rate": 0.001}),
    Remedy("batches of 16", "walks", False, {"batch": 16}),
    Remedy("label noise 0.1", "walks", False, {"label_noise": 0.1}),
    Remedy("cross-entropy", "loss", False, {"loss": "cross_entropy"}),
    Remedy("squared error", "loss", False, {"loss": "squared_error"}),
    Remedy("hinge loss", "loss", False, {"loss": "hinge"}),
    Remedy("all positions", "loss", True, {"target": "all"}, share_of_walks=0.1),
    Remedy("start 1e-8", "start", True, {"init": "gaussian", "init_scale": 1e-8}),
    Remedy("start 0.01", "start", True, {"init": "gaussian", "init_scale": 0.01}),
    Remedy("start of V 0.01", "start", True, {"init": "gaussian", "init_scale": 0.01, "init_place": "value"}),
    Remedy("start of W 1e-4", "start", True, {"init": "gaussian", "init_scale": 1e-4, "init_place": "scores"}),
    Remedy("N = 98", "walks", True, {"walk_length": 98}),
    Remedy("mixed lengths", "walks", True, {"shortest_walk": 49}),
    Remedy("dropped tokens 0.1", "walks", True, {"dropped_tokens": 0.1}),
    Remedy("a tenth at p = 1/2", "walks", True, {"mixed_share": 0.1}),
    Remedy("3 steps at p = 0.9", "curriculum", True, first_p=0.9, first_steps=3),
    Remedy("50 steps at p = 0.9", "curriculum", True, first_p=0.9),
    Remedy("50 steps at p = 1/2", "curriculum", True, first_p=0.5),
)  # fmt: skip
"""Every remedy, beside none. Rates are not tuned; Adam has its usual one, and one that does not overshoot."""

COORDINATEWISE = ("Adam 0.001", "Adam 1e-7", "sign")
"""The optimizers that look at every entry of W by itself."""

OPTIONS = {"momentum": 0.9, "weight_decay": 0.001, "eps": 0.0}
"""Parameters of the optimizers."""

PAPER = {
    "optimizer": "gd", "learning_rate": 1.0, "loss": "log", "target": "last", "batch": 0, "init": "zero",
    "init_scale": 0.01, "init_place": "both", "walk_length": 97, "label_noise": 0.0, "dropped_tokens": 0.0,
    "shortest_walk": 0, "mixed_share": 0.0,
}  # fmt: skip
"""The fields that remedies change, as the paper's training has them."""


def arms(remedies: Iterable[Remedy], probabilities: tuple[float, ...], walks: int) -> dict[str, dict[str, Any]]:
    """The conditions of every remedy at every p, by name.

    Args:
      remedies: the remedies.
      probabilities: each p that is to be learned.
      walks: how many walks there are.
    """
    return {f"{remedy.name} (p = {p:g})": _changes(remedy, p, walks) for remedy in remedies for p in probabilities}


def _changes(remedy: Remedy, p: float, walks: int) -> dict[str, Any]:
    first = p if remedy.first_p is None else remedy.first_p if p >= 0.5 else round(1 - remedy.first_p, 9)
    stages = {} if remedy.first_p is None else {"stages": {remedy.first_steps: {"p": p}}}
    return {**remedy.changes, "walks": max(round(walks * remedy.share_of_walks), 1), "p": first, **stages}


def remedy_of(arm: str) -> tuple[Remedy, float]:
    """The remedy of an arm, and the p that is to be learned."""
    name, _, p = arm.removesuffix(")").rpartition(" (p = ")
    return next(remedy for remedy in REMEDIES if remedy.name == name), float(p)
