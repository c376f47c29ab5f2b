"""One run: the full form against the reduced one, the paper's closed forms, and bits that must not change."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

import rw_jax
from rw_jax.models import sums
from rw_jax.models.embeddings import make_embeddings
from rw_jax.models.positions import UNIT_LENGTH
from rw_jax.models.reduced import project, rebuild
from rw_jax.study.errors import ConfigError
from rw_jax.study.flags import from_config_dict
from rw_jax.sweeps.program import make_schedule
from rw_jax.tasks import Walks
from rw_jax.theory.closed_forms import first_step_value_matrix
from rw_jax.training import run
from rw_jax.training.experiment import make_experiment
from rw_jax.training.grids import make_grid
from rw_jax.training.objectives import mean_loss, on_walks
from rw_jax.training.optimizers import transformation
from rw_jax.training.pieces import Pieces
from rw_jax.training.run import Prepared, State
from rw_jax.training.values import run_keys, run_values, stacked_values
from rw_jax.training.walks import draw_test_walks, draw_training_walks
from tests import oracle
from tests.tiny import assert_sentence, experiment_and_values, tiny_study

FORMS = ("full", "reduced")
BASE = from_config_dict(rw_jax.base_config())
SMALL = BASE.replace(
    num_nodes=5, walk_length=11, position_width=13, walks=61, test_walks=50, epsilon=0.1, init_scale=0.05
)
"""A run small enough for every entry of W to be looked at."""

EMBEDDINGS = make_embeddings(5, 11, 13)


def values_of(config, **changes):
    """The values of a run, some of them others."""
    values = experiment_and_values(config)[1]
    return values | {name: values[name].dtype.type(value) for name, value in changes.items()}


@functools.cache
def start_of(config):
    """Compiled (values) -> (params at step 0, training walks, test walks)."""
    experiment = make_experiment(config)
    return jax.jit(
        lambda values: (
            run.init(experiment, values).params,
            draw_training_walks(experiment, values),
            draw_test_walks(experiment, values),
        )
    )


def prepared(config, walks, values) -> Prepared:
    """A run on these training walks, of which nothing is measured."""
    experiment = make_experiment(config)
    loss = functools.partial(experiment.loss.of_walk, values=values)
    objective = on_walks(experiment.model, loss, walks, config.task.num_nodes)
    optimizer = transformation(experiment.optimizer, experiment.model, values)
    return Prepared(objective, lambda params: None, lambda step: optimizer, run_keys(0, 0))


@functools.cache
def stepper(config):
    """Compiled (params, walks, epsilon, learning_rate) -> (next params, loss, attention), a step of the product."""
    model = make_experiment(config).model

    def step(params, walks, epsilon, learning_rate):
        each = prepared(config, walks, {"epsilon": epsilon, "learning_rate": learning_rate})
        state, measured = run.train_step(each, State(jnp.int32(0), params, each.optimizer(0).init(params)))
        return state.params, measured["train_loss"], model.apply(params, walks.tokens_LxB).attention_NxB

    return jax.jit(step)


def population(num_nodes, walk_length, p):
    """All walks with their probabilities for weights."""
    walks = oracle.all_walks(num_nodes, walk_length)
    weights = oracle.probabilities(walks, num_nodes, p)
    return Walks(jnp.asarray(walks[:, :-1].T), jnp.asarray(walks[:, -1]), jnp.asarray(weights))


def close(actual, expected, tolerance):
    """Equal up to `tolerance` of the largest entry."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1e-3, np.abs(expected).max()))


GENTLE, VIOLENT = (0.3, 0.05, 1.0, 6), (0.9, 0.05, 1e3, 3)
"""p, init_scale, learning rate, number of steps."""


@pytest.mark.parametrize(
    ("unit_length", "width", "cases"),
    [
        *((reading, 0, [GENTLE, VIOLENT, (0.5, 0.0, 1.0, 6), (0.7, 0.0, 1e3, 3)]) for reading in UNIT_LENGTH),
        ("none", 3, [(0.5, 0.1, 1.0, 6), (0.3, 0.15, 3.0, 6)]),  # zero weights of a feed-forward layer would stay zero
    ],
)
def test_full_and_reduced_forms_go_the_same_way(unit_length, width, cases, float64):
    small = SMALL.replace(feed_forward_width=width)
    full_config = small.replace(form="full", unit_length=unit_length, init="gaussian")
    reduced_config = full_config.replace(form="reduced")
    for p, init_scale, learning_rate, num_steps in cases:
        values = values_of(full_config, p=p, init_scale=init_scale, learning_rate=learning_rate)
        start, walks, _ = start_of(small.replace(form="full", init="gaussian"))(values)  # one program for all readings
        full_params, reduced_params = start, project(start, EMBEDDINGS)
        for _ in range(num_steps):
            full_params, full_loss, full_attention = stepper(full_config)(full_params, walks, 0.1, learning_rate)
            reduced_params, loss, attention = stepper(reduced_config)(reduced_params, walks, 0.1, learning_rate)
            assert float(loss) == pytest.approx(float(full_loss), rel=1e-9)
            close(attention, full_attention, 1e-9)
            projected = project(full_params, EMBEDDINGS)
            assert projected.keys() == reduced_params.keys()
            for name, leaf in projected.items():
                close(reduced_params[name], leaf, 1e-9)
        rebuilt = rebuild(reduced_params, start, EMBEDDINGS)
        for name, leaf in full_params.items():
            assert np.abs(leaf - start[name]).max() > 1e-3
            close(rebuilt[name], leaf, 1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_the_first_step_on_the_population_is_that_of_lemma_c1(form, float64):
    for num_nodes, walk_length, p, learning_rate, epsilon in [(5, 6, 0.3, 0.5, 0.1), (5, 6, 1.0, 2.0, 0.3)]:
        config = SMALL.replace(num_nodes=num_nodes, walk_length=walk_length, form=form)
        zero = start_of(config)(values_of(config))[0]
        params, loss, _ = stepper(config)(zero, population(num_nodes, walk_length, p), epsilon, learning_rate)
        assert float(loss) == pytest.approx(-np.log(epsilon), rel=1e-14)
        transition_KxK = oracle.transition_matrix(num_nodes, p)
        expected_KxK = first_step_value_matrix(transition_KxK, walk_length, learning_rate, epsilon)
        np.testing.assert_allclose(params.pop("value"), expected_KxK, rtol=1e-13)
        # A circulant matrix, as in Lemma C.2, to rounding.
        np.testing.assert_allclose(np.roll(expected_KxK, (1, 1), (0, 1)), expected_KxK, rtol=1e-13)
        for leaf in params.values():
            np.testing.assert_array_equal(leaf, np.zeros_like(leaf))


@pytest.mark.parametrize("form", FORMS)
def test_mean_loss_and_its_gradient_equal_the_slow_loop_and_finite_differences(form, float64):
    config = SMALL.replace(form=form, walk_length=7)
    generator = np.random.default_rng(3)
    # A positive value matrix keeps the outputs above -eps.
    full = {"value": generator.uniform(0.1, 1, (5, 5)), "key_query": generator.normal(0, 0.3, (18, 18))}
    params = full if form == "full" else project(full, make_embeddings(5, 7, 13))
    walks = population(5, 7, 0.3)
    outputs_BxK = [
        oracle.attention_and_output(full["value"], full["key_query"], tokens, "none")[1]
        for tokens in np.asarray(walks.tokens_LxB).T
    ]
    experiment = make_experiment(config)
    loss = functools.partial(experiment.loss.of_walk, values={"epsilon": 0.1})
    loss_of_params = jax.jit(mean_loss(experiment.model, loss, walks, 5))
    expected = oracle.mean_loss(outputs_BxK, np.asarray(walks.targets_B), np.asarray(walks.weights_B), 0.1)
    assert float(loss_of_params(params)) == pytest.approx(expected, rel=1e-12)
    check_grads(loss_of_params, (params,), order=1, modes=["rev"])


@pytest.mark.parametrize("form", FORMS)
def test_a_run_of_zero_init_starts_at_zero(form):
    config = SMALL.replace(form=form)
    params = start_of(config)(values_of(config))[0]
    assert all((leaf == 0).all() for leaf in params.values())


def test_gaussian_init_has_its_scale_and_is_the_same_for_both_forms(float64):
    config = SMALL.replace(init="gaussian")
    values = values_of(config, init_scale=0.01)
    full = start_of(config.replace(form="full"))(values)[0]
    key_query_DxD = np.asarray(full["key_query"])
    assert abs(key_query_DxD.std() - 0.01) < 4 * 0.01 / np.sqrt(2 * key_query_DxD.size)
    assert abs(key_query_DxD.mean()) < 4 * 0.01 / np.sqrt(key_query_DxD.size)
    wider = start_of(config.replace(form="full"))(values_of(config, init_scale=0.02))[0]
    np.testing.assert_allclose(wider["key_query"], 2 * key_query_DxD, rtol=1e-14)
    projected = project(full, EMBEDDINGS)
    for name, leaf in start_of(config)(values)[0].items():
        np.testing.assert_allclose(leaf, projected[name], rtol=1e-12, atol=1e-15)


def test_every_use_of_randomness_has_a_key_of_its_own():
    keys = [jax.random.key_data(key).tobytes() for seed in (0, 1) for key in run_keys(7, seed)]
    keys += [jax.random.key_data(key).tobytes() for key in run_keys(8, 0)]
    assert len(set(keys)) == 18


def test_keys_of_walks_and_start_are_the_split_of_the_runs_key_and_that_of_steps_none_that_folding_it_gives():
    run_key = jax.random.fold_in(jax.random.key(7, impl="threefry2x32"), 3)
    *three, steps, stages, faults = run_keys(7, 3)
    for key, expected in zip(three, jax.random.split(run_key, 3), strict=True):
        np.testing.assert_array_equal(jax.random.key_data(key), jax.random.key_data(expected))
    # Folding in a small number gives the keys of the walks again, so that no step may do it.
    for i in range(3):
        folded = jax.random.key_data(jax.random.fold_in(run_key, i))
        np.testing.assert_array_equal(folded, jax.random.key_data(three[i]))
        for key in (steps, stages, faults):
            assert (folded != jax.random.key_data(key)).any()


@pytest.mark.parametrize(
    "fields",
    [{}, {"training.stages": "2: p=0.5; 3: learning_rate=2"}, {"task.name": "chain", "task.options.family": "path"}],
)
def test_stacked_values_are_those_of_each_run(fields):
    study = tiny_study(fields={**fields, "training.mixed_share": 0.25}, p=(0.0, 0.3, 1.0), seed=(0, 7))
    experiments = make_grid(study)
    grid = experiments.grid
    experiment = experiments.of_cell(grid.cell(0))
    stacked = stacked_values([cell.values for cell in grid.cells()], experiment)
    each = [run_values(cell.config.values(), experiment) for cell in grid.cells()]
    assert jax.tree.structure(stacked) == jax.tree.structure(each[0])
    for stack, *leaves in zip(*map(jax.tree.leaves, (stacked, *each)), strict=True):
        assert stack.dtype == leaves[0].dtype
        np.testing.assert_array_equal(stack, np.stack(leaves))
    np.testing.assert_array_equal(stacked["seed"], [0, 7, 0, 7, 0, 7])
    np.testing.assert_array_equal(stacked["p"], np.float32([0, 0, 0.3, 0.3, 1, 1]))


NUM_KEPT = 3
STEPS = 12


@functools.cache
def trainer(config):
    """Compiled (values, state, schedule) -> (state, record)."""
    recorded = config.replace(steps=STEPS)
    recorded = dataclasses.replace(recorded, record=dataclasses.replace(recorded.record, every=1, parameters=(1,)))
    experiment, values = experiment_and_values(recorded)
    shape = run.progress_shape(experiment, values)
    room = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shape.record)

    def train(values, state, schedule):
        progress = run.begin(experiment, values, room)
        return run.train(experiment, values, progress._replace(state=state), schedule)

    return jax.jit(train)


def schedule(gaps, slots):
    """Gaps and slots, filled up with what is not looked at: schedules of one length share one program."""
    rest = [0] * (STEPS + 1 - len(gaps))
    return run.Schedule(jnp.asarray([*gaps, *rest], jnp.int32), jnp.asarray([*slots, *rest], jnp.int32), 0, len(gaps))


def every_step(kept):
    """A schedule of steps 0 .. STEPS that keeps the parameters of NUM_KEPT of them."""
    return schedule([1] * STEPS + [0], [kept.index(step) if step in kept else NUM_KEPT for step in range(STEPS + 1)])


def equal_to_the_last_bit(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def at(tree, i):
    """Entries i of the leading axis of every leaf."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[i], tree)


def initial_state(config, values):
    params = start_of(config)(values)[0]
    experiment = make_experiment(config)
    return State(np.int32(0), params, transformation(experiment.optimizer, experiment.model, values).init(params))


@functools.cache
def small_run():
    """(values, start, end, record) of a run that recorded every step and kept its parameters at 0, 7 and the end."""
    values = values_of(SMALL, p=0.6)
    start = initial_state(SMALL, values)
    return values, start, *trainer(SMALL)(values, start, every_step((0, 7, STEPS)))


@pytest.mark.slow
def test_training_many_steps_equals_as_many_single_steps():
    values, start, end, record = small_run()
    _, walks, _ = start_of(SMALL)(values)
    params, losses = start.params, []
    for step in range(STEPS + 1):
        if step in (0, 7, STEPS):
            equal_to_the_last_bit(params, at(record.kept["params"], (0, 7, STEPS).index(step)))
        if step == STEPS:
            equal_to_the_last_bit(params, end.params)  # the state at the last recorded step, not one step further
        params, loss, _ = stepper(SMALL)(params, walks, values["epsilon"], values["learning_rate"])
        losses.append(loss)
    assert end.step == STEPS
    # The mean of the losses is not carried on, and another program may add it up in another order.
    np.testing.assert_allclose(record.metrics["train_loss"], losses, rtol=1e-6)
    assert losses[-1] < losses[0]


def test_what_is_recorded_does_not_depend_on_when_else_something_is():
    values, start, end, record = small_run()
    sparse_end, sparse = trainer(SMALL)(values, start, schedule([7, 5, 0], [0, 1, 2]))
    equal_to_the_last_bit(sparse_end, end)
    equal_to_the_last_bit(sparse.kept["params"], record.kept["params"])
    equal_to_the_last_bit(sparse.kept["mean_attention"], record.kept["mean_attention"])
    equal_to_the_last_bit(at(sparse.metrics, np.arange(3)), at(record.metrics, np.array([0, 7, STEPS])))


def test_training_goes_on_from_a_recorded_step_as_if_it_had_not_stopped():
    values, start, end, record = small_run()
    middle, _ = trainer(SMALL)(values, start, schedule([7], [0]))
    resumed_end, resumed = trainer(SMALL)(values, middle, schedule([5, 0], [1, 2]))
    equal_to_the_last_bit(resumed_end, end)
    equal_to_the_last_bit(at(resumed.kept["params"], slice(1, 3)), at(record.kept["params"], slice(1, 3)))
    equal_to_the_last_bit(
        at(resumed.kept["params"], 0), jax.tree.map(np.zeros_like, start.params)
    )  # nothing was put there


def test_recorded_metrics_are_those_of_the_recorded_parameters(float64):
    config = SMALL.replace(form="full")
    values = values_of(config, p=0.6)
    _, walks, test_walks = start_of(config)(values)
    kept = (0, 3, STEPS)
    _, record = trainer(config)(values, initial_state(config, values), every_step(kept))
    for slot, step in enumerate(kept):
        params = at(record.kept["params"], slot)

        def look(tokens_LxB, params=params):
            by_walk = [
                oracle.attention_and_output(params["value"], params["key_query"], tokens, "none")
                for tokens in np.asarray(tokens_LxB).T
            ]
            return (np.array(arrays) for arrays in zip(*by_walk, strict=True))

        _, outputs_BxK = look(walks.tokens_LxB)
        loss = oracle.mean_loss(outputs_BxK, np.asarray(walks.targets_B), np.ones(61), 0.1)
        assert float(record.metrics["train_loss"][step]) == pytest.approx(loss, rel=1e-10)
        attention_BxN, outputs_BxK = look(test_walks.tokens_LxB)
        np.testing.assert_allclose(record.kept["mean_attention"][slot], attention_BxN.mean(axis=0), rtol=1e-10)
        spread = np.ptp(attention_BxN[:, :-1], axis=1).max()
        assert float(record.metrics["attention_spread"][step]) == pytest.approx(spread, rel=1e-8, abs=1e-14)
        accuracy = np.mean(outputs_BxK.argmax(axis=1) == np.asarray(test_walks.targets_B))
        assert float(record.metrics["accuracy"][step]) == pytest.approx(accuracy, rel=1e-14)


LONG = 2000


def train_long(config, params, walks, learning_rate):
    """The params before each of LONG steps."""
    each = prepared(config, walks, {"epsilon": 0.1, "learning_rate": learning_rate})

    def step(state, _):
        return run.train_step(each, state)[0], state.params

    state = State(jnp.int32(0), params, each.optimizer(0).init(params))
    return jax.lax.scan(step, state, length=LONG)[1]


def train_one_by_one(config, params, walks_of_runs, learning_rates, options):
    """The params of each run, one run after another, as on a CPU."""
    trainer = jax.jit(functools.partial(train_long, config), compiler_options=options)
    return [trainer(params, *values) for values in zip(walks_of_runs, learning_rates, strict=True)]


def train_in_a_batch(config, params, walks_of_runs, learning_rates, options):
    """The same, all runs in one vmapped batch."""
    of_batch = jax.vmap(functools.partial(train_long, config), in_axes=(None, 0, 0))
    trainer = jax.jit(of_batch, compiler_options=options)
    walks = jax.tree.map(lambda *leaves: np.stack(leaves), *walks_of_runs)
    return [at(trainer(params, walks, learning_rates), i) for i in range(len(learning_rates))]


def train_as_on_an_accelerator(*runs):
    """In a batch, with as many positions in a round of the sums over tokens as an accelerator takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "_ON_CPU", sums._ON_ACCELERATORS)
        return train_in_a_batch(*runs)


def zero_params(num_nodes, walk_length, precision):
    shapes = {"value": (num_nodes, num_nodes), "state_scores": num_nodes, "position_scores": walk_length}
    return {name: np.zeros(shape, precision) for name, shape in shapes.items()}


def deterministic_walks(num_nodes, walk_length, num_walks, step):
    first_Bx1 = np.random.default_rng(num_nodes).integers(0, num_nodes, (num_walks, 1), np.int32)
    states_BxN = (first_Bx1 + step * np.arange(walk_length, dtype=np.int32)) % num_nodes
    return Walks(np.ascontiguousarray(states_BxN[:, :-1].T), states_BxN[:, -1], np.ones(num_walks, np.float32))


def assert_symmetric(params):
    """That equal weights are equal to the last bit at every step, and moved at all."""
    for name, symmetric in {**params, "position_scores": params["position_scores"][:, :-1]}.items():
        np.testing.assert_array_equal(np.ptp(symmetric, axis=-1), 0, err_msg=name)
        assert (symmetric[-1] != 0).all()


SYMMETRIC = [
    # (how the runs are trained, K, N, walks, precision, loss)
    (train_one_by_one, 4, 9, 101, "float32", "log"),
    pytest.param(train_one_by_one, 4, 9, 101, "float64", "log", marks=pytest.mark.slow),
    pytest.param(train_one_by_one, 5, 11, 101, "float32", "squared_error", marks=pytest.mark.slow),
    pytest.param(train_one_by_one, 5, 11, 101, "float64", "log", marks=pytest.mark.slow),
    (train_one_by_one, 6, 97, 1000, "float32", "log"),
    pytest.param(train_one_by_one, 6, 25, 101, "float64", "cross_entropy", marks=pytest.mark.slow),
    (train_one_by_one, 7, 15, 101, "float32", "cross_entropy"),
    pytest.param(train_one_by_one, 7, 15, 101, "float64", "log", marks=pytest.mark.slow),
    pytest.param(train_one_by_one, 12, 25, 101, "float32", "log", marks=pytest.mark.slow),
    pytest.param(train_one_by_one, 12, 25, 101, "float64", "hinge", marks=pytest.mark.slow),
    pytest.param(train_one_by_one, 20, 21, 101, "float32", "log", marks=pytest.mark.slow),
    pytest.param(train_one_by_one, 20, 21, 101, "float64", "cross_entropy", marks=pytest.mark.slow),
    (train_in_a_batch, 7, 15, 101, "float32", "squared_error"),
    pytest.param(train_as_on_an_accelerator, 4, 9, 101, "float32", "hinge", marks=pytest.mark.slow),
    pytest.param(train_as_on_an_accelerator, 5, 11, 101, "float64", "squared_error", marks=pytest.mark.slow),
    (train_as_on_an_accelerator, 6, 25, 101, "float32", "log"),
    pytest.param(train_as_on_an_accelerator, 20, 21, 101, "float32", "log", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("train_runs", "num_nodes", "walk_length", "num_walks", "precision", "loss"), SYMMETRIC)
def test_deterministic_walks_keep_the_symmetry_to_the_last_bit(
    optimized, train_runs, num_nodes, walk_length, num_walks, precision, loss
):
    config = BASE.replace(num_nodes=num_nodes, walk_length=walk_length, loss=loss)
    rates = [0.01, 1.0, 10.0] if loss == "log" else [0.01, 0.1, 1.0]
    walks_of_runs = [deterministic_walks(num_nodes, walk_length, num_walks, step) for step in (1, -1) for _ in rates]
    zeros = zero_params(num_nodes, walk_length, precision)
    with jax.enable_x64(precision == "float64"):
        runs = train_runs(config, zeros, walks_of_runs, np.array(2 * rates, precision), optimized)
    assert len(runs) == 6
    for params in runs:
        assert params["value"].dtype == precision
        assert_symmetric(jax.tree.map(np.asarray, params))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_equal_scores_give_equal_attention_to_the_last_bit(precision):
    """Whatever the scores: in the end all weight may be on the empty slot."""
    config = BASE.replace(num_nodes=7, walk_length=15)
    tokens_LxB = deterministic_walks(7, 15, 101, 1).tokens_LxB
    with jax.enable_x64(precision == "float64"):
        for u, a, empty in [(0.1, 0.3, 0.2), (-3.7, 11.3, 0.1), (0.3, -40.1, 900.0), (1e-7, 1 / 3, -1e4)]:
            position_scores_N = np.array([a] * 14 + [empty], precision)
            params = {"value": np.ones((7, 7), precision), "state_scores": np.full(7, u, precision)}
            params["position_scores"] = position_scores_N
            weights_LxB = np.asarray(attend(config)(params, tokens_LxB))[:-1]
            assert weights_LxB.dtype == precision
            assert weights_LxB.min() == weights_LxB.max()


@functools.cache
def attend(config):
    """Compiled (params, tokens_LxB) -> attention_NxB."""
    model = make_experiment(config).model
    return jax.jit(lambda params, tokens_LxB: model.apply(params, tokens_LxB).attention_NxB)


def test_the_symmetry_of_deterministic_walks_is_lost_once_it_is_broken_by_a_hair():
    config = BASE.replace(num_nodes=6, walk_length=25)
    batch, params = deterministic_walks(6, 25, 101, 1), zero_params(6, 25, np.float32)
    params["position_scores"][3] = 1e-6
    trained = jax.jit(functools.partial(train_long, config))(params, batch, np.float32(1))
    weights_LxB = np.asarray(attend(config)(at(trained, LONG - 1), batch.tokens_LxB))[:-1]
    assert np.ptp(weights_LxB, axis=0).min() > 0.1


@pytest.mark.parametrize("p", [0, 1])
def test_recorded_spread_of_deterministic_walks_is_zero_and_the_accuracy_the_share_of_one_label(p):
    # q^2 eta, which drives the instability, is that of the paper's width at eta = 1.
    values = values_of(SMALL, p=p, learning_rate=5000)
    start = initial_state(SMALL, values)
    kept = (0, 2, STEPS)
    gaps = [1, 1, 1, *[40] * (STEPS - 3), 0]
    slots = [kept.index(i) if i in kept else NUM_KEPT for i in range(STEPS + 1)]
    _, record = trainer(SMALL)(values, start, schedule(gaps, slots))
    np.testing.assert_array_equal(record.metrics["attention_spread"], np.zeros(STEPS + 1))
    np.testing.assert_array_equal(
        record.kept["mean_attention"][:, :-1], np.tile(record.kept["mean_attention"][:, :1], (1, 10))
    )
    values_SxKxK = np.asarray(record.kept["params"]["value"])
    np.testing.assert_array_equal(values_SxKxK, np.tile(values_SxKxK[:, :, :1], (1, 1, 5)))
    _, walks, test_walks = start_of(SMALL)(values)
    # Equal weights give every walk the same output, V (1, ..., 1) but for a factor, whose largest entry is that of the
    # most frequent target, or at step 0, when all are equal, the first.
    counts_K = np.bincount(walks.targets_B, minlength=5)
    labels = values_SxKxK[:, :, 0].argmax(axis=1)
    assert labels[0] == 0
    assert (counts_K[labels[1:]] == counts_K.max()).all()
    shares = [np.mean(np.asarray(test_walks.targets_B) == label) for label in labels]
    np.testing.assert_allclose(np.asarray(record.metrics["accuracy"])[list(kept)], shares, rtol=1e-6)
    np.testing.assert_allclose(record.metrics["accuracy"][1:], shares[-1], rtol=1e-6)


@pytest.mark.parametrize("p", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("walk_length", [11, 21])  # all 5120 walks, most of weight 0, and the 5 that are possible
def test_on_the_population_deterministic_walks_are_predicted_at_chance(p, walk_length):
    config = SMALL.replace(walks="all", test_walks="all", walk_length=walk_length, position_width=25)
    values = values_of(config, p=p, learning_rate=1000)
    gaps = [1, 1, 1, *[40] * (STEPS - 3), 0]
    slots = [0 if i == STEPS else NUM_KEPT for i in range(STEPS + 1)]
    _, record = trainer(config)(values, initial_state(config, values), schedule(gaps, slots))
    np.testing.assert_array_equal(record.metrics["attention_spread"], np.zeros(STEPS + 1))
    np.testing.assert_allclose(record.metrics["accuracy"], 1 / 5, rtol=1e-6)
    assert record.kept["params"]["value"][0].min() > 1
    assert record.metrics["value_uniform_direction_error"][-1] < 1e-5


def test_a_step_on_many_samples_is_that_on_the_population_within_its_standard_error(float64):
    config = SMALL.replace(walk_length=6, walks=20_000, test_walks="all")
    values = values_of(config, p=0.3)
    start, samples, everything = start_of(config)(values)
    assert (len(samples.targets_B), len(everything.targets_B)) == (20_000, 5 * 2**5)
    on_samples, on_population = (stepper(config)(start, walks, 0.1, 1.0)[0]["value"] for walks in (samples, everything))
    # From zero weights V moves by the mean of 10 e_y (x_1 + ... + x_5)^T / 6 (Lemma C.1).
    one_hot = np.eye(5)
    averaged_BxK = one_hot[np.asarray(samples.tokens_LxB)].sum(axis=0) / 6
    moves_BxKxK = 10 * one_hot[np.asarray(samples.targets_B)][:, :, None] * averaged_BxK[:, None]
    standard_errors = moves_BxKxK.std(axis=0) / np.sqrt(20_000)
    assert (np.abs(on_samples - on_population) < 4 * standard_errors).all()


def adam_on_the_full_form(values):
    return optax.adam(values["learning_rate"])


def test_any_optimizer_takes_the_updates_that_optax_gives_it_by_hand(float64):
    config = SMALL.replace(form="full", precision="float64", p=0.6, learning_rate=0.01)
    pieces = Pieces(objects={"optimizer": adam_on_the_full_form})
    experiment, values = experiment_and_values(config.replace(steps=6), pieces)
    schedule = make_schedule(experiment, 0, 7)
    shape = run.progress_shape(experiment, values)
    room = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shape.record)
    progress = jax.jit(lambda: run.train(experiment, values, run.begin(experiment, values, room), schedule))()
    model = experiment.model
    params, walks, _ = start_of(config)(values)
    loss = functools.partial(experiment.loss.of_walk, values=values)
    gradient = jax.jit(jax.grad(mean_loss(model, loss, walks, 5)))
    optimizer = optax.adam(0.01)
    state = optimizer.init(params)
    for _ in range(6):
        updates, state = optimizer.update(gradient(params), state, params)
        params = optax.apply_updates(params, updates)
    for name, leaf in params.items():
        close(progress.state.params[name], leaf, 1e-9)
    assert int(progress.state.opt_state[0].count) == 6  # the state at the last recorded step, for what comes after it


def test_an_optimizer_that_is_not_linear_is_refused_for_the_reduced_form_in_a_sentence_that_names_the_full_one():
    with pytest.raises(ConfigError, match=r"give --config\.model\.form=full") as refused:
        make_experiment(SMALL, Pieces(objects={"optimizer": adam_on_the_full_form}))
    assert_sentence(str(refused.value))


def test_the_program_of_a_step_gets_its_key_and_number():
    """An objective of one's own that adds noise to the gradient by the key of the step."""

    def noisy(params, step, key):
        noise = jax.random.normal(key, params["value"].shape)
        return {"train_loss": step.astype(float)}, {name: 0 * leaf for name, leaf in params.items()} | {"value": noise}

    keys = run_keys(7, 3)
    each = Prepared(noisy, lambda params: None, lambda step: optax.sgd(1.0), keys)
    params = {"value": jnp.zeros((2, 2))}
    state = State(jnp.int32(0), params, each.optimizer(0).init(params))
    moves = []
    for step in range(3):
        before = state.params["value"]
        state, measured = jax.jit(lambda state: run.train_step(each, state))(state)
        assert float(measured["train_loss"]) == step
        moves.append(before - state.params["value"])
        expected = jax.random.normal(jax.random.fold_in(keys.steps, step), (2, 2))
        np.testing.assert_allclose(moves[-1], expected, rtol=1e-5)
    assert (moves[0] != moves[1]).all()
