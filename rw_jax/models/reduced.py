"""The exact reduction of the transformer to V, K state scores and N position scores, of each head.

W is only ever used as w = W x~_N, and x~_N = (0, p_N) is the same for every walk. With u = w[:K] and
a = P^T w[K:], the score of a token s at position j is u[s] + a_j, and that of the empty slot a_N.
Gradient descent on (V, W) closes on (V, u, a) (`precondition`), and W(t) - W(0) has
rank one and is rebuilt from (u, a). So it does for any embeddings that training does not change (`Embeddings`).

At p = 0 and 1 the symmetric state of Theorem 4.1 is an equilibrium, but an unstable one: the first steps multiply a
difference between the weights of two tokens some 10- to 20-fold each (analysis.stability), so that the order of
additions decides what is learned. Here, quantities that are equal by symmetry are equal to the last bit:

  - sums over the tokens of one walk add exp(0) = 1 and 0 only, which is exact in any order;
  - sums over walks run along the last axis, by the same instructions for every position and every state;
  - products with the value matrix run over states in their order (apply_matrix).

Classes of walks (`models.classes`), which are taken where weights are far from equal, are summed in any order.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.models import Lift, Lifts, Looks, Model, Output, Params, Reduction, Scores, output_of_heads
from rw_jax.models.classes import Classes
from rw_jax.models.embeddings import Embeddings
from rw_jax.models.full import full_transformer
from rw_jax.models.mix import Mixture, TokenScores, attention_spread, mix, softmax, tells_apart, token_attention
from rw_jax.models.output_layer import OutputLayer, each_head
from rw_jax.models.positions import key_scales, scaled_scores
from rw_jax.models.sums import apply_matrix, pack, sums_by_state


def reduced_transformer(
    embeddings: Embeddings,
    unit_length: str,
    feed_forward_width: int,
    init: str,
    init_place: str = "both",
    has_gaps: bool = False,
    num_heads: int = 1,
) -> Model:
    """The model on its reduced parameters; it starts from the projection of where the full one starts.

    Args: as of full_transformer.
    """
    full = full_transformer(embeddings, unit_length, feed_forward_width, init, init_place, has_gaps, num_heads)

    def with_product(product: Callable[[jax.Array, jax.Array], jax.Array]) -> ReducedTransformer:
        output_layer = OutputLayer(embeddings.num_nodes, feed_forward_width, nn.initializers.zeros, product)
        return ReducedTransformer(embeddings, unit_length, output_layer, has_gaps, num_heads)

    # Where walks are classes, attention has locked, and nothing that matters is equal by symmetry.
    module, of_classes = with_product(apply_matrix), with_product(jnp.matmul)
    is_one, q = num_heads == 1, embeddings.squared_norm

    def apply(params: Params, tokens_LxB: jax.Array | Classes, attention_NxB: jax.Array | None = None) -> Any:
        chosen = of_classes if isinstance(tokens_LxB, Classes) else module
        return chosen.apply({"params": params}, tokens_LxB, attention_NxB)

    def start(key: jax.Array, values: Any) -> Params:
        if init == "gaussian":
            return project(full.init(key, values), embeddings)
        shapes = jax.eval_shape(lambda: project(full.init(key, values), embeddings))
        return {name: jnp.zeros(leaf.shape, leaf.dtype) for name, leaf in shapes.items()}  # W itself may be huge

    def weighing(params: Params) -> Any:
        return module.apply({"params": params}, method=module.weighs)

    def scores(params: Params) -> Scores:
        return scaled_scores(params["state_scores"], params["position_scores"], unit_length, q)

    reduction = Reduction(
        precondition(embeddings),
        full_names=("key_query",),
        project=lambda params: project(params, embeddings),
        rebuild=lambda params, start: rebuild(params, start, embeddings),
        to_full=lambda params, key, values: rebuild(params, full.init(key, values), embeddings),
        lifts=Lifts(by_rotations(q), by_entries(embeddings)) if is_one and q is not None else None,
    )
    looks = Looks(
        value=(lambda params: params["value"]) if is_one else None,
        value_is_output=full.looks.value_is_output,
        head_values=None if is_one or feed_forward_width else lambda params: params["value"][None],
        scores=scores if is_one else None,
        attend=apply,
    )
    return Model(
        start,
        apply,
        reduction,
        looks,
        has_gaps,
        # Where a token may be missing, or its position is in its value, every position counts; ReLUs have kinks.
        weighs=None if has_gaps or embeddings.are_added or feed_forward_width else weighing,
        pack=functools.partial(pack, num_nodes=embeddings.num_nodes),
        treats_states_alike=q is not None,
    )


def precondition(embeddings: Embeddings) -> Callable[[Params], Params]:
    """What makes gradient descent on the reduced parameters (V, u, a) that on (V, W), as a map of the gradients.

    With w = W x~_N we have dL/dW = dL/dw x~_N^T, so a step of size eta on W moves w by eta |x~_N|^2 dL/dw. The scores
    are F w, for the embeddings F of all tokens and positions, so that dL/dw = F^T dL/d(u, a) and

      (u, a) -= eta |x~_N|^2 F F^T dL/d(u, a).

    In the paper's model F F^T is diagonal, with 1 for a token and q for a position, and x~_N is a position (Lemma E.5):

      V -= eta dL/dV,  u -= eta q dL/du,  a -= eta q^2 dL/da,

    and a feed-forward layer takes the step that V takes. What of V is seen is V F^T, of the tokens alone, or of all
    that is added to them; it moves by the gradient times F F^T. The map is fixed and linear, so it commutes with every
    optimizer whose updates are linear in the gradients, and with no other.
    """
    q = embeddings.squared_norm
    if q is not None:
        factors = {"state_scores": q, "position_scores": q * q}
        return lambda gradients: gradients | {name: factor * gradients[name] for name, factor in factors.items()}
    K = embeddings.num_nodes
    query_D, features_FxD, value_features = embeddings.query_D, embeddings.features_FxD, embeddings.value_features
    gram_FxF = (query_D @ query_D) * (features_FxD @ features_FxD.T)
    value_gram = value_features @ value_features.T

    def preconditioned(gradients: Params) -> Params:
        scores_F = jnp.concatenate([gradients["state_scores"], gradients["position_scores"]], axis=-1)
        scores_F = scores_F @ jnp.asarray(gram_FxF, scores_F.dtype)
        values = jnp.concatenate([gradients[name] for name in _VALUES if name in gradients], axis=-1)
        values = values @ jnp.asarray(value_gram, values.dtype)
        moved = {"state_scores": scores_F[..., :K], "position_scores": scores_F[..., K:]}
        return gradients | moved | _values_of(values, K)

    return preconditioned


_VALUES = ("value", "position_value")
"""What of V is seen: on tokens, and on positions where they are added to tokens."""


def _values_of(values: jax.Array, num_nodes: int) -> Params:
    """The two parts of V F^T."""
    parts = jnp.split(values, [num_nodes], axis=-1)
    return {name: part for name, part in zip(_VALUES, parts, strict=True) if part.shape[-1]}


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


def by_entries(embeddings: Embeddings) -> Lift:
    """How optimizers are applied that look at each entry of W by itself, whatever its scale: sign, Adam with eps = 0.

    Their update of the entry dL/dw_i x~_Nj is that of dL/dw_i times the sign of x~_Nj. So w = W x~_N moves by its own
    update times |x~_N|_1, and a by P times that of its part at positions: for these w itself is needed, of the width of
    an embedding.

    Args:
      embeddings: one-hot tokens beside positions.
    """
    num_nodes, positions_NxM = embeddings.num_nodes, embeddings.positions_NxM
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

    Parameters: those of `output_layer`, with V on the embeddings of states, float[K, K], in the place of V, and on
    those of positions, position_value, float[K, N], where they are added; state_scores u, float[K]; position_scores a,
    float[N], the last for the empty slot. Of several heads there is one of each along a first axis.
    Scores start at zero; other starts are projections of full parameters (`project`).

    Attributes:
      output_layer: what is made of the averaged token, with `apply_matrix` as product.
      embeddings, unit_length, has_gaps, num_heads: as of FullTransformer.
    """

    embeddings: Embeddings
    unit_length: str
    output_layer: nn.Module
    has_gaps: bool = False
    num_heads: int = 1

    def setup(self):
        nn.share_scope(self, self.output_layer)  # all parameters by their names alone

    @nn.compact
    def __call__(self, tokens_LxB: jax.Array | Classes, attention_NxB: jax.Array | None = None) -> Output:
        """The output. Args: as of FullTransformer; of classes of walks there is no attention in it."""
        N, H = self.embeddings.walk_length, self.num_heads
        K = self.embeddings.num_nodes
        of_heads = () if H == 1 else (H,)
        state_scores = self.param("state_scores", nn.initializers.zeros, (*of_heads, K))
        position_scores = self.param("position_scores", nn.initializers.zeros, (*of_heads, N))
        heads = (each_head(state_scores, H), each_head(position_scores, H))
        scores = [self._scores(*each) for each in zip(*heads, strict=True)]
        if isinstance(tokens_LxB, Classes):
            return Output(self._output([mix(of_head, tokens_LxB) for of_head in scores]))
        chex.assert_shape(tokens_LxB, (N - 1, None))
        if attention_NxB is not None:
            return self._mixed([(attention_NxB[:-1], attention_NxB[-1])] * H, tokens_LxB)
        if self.embeddings.are_added:  # the output depends on every weight, not on sums of them by state
            return self._mixed([softmax(of_head, tokens_LxB) for of_head in scores], tokens_LxB)
        mixtures = [mix(of_head, tokens_LxB) for of_head in scores]
        output_KxB = self._output(mixtures)
        # The gradient of the output is mix's own; the attention is for looking at.
        looked_at = jax.lax.stop_gradient(list(zip(scores, mixtures, strict=True)))
        heads_LxB = [token_attention(*of_head, tokens_LxB) for of_head in looked_at]
        empty_B = [mixture.empty_B for mixture in mixtures]
        output = output_of_heads(output_KxB, list(zip(heads_LxB, empty_B, strict=True)))
        return output if H > 1 else output._replace(spread_B=attention_spread(*looked_at[0], tokens_LxB))

    def _output(self, mixtures: Sequence[Mixture]) -> jax.Array:
        K = self.embeddings.num_nodes
        return self.output_layer({"value": [mixture.averaged_KxB[:K] for mixture in mixtures]})

    def weighs(self) -> jax.Array:
        """bool[L], of each position, whether it weighs in any head."""
        u, a = (self.get_variable("params", name) for name in ("state_scores", "position_scores"))
        heads = zip(each_head(u, self.num_heads), each_head(a, self.num_heads), strict=True)
        return functools.reduce(jnp.logical_or, (tells_apart(self._scores(*each)) for each in heads))

    def _scores(self, state_scores_K: jax.Array, position_scores_N: jax.Array) -> TokenScores:
        token_scale, empty_scale = key_scales(self.unit_length, self.embeddings.squared_norm)
        of_states_K = token_scale * state_scores_K
        return TokenScores(
            # A token that is missing is one more state, which weighs nothing.
            state_K=jnp.append(of_states_K, -jnp.inf) if self.has_gaps else of_states_K,
            position_L=token_scale * position_scores_N[:-1],
            empty=empty_scale * position_scores_N[-1],
        )

    def _mixed(self, attention: Sequence[tuple[jax.Array, jax.Array]], tokens_LxB: jax.Array) -> Output:
        """The output of the weights of each head: of the tokens, and of the empty slot."""
        K = self.embeddings.num_nodes
        averaged = {"value": [sums_by_state(of_tokens_LxB, tokens_LxB, K) for of_tokens_LxB, _ in attention]}
        if self.embeddings.are_added:
            averaged["position_value"] = [
                jnp.concatenate([of_tokens_LxB, empty_B[None]]) for of_tokens_LxB, empty_B in attention
            ]
        return output_of_heads(self.output_layer(averaged), attention)


def project(full: Params, embeddings: Embeddings) -> Params:
    """The reduced parameters of full ones: u = (W x~_N)[:K] and a = P^T (W x~_N)[K:] in the paper's model.

    Args:
      full: value, readout if there is one, and key_query, float[D, D]; of several heads along a first axis.
      embeddings: of tokens and positions.
    """
    values, key_query = _split(full)

    def scores_of(key_query_DxD: jax.Array) -> tuple[jax.Array, jax.Array]:
        return embeddings.scores(embeddings.weighted_query(key_query_DxD))

    state_scores, position_scores = (scores_of if key_query.ndim == 2 else jax.vmap(scores_of))(key_query)
    return {
        **values,
        **_seen(values["value"], embeddings),
        "state_scores": state_scores,
        "position_scores": position_scores,
    }


def _seen(value: jax.Array, embeddings: Embeddings) -> Params:
    """What of V is seen: V F^T."""
    if not embeddings.are_added:
        return {"value": embeddings.on_tokens(value)}
    features_DxF = jnp.asarray(embeddings.features_FxD.T, value.dtype)
    return _values_of(value @ features_DxF, embeddings.num_nodes)


def rebuild(reduced: Params, start: Params, embeddings: Embeddings) -> Params:
    """The full parameters at a later step from reduced ones and the full parameters that training started from.

    Gradient descent moves W only along x~_N on the right and in the span of the embeddings F on the left, so that
    W(t) - W(0) = (w(t) - w(0)) x~_N^T / |x~_N|^2, and w(t) - w(0) is what F maps to the change of (u, a); V likewise.
    In the paper's model w(t) - w(0) = (u(t) - u(0), P (a(t) - a(0)) / q).

    Args:
      reduced: parameters at step t: value, readout if there is one, state_scores, position_scores.
      start: full parameters at step 0, as of `project`.
      embeddings: of tokens and positions.
    """
    values, key_query = _split(start)
    E, q = embeddings.tokens_KxE.shape[1], embeddings.squared_norm
    reduced_start = project(start, embeddings)
    moved = {name: reduced[name] - reduced_start[name] for name in reduced}
    if q is not None:
        positions_NxM = jnp.asarray(embeddings.positions_NxM, key_query.dtype)
        moved_w = jnp.concatenate([moved["state_scores"], moved["position_scores"] @ positions_NxM / q], axis=-1)
        along_query_M = positions_NxM[-1] / q
        key_query = jnp.asarray(key_query).at[..., E:].add(moved_w[..., None] * along_query_M)
        value = reduced["value"]
    else:
        moved_scores = jnp.concatenate([moved["state_scores"], moved["position_scores"]], axis=-1)
        moved_w = moved_scores @ jnp.asarray(np.linalg.pinv(embeddings.features_FxD).T, key_query.dtype)
        query_D = embeddings.query_D
        norm = query_D @ query_D
        if norm:  # W does not move where the query is zero
            key_query = key_query + moved_w[..., None] * jnp.asarray(query_D / norm, key_query.dtype)
        moved_values = jnp.concatenate([moved[name] for name in _VALUES if name in moved], axis=-1)
        value = values["value"] + moved_values @ jnp.asarray(
            np.linalg.pinv(embeddings.value_features).T, moved_values.dtype
        )
    others = {name: leaf for name, leaf in reduced.items() if name in values}
    return {**others, "value": value, "key_query": key_query}


def _split(full: Params) -> tuple[Params, jax.Array]:
    """The parameters that both forms have, and W."""
    return {name: leaf for name, leaf in full.items() if name != "key_query"}, full["key_query"]
