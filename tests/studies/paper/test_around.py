"""A sweep says what it changes of the setting, once for the full report and once for a quick one."""

import pytest

import rw_jax
from rw_jax import ConfigError
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import recorded_steps
from studies.paper.around import Around, Follows, spread_out
from studies.paper.report import study

BASE = from_config_dict(rw_jax.read_config(study().base))
DOUBLE = Follows("position_width", "walk_length", lambda base, length: 2 * int(length))
STUDY = Around(
    name="mine",
    fields={"steps": 100, "walks": 50},
    grid={"num_nodes": (5, 6), "walk_length": (7, 9), "seed": (0, 1, 2, 3)},
    quick_fields={"steps": 10},
    quick_grid={"seed": (0,)},
    quick_keep=(2,),
    zipped=("num_nodes", "walk_length"),
    follows=(DOUBLE,),
    keep=(1, 20),
)


def test_quick_fields_and_axes_replace_those_of_the_study_and_leave_the_others():
    full, quick = STUDY.config(BASE, quick=False), STUDY.config(BASE, quick=True)
    assert (full.training.steps, quick.training.steps) == (100, 10)
    assert full.task.walks == quick.task.walks == 50
    assert dict(full.grid)["seed"] == (0, 1, 2, 3)
    assert dict(quick.grid) == {**dict(full.grid), "seed": (0,)}


def test_a_study_is_measured_only_where_it_keeps_parameters():
    assert recorded_steps(STUDY.config(BASE, quick=False)) == (0, 1, 20, 100)
    assert recorded_steps(STUDY.config(BASE, quick=True)) == (0, 2, 10)


def test_an_axis_that_follows_another_is_paired_with_it_or_set_as_a_field():
    config = STUDY.config(BASE, quick=False)
    assert config.zipped == (("num_nodes", "walk_length", "position_width"),)
    assert dict(config.grid)["position_width"] == (14, 18)
    alone = Around(name="mine", fields={}, grid={"walk_length": (7, 9)}, follows=(DOUBLE,))
    assert alone.config(BASE, quick=False).zipped == (("walk_length", "position_width"),)
    fixed = Around(name="mine", fields={"walk_length": 11}, grid={}, follows=(DOUBLE,))
    assert fixed.config(BASE, quick=False).model.position_width == 22
    untouched = Around(name="mine", fields={}, grid={}, follows=(DOUBLE,))
    assert untouched.config(BASE, quick=False).model == BASE.model


def test_a_setting_that_does_not_go_with_a_study_is_refused():
    with pytest.raises(ConfigError, match=r"training\.steps is -1"):
        Around(name="mine", fields={"steps": -1}, grid={}).config(BASE, quick=False)


def test_steps_that_are_spread_out_end_with_the_largest():
    steps = spread_out(1000)
    assert (steps[0], steps[-1]) == (1, 1000)
    assert list(steps) == sorted(set(steps))
