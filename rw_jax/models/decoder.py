"""A decoder of one or more layers; the paper's model is a special case.

Each part is a field of its own: separate keys and queries, learned embeddings and positions, rotary positions, the last
token for a query, a residual stream with feed-forward layers and LayerNorm. None of these reduces to (V, u, a). Without
any of them it is the paper's model (eq. 2.1; `models.full`), which computes every slot here: for short walks alone.

It is plain functions of the parameters, which is shorter than Linen modules: each parameter is one array of all layers
and heads, drawn at once under a name without a path, which modules of one layer, or `nn.scan` over them, would split.
"""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import core
from jax.nn import initializers
from jax.nn.initializers import Initializer

from rw_jax.models import Looks, Model, Output, Params
from rw_jax.models.embeddings import SCALE_OF_POSITIONS, Embeddings, check_query, make_embeddings, scale_of_tokens
from rw_jax.study.errors import ConfigError


def decoder(
    num_nodes: int, walk_length: int, position_width: int, positions: str, position_place: str, embedding: str,
    embedding_width: int, embedding_seed: int, query: str, heads: int, key_width: int, layers: int, residual: str,
    layer_norm: str, feed_forward_width: int, init: str, init_place: str,
) -> Model:  # fmt: skip
    """The decoder of these fields of a config (`study.config`); tokens are states 0..K-1, or K for a missing one.

    With a residual stream, layers add to it, and the prediction is read from it at the end. Without one there is one
    layer, and the prediction is what its attention gives: V times the averaged token. Where `init` is "gaussian",
    matrices start normal with the standard deviation values["init_scale"], or those of `init_place` alone: "scores" are
    W, or keys and queries, "value" all others. Any other `init` starts them at zero. Embeddings and positions that are
    learned start where random ones are.

    Raises:
      ConfigError: if the fields do not go together, in one sentence.
    """
    _check(positions, query, key_width, layers, residual, layer_norm, feed_forward_width, init, init_place)
    sizes, of_tokens = (num_nodes, walk_length, position_width), (embedding, embedding_width)
    embeddings = make_embeddings(*sizes, positions, *of_tokens, position_place, embedding_seed)
    has_empty, has_residual, m = query == "empty", residual == "on", feed_forward_width
    if has_empty:
        check_query(positions, position_width, walk_length)
    learned = [name for name, kind in (("embedding", embedding), ("positions", positions)) if kind == "learned"]
    num_slots = walk_length - 1 + has_empty

    def init_params(key, values):
        start = initializers.normal(values["init_scale"]) if init == "gaussian" else initializers.zeros
        of_values, of_scores = (initializers.zeros if init_place == other else start for other in ("scores", "value"))
        shape = (embeddings, learned, num_slots, layers, heads, key_width, m, has_residual, layer_norm == "on")
        return core.lazy_init(_declare)(key, *shape, of_values, of_scores)["params"]

    def predict(params, tokens_LxB, first):
        """What slots from the first on predict, float[B, Q, K]; attention of each layer, float[B, H, Q, T]."""
        slots_BxTxD, tokens_BxTxE, mask_BxTxT = _slots(params, tokens_LxB, embeddings, num_slots)
        if has_residual:
            output_BxQxK, attention = _through_layers(params, slots_BxTxD, mask_BxTxT, positions == "rotary", first)
        else:
            attention = [_attention(params, 0, slots_BxTxD, mask_BxTxT[:, first:], positions == "rotary")]
            output_BxQxK = _attended(params, 0, attention[0], tokens_BxTxE)
            if m:
                output_BxQxK = jax.nn.relu(output_BxQxK) @ params["readout"].T
        return output_BxQxK, attention

    def apply(params, tokens_LxB):
        output_BxQxK, attention = predict(params, tokens_LxB, num_slots - 1)
        of_heads = jnp.moveaxis(jnp.stack([layer[:, :, -1] for layer in attention]), 1, 3)  # [layers, heads, T, B]
        if not has_empty:
            of_heads = jnp.pad(of_heads, ((0, 0), (0, 0), (0, 1), (0, 0)))
        mean_NxB = jnp.mean(of_heads, axis=(0, 1))
        return Output(output_BxQxK[:, -1].T, mean_NxB[:-1], mean_NxB[-1], of_heads)

    is_matrix = not has_residual and not m and heads == 1 and not learned
    looks = Looks(
        value=(lambda params: _head_values(params, embeddings)[0, 0]) if is_matrix else None,
        value_is_output=is_matrix and not embeddings.are_added,
        head_values=(lambda params: _head_values(params, embeddings)) if has_residual or not m else None,
        maps=lambda params, tokens: jnp.moveaxis(jnp.stack(predict(params, tokens, 0)[1]), 1, 4),
    )

    def every_position(params, tokens_LxB):
        return jnp.moveaxis(predict(params, tokens_LxB, 0)[0], 0, 2)

    return Model(init_params, apply, looks=looks, has_gaps=True, every_position=None if has_empty else every_position)


def _check(
    positions: str, query: str, key_width: int, layers: int, residual: str, layer_norm: str, feed_forward_width: int,
    init: str, init_place: str,
) -> None:  # fmt: skip
    """Refuses fields that do not go together."""

    def refuse(name: str, given: object, right: str, why: str) -> None:
        raise ConfigError(f"model.{name} is {given!r}, but must be {right} for {why}.")

    nothing, never = "with which an empty slot is all zero", "from zero, neither ever moves"
    if layers > 1 and residual == "off":
        refuse("residual", residual, "'on'", f"model.layers = {layers}")
    if layer_norm == "on" and residual == "off":
        refuse("residual", residual, "'on'", "model.layer_norm = 'on'")
    if positions == "rotary" and (key_width == 0 or key_width % 2):
        refuse("key_width", key_width, "an even number above 0", "model.positions = 'rotary'")
    if positions == "rotary" and query == "empty":
        refuse("query", query, "'last'", f"model.positions = 'rotary', {nothing}")
    if positions == "none" and query == "empty" and key_width:
        refuse("query", query, "'last'", f"model.positions = 'none', {nothing}, and keys never move")
    if key_width or (residual == "on" and feed_forward_width):
        places = ("both",) if residual == "on" else ("both", "scores")
        if init == "zero":
            refuse("init", init, "'gaussian'", f"a product of matrices, as of keys and queries: {never}")
        if init == "gaussian" and init_place not in places:
            refuse("init_place", init_place, " or ".join(map(repr, places)), f"a product of matrices: {never}")


def _declare(
    scope: core.Scope, embeddings: Embeddings, learned: list[str], num_slots: int, layers: int, heads: int, d: int,
    m: int, has_residual: bool, has_norm: bool, of_values: Initializer, of_scores: Initializer,
) -> None:  # fmt: skip
    """Declares the parameters, in the order in which Flax draws them; d is the key width, m the feed-forward width.

    D is the width of a slot, E that of a token. Without a residual stream there is no output, and the readout is that
    of the paper's feed-forward layer (figure 10). Norms have a row for each norm, in order of use.
    """
    (K, E), M, D = embeddings.tokens_KxE.shape, embeddings.positions_NxM.shape[1], embeddings.width
    if "embedding" in learned:
        scope.param("embedding", initializers.normal(scale_of_tokens(E)), (K, E))
    if "positions" in learned:
        scope.param("positions", initializers.normal(SCALE_OF_POSITIONS), (num_slots, M))
    for name in ("key", "query") if d else ("key_query",):
        scope.param(name, of_scores, (layers, heads, d or D, D))
    if not has_residual:
        scope.param("value", of_values, (layers, heads, m or K, E))
        if m:
            scope.param("readout", of_values, (K, m))
        return
    scope.param("value", of_values, (layers, heads, d or D, D))
    if d:
        scope.param("output", of_values, (layers, heads, D, d))
    if m:
        scope.param("up", of_values, (layers, m, D))
        scope.param("up_bias", initializers.zeros, (layers, m))
        scope.param("down", of_values, (layers, D, m))
        scope.param("down_bias", initializers.zeros, (layers, D))
    if has_norm:
        num_norms = layers * (2 if m else 1) + 1
        scope.param("norm_scale", initializers.ones, (num_norms, D))
        scope.param("norm_bias", initializers.zeros, (num_norms, D))
    scope.param("readout", of_values, (K, D))


def _slots(params: Params, tokens_LxB: jax.Array, embeddings: Embeddings, T: int) -> tuple[jax.Array, ...]:
    """The slots, float[B, T, D]; what of them V is applied to; which slots (row) look at which, bool[B, T, T]."""
    chex.assert_shape(tokens_LxB, (embeddings.walk_length - 1, None))
    K, dtype = embeddings.num_nodes, jnp.result_type(float)
    embedding_KxE = params.get("embedding", jnp.asarray(embeddings.tokens_KxE, dtype))
    positions_TxM = params.get("positions", jnp.asarray(embeddings.positions_NxM[:T], dtype))
    one_hot_LxBxK = jax.nn.one_hot(tokens_LxB, K, dtype=dtype)  # nothing of K, which is missing
    tokens_BxTxE, is_there_BxT = jnp.moveaxis(one_hot_LxBxK @ embedding_KxE, 0, 1), tokens_LxB.T < K
    if len(tokens_LxB) < T:  # the empty slot; to pad by nothing would change the last bits of a gradient
        tokens_BxTxE = jnp.pad(tokens_BxTxE, ((0, 0), (0, 1), (0, 0)))
        is_there_BxT = jnp.pad(is_there_BxT, ((0, 0), (0, 1)))
    # A slot looks at itself in any case: the weights of one whose token is missing are numbers, too.
    mask_BxTxT = jnp.tril(is_there_BxT[:, None] | jnp.eye(T, dtype=bool))
    if embeddings.are_added:
        slots_BxTxD = tokens_BxTxE + positions_TxM
        return slots_BxTxD, slots_BxTxD, mask_BxTxT
    beside_BxTxM = jnp.broadcast_to(positions_TxM, (len(tokens_BxTxE), *positions_TxM.shape))
    return jnp.concatenate([tokens_BxTxE, beside_BxTxM], axis=2), tokens_BxTxE, mask_BxTxT


def _through_layers(
    params: Params, stream: jax.Array, mask_BxTxT: jax.Array, is_rotary: bool, first: int
) -> tuple[jax.Array, list[jax.Array]]:
    """Outputs and attention, as of `predict`, by a residual stream; the last layer computes those slots alone."""
    num_layers, norms_of_layer, attentions = len(params["value"]), 2 if "up" in params else 1, []
    for layer in range(num_layers):
        start, norm = first if layer == num_layers - 1 else 0, layer * norms_of_layer
        read_BxTxD = _read(params, norm, stream)
        attention = _attention(params, layer, read_BxTxD, mask_BxTxT[:, start:], is_rotary)
        stream = stream[:, start:] + _attended(params, layer, attention, read_BxTxD)
        if "up" in params:
            stream = stream + _fed_forward(params, layer, _read(params, norm + 1, stream))
        attentions.append(attention)
    return _read(params, -1, stream) @ params["readout"].T, attentions


def _read(params: Params, norm: int, stream: jax.Array) -> jax.Array:
    """The residual stream, normalised if there are norms (LayerNorm)."""
    if "norm_scale" not in params:
        return stream
    # Flax's own, without parameters: another formula has other last bits.
    normalised: Any = nn.LayerNorm(use_scale=False, use_bias=False, parent=None).apply({}, stream)
    return normalised * params["norm_scale"][norm] + params["norm_bias"][norm]


def _attention(params: Params, layer: int, read_BxTxD: jax.Array, mask_BxQxT: jax.Array, is_rotary: bool) -> jax.Array:
    """The weights by which the last Q slots look at every slot, float[B, H, Q, T]."""
    first = read_BxTxD.shape[1] - mask_BxQxT.shape[1]
    looking_BxQxD = read_BxTxD[:, first:]
    if "query" in params:
        queries_BxHxQxd = jnp.einsum("bqe,hde->bhqd", looking_BxQxD, params["query"][layer])
        keys_BxHxTxd = jnp.einsum("bte,hde->bhtd", read_BxTxD, params["key"][layer])
        if is_rotary:
            queries_BxHxQxd, keys_BxHxTxd = turned(queries_BxHxQxd, first), turned(keys_BxHxTxd, 0)
        scale = keys_BxHxTxd.shape[-1] ** -0.5
        scores_BxHxQxT = jnp.einsum("bhqd,bhtd->bhqt", queries_BxHxQxd, keys_BxHxTxd) * scale
    else:
        weighted_BxHxQxD = jnp.einsum("bqe,hde->bhqd", looking_BxQxD, params["key_query"][layer])
        scores_BxHxQxT = jnp.einsum("bhqd,btd->bhqt", weighted_BxHxQxD, read_BxTxD)
    return jax.nn.softmax(jnp.where(mask_BxQxT[:, None], scores_BxHxQxT, -jnp.inf), axis=-1)


def turned(vectors: jax.Array, first: int) -> jax.Array:
    """Rotary positions: entries i and i + d/2 of the vector of slot t turned by the angle t / 10000^(2i/d).

    The vectors, float[..., Q, d], are those of the slots from the first on. Source: Su et al., RoFormer
    (arXiv:2104.09864), section 3.2.2; pairs as in GPT-NeoX.
    """
    num_slots, d = vectors.shape[-2:]
    slots_Q = first + jnp.arange(num_slots)
    angles_Qxd = slots_Q[:, None] * 10000.0 ** (-jnp.arange(d // 2) * 2 / d)
    cosines, sines = (function(angles_Qxd).astype(vectors.dtype) for function in (jnp.cos, jnp.sin))
    one, other = jnp.split(vectors, 2, axis=-1)
    return jnp.concatenate([one * cosines - other * sines, other * cosines + one * sines], axis=-1)


def _attended(params: Params, layer: int, attention_BxHxQxT: jax.Array, vectors_BxTxE: jax.Array) -> jax.Array:
    """What attention gives, float[B, Q, D]: the averaged vectors under V, or output . value, summed over heads."""
    averaged_BxHxQxE = jnp.einsum("bhqt,bte->bhqe", attention_BxHxQxT, vectors_BxTxE)
    if "output" not in params:
        return jnp.einsum("hde,bhqe->bqd", params["value"][layer], averaged_BxHxQxE)
    values_BxHxQxd = jnp.einsum("hde,bhqe->bhqd", params["value"][layer], averaged_BxHxQxE)
    return jnp.einsum("hed,bhqd->bqe", params["output"][layer], values_BxHxQxd)


def _fed_forward(params: Params, layer: int, read_BxQxD: jax.Array) -> jax.Array:
    """What the feed-forward layer adds to the residual stream, float[B, Q, D]."""
    units_BxQxm = jax.nn.relu(read_BxQxD @ params["up"][layer].T + params["up_bias"][layer])
    return units_BxQxm @ params["down"][layer].T + params["down_bias"][layer]


def _head_values(params: Params, embeddings: Embeddings) -> jax.Array:
    """What attention of each head to a state adds to the outputs by itself, float[layers, heads, K, K].

    Of a residual stream that is readout . output . value . embedding, the circuit from a token to the outputs (Elhage
    et al., A Mathematical Framework for Transformer Circuits, 2021), without what later layers and norms make of it.
    """
    value = params["value"]
    tokens_KxE = params.get("embedding", jnp.asarray(embeddings.tokens_KxE, value.dtype))
    E = tokens_KxE.shape[1]  # a token is the first part of a slot, and the whole where positions are added
    moved = jnp.einsum("lhde,se->lhds", value[..., :E], tokens_KxE)
    if "output" in params:
        moved = jnp.einsum("lhed,lhds->lhes", params["output"], moved)
    return jnp.einsum("kd,lhds->lhks", params["readout"], moved) if "readout" in params else moved
