"""The forms of the model by name; each is made by a function of the fields that it takes."""

from collections.abc import Callable, Mapping

from rw_jax.models import Model
from rw_jax.models.decoder import decoder
from rw_jax.models.embeddings import check_query, make_embeddings
from rw_jax.models.full import full_transformer
from rw_jax.models.reduced import reduced_transformer
from rw_jax.study.errors import ConfigError


def _of_one_layer(transformer: Callable[..., Model]) -> Callable[..., Model]:
    """The factory of a form of the paper's model, with embeddings that training does not change."""

    def form(
        num_nodes: int,
        walk_length: int,
        position_width: int,
        positions: str,
        position_place: str,
        embedding: str,
        embedding_width: int,
        embedding_seed: int,
        unit_length: str,
        feed_forward_width: int,
        init: str,
        init_place: str,
        heads: int,
        has_gaps: bool,
    ) -> Model:
        for name, given, learned in (
            ("positions", positions, ("learned", "rotary")),
            ("embedding", embedding, ("learned",)),
        ):
            if given in learned:
                raise ConfigError(
                    f"model.{name} is {given!r}, but must be one that training does not change for this model.form; "
                    "--config.model.form=decoder takes others."
                )
        sizes, of_tokens = (num_nodes, walk_length, position_width), (embedding, embedding_width)
        embeddings = make_embeddings(*sizes, positions, *of_tokens, position_place, embedding_seed)
        check_query(positions, position_width, walk_length)
        if unit_length != "none" and embeddings.squared_norm is None:
            raise ConfigError(
                f"model.unit_length is {unit_length!r}, but must be 'none' for embeddings other than one-hot tokens "
                "beside orthogonal positions, whose slots differ in length."
            )
        return transformer(embeddings, unit_length, feed_forward_width, init, init_place, has_gaps, heads)

    return form


MODELS: Mapping[str, Callable[..., Model]] = {
    "reduced": _of_one_layer(reduced_transformer),
    "full": _of_one_layer(full_transformer),
    "decoder": decoder,
}
"""Every form, by name."""
