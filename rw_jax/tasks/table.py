"""The tasks by name; each is made by a function of the fields and options that it takes."""

from collections.abc import Callable, Mapping

from rw_jax.tasks import Task
from rw_jax.tasks.chain import chain
from rw_jax.tasks.circle import circle
from rw_jax.tasks.memory import hidden_direction, lagged, persistent
from rw_jax.tasks.questions import majority, preference

TASKS: Mapping[str, Callable[..., Task]] = {
    "circle": circle,
    "chain": chain,
    "hidden_direction": hidden_direction,
    "persistent": persistent,
    "lagged": lagged,
    "majority": majority,
    "preference": preference,
}
"""Every task, by name."""
