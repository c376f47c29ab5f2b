"""rw_jax: grids of one-layer transformers trained on random walks, in one compiled program.

Reproduces Shi and Cao, "Towards Understanding Transformers in Learning Random Walks"
(NeurIPS 2025, arXiv:2511.23239).

Shape alphabet, used as a suffix of array names everywhere (`tokens_BxL` is walks by tokens). Walks come
last in every array of a program; a Run gives them to people first.

  C  cells of the grid (runs)
  B  walks
  N  slots the softmax runs over, N = walk length: N - 1 tokens and the empty query slot
  L  tokens of one walk that the model sees, L = N - 1
  K  nodes of the circle, or words of the vocabulary
  M  width of a positional embedding
  D  width of a token with its position, D = K + M
  T  recorded steps
  S  recorded steps with parameters
"""

import importlib
from typing import Any

__version__ = "0.10.0"

_ROOMS = {
    "ConfigError": "study.errors",
    "RunError": "study.errors",
    "base_config": "study.base",
    "read_config": "study.flags",
    "Task": "tasks",
    "Walks": "tasks",
    "Law": "tasks",
    "Model": "models",
    "Reduction": "models",
    "Looks": "models",
    "Scores": "models",
    "Output": "models",
    "Loss": "training.losses",
    "Optimizer": "training.optimizers",
    "Metric": "training.metrics",
    "Run": "analysis.run",
    "load_run": "analysis.run",
    "load_results": "analysis.results",
    "sweep": "sweeps.sweep",
    "train": "sweeps.one",
}
"""Where each public name stands; it is loaded when it is first used, so that a config file needs no JAX."""

__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"rw_jax has no {name}; it has {', '.join(_ROOMS)}.")
    return getattr(importlib.import_module(f"rw_jax.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
