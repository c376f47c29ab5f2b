"""In what arithmetic and with what generator a run computes: set by the study, whatever the environment says."""

import contextlib
from collections.abc import Generator

import jax


@contextlib.contextmanager
def numbers_of(precision: str) -> Generator[None]:
    """Inside, JAX computes in the precision of a structure, "float32" or "float64", and draws with its generator.

    Products are of full precision: float32 ones are TF32 on recent GPUs and bfloat16 on TPUs otherwise.
    """
    with (
        jax.enable_x64(precision == "float64"),
        jax.default_matmul_precision("highest"),
        jax.threefry_partitionable(True),
    ):
        yield


GENERATOR = "threefry2x32"
"""The generator of all random numbers, in its partitionable form."""
