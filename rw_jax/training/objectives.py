"""What training descends on: objectives, which give their gradients themselves."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rw_jax.models import Model, Params
from rw_jax.models.classes import Grouped, group, most_positions
from rw_jax.tasks import Walks
from rw_jax.training.infinite import OnParts, Parts
from rw_jax.training.metrics import mean

OfWalk = Callable[[jax.Array, jax.Array], jax.Array]
"""(output_K, target_K) -> scalar: the loss of a walk of one run, the target one-hot."""

Objective = Callable[[Params, jax.Array, jax.Array], tuple[Mapping[str, jax.Array], Params]]
"""(params, step, key) -> (measured, gradients): what is measured on the way by name, "train_loss" at least, and the
gradients. The key is that of the step, for what is random in it; it is consumed."""


def as_model_takes(walks: Walks, model: Model) -> Walks:
    """Walks whose tokens the model has packed, where it does.

    The barrier keeps the compiler from carrying masks of every state through the training instead.
    """
    tokens_LxB = walks.tokens_LxB if model.pack is None else model.pack(walks.tokens_LxB)
    return walks._replace(tokens_LxB=jax.lax.optimization_barrier(tokens_LxB))


def mean_loss(
    model: Model, loss: OfWalk, walks: Walks, num_nodes: int, at_every_position: bool = False
) -> Callable[[Params], jax.Array]:
    """The mean loss over walks, as a function of the parameters.

    Args:
      model: of the run.
      loss: of one walk.
      walks: B walks.
      num_nodes: K.
      at_every_position: whether what follows each token is predicted, by `Model.every_position`, and not the end alone.
    """
    targets_KxB = jax.nn.one_hot(walks.targets_B, num_nodes, axis=0)

    def losses(output_KxB: jax.Array, targets_KxB: jax.Array) -> jax.Array:
        return jax.vmap(loss, (1, 1))(output_KxB, targets_KxB)

    def loss_of_params(params):
        output_KxB = model.apply(params, walks.tokens_LxB).output_KxB
        return mean(losses(output_KxB, targets_KxB), walks.weights_B)

    def loss_of_every_position(params):
        every_position: Any = model.every_position
        follows_LxKxB = jax.nn.one_hot(walks.tokens_LxB[1:], num_nodes, axis=1)
        targets_LxKxB = jnp.concatenate([follows_LxKxB, targets_KxB[None]])
        losses_LxB = jax.vmap(losses)(every_position(params, walks.tokens_LxB), targets_LxKxB)
        return mean(jnp.mean(losses_LxB, axis=0), walks.weights_B)

    return loss_of_every_position if at_every_position else loss_of_params


class ByClasses(NamedTuple):
    """A full-batch objective that goes over classes of walks in the place of walks, where there are few of them.

    What it remembers of a step makes the next ones quick, and changes no number: it is made anew when other positions
    weigh.

    Attributes:
      nothing: () -> what it remembers before the first step.
      remember: (params, remembered) -> what it remembers then.
      objective: (remembered) -> the Objective.
    """

    nothing: Callable[[], Any]
    remember: Callable[[Params, Any], Any]
    objective: Callable[[Any], Objective]


class _Remembered(NamedTuple):
    weighs_L: jax.Array  # all true where too many positions weigh
    grouped: Grouped


def by_classes(model: Model, loss: OfWalk, walks: Walks, num_nodes: int) -> ByClasses:
    """The objective `on_walks` by classes, of a model that tells which positions weigh. Args: as of mean_loss."""
    on_all = on_walks(model, loss, walks, num_nodes)
    L, B = walks.tokens_LxB.shape

    def group_of(weighs_L: jax.Array) -> _Remembered:
        return _Remembered(weighs_L, group(weighs_L, *walks, num_nodes))

    def nothing() -> _Remembered:
        return jax.tree.map(jnp.zeros_like, jax.eval_shape(group_of, jax.ShapeDtypeStruct((L,), bool)))

    def remember(params: Params, remembered: _Remembered) -> _Remembered:
        tell: Any = model.weighs
        weighs_L = tell(params)
        weighs_L |= jnp.sum(weighs_L) > most_positions(num_nodes, L + 1, B)

        def made_anew(held: _Remembered) -> _Remembered:
            # The compiler computes before a loop, needed or not, all that the loop does not change.
            return group_of(held.weighs_L ^ (held.weighs_L ^ weighs_L))

        # A loop of one round or none, not a condition, which would copy what it keeps.
        return jax.lax.while_loop(lambda held: jnp.any(held.weighs_L != weighs_L), made_anew, remembered)

    def objective(remembered: _Remembered) -> Objective:
        grouped = remembered.grouped
        tokens: Any = grouped.classes
        on_classes = on_walks(model, loss, Walks(tokens, grouped.targets_C, grouped.weights_C), num_nodes)
        return lambda params, step, key: jax.lax.cond(grouped.fits, on_classes, on_all, params, step, key)

    return ByClasses(nothing, remember, objective)


def on_walks(model: Model, loss: OfWalk, walks: Walks, num_nodes: int, at_every_position: bool = False) -> Objective:
    """The full-batch objective: the mean loss over these walks at every step. Args: as of mean_loss."""
    loss_and_gradients = jax.value_and_grad(mean_loss(model, loss, walks, num_nodes, at_every_position))

    def objective(params, step, key):
        del step, key
        train_loss, gradients = loss_and_gradients(params)
        return {"train_loss": train_loss}, gradients

    return objective


def on_infinite_walks(model: Model, on_parts: OnParts) -> Objective:
    """The objective on all walks of a chain, of a model that tells V and its scores.

    Args:
      model: of the run.
      on_parts: (parts) -> (what is measured, the gradients by them), as `Loss.population` gives it.
    """

    def objective(params, step, key):
        del step, key
        parts, pulled_back = jax.vjp(lambda params: parts_of(model, params), params)
        measured, gradients = on_parts(parts)
        return measured, pulled_back(gradients)[0]

    return objective


def parts_of(model: Model, params: Params) -> Parts:
    """V and the scores of a model that tells them."""
    value, scores = model.looks.value, model.looks.scores
    if value is None or scores is None:
        raise ValueError("infinite walks need a model that tells V and its scores")
    return Parts(value(params), scores(params))
