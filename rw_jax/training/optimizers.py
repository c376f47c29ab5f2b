"""Optimizers: what makes an update of the gradients (Optax)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import optax

from rw_jax.models import Model
from rw_jax.tasks import Values


class Optimizer(NamedTuple):
    """An optimizer of the paper's own parameters.

    Attributes:
      transformation: (values) -> the Optax transformation, for one run.
      is_linear: whether its updates are linear in the gradients, so that they commute with a fixed linear map of them
        and a reduced form can be trained in the place of the full one.
    """

    transformation: Callable[[Values], optax.GradientTransformation]
    is_linear: bool = False


def _gradient_descent(values: Values) -> optax.GradientTransformation:
    rate: Any = values["learning_rate"]
    return optax.sgd(rate)


GRADIENT_DESCENT = Optimizer(_gradient_descent, is_linear=True)
"""Gradient descent on V and W at once, at rate eta (section 2)."""


def transformation(optimizer: Optimizer, model: Model, values: Values) -> optax.GradientTransformation:
    """The optimizer on the parameters of the model, for one run: of a reduced form, on preconditioned gradients."""
    of_full = optimizer.transformation(values)
    if model.precondition is None:
        return of_full
    precondition: Any = model.precondition
    return optax.chain(optax.stateless(lambda gradients, _: precondition(gradients)), of_full)
