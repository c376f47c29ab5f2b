"""Sweeps that several theorems are tested on, and what all sweeps of this study share."""

import math

from rw_jax.study.config import ALL, Config
from rw_jax.study.fields import Scalar
from studies.paper.around import Around, Follows, spread_out

QUICK_SEEDS = (0, 1, 2)

POPULATIONS = {"walks": ALL, "test_walks": ALL}
"""Fields of a sweep in which nothing is random."""

FEW_SAMPLES = {"walks": 100, "test_walks": 50}
"""Fields of a quick sweep of samples."""

FEW_SHORT_SAMPLES = {**FEW_SAMPLES, "walk_length": 13}
"""Fields of a quick sweep of samples whose length is no axis."""


def _width(base: Config, walk_length: Scalar) -> int:
    """The position width for walks of a length: it grows as N^(3/2), as Theorem 3.1 wants it, from that of `base`."""
    length = int(walk_length)
    return max(length, round(base.model.position_width * (length / base.task.walk_length) ** 1.5))


WIDTH = Follows("position_width", "walk_length", _width)

INFINITE = {"walks": math.inf}
"""Fields of a sweep on infinitely many walks, in which nothing of training is random."""

_SIZES = (
    *((K, 97) for K in (5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64)),
    *((6, N) for N in (13, 25, 49, 145, 193, 385, 1000)),
    *((24, N) for N in (289, 1000)),
)
"""Numbers of nodes and lengths of walks: many nodes at the paper's own length, and ever longer walks."""

POPULATION = Around(
    name="population",
    fields={"steps": 100, **INFINITE},
    grid={
        "num_nodes": tuple(K for K, _ in _SIZES),
        "walk_length": tuple(N for _, N in _SIZES),
        "p": (0.001, 0.01, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999),
    },
    quick_fields={"steps": 20, "test_walks": 50},
    quick_grid={"num_nodes": (5, 5), "walk_length": (6, 7), "p": (0.5, 0.9)},
    zipped=("num_nodes", "walk_length"),
    follows=(WIDTH,),
    keep=(1, 2),
    precision="float64",
)

LONG = Around(
    name="long",
    fields={"steps": 20_000, **INFINITE},
    grid={"p": (0.5, 0.6, 0.7, 0.8, 0.9, 0.98)},
    quick_fields={"steps": 200, "walk_length": 6, "test_walks": 50},
    quick_grid={"p": (0.5, 0.9)},
    quick_keep=spread_out(200),
    follows=(WIDTH,),
    keep=spread_out(20_000),
    precision="float64",
)

WALKS = Around(
    name="walks",
    fields={"steps": 20},
    grid={
        "walks": (1000, 3000, 10_000, 30_000, 100_000),
        "p": (0.5, 0.7, 0.9, 0.97, 0.99),
        "seed": tuple(range(20)),
    },
    quick_fields={"steps": 5, **FEW_SHORT_SAMPLES},
    quick_grid={"walks": (50, 200), "p": (0.5, 0.9), "seed": QUICK_SEEDS},
    follows=(WIDTH,),
    keep=(1, 2),
)

LENGTH = Around(
    name="length",
    fields={"steps": 50, "walks": 10_000},
    grid={"walk_length": (13, 25, 49, 97, 145, 193), "p": (0.5, 0.7, 0.9, 0.97), "seed": tuple(range(16))},
    quick_fields={"steps": 5, **FEW_SAMPLES},
    quick_grid={"walk_length": (7, 13), "p": (0.5, 0.9), "seed": QUICK_SEEDS},
    follows=(WIDTH,),
    keep=(2,),
)

DETERMINISTIC = Around(
    name="deterministic",
    fields={"steps": 200, **POPULATIONS},
    grid={
        "num_nodes": (6, 7),
        "walk_length": (97, 50),
        "p": (0.0, 1.0),
        "loss": ("log", "cross_entropy", "squared_error", "hinge"),
        "learning_rate": (0.01, 0.1, 1.0, 10.0),
    },
    quick_fields={"steps": 20},
    quick_grid={"num_nodes": (5,), "walk_length": (21,), "loss": ("log",)},
    zipped=("num_nodes", "walk_length"),
    follows=(WIDTH,),
    keep=(1, 2, 3, 10, 50),
)

FULL = Around(
    name="full",
    fields={"steps": 50, "form": "full", "walk_length": 13},
    grid={"p": (0.5, 0.7, 1.0), "seed": (0, 1, 2, 3)},
    quick_fields=FEW_SAMPLES,
    quick_grid={"seed": QUICK_SEEDS},
    follows=(WIDTH,),
    keep=(1, 2, 10),
)
