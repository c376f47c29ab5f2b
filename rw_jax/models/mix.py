"""Softmax attention on scores u[s] + a_j, by factors: no exponential of a token is taken unless factors underflow."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rw_jax.models.classes import Classes
from rw_jax.models.sums import in_order, look_up, sums_by_state, sums_of_looked_up


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
def mix(scores: TokenScores, tokens_LxB: jax.Array | Classes) -> Mixture:
    """Softmax attention; only `averaged_KxB` is to be differentiated.

    exp(u[s] + a_j) factors into exp(u[s]) exp(a_j), so that a walk enters through its sums of exp(a_j) by state alone,
    and no exponential of a token is ever taken. Where the largest u and the largest a do not meet in some walk and
    are so far from the rest that its factors underflow, the exponentials are taken token by token.

    Args:
      scores: of states, positions and the empty slot.
      tokens_LxB: the tokens of the walks; or their classes, by the positions where `tells_apart` is true.
    """
    # Positions whose sum is lost to rounding are passed over here, but not where a gradient is wanted (_mix_forward):
    # an entry of V that no other position moves is not to stand still.
    return _mix(scores, tokens_LxB, _eps(scores) / 4)


def _mix(scores: TokenScores, tokens_LxB: jax.Array | Classes, passed_over: float) -> Mixture:
    """`mix` without the positions that are such a share of any sum, together."""
    state_factor_K, position_factor_L, empty_score = _factors(scores)
    if isinstance(tokens_LxB, Classes):
        sums_KxB = jnp.tensordot(position_factor_L, tokens_LxB.shares_LxKxC, 1)
    else:
        summed_L = jnp.where(_matters(state_factor_K, position_factor_L, passed_over), position_factor_L, 0)
        sums_KxB = sums_by_state(summed_L, tokens_LxB, len(state_factor_K))
    weights_KxB = state_factor_K[:, None] * sums_KxB
    sums_B = functools.reduce(jnp.add, weights_KxB)
    factor_B, empty_B = _with_empty_slot(sums_B, empty_score)
    # A term that underflowed is smaller than `tiny`; next to a sum this large it is below rounding.
    info = jnp.finfo(sums_B.dtype)
    is_safe = jnp.min(sums_B) >= info.tiny / info.eps**2
    if isinstance(tokens_LxB, Classes):
        return Mixture(weights_KxB * factor_B, empty_B, factor_B, is_safe)
    averaged_KxB, empty_B = _choose(
        is_safe,
        lambda mixed, scores, tokens_LxB: mixed,
        lambda mixed, scores, tokens_LxB: _mix_token_by_token(scores, tokens_LxB),
        ((weights_KxB * factor_B, empty_B), scores, tokens_LxB),
    )
    return Mixture(averaged_KxB, empty_B, factor_B, is_safe)


def tells_apart(scores: TokenScores) -> jax.Array:
    """bool[L], of each position, whether it weighs enough to tell walks apart (`models.classes`).

    All positions where this is false add less to the sum of any walk, together, than half the square root of `eps`
    times that.
    """
    state_factor_K, position_factor_L, _ = _factors(scores)
    return _matters(state_factor_K, position_factor_L, _eps(scores) ** 0.5 / 2)


def _eps(scores: TokenScores) -> float:
    return float(jnp.finfo(scores.position_L.dtype).eps)


def _matters(state_factor_K: jax.Array, position_factor_L: jax.Array, share: float) -> jax.Array:
    """bool[L]: all positions where this is false are less than this share of the sum of any walk, together.

    Relative to the largest a and the largest u, a sum is at least the walk's token at the position with the largest a,
    which is at least the smallest factor of a state.
    """
    info, least = jnp.finfo(position_factor_L.dtype), jnp.min(state_factor_K)
    # Where factors of states underflow, the exponentials are needed token by token.
    is_known = least >= info.tiny / info.eps**2
    return ~is_known | ~(position_factor_L <= least * share / len(position_factor_L))  # NaN matters


def _mix_token_by_token(scores: TokenScores, tokens_LxB: jax.Array) -> tuple[jax.Array, jax.Array]:
    attention_LxB, empty_B = softmax(scores, tokens_LxB)
    return sums_by_state(attention_LxB, tokens_LxB, len(scores.state_K)), empty_B


def _mix_forward(scores, tokens_LxB):
    mixture = _mix(scores, tokens_LxB, 0)  # not mix itself, so that a gradient can be differentiated forward once more
    return mixture, (scores, tokens_LxB, mixture)


def _mix_backward(residuals, gradient):
    scores, tokens_LxB, mixture = residuals
    # The derivative of a softmax: each slot's weight times how far its gradient lies above the weighted mean.
    mean_B = functools.reduce(jnp.add, mixture.averaged_KxB * gradient.averaged_KxB)
    excess_KxB = gradient.averaged_KxB - mean_B

    def by_factors(scores, factor_B, excess_KxB, tokens_LxB):
        state_factor_K, position_factor_L, _ = _factors(scores)
        table_KxB = state_factor_K[:, None] * factor_B * excess_KxB
        return position_factor_L * sums_of_looked_up(table_KxB, tokens_LxB)

    def token_by_token(scores, factor_B, excess_KxB, tokens_LxB):
        return jnp.sum(softmax(scores, tokens_LxB)[0] * look_up(excess_KxB, tokens_LxB), axis=1)

    def of_classes(scores, factor_C, excess_KxC, classes):
        state_factor_K, position_factor_L, _ = _factors(scores)
        table_KxC = state_factor_K[:, None] * factor_C * excess_KxC
        return position_factor_L * jnp.tensordot(classes.shares_LxKxC, table_KxC, 2)

    operands = (scores, mixture.factor_B, excess_KxB, tokens_LxB)
    scores_gradient = TokenScores(
        state_K=jnp.sum(mixture.averaged_KxB * excess_KxB, axis=1),
        position_L=(
            of_classes(*operands)
            if isinstance(tokens_LxB, Classes)
            else _choose(mixture.is_safe, by_factors, token_by_token, operands)
        ),
        empty=-jnp.sum(mixture.empty_B * mean_B),
    )
    return scores_gradient, None


mix.defvjp(_mix_forward, _mix_backward)


def token_attention(scores: TokenScores, mixture: Mixture, tokens_LxB: jax.Array) -> jax.Array:
    """Attention weights of the tokens, float[L, B]."""

    def token_by_token(scores, mixture, tokens_LxB):
        return softmax(scores, tokens_LxB)[0]

    return _choose(mixture.is_safe, _attention_by_factors, token_by_token, (scores, mixture, tokens_LxB))


def _attention_by_factors(scores: TokenScores, mixture: Mixture, tokens_LxB: jax.Array) -> jax.Array:
    state_factor_K, position_factor_L, _ = _factors(scores)
    return position_factor_L[:, None] * look_up(state_factor_K[:, None] * mixture.factor_B, tokens_LxB)


def attention_spread(scores: TokenScores, mixture: Mixture, tokens_LxB: jax.Array) -> jax.Array:
    """Largest minus smallest attention weight of the tokens of each walk, float[B]."""

    def of_all(attention_LxB):
        return jnp.max(attention_LxB, axis=0) - jnp.min(attention_LxB, axis=0)

    def by_factors(scores, mixture, tokens_LxB):
        # A CPU looks at few positions, one after another; an accelerator at all of them at once.
        return jax.lax.platform_dependent(
            scores, mixture, tokens_LxB, cpu=of_few, default=lambda *each: of_all(_attention_by_factors(*each))
        )

    def of_few(scores, mixture, tokens_LxB):
        state_factor_K, position_factor_L, _ = _factors(scores)
        table_KxB = state_factor_K[:, None] * mixture.factor_B
        # Another position than these has no token of any state that is the largest, or the smallest.
        ratio = 0.99 * jnp.min(state_factor_K)
        most, least = jnp.max(position_factor_L), jnp.min(position_factor_L)
        can_be_largest_L = position_factor_L >= ratio * most
        # A smallest weight that is lost to rounding beside the largest may as well be 0.
        is_lost = least <= ratio * most * _eps(scores) / 4
        can_be_smallest_L = (ratio * position_factor_L <= least) & ~is_lost
        order, number = in_order(can_be_largest_L | can_be_smallest_L)

        def look_at(i, extremes):
            largest_B, smallest_B = extremes
            factor, tokens_B = (
                jax.lax.dynamic_index_in_dim(array, order[i], keepdims=False)
                for array in (position_factor_L, tokens_LxB)
            )
            weights_B = factor * look_up(table_KxB, tokens_B[None])[0]
            return jnp.maximum(largest_B, weights_B), jnp.minimum(smallest_B, weights_B)

        blank_B = jnp.zeros_like(mixture.factor_B)
        largest_B, smallest_B = jax.lax.fori_loop(
            0, number, look_at, (blank_B, blank_B + jnp.where(is_lost, 0, jnp.inf))
        )
        return largest_B - smallest_B

    def token_by_token(scores, mixture, tokens_LxB):
        return of_all(softmax(scores, tokens_LxB)[0])

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


def softmax(scores: TokenScores, tokens_LxB: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Attention weights of the tokens, float[L, B], token by token, and of the empty slot, float[B]."""
    scores_LxB = look_up(scores.state_K, tokens_LxB) + scores.position_L[:, None]
    # The largest token score is subtracted, not the largest of all: tokens with equal scores weigh exp(0) = 1 each,
    # and their sums are exact. The empty slot comes in by a common factor.
    largest_B = jnp.maximum(jnp.max(scores_LxB, axis=0), jnp.finfo(scores_LxB.dtype).min)  # all tokens may be missing
    weights_LxB = jnp.exp(scores_LxB - largest_B)
    factor_B, empty_B = _with_empty_slot(jnp.sum(weights_LxB, axis=0), scores.empty - largest_B)
    return weights_LxB * factor_B, empty_B


def _with_empty_slot(sums_B: jax.Array, empty_score_B: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What token weights of these sums are multiplied by, and the weight of an empty slot of this score beside them."""
    shift_B = jnp.maximum(empty_score_B, 0)
    token_factor_B, empty_B = jnp.exp(-shift_B), jnp.exp(empty_score_B - shift_B)
    normalizer_B = token_factor_B * sums_B + empty_B
    return token_factor_B / normalizer_B, empty_B / normalizer_B
