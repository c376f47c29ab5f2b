"""The model of a run run again on walks that are not its own: against slow float64 NumPy and all walks there are."""

import numpy as np
import pytest

import rw_jax
from rw_jax.analysis import replay
from rw_jax.study.errors import ConfigError, RunError
from tests import oracle
from tests.tiny import assert_sentence, tiny_study

LABELS = {"p": 0.7, "seed": 1}


@pytest.fixture(scope="module")
def run(values_run):
    return rw_jax.load_run(values_run)


def slow(params, walks, p, num_tokens=5):
    """Accuracy on the last states, and expected accuracy, on the last tokens of walks, each as likely as it is."""
    u, a, value = (params[name].astype(float) for name in ("state_scores", "position_scores", "value"))
    transition, weights = oracle.transition_matrix(4, p), oracle.probabilities(walks, 4, p)
    hits, expected = [], []
    for walk in walks:
        tokens = walk[:-1][-num_tokens:]
        scores = [*(u[token] + a[5 - num_tokens + j] for j, token in enumerate(tokens)), a[5]]
        output = value @ oracle.average_token(oracle.softmax(np.array(scores)), tokens, 4)
        hits.append(np.argmax(output) == walk[-1])
        expected.append(transition[walk[-2], np.argmax(output)])
    return np.average(hits, weights=weights), np.average(expected, weights=weights)


def test_a_run_is_evaluated_on_all_walks_of_another_p_as_by_enumeration(run):
    at = {"p": 0.9, "test_walks": "all"}
    found = run.evaluate(at=at, **LABELS)
    hits, expected = slow(run.params(**LABELS), oracle.all_walks(4, 6), 0.9)
    np.testing.assert_allclose((found["accuracy"], found["expected_accuracy"]), (hits, expected), rtol=1e-5)
    np.testing.assert_allclose(found["optimal_accuracy"], 0.9, rtol=1e-6)


def test_walks_that_are_given_are_weighed_as_they_are_given(run):
    walks = oracle.all_walks(4, 6)
    on = (walks[:, :-1], walks[:, -1], oracle.probabilities(walks, 4, 0.9))
    found = run.evaluate(on=on, at={"p": 0.9}, **LABELS)
    of_population = run.evaluate(at={"p": 0.9, "test_walks": "all"}, **LABELS)
    for name in set(found) - {"accuracy_is_exact"}:  # that these are all walks is not known
        np.testing.assert_allclose(found[name], of_population[name], rtol=1e-5, atol=1e-7, err_msg=name)
    alike = run.evaluate(on=on[:2], **LABELS)
    outputs = run.predict(on[0], **LABELS).values
    np.testing.assert_allclose(alike["accuracy"], np.mean(outputs.argmax(axis=1) == on[1]), rtol=1e-6)


def test_walks_of_another_p_are_those_of_a_run_with_this_p(run):
    for split in ("train", "test"):
        for own, drawn in zip(run.walks(split, p=0.5, seed=1), run.walks(split, at={"p": 0.5}, **LABELS), strict=True):
            np.testing.assert_array_equal(drawn, own)
    np.testing.assert_array_equal(run.walk_weights("test", at={"seed": 5}, **LABELS), np.ones(24))
    assert (run.walks("test", at={"seed": 5}, **LABELS)[0] != run.walks("test", **LABELS)[0]).any()
    assert run.walks("test", at={"test_walks": 3}, **LABELS)[0].shape == (3, 5)


def test_a_run_is_evaluated_along_its_axes_on_the_walks_of_another(run):
    on = run.walks("test", p=0.5, seed=0)
    found = run.evaluate(on=on, at={"p": 0.5}, seed=1)
    assert found["accuracy"].dims == ("p",)
    for p in (0.5, 0.7, 1.0):
        alone = run.evaluate(on=on, at={"p": 0.5}, p=p, seed=1)
        np.testing.assert_allclose(found["expected_accuracy"].sel(p=p), alone["expected_accuracy"], rtol=1e-6)


def test_tokens_that_are_missing_weigh_nothing_in_a_model_that_takes_them(run):
    walks, at = oracle.all_walks(4, 6), {"p": 0.9, "shortest_walk": 3}
    tokens = walks[:, :-1].copy()
    tokens[:, :2] = 4
    found = run.evaluate(on=(tokens, walks[:, -1], oracle.probabilities(walks, 4, 0.9)), at=at, **LABELS)
    expected = slow(run.params(**LABELS), walks, 0.9, num_tokens=3)
    np.testing.assert_allclose((found["accuracy"], found["expected_accuracy"]), expected, rtol=1e-5)
    assert (run.attention(tokens, at=at, **LABELS)[:, :2] == 0).all()
    with pytest.raises(RunError, match=r"0\.\.3"):
        run.evaluate(on=(tokens, walks[:, -1]), **LABELS)


def test_the_model_may_be_another(run):
    tokens = run.walks("test", **LABELS)[0]
    precise = run.attention(tokens, at={"precision": "float64"}, **LABELS)
    assert precise.dtype == np.float64
    np.testing.assert_allclose(precise, run.attention(tokens, **LABELS), rtol=1e-5)
    lengths = run.attention(tokens, at={"unit_length": "both"}, **LABELS)
    assert np.abs(lengths - precise).max() > 1e-4


def test_walks_may_be_of_another_task(run):
    at = {"task": "hidden_direction"}
    tokens, targets = run.walks("test", at=at, **LABELS)
    found = run.evaluate(at=at, **LABELS)
    outputs = run.predict(tokens, **LABELS).values
    np.testing.assert_allclose(found["accuracy"], np.mean(outputs.argmax(axis=1) == targets), rtol=1e-6)
    own = run.evaluate(on=run.walks("test", at=at, **LABELS), **LABELS)  # whose law is that of the run itself
    np.testing.assert_allclose(own["accuracy"], found["accuracy"], rtol=1e-6)
    np.testing.assert_allclose(own["optimal_accuracy"], 0.7, rtol=1e-6)


def test_runs_that_differ_in_values_alone_share_a_program_where_they_are_evaluated(values_run, monkeypatch):
    made, programs = [], replay._programs
    monkeypatch.setattr(replay, "_programs", lambda experiment: made.append(experiment) or programs(experiment))
    run = rw_jax.load_run(values_run)
    found = run.evaluate(at={"p": 0.9})
    assert len(made) == 1
    assert found.sizes == {"p": 3, "seed": 2}
    for p, seed in ((0.5, 0), (0.7, 1)):
        own = rw_jax.load_run(values_run).evaluate(at={"p": 0.9}, p=p, seed=seed)
        for name, array in own.items():
            np.testing.assert_array_equal(found[name].sel(p=p, seed=seed), array, err_msg=name)
    with pytest.raises(ConfigError, match=r"task\.p is 2"):
        run.evaluate(at={"p": 2})


def test_a_run_of_several_stages_is_one_of_its_last(sweep_once):
    staged = rw_jax.load_run(sweep_once(tiny_study(fields={"training.stages": "2: p=0.9"})))
    for own, drawn in zip(staged.walks("test"), staged.walks("test", at={}), strict=True):
        np.testing.assert_array_equal(drawn, own)
    np.testing.assert_allclose(staged.evaluate(at={})["optimal_accuracy"], 0.9, rtol=1e-6)
    np.testing.assert_allclose(staged.evaluate(at={"p": 0.6})["optimal_accuracy"], 0.6, rtol=1e-6)
    with pytest.raises(RunError, match="stage is 1"):
        staged.walks("train", stage=1, at={})


def test_attention_is_replaced_on_walks_that_are_given_too(run):
    on = run.walks("test", p=0.5, seed=0)
    found = run.evaluate(on=on, attention="parent", **LABELS)
    value = run.value_matrix(**LABELS)
    np.testing.assert_allclose(found["accuracy"], np.mean(value[:, on[0][:, -1]].argmax(axis=0) == on[1]), rtol=1e-6)


TOKENS, TARGETS = np.zeros((3, 5), int), np.array([1, 3, 1])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"at": 0.9}, "at is 0.9, but must be a dict of fields"),
        ({"at": {"colour": 1}}, "but must be a dict of fields, by name: "),
        ({"at": {"num_nodes": 5}}, "The parameters of this run are"),
        ({"at": {"form": "full"}}, "a model as in `at` has"),
        ({"on": TOKENS}, "must be (tokens, targets)"),
        ({"on": (TOKENS,)}, "must be (tokens, targets)"),
        ({"on": (TOKENS[:, 1:], TARGETS)}, "must be integers of shape [B, 5]"),
        ({"on": (TOKENS, TARGETS[:2])}, "must have 3 integers in 0..3"),
        ({"on": (TOKENS, TARGETS + 1)}, "must have 3 integers in 0..3"),
        ({"on": (TOKENS, TARGETS / 2)}, "must have 3 integers in 0..3"),
        ({"on": (TOKENS, TARGETS, TARGETS[:2])}, "must have 3 numbers of at least 0"),
        ({"on": (TOKENS, TARGETS, 0 * TARGETS)}, "not all 0"),
        ({"on": (TOKENS, TARGETS, -TARGETS)}, "of at least 0"),
        ({"on": (np.ma.masked_equal(TOKENS, 1), TARGETS)}, "must be integers of shape [B, 5]"),
        ({"on": ([np.ma.masked_equal(row, 0) for row in TOKENS], TARGETS)}, "must be integers of shape [B, 5]"),
        ({"on": (TOKENS, np.ma.masked_equal(TARGETS, 1))}, "must have 3 integers in 0..3"),
        ({"on": (TOKENS, TARGETS, np.ma.masked_equal(TARGETS, 1))}, "must have 3 numbers of at least 0"),
        ({"on": (TOKENS, TARGETS, TARGETS + 1j)}, "must have 3 numbers of at least 0"),
        ({"on": (TOKENS, TARGETS, ["1", "2", "3"])}, "must have 3 numbers of at least 0"),
        ({"attention": np.ma.masked_equal(np.full(6, 1 / 6), 1)}, "must be numbers of shape [6]"),
        ({"attention": np.full(6, 1 / 6 + 0j)}, "must be numbers of shape [6]"),
        ({"attention": ["1", "0", "0", "0", "0", "0"]}, "must be numbers of shape [6]"),
        ({"params": {"value": np.full((4, 4), 1j)}}, "that is no array of real numbers"),
        ({"params": {"value": np.ma.masked_equal(np.eye(4), 0)}}, "that is no array of real numbers"),
        ({"params": {"value": np.eye(4).astype(str)}}, "that is no array of real numbers"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_a_sentence(asked, told, run):
    with pytest.raises(RunError) as refused:
        run.evaluate(**asked, **LABELS)
    assert told in str(refused.value)
    assert_sentence(str(refused.value))


def test_a_value_that_is_not_right_is_refused_as_in_a_config(run):
    with pytest.raises(ConfigError, match=r"task\.p is 2"):
        run.walks("test", at={"p": 2}, **LABELS)


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ({"walk_length": 30, "test_walks": "all"}, "task.test_walks is 'all', but must be a number for task.p = 0.7"),
        ({"walks": "infinite", "p": 1.0}, "task.walks is 'infinite', but must be 'all' for task.p = 1.0"),
        ({"num_nodes": 10**6}, "task.num_nodes is 1000000, but must be at most 10000."),
        ({"stages": {9: {"p": 0.5}}}, "training.stages is '9: p=0.5', but each stage must begin before training.st"),
        ({"loss": "nothing"}, "training.loss is 'nothing', but must be one of"),
    ],
)
def test_what_is_asked_of_a_run_is_checked_as_a_study_is(at, told, run):
    with pytest.raises(ConfigError) as refused:
        run.evaluate(at=at, **LABELS)
    assert_sentence(str(refused.value))
    assert str(refused.value).startswith(told)


def test_the_walks_of_one_p_are_never_taken_for_all_that_there_are():
    fields = {"task.p": 1.0, "task.walk_length": 30, "task.test_walks": "all", "training.steps": 1}
    run = rw_jax.train(tiny_study(fields=fields))
    with pytest.raises(ConfigError, match=r"task\.test_walks is 'all', but must be a number for task\.p = 0\.7"):
        run.evaluate(at={"p": 0.7})


def test_values_may_be_written_as_in_a_config(run):
    infinite, of_samples = (run.evaluate(at=at, **LABELS) for at in ({"walks": "infinite"}, None))
    # Attention is averaged over all walks there.
    assert float(infinite["parent_attention"]) == pytest.approx(float(of_samples["parent_attention"]), abs=0.02)
    assert infinite["parent_attention"] != of_samples["parent_attention"]
    with pytest.raises(RunError, match="no training walks were drawn"):
        run.walks("train", at={"walks": "infinite"}, **LABELS)
    staged = {"stages": {2: {"p": 0.5}}}
    for asked, own in ((0, 0.7), (1, 0.5)):
        # Those of a later stage have a key of their own.
        walks = run.walks("train", stage=asked, at=staged, **LABELS)[0]
        assert (walks[:, 0] != walks[:, 1]).all(), own
    assert run.walks("test", at=staged, **LABELS)[0].tolist() == run.walks("test", p=0.5, seed=1)[0].tolist()


def test_a_run_that_started_from_another_is_evaluated_where_that_one_has_no_label(tmp_path, sweep_once, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rw_jax.sweep(tiny_study(p=(0.7,)), "first")
    run = rw_jax.sweep(tiny_study(fields={"model.init": "first?step=2"}, p=(0.7,)), "second")
    assert float(run.evaluate(at={"p": 0.9})["optimal_accuracy"].squeeze()) == pytest.approx(0.9)
