"""In what arithmetic and with what generator a run computes: set by the study, whatever the environment says."""

import contextlib
import functools
import os
from collections.abc import Generator
from typing import Any

import jax
import numpy as np

from rw_jax.study.errors import ConfigError

GENERATOR = "threefry2x32"
"""The generator of all random numbers, in its partitionable form."""


@contextlib.contextmanager
def numbers_of(precision: str) -> Generator[None]:
    """Inside, JAX computes in the precision of a structure, "float32" or "float64", and draws with its generator.

    Products are of full precision: float32 ones are TF32 on recent GPUs and bfloat16 on TPUs otherwise. What JAX_
    variables set for debugging does not hold inside: NaN is a number that metrics have. Nor does a mesh of the user's.

    Raises:
      ConfigError: in a process that was forked from one that has computed.
    """
    if _first_process() != os.getpid():
        raise ConfigError(
            "This process was forked from one that has computed, where JAX would wait for ever, but must be started "
            "anew, as by multiprocessing.get_context('spawn')."
        )
    with contextlib.ExitStack() as stack:
        for setting in (
            jax.enable_x64(precision == "float64"),
            jax.default_matmul_precision("highest"),
            jax.threefry_partitionable(True),
            jax.default_prng_impl(GENERATOR),
            jax.legacy_prng_key("allow"),
            jax.debug_key_reuse(False),
            jax.numpy_dtype_promotion("standard"),
            jax.numpy_rank_promotion("allow"),
            jax.debug_nans(False),
            jax.debug_infs(False),
            jax.disable_jit(False),
            jax.transfer_guard("allow"),
            _no_seed_offset(),
            _no_mesh(),
        ):
            stack.enter_context(setting)
        yield


def compiler_options() -> dict[str, Any]:
    """What numbers depend on, and XLA_FLAGS may say otherwise, for every program that computes with a run."""
    options = {"xla_allow_excess_precision": True}
    return options | ({"xla_cpu_enable_fast_math": False} if jax.default_backend() == "cpu" else {})


@functools.cache
def _first_process() -> int:
    """The process that has computed first; a fork of it remembers."""
    return os.getpid()


def _no_mesh() -> contextlib.AbstractContextManager[Any]:
    """jax.set_mesh is for programs that have no mesh of their own."""
    if jax.sharding.get_abstract_mesh().empty:
        return contextlib.nullcontext()
    return jax.set_mesh(jax.sharding.Mesh(np.empty((), object), ()))


@contextlib.contextmanager
def _no_seed_offset() -> Generator[None]:
    """JAX_RANDOM_SEED_OFFSET is added to every seed; it has no context of JAX's own."""
    offset = jax.config.values["jax_random_seed_offset"]
    if not offset:
        yield
        return
    jax.config.update("jax_random_seed_offset", 0)
    try:
        yield
    finally:
        jax.config.update("jax_random_seed_offset", offset)
