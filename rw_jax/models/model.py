"""The paper's one-layer transformer with full V and W, as a Flax (Linen) module (eq. 2.1)."""

from collections.abc import Callable
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from rw_jax.models.positions import sine_positions, squared_norm

UNIT_LENGTH = ("none", "keys", "both")
"""Which of the vectors x~_i are scaled to unit length inside the softmax: none, the keys, or the keys and the query."""


Params = dict[str, jax.Array]
"""Parameters by name: value; readout, if there is a feed-forward layer; and key_query (full form) or state_scores and
position_scores (reduced form)."""


class Output(NamedTuple):
    """What the model makes of a batch of walks.

    The axis of the walks comes last everywhere in the model: sums over walks then run along contiguous memory.

    Attributes:
      output: f(X), float[K, B], not normalised; the prediction is its argmax.
      token_attention: float[L, B], softmax weights of the L = N - 1 tokens.
      empty_attention: float[B], softmax weight of the empty query slot.
    """

    output: jax.Array
    token_attention: jax.Array
    empty_attention: jax.Array

    @property
    def attention(self) -> jax.Array:
        """Softmax weights of every slot, float[N, B], the last for the empty slot."""
        return jnp.concatenate([self.token_attention, self.empty_attention[None]])


def key_scales(unit_length: str, position_width: int) -> tuple[float, float]:
    """What the raw scores x~_i^T W x~_N of a token and of the empty slot are multiplied by.

    A token x~_i = (x_i, p_i) has squared length 1 + q, the empty slot and query x~_N = (0, p_N) has q.
    """
    q = squared_norm(position_width)
    match unit_length:
        case "none":
            return 1.0, 1.0
        case "keys":
            return (1 + q) ** -0.5, q**-0.5
        case "both":
            return ((1 + q) * q) ** -0.5, 1 / q
    raise ValueError(f"unit_length is {unit_length!r}, but must be one of {', '.join(UNIT_LENGTH)}.")


class ValueMatrix(nn.Module):
    """f(X) = V X S (eq. 2.1). Parameter: value V, float[K, K].

    Attributes:
      initializer: where the parameters start.
      product: the product of a matrix and vectors in columns.
    """

    initializer: nn.initializers.Initializer
    product: Callable[[jax.Array, jax.Array], jax.Array]

    @nn.compact
    def __call__(self, averaged_KxB: jax.Array) -> jax.Array:
        K = averaged_KxB.shape[0]
        return self.product(self.param("value", self.initializer, (K, K)), averaged_KxB)


class FeedForward(nn.Module):
    """f(X) = A relu(V X S) (figure 10). Parameters: value V, float[H, K]; readout A, float[K, H].

    Attributes:
      width: H.
      initializer, product: as of ValueMatrix.
    """

    width: int
    initializer: nn.initializers.Initializer
    product: Callable[[jax.Array, jax.Array], jax.Array]

    @nn.compact
    def __call__(self, averaged_KxB: jax.Array) -> jax.Array:
        K, H = averaged_KxB.shape[0], self.width
        hidden_HxB = nn.relu(self.product(self.param("value", self.initializer, (H, K)), averaged_KxB))
        return self.product(self.param("readout", self.initializer, (K, H)), hidden_HxB)


class FullTransformer(nn.Module):
    """values(X softmax(X~^T W x~_N)) (eq. 2.1): one head, key and query merged in W.

    X = [x_1, ..., x_{N-1}, 0] holds one-hot tokens and an empty query slot; X~ stacks X over sine positions.
    Parameters: those of `values`, and key_query W, float[D, D]. X~ is never materialised: a score is the entry of
    W x~_N at the token's state plus the product of its position with the rest of W x~_N.

    Attributes:
      values: what is made of the averaged token: ValueMatrix or FeedForward.
      initializer: where W starts.
    """

    num_nodes: int
    walk_length: int
    position_width: int
    unit_length: str
    values: nn.Module
    initializer: nn.initializers.Initializer

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
        empty_scores_1xB = jnp.broadcast_to(empty_scale * position_scores_N[-1], (1, tokens_LxB.shape[1]))
        attention_NxB = jax.nn.softmax(jnp.concatenate([token_scores_LxB, empty_scores_1xB]), axis=0)

        one_hot_LxKxB = jax.nn.one_hot(tokens_LxB, K, dtype=key_query_DxD.dtype, axis=1)
        averaged_KxB = jnp.einsum("lb,lkb->kb", attention_NxB[:-1], one_hot_LxKxB)
        return Output(self.values(averaged_KxB), attention_NxB[:-1], attention_NxB[-1])
