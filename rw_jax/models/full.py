"""The paper's one-layer transformer with full V and W, as a Flax (Linen) module (eq. 2.1)."""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from rw_jax.models import Looks, Model, Output, Params, Scores, output_of_heads
from rw_jax.models.embeddings import Embeddings
from rw_jax.models.output_layer import OutputLayer, each_head
from rw_jax.models.positions import key_scales, scaled_scores


def full_transformer(
    embeddings: Embeddings,
    unit_length: str,
    feed_forward_width: int,
    init: str,
    init_place: str = "both",
    has_gaps: bool = False,
    num_heads: int = 1,
) -> Model:
    """The model with every entry of V and W.

    Args:
      embeddings: of tokens and positions; they give K, N and D.
      unit_length: one of UNIT_LENGTH; "none" if slots differ in length.
      feed_forward_width: units of the feed-forward layer; 0 for none.
      init: "gaussian", with the standard deviation values["init_scale"]; all else is zero.
      init_place: what is Gaussian: "value" (V, and the readout), "scores" (W), or "both".
      has_gaps: whether tokens can be missing.
      num_heads: H.
    """
    zeros = nn.initializers.zeros

    def module(of_values: nn.initializers.Initializer, of_scores: nn.initializers.Initializer) -> FullTransformer:
        output_layer = OutputLayer(embeddings.num_nodes, feed_forward_width, of_values, jnp.matmul)
        return FullTransformer(embeddings, unit_length, output_layer, of_scores, has_gaps, num_heads)

    def init_params(key, values):
        gaussian = nn.initializers.normal(values["init_scale"]) if init == "gaussian" else zeros
        initializers = (zeros if init_place == other else gaussian for other in ("scores", "value"))
        tokens_LxB = jax.ShapeDtypeStruct((embeddings.walk_length - 1, 1), jnp.int32)
        return module(*initializers).lazy_init(key, tokens_LxB)["params"]

    def apply(params: Params, tokens_LxB: jax.Array, attention_NxB: jax.Array | None = None) -> Any:
        return module(zeros, zeros).apply({"params": params}, tokens_LxB, attention_NxB)

    def of_states(params: Params) -> jax.Array:
        E = embeddings.tokens_KxE.shape[1]
        return embeddings.on_tokens(params["value"][..., :E])

    def scores(params: Params) -> Scores:
        raw = embeddings.scores(embeddings.weighted_query(params["key_query"]))
        return scaled_scores(*raw, unit_length, embeddings.squared_norm)

    is_one = num_heads == 1
    is_output = feed_forward_width == 0 and not embeddings.are_added
    looks = Looks(
        value=of_states if is_one else None,
        value_is_output=is_one and is_output,
        head_values=None if is_one or feed_forward_width else lambda params: of_states(params)[None],
        scores=scores if is_one else None,
        attend=apply,
    )
    return Model(init_params, apply, looks=looks, has_gaps=has_gaps)


class FullTransformer(nn.Module):
    """values(X softmax(X~^T W x~_N)) (eq. 2.1): key and query merged in W.

    X = [x_1, ..., x_{N-1}, 0] holds tokens and an empty query slot; X~ stacks X over positions, or is the sum of the
    two, and then in the place of X, too.
    Parameters: those of `output_layer`, and key_query W, float[D, D], of several heads one for each along a first axis.
    X~ is never materialised: a score is the product of the token's embedding with W x~_N plus that of its position.

    Attributes:
      embeddings: of tokens and positions.
      unit_length: one of UNIT_LENGTH.
      output_layer: what is made of the averaged token.
      initializer: where W starts.
      has_gaps: whether tokens can be missing, with K in the place of a state: they weigh nothing.
      num_heads: H.
    """

    embeddings: Embeddings
    unit_length: str
    output_layer: nn.Module
    initializer: nn.initializers.Initializer
    has_gaps: bool = False
    num_heads: int = 1

    def setup(self):
        nn.share_scope(self, self.output_layer)  # all parameters by their names alone

    @nn.compact
    def __call__(self, tokens_LxB: jax.Array, attention_NxB: jax.Array | None = None) -> Output:
        """The output.

        Args:
          tokens_LxB: states 0..K-1 of B walks, of any integer type.
          attention_NxB: weights in the place of those of every head; None for its own.
        """
        embeddings, H = self.embeddings, self.num_heads
        chex.assert_shape(tokens_LxB, (embeddings.walk_length - 1, None))
        K, D = embeddings.num_nodes, embeddings.width
        key_query = self.param("key_query", self.initializer, (D, D) if H == 1 else (H, D, D))
        if attention_NxB is None:
            heads_NxB = [self._attention(key_query_DxD, tokens_LxB) for key_query_DxD in each_head(key_query, H)]
        else:
            heads_NxB = [attention_NxB] * H

        one_hot_LxKxB = jax.nn.one_hot(tokens_LxB, K, dtype=key_query.dtype, axis=1)
        averaged_ExB = [self._averaged(attention_NxB, one_hot_LxKxB) for attention_NxB in heads_NxB]
        output_KxB = self.output_layer({"value": averaged_ExB})
        return output_of_heads(output_KxB, [(attention_NxB[:-1], attention_NxB[-1]) for attention_NxB in heads_NxB])

    def _attention(self, key_query_DxD: jax.Array, tokens_LxB: jax.Array) -> jax.Array:
        embeddings = self.embeddings
        state_scores_K, position_scores_N = embeddings.scores(embeddings.weighted_query(key_query_DxD))
        token_scale, empty_scale = key_scales(self.unit_length, embeddings.squared_norm)
        token_scores_LxB = token_scale * (state_scores_K[tokens_LxB] + position_scores_N[:-1, None])
        if self.has_gaps:
            token_scores_LxB = jnp.where(tokens_LxB < embeddings.num_nodes, token_scores_LxB, -jnp.inf)
        empty_scores_1xB = jnp.broadcast_to(empty_scale * position_scores_N[-1], (1, tokens_LxB.shape[1]))
        return jax.nn.softmax(jnp.concatenate([token_scores_LxB, empty_scores_1xB]), axis=0)

    def _averaged(self, attention_NxB: jax.Array, one_hot_LxKxB: jax.Array) -> jax.Array:
        averaged_KxB = jnp.einsum("lb,lkb->kb", attention_NxB[:-1], one_hot_LxKxB)
        embeddings, dtype = self.embeddings, attention_NxB.dtype
        if embeddings.are_added:
            slots_FxB = jnp.concatenate([averaged_KxB, attention_NxB])
            return jnp.asarray(embeddings.features_FxD.T, dtype) @ slots_FxB
        if embeddings.squared_norm is not None:  # one-hot tokens
            return averaged_KxB
        return jnp.asarray(embeddings.tokens_KxE.T, dtype) @ averaged_KxB
