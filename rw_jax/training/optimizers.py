"""Optimizers: what makes an update of the gradients (Optax), on every entry of the paper's own parameters V and W.

Those whose updates are linear in the gradients and the parameters commute with the reduction (`models.reduced`), and
train the reduced form in the place of the full one. Of the others some do what the gradient of W, of rank one, lets
them do: those that commute with rotations of W, and those that look at each entry by itself whatever its scale.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from rw_jax.models import Lift, Model
from rw_jax.study.errors import ConfigError
from rw_jax.tasks import Values


class Optimizer(NamedTuple):
    """An optimizer of the paper's own parameters.

    Attributes:
      transformation: (values) -> the Optax transformation, for one run.
      is_linear: whether its updates are linear in the gradients, so that they commute with a fixed linear map of them
        and a reduced form can be trained in the place of the full one.
      commutes_with: of one that is not linear, what of W it does not see: "rotations", of its rows or its columns;
        "scales", of each entry; "" if it sees both, or may do so. It looks at gradients alone, not at parameters.
      decays: whether it shrinks the parameters themselves: then W is where it started, plus a matrix of rank one, only
        from a start of zero.
    """

    transformation: Callable[[Values], optax.GradientTransformation]
    is_linear: bool = False
    commutes_with: str = ""
    decays: bool = False


def gradient_descent() -> Optimizer:
    """Gradient descent on V and W at once, at rate eta (section 2)."""
    return Optimizer(lambda values: optax.sgd(_rate(values)), is_linear=True)


def momentum(momentum: float = 0.9) -> Optimizer:
    """Gradient descent along a sum of past gradients, each weighing `momentum` times what the next one does."""
    return Optimizer(lambda values: optax.sgd(_rate(values), momentum), is_linear=True)


def nesterov(momentum: float = 0.9) -> Optimizer:
    """Nesterov's accelerated gradient."""
    return Optimizer(lambda values: optax.sgd(_rate(values), momentum, nesterov=True), is_linear=True)


def weight_decay(weight_decay: float) -> Optimizer:
    """Gradient descent on the loss with weight_decay / 2 times the sum of squares of V and W added."""

    def decayed(values: Values) -> optax.GradientTransformation:
        return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(_rate(values)))

    return Optimizer(decayed, is_linear=True, decays=True)


def adam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """Adam on every entry of V and W, with Optax's defaults.

    With eps = 0 it does not see the scale of an entry. An entry stays where it is, then, while its gradients are 0, or
    so small that their squares are (below 1e-18 in float32).

    Raises:
      ConfigError: if eps is below 0.
    """
    if eps < 0:
        raise ConfigError(f"training.options.eps is {eps}, but must be at least 0.")
    if eps > 0:
        return Optimizer(lambda values: optax.adam(_rate(values), b1, b2, eps))
    return Optimizer(
        lambda values: optax.chain(
            _finite(optax.scale_by_adam(b1, b2, eps)), optax.scale_by_learning_rate(_rate(values))
        ),
        commutes_with="scales",
    )


def _finite(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """The transformation with 0 in the place of what is divided by 0, where gradients are finite."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        scaled, state = inner.update(updates, state, params)
        is_lost = jax.tree.map(lambda new, old: ~jnp.isfinite(new) & jnp.isfinite(old), scaled, updates)
        return jax.tree.map(lambda lost, new: jnp.where(lost, 0, new), is_lost, scaled), state

    return optax.GradientTransformation(inner.init, update)


def adamw(weight_decay: float = 1e-4, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """Adam with decoupled weight decay, with Optax's defaults."""
    return Optimizer(lambda values: optax.adamw(_rate(values), b1, b2, eps, weight_decay=weight_decay))


def sign() -> Optimizer:
    """A step of the learning rate along the sign of each entry of the gradients."""
    return Optimizer(lambda values: optax.sign_sgd(_rate(values)), commutes_with="scales")


def muon(beta: float = 0.95, ns_steps: int = 5) -> Optimizer:
    """Momentum, orthogonalised by steps of Newton and Schulz, on the matrices V and W."""
    return Optimizer(
        lambda values: optax.contrib.muon(_rate(values), beta=beta, ns_steps=ns_steps), commutes_with="rotations"
    )


def _rate(values: Values) -> Any:
    return values["learning_rate"]


OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {
    "gd": gradient_descent,
    "momentum": momentum,
    "nesterov": nesterov,
    "weight_decay": weight_decay,
    "adam": adam,
    "adamw": adamw,
    "sign": sign,
    "muon": muon,
}
"""Every optimizer, by name."""


def transformation(optimizer: Optimizer, model: Model, values: Values) -> optax.GradientTransformation:
    """The optimizer on the parameters of the model, for one run.

    Of a reduced form it is applied to preconditioned gradients if it is linear, and as one of the model's lifts if not.
    """
    of_full, reduction = _keeping_keys(optimizer.transformation(values)), model.reduction
    if reduction is None:
        return of_full
    lift = lift_of(optimizer, model)
    if lift is not None:
        return _lifted(of_full, lift)
    precondition: Any = reduction.precondition
    return optax.chain(optax.stateless(lambda gradients, _: precondition(gradients)), of_full)


def _keeping_keys(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """The transformation with the numbers of keys, which can be stored, in the place of the keys in its state."""

    def stored(state: Any) -> Any:
        return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, state)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        begun = inner.init(updates if params is None else params)  # for the generators of its keys alone
        kept = jax.tree.map(
            lambda key, leaf: jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(key)) if _is_key(key) else leaf,
            begun,
            state,
        )
        moved, state = inner.update(updates, kept, params)
        return moved, stored(state)

    return optax.GradientTransformation(lambda params: stored(inner.init(params)), update)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def lift_of(optimizer: Optimizer, model: Model) -> Lift | None:
    """How an optimizer that is not linear is applied to a reduced form; None if it cannot be, or needs no lift."""
    lifts = None if model.reduction is None else model.reduction.lifts
    return None if optimizer.is_linear or lifts is None else lifts.of(optimizer.commutes_with)


def _lifted(of_full: optax.GradientTransformation, lift: Lift) -> optax.GradientTransformation:
    def init(params):
        return of_full.init(lift.up(params))  # it looks at shapes alone

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params  # where the lifted ones are is not known, and it does not look
        gradients = lift.up(updates)
        moved, state = of_full.update(gradients, state, jax.tree.map(jnp.zeros_like, gradients))
        down: Any = lift.down
        return down(moved), state

    return optax.GradientTransformation(init, update)
