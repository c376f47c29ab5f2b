"""Which of several processes writes, and where they wait for each other."""

import jax
import numpy as np
from jax.experimental import multihost_utils


def is_first() -> bool:
    """Whether this process is the one that writes what there is once for all of them."""
    return jax.process_index() == 0


def wait_for_all(place: str) -> None:
    """Returns when every process has come to this place of the program."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(place)


def gathered(array: np.ndarray) -> np.ndarray:
    """The arrays of all processes one after another along the last axis."""
    if jax.process_count() == 1:
        return array
    return np.concatenate(list(multihost_utils.process_allgather(array)), axis=-1)
