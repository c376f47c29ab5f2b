"""Adam on V alone, gradient descent on W, as an optimizer for both forms.

config.training.optimizer = "pieces/adam_on_value.py:adam_on_value"
"""

import optax

from rw_jax.training.optimizers import Optimizer


def _adam_on_value(values) -> optax.GradientTransformation:
    rate = values["learning_rate"]

    def part_of(params):
        return {name: "value" if name == "value" else "scores" for name in params}

    return optax.partition({"value": optax.adam(rate), "scores": optax.sgd(rate)}, part_of)


# Updates of W are a multiple of its gradients, and V is a part of the reduced form as it is.
adam_on_value = Optimizer(_adam_on_value, is_linear=True)
