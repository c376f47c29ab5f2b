"""The exact reduction of the transformer to V, K state scores and N position scores.

W is only ever used as w = W x~_N, and x~_N = (0, p_N) is the same for every walk. With u = w[:K] and
a = P^T w[K:], the score of a token s at position j is u[s] + a_j, and that of the empty slot a_N.
Gradient descent on (V, W) closes on (V, u, a) (`precondition`), and W(t) - W(0) has
rank one and is rebuilt from (u, a).

At p = 0 and 1 the symmetric state of Theorem 4.1 is an equilibrium, but an unstable one: the first steps multiply a
difference between the weights of two tokens some 10- to 20-fold each (analysis.stability), so that the order of
additions decides what is learned. Here, quantities that are equal by symmetry are equal to the last bit:

  - sums over the tokens of one walk add exp(0) = 1 and 0 only, which is exact in any order;
  - sums over walks run along the last axis, by the same instructions for every position and every state;
  - products with the value matrix run over states in their order (apply_matrix).
"""

from collections.abc import Callable
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.models import Lift, Lifts, Model, Output, Params
from rw_jax.models.full import full_transformer
from rw_jax.models.mix import TokenScores, mix, token_attention
from rw_jax.models.positions import key_scales, sine_positions, squared_norm
from rw_jax.models.sums import apply_matrix
from rw_jax.models.values import make_values


def reduced_transformer(
    num_nodes: int,
    walk_length: int,
    position_width: int,
    unit_length: str,
    feed_forward_width: int,
    init: str,
    init_place: str = "both",
    has_gaps: bool = False,
) -> Model:
    """The model on its reduced parameters; it starts from the projection of where the full one starts.

    Args: as of full_transformer.
    """
    sizes = (num_nodes, walk_length, position_width)
    full = full_transformer(*sizes, unit_length, feed_forward_width, init, init_place, has_gaps)
    values_of_tokens = make_values(feed_forward_width, nn.initializers.zeros, apply_matrix)
    module = ReducedTransformer(*sizes, unit_length, values_of_tokens, has_gaps)

    def apply(params: Params, tokens_LxB: jax.Array) -> Any:
        return module.apply({"params": params}, tokens_LxB)

    return Model(
        init=lambda key, values: project(full.init(key, values), walk_length),
        apply=apply,
        value=full.value,
        value_is_output=full.value_is_output,
        precondition=precondition(squared_norm(position_width)),
        to_full=lambda params, key, values: rebuild(params, full.init(key, values)),
        lifts=Lifts(by_rotations(squared_norm(position_width)), by_entries(*sizes)),
        has_gaps=has_gaps,
    )


def precondition(squared_norm: float) -> Callable[[Params], Params]:
    """What makes gradient descent on the reduced parameters (V, u, a) that on (V, W), as a map of the gradients.

    With w = W x~_N we have dL/dW = dL/dw x~_N^T, so a step of size eta on W moves w by eta |x~_N|^2 dL/dw, which is
    eta q dL/dw. u is a part of w and takes that step; a = P^T w[K:] takes it through P^T P = q I (Lemma E.5) once more:

      V -= eta dL/dV,  u -= eta q dL/du,  a -= eta q^2 dL/da,

    and a feed-forward layer takes the step that V takes. The map is fixed and linear, so it commutes with every
    optimizer whose updates are linear in the gradients, and with no other.

    Args:
      squared_norm: q, the squared norm of every positional embedding.
    """
    factors = {"state_scores": squared_norm, "position_scores": squared_norm * squared_norm}
    return lambda gradients: gradients | {name: factor * gradients[name] for name, factor in factors.items()}


def by_rotations(squared_norm: float) -> Lift:
    """How optimizers that commute with rotations of W are applied: those that look at its singular values alone.

    The gradient dL/dw x~_N^T has rank one, and dL/dw lies in the span of the tokens and of the orthogonal positions. In
    a basis in which these and x~_N are axes, W is one column, with q^(1/2) dL/du and q dL/da for its gradient, and
    moves u by q^(1/2) and a by q times its updates.

    Args:
      squared_norm: q, as of `precondition`.
    """
    factors = {"state_scores": squared_norm**0.5, "position_scores": squared_norm}

    def up(gradients: Params) -> Params:
        values = {name: leaf for name, leaf in gradients.items() if name not in factors}
        column_D = jnp.concatenate([factor * gradients[name] for name, factor in factors.items()])
        return {**values, "key_query": column_D[:, None]}

    def down(updates: Params) -> Params:
        values, column_Dx1 = _split(updates)
        K = values["value"].shape[1]
        states_K, positions_N = column_Dx1[:K, 0], column_Dx1[K:, 0]
        moved = {"state_scores": states_K, "position_scores": positions_N}
        return values | {name: factors[name] * leaf for name, leaf in moved.items()}

    return Lift(up, down)


def by_entries(num_nodes: int, walk_length: int, position_width: int) -> Lift:
    """How optimizers are applied that look at each entry of W by itself, whatever its scale: sign, Adam with eps = 0.

    Their update of the entry dL/dw_i x~_Nj is that of dL/dw_i times the sign of x~_Nj. So w = W x~_N moves by its own
    update times |x~_N|_1, and a by P times that of its part at positions: for these w itself is needed, of the width of
    an embedding.

    Args: as of reduced_transformer.
    """
    positions_NxM = sine_positions(walk_length, position_width)
    norm = float(np.sum(np.abs(positions_NxM[-1])))

    def up(gradients: Params) -> Params:
        values = {name: leaf for name, leaf in gradients.items() if name not in ("state_scores", "position_scores")}
        of_positions_N = gradients["position_scores"]
        of_positions_M = of_positions_N @ jnp.asarray(positions_NxM, of_positions_N.dtype)
        return {**values, "key_query": jnp.concatenate([gradients["state_scores"], of_positions_M])}

    def down(updates: Params) -> Params:
        values, moved_D = _split(updates)
        moved_D = norm * moved_D
        return {
            **values,
            "state_scores": moved_D[:num_nodes],
            "position_scores": jnp.asarray(positions_NxM, moved_D.dtype) @ moved_D[num_nodes:],
        }

    return Lift(up, down)


class ReducedTransformer(nn.Module):
    """FullTransformer on its reduced parameters.

    Parameters: those of `values`; state_scores u, float[K]; position_scores a, float[N], the last for the empty slot.
    Scores start at zero; other starts are projections of full parameters (`project`).

    Attributes:
      values: what is made of the averaged token: ValueMatrix or FeedForward, with `apply_matrix` as product.
      has_gaps: as of FullTransformer.
    """

    num_nodes: int
    walk_length: int
    position_width: int
    unit_length: str
    values: nn.Module
    has_gaps: bool = False

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
        of_states_K = token_scale * state_scores_K
        scores = TokenScores(
            # A token that is missing is one more state, which weighs nothing.
            state_K=jnp.append(of_states_K, -jnp.inf) if self.has_gaps else of_states_K,
            position_L=token_scale * position_scores_N[:-1],
            empty=empty_scale * position_scores_N[-1],
        )
        mixture = mix(scores, tokens_LxB)
        output_KxB = self.values(mixture.averaged_KxB[:K])
        # The gradient of the output is mix's own; the attention is for looking at.
        attention_LxB = token_attention(*jax.lax.stop_gradient((scores, mixture)), tokens_LxB)
        return Output(output_KxB, attention_LxB, mixture.empty_B)


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
