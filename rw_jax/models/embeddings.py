"""What a slot of the input is to attention: embeddings of tokens and positions that training does not change.

With x~_j the embedding of slot j, attention sees W through w = W x~_N alone, and a gradient of a slot's score moves w
along that slot's embedding. So scores move by the Gram matrix of the embeddings of all tokens and positions, whatever
these are (`models.reduced`); the paper's, one-hot tokens beside sine positions, have a diagonal one (Lemma E.5).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.models.positions import sine_positions, squared_norm
from rw_jax.study.errors import ConfigError


class Embeddings(NamedTuple):
    """Fixed embeddings of K tokens and of N slots, the last of which is the empty slot, the query.

    Attributes:
      tokens_KxE: float64, a row for each state.
      positions_NxM: float64, a row for each slot.
      are_added: whether a slot is the sum of the two, with E = M; if not, one lies beside the other.
      squared_norm: q, where the Gram matrix is diagonal, with 1 for every token and q for every position; else None.
    """

    tokens_KxE: np.ndarray
    positions_NxM: np.ndarray
    are_added: bool = False
    squared_norm: float | None = None

    @property
    def num_nodes(self) -> int:
        """K."""
        return len(self.tokens_KxE)

    @property
    def walk_length(self) -> int:
        """N."""
        return len(self.positions_NxM)

    @property
    def width(self) -> int:
        """D, the width of a slot."""
        E, M = self.tokens_KxE.shape[1], self.positions_NxM.shape[1]
        return E if self.are_added else E + M

    @property
    def features_FxD(self) -> np.ndarray:
        """The embeddings of the K tokens, then of the N positions, as parts of a slot; F = K + N."""
        if self.are_added:
            return np.concatenate([self.tokens_KxE, self.positions_NxM])
        (K, E), (N, M) = self.tokens_KxE.shape, self.positions_NxM.shape
        return np.block([[self.tokens_KxE, np.zeros((K, M))], [np.zeros((N, E)), self.positions_NxM]])

    @property
    def value_features(self) -> np.ndarray:
        """What V is applied to, a row each: the tokens, [K, E], and added to them the positions, [F, D]."""
        return self.features_FxD if self.are_added else self.tokens_KxE

    @property
    def query_D(self) -> np.ndarray:
        """x~_N: the last slot has no token."""
        return self.features_FxD[-1]

    def weighted_query(self, key_query_DxD: jax.Array) -> jax.Array:
        """W = W x~_N, float[D]."""
        first = 0 if self.are_added else self.tokens_KxE.shape[1]
        return key_query_DxD[:, first:] @ jnp.asarray(self.positions_NxM[-1], key_query_DxD.dtype)

    def scores(self, weighted_query_D: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(u, a), float[K] and float[N]: slot j with state s has the score x~_j^T w = u[s] + a_j, the empty one a_N."""
        E = self.tokens_KxE.shape[1]
        w_D = weighted_query_D
        of_tokens_E, of_positions_M = (w_D, w_D) if self.are_added else (w_D[:E], w_D[E:])
        positions_NxM = jnp.asarray(self.positions_NxM, w_D.dtype)
        return self.on_tokens(of_tokens_E), positions_NxM @ of_positions_M

    def on_tokens(self, vectors: jax.Array) -> jax.Array:
        """The product of each token's embedding with vectors along the last axis, float[..., E] -> float[..., K]."""
        if np.array_equal(self.tokens_KxE, np.eye(self.num_nodes)):
            return vectors
        return vectors @ jnp.asarray(self.tokens_KxE.T, vectors.dtype)


def make_embeddings(
    num_nodes: int,
    walk_length: int,
    position_width: int,
    positions: str = "sine",
    embedding: str = "one_hot",
    embedding_width: int = 0,
    position_place: str = "beside",
    seed: int = 0,
) -> Embeddings:
    """Embeddings by the names that a config has for them; the paper's from sizes alone (section 2).

    Args:
      num_nodes: K.
      walk_length: N.
      position_width: M.
      positions: "sine" (section 2), which are orthogonal if M >= N; "random", normal with the mean square 1/2 of a
        sine; "one_hot", unit vectors; "none", all zero: then so is the query, and attention stays uniform. Of "learned"
        and "rotary" ones, which are a decoder's own, only the shapes count.
      embedding: of tokens: "one_hot"; or "random", normal, of mean squared norm 1. Of "learned" ones only the shape
        counts.
      embedding_width: E; 0: as wide as it takes, K beside positions and M where they are added.
      position_place: "beside" the tokens, or "added" to them.
      seed: of what is random. It is the same in all runs.

    Raises:
      ConfigError: if they cannot be made, in one sentence.
    """
    if seed and "random" not in (positions, embedding):
        raise ConfigError(f"model.embedding_seed is {seed}, but must be 0 for a model in which no embedding is random.")
    are_added = position_place == "added"
    widest = position_width if are_added else num_nodes
    if embedding_width not in (0, widest) and (are_added or embedding == "one_hot"):
        why = "model.position_place = 'added'" if are_added else "model.embedding = 'one_hot'"
        raise ConfigError(f"model.embedding_width is {embedding_width}, but must be {widest}, or 0, for {why}.")
    if embedding == "one_hot" and widest < num_nodes:
        raise ConfigError(
            f"model.position_width is {position_width}, but must be at least task.num_nodes = {num_nodes} for one-hot "
            "tokens that positions are added to."
        )
    if positions == "one_hot" and position_width < walk_length:
        raise ConfigError(
            f"model.position_width is {position_width}, but must be at least task.walk_length = {walk_length} for "
            "model.positions = 'one_hot'."
        )
    of_tokens, of_positions = np.random.default_rng(seed).spawn(2)
    width = embedding_width or widest
    if embedding == "one_hot":
        tokens_KxE = np.eye(num_nodes, width)
    else:
        tokens_KxE = of_tokens.normal(scale=scale_of_tokens(width), size=(num_nodes, width))
    shape, norm = (walk_length, position_width), None
    if positions in ("none", "rotary"):
        positions_NxM = np.zeros(shape if are_added else (walk_length, 0))
    elif positions == "sine":
        positions_NxM = sine_positions(*shape)
        norm = squared_norm(position_width) if walk_length <= position_width else None
    elif positions == "one_hot":
        positions_NxM, norm = np.eye(*shape), 1.0
    else:
        positions_NxM = of_positions.normal(scale=SCALE_OF_POSITIONS, size=shape)
    is_diagonal = embedding == "one_hot" and not are_added
    return Embeddings(tokens_KxE, positions_NxM, are_added, norm if is_diagonal else None)


def check_query(positions: str, position_width: int, walk_length: int) -> None:
    """Refuses a query at an empty slot whose position is zero. Raises: ConfigError."""
    if positions == "sine" and walk_length % (position_width + 1) == 0:
        raise ConfigError(
            f"model.position_width is {position_width}, but must be another for task.walk_length = {walk_length}: the "
            "sine position of the query would be zero, as each sin(m N pi / (M + 1)) is."
        )


def scale_of_tokens(width: int) -> float:
    """The standard deviation of an entry of a random token of this width."""
    return width**-0.5


SCALE_OF_POSITIONS = 0.5**0.5
"""The standard deviation of an entry of a random position: that of a sine."""
