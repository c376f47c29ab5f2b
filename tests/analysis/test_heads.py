"""What is asked of a run of several heads, and of a model with other parameters, against the models by hand."""

import functools
import itertools

import numpy as np
import pytest
import xarray as xr

import rw_jax
from rw_jax.analysis import plots
from rw_jax.analysis.circuits import without_head
from rw_jax.store import metrics_file
from rw_jax.study.grid import Grid
from tests.made_up import ABOUTS
from tests.models.test_decoder import shape_of, slow
from tests.tiny import assert_sentence, parts_of, some, tiny_study

K, N, B = 5, 7, 24
PARTS = {"query": "last", "positions": "rotary", "key_width": 4, "heads": 2, "layers": 2, "residual": "on"}
DECODER = {"model.form": "decoder", "training.loss": "cross_entropy"}


def study(fields, **axes):
    base = {
        "task.num_nodes": K,
        "task.walk_length": N,
        "model.init": "gaussian",
        "model.init_scale": 0.5,
        "training.loss": "squared_error",
        "training.learning_rate": 0.05,
    }
    return tiny_study(fields={**base, **fields}, **axes)


@pytest.fixture(scope="module")
def layers():
    """A decoder of two layers and two heads, with rotary positions, that predicts at the last token."""
    return rw_jax.train(study({**DECODER, **{f"model.{name}": value for name, value in PARTS.items()}})), {}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The reduced form with one head and with two, read again from its run directory."""
    workdir = tmp_path_factory.mktemp("heads") / "run"
    rw_jax.sweep(study({}, heads=(1, 2)), workdir)
    return rw_jax.load_run(workdir)


@pytest.fixture(scope="module")
def heads(swept):
    return swept, {"heads": 2}


@pytest.fixture(scope="module")
def one_head(swept):
    return swept, {"heads": 1}


def by_hand_of_layers(params, tokens):
    """(outputs, [B, K]; attention of each head from the last token, [B, layers, heads, N - 1])."""
    shape = shape_of(**PARTS)
    of_walks = [slow({name: np.float64(leaf) for name, leaf in params.items()}, walk, shape) for walk in tokens]
    return np.stack([outputs[-1] for outputs, _ in of_walks]), np.stack([weights[:, :, -1] for _, weights in of_walks])


def by_hand_of_heads(params, tokens):
    """(outputs, [B, K]; attention of each head, [B, 1, heads, N]) of the reduced form."""
    u, a, value = (np.float64(params[name]) for name in ("state_scores", "position_scores", "value"))
    scores = np.stack([np.column_stack([u[h][tokens] + a[h, :-1], np.full(len(tokens), a[h, -1])]) for h in (0, 1)], 1)
    weights = np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True)
    outputs = np.einsum("hkl,bhl->bk", value, np.einsum("bhl,blk->bhk", weights[..., :-1], np.eye(K)[tokens]))
    return outputs, weights[:, None]


BY_HAND = {"layers": by_hand_of_layers, "heads": by_hand_of_heads}
of_both = pytest.mark.parametrize("name", some(BY_HAND, "layers"))


def shifted(params):
    """Other parameters of the same names and shapes."""
    rng = np.random.default_rng(0)
    return {name: leaf + 0.3 * rng.normal(size=leaf.shape) for name, leaf in params.items()}


@of_both
def test_attention_of_each_head_is_that_by_hand(name, request):
    run, labels = request.getfixturevalue(name)
    tokens = run.walks("test", **labels)[0]
    for step in (0, 2, 5):
        expected = BY_HAND[name](run.params(step=step, **labels), tokens)[1]
        weights = run.head_attention(step=step, **labels)
        assert weights.shape == (B, 2 if name == "layers" else 1, 2, N)
        np.testing.assert_allclose(weights[..., : expected.shape[-1]], expected, rtol=1e-4, atol=1e-6)
        assert np.abs(weights[:, :, 0] - weights[:, :, 1]).max() > 0.05
        of_some = run.head_attention(tokens[3:5], step=step, **labels)
        np.testing.assert_allclose(of_some, weights[3:5], rtol=1e-4, atol=1e-6)
    # The last token of the decoder looks, and there is no empty slot.
    assert (weights[..., -1] == 0).all() == (name == "layers")


@of_both
def test_attention_of_each_head_sums_to_one_and_its_mean_is_attention(name, request):
    run, labels = request.getfixturevalue(name)
    weights = run.head_attention(**labels)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(weights.mean(axis=(1, 2)), run.attention(**labels), rtol=1e-5, atol=1e-7)
    for step in (0, 2, 5):
        mean = run.mean_head_attention(step=step, **labels)
        np.testing.assert_allclose(mean, run.head_attention(step=step, **labels).mean(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(mean.mean(axis=(0, 1)), run.mean_attention(step=step, **labels), rtol=1e-4)


def test_maps_are_causal_and_their_last_row_is_where_the_prediction_looks(layers):
    run, _ = layers
    tokens = run.walks("test")[0][:6]
    maps = run.attention_maps(tokens)
    assert maps.shape == (6, 2, 2, N - 1, N - 1)
    assert (np.triu(maps, 1) == 0).all()
    np.testing.assert_allclose(maps.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(maps[..., -1, :], run.head_attention(tokens)[..., :-1], rtol=1e-4, atol=1e-6)
    params = {name: np.float64(leaf) for name, leaf in run.params().items()}
    expected = slow(params, tokens[0], shape_of(**PARTS))[1]
    np.testing.assert_allclose(maps[0], expected, rtol=1e-4, atol=1e-6)


@of_both
def test_predictions_with_other_parameters_are_those_of_the_model_by_hand(name, request):
    run, labels = request.getfixturevalue(name)
    tokens, own = run.walks("test", **labels)[0], run.params(step=2, **labels)
    others = shifted(own)
    for given, expected in ((None, own), (own, own), (others, others)):
        outputs = BY_HAND[name](expected, tokens)[0]
        found = run.predict(step=2, params=given, **labels)
        np.testing.assert_allclose(found, outputs, rtol=1e-3, atol=1e-4)
        of_some = run.predict(tokens[:3], step=2, params=given, **labels)
        np.testing.assert_allclose(of_some, outputs[:3], rtol=1e-3, atol=1e-4)
    assert np.abs(BY_HAND[name](others, tokens)[0] - BY_HAND[name](own, tokens)[0]).max() > 0.1
    # Some of them alone, and a function of a run's own.
    value = {"value": others["value"]}
    outputs = BY_HAND[name](own | value, tokens)[0]
    for given in (value, lambda params: {"value": others["value"] - own["value"] + params["value"]}):
        np.testing.assert_allclose(run.predict(step=2, params=given, **labels), outputs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", some([*BY_HAND, "one_head"], "layers"))
def test_evaluation_gives_the_metrics_that_were_recorded(name, request):
    run, labels = request.getfixturevalue(name)
    recorded = run.metrics.sel(labels).drop_vars(["train_loss", "diverged_at", "finished"])
    of_the_other = {"layers": "-", "heads": "value_", "one_head": "head_"}[name]
    recorded = recorded.drop_vars([metric for metric in recorded if metric.startswith(of_the_other)])
    assert ("head_value_error" in recorded) == (name != "one_head")
    for step in (0, 2, 5):
        measured = run.evaluate(step=step, **labels)
        assert set(measured) == set(recorded)
        for metric in measured:
            expected = recorded[metric].sel(step=step)
            np.testing.assert_allclose(measured[metric], expected, rtol=1e-4, atol=1e-5, err_msg=metric)
    assert float(measured["accuracy"]) == float(recorded["accuracy"].sel(step=5))


def test_evaluation_without_values_is_that_of_a_model_that_always_says_the_first_state(heads):
    run, labels = heads
    without = {**run.params(**labels), "value": np.zeros((2, K, K))}
    tokens, targets = run.walks("test", **labels)
    measured = run.evaluate(params=without, **labels)
    assert float(measured["accuracy"]) == pytest.approx(np.mean(targets == 0))
    law = run.target_law(**labels)[tokens[:, -1]]
    assert float(measured["expected_accuracy"]) == pytest.approx(law[:, 0].mean(), rel=1e-6)
    assert float(measured["optimal_accuracy"]) == pytest.approx(law.max(axis=1).mean(), rel=1e-6)
    assert float(measured["parent_attention"]) == pytest.approx(float(run.mean_attention(**labels)[-2]), rel=1e-5)


def test_evaluation_without_a_head_is_that_of_the_predictions_by_hand(layers):
    run, _ = layers
    tokens, targets = run.walks("test")
    law = run.target_law()[tokens[:, -1]]
    for layer, head in ((0, 1), (1, 0)):
        params = without_head(shifted(run.params()), layer, head)
        predicted = by_hand_of_layers(params, tokens)[0].argmax(axis=1)
        measured = run.evaluate(params=params)
        assert float(measured["accuracy"]) == pytest.approx(np.mean(predicted == targets))
        assert float(measured["expected_accuracy"]) == pytest.approx(law[np.arange(B), predicted].mean(), rel=1e-5)


def refused(call, *args, **more):
    with pytest.raises(rw_jax.RunError) as error:
        call(*args, **more)
    assert_sentence(str(error.value))
    return str(error.value)


def test_heads_of_a_model_of_one_are_refused_in_a_sentence(swept):
    assert "which does not tell its heads; its attention is run.attention" in refused(swept.head_attention, heads=1)
    assert "model.form is 'reduced', which has no head_attention" in refused(swept.mean_head_attention, heads=1)
    for number in (1, 2):
        assert "one slot alone looks at the others; see `attention`" in refused(swept.attention_maps, heads=number)
    assert "step is 3" in refused(swept.head_attention, heads=2, step=3)
    assert "[B, 6]" in refused(swept.head_attention, [[0, 1]], heads=2)


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
    run, labels = heads
    wrong = WRONG_PARAMS[kind](run.params(**labels))
    for ask in (run.predict, run.evaluate):
        sentence = refused(ask, params=wrong, **labels)
        assert sentence.startswith("params ")
        assert "but must" in sentence


def centred_distance(value, law):
    """The distance between the directions of V and Pi^T, columns centred."""
    one, other = (np.float64(matrix) - matrix.mean(axis=0) for matrix in (value, law.T))
    return np.linalg.norm(one / np.linalg.norm(one) - other / np.linalg.norm(other))


def test_metrics_of_heads_have_axes_of_layers_and_heads_and_are_missing_where_there_is_one(swept):
    metrics = swept.metrics
    for name in ("head_parent_attention", "head_highest_lag", "head_value_error"):
        assert metrics[name].dims == ("heads", "step", "layer", "head")
        assert metrics[name].shape == (2, 6, 1, 2)
        assert metrics[name].sel(heads=1).isnull().all()
        assert metrics[name].sel(heads=2).notnull().all()
    assert metrics["parent_attention"].dims == ("heads", "step")
    assert metrics["parent_attention"].notnull().all()
    for step in (0, 2, 5):
        mean = swept.mean_head_attention(heads=2, step=step)
        of_step = metrics.sel(heads=2, step=step)
        np.testing.assert_allclose(of_step["head_parent_attention"], mean[..., -2], rtol=1e-6)
        np.testing.assert_array_equal(of_step["head_highest_lag"], N - 1 - np.argmax(mean, axis=-1))
        values, law = swept.params(heads=2, step=step)["value"], swept.target_law(heads=2)
        expected = [[centred_distance(value, law) for value in values]]
        np.testing.assert_allclose(of_step["head_value_error"], expected, rtol=1e-4)
    # V of one head is compared with Pi^T as it is, that of several is not.
    assert metrics["value_direction_error"].notnull().sel(step=5).values.tolist() == [True, False]


def test_metrics_of_structures_with_other_numbers_of_layers_and_heads_fill_one_array(tmp_path):
    sizes = ((2, 1), (1, 3), (1, 1))
    config = study(DECODER, layers=(2, 1, 1), heads=(1, 3, 1), seed=(0, 1), zipped=(("layers", "heads"),))
    grid = Grid(config)
    rng, parts, expected = np.random.default_rng(0), [], {}
    for structure, (num_layers, num_heads) in zip(grid.structures, sizes, strict=True):
        lags = rng.uniform(size=(2, 6, num_layers, num_heads))
        parts.append((structure.cells, {"accuracy": rng.uniform(size=(2, 6)), "head_highest_lag": lags}))
        expected[num_layers, num_heads] = lags
    for order in itertools.permutations(parts):
        made = metrics_file.dataset(grid, order, ABOUTS)
        metrics_file.write(tmp_path / "metrics.nc", grid, functools.partial(parts_of, order), ABOUTS)
        read = metrics_file.read(tmp_path / "metrics.nc", grid)
        xr.testing.assert_equal(read, made)
        assert read["head_highest_lag"].dims == ("layers", "seed", "step", "layer", "head")
        assert read["head_highest_lag"].shape == (3, 2, 6, 2, 3)
        for (num_layers, num_heads), lags in expected.items():
            chosen = (read["layers"] == num_layers) & (read["heads"] == num_heads)
            found = read["head_highest_lag"].values[chosen.values][0]
            np.testing.assert_array_equal(found[..., :num_layers, :num_heads], lags)
            assert np.isnan(found).sum() == 2 * 6 * (6 - num_layers * num_heads)
        assert read["accuracy"].notnull().all()


@pytest.mark.slow
def test_a_grid_of_decoders_has_the_numbers_of_each_where_it_has_layers_and_heads(tmp_path):
    parts = {"model.query": "last", "model.residual": "on", "model.key_width": 3}
    sizes = {"layers": (1, 2, 1), "heads": (1, 2, 3)}
    config = study({**DECODER, **parts}, **sizes, seed=(0, 1), zipped=(("layers", "heads"),))
    rw_jax.sweep(config, tmp_path / "run")
    run = rw_jax.load_run(tmp_path / "run")
    assert run.metrics["head_parent_attention"].shape == (3, 2, 6, 2, 3)
    for num_layers, num_heads, seed in [(1, 1, 0), (2, 2, 1), (1, 3, 1)]:
        labels = {"layers": num_layers, "heads": num_heads, "seed": seed}
        index = run.cell(**labels).index
        for step in (0, 2, 5):
            mean = run.mean_head_attention(step=step, **labels)
            assert mean.shape == (num_layers, num_heads, N)
            for name, of_heads in (
                ("head_parent_attention", mean[..., -2]),
                ("head_highest_lag", N - 1 - np.argmax(mean, axis=-1)),
            ):
                found = run.metrics[name].values[(*index, step)]
                np.testing.assert_allclose(found[:num_layers, :num_heads], of_heads, rtol=1e-6)
                assert np.isnan(found).sum() == 6 - num_layers * num_heads
        found = run.metrics["head_value_error"].values[(*index, 5)][:num_layers, :num_heads]
        np.testing.assert_allclose(found, run.evaluate(step=5, **labels)["head_value_error"], rtol=1e-4)
    (group,) = run.groups(layers=2, heads=2)
    assert group.metric("head_highest_lag").shape == (2, 6, 2, 3)
    assert len(run.summary()) == 3


@pytest.mark.slow
def test_the_maps_are_drawn_one_for_each_layer_and_head_with_the_mean_weights():
    fields = {
        "model.form": "decoder", "model.query": "last", "model.residual": "on", "model.layers": 2, "model.heads": 2,
        "model.init": "gaussian", "model.init_scale": 0.5,
    }  # fmt: skip
    run = rw_jax.train(tiny_study(fields={**fields, "training.steps": 0, "training.loss": "cross_entropy"}))
    figure, numbers = plots.attention_maps(run)
    maps = run.attention_maps().mean(axis=0)
    np.testing.assert_array_equal(numbers["weight"], maps.ravel())
    panels = [panel for panel in figure.axes if panel.get_xlabel() == "slot looked at"]
    assert [panel.get_title() for panel in panels] == [f"layer {i}, head {j}" for i in (0, 1) for j in (0, 1)]
    np.testing.assert_array_equal(panels[3].images[0].get_array(), maps[1, 1])
