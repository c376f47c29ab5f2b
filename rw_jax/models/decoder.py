"""A decoder of one or more layers, as a Flax (Linen) module, of which the paper's model is one corner.

Each part is a field of its own: separate keys and queries, learned embeddings and positions, rotary positions, the last
token for a query, a residual stream with feed-forward layers and LayerNorm. None of these reduces to (V, u, a). Without
any of them it is the paper's model (eq. 2.1; `models.full`), which computes every slot here: for short walks alone.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from rw_jax.models import Model, Output, Params
from rw_jax.models.embeddings import SCALE_OF_POSITIONS, Embeddings, scale_of_tokens


class Shape(NamedTuple):
    """What a decoder is made of.

    Attributes:
      embeddings: of tokens and positions; of those that are learned only the shapes count.
      learned: which of "embedding" and "positions" are parameters.
      is_rotary: whether keys and queries are turned by their positions.
      ends_with_query: whether the prediction is made at an empty slot after the tokens (section 2), not at the last
        token.
      num_layers: how many layers; more than one only with a residual stream.
      num_heads: H.
      key_width: d, rows of the key and the query matrix of a head, and with a residual stream of its value matrix; 0:
        key and query are merged in W, value and output in V.
      has_residual: whether layers add to a residual stream, from which the prediction is read at the end. If not, the
        prediction is what attention gives: V times the averaged token.
      feed_forward_width: units of a feed-forward layer, after attention in each layer; 0 for none.
      has_norm: whether what a layer reads, and what the prediction is read from, are normalised (LayerNorm).
    """

    embeddings: Embeddings
    learned: tuple[str, ...]
    is_rotary: bool
    ends_with_query: bool
    num_layers: int
    num_heads: int
    key_width: int
    has_residual: bool
    feed_forward_width: int
    has_norm: bool

    @property
    def num_slots(self) -> int:
        """T: N slots, or the N - 1 tokens alone."""
        return self.embeddings.walk_length - 1 + self.ends_with_query


def decoder(shape: Shape, init: str, init_place: str = "both") -> Model:
    """The decoder.

    Args:
      shape: what it is made of.
      init: "zero", or "gaussian", with the standard deviation values["init_scale"], for every matrix; learned
        embeddings and positions start where random ones are, whichever it is.
      init_place: which matrices are Gaussian: "value" (all but those of scores), "scores" (W, or keys and queries), or
        "both".
    """
    zeros = nn.initializers.zeros

    def module(of_values: nn.initializers.Initializer, of_scores: nn.initializers.Initializer) -> Decoder:
        return Decoder(shape, of_values, of_scores)

    def init_params(key, values):
        gaussian = nn.initializers.normal(values["init_scale"]) if init == "gaussian" else zeros
        initializers = (zeros if init_place == other else gaussian for other in ("scores", "value"))
        tokens_LxB = jax.ShapeDtypeStruct((shape.embeddings.walk_length - 1, 1), jnp.int32)
        return module(*initializers).lazy_init(key, tokens_LxB)["params"]

    def run(params: Params, tokens_LxB: jax.Array, at_every_slot: bool) -> Any:
        return module(zeros, zeros).apply({"params": params}, tokens_LxB, at_every_slot)

    def apply(params: Params, tokens_LxB: jax.Array) -> Output:
        output_BxQxK, attention = run(params, tokens_LxB, False)
        heads_BxHxT = [of_layer[:, :, -1] for of_layer in attention]
        of_heads = jnp.moveaxis(jnp.stack(heads_BxHxT), 1, 3)  # [layers, heads, T, B]
        if not shape.ends_with_query:
            of_heads = jnp.pad(of_heads, ((0, 0), (0, 0), (0, 1), (0, 0)))
        mean_NxB = jnp.mean(of_heads, axis=(0, 1))
        return Output(output_BxQxK[:, -1].T, mean_NxB[:-1], mean_NxB[-1], of_heads)

    def every_position(params: Params, tokens_LxB: jax.Array) -> jax.Array:
        return jnp.moveaxis(run(params, tokens_LxB, True)[0], 0, 2)

    def maps(params: Params, tokens_LxB: jax.Array) -> jax.Array:
        return jnp.moveaxis(jnp.stack(run(params, tokens_LxB, True)[1]), 1, 4)

    has_values = shape.has_residual or not shape.feed_forward_width
    is_matrix = not shape.has_residual and shape.num_heads == 1 and not shape.learned
    return Model(
        init=init_params,
        apply=apply,
        value=(lambda params: _on_states(params, shape)[0, 0]) if is_matrix and has_values else None,
        value_is_output=is_matrix and has_values and not shape.embeddings.are_added,
        head_values=(lambda params: _on_states(params, shape)) if has_values else None,
        has_gaps=True,
        every_position=None if shape.ends_with_query else every_position,
        maps=maps,
    )


class Decoder(nn.Module):
    """The decoder of a shape.

    Parameters, each with first axes of layers and heads: key_query W, float[layers, H, D, D], or key and query,
    float[layers, H, d, D]; value V, float[1, H, K, E] without a residual stream, E the width of a token, or of a slot
    where positions are added, and with one float[layers, H, D, D], or value and output, float[layers, H, d, D] and
    float[layers, H, D, d]. The readout is float[K, D] of a residual stream, and float[K, m] of the paper's feed-forward
    layer of m units (figure 10), whose V is float[1, H, m, E]. Of a residual stream feed-forward layers have up,
    float[layers, m, D], down, float[layers, D, m], and biases of both; LayerNorm norm_scale and norm_bias, a row for
    each norm in order of use. Of what is learned: embedding, float[K, E], and positions, float[T, M].

    Attributes:
      shape: what it is made of.
      of_values, of_scores: where matrices start.
    """

    shape: Shape
    of_values: nn.initializers.Initializer
    of_scores: nn.initializers.Initializer

    @nn.compact
    def __call__(self, tokens_LxB: jax.Array, at_every_slot: bool = False) -> tuple[jax.Array, Sequence[jax.Array]]:
        """What is predicted at each slot that looks, float[B, Q, K]; attention of each layer, float[B, H, Q, T].

        Args:
          tokens_LxB: states 0..K-1 of B walks, or K for a token that is missing, to which no other slot looks.
          at_every_slot: whether every slot predicts, Q = T, or the last alone, Q = 1.
        """
        shape = self.shape
        chex.assert_shape(tokens_LxB, (shape.embeddings.walk_length - 1, None))
        sizes = _sizes(shape)
        params = {name: self.param(name, self._initializer(name), sizes[name]) for name in sizes}
        slots_BxTxD, tokens_BxTxE, mask_BxTxT = _slots(params, tokens_LxB, shape)
        last = 0 if at_every_slot else shape.num_slots - 1  # the first slot that the last layer is computed at
        if not shape.has_residual:
            attention = _attention(_of_layer(params, 0), slots_BxTxD, last, mask_BxTxT, shape)
            averaged_BxHxQxE = jnp.einsum("bhqt,bte->bhqe", attention, tokens_BxTxE)
            output = jnp.einsum("hke,bhqe->bqk", params["value"][0], averaged_BxHxQxE)
            return nn.relu(output) @ params["readout"].T if shape.feed_forward_width else output, [attention]

        norms = iter(zip(params["norm_scale"], params["norm_bias"], strict=True) if shape.has_norm else ())

        def read(stream: jax.Array) -> jax.Array:
            if not shape.has_norm:
                return stream
            scale_D, bias_D = next(norms)
            return nn.LayerNorm(use_scale=False, use_bias=False, parent=None).apply({}, stream) * scale_D + bias_D

        stream, attentions = slots_BxTxD, []
        for number in range(shape.num_layers):
            layer, first = _of_layer(params, number), last if number == shape.num_layers - 1 else 0
            read_BxTxD = read(stream)
            attention = _attention(layer, read_BxTxD, first, mask_BxTxT, shape)
            stream = stream[:, first:] + _attended(layer, attention, read_BxTxD)
            if shape.feed_forward_width:
                stream = stream + _fed_forward(layer, read(stream))
            attentions.append(attention)
        return read(stream) @ params["readout"].T, attentions

    def _initializer(self, name: str) -> nn.initializers.Initializer:
        if name in ("embedding", "positions"):
            width = _sizes(self.shape)[name][1]
            return nn.initializers.normal(scale_of_tokens(width) if name == "embedding" else SCALE_OF_POSITIONS)
        if name in ("norm_scale", "norm_bias", "up_bias", "down_bias"):
            return nn.initializers.ones if name == "norm_scale" else nn.initializers.zeros
        return self.of_scores if name in ("key_query", "key", "query") else self.of_values


def _sizes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters, in the order in which they are drawn."""
    embeddings, d, m = shape.embeddings, shape.key_width, shape.feed_forward_width
    (K, E), M, D = embeddings.tokens_KxE.shape, embeddings.positions_NxM.shape[1], embeddings.width
    heads, layers = (shape.num_layers, shape.num_heads), (shape.num_layers,)
    every = {"embedding": (K, E), "positions": (shape.num_slots, M)}
    sizes: dict[str, tuple[int, ...]] = {name: every[name] for name in shape.learned}
    sizes |= {"key": (*heads, d, D), "query": (*heads, d, D)} if d else {"key_query": (*heads, D, D)}
    if not shape.has_residual:
        return sizes | {"value": (*heads, m or K, E)} | ({"readout": (K, m)} if m else {})
    sizes |= {"value": (*heads, d or D, D)} | ({"output": (*heads, D, d)} if d else {})
    if m:
        sizes |= {"up": (*layers, m, D), "up_bias": (*layers, m), "down": (*layers, D, m), "down_bias": (*layers, D)}
    if shape.has_norm:
        num_norms = shape.num_layers * (2 if m else 1) + 1
        sizes |= {"norm_scale": (num_norms, D), "norm_bias": (num_norms, D)}
    return sizes | {"readout": (K, D)}


def _of_layer(params: Params, layer: int) -> Params:
    """The matrices of one layer."""
    whole = ("embedding", "positions", "readout", "norm_scale", "norm_bias")
    return {name: leaf[layer] for name, leaf in params.items() if name not in whole}


def _slots(params: Params, tokens_LxB: jax.Array, shape: Shape) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The slots, float[B, T, D]; what of them V is applied to; which slots (row) may look at which, bool[B, T, T]."""
    embeddings, T = shape.embeddings, shape.num_slots
    K, dtype = embeddings.num_nodes, jnp.result_type(float)
    embedding_KxE = params.get("embedding", jnp.asarray(embeddings.tokens_KxE, dtype))
    positions_TxM = params.get("positions", jnp.asarray(embeddings.positions_NxM[:T], dtype))
    one_hot_LxBxK = jax.nn.one_hot(tokens_LxB, K, dtype=dtype)  # nothing of K, which is missing
    tokens_BxTxE = jnp.moveaxis(one_hot_LxBxK @ embedding_KxE, 0, 1)
    is_there_BxT = tokens_LxB.T < K
    if shape.ends_with_query:
        tokens_BxTxE = jnp.pad(tokens_BxTxE, ((0, 0), (0, 1), (0, 0)))
        is_there_BxT = jnp.pad(is_there_BxT, ((0, 0), (0, 1)), constant_values=True)
    if embeddings.are_added:
        slots_BxTxD = tokens_BxTxE = tokens_BxTxE + positions_TxM
    else:
        beside_BxTxM = jnp.broadcast_to(positions_TxM, (len(tokens_BxTxE), *positions_TxM.shape))
        slots_BxTxD = jnp.concatenate([tokens_BxTxE, beside_BxTxM], axis=2)
    # A slot may always look at itself, so that the weights of one whose token is missing are numbers.
    may_look_BxTxT = is_there_BxT[:, None] | jnp.eye(T, dtype=bool)
    return slots_BxTxD, tokens_BxTxE, may_look_BxTxT & jnp.tril(jnp.ones((T, T), bool))


def _attention(layer: Params, read_BxTxD: jax.Array, first: int, mask_BxTxT: jax.Array, shape: Shape) -> jax.Array:
    """The weights by which the slots from the first on look at every slot, float[B, H, Q, T]."""
    looking_BxQxD, d = read_BxTxD[:, first:], shape.key_width
    if d:
        queries_BxHxQxd = jnp.einsum("bqe,hde->bhqd", looking_BxQxD, layer["query"])
        keys_BxHxTxd = jnp.einsum("bte,hde->bhtd", read_BxTxD, layer["key"])
        if shape.is_rotary:
            queries_BxHxQxd, keys_BxHxTxd = turned(queries_BxHxQxd, first), turned(keys_BxHxTxd, 0)
        scores_BxHxQxT = jnp.einsum("bhqd,bhtd->bhqt", queries_BxHxQxd, keys_BxHxTxd) * d**-0.5
    else:
        weighted_BxHxQxD = jnp.einsum("bqe,hde->bhqd", looking_BxQxD, layer["key_query"])
        scores_BxHxQxT = jnp.einsum("bhqd,btd->bhqt", weighted_BxHxQxD, read_BxTxD)
    return jax.nn.softmax(jnp.where(mask_BxTxT[:, None, first:], scores_BxHxQxT, -jnp.inf), axis=-1)


def _attended(layer: Params, attention_BxHxQxT: jax.Array, read_BxTxD: jax.Array) -> jax.Array:
    """What attention adds to the residual stream, float[B, Q, D]."""
    averaged_BxHxQxD = jnp.einsum("bhqt,bte->bhqe", attention_BxHxQxT, read_BxTxD)
    if "output" not in layer:
        return jnp.einsum("hde,bhqe->bqd", layer["value"], averaged_BxHxQxD)
    values_BxHxQxd = jnp.einsum("hde,bhqe->bhqd", layer["value"], averaged_BxHxQxD)
    return jnp.einsum("hed,bhqd->bqe", layer["output"], values_BxHxQxd)


def _fed_forward(layer: Params, read_BxQxD: jax.Array) -> jax.Array:
    """What the feed-forward layer adds to the residual stream, float[B, Q, D]."""
    return nn.relu(read_BxQxD @ layer["up"].T + layer["up_bias"]) @ layer["down"].T + layer["down_bias"]


def turned(vectors: jax.Array, first: int) -> jax.Array:
    """Rotary positions: entries i and i + d/2 of the vector of slot t turned by the angle t / 10000^(2i/d).

    Source: Su et al., RoFormer (arXiv:2104.09864), section 3.2.2; pairs as in GPT-NeoX.

    Args:
      vectors: float[..., Q, d], d even.
      first: the slot of the first of them.
    """
    num_slots, d = vectors.shape[-2:]
    slots_Q = first + jnp.arange(num_slots)
    angles_Qxd = slots_Q[:, None] * 10000.0 ** (-jnp.arange(d // 2) * 2 / d)
    cosines, sines = (function(angles_Qxd).astype(vectors.dtype) for function in (jnp.cos, jnp.sin))
    one, other = jnp.split(vectors, 2, axis=-1)
    return jnp.concatenate([one * cosines - other * sines, other * cosines + one * sines], axis=-1)


def _on_states(params: Params, shape: Shape) -> jax.Array:
    """What attention of each head to a state adds to the outputs by itself, float[layers, heads, K, K].

    Of a residual stream that is readout . output . value . embedding, the circuit from a token to the outputs (Elhage
    et al., A Mathematical Framework for Transformer Circuits, 2021), without what later layers and norms make of it.
    """
    embeddings = shape.embeddings
    tokens_KxE = params.get("embedding", jnp.asarray(embeddings.tokens_KxE, params["value"].dtype))
    value = params["value"]
    if not shape.has_residual:
        return jnp.einsum("lhke,se->lhks", value, tokens_KxE)
    E = tokens_KxE.shape[1]  # a token is the first part of a slot, and the whole where positions are added
    moved = jnp.einsum("lhde,se->lhds", value[..., :E], tokens_KxE)
    if "output" in params:
        moved = jnp.einsum("lhed,lhds->lhes", params["output"], moved)
    return jnp.einsum("kd,lhds->lhks", params["readout"], moved)
