"""One run in memory has the bits of the same run in a sweep."""

import jax
import numpy as np
import pytest

import rw_jax
from tests.tiny import assert_sentence, tiny_study


def assert_same_run(one, run, **labels):
    """That a run in memory holds what a sweep holds of a cell, to the last bit."""
    for name in one.metrics:
        np.testing.assert_array_equal(one.metrics[name].values, run.metrics[name].sel(labels).values, err_msg=name)
    for step in one.steps:
        mine, theirs = one.params(step=step), run.params(step=step, **labels)
        assert mine.keys() == theirs.keys()
        for name in mine:
            np.testing.assert_array_equal(mine[name], theirs[name])
        np.testing.assert_array_equal(one.mean_attention(step=step), run.mean_attention(step=step, **labels))


@pytest.mark.parametrize(
    ("form", "compiled"),
    [("reduced", ""), *(pytest.param(form, "optimized", marks=pytest.mark.slow) for form in ("reduced", "full"))],
)
def test_a_run_in_memory_has_the_bits_of_a_sweep(form, compiled, request, tmp_path):
    if compiled:
        request.getfixturevalue(compiled)
    study = tiny_study(p=(0.5, 0.7), seed=(0, 1, 2), fields={"model.form": form})
    run = rw_jax.sweep(study, tmp_path / "run")
    one = rw_jax.train(study, p=0.7, seed=2)
    assert_same_run(one, run, p=0.7, seed=2)
    np.testing.assert_array_equal(one.walks("test")[0], run.walks("test", p=0.7, seed=2)[0])
    np.testing.assert_array_equal(one.key_query_matrix(), run.key_query_matrix(p=0.7, seed=2))
    assert (one.config.task.p, one.config.seed, one.config.grid) == (0.7, 2, ())


@pytest.mark.slow
def test_a_run_in_memory_takes_a_config_dict_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = rw_jax.base_config()
    config.task.walk_length, config.model.position_width, config.training.steps = 6, 8, 3
    config.task.walks = config.task.test_walks = 20
    one = rw_jax.train(config, p=0.9)
    assert one.metrics["accuracy"].shape == (4,)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(rw_jax.RunError, match="in memory") as refused:
        _ = one.run_dir
    assert_sentence(str(refused.value))


def test_names_of_pieces_may_be_given_as_labels():
    one = rw_jax.train(tiny_study(), model="full", loss="hinge", init="gaussian", seed=3)
    assert (one.config.training.loss, one.config.model.init) == ("hinge", "gaussian")
    assert one.config.model.form == "full"
    assert "key_query" in one.params()


def test_an_axis_with_one_label_is_taken_and_of_several_one_must_be_given():
    one = rw_jax.train(tiny_study(p=(0.8,), seed=(3, 4)))
    assert (one.config.task.p, one.config.seed) == (0.8, 0)
    with pytest.raises(
        rw_jax.ConfigError, match=r"p is not given, but must be one label, as the grid has 2: give p=0\.5"
    ) as refused:
        rw_jax.train(tiny_study(p=(0.5, 0.8)))
    assert_sentence(str(refused.value))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"colour": "red"}, "colour is not a field"),
        ({"p": 1.5}, "task.p is 1.5"),
        ({"seed": True}, "seed is True"),
        ({"loss": "absolute"}, "training.loss is 'absolute'"),
        ({"p": "half"}, "task.p is 'half'"),
    ],
)
def test_labels_that_are_not_right_are_refused_in_a_sentence(labels, words):
    with pytest.raises(rw_jax.ConfigError) as refused:
        rw_jax.train(tiny_study(), **labels)
    assert_sentence(str(refused.value))
    assert words in str(refused.value)


@pytest.mark.slow
def test_training_starts_from_the_parameters_that_are_given_full_ones_projected_for_the_reduced_form():
    study = tiny_study(fields={"model.init": "gaussian", "precision": "float64"})
    full = rw_jax.train(study, form="full", seed=5)
    start = full.params(step=0)
    again = rw_jax.train(study, form="full", init=start, seed=5)
    reduced = rw_jax.train(study, form="reduced", init=start, seed=5)
    for name, leaf in start.items():
        np.testing.assert_array_equal(again.params(step=0)[name], leaf)
    np.testing.assert_array_equal(again.metrics["train_loss"], full.metrics["train_loss"])
    np.testing.assert_allclose(reduced.metrics["train_loss"], full.metrics["train_loss"], rtol=1e-9)
    for step in (0, 2, 5):
        W, rebuilt = full.key_query_matrix(step=step), reduced.key_query_matrix(step=step)
        np.testing.assert_allclose(rebuilt, W, atol=1e-10)
    on = rw_jax.train(study, form="reduced", init=reduced.params(step=2), seed=5)
    with pytest.raises(rw_jax.RunError, match="which has no matrix W"):  # reduced parameters do not tell it
        on.key_query_matrix()
    np.testing.assert_allclose(on.metrics["train_loss"][:4], reduced.metrics["train_loss"][2:6], rtol=1e-9)


def test_a_start_of_other_shapes_is_refused_in_a_sentence():
    with pytest.raises(rw_jax.ConfigError, match="init has the parameters") as refused:
        rw_jax.train(tiny_study(), init={"value": np.zeros((3, 3))})
    assert_sentence(str(refused.value))


@pytest.mark.slow
def test_precision_is_a_label_and_of_the_run_not_of_the_process(tmp_path):
    fields = {"model.init": "gaussian", "model.init_scale": 0.1}
    run = rw_jax.sweep(tiny_study(precision=("float32", "float64"), seed=(0, 1), fields=fields), tmp_path / "run")
    assert not jax.config.jax_enable_x64
    for precision in ("float32", "float64"):
        assert run.params(precision=precision, seed=0)["value"].dtype == precision
    one = rw_jax.train(tiny_study(fields=fields), precision="float64", seed=1)
    assert_same_run(one, run, precision="float64", seed=1)


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ({"task": 5}, "task.name is one of your own, which is 5, but must be a Task, or a function that makes one"),
        ({"model": 5}, "model.form is one of your own, which is 5, but must be a Model, or a function that makes one"),
        (
            {"loss": 5},
            "training.loss is one of your own, which is 5, but must be a Loss, or a function of output_K, targe",
        ),
        (
            {"optimizer": [1]},
            r"training.optimizer is one of your own, which is \[1\], but must be an Optimizer, or a fu",
        ),
        ({"init": 5}, "init is 5, but must be parameters by name"),
        ({"init": {"value": 5}}, "init has the parameters"),
        ({"init": {"value": [[1, 2], [3]]}}, "must have an array of real numbers under each name"),
        ({"init": {"value": np.full((4, 4), 1j)}}, "must have an array of real numbers under each name"),
        ({"model": "nix"}, "model.form is 'nix'"),
    ],
)
def test_what_is_no_piece_is_refused_in_a_sentence(pieces, words):
    with pytest.raises(rw_jax.ConfigError, match=words) as refused:
        rw_jax.train(tiny_study(), **pieces)
    assert_sentence(str(refused.value))
