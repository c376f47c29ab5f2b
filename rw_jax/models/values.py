"""What is made of the averaged token: the value matrix, with or without a feed-forward layer (Flax Linen)."""

from collections.abc import Callable

import flax.linen as nn
import jax


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


def make_values(
    feed_forward_width: int,
    initializer: nn.initializers.Initializer,
    product: Callable[[jax.Array, jax.Array], jax.Array],
) -> nn.Module:
    """The value matrix, or the feed-forward layer of this width if that is not 0. Args: as of FeedForward."""
    if feed_forward_width:
        return FeedForward(feed_forward_width, initializer, product)
    return ValueMatrix(initializer, product)
