"""What is done to the training walks, and trainings on them, against trainings by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import rw_jax
from rw_jax.models.embeddings import make_embeddings
from rw_jax.models.full import full_transformer
from rw_jax.models.reduced import project
from rw_jax.tasks import Walks
from rw_jax.training.experiment import make_experiment
from rw_jax.training.losses import log_loss
from rw_jax.training.objectives import mean_loss
from rw_jax.training.values import run_keys
from rw_jax.training.walks import batches_of, draw_test_walks, draw_training_walks
from tests.tiny import assert_sentence, experiment_and_values, tiny_study

K, N = 4, 6
NONE = K
"""In the place of a token that is missing."""


def study(**fields):
    """A tiny study of 200 walks in float64, from a Gaussian start."""
    base = {"task.p": 0.5, "precision": "float64", "model.init": "gaussian", "model.init_scale": 0.1, "task.walks": 200}
    return tiny_study(fields={**base, **{f"training.{name}": value for name, value in fields.items()}})


def walks_of(split: str = "train", **fields):
    """The walks of a study that is not trained: tokens int[B, N-1] and targets."""
    return drawn(split, study(**fields))


def drawn(split, config):
    """The walks of a run that is not trained."""
    experiment, values = experiment_and_values(config)
    draw = draw_training_walks if split == "train" else draw_test_walks
    walks = jax.jit(lambda values: draw(experiment, values))(values)
    return np.asarray(walks.tokens_LxB).T, np.asarray(walks.targets_B)


def test_test_walks_have_no_faults():
    faulty = walks_of("test", label_noise=0.5, dropped_tokens=0.5, shortest_walk=2, mixed_share=0.5)
    for one, other in zip(faulty, walks_of("test"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_walks_with_faults_are_those_without_changed_by_a_key_of_their_own():
    (tokens, targets), (clean, clean_targets) = walks_of(label_noise=0.4, dropped_tokens=0.3), walks_of()
    is_missing = tokens == NONE
    np.testing.assert_array_equal(tokens[~is_missing], clean[~is_missing])
    assert stats.binomtest(int(np.sum(is_missing)), tokens.size, 0.3).pvalue > 1e-4
    assert stats.binomtest(int(np.sum(targets != clean_targets)), 200, 0.4 * (K - 1) / K).pvalue > 1e-4
    config = study(label_noise=0.4, dropped_tokens=0.3)
    experiment, values = experiment_and_values(config)
    run = run_keys(config.study_seed, config.seed)
    fault_key = jax.random.fold_in(run.faults, 0)
    walks = experiment.trained_on.sample(run.train, 200, {**values, "fault_key": fault_key})
    np.testing.assert_array_equal(walks.tokens_LxB.T, tokens)
    np.testing.assert_array_equal(walks.targets_B, targets)


def gradient_by_hand(params, tokens_BxL, targets_B, epsilon=0.1):
    """The gradient of the mean log-loss, in plain NumPy's loops over the tokens that are there, by the full form."""

    def loss(params):
        total = 0.0
        weighted_query_D = params["key_query"] @ params["query"]
        for tokens, target in zip(tokens_BxL, targets_B, strict=True):
            here = [j for j, token in enumerate(tokens) if token != NONE]
            scores = [weighted_query_D[tokens[j]] + params["positions"][j] @ weighted_query_D[K:] for j in here]
            scores = jnp.stack([*scores, params["positions"][-1] @ weighted_query_D[K:]])
            weights = jnp.exp(scores) / jnp.sum(jnp.exp(scores))
            output = sum((weights[i] * params["value"][:, tokens[j]] for i, j in enumerate(here)), jnp.zeros(K))
            total -= jnp.log(output[target] + epsilon)
        return total / len(targets_B)

    return jax.jit(jax.grad(loss))(params)


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        pytest.param("full", {"dropped_tokens": 0.6}, marks=pytest.mark.slow),
        pytest.param("reduced", {"target": "all"}, marks=pytest.mark.slow),
        pytest.param("reduced", {"shortest_walk": 2}, marks=pytest.mark.slow),
    ],
)
def test_missing_tokens_weigh_nothing(fault, form, float64):
    run = rw_jax.train(study(steps=1, learning_rate=0.1, **fault), form=form, walks=12)
    tokens, targets = run.walks("train")
    assert np.any(tokens == NONE)
    config = study()
    start = make_experiment(config.replace(form="full")).model.init(
        run_keys(config.study_seed, config.seed).init, {"init_scale": 0.1}
    )
    positions = np.sin(np.pi * np.outer(np.arange(1, N + 1), np.arange(1, 9)) / 9)
    query = np.concatenate([np.zeros(K), positions[-1]])
    params = {name: jnp.asarray(leaf) for name, leaf in start.items()}
    gradient = gradient_by_hand({**params, "query": query, "positions": jnp.asarray(positions)}, tokens, targets)
    moved = {name: leaf - 0.1 * gradient[name] for name, leaf in params.items()}
    for name, leaf in run.params().items():
        expected = moved if form == "full" else project(moved, make_embeddings(K, N, 8))
        np.testing.assert_allclose(leaf, expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.slow
def test_walks_without_a_single_token_have_an_output_of_zero(float64):
    assert np.any(np.all(walks_of(dropped_tokens=0.95)[0] == NONE, axis=1))
    for form in ("full", "reduced"):
        config = study(dropped_tokens=0.95).replace(form=form)
        model = make_experiment(config).model
        params = model.init(jax.random.key(0), {"init_scale": 0.5})
        output = jax.jit(model.apply)(params, jnp.full((N - 1, 2), NONE))
        np.testing.assert_array_equal(output.output_KxB, 0)
        np.testing.assert_allclose(output.empty_attention_B, 1, rtol=1e-12)
    # People look at such walks, too.
    run = rw_jax.train(study(dropped_tokens=0.5, steps=1))
    tokens, _ = run.walks("train")
    assert np.all(run.attention(tokens)[:, :-1][tokens == NONE] == 0)
    np.testing.assert_allclose(run.attention(tokens).sum(axis=1), 1, rtol=1e-12)
    # Also where a score is so large that factors underflow.
    start = {"value": np.eye(K), "state_scores": np.array([0.0, 200, 0, 0]), "position_scores": 300.0 * np.arange(N)}
    run = rw_jax.train(study(steps=2, dropped_tokens=0.95), init=start)
    assert all(np.all(np.isfinite(leaf)) for leaf in run.params().values())


def training_by_hand(params, walks_of_step, num_steps, rate=0.1):
    """Steps of gradient descent of the full form, each on its walks and with its rate."""
    model = full_transformer(make_embeddings(K, N, 8), "none", 0, "gaussian")
    params = jax.tree.map(jnp.asarray, params)
    gradient_on = jax.jit(
        lambda params, walks: jax.grad(
            mean_loss(model, functools.partial(log_loss, values={"epsilon": 0.1}), walks, K)
        )(params)
    )
    for step in range(num_steps):
        (tokens, targets), eta = walks_of_step(step), rate(step) if callable(rate) else rate
        walks = Walks(jnp.asarray(tokens.T), jnp.asarray(targets), jnp.ones(len(targets)))
        gradient = gradient_on(params, walks)
        params = optax.apply_updates(params, jax.tree.map(lambda leaf, eta=eta: -eta * leaf, gradient))
    return params


def test_a_step_takes_a_batch_of_the_walks_by_its_key(float64):
    run = rw_jax.train(study(steps=4, learning_rate=0.1, batch=7), form="full", seed=3)
    tokens, targets = run.walks("train")

    def batch(step):
        key = jax.random.fold_in(run_keys(run.config.study_seed, 3).steps, step)
        drawn = jax.random.choice(key, 200, (7,), p=jnp.ones(200, jnp.float32) / 200)
        return tokens[drawn], targets[drawn]

    expected = training_by_hand(run.params(step=0), batch, 4)
    for name, leaf in run.params().items():
        np.testing.assert_allclose(leaf, expected[name], rtol=1e-9, atol=1e-12)


def test_batches_of_the_population_are_drawn_by_its_probabilities():
    walks = Walks(jnp.arange(8).reshape(2, 4), jnp.arange(4), jnp.array([0.0, 0.1, 0.9, 0.0]))
    batch = batches_of(walks, 1000)(jax.random.key(0))
    assert set(np.unique(batch.targets_B)) == {1, 2}
    assert stats.binomtest(int(np.sum(batch.targets_B == 1)), 1000, 0.1).pvalue > 1e-4
    np.testing.assert_array_equal(batch.tokens_LxB, np.stack([batch.targets_B, 4 + batch.targets_B]))
    np.testing.assert_array_equal(batch.weights_B, 1)


@pytest.mark.slow
def test_stages_are_trainings_in_parts(float64):
    stages = "2: p=0.9; 3: learning_rate=0.4"
    run = rw_jax.train(study(steps=5, learning_rate=0.1, stages=stages), form="full", seed=1)
    by_stage = [run.walks("train", stage=stage) for stage in range(3)]
    first = run.config.replace(stages="")
    np.testing.assert_array_equal(by_stage[0][0], drawn("train", first)[0])
    assert (by_stage[1][0] != by_stage[2][0]).any()
    steps_round = [np.mean(np.diff(tokens, axis=1) % K == 1) for tokens, _ in by_stage]
    np.testing.assert_allclose(steps_round, [0.5, 0.9, 0.9], atol=0.08)
    expected = training_by_hand(
        run.params(step=0), lambda step: by_stage[min(max(step - 1, 0), 2)], 5, lambda step: 0.1 if step < 3 else 0.4
    )
    for name, leaf in run.params().items():
        np.testing.assert_allclose(leaf, expected[name], rtol=1e-9, atol=1e-12)
    # Tests are of what training ends with.
    np.testing.assert_array_equal(run.transition_matrix()[0], [0, 0.9, 0, pytest.approx(0.1)])
    np.testing.assert_array_equal(run.walks("test")[0], drawn("test", first.replace(p=0.9))[0])


@pytest.mark.slow
def test_stages_on_infinitely_many_walks_are_trainings_in_parts(float64):
    both = rw_jax.train(study(steps=4, stages="2: p=0.7"), walks="infinite")
    first = rw_jax.train(study(steps=2), walks="infinite")
    second = rw_jax.train(study(steps=2), walks="infinite", p=0.7, init=first.params())
    for name, leaf in both.params().items():
        np.testing.assert_allclose(leaf, second.params()[name], rtol=1e-10, atol=1e-13)


@pytest.mark.slow
def test_stages_of_a_chain_change_its_matrix():
    config = tiny_study(fields={"task.name": "chain", "task.options.family": "lazy_cycle", "task.options.laziness": 0.0,
                                "training.stages": "2: laziness=0.5"})  # fmt: skip
    run = rw_jax.train(config)
    stays = [np.mean(np.diff(run.walks("train", stage=stage)[0], axis=1) == 0) for stage in (0, 1)]
    assert stays[0] == 0
    assert 0.4 < stays[1] < 0.6
    assert run.transition_matrix()[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stages": "2: seed=4"}, "whose stage from step 2 on has seed, but must have one of p, learning_rate"),
        ({"stages": "2: p=x"}, "whose stage from step 2 on has p = 'x', but must have a number from 0 to 1"),
        ({"stages": "2: p=1; 9: p=0"}, "but each stage must begin before training.steps = 5"),
        ({"stages": "2: p=4"}, "whose stage from step 2 on has p = 4.0, but must have a number from 0 to 1"),
        ({"stages": "p=1"}, "training.stages is 'p=1', but must be stages, such as {20: {'p': 0.9}} or, in a word,"),
        ({"shortest_walk": 1}, "training.shortest_walk is 1, but must be from 2 to task.walk_length = 6, or 0"),
        ({"shortest_walk": 7}, "training.shortest_walk is 7"),
        ({"shortest_walk": 3, "target": "all"}, "but must be 0 for training.target = 'all'"),
        ({"dropped_tokens": 1.0}, "training.dropped_tokens is 1.0, but must be a number from 0 to 0.99"),
        ({"target": "first"}, "training.target is 'first', but must be one of last, all"),
        ({"batch": -1}, "training.batch is -1"),
    ],
)
def test_what_cannot_be_done_to_walks_is_refused_in_a_sentence(fields, words):
    with pytest.raises(rw_jax.ConfigError, match=words) as refused:
        rw_jax.train(study(**fields))
    assert_sentence(str(refused.value))


def test_stages_are_checked_with_every_label_of_a_task_before_anything_is_written(tmp_path):
    fields = {"task.name": "chain", "task.options.family": "two_state", "task.options.q": 0.5, "task.num_nodes": 2}
    config = tiny_study(fields=fields, q=(0.5, 0.0), stages=("2: p=0.5", "2: p=0"))
    with pytest.raises(rw_jax.ConfigError, match="whose stage from step 2 on has values that do not do") as refused:
        rw_jax.sweep(config, tmp_path / "run")
    assert_sentence(str(refused.value))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("fields", "walks", "words"),
    [
        ({"label_noise": 0.1}, "infinite", "training.label_noise is above 0, but must be 0.0 for task.walks"),
        ({"batch": 5}, "infinite", "training.batch is 5, but must be 0 for task.walks = 'infinite'"),
        ({"target": "all"}, "infinite", "training.target is 'all', but must be 'last' for task.walks"),
        ({"mixed_share": 0.1}, "all", "training.mixed_share is above 0, but must be 0.0 for task.walks = 'all'"),
    ],
)
def test_faults_of_walks_that_are_not_drawn_are_refused_in_a_sentence(fields, walks, words):
    with pytest.raises(rw_jax.ConfigError, match=words) as refused:
        rw_jax.train(study(**fields), walks=walks)
    assert_sentence(str(refused.value))
