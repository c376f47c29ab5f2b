"""Full-batch gradient descent, for the full model and, exactly preconditioned, for its reduced form."""

import jax
import optax


def gradient_descent(learning_rate: jax.Array | float) -> optax.GradientTransformation:
    """Gradient descent on V and W at once, at rate eta (section 2)."""
    return optax.sgd(learning_rate)


def reduced_gradient_descent(learning_rate: jax.Array | float, squared_norm: float) -> optax.GradientTransformation:
    """Gradient descent on (V, W), written on the reduced parameters (V, u, a).

    With w = W x~_N we have dL/dW = dL/dw x~_N^T, so a step of size eta on W moves w by eta |x~_N|^2 dL/dw,
    which is eta q dL/dw. u is a part of w and takes that step; a = P^T w[K:] takes it through P^T P = q I
    (Lemma E.5) once more:

      V -= eta dL/dV,  u -= eta q dL/du,  a -= eta q^2 dL/da,

    and a feed-forward layer takes the step that V takes.

    Args:
      learning_rate: eta, float scalar; may be traced.
      squared_norm: q, the squared norm of every positional embedding.
    """
    q = squared_norm
    factors = {"state_scores": q, "position_scores": q * q}

    def precondition(gradients, _):
        return gradients | {name: factor * gradients[name] for name, factor in factors.items()}

    return optax.chain(optax.stateless(precondition), optax.sgd(learning_rate))
