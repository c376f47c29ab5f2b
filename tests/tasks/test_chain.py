"""Walks of any Markov chain, against enumeration, the circle, and a library for Markov chains."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quantecon

import rw_jax
from rw_jax.tasks.chain import chain, closed_classes, law_of, population, sample, stationary_law
from rw_jax.tasks.circle import circle
from rw_jax.tasks.families import FAMILIES, transition_of
from rw_jax.training.grids import make_grid
from tests.tiny import assert_sentence, tiny_study

PUBLISHED = {
    "two": [[0.4, 0.6], [0.2, 0.8]],
    "reflecting": [[0, 1, 0], [0.3, 0, 0.7], [0, 1, 0]],
    "absorbing": [[1, 0, 0], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]],
    "birth-death": [[0.5, 0.5, 0], [0.5, 0.25, 0.25], [0, 0.33, 0.67]],
    "lazy": (np.eye(5) + np.roll(np.eye(5), 1, 1) + np.roll(np.eye(5), -1, 1)) / 3,
}
TWO_CLASSES = np.zeros((6, 6))
TWO_CLASSES[0, 1] = TWO_CLASSES[1, 0] = TWO_CLASSES[2, 3] = TWO_CLASSES[3, 4] = TWO_CLASSES[4, 2] = 1
TWO_CLASSES[5] = [0.25, 0, 0.25, 0, 0, 0.5]
"""Two closed classes, of period 2 and 3, and a transient state."""


def chain_study(fields=None, axes=None, **options):
    """A tiny study of a chain with these parameters."""
    named = {f"task.options.{name}": value for name, value in options.items()}
    return tiny_study(fields={"task.name": "chain", "task.num_nodes": 6, **(fields or {}), **named}, **(axes or {}))


def labels_of(family: str, **options):
    return {"family": family, "p": 0.7, "walks": 100, "test_walks": 100, **options}


EXAMPLES = [
    (6, labels_of("cycle")),
    (5, labels_of("lazy_cycle", laziness=0.3)),
    (8, labels_of("near_cycle", noise=0.1, spread=0.2, graph_seed=1)),
    (5, labels_of("path")),
    (6, labels_of("star")),
    (4, labels_of("complete")),
    (6, labels_of("torus", rows=2)),
    (9, labels_of("torus", rows=3)),
    (8, labels_of("hypercube")),
    (7, labels_of("tree", degree=2)),
    (6, labels_of("barbell")),
    (8, labels_of("regular", degree=3, graph_seed=4)),
    (8, labels_of("de_bruijn")),
    (6, labels_of("permutation", cycles=(2, 4))),
    (5, labels_of("dirichlet", concentration=0.3, graph_seed=2)),
    (5, labels_of("reversible", concentration=0.5, graph_seed=2)),
    (5, labels_of("doubly_stochastic", concentration=0.5, graph_seed=2)),
    (2, labels_of("two_state", q=0.4)),
    (2, labels_of("matrix", matrix=((0.4, 0.6), (0.2, 0.8)))),
]


def test_every_family_has_an_example():
    assert {labels["family"] for _, labels in EXAMPLES} == set(FAMILIES)


@pytest.mark.parametrize(("num_nodes", "labels"), EXAMPLES, ids=lambda each: str(each)[:30])
def test_every_family_gives_a_transition_matrix_and_its_walks_follow_it(num_nodes, labels):
    transition = transition_of(labels, num_nodes)
    assert transition.shape == (num_nodes, num_nodes)
    assert (transition >= 0).all()
    np.testing.assert_allclose(transition.sum(axis=1), 1, atol=1e-14)
    start = tuple(np.full(num_nodes, 1 / num_nodes).tolist())
    values = {"task": chain(num_nodes, 4, {}).host_values(labels | {"start": start})}
    tokens_LxB, targets_B, _ = sample(jax.random.key(0), 20_000, values, 4)
    states_NxB = np.concatenate([tokens_LxB, targets_B[None]])
    counts = np.zeros((num_nodes, num_nodes))
    np.add.at(counts, (states_NxB[:-1].ravel(), states_NxB[1:].ravel()), 1)
    assert (counts[transition == 0] == 0).all()
    shares = counts / counts.sum(axis=1, keepdims=True)
    spread = np.sqrt(transition * (1 - transition) / counts.sum(axis=1, keepdims=True))
    assert (np.abs(shares - transition) <= 5 * spread + 1e-12).all()
    first = np.bincount(states_NxB[0], minlength=num_nodes) / 20_000
    assert np.abs(first - 1 / num_nodes).max() < 5 * np.sqrt(1 / num_nodes / 20_000)


def test_a_start_law_is_drawn_from(float64):
    law = (0.1, 0.0, 0.9, 0.0)
    values = {"task": chain(4, 3, {}).host_values(labels_of("complete", start=law))}
    first = np.asarray(sample(jax.random.key(3), 20_000, values, 3).tokens_LxB[0])
    np.testing.assert_allclose(np.bincount(first, minlength=4) / 20_000, law, atol=0.01)
    assert set(first) == {0, 2}


@pytest.mark.parametrize("p", [0.0, 0.3, 0.7, 1.0])
def test_the_walks_of_the_cycle_are_those_of_the_circle(p):
    values = {"task": chain(6, 30, {}).host_values(labels_of("cycle") | {"p": p})}
    found = sample(jax.random.key(1), 500, values, 30)
    expected = circle(6, 30).sample(jax.random.key(1), 500, {"p": p})
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("walks", [40, "all"])
def test_training_on_the_cycle_has_the_bits_of_the_circle(walks):
    p = 1.0 if walks == "all" else 0.7  # the 6 walks without chance: N - 1 is a multiple of K
    fields = {"task.num_nodes": 6, "task.walk_length": 25, "task.test_walks": 40, "model.position_width": 26}
    on_circle = rw_jax.train(tiny_study(fields=fields), walks=walks, p=p)
    on_chain = rw_jax.train(chain_study(fields, family="cycle"), walks=walks, p=p)
    for name, leaf in on_circle.params().items():
        np.testing.assert_array_equal(on_chain.params()[name], leaf)
    for name in ("train_loss", "accuracy", "parent_attention", "attention_spread"):
        np.testing.assert_array_equal(on_chain.metrics[name], on_circle.metrics[name])


@pytest.mark.parametrize("name", [*PUBLISHED, "dirichlet", "star"])
def test_the_stationary_law_is_that_of_a_library(name):
    if name in PUBLISHED:
        transition = np.array(PUBLISHED[name])
    else:
        transition = transition_of(labels_of(name, concentration=0.2, graph_seed=5), 7)
    (expected,) = quantecon.MarkovChain(transition).stationary_distributions
    np.testing.assert_allclose(stationary_law(transition), expected, atol=1e-12)


def test_the_stationary_law_is_right_where_states_are_left_seldom():
    rare = np.array([[1 - 1e-13, 1e-13], [3e-13, 1 - 3e-13]])
    exact = np.array([rare[1, 0], rare[0, 1]]) / (rare[1, 0] + rare[0, 1])
    np.testing.assert_allclose(stationary_law(rare), exact, rtol=1e-12)
    np.testing.assert_allclose(stationary_law(rare), quantecon.markov.gth_solve(rare), rtol=1e-14)


def test_closed_classes_are_those_of_a_library():
    library = quantecon.MarkovChain(TWO_CLASSES)
    expected = sorted(sorted(map(int, states)) for states in library.recurrent_classes)
    assert closed_classes(TWO_CLASSES) == expected == [[0, 1], [2, 3, 4]]
    assert [len(states) for states in expected] == [2, 3]  # and these are the periods


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("name", [*PUBLISHED, "two classes"])
def test_the_population_is_every_walk_with_its_probability(name, horizon, float64):
    transition = np.array(PUBLISHED.get(name, TWO_CLASSES))
    K, N = len(transition), 4
    start = tuple((np.arange(1, K + 1) / (K * (K + 1) / 2)).tolist())
    rows = tuple(map(tuple, transition.tolist()))
    values = {"task": chain(K, N, {}).host_values(labels_of("matrix", matrix=rows, start=start, horizon=horizon))}
    found = {tuple(map(int, walk)): weight for *walk, weight in zip(*_columns(population(values, N)), strict=True)}
    ahead = np.linalg.matrix_power(transition, horizon)
    for walk in itertools.product(range(K), repeat=N):
        expected = (
            start[walk[0]] * transition[walk[0], walk[1]] * transition[walk[1], walk[2]] * ahead[walk[2], walk[3]]
        )
        assert found[walk] == pytest.approx(expected, abs=1e-15)
    assert sum(found.values()) == pytest.approx(1)


def _columns(walks):
    return [*np.asarray(walks.tokens_LxB), np.asarray(walks.targets_B), np.asarray(walks.weights_B)]


def test_the_target_lies_a_horizon_ahead():
    labels = labels_of("permutation", cycles=(5,), start="uniform", horizon=3)
    values = {"task": chain(5, 6, {}).host_values(labels)}
    tokens, targets, _ = sample(jax.random.key(0), 50, values, 6)
    np.testing.assert_array_equal(targets, (tokens[-1] + 3) % 5)
    law = chain(5, 6, {}).next_state_law(tokens, jax.tree.map(jnp.asarray, values))
    np.testing.assert_array_equal(jnp.argmax(law, axis=0), targets)


@pytest.mark.parametrize(
    "cycles", [pytest.param(cycles, marks=pytest.mark.slow) for cycles in ((2, 4), (3, 3), (1, 2, 3), (6,))]
)
def test_permutations_whose_cycles_divide_the_length_stay_symmetric_to_the_bit(cycles):
    """Theorem 4.1 with several cycles: the token weights stay equal, and the accuracy is cycles / K."""
    fields = {"task.walk_length": 13, "task.test_walks": "all", "training.steps": 200, "model.position_width": 16}
    study = chain_study(fields, family="permutation", cycles=cycles, start="uniform")
    run = rw_jax.train(study, walks="all")
    assert float(run.metrics["attention_spread"].max()) == 0
    assert float(run.metrics["accuracy"][-1]) == pytest.approx(len(cycles) / 6)
    broken = rw_jax.train(study, walks="all", walk_length=12)  # 11 is no multiple of 2 and 4, or 3
    assert float(broken.metrics["attention_spread"].max()) > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "task.options.family must be given"),
        ({"family": "ring"}, "task.options.family is 'ring', but must be one of cycle"),
        ({"family": "regular", "graph_seed": 1}, "task.options.degree must be given"),
        ({"family": "regular", "graph_seed": 1, "degree": 9}, "task.options.degree is 9"),
        ({"family": "regular", "graph_seed": 1, "degree": 2.5}, "must be a whole number"),
        ({"family": "de_bruijn"}, "must be a power of 2"),
        ({"family": "lazy_cycle", "laziness": 1.5}, "task.options.laziness is 1.5"),
        ({"family": "torus", "rows": 4}, "must divide task.num_nodes = 6"),
        ({"family": "hypercube"}, "must be a power of 2"),
        ({"family": "permutation", "cycles": (2, 3)}, "must sum to task.num_nodes = 6"),
        ({"family": "permutation", "cycles": 6}, "must be whole numbers from 1 up"),
        ({"family": "two_state", "q": 0.2}, "task.num_nodes is 6, but must be 2"),
        ({"family": "dirichlet", "graph_seed": 1, "concentration": 0.0}, "task.options.concentration is 0"),
        ({"family": "cycle", "start": "left"}, "task.options.start is 'left'"),
        ({"family": "cycle", "start": (0.5, 0.5)}, "6 probabilities that sum to 1"),
        ({"family": "cycle", "start": (0.5, 0.6, -0.1, 0.0, 0.0, 0.0)}, "6 probabilities"),
        ({"family": "cycle", "horizon": 0}, "task.options.horizon is 0"),
        ({"family": "file"}, "task.options.file must be given"),
        ({"family": "matrix"}, "task.options.matrix must be given"),
        ({"family": "matrix", "matrix": ((0.5, 0.5), (0.5, 0.5))}, r"shape \(2, 2\), but must have \(6, 6\)"),
        ({"family": "matrix", "matrix": ((0.5, 0.5), (1.0,))}, "rows of numbers, all of one length"),
        ({"family": "matrix", "matrix": np.full((6, 6), 0.2)}, "sums to 1.2 in row 0"),
        ({"family": "matrix", "matrix": np.eye(6) * 2 - np.roll(np.eye(6), 1, 1)}, "must not be negative"),
        ({"family": "matrix", "matrix": np.full((6, 6), math.inf)}, "no finite number"),
        ({"family": "matrix", "matrix": TWO_CLASSES}, "2 classes of states that are never left"),
    ],
)
def test_what_is_no_chain_is_refused_in_a_sentence(options, words):
    study = chain_study(**options)
    with pytest.raises(rw_jax.ConfigError, match=words) as refused:
        rw_jax.train(study)
    assert_sentence(str(refused.value))


def test_walks_that_cannot_be_enumerated_or_need_no_infinity_are_refused():
    long = {"task.walk_length": 13, "model.position_width": 16}
    study = chain_study(long, family="star")
    with pytest.raises(rw_jax.ConfigError, match="there can be more than 131072 walks"):
        rw_jax.train(study, walks="all")
    certain = chain_study(long, family="permutation", cycles=(6,))
    with pytest.raises(rw_jax.ConfigError, match="must be 'all' for a chain without chance"):
        rw_jax.train(certain, walks="infinite")


def test_what_is_peculiar_about_a_chain_is_said_once(caplog):
    options = {"family": "matrix", "matrix": PUBLISHED["absorbing"]}
    run = rw_jax.train(chain_study({"task.num_nodes": 3}, **options, start="uniform"))
    (said,) = [record.getMessage() for record in caplog.records if "chain" in record.getMessage()]
    assert said == "The chain 'matrix' never leaves state 0."
    assert np.isfinite(float(run.metrics["train_loss"][-1]))
    caplog.clear()
    rw_jax.train(chain_study({"task.num_nodes": 3}, **options))
    assert "never comes to the states 1, 2" in caplog.text


def test_a_matrix_in_a_file_is_kept_with_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    transition = np.array(PUBLISHED["birth-death"])
    np.save(tmp_path / "mine.npy", transition)
    (tmp_path / "mine.csv").write_text("\n".join(",".join(map(str, row)) for row in transition.tolist()))

    def of_file(name):
        return chain_study({"task.num_nodes": 3}, {"p": (0.5,)}, family="file", file=name)

    runs = {name: rw_jax.sweep(of_file(name), tmp_path / name[5:]) for name in ("mine.npy", "mine.csv")}
    (tmp_path / "mine.csv").write_text("0,1,0\n0,0,1\n1,0,0\n")
    again = rw_jax.load_run(tmp_path / "csv")
    np.testing.assert_array_equal(again.transition_matrix(), transition)
    np.testing.assert_array_equal(again.params()["value"], runs["mine.npy"].params()["value"])
    with pytest.raises(rw_jax.ConfigError, match=r"were trained with another text of task\.options\.file"):
        rw_jax.sweep(of_file("mine.csv"), tmp_path / "csv")
    with pytest.raises(rw_jax.ConfigError, match=r"task.options.file is 'other.csv', which is in none"):
        rw_jax.train(of_file("other.csv"))


@pytest.mark.slow
def test_families_and_their_parameters_are_axes_of_one_program(tmp_path):
    axes = {"family": ("cycle", "lazy_cycle", "star"), "laziness": (0.1, 0.5), "p": (0.3, 0.7)}
    study = chain_study(axes=axes, family="cycle", laziness=0.0)
    run = rw_jax.sweep(study, tmp_path / "run")
    assert run.grid.num_cells == 12
    assert len(make_grid(study).grid.structures) == 1
    for family in ("lazy_cycle", "star"):
        expected = transition_of(labels_of(family, laziness=0.5) | {"p": 0.3}, 6)
        np.testing.assert_array_equal(run.transition_matrix(family=family, laziness=0.5, p=0.3), expected)
    losses = run.metrics["train_loss"].sel(family="cycle", p=0.3).isel(step=-1).values.ravel()
    assert losses[0] == losses[1]  # the circle has no laziness


def test_labels_that_are_wrong_together_are_refused_before_anything_is_written(tmp_path):
    """A laziness beyond 1 is none, but only a lazy family looks at it."""
    study = chain_study(axes={"family": ("cycle", "lazy_cycle"), "laziness": (0.1, 1.5)}, family="cycle", laziness=0.1)
    with pytest.raises(rw_jax.ConfigError, match=r"laziness is 1\.5") as refused:
        rw_jax.sweep(study, tmp_path / "run")
    assert_sentence(str(refused.value))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["birth-death", "reflecting"])
def test_infinitely_many_walks_of_a_chain_are_all_walks_there_are(name):
    fields = {"task.num_nodes": 3, "precision": "float64"}
    study = chain_study(fields, family="matrix", matrix=PUBLISHED[name], horizon=2)
    every, infinitely = (rw_jax.train(study, walks=walks) for walks in ("all", "infinite"))
    for leaf_name, leaf in every.params().items():
        np.testing.assert_allclose(infinitely.params()[leaf_name], leaf, rtol=1e-9, atol=1e-10)


def test_a_given_chain_is_what_its_labels_say():
    start, _, target = law_of(labels_of("matrix", matrix=PUBLISHED["two"], horizon=2), 2, {})
    np.testing.assert_allclose(target, [[0.28, 0.72], [0.24, 0.76]])
    np.testing.assert_allclose(start, [0.25, 0.75])


@pytest.mark.slow
def test_two_states_are_learned_over_both_of_their_probabilities(tmp_path):
    fields = {"task.num_nodes": 2, "training.steps": 40, "precision": "float64"}
    axes = {"p": (0.2, 0.7), "q": (0.1, 0.6), "walks": ("infinite",)}
    run = rw_jax.sweep(chain_study(fields, axes, family="two_state", q=0.5), tmp_path / "run")
    assert len(make_grid(run.config).grid.structures) == 1
    for p, q in itertools.product((0.2, 0.7), (0.1, 0.6)):
        np.testing.assert_allclose(run.transition_matrix(p=p, q=q), [[1 - p, p], [q, 1 - q]])
        optimum = run.metrics["optimal_accuracy"].sel(p=p, q=q).isel(step=-1).item()
        law = np.array([q, p]) / (p + q)
        expected = law @ [max(p, 1 - p), max(q, 1 - q)]
        assert optimum == pytest.approx(expected, abs=0.15)  # 24 test walks
        assert np.isfinite(run.metrics["train_loss"].sel(p=p, q=q)).all()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) for name in ("reflecting", "birth-death", "lazy")]
)
def test_published_chains_are_trained(name):
    transition = np.array(PUBLISHED[name])
    fields = {"task.num_nodes": len(transition), "task.walk_length": 12, "model.position_width": 41}
    study = chain_study({**fields, "training.steps": 100, "precision": "float64"}, family="matrix", matrix=transition)
    run = rw_jax.train(study, walks="infinite", learning_rate=1.0)
    losses = run.metrics["train_loss"].values
    assert losses[-1] < losses[0]
    if name == "lazy":  # three next states are equally likely from everywhere: each prediction among them is optimal
        assert run.metrics["optimal_accuracy"][-1].item() == pytest.approx(1 / 3)
        assert run.metrics["predicts_optimally"][-1].item() == 1


@pytest.mark.slow
def test_a_chain_with_two_classes_is_trained_from_a_start_law():
    study = chain_study(
        {"task.num_nodes": 6, "training.steps": 20}, family="matrix", matrix=TWO_CLASSES, start="uniform"
    )
    run = rw_jax.train(study, walks=200)
    assert run.metrics["accuracy"][-1].item() > 1 / 6
