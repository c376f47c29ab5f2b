"""The paper's one-layer transformer with full V and W, as a Flax (Linen) module (eq. 2.1)."""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from rw_jax.models import Model, Output, Params
from rw_jax.models.positions import key_scales, sine_positions
from rw_jax.models.values import make_values


def full_transformer(
    num_nodes: int,
    walk_length: int,
    position_width: int,
    unit_length: str,
    feed_forward_width: int,
    init: str,
    init_place: str = "both",
    has_gaps: bool = False,
) -> Model:
    """The model with every entry of V and W.

    Args:
      num_nodes: K.
      walk_length: N.
      position_width: M.
      unit_length: one of UNIT_LENGTH.
      feed_forward_width: units of the feed-forward layer; 0 for none.
      init: "zero", or "gaussian", with the standard deviation values["init_scale"].
      init_place: what is Gaussian: "value" (V, and the readout), "scores" (W), or "both".
      has_gaps: whether tokens can be missing.
    """
    zeros = nn.initializers.zeros

    def module(of_values: nn.initializers.Initializer, of_scores: nn.initializers.Initializer) -> FullTransformer:
        values_of_tokens = make_values(feed_forward_width, of_values, jnp.matmul)
        sizes = (num_nodes, walk_length, position_width)
        return FullTransformer(*sizes, unit_length, values_of_tokens, of_scores, has_gaps)

    def init_params(key, values):
        gaussian = nn.initializers.normal(values["init_scale"]) if init == "gaussian" else zeros
        initializers = (zeros if init_place == other else gaussian for other in ("scores", "value"))
        tokens_LxB = jax.ShapeDtypeStruct((walk_length - 1, 1), jnp.int32)
        return module(*initializers).lazy_init(key, tokens_LxB)["params"]

    def apply(params: Params, tokens_LxB: jax.Array) -> Any:
        return module(zeros, zeros).apply({"params": params}, tokens_LxB)

    return Model(
        init=init_params,
        apply=apply,
        value=lambda params: params["value"],
        value_is_output=feed_forward_width == 0,
        to_full=lambda params, key, values: params,
        has_gaps=has_gaps,
    )


class FullTransformer(nn.Module):
    """values(X softmax(X~^T W x~_N)) (eq. 2.1): one head, key and query merged in W.

    X = [x_1, ..., x_{N-1}, 0] holds one-hot tokens and an empty query slot; X~ stacks X over sine positions.
    Parameters: those of `values`, and key_query W, float[D, D]. X~ is never materialised: a score is the entry of
    W x~_N at the token's state plus the product of its position with the rest of W x~_N.

    Attributes:
      values: what is made of the averaged token: ValueMatrix or FeedForward.
      initializer: where W starts.
      has_gaps: whether tokens can be missing, with K in the place of a state: they weigh nothing.
    """

    num_nodes: int
    walk_length: int
    position_width: int
    unit_length: str
    values: nn.Module
    initializer: nn.initializers.Initializer
    has_gaps: bool = False

    def setup(self):
        nn.share_scope(self, self.values)  # all parameters by their names alone

    @nn.compact
    def __call__(self, tokens_LxB: jax.Array) -> Output:
        """Args: tokens_LxB, states 0..K-1 of B walks, of any integer type."""
        chex.assert_shape(tokens_LxB, (self.walk_length - 1, None))
        K, D = self.num_nodes, self.num_nodes + self.position_width
        key_query_DxD = self.param("key_query", self.initializer, (D, D))

        positions_NxM = jnp.asarray(sine_positions(self.walk_length, self.position_width), key_query_DxD.dtype)
        weighted_query_D = key_query_DxD[:, K:] @ positions_NxM[-1]
        position_scores_N = positions_NxM @ weighted_query_D[K:]
        token_scale, empty_scale = key_scales(self.unit_length, self.position_width)
        token_scores_LxB = token_scale * (weighted_query_D[:K][tokens_LxB] + position_scores_N[:-1, None])
        if self.has_gaps:
            token_scores_LxB = jnp.where(tokens_LxB < K, token_scores_LxB, -jnp.inf)
        empty_scores_1xB = jnp.broadcast_to(empty_scale * position_scores_N[-1], (1, tokens_LxB.shape[1]))
        attention_NxB = jax.nn.softmax(jnp.concatenate([token_scores_LxB, empty_scores_1xB]), axis=0)

        one_hot_LxKxB = jax.nn.one_hot(tokens_LxB, K, dtype=key_query_DxD.dtype, axis=1)
        averaged_KxB = jnp.einsum("lb,lkb->kb", attention_NxB[:-1], one_hot_LxKxB)
        return Output(self.values(averaged_KxB), attention_NxB[:-1], attention_NxB[-1])
