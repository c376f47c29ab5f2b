"""What is made of the averaged token: the value matrix, with or without a feed-forward layer (Flax Linen)."""

import functools
from collections.abc import Callable, Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp


class OutputLayer(nn.Module):
    """f(X) = V X S (eq. 2.1); A relu(V X S) with a feed-forward layer (figure 10); of several heads sum_h V_h X S_h.

    Parameters: value V, float[K, E], or float[H, E] with a layer of H units, and its readout A, float[K, H]. Of several
    heads there is one V for each, along a first axis.

    Attributes:
      num_outputs: K.
      width: H; 0 for no feed-forward layer.
      initializer: where the parameters start.
      product: the product of a matrix and vectors in columns.
    """

    num_outputs: int
    width: int
    initializer: nn.initializers.Initializer
    product: Callable[[jax.Array, jax.Array], jax.Array]

    @nn.compact
    def __call__(self, averaged: Mapping[str, Sequence[jax.Array]]) -> jax.Array:
        """Args: averaged, by the name of the matrix that is applied to it, for each head a float[E, B]."""
        products: list[jax.Array] = []
        for name, of_heads in averaged.items():
            shape = (self.width or self.num_outputs, of_heads[0].shape[0])
            matrices = self.param(name, self.initializer, shape if len(of_heads) == 1 else (len(of_heads), *shape))
            for matrix_HxE, vectors_ExB in zip(each_head(matrices, len(of_heads)), of_heads, strict=True):
                products.append(self.product(matrix_HxE, vectors_ExB))
        outputs = functools.reduce(jnp.add, products)
        if not self.width:
            return outputs
        readout_KxH = self.param("readout", self.initializer, (self.num_outputs, self.width))
        return self.product(readout_KxH, nn.relu(outputs))


def each_head(leaf: jax.Array, num_heads: int) -> Sequence[jax.Array]:
    """What a parameter is for each head: of one head it has no axis of heads."""
    return [leaf] if num_heads == 1 else list(leaf)
