"""Optimizers of both forms, by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import rw_jax
from rw_jax.models import Model, Reduction
from rw_jax.models.embeddings import make_embeddings
from rw_jax.models.full import full_transformer
from rw_jax.models.reduced import precondition, project
from rw_jax.study.flags import read_command
from rw_jax.tasks import Walks
from rw_jax.training.grids import make_grid
from rw_jax.training.losses import log_loss
from rw_jax.training.objectives import mean_loss
from rw_jax.training.optimizers import OPTIMIZERS, Optimizer, gradient_descent, transformation
from tests.tiny import assert_sentence, some, tiny_study

FULL = Model(init=lambda key, values: {}, apply=lambda params, tokens_LxB: None)
REDUCED = FULL._replace(reduction=Reduction(precondition(make_embeddings(2, 3, 5))))
VALUES = {"learning_rate": 0.1}


def step(optimizer, params, gradients):
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    return optax.apply_updates(params, updates)


def test_full_parameters_move_by_eta_times_their_gradient(float64):
    params = {"value": jnp.asarray([1.0, 2.0]), "key_query": jnp.asarray([[3.0]])}
    gradients = {"value": jnp.asarray([0.5, -1.0]), "key_query": jnp.asarray([[2.0]])}
    moved = step(transformation(gradient_descent(), FULL, VALUES), params, gradients)
    np.testing.assert_allclose(moved["value"], [0.95, 2.1], rtol=1e-15)
    np.testing.assert_allclose(moved["key_query"], [[2.8]], rtol=1e-15)


def test_state_scores_move_q_times_and_position_scores_q_squared_times_as_far(float64):
    params = {name: jnp.asarray([1.0, 2.0]) for name in ("value", "state_scores", "position_scores")}
    gradients = {name: jnp.asarray([0.5, -1.0]) for name in params}
    moved = step(transformation(gradient_descent(), REDUCED, VALUES), params, gradients)
    np.testing.assert_allclose(moved["value"], [0.95, 2.1], rtol=1e-15)
    np.testing.assert_allclose(moved["state_scores"], [0.85, 2.3], rtol=1e-15)
    np.testing.assert_allclose(moved["position_scores"], [0.55, 2.9], rtol=1e-15)


def test_gradient_descent_is_linear_and_an_optimizer_that_does_not_say_so_is_not():
    assert gradient_descent().is_linear
    assert not Optimizer(lambda values: optax.adam(values["learning_rate"])).is_linear


@pytest.mark.parametrize("factor", [2.0, -0.5])
def test_updates_of_gradient_descent_are_linear_in_the_gradients(factor, float64):
    params, gradients = {"value": jnp.ones(3)}, {"value": jnp.asarray([0.5, -1.0, 2.0])}
    optimizer = transformation(gradient_descent(), FULL, VALUES)
    one, other = (
        optimizer.update({"value": scale * gradients["value"]}, optimizer.init(params), params)[0]["value"]
        for scale in (1.0, factor)
    )
    np.testing.assert_allclose(other, factor * one, rtol=1e-15)


OF_OPTAX = {
    "gd": ({}, optax.sgd(0.3)),
    "momentum": ({"momentum": 0.8}, optax.sgd(0.3, momentum=0.8)),
    "nesterov": ({"momentum": 0.8}, optax.sgd(0.3, momentum=0.8, nesterov=True)),
    "weight_decay": ({"weight_decay": 0.2}, optax.chain(optax.add_decayed_weights(0.2), optax.sgd(0.3))),
    "adam": ({}, optax.adam(0.3)),
    "adamw": ({"weight_decay": 0.2}, optax.adamw(0.3, weight_decay=0.2)),
    "sign": ({}, optax.sign_sgd(0.3)),
    "muon": ({}, optax.contrib.muon(0.3)),
}
"""Each optimizer with its parameters, and Optax's own, made by hand."""


def study(name: str, **fields):
    """A tiny study from a Gaussian start with one of the optimizers."""
    options = {f"training.options.{option}": value for option, value in OF_OPTAX[name][0].items()}
    base = {"training.optimizer": name, "precision": "float64", "model.init": "gaussian", "model.init_scale": 0.1}
    return tiny_study(fields={**base, **options, **fields})


def test_every_optimizer_is_compared():
    assert set(OF_OPTAX) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", some(OF_OPTAX))
def test_the_full_form_moves_by_the_updates_of_optax_entry_by_entry(name, float64):
    run = rw_jax.train(study(name), form="full", learning_rate=0.3)
    tokens, targets = run.walks("train")
    walks = Walks(jnp.asarray(tokens.T), jnp.asarray(targets), jnp.ones(len(targets)))
    model = full_transformer(make_embeddings(4, 6, 8), "none", 0, "gaussian")
    gradient = jax.jit(jax.grad(mean_loss(model, functools.partial(log_loss, values={"epsilon": 0.1}), walks, 4)))
    optimizer, params = OF_OPTAX[name][1], jax.tree.map(jnp.asarray, run.params(step=0))
    state = optimizer.init(params)
    for _ in range(5):
        updates, state = optimizer.update(gradient(params), state, params)
        params = optax.apply_updates(params, updates)
    for leaf_name, leaf in run.params(step=5).items():
        np.testing.assert_allclose(leaf, params[leaf_name], rtol=1e-9, atol=1e-12, err_msg=leaf_name)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_reduced_form_refuses_what_sees_the_scale_of_each_entry(name):
    with pytest.raises(rw_jax.ConfigError, match="must be one that commutes with") as refused:
        rw_jax.train(study(name))
    assert_sentence(str(refused.value))


@pytest.mark.parametrize("name", some(["momentum", "nesterov", "weight_decay"]))
def test_the_reduced_form_is_the_full_one_where_updates_are_linear(name, float64):
    if name == "weight_decay":
        with pytest.raises(rw_jax.ConfigError, match="must be one that does not shrink W") as refused:
            rw_jax.train(study(name))
        assert_sentence(str(refused.value))
    start = "zero" if name == "weight_decay" else "gaussian"
    reduced, full = (
        rw_jax.train(study(name), form=form, init=start, learning_rate=0.1) for form in ("reduced", "full")
    )
    np.testing.assert_allclose(reduced.key_query_matrix(), full.key_query_matrix(), rtol=1e-9, atol=1e-11)
    projected = project(full.params(), make_embeddings(4, 6, 8))
    for leaf_name, leaf in reduced.params().items():
        np.testing.assert_allclose(leaf, projected[leaf_name], rtol=1e-9, atol=1e-11, err_msg=leaf_name)


@pytest.mark.parametrize(
    ("name", "start"),
    some([("adam", "gaussian"), ("sign", "gaussian"), ("muon", "zero"), ("muon", "gaussian")]),
)
def test_the_reduced_form_is_the_full_one_where_an_optimizer_sees_no_scale_or_no_rotation_of_w(name, start, float64):
    # From zero V is constant after the first step of Adam, and gradients that are 0 but for rounding decide its next.
    fields = {"model.init": start, "training.learning_rate": 0.01, "training.steps": 8}
    if name == "adam":
        fields |= {"training.options.eps": 0.0}
    reduced, full = (rw_jax.train(study(name, **fields), form=form) for form in ("reduced", "full"))
    projected = project(full.params(), make_embeddings(4, 6, 8))
    assert np.ptp(projected["position_scores"]) > 0.01  # a zero start has a gradient of 0 for W at first
    for leaf_name, leaf in reduced.params().items():
        np.testing.assert_allclose(leaf, projected[leaf_name], rtol=1e-9, atol=1e-11, err_msg=leaf_name)
    if name == "muon":
        np.testing.assert_allclose(reduced.key_query_matrix(), full.key_query_matrix(), rtol=1e-9, atol=1e-11)
    else:
        with pytest.raises(rw_jax.RunError, match="which has no matrix W"):
            reduced.key_query_matrix()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"training.optimizer": "weight_decay"},
            r"training\.options\.weight_decay must be given for training\.optimizer = 'weight_decay'",
        ),
        ({"training.options.momentum": 0.9}, "no piece of the study has a parameter momentum"),
        ({"training.optimizer": "adam", "training.options.eps": -1.0}, r"training\.options\.eps is -1\.0, but must be"),
        ({"training.optimizer": "lion"}, "training.optimizer is 'lion'"),
    ],
)
def test_an_optimizer_takes_its_own_parameters(fields, words):
    with pytest.raises(rw_jax.ConfigError, match=words) as refused:
        rw_jax.train(tiny_study(fields=fields))
    assert_sentence(str(refused.value))


def test_adam_without_its_epsilon_leaves_alone_what_has_gradients_that_vanish():
    optimizer = OPTIMIZERS["adam"](eps=0.0).transformation({"learning_rate": 1.0})
    gradients = {"value": jnp.array([1e-3, -1e-10, 1e-25, 0.0, jnp.nan], jnp.float32)}
    updates, _ = optimizer.update(gradients, optimizer.init(gradients), gradients)
    np.testing.assert_allclose(updates["value"], [-1, 1, 0, 0, np.nan], rtol=1e-3)


@pytest.mark.parametrize("name", some(list(OF_OPTAX)))
def test_a_training_in_two_parts_is_one(name, tmp_path):
    """From the state of the optimizer at the last recorded step on, in the midst of stages and batches, to the bit."""
    options = {f"training.options.{option}": value for option, value in OF_OPTAX[name][0].items()}
    fields = {"training.optimizer": name, **options, "record.parameters": "all", "model.form": "full"}
    if name in ("nesterov", "sign", "muon"):
        fields["model.form"] = "reduced"
    of_walks = {"stages": "3: p=0.9; 4: learning_rate=0.1", "batch": 5, "dropped_tokens": 0.2, "label_noise": 0.1}
    fields |= {f"training.{field}": value for field, value in of_walks.items()}
    longer = tiny_study(fields={**fields, "training.steps": 10}, p=(0.7,))
    rw_jax.sweep(tiny_study(fields={**fields, "training.steps": 5}, p=(0.7,)), tmp_path / "run")
    continued, at_once = rw_jax.sweep(longer, tmp_path / "run"), rw_jax.sweep(longer, tmp_path / "whole")
    for leaf_name, leaf in at_once.params(p=0.7).items():
        assert (leaf != at_once.params(p=0.7, step=5)[leaf_name]).any()
        np.testing.assert_array_equal(continued.params(p=0.7)[leaf_name], leaf)


def test_parameters_of_optimizers_are_given_and_swept_on_the_command_line():
    argv = ["", "--config=configs/smoke.py", "--config.training.optimizer=momentum"]
    argv += ["--config.training.options.momentum=0.9", "--config.grid.momentum=0.5,0.9"]
    config = read_command(argv, {}).config
    assert dict(config.training.options) == {"momentum": 0.9}
    assert dict(config.grid)["momentum"] == (0.5, 0.9)
    assert len(make_grid(config).grid.structures) == 2


@pytest.mark.parametrize("generator", ["threefry2x32", "rbg"])
def test_an_optimizer_may_keep_keys_and_goes_on_with_them(generator, tmp_path):
    """Noise that is drawn from a key in the state, against the same by hand."""
    key = jax.random.key(3, impl=generator)

    def noise(values):
        return optax.chain(optax.scale(0.0), optax.add_noise(1.0, 0.0, key))

    found = rw_jax.train(tiny_study(fields={"model.form": "full"}), optimizer=noise)
    by_hand = noise({})
    zeros = {name: np.zeros_like(leaf) for name, leaf in found.params(step=0).items()}
    params, state = zeros, by_hand.init(zeros)
    for _ in range(5):
        updates, state = by_hand.update(zeros, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    for name, leaf in found.params(step=5).items():
        np.testing.assert_allclose(leaf, params[name], rtol=1e-6)
        assert np.abs(leaf).min() > 0
