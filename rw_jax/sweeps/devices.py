"""The devices of a sweep, and how runs are assigned to them."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
import psutil
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rw_jax.study.config import ExecutionConfig
from rw_jax.study.errors import ConfigError


class Assignment(NamedTuple):
    """How the cells of a chunk are assigned to the devices: in whole batches, as evenly as can be.

    Attributes:
      num_batches: int32, how many batches each device runs.
      rows: the row of each cell in the arrays of all devices.
      cells: int, the cell in each row of this process's devices; -1 in rows of padding.
    """

    num_batches: np.ndarray
    rows: list[int]
    cells: np.ndarray

    @property
    def own(self) -> np.ndarray:
        """Which cells of the chunk this process trains, in order."""
        return self.cells[self.cells >= 0]

    def of_own(self, array: jax.Array) -> np.ndarray:
        """The rows of these cells in an array of all devices."""
        shards = sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
        cells_of_shards = np.split(self.cells, len(shards))
        return np.concatenate(
            [np.asarray(shard.data)[cells >= 0] for shard, cells in zip(shards, cells_of_shards, strict=True)]
        )


_MOST_ROOM, _LEAST_ROOM, _BYTES_OF_CHUNK = 2**14, 2**6, 2**27
_MOST_ROOM_OF_SEVERAL = 2**10
"""Several processes write all the room that a chunk has, used or not."""


class Placement(NamedTuple):
    """Where runs are trained, and how many together.

    Attributes:
      mesh: the devices, of all processes, on one axis named "run".
      cells_per_batch: how many cells a device runs at a time.
      cells_per_chunk: how many cells a chunk has room for.
      checkpoint_steps: after how many steps a chunk is kept that is not finished.
    """

    mesh: Mesh
    cells_per_batch: int
    cells_per_chunk: int
    checkpoint_steps: int

    @property
    def cells_at_once(self) -> int:
        """A batch for every device."""
        return self.mesh.size * self.cells_per_batch

    def for_cells(self, num_cells: int, bytes_of_cell: int) -> "Placement":
        """With room in a chunk for these cells, or as many as take 128 MiB, and a batch for every device at least.

        Above that it is a power of two: few sizes are compiled, and a study that grows mostly finds its program again.
        """
        enough = 2 ** (max(num_cells, _LEAST_ROOM) - 1).bit_length()
        fit = 2 ** (max(_BYTES_OF_CHUNK // bytes_of_cell, 1).bit_length() - 1)
        return self._replace(cells_per_chunk=max(self.cells_at_once, min(enough, fit, self.cells_per_chunk)))

    @property
    def runs(self) -> NamedSharding:
        """Arrays whose first axis is that of runs."""
        return NamedSharding(self.mesh, PartitionSpec("run"))

    @property
    def everywhere(self) -> NamedSharding:
        """Arrays that every device has whole."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def rows_of_one_device(self) -> int:
        """Its share of a full chunk, in whole batches."""
        return -(-self.cells_per_chunk // self.cells_at_once) * self.cells_per_batch

    def assign(self, num_cells: int) -> Assignment:
        """Assigns the cells of a chunk; every device has rows for its share of a full one."""
        devices, capacity, size = self.mesh.size, self.rows_of_one_device, self.cells_per_batch
        batches = -(-num_cells // size)
        num_batches = np.array([batches // devices + (d < batches % devices) for d in range(devices)], np.int32)
        rows = np.concatenate([d * capacity + np.arange(n * size) for d, n in enumerate(num_batches)])
        rows = rows[:num_cells].tolist()
        cells = np.full((devices, capacity), -1)
        np.put(cells, rows, np.arange(num_cells))
        own = [device.process_index == jax.process_index() for device in self.mesh.devices.flat]
        return Assignment(num_batches, rows, cells[own].ravel())


def set_up(execution: ExecutionConfig) -> Placement:
    """All devices of the process; sizes that the config does not give are those that suit the devices.

    If it gives no size of a chunk, this is the largest; `Placement.for_cells` makes it smaller.

    For the whole process, it sets how many CPU devices there are and where compiled programs are cached, unless the
    user has said so, or has used JAX before.

    Raises:
      ConfigError: if JAX finds no devices, or in a function that it traces.
    """
    if jax.config.values["jax_num_cpu_devices"] == -1 and _FORCED not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # in a process that has used JAX the devices stay as they are
            jax.config.update("jax_num_cpu_devices", _usable_cores())
    jax.config.update("jax_raise_persistent_cache_errors", False)  # programs are compiled, then
    if not jax.config.values["jax_compilation_cache_dir"] and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        with contextlib.suppress(RuntimeError):  # a user without a home directory has no cache
            jax.config.update("jax_compilation_cache_dir", str(Path("~/.cache/rw_jax").expanduser()))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or "none is there"
        raise ConfigError(
            f"JAX finds no devices ({reason}); JAX_PLATFORMS is {os.environ.get('JAX_PLATFORMS', '')!r}, but must be "
            "empty or name devices that are here, and JAX_NUM_CPU_DEVICES is "
            f"{os.environ.get('JAX_NUM_CPU_DEVICES', '')!r}, but must be empty or at least 1."
        ) from error
    if isinstance(jnp.zeros(()), jax.core.Tracer):
        raise ConfigError("Runs are trained inside a function that JAX traces, but must be trained outside of it.")
    batch = execution.cells_per_batch or default_cells_per_batch()
    most = _MOST_ROOM if jax.process_count() == 1 else _MOST_ROOM_OF_SEVERAL
    return Placement(make_mesh(jax.devices()), batch, execution.cells_per_chunk or most, execution.checkpoint_steps)


_FORCED = "xla_force_host_platform_device_count"
"""The flag of XLA that says how many CPU devices there are."""


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # a job may be given fewer cores than the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_mesh(devices: Sequence[jax.Device]) -> Mesh:
    """The mesh of these devices, one axis named "run"."""
    return jax.make_mesh((len(devices),), ("run",), axis_types=(AxisType.Auto,), devices=devices)


def default_cells_per_batch() -> int:
    """How many cells are vmapped: one after another stays in cache on a CPU; a wide batch fills an accelerator.

    64 suit a few cells, many devices and large models; thousands of small ones go quicker in batches of 4096
    (docs/speed.md).
    """
    return 1 if jax.default_backend() == "cpu" else 64


def free_memory(mesh: Mesh) -> int:
    """Bytes that each device of this process can still take, by the one that has least."""
    stats = [device.memory_stats() for device in mesh.local_devices]
    if all(stats):
        return min(stat["bytes_limit"] - stat["bytes_in_use"] for stat in stats)
    free = psutil.virtual_memory().available  # CPU devices share the memory of the machine
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    with contextlib.suppress(OSError, ValueError):  # a job may be given less than the machine has; "max" is no limit
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return max(free // len(mesh.local_devices), 1)
