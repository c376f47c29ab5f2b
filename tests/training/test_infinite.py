"""Infinitely many walks against all walks there are, enumerated, and against what is known without either."""

import functools
import itertools
import math
from typing import NoReturn

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rw_jax
from rw_jax.models import Model, Scores
from rw_jax.models.embeddings import make_embeddings
from rw_jax.models.reduced import reduced_transformer
from rw_jax.tasks import Law, Task, Walks, faults
from rw_jax.tasks.circle import circle
from rw_jax.theory import lags
from rw_jax.theory.lags import circle_matrix
from rw_jax.theory.recursions import one_hot_training
from rw_jax.training import infinite
from rw_jax.training.infinite import log_loss_on_all_walks
from rw_jax.training.losses import log_loss
from rw_jax.training.objectives import mean_loss, on_infinite_walks
from rw_jax.training.run import init, prepare, train_step
from tests.tiny import assert_sentence, experiment_and_values, tiny_study

EPSILON = 0.1


def chain(start_K: np.ndarray, transition_KxK: np.ndarray, walk_length: int) -> Task:
    """A task on a chain, without symmetry."""
    law = Law(jnp.asarray(start_K), jnp.asarray(transition_KxK))
    return Task(len(start_K), walk_length, sample=nothing_is_drawn, law=lambda values: law)


def nothing_is_drawn(key, num_walks, values) -> NoReturn:
    raise AssertionError


def every_walk(task: Task, values) -> Walks:
    """Every walk of a chain with its probability, by enumeration in NumPy."""
    start, transition = (np.asarray(leaf, np.float64) for leaf in task.law(values)[:2])
    walks = np.array(list(itertools.product(range(task.num_nodes), repeat=task.walk_length)))
    weights = start[walks[:, 0]] * np.prod(transition[walks[:, :-1], walks[:, 1:]], axis=1)
    return Walks(jnp.asarray(walks[:, :-1].T), jnp.asarray(walks[:, -1]), jnp.asarray(weights))


def reduced(task: Task) -> Model:
    """The reduced form for a task."""
    return reduced_transformer(
        make_embeddings(task.num_nodes, task.walk_length, task.walk_length + 3), "none", 0, "zero"
    )


def by_enumeration(task: Task, params, values):
    """Loss and gradients on all walks, by automatic differentiation of the model itself."""
    loss = mean_loss(
        reduced(task), functools.partial(log_loss, values=values), every_walk(task, values), task.num_nodes
    )
    return jax.jit(jax.value_and_grad(loss))(params)


def of_all_lengths(walks: Walks, num_nodes: int, shortest: int) -> Walks:
    """Walks with each of their lengths from the shortest on, equally likely, the tokens before the first missing."""
    L = len(walks.tokens_LxB)
    lengths = range(shortest, L + 2)
    cut = [jnp.where(jnp.arange(L)[:, None] < L + 1 - states, num_nodes, walks.tokens_LxB) for states in lengths]
    count = len(cut)
    return Walks(
        jnp.concatenate(cut, axis=1), jnp.tile(walks.targets_B, count), jnp.tile(walks.weights_B, count) / count
    )


def random_params(rng, num_nodes, walk_length, spread):
    return {
        "value": jnp.asarray(rng.exponential(2.0, (num_nodes, num_nodes)) - 0.05),
        "state_scores": jnp.asarray(rng.normal(0, spread, num_nodes)),
        "position_scores": jnp.asarray(rng.normal(0, spread, walk_length)),
    }


def symmetric_params(rng, num_nodes, walk_length, spread):
    first = rng.exponential(2.0, num_nodes)
    states = np.arange(num_nodes)
    return {
        "value": jnp.asarray(first[(states - states[:, None]) % num_nodes]),
        "state_scores": jnp.full(num_nodes, rng.normal(0, spread)),
        "position_scores": jnp.asarray(rng.normal(0, spread, walk_length)),
    }


def assert_close(found, expected, tolerance=1e-12):
    """Gradients of scores are differences of terms of order 1, which the tolerance is of."""
    for name, leaf in expected.items():
        np.testing.assert_allclose(found[name], leaf, rtol=tolerance, atol=tolerance, err_msg=name)


def objective_of(task, values, params, is_symmetric=False):
    objective = on_infinite_walks(reduced(task), log_loss_on_all_walks(task, values, is_symmetric))
    measured, gradients = jax.jit(objective)(params, jnp.int32(0), jax.random.key(0))
    return measured, gradients


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3, 4, 5))])
def test_loss_and_gradients_on_random_chains_are_those_of_all_walks(seed, float64):
    rng = np.random.default_rng(seed)
    K, N = int(rng.integers(3, 5)), int(rng.integers(4, 7))
    task = chain(rng.dirichlet(np.ones(K)), rng.dirichlet(np.full(K, 0.4), K), N)
    values = {"epsilon": EPSILON}
    params = random_params(rng, K, N, spread=(0.5, 3.0, 12.0)[seed % 3])
    loss, gradients = by_enumeration(task, params, values)
    measured, found = objective_of(task, values, params)
    assert float(measured["train_loss"]) == pytest.approx(float(loss), rel=1e-12, abs=1e-13)
    assert_close(found, gradients)
    assert float(jnp.sum(found["position_scores"])) == pytest.approx(0, abs=1e-12)
    assert float(measured["quadrature_error"]) < 1e-12


@pytest.mark.parametrize(
    ("num_nodes", "p"),
    [
        pytest.param(4, 0.8, marks=pytest.mark.slow),
        pytest.param(5, 0.97, marks=pytest.mark.slow),
        pytest.param(3, 0.5, marks=pytest.mark.slow),
        pytest.param(6, 0.3, marks=pytest.mark.slow),
    ],
)
def test_on_the_circle_one_target_stands_for_all(num_nodes, p, float64):
    rng, task = np.random.default_rng(num_nodes), circle(num_nodes, 6)
    values = {"epsilon": EPSILON, "p": jnp.asarray(p)}
    params = symmetric_params(rng, num_nodes, 6, spread=1.5)
    general = objective_of(task, values, params)
    symmetric = objective_of(task, values, params, is_symmetric=True)
    expected, gradients = by_enumeration(task, params, values)
    for measured, found in (general, symmetric):
        assert float(measured["train_loss"]) == pytest.approx(float(expected), rel=1e-12)
        assert_close(found, gradients)


def test_the_gradients_are_those_of_the_loss(float64):
    rng = np.random.default_rng(1)
    task = chain(rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4), 4), 40)
    values, params = {"epsilon": EPSILON}, random_params(rng, 4, 40, spread=1.0)
    _, gradients = objective_of(task, values, params)
    for name, index in (
        ("value", (1, 2)),
        ("state_scores", (3,)),
        ("position_scores", (7,)),
        ("position_scores", (39,)),
    ):
        losses = []
        for shift in (1e-4, -1e-4):
            moved = params | {name: params[name].at[index].add(shift)}
            losses.append(float(objective_of(task, values, moved)[0]["train_loss"]))
        assert (losses[0] - losses[1]) / 2e-4 == pytest.approx(float(gradients[name][index]), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("shortest", "is_circle"), [(2, False), (2, True), (4, False), (4, True), (6, True)])
@pytest.mark.parametrize("spread", [1.0, 60.0])
def test_walks_of_several_lengths_are_all_walks_of_all_lengths(shortest, is_circle, spread, float64):
    rng = np.random.default_rng(shortest)
    K, N = 4, 6
    start = np.full(K, 1 / K) if is_circle else rng.dirichlet(np.ones(K))
    task = circle(K, N) if is_circle else chain(start, rng.dirichlet(np.full(K, 0.7), K), N)
    values = {"epsilon": EPSILON, "p": jnp.asarray(0.8)}
    params = (symmetric_params if is_circle else random_params)(rng, K, N, spread)
    model = reduced_transformer(make_embeddings(K, N, N + 3), "none", 0, "zero", has_gaps=True)
    walks = of_all_lengths(every_walk(task, values), K, shortest)
    loss = mean_loss(model, functools.partial(log_loss, values=values), walks, K)
    expected, gradients = jax.jit(jax.value_and_grad(loss))(params)
    for is_symmetric in {False, is_circle}:
        measured, found = objective_of(faults.lengths(task, shortest), values, params, is_symmetric)
        assert float(measured["train_loss"]) == pytest.approx(float(expected), rel=1e-11)
        assert_close(found, gradients)


@pytest.mark.parametrize("top", [-2, -3])
def test_attention_on_one_token_is_one_hot_only_where_every_walk_has_it(top, float64):
    task, values = circle(4, 6), {"epsilon": EPSILON, "p": jnp.asarray(0.8)}
    params = symmetric_params(np.random.default_rng(0), 4, 6, 0.1)
    params["position_scores"] = params["position_scores"].at[top].set(60.0)
    model = reduced_transformer(make_embeddings(4, 6, 9), "none", 0, "zero", has_gaps=True)
    walks = of_all_lengths(every_walk(task, values), 4, 2)
    loss = mean_loss(model, functools.partial(log_loss, values=values), walks, 4)
    expected, gradients = jax.jit(jax.value_and_grad(loss))(params)
    measured, found = objective_of(faults.lengths(task, 2), values, params, is_symmetric=True)
    assert float(measured["train_loss"]) == pytest.approx(float(expected), rel=1e-11)
    assert_close(found, gradients)


@pytest.mark.slow
def test_the_mean_attention_is_that_of_all_walks(float64):
    rng = np.random.default_rng(2)
    task = chain(rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), 3), 6)
    values, params = {"epsilon": EPSILON}, random_params(rng, 3, 6, spread=2.0)
    walks = every_walk(task, values)
    output = reduced(task).apply(params, walks.tokens_LxB)
    expected = output.attention_NxB @ walks.weights_B
    scores = Scores(params["state_scores"], params["position_scores"])
    np.testing.assert_allclose(infinite.mean_attention(scores, task, values, False), expected, rtol=1e-12)


def test_v_below_minus_epsilon_has_no_loss_and_no_gradients(float64):
    task = circle(4, 6)
    values, params = {"epsilon": EPSILON, "p": jnp.asarray(0.7)}, symmetric_params(np.random.default_rng(0), 4, 6, 1.0)
    params["value"] = params["value"].at[0, 1].set(-0.2)
    for is_symmetric in (False, True):
        measured, gradients = objective_of(task, values, params, is_symmetric)
        assert np.isnan(float(measured["train_loss"]))
        assert all(np.isnan(leaf).all() for leaf in gradients.values())


def test_training_on_infinitely_many_walks_is_that_on_all_walks_there_are():
    fields = {
        "precision": "float64",
        "training.steps": 30,
        "task.walk_length": 7,
        "task.num_nodes": 5,
        "task.test_walks": "all",
    }
    study = tiny_study(fields=fields)
    every, infinitely = (rw_jax.train(study, walks=walks, p=0.7) for walks in ("all", "infinite"))
    assert infinitely.config.task.walks == math.inf
    for name in ("train_loss", "accuracy", "parent_attention", "value_direction_error", "log_other_attention"):
        np.testing.assert_allclose(infinitely.metrics[name], every.metrics[name], rtol=1e-9, atol=1e-12)
    for name, leaf in every.params().items():
        np.testing.assert_allclose(infinitely.params()[name], leaf, rtol=1e-9, atol=1e-10)
    assert float(infinitely.metrics["quadrature_error"].max()) < 1e-10
    assert "quadrature_error" not in every.metrics
    with pytest.raises(rw_jax.RunError, match="no training walks were drawn") as refused:
        infinitely.walks("train")
    assert_sentence(str(refused.value))


FEW = {
    "task.num_nodes": 4,
    "task.walk_length": 6,
    "task.test_walks": "all",
    "model.position_width": 12,
    "training.learning_rate": 0.1,
    "training.steps": 6,
    "precision": "float64",
}
OF_CHAIN = {
    "task.name": "chain",
    "task.options.family": "near_cycle",
    "task.options.noise": 0.1,
    "task.options.spread": 0.2,
    "task.options.graph_seed": 1,
    "model.init": "gaussian",
    "model.init_scale": 0.3,
    "model.init_place": "scores",
}


MODELS = {
    "random positions": {"model.positions": "random"},
    "random embeddings": {"model.embedding": "random", "model.embedding_width": 3},
    "both random": {"model.embedding": "random", "model.embedding_width": 7, "model.positions": "random"},
    "keys of unit length": {"model.unit_length": "keys"},
    "keys and query of unit length": {"model.unit_length": "both"},
    "every entry of W": {"model.form": "full"},
}
"""What is looked at through V and two scores alone, beside the paper's model."""

OF_MODELS = pytest.mark.parametrize(
    ("model", "fields"),
    [
        pytest.param(model, fields, id=f"{model}, {task}", marks=marks)
        for model in MODELS
        for task, fields, marks in (("circle", {}, ()), ("chain", OF_CHAIN, pytest.mark.slow))
    ],
)


@OF_MODELS
def test_steps_on_infinitely_many_walks_are_those_on_all_whatever_the_embeddings(model, fields, float64):
    params = {}
    for walks in ("all", "infinite"):
        config = tiny_study(fields={**FEW, **MODELS[model], **fields, "task.walks": walks})
        experiment, values = experiment_and_values(config)
        run, state = prepare(experiment, values), init(experiment, values)
        start, step = state.params, jax.jit(lambda state, run=run: train_step(run, state)[0])
        for _ in range(6):
            state = step(state)
        params[walks] = state.params
    for name, leaf in params["all"].items():
        np.testing.assert_allclose(params["infinite"][name], leaf, rtol=1e-9, atol=1e-11, err_msg=name)
    scores = "key_query" if "key_query" in start else "position_scores"
    assert np.ptp(params["all"][scores] - start[scores]) > 0.1


def test_random_positions_and_embeddings_are_not_orthogonal():
    embeddings = make_embeddings(4, 6, 12, "random", "random", 3)
    for rows in (embeddings.positions_NxM, embeddings.tokens_KxE):
        assert np.abs(np.corrcoef(rows) - np.eye(len(rows))).max() > 0.3


@pytest.mark.slow
@OF_MODELS
def test_training_on_infinitely_many_walks_is_that_on_all_whatever_the_embeddings(model, fields):
    config = tiny_study(fields={**FEW, **MODELS[model], **fields, "training.steps": 20})
    every, infinitely = (rw_jax.train(config, walks=walks) for walks in ("all", "infinite"))
    for name in ("train_loss", "accuracy", "parent_attention", "empty_attention", "log_other_attention"):
        np.testing.assert_allclose(infinitely.metrics[name], every.metrics[name], rtol=1e-8, atol=1e-12)
    for name, leaf in every.params().items():
        np.testing.assert_allclose(infinitely.params()[name], leaf, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(infinitely.key_query_matrix(), every.key_query_matrix(), rtol=1e-7, atol=1e-9)


@pytest.mark.slow
def test_numbers_of_samples_and_infinity_stand_side_by_side_on_one_axis(tmp_path):
    study = tiny_study(walks=(20, 40, "infinite"), precision=("float32", "float32", "float64"), seed=(0, 1),
                       zipped=(("walks", "precision"),))  # fmt: skip
    run = rw_jax.sweep(study, tmp_path / "run")
    assert run.metrics["walks"].values.tolist() == [20, 40, math.inf]
    again = rw_jax.load_run(tmp_path / "run")
    assert again.params(walks=math.inf, seed=1)["value"].dtype == np.float64
    losses = again.metrics["train_loss"].sel(step=1).transpose(..., "seed").values.reshape(3, 2)
    assert losses[2, 0] == losses[2, 1]  # nothing is drawn
    assert losses[0, 0] != losses[0, 1]
    assert rw_jax.sweep(study, tmp_path / "run").environment["runs"] == 6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": "hinge"}, "training.loss is 'hinge', but must be one whose mean over all walks is known, such as"),
        (
            {"form": "decoder"},
            "model.form is 'decoder' with one head, but must be a form of one head, whose scores are",
        ),
        ({"form": "full", "heads": 2}, "model.form is 'full' with model.heads = 2, but must be a form of one head"),
        ({"heads": 2}, "model.form is 'reduced' with model.heads = 2, but must be a form of one head"),
        ({"feed_forward_width": 3}, "with model.feed_forward_width = 3, but must be a form of one head"),
        ({"position_place": "added"}, "with model.position_place = 'added', but must be a form of one head"),
        ({"p": 1.0}, "must be 'all' for task.p = 1.0"),
        ({"test_walks": math.inf}, "task.test_walks is inf"),
    ],
)
def test_what_infinitely_many_walks_cannot_be_computed_for_is_refused_in_a_sentence(changes, words):
    with pytest.raises(rw_jax.ConfigError, match=words) as refused:
        rw_jax.train(tiny_study(walks=("infinite",)), walks="infinite", **changes)
    assert_sentence(str(refused.value))


@pytest.mark.slow
def test_once_attention_has_locked_v_goes_the_way_of_the_recursion():
    """recursions.one_hot_training: each entry of V moves alone, at a rate by its transition."""
    K, N, p = 5, 6, 0.8
    config = tiny_study(
        fields={"task.num_nodes": K, "task.walk_length": N, "precision": "float64", "training.steps": 400}
    )
    scores = np.full(N, -80.0)
    scores[N - 2] = 0.0  # the direct parent
    start = {"value": np.full((K, K), 0.3), "state_scores": np.zeros(K), "position_scores": scores}
    run = rw_jax.train(config, init=start, walks="infinite", p=p)
    transition = np.asarray(circle_matrix(K, p))
    expected = one_hot_training(start["value"], transition, config.training.learning_rate, EPSILON, [400])[0]
    np.testing.assert_allclose(run.value_matrix(), expected, rtol=1e-12)
    assert run.metrics["log_other_attention"].max() < -70


@pytest.mark.slow
@pytest.mark.parametrize(("lag", "gap", "tolerance"), [(3, 22.0, 1e-8), (1, 34.0, 1e-12), (3, 34.0, 1e-12)])
def test_one_hot_attention_needs_no_quadrature(lag, gap, tolerance, float64):
    """On a random chain, and with one target for all: as enumerated, but for the recorded error."""
    rng = np.random.default_rng(lag)
    shape = (3, 6)
    of_chain = chain(rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), 3), shape[1])
    on_circle = circle(*shape), {"epsilon": EPSILON, "p": jnp.asarray(0.7)}, symmetric_params(rng, *shape, 0.5)
    for task, values, params in ((of_chain, {"epsilon": EPSILON}, random_params(rng, *shape, 0.5)), on_circle):
        params["position_scores"] = params["position_scores"].at[shape[1] - 1 - lag].add(gap)
        expected, gradients = by_enumeration(task, params, values)
        for is_symmetric in (False, True) if task.offsets else (False,):
            measured, found = objective_of(task, values, params, is_symmetric)
            assert 1e-6 * tolerance < float(measured["quadrature_error"]) < tolerance
            assert float(measured["train_loss"]) == pytest.approx(float(expected), rel=tolerance, abs=tolerance)
            np.testing.assert_allclose(found["value"], gradients["value"], rtol=3 * tolerance)
            others = np.delete(np.arange(shape[1]), shape[1] - 1 - lag)
            assert_close(
                {"others": np.asarray(found["position_scores"])[others] * np.exp(gap)},
                {"others": np.asarray(gradients["position_scores"])[others] * np.exp(gap)},
                30 * tolerance,
            )


@pytest.mark.slow
def test_a_million_steps_are_those_of_the_recursion_and_leave_an_unstable_lag_when_it_is_predicted(optimized):
    K, N, lag, rival, p, gap = 6, 97, 3, 1, 0.6, 23.0
    transition = circle_matrix(K, p)
    ratio = lags.exchange_ratios(transition, lag, lag)[rival - 1]
    left = lags.steps_to_leave(gap, 1.0, 500.5, ratio)
    assert 3e5 < left < 8e5
    scores = np.full(N, -200.0)
    scores[N - 1 - lag], scores[N - 1 - rival] = 0.0, -gap
    value = 1000 * np.sqrt(np.linalg.matrix_power(transition, lag) / K).T
    config = tiny_study(
        fields={
            "task.num_nodes": K,
            "task.walk_length": N,
            "model.position_width": 1000,
            "precision": "float64",
            "training.steps": 1_000_000,
            "record.every": 1000,
            "record.parameters": "all",
        }
    )
    start = {"value": value, "state_scores": np.zeros(K), "position_scores": scores}
    run = rw_jax.train(config, init=start, walks="infinite", p=p, learning_rate=1.0)
    attended = np.array([np.argmax(run.mean_attention(step=step)) for step in run.steps])
    change = run.steps[int(np.argmax(attended != N - 1 - lag))]
    assert (attended[-1], change) == (N - 1 - rival, pytest.approx(left, rel=0.02))
    assert float(run.metrics["quadrature_error"].max()) < 1e-8
    before = int(0.9 * left) // 1000 * 1000
    joint_KxK = (np.linalg.matrix_power(transition, lag) / K).T
    expected = value.copy()
    for _ in range(before):
        expected += joint_KxK / (expected + EPSILON)
    np.testing.assert_allclose(run.value_matrix(step=before), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("is_symmetric", [False, True])
def test_the_gradients_of_all_scores_sum_to_zero_in_float32_too(is_symmetric):
    """So that no error adds up over a long training: what the states gain is what the positions of tokens gain."""
    task = circle(6, 9)
    values = {"epsilon": jnp.float32(EPSILON), "p": jnp.float32(0.7)}
    params = {
        name: leaf.astype(jnp.float32) for name, leaf in symmetric_params(np.random.default_rng(1), 6, 9, 2.0).items()
    }
    measured, gradients = objective_of(task, values, params, is_symmetric)
    scores = np.asarray(gradients["position_scores"], np.float64)
    assert scores.sum() == pytest.approx(0, abs=1e-6)
    assert np.asarray(gradients["state_scores"], np.float64).sum() == pytest.approx(scores[:-1].sum(), abs=1e-6)
    assert float(measured["quadrature_error"]) < 1e-4
