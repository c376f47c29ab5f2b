"""Figures of a report show the numbers that they are given."""

import numpy as np
import pandas as pd
import pytest

from studies.paper import pictures
from studies.paper.theorem_3_1 import success_map


def test_a_map_has_every_share_at_its_place_and_says_the_labels():
    points = pd.DataFrame(
        [{"p": p, "N": N, "K": 6, "estimate": p * N / 30, "low": 0, "high": 1} for N in (7, 13, 25) for p in (0.1, 0.9)]
    )
    figure = success_map(points)
    axes = figure.axes[0]
    shown = axes.images[0].get_array()
    np.testing.assert_allclose(shown, [[0.7 / 30, 6.3 / 30], [1.3 / 30, 11.7 / 30], [2.5 / 30, 22.5 / 30]])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["7", "13", "25"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.1", "0.9"]
    assert axes.get_ylabel() == "N, walk length"


@pytest.mark.parametrize("exponents", [(0.5, 0.5), (-0.5, 0.0), (-0.5, -0.4)])
def test_training_and_recursion_are_drawn_apart_and_named_by_what_they_are(exponents):
    points = pd.DataFrame(
        [
            {"p": p, "source": source, "quantity": "β", "step": step, "value": p * step**exponent}
            for p, exponent in zip((0.5, 0.9), exponents, strict=True)
            for source, last in (("training", 100), ("recursion", 10_000))
            for step in (10, last)
        ]
    )
    axes = pictures.courses(points).axes[0]
    assert axes.get_ylabel() == "β"
    drawn = [line.get_xydata()[-1] for line in axes.lines[:4]]
    expected = [[step, p * step**e] for p, e in zip((0.5, 0.9), exponents, strict=True) for step in (100, 10_000)]
    np.testing.assert_allclose(drawn, expected)
    slope = axes.lines[4].get_xydata()
    assert np.log(slope[1, 1] / slope[0, 1]) / np.log(slope[1, 0] / slope[0, 0]) == pytest.approx(exponents[0])


@pytest.mark.parametrize("number", [2, 10])
def test_every_entry_of_a_legend_is_inside_the_figure(number):
    points = pd.DataFrame(
        [{"p": p, "N": N, "estimate": -N * p, "low": -N, "high": 0} for p in np.arange(number) / 10 for N in (7, 12)]
    )
    figure = pictures.decay(points)
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert (box.x0, box.y0) >= (0, 0)
    assert box.x1 <= figure.bbox.x1
    assert len(figure.legends[0].get_texts()) == number


def test_the_decay_has_its_fitted_line():
    points = pd.DataFrame(
        [{"p": 0.7, "N": N, "estimate": 1 - 0.2 * N, "low": -0.3 * N, "high": -0.1 * N} for N in (13, 25, 49)]
    )
    axes = pictures.decay(points).axes[0]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), 1 - 0.2 * np.array([13, 25, 49]))


@pytest.mark.parametrize("draw", [pictures.rates_against_walks, pictures.errors_against_walks])
def test_intervals_stand_beside_what_is_drawn_against_walks(draw):
    points = pd.DataFrame(
        [{"p": 0.7, "walks": walks, "estimate": 0.5, "low": 0.4, "high": 0.7} for walks in (100, 1000)]
    )
    (bars,) = draw(points).axes[0].collections
    for segment in bars.get_segments():
        np.testing.assert_allclose(segment[:, 1], [0.4, 0.7])
