"""The one rule for pieces, for each of the five kinds: what is a piece itself, what makes one, and what is refused."""

import ast
import functools
import inspect
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rw_jax
from rw_jax.models import Model, Output
from rw_jax.study import reading
from rw_jax.study.config import AXES
from rw_jax.study.grid import Grid
from rw_jax.tasks import Law, Task, Walks
from rw_jax.tasks.circle import circle
from rw_jax.tasks.table import TASKS
from rw_jax.training.experiment import make_experiment
from rw_jax.training.grids import make_grid
from rw_jax.training.losses import LOSSES, Loss
from rw_jax.training.metrics import Metric
from rw_jax.training.optimizers import Optimizer
from rw_jax.training.pieces import KINDS, Made, Pieces, make, source_of
from rw_jax.training.values import run_values
from tests.tiny import assert_sentence, checked, tiny_study

TASK = Task(4, 6, sample=lambda key, num_walks, values: None)
MODEL = Model(init=lambda key, values: {}, apply=lambda params, tokens_LxB: Output(tokens_LxB))


def distance(output_K, target_K, values):
    del values
    return jnp.sum(jnp.abs(output_K - target_K))


def descent(values):
    return optax.sgd(values["learning_rate"])


def entropy(attention_NxB, weights_B):
    return -jnp.sum(weights_B * jnp.sum(attention_NxB * jnp.log(attention_NxB), axis=0)) / jnp.sum(weights_B)


class Example(NamedTuple):
    """A piece of a kind, and a function that is one; None for a kind of which no function is one."""

    piece: Any
    function: Callable[..., Any] | None
    options: str


EXAMPLES = {
    "task": Example(TASK, None, "task.options"),
    "form": Example(MODEL, None, "model.options"),
    "loss": Example(Loss(distance), distance, "training.options"),
    "optimizer": Example(Optimizer(descent), descent, "training.options"),
    "metrics": Example(Metric(entropy), entropy, "training.options"),
}
each_kind = pytest.mark.parametrize("axis", EXAMPLES)
each_function = pytest.mark.parametrize("axis", [axis for axis, example in EXAMPLES.items() if example.function])


def path_of(axis: str) -> str:
    return AXES.get(axis, "record.metrics")


def made(axis: str, found: Any, config=None, **options: Any) -> Made:
    """What the rule makes of an object in the place of a piece."""
    config = config or tiny_study(fields={f"training.options.{name}": value for name, value in options.items()})
    return make(source_of(axis, found, Pieces(), path_of(axis)), config.values())


def refusal(axis: str, found: Any, **rest: Any) -> str:
    with pytest.raises(rw_jax.ConfigError) as refused:
        made(axis, found, **rest)
    assert_sentence(str(refused.value))
    return str(refused.value)


def test_every_kind_is_looked_at():
    assert EXAMPLES.keys() == KINDS.keys()


@each_kind
def test_a_piece_is_itself_and_takes_nothing(axis):
    assert made(axis, EXAMPLES[axis].piece) == (EXAMPLES[axis].piece, frozenset())


@each_function
def test_a_function_of_what_a_piece_is_called_with_is_the_piece(axis):
    function = EXAMPLES[axis].function
    assert not source_of(axis, function, Pieces(), path_of(axis)).is_factory
    assert made(axis, function) == (KINDS[axis].type(function), frozenset())


@each_kind
def test_any_other_function_makes_it_of_the_fields_and_options_that_it_names(axis):
    given = {}

    def factory(num_nodes, heads, lag, width=3, heat=1.5, **rest):
        given.update(num_nodes=num_nodes, heads=heads, lag=lag, width=width, heat=heat, rest=rest)
        return EXAMPLES[axis].piece

    found = made(axis, factory, lag=2, heat=0.5)
    assert found == (EXAMPLES[axis].piece, {"num_nodes", "heads", "lag", "heat"})
    # The number of nodes and heads are fields, what is not given has its default.
    assert given == {"num_nodes": 4, "heads": 1, "lag": 2, "width": 3, "heat": 0.5, "rest": {}}


@each_function
def test_a_function_may_make_a_function_that_is_the_piece(axis):
    function = EXAMPLES[axis].function
    assert made(axis, lambda: function) == (KINDS[axis].type(function), frozenset())
    assert made(axis, lambda heads: function) == (KINDS[axis].type(function), {"heads"})


@each_kind
def test_a_built_in_piece_is_made_as_any_other(axis):
    name = {"metrics": "accuracy"}.get(axis) or tiny_study().value(axis)
    table, config = KINDS[axis].table, tiny_study()
    of_name = source_of(axis, name, Pieces(), path_of(axis))
    assert of_name.found is table[name]
    fields = config.values() | {"has_gaps": False, "texts": {}}
    by_name = make(of_name, fields)
    by_object = make(source_of(axis, table[name], Pieces(), path_of(axis)), fields)
    assert isinstance(by_name.piece, KINDS[axis].type)
    assert by_name.took == by_object.took


@each_kind
def test_a_parameter_without_a_value_is_told_with_the_flag_that_gives_it(axis):
    options = EXAMPLES[axis].options
    said = refusal(axis, lambda num_nodes, lag: None)
    assert said.startswith(
        f"{options}.lag must be given for {path_of(axis)} = one of your own, as in --config.{options}.lag=VALUE: "
    )
    assert said.endswith(f"a function of {', '.join(KINDS[axis].called_with)} is one itself.") == bool(
        KINDS[axis].called_with
    )
    # The flag is one that there is.
    assert dict(tiny_study(fields={f"{options}.lag": 2}).options)["lag"] == f"{options}.lag"


@each_function
def test_a_function_of_other_names_than_those_of_a_piece_is_told_what_they_are(axis):
    said = refusal(axis, lambda outputs: None)
    assert "must be given" in said
    assert f"{', '.join(KINDS[axis].called_with)} is one itself" in said


@each_kind
def test_a_field_that_is_none_must_be_given_to_what_takes_it(axis):
    said = refusal(axis, lambda num_nodes: None, config=tiny_study(fields={"task.num_nodes": None}))
    assert said == f"task.num_nodes is None, but must be given for {path_of(axis)} = one of your own."


@each_kind
@pytest.mark.parametrize("name", ["learning_rate", "seed", "p"])
def test_what_differs_from_run_to_run_cannot_be_given_to_what_makes_a_piece(axis, name):
    factory = eval(f"lambda num_nodes, {name}: None")
    assert refusal(axis, factory) == (
        f"{path_of(axis)} is one of your own, which has the parameter {name}, but must take it from values[{name!r}], "
        "as it differs from run to run."
    )


def test_an_option_that_is_a_value_of_the_task_cannot_be_given_to_what_makes_a_piece():
    config = tiny_study(fields={"task.name": "chain", "task.options.family": "cycle"})
    with pytest.raises(rw_jax.ConfigError, match="which has the parameter family, but must take it from") as refused:
        make_experiment(config, Pieces(objects={"loss": lambda family: distance}))
    assert_sentence(str(refused.value))


@each_kind
def test_what_makes_something_else_is_refused(axis):
    said = refusal(axis, lambda: 3)
    assert said == f"{path_of(axis)} is one of your own, which makes int, but must make {KINDS[axis]}."


@each_kind
def test_what_is_no_piece_and_no_function_is_refused(axis):
    said = refusal(axis, 3)
    assert said == (
        f"{path_of(axis)} is one of your own, which is 3, but must be {KINDS[axis]}, or a function that makes one."
    )


@each_kind
def test_what_fails_in_making_a_piece_is_told_and_what_it_refuses_itself_is_said_as_it_is(axis):
    def failing(num_nodes):
        raise KeyError(num_nodes)

    def refusing(num_nodes):
        raise rw_jax.ConfigError(f"{num_nodes} is too few.")

    assert refusal(axis, failing) == "one of your own does not work (KeyError: 4)."
    assert refusal(axis, refusing) == "4 is too few."


@pytest.mark.parametrize(
    ("axis", "name", "meant"),
    [
        ("task", "circel", "circle"),
        ("form", "reducd", "reduced"),
        ("loss", "cross-entropy", "cross_entropy"),
        ("optimizer", "adams", "adam"),
        ("metrics", "acuracy", "accuracy"),
    ],
)
def test_a_name_that_is_in_no_table_is_refused_with_those_that_are_and_the_nearest(axis, name, meant):
    said = refusal(axis, name)
    assert said == (
        f"{path_of(axis)} is {name!r}, but must be one of {', '.join(KINDS[axis].table)}, or 'file.py:attribute' or "
        f"'module:attribute'. Did you mean {meant}?"
    )


@pytest.mark.parametrize(
    ("objects", "fields", "words"),
    [
        (
            {"form": lambda num_nodes: MODEL},
            {"model.heads": 2},
            "model.heads is 2, but must be 1 for model.form = one of your own, which does not take it.",
        ),
        (
            {},
            {"model.layers": 2},
            "model.layers is 2, but must be 1 for model.form = 'reduced', which does not take it.",
        ),
        (
            {"form": MODEL},
            {"model.unit_length": "keys"},
            "model.unit_length is 'keys', but must be 'none' for model.form = one of your own, which does not take it.",
        ),
    ],
)
def test_a_field_that_no_piece_takes_must_say_nothing(objects, fields, words):
    with pytest.raises(rw_jax.ConfigError) as refused:
        make_experiment(tiny_study(fields=fields), Pieces(objects=objects))
    assert_sentence(str(refused.value))
    assert str(refused.value) == words


def test_a_field_that_any_piece_takes_may_say_something():
    with pytest.raises(rw_jax.ConfigError, match=r"model\.layers is 2"):
        make_experiment(tiny_study(fields={"model.layers": 2}), Pieces(objects={"loss": distance}))
    experiment = make_experiment(
        tiny_study(fields={"model.layers": 2}), Pieces(objects={"loss": lambda layers: distance})
    )
    assert "layers" in experiment.took


@pytest.mark.parametrize(
    ("metrics", "options", "words"),
    [
        ({"accuracy": entropy}, {}, "record.metrics has two metrics named accuracy, but must have one of a name."),
        ({"p": entropy}, {}, "record.metrics has p, which is a word that a Run uses itself; rename it."),
        ({"step": entropy}, {}, "record.metrics has step, which is a word that a Run uses itself; rename it."),
        (
            {"sharp": entropy},
            {"heat": 2.0},
            "training.options.heat is given, but no piece of the study has a parameter",
        ),
        ({"sharp": entropy}, {"sharp": 2.0}, "training.options.sharp is given, but sharp is a word that a Run uses"),
        (
            {"rows": lambda value_HxK: jnp.sum(value_HxK, axis=1)},
            {},
            "The metric rows gives an array of shape (4,), but must give one with an axis for each of its dims ().",
        ),
    ],
)
def test_metrics_have_names_and_axes_of_their_own(metrics, options, words):
    config = tiny_study(fields={f"training.options.{name}": value for name, value in options.items()})
    with pytest.raises(rw_jax.ConfigError) as refused:
        make_grid(config, Pieces(metrics=metrics))
    assert_sentence(str(refused.value))
    assert str(refused.value).startswith(words)


def test_an_option_of_a_metric_is_a_parameter_of_what_makes_it():
    def heated(heat):
        return lambda attention_NxB: heat * jnp.mean(attention_NxB)

    found = checked(tiny_study(fields={"training.options.heat": 2.0}), Pieces(metrics={"warm": heated}))
    assert found.shape.record.metrics["warm"].shape == (6,)
    assert "heat" in found.experiment.took


def test_what_nothing_reads_is_known():
    assert checked(tiny_study()).unread == {"init_scale"}
    assert checked(tiny_study(fields={"model.init": "gaussian"})).unread == set()
    assert checked(tiny_study(fields={"training.loss": "squared_error"})).unread == {"init_scale", "epsilon"}
    assert checked(tiny_study(), Pieces(objects={"loss": distance})).unread == {"init_scale", "epsilon"}
    without_p = {"task.name": "chain", "task.options.family": "complete"}
    assert checked(tiny_study(fields=without_p)).unread == {"init_scale", "p"}


READERS = {
    "an entry": lambda values: values["epsilon"],
    "get": lambda values: values.get("epsilon", 123.0),
    "a copy": lambda values: dict(values).get("epsilon", 123.0),
    "unpacked": lambda values: {"epsilon": 123.0, **values}["epsilon"],
    "merged": lambda values: (values | {"other": 1.0}).get("epsilon", 123.0),
    "merged from the right": lambda values: ({"epsilon": 123.0} | values)["epsilon"],
    "items": lambda values: next((value for name, value in values.items() if name == "epsilon"), 123.0),
    "in": lambda values: {True: values.get, False: lambda name: 123.0}["epsilon" in values]("epsilon"),
    "a loop": lambda values: 123.0 if not [name for name in values if name == "epsilon"] else values["epsilon"],
    "compiled": jax.jit(lambda values: values["epsilon"]),
    "mapped": lambda values: jax.tree.map(lambda leaf: 1 * leaf, values)["epsilon"],
}


@pytest.mark.parametrize("how", READERS)
def test_however_a_piece_asks_for_a_value_it_is_handed_it(how):
    def loss(output_K, target_K, values):
        return -jnp.log(jnp.sum(output_K * target_K) + READERS[how](values))

    found = checked(tiny_study(fields={"training.epsilon": 0.3}), Pieces(objects={"loss": loss}))
    assert "epsilon" not in found.unread
    experiment = found.experiment
    handed = experiment.given(run_values(experiment.labels, experiment), "loss")  # as training hands it
    at_start = experiment.loss.of_walk(jnp.zeros(4), jnp.eye(4)[0], handed)
    np.testing.assert_allclose(at_start, -np.log(0.3), rtol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        lambda target_K, output_K, values: -jnp.log(jnp.sum(output_K * target_K**3) + values["epsilon"]),
        lambda values, *, target_K, output_K: -jnp.log(jnp.sum(output_K * target_K**3) + values["epsilon"]),
        functools.partial(lambda output_K, target_K, values: -jnp.log(jnp.sum(output_K) + values["epsilon"])),
        lambda output_K, values: -jnp.log(output_K[0] + values["epsilon"]),
    ],
)
def test_a_loss_is_given_its_operands_by_their_names(loss):
    itself = source_of("loss", loss, Pieces()).itself.of_walk
    given = {"output_K": jnp.array([0.5, 0.2]), "target_K": jnp.array([2.0, 0.0]), "values": {"epsilon": 0.1}}
    expected = loss(**{name: given[name] for name in inspect.signature(loss).parameters})
    assert itself(*given.values()) == expected


def test_a_loss_of_output_and_target_alone_trains():
    def loss(target_K, output_K):
        return jnp.sum((output_K - target_K) ** 2) / 2

    config = tiny_study()
    mine, named = rw_jax.train(config, loss=loss), rw_jax.train(config, loss="squared_error")
    np.testing.assert_allclose(mine.metrics["train_loss"], named.metrics["train_loss"], rtol=1e-6)


def test_a_function_with_more_parameters_than_a_loss_is_told_to_be_made():
    said = refusal("loss", lambda output_K, target_K, scale=2.0: None)
    assert said == (
        "training.loss is one of your own, a function of output_K, target_K, scale, but must be a Loss, or a function "
        "of output_K, target_K, values; scale can be given to a function that makes one."
    )


def test_a_size_that_is_none_has_the_default_of_what_makes_the_task():
    def own(num_nodes=5, walk_length=7):
        return circle(num_nodes, walk_length)

    config = tiny_study(fields={"task.num_nodes": None, "task.walk_length": None})
    of_default = make_grid(config, Pieces(objects={"task": own})).grid.config.task
    assert (of_default.num_nodes, of_default.walk_length) == (5, 7)


def test_an_optional_operand_of_a_metric_has_its_default_where_it_is_absent():
    def distance_from(value_HxK, transition_KxK=1.0, head_values=7.0):
        return jnp.sum(jnp.abs(value_HxK - transition_KxK)) + head_values

    measured = {"value_HxK": jnp.zeros((4, 4)), "transition_KxK": None}
    assert Metric(distance_from).of(measured) == 16 + 7


def test_a_metric_may_take_what_the_objective_measures_if_it_is_there():
    def twice(value_HxK, train_loss=None):
        return jnp.full((), -1.0) if train_loss is None else 2 * train_loss

    run = rw_jax.train(tiny_study(), metrics=[twice])
    np.testing.assert_array_equal(run.metrics["twice"], 2 * run.metrics["train_loss"])
    assert run.evaluate()["twice"] == -1


@pytest.mark.parametrize("dims", [("p",), ("step",), ("accuracy",), ("arm",), ("lag", "lag"), "l", ("a b",), (1,)])
def test_axes_of_a_metric_have_names_that_can_stand_beside_those_of_a_grid(dims):
    metric = Metric(lambda mean_attention_N: mean_attention_N, dims=dims)
    with pytest.raises(rw_jax.ConfigError) as refused:
        make_grid(tiny_study(), Pieces(metrics={"mine": metric}))
    assert_sentence(str(refused.value))
    assert str(refused.value).startswith("The metric mine ")


def test_what_a_metric_reads_of_the_values_is_read():
    def rate(values):
        return values["p"]

    without_p = {"task.name": "chain", "task.options.family": "complete"}
    assert "p" not in checked(tiny_study(fields=without_p), Pieces(metrics={"rate": rate})).unread


@pytest.mark.parametrize("path", ["task.options.arm", "training.options.arm"])
def test_the_axis_of_arms_is_no_name_of_an_option(path):
    with pytest.raises(rw_jax.ConfigError, match=r"options has 'arm', but must have names of parameters"):
        tiny_study(fields={path: 1})


@pytest.mark.parametrize(
    ("fields", "axes", "words"),
    [
        ({"model.init_place": "value"}, {}, "model.init_place is 'value', but must be 'both' for a start that is not"),
        (
            {"task.name": "chain", "task.options.family": "complete", "training.mixed_share": 0.1},
            {},
            "training.mixed_share is above 0, but must be 0.0 for a task that has no p.",
        ),
        ({}, {"mixed_p": (0.5, 0.6)}, "training.mixed_p has several labels, but must have one where"),
        (
            {},
            {"mixed_p": (0.5, 0.6), "mixed_share": (0.0, 0.1)},
            "training.mixed_p has several labels, but must have one where",
        ),
        ({}, {"arm": {"a": {}, "b": {"mixed_p": 0.6}}}, "training.mixed_p has several labels, but must have one where"),
    ],
)
def test_runs_that_would_be_the_same_are_not_trained_twice(fields, axes, words):
    with pytest.raises(rw_jax.ConfigError) as refused:
        make_grid(tiny_study(fields=fields, **axes))
    assert_sentence(str(refused.value))
    assert str(refused.value).startswith(words)


def test_a_share_with_another_p_may_be_one_arm_beside_one_without():
    arms = {"without": {}, "with": {"mixed_share": 0.1, "mixed_p": 0.9}, "more": {"mixed_share": 0.1, "mixed_p": 0.6}}
    assert make_grid(tiny_study(arm=arms)).grid.num_cells == 3


@pytest.mark.parametrize(
    ("axes", "zipped", "sizes"),
    [
        ({"arm": {"a": {"task": "x"}, "b": {"task": "y"}}}, (), [5, 6]),
        ({"arm": {"a": {"task": "x", "num_nodes": 5}, "b": {"task": "y"}}}, (), [5, 6]),
        ({"arm": {"a": {"num_nodes": 5}, "b": {"task": "y", "num_nodes": None}}}, (), [5, 6]),
        ({"task": ("x", "y"), "p": (0.5, 0.7)}, (("task", "p"),), [5, 6]),
    ],
)
def test_sizes_that_are_filled_in_make_a_config_that_can_be_read_again(axes, zipped, sizes, monkeypatch):
    monkeypatch.setitem(TASKS, "x", lambda: circle(5, 6))
    monkeypatch.setitem(TASKS, "y", lambda: circle(6, 6))
    fields = {"task.name": "x", "task.num_nodes": None, "task.walk_length": None}
    config = make_grid(tiny_study(fields=fields, zipped=zipped, **axes)).grid.config
    assert reading.checked(config) == config
    assert [cell.config.task.num_nodes for cell in Grid(config).cells()] == sizes
    assert all(cell.config.task.walk_length == 6 for cell in Grid(config).cells())
    assert make_grid(config).grid.config == config


def test_tasks_of_paired_axes_and_arms_are_made_of_their_own_sizes(monkeypatch):
    monkeypatch.setitem(TASKS, "x", lambda: circle(5, 6))
    fields = {"training.options.heat": 2.0, "training.loss": "x"}
    monkeypatch.setitem(LOSSES, "x", lambda heat: distance)
    paired = tiny_study(fields=fields, zipped=(("task", "num_nodes"),), task=("circle", "x"), num_nodes=(4, 5))
    assert make_grid(paired).grid.num_cells == 2
    arms = tiny_study(fields=fields, arm={"a": {}, "b": {"task": "x", "num_nodes": 5}})
    assert make_grid(arms).grid.num_cells == 2


def test_an_option_may_be_one_of_the_task_of_an_arm_alone():
    fields = {"task.options.family": "lazy_cycle", "task.options.laziness": 0.2}
    grid = make_grid(tiny_study(fields=fields, arm={"circle": {}, "chain": {"task": "chain"}})).grid
    assert [cell.config.task.name for cell in grid.cells()] == ["circle", "chain"]
    with pytest.raises(rw_jax.ConfigError, match=r"task\.options\.family is given, but no piece of the study has"):
        make_grid(tiny_study(fields=fields))


def test_a_task_of_ones_own_may_have_missing_tokens():
    whole = circle(4, 6)

    def sample(key, num_walks, values):
        walks = whole.sample(key, num_walks, values)
        return walks._replace(tokens_LxB=walks.tokens_LxB.at[:-1].set(4))

    last_alone = whole._replace(sample=sample, population=None, has_gaps=True)
    run = rw_jax.train(tiny_study(), task=last_alone)
    assert (run.walks("test")[0][:, :-1] == 4).all()
    assert run.mean_attention()[:-2].tolist() == [0] * 4
    with pytest.raises(rw_jax.ConfigError, match="must be one that takes walks with missing tokens") as refused:
        rw_jax.train(tiny_study(), task=last_alone, model=MODEL)
    assert_sentence(str(refused.value))


def test_a_metric_that_fails_is_named():
    with pytest.raises(rw_jax.ConfigError) as refused:
        make_grid(tiny_study(), Pieces(metrics={"mine": lambda output_KxB: output_KxB @ output_KxB}))
    assert_sentence(str(refused.value))
    assert str(refused.value).startswith("The metric mine does not work (TypeError: dot_general requires")


PACKAGE = Path(rw_jax.__file__).parent
NAMES_OF_PIECES = {name for axis, kind in KINDS.items() if axis != "metrics" for name in kind.table}
"""The names of tasks, forms, losses and optimizers. Metrics are variables of a run, which are asked for by name."""


def compared(tree: ast.Module) -> set[str]:
    """The words that code compares something with, by ==, in and the like, or matches."""
    of_comparisons = [[each.left, *each.comparators] for each in ast.walk(tree) if isinstance(each, ast.Compare)]
    of_cases = [[each.value] for each in ast.walk(tree) if isinstance(each, ast.MatchValue)]
    compared_with = functools.reduce(operator.iadd, [*of_comparisons, *of_cases], [])
    parts = [
        part
        for each in compared_with
        for part in (each.elts if isinstance(each, ast.Tuple | ast.List | ast.Set) else [each])
    ]
    return {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def test_no_code_tells_a_piece_by_its_name():
    assert compared(ast.parse("if model.form in ('reduced', 'x') or 'log' != loss: pass")) == {"reduced", "x", "log"}
    found = {
        str(path.relative_to(PACKAGE)): words
        for path in PACKAGE.rglob("*.py")
        if (words := compared(ast.parse(path.read_text())) & NAMES_OF_PIECES)
    }
    assert found == {}


def drawing(shift=0, target_shift=0, weight=1.0, total=1.0, start=None):
    """A task whose walks go clockwise, with something wrong in what it draws."""

    def task(num_nodes, walk_length):
        def sample(key, num_walks, values):
            first_B = jax.random.randint(key, (num_walks,), 0, num_nodes)
            states_NxB = (first_B + jnp.arange(walk_length)[:, None]) % num_nodes
            weights_B = jnp.full(num_walks, weight)
            return Walks((states_NxB[:-1] + shift).astype(jnp.int8), states_NxB[-1] + target_shift, weights_B)

        def next_state_law(tokens_LxB, values):
            return total * jax.nn.one_hot((tokens_LxB[-1] + 1) % num_nodes, num_nodes, axis=0)

        def law(values):
            return Law(jnp.full(num_nodes, start), jnp.roll(jnp.eye(num_nodes), 1, axis=1))

        return Task(num_nodes, walk_length, sample, next_state_law, law=None if start is None else law)

    return task


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"shift": 1}, "task.sample gives tokens_LxB from 1 to 4, but must give states from 0 to 3."),
        ({"shift": -1}, "task.sample gives tokens_LxB from -1 to 2, but must give states from 0 to 3."),
        ({"target_shift": 1}, "task.sample gives targets_B from 1 to 4, but must give states from 0 to 3."),
        ({"target_shift": 0.5}, "task.sample gives targets_B of float32, but must give integers."),
        ({"weight": -1.0}, "task.sample gives weights_B from -1 to -1, but must give weights that are finite"),
        ({"weight": 0.0}, "task.sample gives weights_B from 0 to 0, but must give weights that are finite"),
        ({"weight": np.nan}, "task.sample gives weights_B from nan to nan, but must give weights that are finite"),
        ({"start": 0.5}, "task.law gives start_K [0.5, 0.5, 0.5, 0.5], but must give probabilities that sum to 1."),
        ({"total": 2.0}, "task.next_state_law gives [0.0, "),
    ],
)
def test_what_a_task_of_ones_own_draws_is_looked_at(wrong, told):
    with pytest.raises(rw_jax.ConfigError) as refused:
        rw_jax.train(tiny_study(), task=drawing(**wrong))
    assert str(refused.value).startswith(told)
    assert_sentence(str(refused.value))


def test_states_may_be_of_any_type_of_integers():
    run = rw_jax.train(tiny_study(), task=drawing())
    assert run.walks("test")[0].dtype == np.int32
    assert run.metrics["optimal_accuracy"][-1] == 1


@pytest.mark.parametrize("number", [2**31, 2**32 + 1, -(2**31) - 1])
def test_an_integer_that_programs_do_not_hold_is_refused(number):
    def task(num_nodes, walk_length):
        drawn = drawing()(num_nodes, walk_length)
        return drawn._replace(value_options=("size",), host_values=lambda labels: {"size": np.array(labels["size"])})

    with pytest.raises(
        rw_jax.ConfigError, match=f"size is {number}, but must be at most 2147483647 in size"
    ) as refused:
        rw_jax.train(tiny_study(fields={"task.options.size": number}), task=task)
    assert_sentence(str(refused.value))


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({0: np.zeros(1)}, "model.init gives params[0], but must give arrays by names, which are words, alone."),
        ({"a": [np.zeros(1)]}, "model.init gives params['a'][0], but must"),
        ({"a.b": np.zeros(1)}, "model.init gives params['a.b'], but must"),
    ],
)
def test_parameters_that_could_not_be_read_again_are_refused(params, told):
    def model(num_nodes):
        return Model(lambda key, values: params, lambda params, tokens_LxB: Output(jnp.zeros((num_nodes, 1))))

    with pytest.raises(rw_jax.ConfigError) as refused:
        rw_jax.train(tiny_study(), model=model)
    assert str(refused.value).startswith(told)
    assert_sentence(str(refused.value))
