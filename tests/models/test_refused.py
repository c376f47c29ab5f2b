"""Fields of a model that do not go together, each refused in one sentence that names them and what would be right."""

import re

import pytest

import rw_jax
from rw_jax.training.experiment import make_experiment
from tests.tiny import assert_sentence, tiny_study

DECODER = {"model.form": "decoder", "model.init": "gaussian", "training.loss": "cross_entropy"}
LAST = {**DECODER, "model.query": "last"}
INFINITE = {"task.walks": "infinite"}
FULL = {"model.form": "full"}
NO_DECODER = "--config.model.form=decoder takes others"

OF_MODELS = [
    # what only a decoder has
    ({"model.layers": 2}, "model.layers is 2, but must be 1 for model.form = 'reduced', which does not take it"),
    ({"model.query": "last"}, "model.query is 'last', but must be 'empty' for model.form = 'reduced', which does not"),
    ({**FULL, "model.key_width": 4}, "model.key_width is 4, but must be 0 for model.form = 'full', which does not"),
    ({"model.residual": "on"}, "model.residual is 'on', but must be 'off' for model.form = 'reduced', which does not"),
    ({**FULL, "model.layer_norm": "on"}, "model.layer_norm is 'on', but must be 'off' for model.form = 'full', which"),
    (
        {**FULL, "model.positions": "rotary"},
        "model.positions is 'rotary', but must be one that training does not change for this model.form",
        NO_DECODER,
    ),
    (
        {**FULL, "model.positions": "learned"},
        "model.positions is 'learned', but must be one that training does not change for this model.form",
        NO_DECODER,
    ),
    (
        {"model.embedding": "learned"},
        "model.embedding is 'learned', but must be one that training does not change for this model.form",
        NO_DECODER,
    ),
    # decoders
    ({**DECODER, "model.layers": 2}, "model.residual is 'off', but must be 'on' for model.layers = 2"),
    ({**DECODER, "model.layer_norm": "on"}, "model.residual is 'off', but must be 'on' for model.layer_norm = 'on'"),
    (
        {**LAST, "model.positions": "rotary", "model.key_width": 3},
        "model.key_width is 3, but must be an even number above 0 for model.positions = 'rotary'",
    ),
    (
        {**LAST, "model.positions": "rotary"},
        "model.key_width is 0, but must be an even number above 0 for model.positions = 'rotary'",
    ),
    (
        {**DECODER, "model.positions": "rotary", "model.key_width": 4},
        "model.query is 'empty', but must be 'last' for model.positions = 'rotary'",
    ),
    (
        {**DECODER, "model.init": "zero", "model.key_width": 4},
        "model.init is 'zero', but must be 'gaussian' for a product of matrices",
    ),
    (
        {**DECODER, "model.init": "zero", "model.residual": "on", "model.feed_forward_width": 4},
        "model.init is 'zero', but must be 'gaussian' for a product of matrices",
    ),
    (
        {**DECODER, "model.init_place": "scores", "model.residual": "on", "model.key_width": 4},
        "model.init_place is 'scores', but must be 'both' for a product of matrices",
    ),
    (
        {**DECODER, "model.positions": "none", "model.key_width": 4},
        "model.query is 'empty', but must be 'last' for model.positions = 'none'",
    ),
    (
        {"model.position_width": 5, "task.walk_length": 6},
        "model.position_width is 5, but must be another for task.walk_length = 6",
    ),
    (
        {"model.embedding_seed": 1},
        "model.embedding_seed is 1, but must be 0 for a model in which no embedding is random",
    ),
    (
        {**DECODER, "model.init_place": "value", "model.key_width": 4},
        "model.init_place is 'value', but must be 'both' or 'scores' for a product of matrices",
    ),
    (
        {**DECODER, "model.unit_length": "keys"},
        "model.unit_length is 'keys', but must be 'none' for model.form = 'decoder'",
    ),
    # embeddings
    (
        {"model.unit_length": "keys", "model.positions": "random"},
        "model.unit_length is 'keys', but must be 'none' for embeddings other than one-hot tokens",
    ),
    (
        {"model.unit_length": "both", "model.position_place": "added"},
        "model.unit_length is 'both', but must be 'none' for embeddings other than one-hot tokens",
    ),
    (
        {"model.embedding_width": 7},
        "model.embedding_width is 7, but must be 4, or 0, for model.embedding = 'one_hot'",
    ),
    (
        {"model.embedding": "random", "model.position_place": "added", "model.embedding_width": 5},
        "model.embedding_width is 5, but must be 8, or 0, for model.position_place = 'added'",
    ),
    (
        {**DECODER, "model.embedding": "learned", "model.position_place": "added", "model.embedding_width": 5},
        "model.embedding_width is 5, but must be 8, or 0, for model.position_place = 'added'",
    ),
    (
        {"model.position_place": "added", "model.position_width": 3},
        "model.position_width is 3, but must be at least task.num_nodes = 4 for one-hot tokens",
    ),
    (
        {"model.positions": "one_hot", "model.position_width": 5},
        "model.position_width is 5, but must be at least task.walk_length = 6 for model.positions = 'one_hot'",
    ),
    ({"model.heads": 0}, "model.heads is 0, but must be an integer from 1"),
]

OF_TRAINING = [
    # targets at every position
    (
        {**LAST, "training.target": "all", "training.label_noise": 0.1},
        "training.label_noise is above 0, but must be 0.0 for training.target = 'all' of a model that predicts at "
        "every token",
    ),
    (
        {**LAST, "training.target": "all", "training.dropped_tokens": 0.1},
        "training.dropped_tokens is above 0, but must be 0.0 for training.target = 'all'",
    ),
    (
        {"training.target": "all", "task.name": "lagged", "task.options.lag": 2},
        "training.target is 'all', but must be 'last' for a task whose target is not the next state",
    ),
    (
        {**LAST, "training.target": "all", "task.name": "lagged", "task.options.lag": 2},
        "training.target is 'all', but must be 'last' for a task whose target is not the next state",
    ),
    (
        {**LAST, "training.target": "all", "training.shortest_walk": 3},
        "training.shortest_walk is 3, but must be 0 for training.target = 'all'",
    ),
    # optimizers of the reduced form
    (
        {"training.optimizer": "adam", "training.options.eps": 0.0, "model.heads": 2},
        "training.optimizer is 'adam', but must be one that commutes with model.form = 'reduced'",
        "--config.model.form=full",
    ),
    (
        {"training.optimizer": "adam", "model.heads": 2},
        "training.optimizer is 'adam', but must be one that commutes with model.form = 'reduced'",
        "--config.model.form=full",
    ),
    *(
        (
            {"training.optimizer": name, "model.positions": "random"},
            f"training.optimizer is '{name}', but must be one that commutes with model.form = 'reduced'",
            "--config.model.form=full",
        )
        for name in ("sign", "muon")
    ),
]


def refusal(fields):
    """The sentence by which the pieces of a study are refused."""
    with pytest.raises(rw_jax.ConfigError) as refused:
        make_experiment(tiny_study(fields=fields))
    assert_sentence(str(refused.value))
    return str(refused.value)


@pytest.mark.parametrize(("fields", "words"), [(fields, words) for fields, *words in [*OF_MODELS, *OF_TRAINING]])
def test_fields_that_do_not_go_together_are_refused_in_a_sentence_that_says_what_would_be_right(fields, words):
    sentence = refusal(fields)
    for part in words:
        assert part in sentence


def test_an_optimizer_that_is_refused_is_not_among_those_that_would_be_right():
    for name, fields in {
        "sign": {"model.positions": "random"},
        "muon": {"model.heads": 2},
        "adam": {"model.heads": 2, "training.options.eps": 0.0},
    }.items():
        _, right = refusal({"training.optimizer": name, **fields}).split("but must be")
        assert not re.search(rf"\b{name}\b", right)


@pytest.mark.parametrize(
    "fields",
    [
        {"model.heads": 3, "model.positions": "random", "training.optimizer": "gd"},
        {"model.embedding_width": 4},
        {"model.position_place": "added", "model.embedding_width": 8},
        {"model.position_place": "added", "model.position_width": 4},
        {"model.embedding": "random", "model.embedding_width": 3},
        {**INFINITE, "model.positions": "random"},
        {**INFINITE, "model.embedding": "random"},
        {**INFINITE, "model.unit_length": "both"},
        {**DECODER, "model.key_width": 3, "model.init_place": "scores"},
        {**LAST, "model.positions": "rotary", "model.key_width": 2},
        {**LAST, "training.target": "all"},
        {**DECODER, "training.target": "all", "training.label_noise": 0.1},
        {**DECODER, "model.residual": "on", "model.layers": 3, "model.layer_norm": "on"},
        {"training.optimizer": "sign"},
        {"training.optimizer": "muon", "model.positions": "one_hot"},
        {"model.form": "full", "training.optimizer": "adam", "model.positions": "random", "model.heads": 2},
    ],
)
def test_fields_that_do_go_together_are_taken(fields):
    assert make_experiment(tiny_study(fields=fields)).model is not None


def test_a_sweep_is_refused_before_anything_is_written(tmp_path):
    config = tiny_study(layers=(1, 2), fields=LAST)
    with pytest.raises(rw_jax.ConfigError, match=r"model\.residual is 'off', but must be 'on' for model\.layers = 2"):
        rw_jax.sweep(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
