"""Several processes on one sweep: how they find one another, and leave."""

import contextlib
import faulthandler
import os
import re
import sys
from collections.abc import Generator

import jax

from rw_jax.study.errors import ConfigError

_SECONDS_TO_FIND_A_PROCESS_DEAD = 20


def join() -> None:
    """Makes this process one of those of the job: to be called before anything else of JAX.

    TPU pods, SLURM, Open MPI and Kubernetes tell each process which it is; elsewhere JAX_COORDINATOR_ADDRESS (host:port
    of the first process), JAX_NUM_PROCESSES and JAX_PROCESS_ID do.

    Raises:
      ConfigError: if nothing says which process this is, or the others do not come.
    """
    # Where the first process has ended, JAX aborts the others with a message, which a dump of all threads would bury.
    faulthandler.disable()
    numbers = {name: os.environ.get(name) for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID")}
    for name, number in numbers.items():
        if number is not None and not number.isdecimal():
            raise ConfigError(f"{name} is {number!r}, but must be an integer.")
    # JAX's own service for preemptions would take SIGTERM from interruption.py, and wait for a step that never asks it.
    jax.config.update("jax_enable_preemption_service", False)
    num_processes, process_id = (None if number is None else int(number) for number in numbers.values())
    try:
        jax.distributed.initialize(
            num_processes=num_processes,
            process_id=process_id,
            heartbeat_timeout_seconds=_SECONDS_TO_FIND_A_PROCESS_DEAD,
        )
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f"--distributed is given, but the processes of the job do not find one another ({str(error).rstrip('.')}); "
            "outside SLURM and TPU pods set JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID."
        ) from error


@contextlib.contextmanager
def leaving_at_once() -> Generator[None]:
    """An exit inside is immediate: JAX would wait for the other processes, which wait for this one or have ended."""
    try:
        yield
    except SystemExit as leave:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(leave.code if isinstance(leave.code, int) else 1)


def tells_of_a_lost_process(error: Exception) -> bool:
    """Whether an error is what JAX makes of another process that has ended."""
    return re.search("Gloo|UNAVAILABLE|[Hh]eartbeat|[Bb]arrier|Connection", str(error)) is not None
