"""The exact reduction of the transformer to V, K state scores and N position scores.

W is only ever used as w = W x~_N, and x~_N = (0, p_N) is the same for every walk. With u = w[:K] and
a = P^T w[K:], the score of a token s at position j is u[s] + a_j, and that of the empty slot a_N.
Gradient descent on (V, W) closes on (V, u, a) (optimizer.reduced_gradient_descent), and W(t) - W(0) has
rank one and is rebuilt from (u, a).

At p = 0 and 1 the symmetric state of Theorem 4.1 is an equilibrium, but an unstable one: the first steps multiply a
difference between the weights of two tokens some 10- to 20-fold each (stability.py), so that the order of additions
decides what is learned. Here, quantities that are equal by symmetry are equal to the last bit:

  - sums over the tokens of one walk add exp(0) = 1 and 0 only, which is exact in any order;
  - sums over walks run along the last axis, by the same instructions for every position and every state;
  - products with the value matrix run over states in their order (apply_matrix).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from rw_jax.models.model import Output, Params, key_scales
from rw_jax.models.positions import sine_positions, squared_norm


class ReducedTransformer(nn.Module):
    """FullTransformer on its reduced parameters.

    Parameters: those of `values`; state_scores u, float[K]; position_scores a, float[N], the last for the empty slot.
    Scores start at zero; other starts are projections of full parameters (`project`).

    Attributes:
      values: what is made of the averaged token: ValueMatrix or FeedForward, with `apply_matrix` as product.
    """

    num_nodes: int
    walk_length: int
    position_width: int
    unit_length: str
    values: nn.Module

    def setup(self):
        nn.share_scope(self, self.values)  # all parameters by their names alone

    @nn.compact
    def __call__(self, tokens_LxB: jax.Array) -> Output:
        """Args: tokens_LxB, states 0..K-1 of B walks, of any integer type."""
        chex.assert_shape(tokens_LxB, (self.walk_length - 1, None))
        K, N = self.num_nodes, self.walk_length
        state_scores_K = self.param("state_scores", nn.initializers.zeros, (K,))
        position_scores_N = self.param("position_scores", nn.initializers.zeros, (N,))

        token_scale, empty_scale = key_scales(self.unit_length, self.position_width)
        scores = TokenScores(
            state_K=token_scale * state_scores_K,
            position_L=token_scale * position_scores_N[:-1],
            empty=empty_scale * position_scores_N[-1],
        )
        mixture = mix(scores, tokens_LxB)
        output_KxB = self.values(mixture.averaged_KxB)
        # The gradient of the output is mix's own; the attention is for looking at.
        attention_LxB = token_attention(*jax.lax.stop_gradient((scores, mixture)), tokens_LxB)
        return Output(output_KxB, attention_LxB, mixture.empty_B)


class TokenScores(NamedTuple):
    """Scores before softmax: state_K[k] + position_L[j] of state k at position j, and `empty` of the empty slot."""

    state_K: jax.Array
    position_L: jax.Array
    empty: jax.Array


class Mixture(NamedTuple):
    """What attention makes of each walk.

    Attributes:
      averaged_KxB: the averaged token X S.
      empty_B: weight of the empty slot.
      factor_B: what exp(score) relative to the largest u and the largest a is multiplied by to give a weight.
      is_safe: bool, whether those exponentials are the weights' digits; if not, they underflow in some walk.
    """

    averaged_KxB: jax.Array
    empty_B: jax.Array
    factor_B: jax.Array
    is_safe: jax.Array


@jax.custom_vjp
def mix(scores: TokenScores, tokens_LxB: jax.Array) -> Mixture:
    """Softmax attention; only `averaged_KxB` is to be differentiated.

    exp(u[s] + a_j) factors into exp(u[s]) exp(a_j), so that a walk enters through its sums of exp(a_j) by state alone,
    and no exponential of a token is ever taken. Where the largest u and the largest a do not meet in some walk and
    are so far from the rest that its factors underflow, the exponentials are taken token by token.
    """
    state_factor_K, position_factor_L, empty_score = _factors(scores)
    weights_KxB = state_factor_K[:, None] * sums_by_state(position_factor_L[:, None], tokens_LxB, len(state_factor_K))
    sums_B = functools.reduce(jnp.add, weights_KxB)
    factor_B, empty_B = _with_empty_slot(sums_B, empty_score)
    # A term that underflowed is smaller than `tiny`; next to a sum this large it is below rounding.
    info = jnp.finfo(sums_B.dtype)
    is_safe = jnp.min(sums_B) >= info.tiny / info.eps**2
    averaged_KxB, empty_B = _choose(
        is_safe,
        lambda mixed, scores, tokens_LxB: mixed,
        lambda mixed, scores, tokens_LxB: _mix_token_by_token(scores, tokens_LxB),
        ((weights_KxB * factor_B, empty_B), scores, tokens_LxB),
    )
    return Mixture(averaged_KxB, empty_B, factor_B, is_safe)


def _mix_token_by_token(scores: TokenScores, tokens_LxB: jax.Array) -> tuple[jax.Array, jax.Array]:
    attention_LxB, empty_B = _softmax(scores, tokens_LxB)
    return sums_by_state(attention_LxB, tokens_LxB, len(scores.state_K)), empty_B


def _mix_forward(scores, tokens_LxB):
    mixture = mix.fun(scores, tokens_LxB)  # not mix itself, so that a gradient can be differentiated forward once more
    return mixture, (scores, tokens_LxB, mixture)


def _mix_backward(residuals, gradient):
    scores, tokens_LxB, mixture = residuals
    # The derivative of a softmax: each slot's weight times how far its gradient lies above the weighted mean.
    mean_B = functools.reduce(jnp.add, mixture.averaged_KxB * gradient.averaged_KxB)
    excess_KxB = gradient.averaged_KxB - mean_B

    def by_factors(scores, factor_B, excess_KxB, tokens_LxB):
        state_factor_K, position_factor_L, _ = _factors(scores)
        excess_LxB = look_up(state_factor_K[:, None] * factor_B * excess_KxB, tokens_LxB)
        return position_factor_L * jnp.sum(excess_LxB, axis=1)

    def token_by_token(scores, factor_B, excess_KxB, tokens_LxB):
        return jnp.sum(_softmax(scores, tokens_LxB)[0] * look_up(excess_KxB, tokens_LxB), axis=1)

    operands = (scores, mixture.factor_B, excess_KxB, tokens_LxB)
    scores_gradient = TokenScores(
        state_K=jnp.sum(mixture.averaged_KxB * excess_KxB, axis=1),
        position_L=_choose(mixture.is_safe, by_factors, token_by_token, operands),
        empty=-jnp.sum(mixture.empty_B * mean_B),
    )
    return scores_gradient, None


mix.defvjp(_mix_forward, _mix_backward)


def token_attention(scores: TokenScores, mixture: Mixture, tokens_LxB: jax.Array) -> jax.Array:
    """Attention weights of the tokens, float[L, B]."""

    def by_factors(scores, mixture, tokens_LxB):
        state_factor_K, position_factor_L, _ = _factors(scores)
        return position_factor_L[:, None] * look_up(state_factor_K[:, None] * mixture.factor_B, tokens_LxB)

    def token_by_token(scores, mixture, tokens_LxB):
        return _softmax(scores, tokens_LxB)[0]

    return _choose(mixture.is_safe, by_factors, token_by_token, (scores, mixture, tokens_LxB))


def _choose(is_safe: jax.Array, fast: Callable[..., Any], slow: Callable[..., Any], operands: tuple[Any, ...]) -> Any:
    """Computes fast(*operands) if is_safe, else slow(*operands).

    vmap makes a `cond` compute both branches always. Here a batch computes the slow branch only if one of its
    runs needs it, and each run gets the branch that it would get alone.
    """

    @jax.custom_batching.custom_vmap
    def choose(is_safe, operands):
        return jax.lax.cond(is_safe, fast, slow, *operands)

    @choose.def_vmap
    def choose_in_batch(axis_size, in_batched, is_safe, operands):
        is_safe_batched, operands_batched = in_batched
        in_axes = jax.tree.map(lambda batched: 0 if batched else None, operands_batched)
        fast_batch = jax.vmap(fast, in_axes, axis_size=axis_size)
        slow_batch = jax.vmap(slow, in_axes, axis_size=axis_size)

        def each_its_own(*operands):
            select = jax.vmap(lambda is_safe, *leaves: jnp.where(is_safe, *leaves))
            return jax.tree.map(lambda *leaves: select(is_safe, *leaves), fast_batch(*operands), slow_batch(*operands))

        if is_safe_batched:
            chosen = jax.lax.cond(jnp.all(is_safe), fast_batch, each_its_own, *operands)
        else:
            chosen = jax.lax.cond(is_safe, fast_batch, slow_batch, *operands)
        return chosen, jax.tree.map(lambda _: True, chosen)

    return choose(is_safe, operands)


def _factors(scores: TokenScores) -> tuple[jax.Array, jax.Array, jax.Array]:
    """exp(u) and exp(a), each relative to its largest, and the empty slot's score relative to both."""
    largest_u, largest_a = jnp.max(scores.state_K), jnp.max(scores.position_L)
    state_factor_K, position_factor_L = jnp.exp(scores.state_K - largest_u), jnp.exp(scores.position_L - largest_a)
    return state_factor_K, position_factor_L, scores.empty - largest_u - largest_a


def _softmax(scores: TokenScores, tokens_LxB: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Attention weights of the tokens, float[L, B], token by token, and of the empty slot, float[B]."""
    scores_LxB = look_up(scores.state_K, tokens_LxB) + scores.position_L[:, None]
    # The largest token score is subtracted, not the largest of all: tokens with equal scores weigh exp(0) = 1 each,
    # and their sums are exact. The empty slot comes in by a common factor.
    largest_B = jnp.max(scores_LxB, axis=0)
    weights_LxB = jnp.exp(scores_LxB - largest_B)
    factor_B, empty_B = _with_empty_slot(jnp.sum(weights_LxB, axis=0), scores.empty - largest_B)
    return weights_LxB * factor_B, empty_B


def _with_empty_slot(sums_B: jax.Array, empty_score_B: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What token weights of these sums are multiplied by, and the weight of an empty slot of this score beside them."""
    shift_B = jnp.maximum(empty_score_B, 0)
    token_factor_B, empty_B = jnp.exp(-shift_B), jnp.exp(empty_score_B - shift_B)
    normalizer_B = token_factor_B * sums_B + empty_B
    return token_factor_B / normalizer_B, empty_B / normalizer_B


def look_up(table: jax.Array, tokens_LxB: jax.Array) -> jax.Array:
    """table[tokens], float[L, B], for a table of shape [K] or [K, B], as K - 1 selections instead of a gather."""
    rows, bit = list(table), 1
    while len(rows) > 1:  # each bit of a token halves the rows that are left
        is_odd_LxB = tokens_LxB & bit != 0
        last = rows[-1:] if len(rows) % 2 else []
        rows = [jnp.where(is_odd_LxB, odd, even) for even, odd in zip(rows[::2], rows[1::2], strict=False)] + last
        bit *= 2
    return jnp.broadcast_to(rows[0], tokens_LxB.shape)


def sums_by_state(weights: jax.Array, tokens_LxB: jax.Array, num_nodes: int) -> jax.Array:
    """Sum of the weights of each walk's tokens of each state, float[K, B], for weights of shape [L, 1] or [L, B]."""
    # A CPU keeps the sums in cache and passes over the tokens once; an accelerator fuses each sum and passes K times.
    return jax.lax.platform_dependent(
        weights,
        tokens_LxB,
        cpu=functools.partial(_sums_position_by_position, num_nodes=num_nodes),
        default=functools.partial(_sums_state_by_state, num_nodes=num_nodes),
    )


def _sums_position_by_position(weights: jax.Array, tokens_LxB: jax.Array, num_nodes: int) -> jax.Array:
    states_Kx1 = jnp.arange(num_nodes, dtype=tokens_LxB.dtype)[:, None]

    def add(j, sums_KxB):
        weight, tokens_B = (jax.lax.dynamic_index_in_dim(array, j, keepdims=False) for array in (weights, tokens_LxB))
        return jnp.where(tokens_B == states_Kx1, sums_KxB + weight, sums_KxB)

    def add_two(i, sums_KxB):  # half as many passes over the sums; with more than three, XLA makes no vectors of them
        return add(2 * i + 1, add(2 * i, sums_KxB))

    L, B = tokens_LxB.shape
    sums_KxB = jax.lax.fori_loop(0, L // 2, add_two, jnp.zeros((num_nodes, B), weights.dtype))
    return add(L - 1, sums_KxB) if L % 2 else sums_KxB


def _sums_state_by_state(weights: jax.Array, tokens_LxB: jax.Array, num_nodes: int) -> jax.Array:
    return jnp.stack([jnp.sum(jnp.where(tokens_LxB == k, weights, 0), axis=0) for k in range(num_nodes)])


@jax.custom_vjp
def apply_matrix(matrix_HxK: jax.Array, vectors_KxB: jax.Array) -> jax.Array:
    """The product matrix @ vectors, float[H, B], with sums over columns in their order, in its gradient too.

    A library may compute the last rows and columns of a matrix product by other instructions than the rest.
    """
    terms_HxB = (matrix_HxK[:, k, None] * vectors_KxB[k] for k in range(matrix_HxK.shape[1]))
    return functools.reduce(jnp.add, terms_HxB)


def _apply_matrix_forward(matrix_HxK, vectors_KxB):
    return apply_matrix.fun(matrix_HxK, vectors_KxB), (matrix_HxK, vectors_KxB)


def _apply_matrix_backward(residuals, gradient_HxB):
    matrix_HxK, vectors_KxB = residuals
    matrix_gradient_HxK = jnp.sum(gradient_HxB[:, None] * vectors_KxB, axis=2)
    return matrix_gradient_HxK, apply_matrix.fun(matrix_HxK.T, gradient_HxB)


apply_matrix.defvjp(_apply_matrix_forward, _apply_matrix_backward)


def project(full: Params, walk_length: int) -> Params:
    """The reduced parameters of full ones: u = (W x~_N)[:K] and a = P^T (W x~_N)[K:].

    Args:
      full: value, readout if there is one, and key_query, float[D, D].
      walk_length: N.
    """
    values, key_query_DxD = _split(full)
    K = values["value"].shape[1]
    positions_NxM = jnp.asarray(sine_positions(walk_length, key_query_DxD.shape[0] - K), key_query_DxD.dtype)
    weighted_query_D = key_query_DxD[:, K:] @ positions_NxM[-1]
    return {
        **values,
        "state_scores": weighted_query_D[:K],
        "position_scores": positions_NxM @ weighted_query_D[K:],
    }


def rebuild(reduced: Params, start: Params) -> Params:
    """The full parameters at a later step from reduced ones and the full parameters that training started from.

    W(t) - W(0) = (w(t) - w(0)) x~_N^T / q, and w(t) - w(0) = (u(t) - u(0), P (a(t) - a(0)) / q), because gradient
    descent moves W only along x~_N on the right and in the span of the tokens and positions on the left.

    Args:
      reduced: parameters at step t: value, readout if there is one, state_scores, position_scores.
      start: full parameters at step 0, as of `project`.
    """
    _, start_DxD = _split(start)
    K, N = reduced["state_scores"].shape[0], reduced["position_scores"].shape[0]
    position_width = start_DxD.shape[0] - K
    q = squared_norm(position_width)
    reduced_start = project(start, N)
    positions_NxM = jnp.asarray(sine_positions(N, position_width), start_DxD.dtype)
    moved_u_K, moved_a_N = (reduced[name] - reduced_start[name] for name in ("state_scores", "position_scores"))
    moved_w_D = jnp.concatenate([moved_u_K, moved_a_N @ positions_NxM / q])
    moved_key_query_DxM = jnp.outer(moved_w_D, positions_NxM[-1] / q)
    values = {name: leaf for name, leaf in reduced.items() if name not in ("state_scores", "position_scores")}
    return {**values, "key_query": jnp.asarray(start_DxD).at[:, K:].add(moved_key_query_DxM)}


def _split(full: Params) -> tuple[Params, jax.Array]:
    """The parameters that both forms have, and W."""
    return {name: leaf for name, leaf in full.items() if name != "key_query"}, full["key_query"]
