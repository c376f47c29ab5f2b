"""The expected accuracy over all walks where attention is all but one-hot: a finite sum over the states of one token.

If a walk has the weight w on the token s_j and rho w on all other slots together, its output is w (V[:, s_j] + r) with
|r_y - r_z| <= rho max_s (max V[:, s] - min V[:, s]). So only those y can be predicted that lie that close to the
largest entry of the column s_j of V. Where what they are worth, P(s_N = y | s_j), is the same, the expected accuracy is

    sum_s P(s_j = s) P(s_N = y(s) | s_j = s),

whatever the walks. A mean over test walks cannot tell it: at p = 0.999 the accuracy of lag 2 is 0.001 below that of the
parent, one of a thousand walks.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rw_jax.models import Scores
from rw_jax.tasks import Law

SURE = 1e-6
"""An accuracy that is known up to this is exact."""


class TokenLaws(NamedTuple):
    """What a chain says of each token of a walk, made once a run.

    Attributes:
      states_LxK: the law of the state at each position.
      squares: Pi, Pi^2, Pi^4 and so on, float[K, K] each, up to the number of tokens.
      target_KxK: the law of the target, row = the last token.
    """

    states_LxK: jax.Array
    squares: tuple[jax.Array, ...]
    target_KxK: jax.Array

    @property
    def optimum(self) -> jax.Array:
        """The largest expected accuracy there is, float scalar: that of the true law of the target."""
        return jnp.sum(self.states_LxK[-1] * jnp.max(self.target_KxK, axis=1))

    def ahead(self, steps: jax.Array) -> jax.Array:
        """The law of the target, float[K, K], row = the state so many steps before the last token."""
        ahead_KxK = self.target_KxK
        for bit, square_KxK in enumerate(self.squares):
            ahead_KxK = jnp.where((steps >> bit) & 1 == 1, _product(square_KxK, ahead_KxK), ahead_KxK)
        return ahead_KxK


def _product(left: jax.Array, right: jax.Array) -> jax.Array:
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def token_laws(law: Law, num_tokens: int) -> TokenLaws:
    """The laws of L tokens of a chain."""

    def step(states_K: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        later_K = _product(states_K, law.transition_KxK)
        return later_K / jnp.sum(later_K), states_K  # so that no rounding adds up

    _, states_LxK = jax.lax.scan(step, law.start_K, None, num_tokens)
    squares = [law.transition_KxK]
    while 2 ** len(squares) < num_tokens:
        squares.append(_product(squares[-1], squares[-1]))
    return TokenLaws(states_LxK, tuple(squares), law.target_KxK)


def exact_accuracy(value_KxK: jax.Array, scores: Scores, laws: TokenLaws) -> jax.Array:
    """The expected accuracy of f = V X S over all walks, float scalar; NaN where attention is too spread to tell it.

    Args:
      value_KxK: V.
      scores: of one head.
      laws: of the tokens.
    """
    u_K, a_L, empty = scores.state_K, scores.position_N[:-1], scores.position_N[-1]
    token = jnp.argmax(a_L)
    others_L = jnp.where(jnp.arange(len(a_L)) == token, -jnp.inf, a_L)
    log_others = jnp.logaddexp(jax.nn.logsumexp(others_L) + jnp.max(u_K), empty)
    rho_K = jnp.exp(log_others - a_L[token] - u_K)  # by the state of the token
    spread = jnp.max(jnp.max(value_KxK, axis=0) - jnp.min(value_KxK, axis=0))
    rounding = 32 * jnp.finfo(value_KxK.dtype).eps * jnp.max(jnp.abs(value_KxK))
    least_KxK = jnp.max(value_KxK, axis=0) - rho_K * spread - rounding
    can_be_KxK = ~(value_KxK < least_KxK)  # row = predicted; all, where weights are too large or V is not finite
    worth_KxK = laws.ahead(len(a_L) - 1 - token).T
    least_K = jnp.min(jnp.where(can_be_KxK, worth_KxK, jnp.inf), axis=0)
    most_K = jnp.max(jnp.where(can_be_KxK, worth_KxK, -jnp.inf), axis=0)
    states_K = laws.states_LxK[token]
    is_sure = jnp.sum(states_K * (most_K - least_K)) <= SURE
    return jnp.where(is_sure, jnp.sum(states_K * least_K), jnp.nan)
