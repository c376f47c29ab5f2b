"""Trainings that start from the parameters of other runs."""

import shutil

import numpy as np
import pytest

import rw_jax
from tests.tiny import assert_sentence, tiny_study


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Four runs of five steps."""
    workdir = tmp_path_factory.mktemp("runs") / "first"
    return rw_jax.sweep(tiny_study(fields={"model.init": "gaussian"}, p=(0.5, 0.9), seed=(0, 1)), workdir)


def start(run, labels: str = "") -> str:
    return f"{run.run_dir.path}?{labels}"


def assert_same(one, other):
    for name, leaf in one.items():
        np.testing.assert_array_equal(leaf, other[name], err_msg=name)


@pytest.mark.slow
def test_each_run_starts_from_the_run_with_its_labels_and_goes_on_as_it_would_have(first, tmp_path):
    run = rw_jax.sweep(tiny_study(fields={"model.init": start(first)}, p=(0.5, 0.9), seed=(0, 1)), tmp_path / "run")
    longer = rw_jax.train(tiny_study(fields={"model.init": "gaussian", "training.steps": 10}), p=0.9, seed=1)
    for p in (0.5, 0.9):
        for seed in (0, 1):
            assert_same(run.params(step=0, p=p, seed=seed), first.params(p=p, seed=seed))
    for name, leaf in run.params(p=0.9, seed=1).items():
        np.testing.assert_allclose(leaf, longer.params()[name], rtol=1e-5, atol=1e-7)
    assert run.config.model.init.startswith(f"{start(first)}@")


@pytest.mark.slow
def test_labels_and_a_step_name_one_run_for_all(first):
    init = start(first, "p=0.9&seed=0&step=2")
    for seed in (0, 7):
        run = rw_jax.train(tiny_study(fields={"model.init": init}), p=0.5, seed=seed)
        assert_same(run.params(step=0), first.params(p=0.9, seed=0, step=2))


def test_the_parameters_are_kept_with_the_run(first, tmp_path):
    source = shutil.copytree(first.run_dir.path, tmp_path / "source")
    config = tiny_study(fields={"model.init": f"{source}?p=0.5"}, seed=(0, 1))
    run = rw_jax.sweep(config, tmp_path / "run")
    rw_jax.sweep(tiny_study(fields={"model.init": "gaussian"}, p=(0.5, 0.9), seed=(0, 1, 2)), source)
    assert_same(rw_jax.sweep(config, tmp_path / "run").params(seed=0), run.params(seed=0))  # also where there are more
    shutil.rmtree(source)
    assert_same(rw_jax.sweep(config, tmp_path / "run").params(seed=0), run.params(seed=0))  # and where they are gone
    again = rw_jax.load_run(tmp_path / "run")
    assert_same(again.params(step=0, seed=1), first.params(p=0.5, seed=1))
    tokens, _ = again.walks("test", seed=1)
    assert again.attention(tokens, seed=1).shape == (24, 6)
    # What is kept is what was read.
    (kept,) = (tmp_path / "run" / "pieces").iterdir()
    kept.write_text(kept.read_text().replace("0.", "1."))
    with pytest.raises(rw_jax.ConfigError, match="whose parameters are not kept as they were") as refused:
        rw_jax.load_run(tmp_path / "run").walks("test", seed=1)
    assert_sentence(str(refused.value))


@pytest.mark.slow
def test_runs_of_other_parameters_are_another_study(first, tmp_path):
    source = shutil.copytree(first.run_dir.path, tmp_path / "source")
    config = tiny_study(fields={"model.init": f"{source}?p=0.5"}, seed=(0, 1))
    rw_jax.sweep(config, tmp_path / "run")
    shutil.rmtree(source)
    rw_jax.sweep(tiny_study(p=(0.5,), seed=(0, 1)), source)
    with pytest.raises(rw_jax.ConfigError, match=r"were trained with another text of model\.init") as refused:
        rw_jax.sweep(config, tmp_path / "run")
    assert_sentence(str(refused.value))


@pytest.mark.slow
def test_full_parameters_start_the_reduced_form_and_w_is_rebuilt(tmp_path):
    fields = {"model.init": "gaussian", "model.form": "full"}
    full = rw_jax.sweep(tiny_study(fields=fields, seed=(0,)), tmp_path / "full")
    init = {"model.init": start(full), "precision": "float64"}
    reduced, other = (rw_jax.train(tiny_study(fields=init), form=form) for form in ("reduced", "full"))
    np.testing.assert_allclose(reduced.key_query_matrix(step=0), full.key_query_matrix(seed=0), rtol=1e-12)
    np.testing.assert_allclose(reduced.key_query_matrix(), other.key_query_matrix(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("p=0.7", "has no finished run with p = 0.7"),
        ("q=1", "model.init names q, which is no axis of"),
        ("p=0.5&step=3", "cannot be started from: step is 3, but parameters were recorded at"),
        ("step=²", "whose step is '²', but must be a number"),
        ("step=x", "whose step is 'x', but must be a number"),
        ("p=", "but must have labels as in"),
        ("p=0.9,seed=0", "but must have labels as in"),
        ("steps=2", "Did you mean step"),
        ("p=0.5&p=0.9", "but must have labels as in"),
        ("p=0.9", "which had 0 finished runs with seed = 5 when it was read, but must have one"),
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(first, labels, words):
    with pytest.raises(rw_jax.ConfigError, match=words) as refused:
        rw_jax.train(tiny_study(fields={"model.init": start(first, labels)}), seed=5)
    assert_sentence(str(refused.value))


def test_directories_that_are_none_and_models_of_other_sizes_are_refused(first, tmp_path):
    with pytest.raises(rw_jax.ConfigError, match="which cannot be started from") as refused:
        rw_jax.train(tiny_study(fields={"model.init": f"{tmp_path}?"}))
    assert_sentence(str(refused.value))
    with pytest.raises(rw_jax.ConfigError, match="init has the parameters") as refused:
        rw_jax.train(tiny_study(fields={"model.init": start(first, "p=0.5")}), seed=1, walk_length=7)
    assert_sentence(str(refused.value))
