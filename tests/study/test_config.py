"""The frozen config: in from a ConfigDict, out to JSON and back, and everything that is refused on the way."""

import dataclasses
import json

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import config_dict

from rw_jax import base_config
from rw_jax.store import layout
from rw_jax.study.config import (
    ARM,
    AXES,
    DECLARATIONS,
    SAME_PROGRAM,
    VALUE_AXES,
    axis_groups,
    group_labels,
)
from rw_jax.study.errors import ConfigError, RunError
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Grid, kept_steps, recorded_steps
from rw_jax.study.labels import same_label
from rw_jax.study.reading import checked, describe_field, differences, parse
from tests.tiny import assert_sentence, tiny_study


def leaves(tree: dict, prefix: str = "") -> list[str]:
    """The paths of all fields of nested dicts; the parameters of a piece, of which there are none, are one field."""
    return [
        path
        for name, value in tree.items()
        for path in (leaves(value, f"{prefix}{name}.") if isinstance(value, dict) and value else [prefix + name])
    ]


def get(config: object, path: str) -> object:
    for name in path.split("."):
        config = getattr(config, name)
    return config


def tiny_mapping(**changes: object) -> dict:
    """The fields of a right config as JSON gives them, some of them changed."""
    return json.loads(json.dumps(tiny_study(p=(0.5, 0.7)).as_mapping())) | changes


FIELDS = leaves(base_config().to_dict())

NAMES = {
    "task.name": ("circle", "chain", "hidden_direction", "persistent", "lagged", "majority", "preference"),
    "model.form": ("reduced", "full", "decoder"),
    "model.unit_length": ("none", "keys", "both"),
    "model.init": ("zero", "gaussian"),
    "training.loss": ("log", "cross_entropy", "squared_error", "hinge"),
    "training.optimizer": ("gd",),
    "precision": ("float32", "float64"),
}
"""The names that each field can take, whatever else it can be."""

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-1, 4),
    st.floats(),
    st.floats(0, 1),
    st.text(max_size=8),
    st.sampled_from([name for names in NAMES.values() for name in names]),
    st.sampled_from(["range(3)", "p", "seed", "full,reduced", "mine.py:task", "mine.py:task@0123456789ab"]),
    st.sampled_from([np.int64(3), np.float32(0.25), np.float64(0.5), np.array([1, 2]), b"x", 1j, 10**400, object]),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.lists(SCALARS, max_size=3).map(tuple),
    st.lists(st.lists(st.sampled_from(["p", "seed", "steps", 3]), max_size=2).map(tuple), max_size=2).map(tuple),
    st.dictionaries(st.sampled_from(["p", "seed", "name", "y"]), SCALARS, max_size=2),
)
OTHERS = ["y", "task.y", "grid.y", "task", "grid", "task.options.y", "model.options.y", "model.options.size"]


@given(st.dictionaries(st.sampled_from([*FIELDS, *OTHERS]), VALUES, min_size=1, max_size=4))
@settings(max_examples=400, deadline=None)
def test_any_change_of_a_config_is_refused_in_one_sentence_or_survives_json(changes):
    fields = base_config().to_dict()
    for path, value in changes.items():
        *groups, leaf = path.split(".")
        group = fields
        for name in groups:
            group = group.get(name) if isinstance(group, dict) else None
        if isinstance(group, dict):
            group[leaf] = value
    try:
        config = from_config_dict(ml_collections.ConfigDict(fields, convert_dict=False))
    except ConfigError as error:
        assert_sentence(str(error))
        return
    back = parse(json.loads(json.dumps(config.as_mapping())))
    assert back == config == checked(config)
    assert hash(back) == hash(config)
    assert differences(back, config) == {}
    grid, of_back = Grid(config), Grid(back)
    assert (of_back.dimensions, of_back.shape) == (grid.dimensions, grid.shape)
    if grid.num_cells < 100:
        assert [cell.config for cell in of_back.cells()] == [cell.config for cell in grid.cells()]


@given(st.text() | st.recursive(SCALARS.filter(lambda v: isinstance(v, str | int | float | None)), st.lists).map(str))
@settings(max_examples=100, deadline=None)
def test_any_text_in_the_place_of_a_config_is_refused_in_one_sentence(tmp_path_factory, text):
    run_dir = layout.RunDir(tmp_path_factory.getbasetemp())
    run_dir.config_file.write_text(text)
    with pytest.raises(RunError) as refused:
        layout.stored_config(run_dir)
    assert_sentence(str(refused.value))


@pytest.mark.parametrize("grid", [5, "p", [1], [["p"]], [["p", 0.5]], {"p": 3}, [[["p"], [0.5]]]])
def test_a_grid_in_json_that_is_none_is_refused_in_one_sentence(grid):
    with pytest.raises(ConfigError) as refused:
        parse(json.loads(json.dumps(tiny_mapping(grid=grid))))
    assert_sentence(str(refused.value))


def test_a_config_survives_json_with_its_types():
    config = tiny_study(p=(0, 0.1, 1), seed=(3, 1), form=("full", "reduced"), fields={"figures.p": ()})
    back = parse(json.loads(json.dumps(config.as_mapping())))
    assert back == config
    assert isinstance(dict(back.grid)["p"][0], float)
    assert isinstance(back.record.parameters, tuple)
    assert [axis for axis, _ in back.grid] == [axis for axis, _ in config.grid]


def test_every_field_of_the_base_config_arrives_in_the_frozen_one():
    config, fields = from_config_dict(base_config()), base_config()
    for path in FIELDS:
        if path.endswith(".options"):
            assert get(config, path) == ()
        elif not path.startswith("grid."):
            assert get(config, path) == get(fields, path)
    assert config.grid == ()


def test_every_axis_of_the_base_config_is_a_field_that_can_be_one():
    assert {path.removeprefix("grid.") for path in FIELDS if path.startswith("grid.")} == {ARM, *AXES}


def test_numbers_of_numpy_and_whole_numbers_become_those_of_python():
    fields = base_config()
    fields.grid.p = (np.float64(0.5), 1, np.float32(0.25))
    fields.grid.seed = tuple(np.arange(2))
    fields.task.options.size = np.int64(3)
    config = from_config_dict(fields)
    labels = dict(config.grid)
    assert labels == {"p": (0.5, 1.0, 0.25), "seed": (0, 1)}
    assert {type(label) for label in labels["p"]} == {float}
    assert {type(label) for label in labels["seed"]} == {int}
    assert {type(value) for _, value in config.task.options} == {int}


def test_a_required_field_that_was_never_set_is_refused_in_one_sentence():
    fields = ml_collections.ConfigDict(base_config().to_dict())
    fields.task.p = config_dict.required_placeholder(float)
    with pytest.raises(ConfigError, match="no value yet") as refused:
        from_config_dict(fields)
    assert_sentence(str(refused.value))


def test_replace_changes_the_field_that_the_axis_names_and_no_other():
    config = from_config_dict(base_config())
    for axis, path in AXES.items():
        value = config.value(axis)
        other = "changed" if isinstance(value, str) else value + 1
        changed = config.replace(**{axis: other})
        assert get(changed, path) == other
        assert changed.value(axis) == other
        assert differences(changed, config) == {path: (other, value)}


def test_replace_changes_several_fields_of_one_group_and_of_others_at_once():
    config = tiny_study(fields={"task.options": {"size": 3, "kind": "ring"}})
    changed = config.replace(p=0.25, num_nodes=7, steps=9, seed=4, size=5)
    assert differences(config, changed) == {
        "task.p": (0.7, 0.25),
        "task.num_nodes": (4, 7),
        "training.steps": (5, 9),
        "seed": (0, 4),
        "task.options.size": (3, 5),
    }
    assert (changed.value("size"), changed.value("kind")) == (5, "ring")


def test_every_value_axis_is_an_axis_and_every_other_axis_is_structure():
    assert set(VALUE_AXES) < set(AXES)
    base = from_config_dict(base_config())
    assert {type(base.value(axis)) for axis in VALUE_AXES if axis != "stages"} == {int, float}
    faults = {"label_noise", "dropped_tokens", "mixed_share", "mixed_p"}
    assert set(VALUE_AXES) == {"p", "seed", "learning_rate", "epsilon", "init_scale", "stages", *faults}
    assert set(SAME_PROGRAM) == {"stages", *faults - {"mixed_p"}}


def test_differences_name_each_field_and_axis_with_both_values():
    one = tiny_study(p=(0.5, 0.7), seed=(0, 1))
    other = tiny_study(p=(0.5, 0.9), seed=(0, 1), fields={"training.steps": 6})
    assert differences(one, one) == {}
    assert differences(one, other) == {"training.steps": (5, 6), "grid.p": ((0.5, 0.7), (0.5, 0.9))}
    assert differences(one, tiny_study(p=(0.5, 0.7))) == {
        "grid.axes": (["p", "seed"], ["p"]),
        "grid.seed": ((0, 1), None),
    }


def test_the_order_of_axes_is_a_difference_because_it_is_that_of_the_dimensions():
    one = tiny_study(p=(0.5, 0.7), seed=(0, 1))
    other = dataclasses.replace(one, grid=one.grid[::-1])
    assert one != other
    assert differences(one, other) == {"grid.axes": (["p", "seed"], ["seed", "p"])}


def test_the_middle_of_a_long_value_is_left_out_of_a_message():
    with pytest.raises(ConfigError) as refused:
        tiny_study(fields={"name": "x" * 5000 + "!"})
    assert_sentence(str(refused.value))
    assert " ... " in str(refused.value)


def test_every_field_is_described_and_nothing_else():
    for path in FIELDS:
        assert describe_field(path).startswith(("a ", "an ", "one of ", "the ", "stages", "conditions", "'all'"))
    for path in ("", "y", "task", "task.y", "grid", "grid.y", "task.p.y", "zipped.y", "grid.p.y"):
        with pytest.raises(ConfigError) as refused:
            describe_field(path)
        assert_sentence(str(refused.value))


def test_every_declared_field_is_refused_in_the_words_that_describe_it():
    assert set(DECLARATIONS) == {
        path for path in FIELDS if not path.startswith("grid.") and not path.endswith(".options") and path != "zipped"
    }
    for path, declared in DECLARATIONS.items():
        assert declared.what
        assert describe_field(path) == declared.right.words
        fields = base_config().to_dict()
        *groups, leaf = path.split(".")
        group = fields[groups[0]] if groups else fields
        group[leaf] = object()
        with pytest.raises(ConfigError) as refused:
            parse(fields)
        assert_sentence(str(refused.value))
        assert str(refused.value).startswith(f"{path} is ")
        assert str(refused.value).endswith(f"but must be {describe_field(path)}.")
    for axis, path in AXES.items():
        assert describe_field(f"grid.{axis}") == f"a tuple of labels, each {describe_field(path)}"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        *(
            (path, f"one of {', '.join(names)}")
            for path, names in NAMES.items()
            if not DECLARATIONS[path].right.is_piece
        ),
        ("task.name", "the name of a piece, or 'file.py:attribute'"),
        ("task.num_nodes", "an integer from 2 to 2147483647, or None"),
        ("task.p", "a number from 0 to 1"),
        ("task.walks", "an integer from 1 to 2147483647, or 'all'"),
        ("model.position_width", "an integer from 3 to 2147483647"),
        ("training.epsilon", "a number from 1e-30 to 1e+30"),
        ("execution.cells_per_batch", "an integer from 1 to 2147483647, or None"),
        ("record.parameters", "a tuple, each element an integer from 0 to 2147483647, or 'all'"),
        ("name", "a word of letters, digits, '.', '_' and '-'"),
        ("grid.seed", "a tuple of labels, each an integer from 0 to 2147483647"),
        ("zipped", "a tuple of groups of axes"),
        ("task.options", "a number other than NaN, or a word"),
    ],
)
def test_the_description_of_a_field_says_what_is_right_for_it(path, words):
    assert describe_field(path).startswith(words)


@pytest.mark.parametrize(
    ("path", "right", "wrong"),
    [
        ("task.p", [0, 1, 0.5], [-0.1, 1.1, "0.5", True, None, float("nan")]),
        ("task.num_nodes", [2, None, 2**31 - 1], [1, 2**31, 2.0, "4", True]),
        ("task.walks", [1, "all"], [0, "some", 1.5, None]),
        ("task.name", ["majority", "mine.py:task", "a.b:task"], ["a circle", "mine.py:", ":task", 3]),
        ("model.form", ["full", "mine.py:model"], ["", "mine.py:a b"]),
        ("model.init", ["zero"], ["one", "mine.py:init"]),
        ("training.epsilon", [1e-30, 1, 1e30], [0, 1e31, -1]),
        ("training.steps", [0, 5], [-1, 0.5]),
        ("name", ["a-b_c.d"], ["", "..", "a/b", "a b"]),
        ("execution.cells_per_batch", [None, 1], [0, "1"]),
        ("record.parameters", [(), [3, 1], "all"], [-3, (-1,), (0.5,), "some", {}]),
        ("figures.p", [(), (0, 1)], ["all", (2,)]),
        ("precision", ["float64"], ["float16", 64]),
    ],
)
def test_what_is_right_for_a_field_is_taken_and_what_is_not_is_refused(path, right, wrong):
    for value in right:
        stored = get(tiny_study(fields={path: value}), path)
        assert stored == (tuple(value) if isinstance(value, list) else value)
    for value in wrong:
        fields = tiny_mapping()
        *groups, leaf = path.split(".")
        (fields[groups[0]] if groups else fields)[leaf] = value
        with pytest.raises(ConfigError, match=path) as refused:
            parse(fields)
        assert_sentence(str(refused.value))


def test_a_misspelt_field_is_answered_by_the_one_that_was_meant():
    for path, group, misspelt, meant in [
        ("task.num_node", "task", "num_node", "num_nodes"),
        ("training.learing_rate", "training", "learing_rate", "learning_rate"),
        ("grid.learing_rate", "grid", "learing_rate", "learning_rate"),
        ("precison", None, "precison", "precision"),
    ]:
        fields = tiny_mapping()
        (fields if group is None else fields[group])[misspelt] = (1,)
        for refuse in (lambda path=path: describe_field(path), lambda fields=fields: parse(fields)):
            with pytest.raises(ConfigError) as refused:
                refuse()
            message = str(refused.value)
            assert message.startswith(f"{path} is not a field")
            assert message.endswith(f" Did you mean {meant}?")
    with pytest.raises(ConfigError) as refused:
        describe_field("task.zzz")
    assert "Did you mean" not in str(refused.value)


def test_parameters_of_a_piece_are_axes_and_have_names_of_their_own():
    study = tiny_study(fields={"task.options": {"size": 3}})
    fields = study.as_mapping()
    study = parse(fields | {"grid": {"size": (3, 4)}})
    assert study.options == {"size": "task.options.size"}
    assert group_labels(study, ("size",)) == ((3,), (4,))
    for name in ("p", "not a name", 3):
        with pytest.raises(ConfigError, match=r"task\.options has") as refused:
            parse(fields | {"task": fields["task"] | {"options": {name: 1}}})
        assert_sentence(str(refused.value))
    for value in (None, {"a": 1}, [object()]):
        with pytest.raises(
            ConfigError, match=r"^task\.options\.size is .* but must be a number other than NaN, or a word"
        ) as refused:
            parse(fields | {"task": fields["task"] | {"options": {"size": value}}})
        assert_sentence(str(refused.value))
    with pytest.raises(ConfigError, match="size is in the options of 2 groups") as refused:
        parse(fields | {"model": fields["model"] | {"options": {"size": 1}}})
    assert_sentence(str(refused.value))


def test_zipped_axes_form_one_group_at_the_place_of_the_first():
    study = tiny_study(
        num_nodes=(4, 5), p=(0.5, 0.7, 0.9), walk_length=(6, 7), seed=(1, 0), zipped=(("walk_length", "num_nodes"),)
    )
    groups = axis_groups(study)
    assert set(groups) == {("walk_length", "num_nodes"), ("p",), ("seed",)}
    assert group_labels(study, ("walk_length", "num_nodes")) == ((6, 4), (7, 5))
    assert group_labels(study, ("seed",)) == ((1,), (0,))


def test_zipped_labels_may_repeat_on_one_axis_as_long_as_no_combination_does():
    study = tiny_study(num_nodes=(4, 4, 5), walk_length=(6, 7, 7), zipped=(("num_nodes", "walk_length"),))
    assert group_labels(study, ("num_nodes", "walk_length")) == ((4, 6), (4, 7), (5, 7))
    with pytest.raises(ConfigError, match=r"\(4, 6\) more than once"):
        tiny_study(num_nodes=(4, 4), walk_length=(6, 6), zipped=(("num_nodes", "walk_length"),))


def test_an_axis_of_walks_holds_numbers_or_all():
    assert dict(tiny_study(walks=("all",)).grid)["walks"] == ("all",)
    for labels in (("all", 16), ("some",), (0,), (1.5,)):
        with pytest.raises(ConfigError, match=r"^grid\.walks ") as refused:
            tiny_study(walks=labels)
        assert_sentence(str(refused.value))


@pytest.mark.parametrize(
    ("axis", "given", "expected"),
    [
        ("p", "0.1, 1/3", [0.1, 1 / 3]),
        ("p", "linspace(0, 1, 11)", np.linspace(0, 1, 11)),
        ("p", np.linspace(0, 1, 11), np.linspace(0, 1, 11)),
        ("p", "linspace(0.2, 0.4, 1)", np.linspace(0.2, 0.4, 1)),
        ("p", np.linspace(0, 1, 11, dtype=np.float32), [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
        ("p", jnp.linspace(0, 1, 11), [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
        ("p", (np.float32(0.1), jnp.float32(0.7), np.float16(0.3)), [0.1, 0.7, 0.3]),
        ("p", jnp.float32(0.1), [0.1]),
        ("seed", jnp.arange(3), [0, 1, 2]),
        ("p", [0.3, "linspace(0.5, 0.6, 2)"], [0.3, 0.5, 0.6]),
        ("p", 0.5, [0.5]),
        ("learning_rate", "logspace(-3, 1, 7)", np.logspace(-3, 1, 7)),
        ("learning_rate", "geomspace(0.003, 1, 6)", np.geomspace(0.003, 1, 6)),
        ("learning_rate", "geomspace(2,5,1)", np.geomspace(2, 5, 1)),
        ("learning_rate", "range(0.1, 0.9, 0.1)", np.arange(0.1, 0.9, 0.1)),
        ("seed", "range(3, 20, 4), 1000", [*range(3, 20, 4), 1000]),
        ("seed", "range(9, 0, -3)", range(9, 0, -3)),
        ("seed", "linspace(6, 12, 3)", [6, 9, 12]),
        ("seed", "geomspace(3, 48, 5)", [3, 6, 12, 24, 48]),
        ("p", "linspace(1/3, 2/3, 3)", [1 / 3, 0.5, 2 / 3]),
        ("seed", range(5), range(5)),
        ("seed", np.arange(3, dtype=np.int32), range(3)),
        ("seed", 1000, [1000]),
    ],
)
def test_labels_are_given_as_people_write_them_with_the_meaning_of_numpy(axis, given, expected):
    config = base_config()
    config.grid[axis] = given
    labels = dict(from_config_dict(config).grid)[axis]
    np.testing.assert_allclose(labels, expected, rtol=1e-14, atol=1e-14)
    assert {type(label) for label in labels} == {int if axis == "seed" else float}


def test_the_absence_of_stages_is_a_label_as_well():
    config = base_config()
    for written in (",3: p=1", ("", "3:p=1")):
        config.grid.stages = written
        assert dict(from_config_dict(config).grid)["stages"] == ("", "3: p=1")


def test_numbers_that_are_computed_are_those_that_people_write():
    config = base_config()
    config.grid.p, config.grid.learning_rate = "linspace(0, 1, 11)", np.linspace(0.1, 0.7, 7)
    grid = dict(from_config_dict(config).grid)
    assert grid["p"] == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    assert grid["learning_rate"] == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@pytest.mark.parametrize(
    "given",
    ["linspace(0, 1)", "linspace(0, 1, 2.5)", "geomspace(0, 1, 3)", "range(0, 1, 0)", "1/0", "range(nan)", "range()",
     "logspace(0, 999, 3)", "linspace(0, 1, 5", "0.1:0.9:0.1"],
)  # fmt: skip
def test_what_makes_no_labels_is_refused_with_how_they_are_written(given):
    config = base_config()
    config.grid.learning_rate = given
    with pytest.raises(ConfigError, match=r"linspace\(0, 1, 11\)") as refused:
        from_config_dict(config)
    assert_sentence(str(refused.value))


def test_all_recorded_steps_may_keep_their_parameters():
    config = tiny_study(fields={"record.parameters": "all", "record.every": 2})
    assert kept_steps(config) == recorded_steps(config) == (0, 2, 4, 5)


def test_none_may_be_written_on_a_command_line():
    right = DECLARATIONS["task.num_nodes"].right
    assert right.read("None") is None
    assert right.read(None) is None


@pytest.mark.parametrize("asked", [0.7, np.float32(0.7), jnp.float32(0.7), np.float64(0.7)])
def test_a_label_is_found_by_numbers_of_any_precision(asked):
    assert same_label(0.7, asked)
    assert not same_label(0.70001, asked)
