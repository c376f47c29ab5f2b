"""Figures are tested on made-up records, so that every number in them is known and none needs training."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from rw_jax.analysis import plots
from rw_jax.analysis.run import Run
from rw_jax.study.config import Config
from rw_jax.study.errors import RunError
from tests.made_up import random_run, small
from tests.studies import assert_sentence

FIGURES = (plots.accuracy_against, plots.curves, plots.value_matrices, plots.attention_against_position)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory) -> Callable[[Config], Run]:
    """A made-up run of a study, with its figures."""

    def make(config):
        path = tmp_path_factory.mktemp("runs") / config.name
        run = random_run(config, path)
        plots.write_figures(run, path / "figures")
        return run

    return make


@pytest.fixture(scope="session")
def run(make_run) -> Run:
    return make_run(small(p=(0.5, 0.8, 1.0), seed=(0, 1, 2)))


@pytest.fixture(scope="session")
def structures_run(make_run) -> Run:
    """Two numbers of nodes and lengths that are paired with p, and two learning rates, one of which diverges."""
    axes = {"p": (0.3, 0.6), "num_nodes": (3, 8), "walk_length": (3, 12), "learning_rate": (1.0, 1e30)}
    return make_run(small(**axes, zipped=(("p", "num_nodes", "walk_length"),)))


def t_interval(three: np.ndarray) -> tuple[float, float]:
    """The 95% interval of the mean of three numbers; 4.302653 is the t table's 97.5% point for two degrees."""
    half = 4.30265273 * np.std(three, ddof=1) / np.sqrt(3)
    return np.mean(three) - half, np.mean(three) + half


def unit(matrix: np.ndarray) -> np.ndarray:
    return matrix.astype(float) / np.sqrt(np.sum(matrix.astype(float) ** 2))


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_a_sweep_writes_every_figure_as_png_svg_and_csv(run):
    folder = run.run_dir.figures
    names = {path.name for path in folder.iterdir()}
    stems = ("accuracy_against_p", "curves", "value_matrices", "attention")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg", "csv")}
    assert all((folder / name).stat().st_size > 500 for name in names)


def test_the_numbers_of_accuracy_against_p_are_means_and_t_intervals_of_the_last_step(run):
    numbers = plots.accuracy_against(run)[1].set_index(["metric", "p"])
    assert len(numbers) == 3 * 3
    for (name, p), row in numbers.iterrows():
        values = run.metrics[name].sel(p=p).isel(step=-1).values
        assert row["seeds"] == 3
        np.testing.assert_allclose(row["mean"], np.mean(values), rtol=1e-12)
        np.testing.assert_allclose((row["low"], row["high"]), t_interval(values), rtol=1e-7)


def test_the_numbers_of_the_curves_are_means_and_t_intervals_at_every_recorded_step(run):
    numbers = plots.curves(run)[1]
    assert sorted(numbers["p"].unique()) == [0.5, 1.0]  # those of figures.p that are in the grid
    for (name, p), rows in numbers.groupby(["metric", "p"]):
        values = run.metrics[name].sel(p=p).values
        np.testing.assert_array_equal(rows["step"], run.metrics["step"])
        np.testing.assert_allclose(rows["mean"], values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(rows[["low", "high"]], [t_interval(at_step) for at_step in values.T], rtol=1e-7)


def test_the_value_matrices_are_the_mean_of_unit_matrices_beside_the_transposed_transition_matrix(run):
    numbers = plots.value_matrices(run)[1].set_index(["p", "next", "now"])
    nodes = 6
    assert len(numbers) == 2 * nodes**2
    for p in (0.5, 1.0):
        expected = np.mean([unit(run.value_matrix(step=4, p=p, seed=seed)) for seed in range(3)], axis=0)
        transposed = np.zeros((nodes, nodes))
        for now in range(nodes):
            transposed[(now + 1) % nodes, now] = p
            transposed[(now - 1) % nodes, now] = 1 - p
        for (following, now), row in numbers.loc[p].iterrows():
            np.testing.assert_allclose(row["mean"], expected[following, now], rtol=1e-12)
            np.testing.assert_allclose(row["transition"], unit(transposed)[following, now], atol=1e-7)
            np.testing.assert_allclose(row["sqrt_transition"], unit(np.sqrt(transposed))[following, now], atol=1e-7)


def test_the_value_matrix_of_a_question_answerer_stands_alone_and_that_before_a_feed_forward_layer_is_not_averaged(
    make_run,
):
    sizes = {"task": ("preference",), "num_nodes": (19,), "walk_length": (19,), "feed_forward_width": (0, 5)}
    run = make_run(small(**sizes, seed=(0, 1)))
    numbers = plots.value_matrices(run, feed_forward_width=0)[1]
    assert len(numbers) == 19 * 19
    assert set(numbers.columns) == {"mean", "low", "high", "seeds", "next", "now"}
    settings = "_num_nodes=19_task=preference_walk_length=19"
    drawn = {path.stem.removesuffix(settings) for path in run.run_dir.figures.glob("*.png")}
    assert drawn == {"accuracy_against_feed_forward_width", "curves", "attention"}


def test_the_attention_of_every_slot_is_the_mean_over_seeds(run):
    numbers = plots.attention_against_position(run)[1]
    for p, rows in numbers.groupby("p"):
        seeds = np.stack([run.mean_attention(step=4, p=p, seed=seed) for seed in range(3)])
        np.testing.assert_array_equal(rows["slot"], np.arange(1, 14))
        np.testing.assert_allclose(rows["mean"], seeds.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(rows["mean"].sum(), 1, rtol=1e-12)


def test_the_written_numbers_are_the_returned_ones(run):
    for stem, figure in zip(("accuracy_against_p", "curves", "value_matrices", "attention"), FIGURES, strict=True):
        written = pd.read_csv(run.run_dir.figures / f"{stem}.csv")
        pd.testing.assert_frame_equal(written, figure(run)[1], check_dtype=False, rtol=1e-12)


@pytest.mark.parametrize("figure_of", FIGURES)
def test_every_panel_has_its_axes_labelled_and_the_title_tells_the_setting(run, figure_of):
    figure, _ = figure_of(run)
    panels = figure.axes
    assert any(panel.get_xlabel() for panel in panels)
    assert any(panel.get_ylabel() for panel in panels)
    title = " ".join(figure.get_suptitle().split())
    assert "K = 6, N = 13, walks = 30, M = 100, start = zero, ε = 0.1, η = 1, steps = 4" in title
    assert "3 seeds" in title


def test_bands_are_drawn_within_0_and_1_though_the_interval_runs_past(run):
    figure, numbers = plots.attention_against_position(run)
    assert numbers["low"].min() < 0
    for panel in figure.axes:
        for band in panel.collections:
            heights = np.concatenate([path.vertices[:, 1] for path in band.get_paths()])
            assert np.nanmin(heights) >= 0
            assert np.nanmax(heights) <= 1


def test_no_legend_covers_a_panel(run):
    for figure_of in FIGURES:
        figure, _ = figure_of(run)
        figure.draw_without_rendering()
        assert not any(panel.get_legend() for panel in figure.axes)
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert figure.bbox.x0 <= box.x0
            assert box.x1 <= figure.bbox.x1
            assert not any(box.overlaps(panel.get_window_extent()) for panel in figure.axes)


def test_labels_choose_one_p_and_one_seed(run):
    figure, numbers = plots.curves(run, p=0.8, seed=1)
    assert "p = 0.8" in figure.get_suptitle().replace("\N{NO-BREAK SPACE}", " ")
    assert set(numbers["seeds"]) == {1}
    accuracy = numbers[numbers["metric"] == "accuracy"]["mean"]
    np.testing.assert_array_equal(accuracy, run.metrics["accuracy"].sel(p=0.8, seed=1))
    assert "one seed" in figure.get_suptitle()


def test_labels_that_no_run_has_are_refused_in_a_sentence_that_lists_what_there_is(run):
    with pytest.raises(RunError, match=r"No finished run has p = 0\.7; the grid has p = 0\.5, 0\.8, 1\.0; seed ="):
        plots.curves(run, p=0.7)
    with pytest.raises(RunError, match="colour is no axis of a grid; those are task, num_nodes"):
        plots.curves(run, colour="red")


def test_runs_of_different_settings_are_never_averaged(structures_run):
    _, numbers = plots.curves(structures_run)
    for (name, p, rate), rows in numbers.groupby(["metric", "p", "learning_rate"]):
        expected = structures_run.metrics[name].sel(p=p, learning_rate=rate).values
        np.testing.assert_array_equal(rows["mean"], expected)
        assert set(rows["seeds"]) == {1}


def test_each_setting_has_its_own_figures_and_axes_paired_with_p_share_one(structures_run):
    assert plots.settings(structures_run) == [{"learning_rate": 1.0}, {"learning_rate": 1e30}]
    names = {path.stem for path in structures_run.run_dir.figures.glob("*.png")}
    assert {"accuracy_against_p_learning_rate=1", "curves_learning_rate=1e+30"} <= names
    _, numbers = plots.attention_against_position(structures_run, learning_rate=1.0)
    assert numbers.groupby("p")["slot"].max().to_dict() == {0.3: 3, 0.6: 12}
    figure, numbers = plots.value_matrices(structures_run, learning_rate=1.0)
    assert numbers.groupby("p")["now"].max().to_dict() == {0.3: 2, 0.6: 7}
    assert "K = " not in texts(figure)
    _, diverged = plots.value_matrices(structures_run, learning_rate=1e30)
    assert diverged["mean"].isna().all()


def test_a_single_run_is_drawn_without_axes_and_without_an_interval(make_run):
    single = make_run(small())
    assert {file.stem for file in single.run_dir.figures.glob("*.png")} == {"curves", "value_matrices", "attention"}
    figure, numbers = plots.curves(single)
    assert numbers["low"].isna().all()
    assert "one seed" in figure.get_suptitle()
    assert "accuracy" in texts(figure)


def test_figures_are_along_any_axis_and_lines_are_named_by_the_labels_that_differ(make_run):
    run = make_run(small(num_nodes=(5, 6), learning_rate=(0.1, 1.0, 10.0), seed=(0, 1, 2)))
    assert plots.main_axis(run) == "learning_rate"  # axes of a config file come in the order of their names
    assert plots.settings(run) == [{"num_nodes": 5}, {"num_nodes": 6}]
    figure, numbers = plots.accuracy_against(run, "learning_rate", num_nodes=6)
    assert figure.axes[0].get_xlabel() == "η"
    for (name, rate), rows in numbers.groupby(["metric", "learning_rate"]):
        values = run.metrics[name].sel(num_nodes=6, learning_rate=rate).isel(step=-1).values
        np.testing.assert_allclose(rows["mean"], [values.mean()], rtol=1e-12)
        np.testing.assert_allclose(rows[["low", "high"]], [t_interval(values)], rtol=1e-7)
    figure, numbers = plots.curves(run)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["η = 0.1, K = 5", "η = 0.1, K = 6"]
    assert set(numbers["num_nodes"]) == {5, 6}
    assert "K = " not in figure.get_suptitle()
    assert "N = 13" in figure.get_suptitle().replace("\N{NO-BREAK SPACE}", " ")


def test_accuracy_against_an_axis_is_refused_while_the_runs_differ_in_another(make_run):
    run = make_run(small(num_nodes=(3, 5), learning_rate=(0.1, 1.0), seed=(0, 1)))
    with pytest.raises(RunError, match="learning_rate is not given, but the runs differ in it") as refused:
        plots.accuracy_against(run, "num_nodes")
    assert_sentence(str(refused.value))
    assert plots.accuracy_against(run, "num_nodes", learning_rate=0.1)[1]["num_nodes"].tolist() == [3, 5] * 3


def test_a_figure_of_more_settings_than_it_can_show_draws_four_of_them_evenly_spaced(make_run):
    run = make_run(small(learning_rate=tuple(0.1 * i for i in range(1, 11)), seed=(0, 1)))
    drawn = plots.curves(run)[1]["learning_rate"].unique()
    np.testing.assert_allclose(drawn, [0.1, 0.4, 0.7, 1.0])
