"""Gradient flow, as an optimizer for the reduced form: dV/dt = -dL/dV, du/dt = -q dL/du, da/dt = -q^2 dL/da.

    config.training.optimizer = "pieces/gradient_flow.py:gradient_flow"

A step of Euler's method is so short that no entry of u or a moves by more than `training.learning_rate`, and no entry
of V + epsilon by more than a fiftieth of itself. So time passes evenly in its logarithm once V grows, and a thousand
steps go far.
"""

from typing import Any

import jax.numpy as jnp
import optax

from rw_jax.training.optimizers import Optimizer

_GROWTH = 0.02


def _flow(values) -> optax.GradientTransformation:
    def init(params):
        del params
        return optax.EmptyState()

    def update(updates: Any, state: optax.OptState, params: Any = None) -> tuple[Any, optax.OptState]:
        speeds = jnp.concatenate([updates["state_scores"], updates["position_scores"]])
        for_scores = values["learning_rate"] / jnp.max(jnp.abs(speeds))
        relative = jnp.abs(updates["value"]) / (params["value"] + values["epsilon"])
        time = jnp.minimum(for_scores, _GROWTH / jnp.max(relative))
        return {name: -time * gradient for name, gradient in updates.items()}, state

    return optax.GradientTransformation(init, update)


# A step is a multiple of the gradients: the same for the reduced form as for the paper's own parameters.
gradient_flow = Optimizer(_flow, is_linear=True)
