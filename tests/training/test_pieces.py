"""The one rule for pieces, for each of the five kinds: what is a piece itself, what makes one, and what is refused."""

import ast
import functools
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
import pytest

import rw_jax
from rw_jax.models import Model, Output
from rw_jax.study.config import AXES
from rw_jax.tasks import Task
from rw_jax.training.experiment import make_experiment
from rw_jax.training.grids import make_grid
from rw_jax.training.losses import Loss
from rw_jax.training.metrics import Metric
from rw_jax.training.optimizers import Optimizer
from rw_jax.training.pieces import KINDS, Made, Pieces, make, source_of
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
    return make(source_of(axis, found, Pieces(), path_of(axis)), config.values(), config)


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
    by_name = make(of_name, fields, config)
    by_object = make(source_of(axis, table[name], Pieces(), path_of(axis)), fields, config)
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
        ("loss", "crossentropy", "cross_entropy"),
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


PACKAGE = Path(rw_jax.__file__).parent
TABLES = {name for axis, kind in KINDS.items() if axis != "metrics" for name in kind.table}
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
        if (words := compared(ast.parse(path.read_text())) & TABLES)
    }
    assert found == {}
