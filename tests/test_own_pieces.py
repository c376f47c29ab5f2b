"""A piece of each kind in a file of one's own, through everything that there is for a built-in one.

The file is this one: sweeps name its functions, as "test_own_pieces.py:weather".
"""

import inspect
import itertools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr

import rw_jax
from rw_jax import Law, Looks, Metric, Model, Optimizer, Output, Reduction, Scores, Task, Walks
from rw_jax.sweeps.until import Goal, interval, sweep_until
from tests.sweeps.test_pieces import killed_at_save
from tests.tiny import assert_sentence, stored_records, tiny_study

MATRIX = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.2, 0.2, 0.6]])
WORDS = ("sun", "cloud", "rain")


def weather(walk_length):
    """A task with words, and without p: days of a chain."""

    def states_of(key, num_walks):
        first_key, *keys = jax.random.split(key, walk_length)
        states = [jax.random.randint(first_key, (num_walks,), 0, 3)]
        for each in keys:
            states.append(jax.random.categorical(each, jnp.log(MATRIX)[states[-1]]))
        return states

    def sample(key, num_walks, values):
        *tokens, targets = states_of(key, num_walks)
        return Walks(jnp.stack(tokens), targets, jnp.ones(num_walks))

    def population(values):
        every = np.array(list(itertools.product(range(3), repeat=walk_length))).T
        weights = np.prod(MATRIX[every[:-1], every[1:]], axis=0) / 3
        return Walks(jnp.asarray(every[:-1]), jnp.asarray(every[-1]), jnp.asarray(weights))

    def law(values):
        return Law(jnp.full(3, 1 / 3), jnp.asarray(MATRIX))

    return Task(3, walk_length, sample, population=population, law=law, vocabulary=WORDS)


def by_position(num_nodes, walk_length, position_width):
    """A third reduced form: attention that does not look at states, u = 0."""
    q = (position_width + 1) / 2

    def init(key, values):
        return {"value": jnp.zeros((num_nodes, num_nodes)), "position_scores": jnp.zeros(walk_length)}

    def apply(params, tokens_LxB):
        weights_N = jax.nn.softmax(params["position_scores"])
        averaged_KxB = jnp.einsum("l,lkb->kb", weights_N[:-1], jax.nn.one_hot(tokens_LxB, num_nodes, axis=1))
        weights_NxB = jnp.repeat(weights_N[:, None], tokens_LxB.shape[1], axis=1)
        return Output(params["value"] @ averaged_KxB, weights_NxB[:-1], weights_NxB[-1])

    def scores(params):
        return Scores(jnp.zeros(num_nodes), params["position_scores"])

    looks = Looks(value=lambda params: params["value"], value_is_output=True, scores=scores)
    return Model(init, apply, Reduction(lambda by: {**by, "position_scores": q**2 * by["position_scores"]}), looks)


def focal(sharpness):
    """A loss that makes a function: the log-loss, less of it where the target is likely already."""

    def loss(output_K, target_K, values):
        share = jnp.sum(output_K * target_K)
        return -((1 - jnp.clip(share, 0, 1)) ** sharpness) * jnp.log(share + values["epsilon"])

    return loss


def heavy_ball(momentum):
    return Optimizer(lambda values: optax.sgd(values["learning_rate"], momentum), is_linear=True)


def entropy(attention_NxB, weights_B):
    return jnp.average(-jnp.sum(attention_NxB * jnp.log(attention_NxB), axis=0), weights=weights_B)


def _largest(value_HxK):
    return jnp.max(value_HxK, axis=0)


largest = Metric(_largest, "largest entry of V", "nats", dims=("word",))


def sure(output_KxB, weights_B):
    return jnp.average(jnp.max(output_KxB, axis=0) > 0.3, weights=weights_B)


def named(attribute):
    return f"{Path(__file__).name}:{attribute}"


FOLDERS = [Path(__file__).parent]
OWN = {
    "task.name": named("weather"),
    "task.num_nodes": None,
    "model.form": named("by_position"),
    "training.loss": named("focal"),
    "training.options.sharpness": 2,
    "training.optimizer": named("heavy_ball"),
    "training.options.momentum": 0.5,
    "training.learning_rate": 0.1,
    "record.metrics": ("all", named("entropy"), named("largest"), named("sure")),
    "execution.cells_per_chunk": 2,
    "execution.checkpoint_steps": 2,
}


BUILT_IN = {
    "task.name": "circle",
    "model.form": "reduced",
    "training.loss": "log",
    "training.optimizer": "gd",
    "record.metrics": "all",
}
"""What objects stand in the place of."""


def study(fields=None, **axes):
    return tiny_study(fields={**OWN, **(fields or {})}, **axes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Four runs of pieces that are all of one's own."""
    return rw_jax.sweep(study(momentum=(0.0, 0.5), seed=(0, 1)), tmp_path_factory.mktemp("runs") / "own", FOLDERS)


def test_objects_go_through_train_to_the_numbers_of_a_sweep_of_their_names(run):
    pieces = {"task": weather(6), "model": by_position, "loss": focal, "optimizer": heavy_ball}
    metrics = {"entropy": entropy, "largest": largest, "sure": sure}
    one = rw_jax.train(study(BUILT_IN), **pieces, metrics=metrics, momentum=0.5, seed=1)
    of_sweep = run.metrics.sel(momentum=0.5, seed=1, drop=True)
    assert set(one.metrics) == set(of_sweep)
    for name in set(one.metrics) - {"finished", "diverged_at"}:
        np.testing.assert_allclose(one.metrics[name], of_sweep[name], rtol=1e-5, atol=1e-7, err_msg=name)
    for name, leaf in run.params(momentum=0.5, seed=1).items():
        np.testing.assert_allclose(one.params()[name], leaf, rtol=1e-5, atol=1e-7)
    assert "optimal_accuracy" not in one.metrics  # no law of the next state of a walk is given
    assert one.metrics["value_direction_error"].notnull().any()


def test_training_is_descent_on_what_the_pieces_say(float64):
    config = study({**BUILT_IN, "precision": "float64", "task.walks": "all", "task.walk_length": 4})
    pieces = {"task": weather(4), "model": by_position, "loss": focal, "optimizer": heavy_ball}
    rng = np.random.default_rng(0)
    start = {"value": rng.uniform(0, 0.5, (3, 3)), "position_scores": rng.normal(size=4)}
    trained = rw_jax.train(config, **pieces, init=start).params()
    walks, model, loss = weather(4).population({}), by_position(3, 4, 8), focal(2)

    def mean_loss(params):
        output_KxB, targets_KxB = model.apply(params, walks.tokens_LxB).output_KxB, jnp.eye(3)[walks.targets_B].T
        return jnp.sum(walks.weights_B * jax.vmap(loss, (1, 1, None))(output_KxB, targets_KxB, {"epsilon": 0.1}))

    gradient = jax.jit(jax.grad(mean_loss))
    params, moved = jax.tree.map(jnp.asarray, start), jax.tree.map(np.zeros_like, start)
    for _ in range(5):
        of_full = gradient(params) | {"position_scores": 4.5**2 * gradient(params)["position_scores"]}
        moved = jax.tree.map(lambda before, now: 0.5 * before - 0.1 * now, moved, of_full)
        params = jax.tree.map(jnp.add, params, moved)
    for name, leaf in params.items():
        np.testing.assert_allclose(trained[name], leaf, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("saves", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_sweep_that_is_killed_goes_on_to_the_same_bits(saves, run, tmp_path):
    config = study(momentum=(0.0, 0.5), seed=(0, 1))
    with killed_at_save(saves), pytest.raises(KeyboardInterrupt):
        rw_jax.sweep(config, tmp_path / "killed", FOLDERS)
    resumed = rw_jax.sweep(config, tmp_path / "killed", FOLDERS)
    assert stored_records(tmp_path / "killed") == stored_records(run.run_dir.path)
    assert resumed.metrics.identical(run.metrics)


def test_metrics_of_ones_own_are_variables_and_columns_and_keep_what_they_are(run):
    again = rw_jax.load_run(run.run_dir.path)
    assert again.metrics["entropy"].dims == ("momentum", "seed", "step")
    assert again.metrics["largest"].dims == ("momentum", "seed", "step", "word")
    assert again.metrics["largest"].attrs == {"long_name": "largest entry of V", "units": "nats"}
    assert again.metrics["train_loss"].attrs["units"] == ""  # a loss of one's own has none
    for momentum, seed in itertools.product((0.0, 0.5), (0, 1)):
        cell = {"momentum": momentum, "seed": seed}
        value, weights = again.value_matrix(**cell), again.mean_attention(**cell)
        np.testing.assert_allclose(again.metrics["largest"].sel(step=5, **cell), value.max(axis=0), rtol=1e-6)
        found = float(again.metrics["entropy"].sel(step=5, **cell))
        assert found == pytest.approx(-np.sum(weights * np.log(weights)), rel=1e-5)  # the same on every walk
    table = again.summary()
    assert table["momentum"].tolist() == [0.0, 0.5]
    np.testing.assert_allclose(table["entropy"], again.metrics["entropy"].sel(step=5).mean("seed"), rtol=1e-12)
    assert {"entropy_low", "entropy_high", "sure"} <= set(table)
    assert "largest" not in table  # it is no number


def test_runs_are_looked_at_again_on_their_own_walks_and_others(run):
    cell = {"momentum": 0.5, "seed": 1}
    measured = run.evaluate(**cell)
    for name in ("entropy", "largest", "accuracy", "parent_attention"):
        np.testing.assert_allclose(measured[name], run.metrics[name].sel(step=5, **cell), rtol=1e-5, err_msg=name)
    tokens, targets = run.walks("test", **cell)
    assert set(np.unique(np.column_stack([tokens, targets]))) == {0, 1, 2}
    np.testing.assert_array_equal(run.transition_matrix(**cell), MATRIX.astype(np.float32))
    output = run.predict(np.array([[0, 1, 2, 1, 2]]), **cell)
    averaged = run.mean_attention(**cell)[:-1] @ np.eye(3)[[0, 1, 2, 1, 2]]
    np.testing.assert_allclose(np.ravel(output), run.value_matrix(**cell) @ averaged, rtol=1e-5)
    assert run.vocabulary(**cell) == WORDS


def test_a_field_that_nothing_reads_is_not_told(run):
    assert run.source.unread(run.grid) >= {"p", "init_scale"}
    assert "p = " not in repr(run)
    assert "ε = 0.1" in repr(run)  # the loss reads it
    circle = rw_jax.train(tiny_study())
    assert "p = 0.7" in repr(circle)
    # The key of a run is what it was.
    assert json.loads((run.run_dir.path / "config.json").read_text())["task"]["p"] == 0.7


def test_seeds_are_added_until_a_share_of_ones_own_is_known(tmp_path):
    goal = Goal(0.6, "sure")
    found = sweep_until(study(seed=(0, 1)), tmp_path / "run", goal, FOLDERS)
    (group,) = found.groups()
    assert len(group) > 2
    assert interval(group, "sure").high - interval(group, "sure").low <= 0.6
    with pytest.raises(rw_jax.ConfigError, match="must be a metric that lies between 0 and 1") as refused:
        sweep_until(study(seed=(0, 1)), tmp_path / "no_share", Goal(0.6, "largest"), FOLDERS)
    assert_sentence(str(refused.value))


def test_the_third_form_trains_on_infinitely_many_walks_as_on_all_there_are():
    fields = {"precision": "float64", "training.loss": "log", "task.test_walks": "all", "training.steps": 12}
    config = tiny_study(fields={**fields, "task.num_nodes": 3, "task.walk_length": 5})
    every, infinitely = (
        rw_jax.train(config, task=weather(5), model=by_position, walks=walks) for walks in ("all", "infinite")
    )
    for name, leaf in every.params().items():
        np.testing.assert_allclose(infinitely.params()[name], leaf, rtol=1e-9, atol=1e-11, err_msg=name)
    assert np.ptp(every.params()["position_scores"]) > 0.1
    for name in ("train_loss", "accuracy", "parent_attention", "value_direction_error"):
        xr.testing.assert_allclose(infinitely.metrics[name], every.metrics[name], rtol=1e-8, atol=1e-11)
    assert float(infinitely.metrics["quadrature_error"].max()) < 1e-10
    with pytest.raises(
        rw_jax.ConfigError, match="but must be one whose mean over all walks is known, such as log,"
    ) as refused:
        rw_jax.train(config, task=weather(5), model=by_position, loss=focal(2), walks="infinite")
    assert_sentence(str(refused.value))


def test_each_of_the_pieces_is_short():
    for piece in (weather, by_position, focal, heavy_ball, entropy, sure):
        assert len(inspect.getsource(piece).splitlines()) < 25, piece.__name__
