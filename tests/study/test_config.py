"""The frozen config: in from a ConfigDict, out to JSON and back, and everything that is refused on the way."""

import dataclasses
import json

import ml_collections
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import config_dict

from configs import base, smoke
from rw_jax.study.config import (
    AXES,
    CHOICES,
    VALUE_AXES,
    ConfigError,
    axis_groups,
    describe_field,
    differences,
    from_config_dict,
    from_json,
    group_labels,
)
from rw_jax.study.grid import expand
from tests.studies import assert_sentence, tiny_study


def leaves(tree: dict, prefix: str = "") -> list[str]:
    """The paths of all fields of nested dicts."""
    return [
        path
        for name, value in tree.items()
        for path in (leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name])
    ]


def get(config: object, path: str) -> object:
    for name in path.split("."):
        config = getattr(config, name)
    return config


FIELDS = leaves(base.get_config().to_dict())

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-1, 4),
    st.floats(),
    st.floats(0, 1),
    st.text(max_size=8),
    st.sampled_from([name for names in CHOICES.values() for name in names] + ["range(3)", "p", "seed", "full,reduced"]),
    st.sampled_from([np.int64(3), np.float32(0.25), np.float64(0.5), np.array([1, 2]), b"x", 1j, 10**400, object]),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.lists(SCALARS, max_size=3).map(tuple),
    st.lists(st.lists(st.sampled_from(["p", "seed", "steps", 3]), max_size=2).map(tuple), max_size=2).map(tuple),
    st.dictionaries(st.sampled_from(["p", "seed", "name", "y"]), SCALARS, max_size=2),
)


@given(
    st.dictionaries(st.sampled_from([*FIELDS, "y", "task.y", "grid.y", "task", "grid"]), VALUES, min_size=1, max_size=4)
)
@settings(max_examples=400, deadline=None)
def test_any_change_of_a_config_is_refused_in_one_sentence_or_survives_json(changes):
    fields = base.get_config().to_dict()
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
    back = from_json(config.to_json())
    assert back == config
    assert hash(back) == hash(config)
    assert differences(back, config) == []
    assert expand(back) == expand(config)


@given(st.text() | st.recursive(SCALARS.filter(lambda v: isinstance(v, str | int | float | None)), st.lists).map(str))
@settings(max_examples=100, deadline=None)
def test_any_text_is_a_config_or_refused_in_one_sentence(text):
    with pytest.raises(ConfigError) as refused:
        from_json(text)
    assert_sentence(str(refused.value))


@pytest.mark.parametrize("grid", [5, "p", [1], [["p"]], [["p", 0.5]], {"p": 3}, [[["p"], [0.5]]]])
def test_a_grid_in_json_that_is_none_is_refused_in_one_sentence(grid):
    fields = json.loads(from_config_dict(base.get_config()).to_json()) | {"grid": grid}
    with pytest.raises(ConfigError) as refused:
        from_json(json.dumps(fields))
    assert_sentence(str(refused.value))


def test_a_config_survives_json_with_its_types():
    config = tiny_study(p=(0, 0.1, 1), seed=(3, 1), form=("full", "reduced"), fields={"figures.p": ()})
    back = from_json(config.to_json())
    assert back == config
    assert isinstance(dict(back.grid)["p"][0], float)
    assert isinstance(back.record.parameters, tuple)
    assert [axis for axis, _ in back.grid] == [axis for axis, _ in config.grid]


def test_every_field_of_the_base_config_arrives_in_the_frozen_one():
    config, fields = from_config_dict(base.get_config()), base.get_config()
    for path in FIELDS:
        if not path.startswith("grid."):
            assert get(config, path) == get(fields, path)
    assert config.grid == ()


def test_numbers_of_numpy_and_whole_numbers_become_those_of_python():
    fields = smoke.get_config()
    fields.grid.p = (np.float64(0.5), 1, np.float32(0.25))
    fields.grid.seed = tuple(np.arange(2))
    labels = dict(from_config_dict(fields).grid)
    assert labels == {"p": (0.5, 1.0, 0.25), "seed": (0, 1)}
    assert {type(label) for label in labels["p"]} == {float}
    assert {type(label) for label in labels["seed"]} == {int}


def test_a_required_field_that_was_never_set_is_refused_in_one_sentence():
    fields = ml_collections.ConfigDict(base.get_config().to_dict())
    fields.task.p = config_dict.required_placeholder(float)
    with pytest.raises(ConfigError, match="no value yet") as refused:
        from_config_dict(fields)
    assert_sentence(str(refused.value))


def test_replace_changes_the_field_that_the_axis_names_and_no_other():
    config = from_config_dict(base.get_config())
    for axis, path in AXES.items():
        value = config.value(axis)
        other = "changed" if isinstance(value, str) else value + 1
        changed = config.replace(**{axis: other})
        assert get(changed, path) == other
        assert changed.value(axis) == other
        assert differences(changed, config) == [f"{path}: {other!r}, {value!r}"]


def test_every_value_axis_is_an_axis_and_every_other_axis_is_structure():
    assert set(VALUE_AXES) < set(AXES)
    assert {type(from_config_dict(base.get_config()).value(axis)) for axis in VALUE_AXES} == {int, float}


def test_differences_name_each_field_and_axis_with_both_values():
    one = tiny_study(p=(0.5, 0.7), seed=(0, 1))
    other = tiny_study(p=(0.5, 0.9), seed=(0, 1), fields={"training.steps": 6})
    assert differences(one, one) == []
    assert differences(one, other) == ["training.steps: 5, 6", "grid.p: (0.5, 0.7), (0.5, 0.9)"]
    assert differences(one, tiny_study(p=(0.5, 0.7))) == ["grid.axes: ['p', 'seed'], ['p']", "grid.seed: (0, 1), None"]


def test_the_order_of_axes_is_a_difference_because_it_is_that_of_the_dimensions():
    one = tiny_study(p=(0.5, 0.7), seed=(0, 1))
    other = dataclasses.replace(one, grid=one.grid[::-1])
    assert one != other
    assert differences(one, other) == ["grid.axes: ['p', 'seed'], ['seed', 'p']"]


def test_the_middle_of_a_long_value_is_left_out_of_a_message():
    with pytest.raises(ConfigError) as refused:
        tiny_study(fields={"name": "x" * 5000 + "!"})
    assert_sentence(str(refused.value))
    assert " ... " in str(refused.value)


def test_every_field_is_described_and_nothing_else():
    for path in FIELDS:
        assert describe_field(path).startswith(("a ", "an ", "one of "))
    for path in ("", "y", "task", "task.y", "grid", "grid.y", "task.p.y", "zipped.y", "grid.p.y"):
        with pytest.raises(ConfigError) as refused:
            describe_field(path)
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


def test_every_combination_of_walk_length_and_width_must_fit():
    tiny_study(walk_length=(6, 9), position_width=(6, 9), zipped=(("walk_length", "position_width"),))
    with pytest.raises(ConfigError, match=r"position_width is 6, but must be at least task.walk_length = 9"):
        tiny_study(walk_length=(6, 9), position_width=(6, 9))


def test_all_walks_are_refused_where_they_cannot_be_enumerated():
    tiny_study(p=(0.0, 0.3), fields={"task.walks": "all", "task.test_walks": "all"})
    tiny_study(p=(0.0, 1.0), fields={"task.walks": "all", "task.walk_length": 31, "model.position_width": 31})
    with pytest.raises(ConfigError, match=r"test_walks is 'all', but must be a number for task.p = 0.3") as refused:
        tiny_study(p=(0.0, 0.3), fields={"task.test_walks": "all", "task.walk_length": 31, "model.position_width": 31})
    assert_sentence(str(refused.value))


def test_an_axis_of_walks_holds_numbers_or_all():
    assert dict(tiny_study(walks=("all",)).grid)["walks"] == ("all",)
    for labels in (("all", 16), ("some",), (0,), (1.5,)):
        with pytest.raises(ConfigError, match=r"^grid\.walks ") as refused:
            tiny_study(walks=labels)
        assert_sentence(str(refused.value))


def test_questions_come_in_the_size_of_their_sentences():
    sizes = {"task.num_nodes": 19, "model.position_width": 30}
    questions = {"task": ("majority", "preference"), "walk_length": (17, 19)}
    tiny_study(**questions, zipped=(("task", "walk_length"),), fields=sizes)
    with pytest.raises(ConfigError, match=r"walk_length is 19, but must be 17 for task.name = 'majority'") as refused:
        tiny_study(**questions, fields=sizes)
    assert_sentence(str(refused.value))
