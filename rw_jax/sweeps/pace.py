"""How many cells a chunk takes: what is lost with it, if the sweep is killed, is some ten seconds of work."""

from typing import NamedTuple

import numpy as np

from rw_jax.store import processes
from rw_jax.sweeps.devices import Placement

SECONDS_OF_CHUNK = 10.0
_FOLD = 8
"""How much larger the next chunk may be: the first one of a program is slow, and tells little of the others."""


class Pace(NamedTuple):
    """The size of the next chunk; that of no program before there is one.

    Attributes:
      size: how many cells it takes.
      least: how many it takes at least: a batch for every device, or as many as the config says.
      most: how many it has room for.
    """

    size: int = 0
    least: int = 0
    most: int = 0

    def of(self, placement: Placement, given: int | None) -> "Pace":
        """The pace of the next program, each of whose cells may take some times as long as one of the last.

        Args:
          placement: where its cells are trained.
          given: `execution.cells_per_chunk`.
        """
        most = placement.cells_per_chunk
        least = min(placement.cells_at_once if given is None else given, most)
        return Pace(_whole(self.size // _FOLD, least, most), least, most)

    def after(self, num_cells: int, seconds: float) -> "Pace":
        """The pace after a chunk of so many cells that took this process so many seconds; all processes get the same.

        A chunk that was cut off, as there were no more cells, tells little, and changes nothing.
        """
        if self.least == self.most or num_cells < self.size:
            return self
        slowest = float(processes.gathered(np.array([seconds])).max())
        wanted = min(num_cells * SECONDS_OF_CHUNK / max(slowest, 1e-9), _FOLD * self.size)
        return self._replace(size=_whole(int(wanted), self.least, self.most))


def _whole(size: int, least: int, most: int) -> int:
    """A size as a multiple of the least one, and no more than the most."""
    return max(least, min(size, most) // least * least)
