"""Numbers and settings in words: what a title says of a grid holds for all of its runs."""

import pytest

from rw_jax.analysis import numbers
from rw_jax.study.grid import Grid
from tests.tiny import tiny_study


@pytest.mark.parametrize(
    ("axes", "zipped"),
    [
        (
            {
                "arm": {
                    "a": {},
                    "b": {"heads": 2, "learning_rate": 3.0},
                    "c": {"heads": 1, "learning_rate": 0.5, "epsilon": 0.2},
                }
            },
            (),
        ),
        (
            {"heads": (1, 2, 1), "learning_rate": (0.5, 3.0, 0.5), "p": (0.1, 0.2, 0.3)},
            (("p", "heads", "learning_rate"),),
        ),
        ({"heads": (1, 2), "learning_rate": (3.0, 0.5)}, ()),
        ({"heads": (2,), "seed": (0, 1)}, ()),
    ],
)
def test_a_title_tells_of_a_grid_what_all_its_runs_have_in_common(axes, zipped):
    grid = Grid(tiny_study(zipped=zipped, **axes))
    every = numbers.setting([cell.config for cell in grid.cells()], grid.axes)
    found = numbers.setting_of_grid(grid)
    assert sorted(found) == sorted(every)
    assert any(word.startswith("η = ") for word in found) == ("learning_rate" not in str(axes))
    assert numbers.about(grid)[-2] == ", ".join(found)


def test_axes_are_told_by_their_ends_and_words_once_each():
    axes = {"task": ("circle", "chain", "circle"), "walks": (100, 10, 30), "p": (0.9, 0.1, 0.5), "seed": (3, 0, 7)}
    config = tiny_study(zipped=(("task", "walks", "p"),), **axes)
    assert set(numbers.axes(config)) == {
        "task: 3 labels, circle, chain",
        "walks: 3 labels, 10 to 100",
        "p: 3 labels, 0.1 to 0.9",
        "seed: 3 labels, 0 to 7",
    }
