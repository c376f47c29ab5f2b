"""The grid: cells, structures and steps, against loops written out by hand."""

import dataclasses
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rw_jax.study.config import VALUE_AXES
from rw_jax.study.grid import expand, kept_steps, recorded_steps
from tests.studies import tiny_study


def test_a_study_without_axes_is_one_cell():
    grid = expand(tiny_study())
    assert grid.shape == ()
    assert grid.num_cells == 1
    ((cell,),) = (structure.cells for structure in grid.structures)
    assert cell.index == ()
    assert cell.labels == {}
    assert cell.config == tiny_study()


def test_axes_multiply_and_each_cell_has_its_labels_in_its_config():
    ps, seeds = (0.5, 0.7, 1.0), (4, 2)
    study = tiny_study(p=ps, seed=seeds)
    grid = expand(study)
    assert grid.shape == (3, 2)
    (structure,) = grid.structures
    expected = list(itertools.product(enumerate(ps), enumerate(seeds)))
    assert [cell.index for cell in structure.cells] == [(i, j) for (i, _), (j, _) in expected]
    assert [cell.labels for cell in structure.cells] == [{"p": p, "seed": seed} for (_, p), (_, seed) in expected]
    for cell in structure.cells:
        assert cell.config == dataclasses.replace(study, grid=()).replace(**cell.labels)
        assert cell.config.grid == ()


def test_zipped_axes_advance_together():
    grid = expand(tiny_study(num_nodes=(4, 5), walk_length=(6, 7), seed=(0, 1), zipped=(("num_nodes", "walk_length"),)))
    labels = [tuple(cell.labels.values()) for structure in grid.structures for cell in structure.cells]
    assert sorted(labels) == [(4, 6, 0), (4, 6, 1), (5, 7, 0), (5, 7, 1)]
    assert [(dimension.name, dimension.axes) for dimension in grid.dimensions] == [
        ("num_nodes", ("num_nodes", "walk_length")),
        ("seed", ("seed",)),
    ]


def test_each_combination_of_structure_axes_is_one_structure_and_value_axes_make_none():
    values = {
        "p": (0.5, 0.7),
        "seed": (0, 1),
        "learning_rate": (0.1, 1.0),
        "epsilon": (0.1, 0.2),
        "init_scale": (0.0, 1.0),
    }
    assert set(values) == set(VALUE_AXES)
    study = tiny_study(form=("full", "reduced"), steps=(2, 3, 4), **values)
    grid = expand(study)
    assert grid.num_cells == 2 * 3 * 2**5
    assert [(s.config.model.form, s.config.training.steps) for s in grid.structures] == list(
        itertools.product(("full", "reduced"), (2, 3, 4))
    )
    for structure in grid.structures:
        assert len(structure.cells) == 2**5
        for cell in structure.cells:
            assert (
                cell.config.replace(**{axis: structure.config.value(axis) for axis in VALUE_AXES}) == structure.config
            )


def test_the_structure_of_a_cell_does_not_depend_on_the_values_of_the_grid_around_it():
    one, other = expand(tiny_study(p=(0.5, 0.7), seed=(0,))), expand(tiny_study(p=(0.9,), seed=(5, 6)))
    assert one.structures[0].config == other.structures[0].config


def test_the_cells_of_all_structures_fill_the_grid_once():
    grid = expand(
        tiny_study(steps=(2, 3), p=(0.5, 0.7), form=("full", "reduced"), seed=(0, 1, 2), zipped=(("p", "form"),))
    )
    indices = [cell.index for structure in grid.structures for cell in structure.cells]
    assert sorted(indices) == list(itertools.product(*map(range, grid.shape)))


def test_a_grid_of_ten_thousand_cells_expands_in_a_fraction_of_a_second():
    study = tiny_study(seed=tuple(range(1_000)), p=tuple(i / 10 for i in range(10)))
    started = time.process_time()
    assert expand(study).num_cells == 10_000
    assert time.process_time() - started < 0.5


def test_an_axis_of_many_labels_is_checked_in_time_that_grows_with_their_number():
    started = time.process_time()
    tiny_study(seed=tuple(range(30_000)))
    # A tenth of a second; comparing every label with every other would take more than ten.
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("steps", "every", "parameters", "kept", "recorded"),
    [
        (50, 1, (0, 1, 2, 3, 10, 50), (0, 1, 2, 3, 10, 50), tuple(range(51))),
        (50, 20, (), (0, 50), (0, 20, 40, 50)),
        (50, 20, (7, 60), (0, 7, 50), (0, 7, 20, 40, 50)),
        (0, 5, (3,), (0,), (0,)),
        (4, 100, (2, 2), (0, 2, 4), (0, 2, 4)),
    ],
)
def test_steps_are_recorded_as_the_config_says(steps, every, parameters, kept, recorded):
    study = tiny_study(fields={"training.steps": steps, "record.every": every, "record.parameters": parameters})
    assert kept_steps(study) == kept
    assert recorded_steps(study) == recorded


@given(st.integers(0, 60), st.integers(1, 70), st.lists(st.integers(0, 80), max_size=4).map(tuple))
def test_the_first_and_the_last_step_are_always_kept_and_every_kept_step_is_recorded(steps, every, parameters):
    study = tiny_study(fields={"training.steps": steps, "record.every": every, "record.parameters": parameters})
    kept, recorded = kept_steps(study), recorded_steps(study)
    assert {0, steps} <= set(kept) <= set(recorded)
    assert list(recorded) == sorted(set(recorded))
    assert recorded[-1] == kept[-1] == steps
    assert {step for step in range(steps + 1) if step % every == 0} | set(kept) == set(recorded)
