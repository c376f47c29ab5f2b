"""What is asked of a run of several heads, and of a model with other parameters, against the models by hand."""

import numpy as np
import pytest

import rw_jax
from rw_jax.analysis.circuits import without_head
from tests.models.test_decoder import shape_of as shape_of
from tests.models.test_decoder import slow
from tests.studies import assert_sentence, some, tiny_study

K, N, B = 5, 7, 24
PARTS = {"query": "last", "positions": "rotary", "key_width": 4, "heads": 2, "layers": 2, "residual": "on"}


def study(fields, **more):
    base = {"task.num_nodes": K, "task.walk_length": N, "model.init": "gaussian", "model.init_scale": 0.5}
    return tiny_study(fields={**base, "training.learning_rate": 0.05, **fields, **more})


@pytest.fixture(scope="module")
def layers():
    """A decoder of two layers and two heads, with rotary positions, that predicts at the last token."""
    fields = {f"model.{name}": value for name, value in PARTS.items()}
    return rw_jax.train(study(fields, **{"model.form": "decoder", "training.loss": "cross_entropy"}))


@pytest.fixture(scope="module")
def heads():
    """The reduced form with two heads."""
    return rw_jax.train(study({"model.heads": 2, "training.loss": "squared_error"}))


@pytest.fixture(scope="module")
def one_head():
    """The paper's model."""
    return rw_jax.train(study({"training.loss": "squared_error"}))


def by_hand_of_layers(params, tokens):
    """(outputs, [B, K]; attention of each head from the last token, [B, layers, heads, N - 1])."""
    shape = shape_of(**(PARTS | {"residual": True}))
    of_walks = [slow({name: np.float64(leaf) for name, leaf in params.items()}, walk, shape) for walk in tokens]
    return np.stack([outputs[-1] for outputs, _ in of_walks]), np.stack([weights[:, :, -1] for _, weights in of_walks])


def by_hand_of_heads(params, tokens):
    """(outputs, [B, K]; attention of each head, [B, 1, heads, N]) of the reduced form."""
    u, a, value = (np.float64(params[name]) for name in ("state_scores", "position_scores", "value"))
    scores = np.stack([np.column_stack([u[h][tokens] + a[h, :-1], np.full(len(tokens), a[h, -1])]) for h in (0, 1)], 1)
    weights = np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True)
    outputs = np.einsum("hkl,bhl->bk", value, np.einsum("bhl,blk->bhk", weights[..., :-1], np.eye(K)[tokens]))
    return outputs, weights[:, None]


def shifted(params):
    """Other parameters of the same names and shapes."""
    rng = np.random.default_rng(0)
    return {name: leaf + 0.3 * rng.normal(size=leaf.shape) for name, leaf in params.items()}


def test_attention_of_each_head_is_that_by_hand(layers, heads):
    for run, by_hand, num_layers in ((layers, by_hand_of_layers, 2), (heads, by_hand_of_heads, 1)):
        for step in (0, 2, 5):
            tokens = run.walks("test")[0]
            expected = by_hand(run.params(step=step), tokens)[1]
            weights = run.head_attention(step=step)
            assert weights.shape == (B, num_layers, 2, N)
            np.testing.assert_allclose(weights[..., : expected.shape[-1]], expected, rtol=1e-4, atol=1e-6)
            assert np.abs(weights[:, :, 0] - weights[:, :, 1]).max() > 0.05
            np.testing.assert_allclose(run.head_attention(tokens[3:5], step=step), weights[3:5], rtol=1e-4, atol=1e-6)
    assert (layers.head_attention()[..., -1] == 0).all()  # the last token looks, and there is no empty slot
    assert (heads.head_attention()[..., -1] > 0).all()


@pytest.mark.parametrize("name", ["layers", "heads"])
def test_attention_of_each_head_sums_to_one_and_its_mean_is_attention(name, request):
    run = request.getfixturevalue(name)
    weights = run.head_attention()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(weights.mean(axis=(1, 2)), run.attention(), rtol=1e-5, atol=1e-7)
    for step in (0, 2, 5):
        mean = run.mean_head_attention(step=step)
        np.testing.assert_allclose(mean, run.head_attention(step=step).mean(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(mean.mean(axis=(0, 1)), run.mean_attention(step=step), rtol=1e-4, atol=1e-6)
    of_lag = run.metrics["head_parent_attention"].sel(step=5)
    np.testing.assert_allclose(of_lag, run.mean_head_attention()[..., -2], rtol=1e-6)
    lags = run.metrics["head_highest_lag"].sel(step=5)
    np.testing.assert_array_equal(lags, N - 1 - np.argmax(run.mean_head_attention(), axis=-1))


def test_maps_are_causal_and_their_last_row_is_where_the_prediction_looks(layers):
    tokens = layers.walks("test")[0][:6]
    maps = layers.attention_maps(tokens)
    assert maps.shape == (6, 2, 2, N - 1, N - 1)
    assert (np.triu(maps, 1) == 0).all()
    np.testing.assert_allclose(maps.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(maps[..., -1, :], layers.head_attention(tokens)[..., :-1], rtol=1e-4, atol=1e-6)
    params = {name: np.float64(leaf) for name, leaf in layers.params().items()}
    expected = slow(params, tokens[0], shape_of(**(PARTS | {"residual": True})))[1]
    np.testing.assert_allclose(maps[0], expected, rtol=1e-4, atol=1e-6)
    assert layers.attention_maps().shape[0] == B


@pytest.mark.parametrize("name", ["layers", "heads"])
def test_predictions_with_other_parameters_are_those_of_the_model_by_hand(name, request):
    run, by_hand = request.getfixturevalue(name), {"layers": by_hand_of_layers, "heads": by_hand_of_heads}[name]
    tokens = run.walks("test")[0]
    own, others = run.params(step=2), shifted(run.params(step=2))
    for given, expected in ((None, own), (own, own), (others, others)):
        outputs = by_hand(expected, tokens)[0]
        np.testing.assert_allclose(run.predict(step=2, params=given), outputs, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(run.predict(tokens[:3], step=2, params=given), outputs[:3], rtol=1e-3, atol=1e-4)
    assert np.abs(by_hand(others, tokens)[0] - by_hand(own, tokens)[0]).max() > 0.1
    as_lists = {name: leaf.tolist() for name, leaf in own.items()}
    np.testing.assert_array_equal(run.predict(params=as_lists), run.predict(params=own))


@pytest.mark.parametrize("name", some(["layers", "heads", "one_head"], "layers", "heads"))
def test_evaluation_gives_the_metrics_that_were_recorded(name, request):
    run = request.getfixturevalue(name)
    names = set(run.metrics.data_vars) - {"train_loss", "diverged_at", "finished"}
    assert ("head_value_error" in names) == (name != "one_head")
    for step in (0, 2, 5):
        measured = run.evaluate(step=step)
        assert set(measured) == names
        for metric, value in measured.items():
            np.testing.assert_allclose(value, run.metrics[metric].sel(step=step), rtol=1e-4, atol=1e-5, err_msg=metric)
    np.testing.assert_array_equal(run.evaluate()["accuracy"], run.metrics["accuracy"].sel(step=5))


def test_evaluation_without_values_is_that_of_a_model_that_always_says_the_first_state(heads):
    without = {**heads.params(), "value": np.zeros((2, K, K))}
    tokens, targets = heads.walks("test")
    measured = heads.evaluate(params=without)
    assert float(measured["accuracy"]) == pytest.approx(np.mean(targets == 0))
    law = heads.target_law()[tokens[:, -1]]
    assert float(measured["expected_accuracy"]) == pytest.approx(law[:, 0].mean(), rel=1e-6)
    assert float(measured["optimal_accuracy"]) == pytest.approx(law.max(axis=1).mean(), rel=1e-6)
    np.testing.assert_array_equal(measured["parent_attention"], heads.evaluate()["parent_attention"])


def test_evaluation_without_a_head_is_that_of_the_predictions_by_hand(layers):
    tokens, targets = layers.walks("test")
    law = layers.target_law()[tokens[:, -1]]
    for layer, head in ((0, 1), (1, 0)):
        params = without_head(shifted(layers.params()), layer, head)
        predicted = by_hand_of_layers(params, tokens)[0].argmax(axis=1)
        measured = layers.evaluate(params=params)
        assert float(measured["accuracy"]) == pytest.approx(np.mean(predicted == targets))
        assert float(measured["expected_accuracy"]) == pytest.approx(law[np.arange(B), predicted].mean(), rel=1e-5)


def refused(call, *args, **more):
    with pytest.raises(rw_jax.RunError) as error:
        call(*args, **more)
    assert_sentence(str(error.value))
    return str(error.value)


def test_heads_of_a_model_of_one_are_refused_in_a_sentence(one_head, heads):
    assert "one head in one layer; its attention is `attention`" in refused(one_head.head_attention)
    assert "model.form is 'reduced', which has no head_attention" in refused(one_head.mean_head_attention)
    for run in (one_head, heads):
        assert "one slot alone looks at the others; see `attention`" in refused(run.attention_maps)
    assert "step is 3" in refused(heads.head_attention, step=3)
    assert "[B, 6]" in refused(heads.head_attention, [[0, 1]])


WRONG_PARAMS = {
    "a shape": lambda params: {**params, "value": np.zeros((K, K))},
    "a name": lambda params: {**params, "readout": np.zeros((K, K))},
    "a number": lambda params: 5,
    "a list": lambda params: list(params.values()),
    "a ragged list": lambda params: {**params, "state_scores": [[0.0], [0.0, 1.0]]},
    "words": lambda params: {**params, "state_scores": np.full((2, K), "one")},
}


@pytest.mark.parametrize("kind", WRONG_PARAMS)
def test_parameters_that_are_not_like_those_of_the_run_are_refused_in_a_sentence(kind, heads):
    wrong = WRONG_PARAMS[kind](heads.params())
    for ask in (heads.predict, heads.evaluate):
        sentence = refused(ask, params=wrong)
        assert sentence.startswith("params ")
        assert "but must" in sentence
