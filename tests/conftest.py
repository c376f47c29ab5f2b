"""Fixtures that every test can ask for."""

from collections.abc import Callable, Iterator

import jax
import pytest

from configs import base
from rw_jax.config import Config, from_config_dict


@pytest.fixture
def float64() -> Iterator[None]:
    """JAX computes in float64 within the test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def make_config() -> Callable[..., Config]:
    """configs/base.py with some fields changed, by the names of their axes."""
    return from_config_dict(base.get_config()).replace
