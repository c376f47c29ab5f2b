"""Training by classes of walks, against training on the walks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rw_jax
from rw_jax.study.flags import from_config_dict
from rw_jax.sweeps.program import make_schedule
from rw_jax.training import run
from tests.tiny import experiment_and_values

LOCKED = from_config_dict(rw_jax.base_config()).replace(p=0.9, walks=200, test_walks=100, steps=30, precision="float64")
"""A run whose attention locks at step 2."""


@functools.cache
def trained(config, is_alone, ends=None):
    """The progress of a run that is trained in one piece, or up to each of some recorded steps in turn."""
    experiment, values = experiment_and_values(config)
    shape = run.progress_shape(experiment, values)
    blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape)
    train = jax.jit(functools.partial(run.train, experiment, is_alone=is_alone))
    progress, first = run.begin(experiment, values, blank.record), 0
    for last in ends or (config.training.steps + 1,):
        progress = train(values, progress, make_schedule(experiment, first, last))
        first = last
    return progress


def remembered(config):
    """Of each step, whether it goes over classes, and what it remembers."""
    experiment, values = experiment_and_values(config)
    each, state = run.prepare(experiment, values), run.init(experiment, values)
    held = each.by_classes.nothing()
    step = jax.jit(lambda state, held: run.train_step(each, state, each.by_classes.objective(held))[0])
    remember = jax.jit(each.by_classes.remember)
    found = []
    for _ in range(config.training.steps):
        held = remember(state.params, held)
        found.append(held)
        state = step(state, held)
    return found


def test_a_run_trained_by_classes_goes_where_it_goes_on_all_its_walks(float64):
    fits = [bool(held.grouped.fits) for held in remembered(LOCKED)]
    assert fits == [False] * 2 + [True] * 28, "attention locks at step 2, and classes are used from there on"
    by_classes, on_walks = trained(LOCKED, True), trained(LOCKED, False)
    for name, right in on_walks.state.params.items():
        np.testing.assert_allclose(by_classes.state.params[name], right, rtol=1e-8, atol=1e-8, err_msg=name)
    for name, right in on_walks.record.metrics.items():
        np.testing.assert_allclose(by_classes.record.metrics[name], right, rtol=1e-6, atol=1e-8, err_msg=name)


def test_a_field_has_every_step_go_over_all_walks(float64):
    off = LOCKED.replace(walk_classes="off")
    assert run.prepare(*experiment_and_values(off)).by_classes is None
    over_walks, of_default = trained(off, True), trained(LOCKED, False)
    for one, other in zip(jax.tree.leaves(over_walks), jax.tree.leaves(of_default), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_remembered_changes_no_bit(float64):
    whole, in_parts = trained(LOCKED, True), trained(LOCKED, True, (1, 3, 4, 20, 31))
    for right, found in zip(jax.tree.leaves(whole), jax.tree.leaves(in_parts), strict=True):
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("p", [1.0, pytest.param(0.0, marks=pytest.mark.slow)])
def test_where_all_positions_are_equal_no_step_goes_over_classes(p, float64):
    assert not any(held.grouped.fits for held in remembered(LOCKED.replace(p=p, walk_length=25, steps=5)))


@pytest.mark.parametrize(
    ("fields", "has"),
    [
        ({}, True),
        ({"optimizer": "sign"}, False),
        ({"batch": 50}, False),
        ({"walks": 100}, False),
        ({"dropped_tokens": 0.1}, False),
        ({"position_place": "added"}, False),
        ({"form": "full"}, False),
        ({"heads": 2}, True),
        ({"loss": "squared_error"}, True),
        ({"loss": "hinge"}, False),
        ({"feed_forward_width": 3, "init": "gaussian"}, False),
        ({"num_nodes": 40}, False),
    ],
)
def test_which_runs_go_over_classes(fields, has, float64):
    experiment, values = experiment_and_values(LOCKED.replace(**fields))
    found = []
    jax.eval_shape(lambda: found.append(run.prepare(experiment, values).by_classes))  # nothing is drawn
    assert (found[0] is not None) == has
