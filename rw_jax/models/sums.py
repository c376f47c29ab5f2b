"""Sums over walks and states, and look-ups, in orders that keep equal what is equal by symmetry, to the last bit.

Sums over walks run along the last axis, by the same instructions for every position and every state; products with the
value matrix run over states in their order. A gather, a scatter or a matrix product would not do.
"""

import functools

import jax
import jax.numpy as jnp


def pack(tokens_LxB: jax.Array, num_nodes: int) -> jax.Array:
    """Tokens 0..K, K for one that is missing, in the smallest type that holds them, as everything here takes them.

    To read them is most of what a step costs. JAX keeps the type in `tokens + 99`, and wraps: they are for here alone.
    """
    return tokens_LxB.astype(jnp.int8 if num_nodes <= jnp.iinfo(jnp.int8).max else jnp.int32)


def look_up(table: jax.Array, tokens_LxB: jax.Array) -> jax.Array:
    """table[tokens], float[L, B], for a table of shape [K] or [K, B], as K - 1 selections instead of a gather."""
    rows, bit = list(table), 1
    while len(rows) > 1:  # each bit of a token halves the rows that are left
        is_odd_LxB = tokens_LxB & bit != 0
        last = rows[-1:] if len(rows) % 2 else []
        rows = [jnp.where(is_odd_LxB, odd, even) for even, odd in zip(rows[::2], rows[1::2], strict=False)] + last
        bit *= 2
    return jnp.broadcast_to(rows[0], tokens_LxB.shape)


def sums_of_looked_up(table_KxB: jax.Array, tokens_LxB: jax.Array) -> jax.Array:
    """The sum of table[tokens] over walks, float[L]."""
    # Without the barrier an accelerator would make the table anew for each token.
    return jnp.sum(look_up(jax.lax.optimization_barrier(table_KxB), tokens_LxB), axis=1)


def sums_by_state(weights: jax.Array, tokens_LxB: jax.Array, num_nodes: int) -> jax.Array:
    """Sum of the weights of each walk's tokens of each state, float[K, B], for weights of shape [L] or [L, B].

    Positions are added one after another. Of weights of positions alone, a run that is trained alone passes over those
    that are 0; such sums can be differentiated forward only.
    """
    sums = functools.partial(_sums_in_rounds, num_nodes=num_nodes)
    return jax.lax.platform_dependent(
        weights,
        tokens_LxB,
        cpu=functools.partial(sums, positions_a_round=_ON_CPU),
        default=functools.partial(sums, positions_a_round=_ON_ACCELERATORS),
    )


_ON_CPU = 2
"""The sums stay in cache from round to round; with more than three positions, XLA makes no vectors of them."""
_ON_ACCELERATORS = 8
"""Every round reads the sums from memory and writes them back; with more positions there is more to compile."""


def _sums_in_rounds(weights: jax.Array, tokens_LxB: jax.Array, num_nodes: int, positions_a_round: int) -> jax.Array:
    L, B = tokens_LxB.shape
    states_Kx1 = jnp.arange(num_nodes, dtype=tokens_LxB.dtype)[:, None]
    padded = jnp.pad(weights, [(0, 1), *[(0, 0)] * (weights.ndim - 1)])
    order, number = in_order(weights != 0) if weights.ndim == 1 else (jnp.arange(L + 1), L)

    def add(i, sums_KxB):
        # Indices beyond the last position are those of the padding, which weighs 0.
        j = jax.lax.dynamic_index_in_dim(order, i, keepdims=False)
        weight, tokens_B = (jax.lax.dynamic_index_in_dim(array, j, keepdims=False) for array in (padded, tokens_LxB))
        return jnp.where(tokens_B == states_Kx1, sums_KxB + weight, sums_KxB)

    def add_some(r, sums_KxB):
        for i in range(positions_a_round):
            sums_KxB = add(positions_a_round * r + i, sums_KxB)
        return sums_KxB

    num_rounds = (number + positions_a_round - 1) // positions_a_round
    return jax.lax.fori_loop(0, num_rounds, add_some, jnp.zeros((num_nodes, B), weights.dtype))


@jax.custom_batching.custom_vmap
def in_order(counts_L: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The positions that count, int32[L + 1], with L behind them, and their number; in a batch of runs all of them."""
    L = len(counts_L)
    order = jnp.nonzero(counts_L, size=L + 1, fill_value=L)[0].astype(jnp.int32)
    return order, jnp.sum(counts_L, dtype=jnp.int32)


@in_order.def_vmap
def _all_of_them(axis_size, in_batched, counts_L):
    del axis_size, in_batched  # the runs of a batch go through their loops together
    L = counts_L.shape[-1]
    return (jnp.arange(L + 1, dtype=jnp.int32), jnp.int32(L)), (False, False)


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
