"""The grid: cells, structures and steps, against loops written out by hand."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rw_jax.study.config import SAME_PROGRAM, VALUE_AXES
from rw_jax.study.grid import Grid, kept_steps, recorded_steps
from tests.tiny import tiny_study


def test_a_study_without_axes_is_one_cell():
    grid = Grid(tiny_study())
    assert grid.shape == ()
    assert grid.num_cells == 1
    (cell,) = grid.cells()
    assert [structure.cells.tolist() for structure in grid.structures] == [[0]]
    assert cell.index == ()
    assert cell.labels == {}
    assert cell.config == tiny_study()


def test_axes_multiply_and_each_cell_has_its_labels_in_its_config():
    ps, seeds = (0.5, 0.7, 1.0), (4, 2)
    study = tiny_study(p=ps, seed=seeds)
    grid = Grid(study)
    assert grid.shape == (3, 2)
    cells = list(grid.cells())
    expected = list(itertools.product(enumerate(ps), enumerate(seeds)))
    assert [cell.index for cell in cells] == [(i, j) for (i, _), (j, _) in expected]
    assert [cell.labels for cell in cells] == [{"p": p, "seed": seed} for (_, p), (_, seed) in expected]
    for cell in cells:
        assert cell.config == dataclasses.replace(study, grid=()).replace(**cell.labels)
        assert cell.config.grid == ()


def test_zipped_axes_are_paired():
    grid = Grid(tiny_study(num_nodes=(4, 5), walk_length=(6, 7), seed=(0, 1), zipped=(("num_nodes", "walk_length"),)))
    labels = [tuple(cell.labels.values()) for cell in grid.cells()]
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
        "mixed_p": (0.2, 0.3),
    }
    assert set(values) == set(VALUE_AXES) - set(SAME_PROGRAM)
    study = tiny_study(form=("full", "reduced"), steps=(2, 3, 4), **values)
    grid = Grid(study)
    assert grid.num_cells == 2 * 3 * 2**6
    assert [(s.config.model.form, s.config.training.steps) for s in grid.structures] == list(
        itertools.product(("full", "reduced"), (2, 3, 4))
    )
    for structure in grid.structures:
        assert len(structure.cells) == 2**6
        for cell in map(grid.cell, structure.cells):
            shared = {axis: structure.config.value(axis) for axis in VALUE_AXES}
            assert cell.config.replace(**shared) == structure.config == grid.structure_of(cell)


def test_a_value_that_is_off_or_on_and_a_number_of_stages_are_a_structure_each_and_their_amounts_are_none():
    stages = ("", "2: p=0.5", "3: p=0.7 epsilon=0.2", "1: p=0.5; 2: p=0.6")
    grid = Grid(tiny_study(label_noise=(0.0, 0.1, 0.4), stages=stages, seed=(0, 1)))
    assert [len(structure.cells) for structure in grid.structures] == [2, 4, 2, 4, 8, 4]
    noises = [structure.config.training.label_noise for structure in grid.structures]
    assert noises == [0, 0, 0, 1, 1, 1]
    for structure in grid.structures:
        assert all(grid.structure_of(grid.cell(number)) == structure.config for number in structure.cells)


def test_the_structure_of_a_cell_does_not_depend_on_the_values_of_the_grid_around_it():
    one, other = Grid(tiny_study(p=(0.5, 0.7), seed=(0,))), Grid(tiny_study(p=(0.9,), seed=(5, 6)))
    assert one.structures[0].config == other.structures[0].config


def test_the_cells_of_all_structures_fill_the_grid_once():
    grid = Grid(
        tiny_study(steps=(2, 3), p=(0.5, 0.7), form=("full", "reduced"), seed=(0, 1, 2), zipped=(("p", "form"),))
    )
    indices = [grid.cell(number).index for structure in grid.structures for number in structure.cells]
    assert sorted(indices) == list(itertools.product(*map(range, grid.shape)))
    assert [cell.index for cell in grid.cells()] == list(itertools.product(*map(range, grid.shape)))


def test_any_cell_of_a_grid_of_a_million_is_that_of_the_product_of_its_axes():
    ps, seeds = tuple(i / 999 for i in range(1000)), tuple(range(1000))
    grid = Grid(tiny_study(p=ps, seed=seeds))
    assert grid.num_cells == 10**6
    (structure,) = grid.structures
    np.testing.assert_array_equal(structure.cells, np.arange(10**6))
    numbers = np.random.default_rng(0).integers(10**6, size=10_000)
    expected = [(ps[number // 1000], seeds[number % 1000]) for number in numbers]
    for number, (p, seed) in zip(numbers[:200], expected, strict=False):
        assert grid.cell(number).labels == {"p": p, "seed": seed}
    columns = grid.columns([grid.cell(0)]) | {"p": [p for p, _ in expected], "seed": [seed for _, seed in expected]}
    np.testing.assert_array_equal(grid.locate(columns, 10_000), numbers)


def axes_of(draw):
    """Some axes of structure and of values, two of which may be paired."""
    labels = {
        "p": (0.1, 0.5, 0.9), "seed": (0, 1, 7), "form": ("full", "reduced"), "steps": (3, 4, 5), "walks": (16, "all"),
    }  # fmt: skip
    axes = {}
    for axis in draw(st.lists(st.sampled_from(list(labels)), unique=True)):
        axes[axis] = tuple(draw(st.lists(st.sampled_from(labels[axis]), min_size=1, unique=True)))
    axes = {axis: given for axis, given in axes.items() if len({isinstance(label, str) for label in given}) == 1}
    paired = [axis for axis in axes if axis != "seed"][:2]
    is_paired = len(paired) == 2 and len(axes[paired[0]]) == len(axes[paired[1]]) and draw(st.booleans())
    return axes, (tuple(paired),) if is_paired else ()


@given(st.data())
def test_columns_of_cells_find_them_again_in_their_grid_and_in_a_larger_one(data):
    axes, zipped = axes_of(data.draw)
    grid = Grid(tiny_study(zipped=zipped, **axes))
    cells = data.draw(st.lists(st.integers(0, grid.num_cells - 1), min_size=1, unique=True))
    columns = json.loads(json.dumps(grid.columns([grid.cell(number) for number in cells])))
    assert "optimizer" not in columns  # it is at its neutral value
    assert grid.locate(columns, len(cells)).tolist() == cells
    other = Grid(tiny_study(zipped=zipped, **axes, epsilon=(0.2, 0.1)))
    found = other.locate(columns, len(cells))
    assert [other.cell(number).config for number in found] == [grid.cell(number).config for number in cells]
    elsewhere = Grid(tiny_study(zipped=zipped, **axes, epsilon=(0.2, 0.3)))
    assert elsewhere.locate(columns, len(cells)).tolist() == [-1] * len(cells)


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


def test_the_values_of_a_cell_are_those_of_its_config():
    study = tiny_study(
        p=(0.1, 0.9),
        form=("reduced", "full"),
        walks=(8, 16),
        stages=("", "3: p=0.5"),
        seed=(0, 5),
        zipped=(("p", "walks"),),
    )
    for cell in Grid(study).cells():
        assert cell.values == cell.config.values()
        assert list(cell.values) == list(cell.config.values())
