"""Optimizers: what makes an update of the gradients (Optax), on every entry of the paper's own parameters V and W.

Those whose updates are linear in the gradients and the parameters commute with the reduction (`models.reduced`), and
train the reduced form in the place of the full one. Those that look at each entry of W by itself, or at W as a
matrix, do not.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import optax
import optax.contrib

from rw_jax.models import Model
from rw_jax.tasks import Values


class Optimizer(NamedTuple):
    """An optimizer of the paper's own parameters.

    Attributes:
      transformation: (values) -> the Optax transformation, for one run.
      is_linear: whether its updates are linear in the gradients, so that they commute with a fixed linear map of them
        and a reduced form can be trained in the place of the full one.
      decays: whether it shrinks the parameters themselves: then W is where it started, plus a matrix of rank one, only
        from a start of zero.
    """

    transformation: Callable[[Values], optax.GradientTransformation]
    is_linear: bool = False
    decays: bool = False


def _gradient_descent(values: Values) -> optax.GradientTransformation:
    return optax.sgd(_rate(values))


GRADIENT_DESCENT = Optimizer(_gradient_descent, is_linear=True)
"""Gradient descent on V and W at once, at rate eta (section 2)."""


def momentum(momentum: float) -> Optimizer:
    """Gradient descent along a sum of past gradients, each weighing `momentum` times what the next one does."""
    return Optimizer(lambda values: optax.sgd(_rate(values), momentum), is_linear=True)


def nesterov(momentum: float) -> Optimizer:
    """Nesterov's accelerated gradient."""
    return Optimizer(lambda values: optax.sgd(_rate(values), momentum, nesterov=True), is_linear=True)


def weight_decay(weight_decay: float) -> Optimizer:
    """Gradient descent on the loss with weight_decay / 2 times the sum of squares of V and W added."""

    def decayed(values: Values) -> optax.GradientTransformation:
        return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(_rate(values)))

    return Optimizer(decayed, is_linear=True, decays=True)


def adam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """Adam on every entry of V and W, with Optax's defaults."""
    return Optimizer(lambda values: optax.adam(_rate(values), b1, b2, eps))


def adamw(weight_decay: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """Adam with decoupled weight decay."""
    return Optimizer(lambda values: optax.adamw(_rate(values), b1, b2, eps, weight_decay=weight_decay))


SIGN = Optimizer(lambda values: optax.sign_sgd(_rate(values)))
"""A step of the learning rate along the sign of each entry of the gradients."""


def muon(beta: float = 0.95, ns_steps: int = 5) -> Optimizer:
    """Momentum, orthogonalised by steps of Newton and Schulz, on the matrices V and W."""
    return Optimizer(lambda values: optax.contrib.muon(_rate(values), beta=beta, ns_steps=ns_steps))


def _rate(values: Values) -> Any:
    return values["learning_rate"]


OPTIMIZERS: Mapping[str, Optimizer | Callable[..., Optimizer]] = {
    "gd": GRADIENT_DESCENT,
    "momentum": momentum,
    "nesterov": nesterov,
    "weight_decay": weight_decay,
    "adam": adam,
    "adamw": adamw,
    "sign": SIGN,
    "muon": muon,
}
"""Optimizers by name; the parameters of a function are given in `training.options`."""


def transformation(optimizer: Optimizer, model: Model, values: Values) -> optax.GradientTransformation:
    """The optimizer on the parameters of the model, for one run: of a reduced form, on preconditioned gradients."""
    of_full = optimizer.transformation(values)
    if model.precondition is None:
        return of_full
    precondition: Any = model.precondition
    return optax.chain(optax.stateless(lambda gradients, _: precondition(gradients)), of_full)
