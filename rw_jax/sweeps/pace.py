"""How many cells a chunk takes: what is lost with it, if the sweep is killed, is some ten seconds of work."""

from typing import NamedTuple

import numpy as np

from rw_jax.store import processes
from rw_jax.sweeps.devices import Placement

SECONDS_OF_CHUNK = 10.0
_FOLD = 8
"""How much larger the next chunk may be: the first one of a program is slow, and tells little of the others."""


class Pace(NamedTuple):
    """The size of the next chunk of cells that take about the same time each.

    Attributes:
      size: how many cells it takes.
      least: how many it takes at least: a batch for every device, or as many as the config says.
      most: how many it has room for.
    """

    size: int
    least: int
    most: int

    def after(self, num_cells: int, seconds: float) -> "Pace":
        """The pace after a chunk of so many cells and, for this process, seconds; all processes get the same."""
        if self.least == self.most:
            return self
        slowest = float(processes.gathered(np.array([seconds])).max())
        wanted = int(min(num_cells * SECONDS_OF_CHUNK / max(slowest, 1e-9), _FOLD * self.size))
        return self._replace(size=max(self.least, min(wanted, self.most) // self.least * self.least))


def first(placement: Placement, given: int | None) -> Pace:
    """The pace to begin with.

    Args:
      placement: where the cells are trained.
      given: `execution.cells_per_chunk`.
    """
    most = placement.cells_per_chunk
    least = min(placement.cells_at_once, most) if given is None else most
    return Pace(least, least, most)
