"""One run: the full form against the reduced one, the paper's closed forms, and bits that must not change."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from configs import base
from rw_jax.models import reduced
from rw_jax.models.model import UNIT_LENGTH
from rw_jax.study.config import from_config_dict
from rw_jax.tasks import Walks
from rw_jax.theory import theory
from rw_jax.training import train
from tests import oracle

FORMS = ("full", "reduced")
SMALL = from_config_dict(base.get_config()).replace(
    num_nodes=5, walk_length=11, position_width=13, walks=61, test_walks=50, epsilon=0.1, init_scale=0.05
)
"""A run small enough for every entry of W to be looked at."""


@functools.cache
def start_of(config):
    """Compiled (values) -> (params at step 0, training walks, test walks)."""
    return jax.jit(lambda values: (train.init(config, values).params, *train.sample_walks(config, values)))


@functools.cache
def stepper(config):
    """Compiled (params, walks, epsilon, learning_rate) -> (next params, loss, attention), a step of the product."""
    learner = train.make_learner(config)

    def step(params, walks, epsilon, learning_rate):
        gradient_descent = learner.gradient_descent(learning_rate)
        state = train.TrainState(params, gradient_descent.init(params))
        state, loss = train.train_step(train.mean_loss(config, walks, epsilon), gradient_descent, state)
        return state.params, loss, learner.apply(params, walks.tokens.T).attention

    return jax.jit(step)


def population(num_nodes, walk_length, p):
    """All walks with their probabilities for weights."""
    walks = oracle.all_walks(num_nodes, walk_length)
    weights = oracle.probabilities(walks, num_nodes, p)
    return Walks(jnp.asarray(walks[:, :-1]), jnp.asarray(walks[:, -1]), jnp.asarray(weights))


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
        values = train.run_values(full_config)._replace(p=p, init_scale=init_scale, learning_rate=learning_rate)
        start, walks, _ = start_of(small.replace(form="full", init="gaussian"))(values)  # one program for all readings
        full_params, reduced_params = start, reduced.project(start, SMALL.task.walk_length)
        for _ in range(num_steps):
            full_params, full_loss, full_attention = stepper(full_config)(full_params, walks, 0.1, learning_rate)
            reduced_params, loss, attention = stepper(reduced_config)(reduced_params, walks, 0.1, learning_rate)
            assert float(loss) == pytest.approx(float(full_loss), rel=1e-9)
            close(attention, full_attention, 1e-9)
            projected = reduced.project(full_params, SMALL.task.walk_length)
            assert projected.keys() == reduced_params.keys()
            for name, leaf in projected.items():
                close(reduced_params[name], leaf, 1e-9)
        rebuilt = reduced.rebuild(reduced_params, start)
        for name, leaf in full_params.items():
            assert np.abs(leaf - start[name]).max() > 1e-3
            close(rebuilt[name], leaf, 1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_the_first_step_on_the_population_is_that_of_lemma_c1(form, float64):
    for num_nodes, walk_length, p, learning_rate, epsilon in [(5, 6, 0.3, 0.5, 0.1), (5, 6, 1.0, 2.0, 0.3)]:
        config = SMALL.replace(num_nodes=num_nodes, walk_length=walk_length, form=form)
        zero = jax.jit(lambda values, config=config: train.init(config, values).params)(train.run_values(config))
        params, loss, _ = stepper(config)(zero, population(num_nodes, walk_length, p), epsilon, learning_rate)
        assert float(loss) == pytest.approx(-np.log(epsilon), rel=1e-14)
        transition_KxK = oracle.transition_matrix(num_nodes, p)
        expected_KxK = theory.first_step_value_matrix(transition_KxK, walk_length, learning_rate, epsilon)
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
    params = full if form == "full" else reduced.project(full, 7)
    walks = population(5, 7, 0.3)
    outputs_BxK = [
        oracle.attention_and_output(full["value"], full["key_query"], tokens, "none")[1]
        for tokens in np.asarray(walks.tokens)
    ]
    loss_of_params = jax.jit(train.mean_loss(config, walks, 0.1))
    expected = oracle.mean_loss(outputs_BxK, np.asarray(walks.targets), np.asarray(walks.weights), 0.1)
    assert float(loss_of_params(params)) == pytest.approx(expected, rel=1e-12)
    check_grads(loss_of_params, (params,), order=1, modes=["rev"])


@pytest.mark.parametrize("form", FORMS)
def test_a_run_of_zero_init_starts_at_zero(form):
    config = SMALL.replace(form=form)
    params = jax.jit(lambda values: train.init(config, values).params)(train.run_values(config))
    assert all((leaf == 0).all() for leaf in params.values())


def test_gaussian_init_has_its_scale_and_is_the_same_for_both_forms(float64):
    config = SMALL.replace(init="gaussian")
    values = train.run_values(config)._replace(init_scale=0.01)
    full = start_of(config.replace(form="full"))(values)[0]
    key_query_DxD = np.asarray(full["key_query"])
    assert abs(key_query_DxD.std() - 0.01) < 4 * 0.01 / np.sqrt(2 * key_query_DxD.size)
    assert abs(key_query_DxD.mean()) < 4 * 0.01 / np.sqrt(key_query_DxD.size)
    wider = start_of(config.replace(form="full"))(values._replace(init_scale=0.02))[0]
    np.testing.assert_allclose(wider["key_query"], 2 * key_query_DxD, rtol=1e-14)
    projected = reduced.project(full, SMALL.task.walk_length)
    for name, leaf in jax.jit(lambda values: train.init(config, values).params)(values).items():
        np.testing.assert_allclose(leaf, projected[name], rtol=1e-12, atol=1e-15)


def test_training_and_test_walks_and_the_start_use_keys_of_their_own():
    keys = [np.asarray(jax.random.key_data(key)) for seed in (0, 1) for key in train.run_keys(7, seed)]
    keys += [np.asarray(jax.random.key_data(key)) for key in train.run_keys(8, 0)]
    assert len({key.tobytes() for key in keys}) == 9


def test_a_config_of_an_unknown_form_or_loss_is_refused():
    with pytest.raises(ValueError, match="form is 'half', but must be 'full' or 'reduced'"):
        train.make_learner(SMALL.replace(form="half"))
    with pytest.raises(ValueError, match="loss is 'absolute'"):
        train.make_loss(SMALL.replace(loss="absolute"))


NUM_KEPT = 3
STEPS = 12


@functools.cache
def trainer(config):
    """Compiled (values, state, schedule) -> (state, record)."""

    def run(values, state, schedule):
        progress = train.begin(config, values, STEPS + 1, NUM_KEPT)
        return train.train(config, values, progress._replace(state=state), schedule)

    return jax.jit(run)


def schedule(gaps, slots):
    """Gaps and slots, filled up with what is not looked at: schedules of one length share one program."""
    rest = [0] * (STEPS + 1 - len(gaps))
    return train.Schedule(jnp.asarray([*gaps, *rest], jnp.int32), jnp.asarray([*slots, *rest], jnp.int32), 0, len(gaps))


def every_step(kept):
    """A schedule of steps 0 .. STEPS that keeps the parameters of NUM_KEPT of them."""
    return schedule([1] * (STEPS + 1), [kept.index(step) if step in kept else NUM_KEPT for step in range(STEPS + 1)])


def equal_to_the_last_bit(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def at(tree, i):
    """Entries i of the leading axis of every leaf."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[i], tree)


def initial_state(config, values):
    params = start_of(config)(values)[0]
    return train.TrainState(params, train.make_learner(config).gradient_descent(0.0).init(params))


@functools.cache
def small_run():
    """(values, start, end, record) of a run that recorded every step and kept its parameters at 0, 7 and the end."""
    values = train.run_values(SMALL)._replace(p=np.float32(0.6))
    start = initial_state(SMALL, values)
    return values, start, *trainer(SMALL)(values, start, every_step((0, 7, STEPS)))


def test_training_many_steps_equals_as_many_single_steps():
    values, start, end, record = small_run()
    _, walks, _ = start_of(SMALL)(values)
    params, losses = start.params, []
    for step in range(STEPS + 1):
        if step in (0, 7, STEPS):
            equal_to_the_last_bit(params, at(record.params, (0, 7, STEPS).index(step)))
        params, loss, _ = stepper(SMALL)(params, walks, values.epsilon, values.learning_rate)
        losses.append(loss)
    equal_to_the_last_bit(params, end.params)
    # The mean of the losses is not carried on, and another program may add it up in another order.
    np.testing.assert_allclose(record.metrics["train_loss"], losses, rtol=1e-6)
    assert losses[-1] < losses[0]


def test_what_is_recorded_does_not_depend_on_when_else_something_is():
    values, start, end, record = small_run()
    sparse_end, sparse = trainer(SMALL)(values, start, schedule([7, 5, 1], [0, 1, 2]))
    equal_to_the_last_bit(sparse_end, end)
    equal_to_the_last_bit(sparse.params, record.params)
    equal_to_the_last_bit(sparse.mean_attention, record.mean_attention)
    equal_to_the_last_bit(at(sparse.metrics, np.arange(3)), at(record.metrics, np.array([0, 7, STEPS])))


def test_training_goes_on_from_a_recorded_step_as_if_it_had_not_stopped():
    values, start, end, record = small_run()
    middle, _ = trainer(SMALL)(values, start, schedule([7], [0]))
    resumed_end, resumed = trainer(SMALL)(values, middle, schedule([5, 1], [1, 2]))
    equal_to_the_last_bit(resumed_end, end)
    equal_to_the_last_bit(at(resumed.params, slice(1, 3)), at(record.params, slice(1, 3)))
    equal_to_the_last_bit(at(resumed.params, 0), jax.tree.map(np.zeros_like, start.params))  # nothing was put there


def test_recorded_metrics_are_those_of_the_recorded_parameters(float64):
    config = SMALL.replace(form="full")
    values = train.run_values(config)._replace(p=0.6)
    _, walks, test_walks = start_of(config)(values)
    kept = (0, 3, STEPS)
    _, record = trainer(config)(values, initial_state(config, values), every_step(kept))
    for slot, step in enumerate(kept):
        params = at(record.params, slot)

        def run(tokens_BxL, params=params):
            by_walk = [
                oracle.attention_and_output(params["value"], params["key_query"], tokens, "none")
                for tokens in np.asarray(tokens_BxL)
            ]
            return (np.array(arrays) for arrays in zip(*by_walk, strict=True))

        _, outputs_BxK = run(walks.tokens)
        loss = oracle.mean_loss(outputs_BxK, np.asarray(walks.targets), np.ones(61), 0.1)
        assert float(record.metrics["train_loss"][step]) == pytest.approx(loss, rel=1e-10)
        attention_BxN, outputs_BxK = run(test_walks.tokens)
        np.testing.assert_allclose(record.mean_attention[slot], attention_BxN.mean(axis=0), rtol=1e-10)
        accuracy = np.mean(outputs_BxK.argmax(axis=1) == np.asarray(test_walks.targets))
        assert float(record.metrics["accuracy"][step]) == pytest.approx(accuracy, rel=1e-14)


LONG = 2000


def train_long(config, params, walks, learning_rate):
    """The params before each of LONG steps."""
    loss_of_params = train.mean_loss(config, walks, 0.1)
    gradient_descent = train.make_learner(config).gradient_descent(learning_rate)

    def step(state, _):
        return train.train_step(loss_of_params, gradient_descent, state)[0], state.params

    state = train.TrainState(params, gradient_descent.init(params))
    return jax.lax.scan(step, state, length=LONG)[1]


def train_one_by_one(config, params, walks_of_runs, learning_rates):
    """The params of each run, one run after another, as on a CPU."""
    trainer = jax.jit(functools.partial(train_long, config))
    return [trainer(params, *values) for values in zip(walks_of_runs, learning_rates, strict=True)]


def train_in_a_batch(config, params, walks_of_runs, learning_rates):
    """The same, all runs in one vmapped batch."""
    trainer = jax.jit(jax.vmap(functools.partial(train_long, config), in_axes=(None, 0, 0)))
    walks = jax.tree.map(lambda *leaves: np.stack(leaves), *walks_of_runs)
    return [at(trainer(params, walks, learning_rates), i) for i in range(len(learning_rates))]


def train_as_on_an_accelerator(*runs):
    """In a batch, with the sums over tokens in the order that an accelerator adds them up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduced, "_sums_position_by_position", reduced._sums_state_by_state)
        return train_in_a_batch(*runs)


def zero_params(num_nodes, walk_length, precision):
    shapes = {"value": (num_nodes, num_nodes), "state_scores": num_nodes, "position_scores": walk_length}
    return {name: np.zeros(shape, precision) for name, shape in shapes.items()}


def deterministic_walks(num_nodes, walk_length, num_walks, step):
    first_Bx1 = np.random.default_rng(num_nodes).integers(0, num_nodes, (num_walks, 1), np.int32)
    states_BxN = (first_Bx1 + step * np.arange(walk_length, dtype=np.int32)) % num_nodes
    return Walks(states_BxN[:, :-1], states_BxN[:, -1], np.ones(num_walks, np.float32))


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
    (train_one_by_one, 7, 15, 101, "float64", "log"),
    pytest.param(train_one_by_one, 12, 25, 101, "float32", "log", marks=pytest.mark.slow),
    pytest.param(train_one_by_one, 12, 25, 101, "float64", "hinge", marks=pytest.mark.slow),
    (train_one_by_one, 20, 21, 101, "float32", "log"),
    pytest.param(train_one_by_one, 20, 21, 101, "float64", "cross_entropy", marks=pytest.mark.slow),
    (train_in_a_batch, 7, 15, 101, "float32", "squared_error"),
    (train_as_on_an_accelerator, 4, 9, 101, "float32", "hinge"),
    pytest.param(train_as_on_an_accelerator, 5, 11, 101, "float64", "squared_error", marks=pytest.mark.slow),
    (train_as_on_an_accelerator, 6, 25, 101, "float32", "log"),
    pytest.param(train_as_on_an_accelerator, 20, 21, 101, "float32", "log", marks=pytest.mark.slow),
]


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize(("train_runs", "num_nodes", "walk_length", "num_walks", "precision", "loss"), SYMMETRIC)
def test_deterministic_walks_keep_the_symmetry_to_the_last_bit(
    train_runs, num_nodes, walk_length, num_walks, precision, loss
):
    config = from_config_dict(base.get_config()).replace(num_nodes=num_nodes, walk_length=walk_length, loss=loss)
    rates = [0.01, 1.0, 10.0] if loss == "log" else [0.01, 0.1, 1.0]
    walks_of_runs = [deterministic_walks(num_nodes, walk_length, num_walks, step) for step in (1, -1) for _ in rates]
    zeros = zero_params(num_nodes, walk_length, precision)
    with jax.enable_x64(precision == "float64"):
        runs = train_runs(config, zeros, walks_of_runs, np.array(2 * rates, precision))
    assert len(runs) == 6
    for params in runs:
        assert params["value"].dtype == precision
        assert_symmetric(jax.tree.map(np.asarray, params))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_equal_scores_give_equal_attention_to_the_last_bit(precision):
    """Whatever the scores: in the end all weight may be on the empty slot."""
    config = from_config_dict(base.get_config()).replace(num_nodes=7, walk_length=15)
    tokens_LxB = deterministic_walks(7, 15, 101, 1).tokens.T
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
    return jax.jit(lambda params, tokens_LxB: train.make_learner(config).apply(params, tokens_LxB).attention)


def test_the_symmetry_of_deterministic_walks_is_lost_once_it_is_broken_by_a_hair():
    config = from_config_dict(base.get_config()).replace(num_nodes=6, walk_length=25)
    batch, params = deterministic_walks(6, 25, 101, 1), zero_params(6, 25, np.float32)
    params["position_scores"][3] = 1e-6
    trained = jax.jit(functools.partial(train_long, config))(params, batch, np.float32(1))
    weights_LxB = np.asarray(attend(config)(at(trained, LONG - 1), batch.tokens.T))[:-1]
    assert np.ptp(weights_LxB, axis=0).min() > 0.1


@pytest.mark.parametrize("p", [0, 1])
def test_recorded_spread_of_deterministic_walks_is_zero_and_the_accuracy_the_share_of_one_label(p):
    # q^2 eta, which drives the instability, is that of the paper's width at eta = 1.
    values = train.run_values(SMALL)._replace(p=np.float32(p), learning_rate=np.float32(5000))
    start = initial_state(SMALL, values)
    kept = (0, 2, STEPS)
    gaps = [1, 1, 1, *[40] * (STEPS - 3), 1]
    slots = [kept.index(i) if i in kept else NUM_KEPT for i in range(STEPS + 1)]
    _, record = trainer(SMALL)(values, start, schedule(gaps, slots))
    np.testing.assert_array_equal(record.metrics["attention_spread"], np.zeros(STEPS + 1))
    np.testing.assert_array_equal(record.mean_attention[:, :-1], np.tile(record.mean_attention[:, :1], (1, 10)))
    values_SxKxK = np.asarray(record.params["value"])
    np.testing.assert_array_equal(values_SxKxK, np.tile(values_SxKxK[:, :, :1], (1, 1, 5)))
    _, walks, test_walks = start_of(SMALL)(values)
    # Equal weights give every walk the same output, V (1, ..., 1) but for a factor, whose largest entry is that of the
    # most frequent target, or at step 0, when all are equal, the first.
    counts_K = np.bincount(walks.targets, minlength=5)
    labels = values_SxKxK[:, :, 0].argmax(axis=1)
    assert labels[0] == 0
    assert (counts_K[labels[1:]] == counts_K.max()).all()
    shares = [np.mean(np.asarray(test_walks.targets) == label) for label in labels]
    np.testing.assert_allclose(np.asarray(record.metrics["accuracy"])[list(kept)], shares, rtol=1e-6)
    np.testing.assert_allclose(record.metrics["accuracy"][1:], shares[-1], rtol=1e-6)


@pytest.mark.parametrize("p", [0, 1])
@pytest.mark.parametrize("walk_length", [11, 21])  # all 5120 walks, most of weight 0, and the 5 that are possible
def test_on_the_population_deterministic_walks_are_predicted_at_chance(p, walk_length):
    config = SMALL.replace(walks="all", test_walks="all", walk_length=walk_length, position_width=25)
    values = train.run_values(config)._replace(p=np.float32(p), learning_rate=np.float32(1000))
    gaps = [1, 1, 1, *[40] * (STEPS - 3), 1]
    slots = [0 if i == STEPS else NUM_KEPT for i in range(STEPS + 1)]
    _, record = trainer(config)(values, initial_state(config, values), schedule(gaps, slots))
    np.testing.assert_array_equal(record.metrics["attention_spread"], np.zeros(STEPS + 1))
    np.testing.assert_allclose(record.metrics["accuracy"], 1 / 5, rtol=1e-6)
    assert record.params["value"][0].min() > 1
    assert record.metrics["value_uniform_direction_error"][-1] < 1e-5


def test_a_step_on_many_samples_is_that_on_the_population_within_its_standard_error(float64):
    config = SMALL.replace(walk_length=6, walks=20_000, test_walks="all")
    values = train.run_values(config)._replace(p=0.3)
    start, samples, everything = start_of(config)(values)
    assert (len(samples.targets), len(everything.targets)) == (20_000, 5 * 2**5)
    on_samples, on_population = (stepper(config)(start, walks, 0.1, 1.0)[0]["value"] for walks in (samples, everything))
    # From zero weights V moves by the mean of 10 e_y (x_1 + ... + x_5)^T / 6 (Lemma C.1).
    one_hot = np.eye(5)
    averaged_BxK = one_hot[np.asarray(samples.tokens)].sum(axis=1) / 6
    moves_BxKxK = 10 * one_hot[np.asarray(samples.targets)][:, :, None] * averaged_BxK[:, None]
    standard_errors = moves_BxKxK.std(axis=0) / np.sqrt(20_000)
    assert (np.abs(on_samples - on_population) < 4 * standard_errors).all()
