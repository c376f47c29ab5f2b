"""Figures are tested on made-up records, so that every number in them is known and none needs training."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from rw_jax.analysis import plots
from rw_jax.analysis.run import Run
from rw_jax.analysis.statistics import rate_interval
from rw_jax.study.config import Config
from rw_jax.study.errors import RunError
from tests.made_up import random_run, shaped_run, small
from tests.tiny import assert_sentence, tiny_study

FIGURES = (plots.success_against, plots.curves, plots.value_matrices, plots.attention)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory) -> Callable[[Config], Run]:
    """A made-up run of a study, with its figures if it is asked for them: to write them takes seconds."""

    def make(config, figures=False):
        path = tmp_path_factory.mktemp("runs") / config.name
        run = random_run(config, path)
        if figures:
            plots.write_figures(run, path / "figures")
        return run

    return make


@pytest.fixture(scope="session")
def run(make_run) -> Run:
    return make_run(small(p=(0.5, 0.8, 1.0), seed=(0, 1, 2)), figures=True)


@pytest.fixture(scope="session")
def structures_run(make_run) -> Run:
    """Two numbers of nodes and lengths that are paired with p, and two learning rates, one of which diverges."""
    axes = {"p": (0.3, 0.6), "num_nodes": (3, 8), "walk_length": (3, 12), "learning_rate": (1.0, 1e30)}
    return make_run(small(**axes, zipped=(("p", "num_nodes", "walk_length"),)), figures=True)


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
    stems = ("success_against_p", "curves", "value_matrices", "attention")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg", "csv")}
    assert all((folder / name).stat().st_size > 500 for name in names)


def test_success_against_p_shows_every_seed_and_the_shares_with_wilson_intervals(run):
    numbers = plots.success_against(run)[1]
    for (p, seed), rows in numbers[numbers["metric"] == "expected_accuracy"].groupby(["p", "seed"]):
        reached = run.metrics["expected_accuracy"].sel(p=p, seed=int(seed)).isel(step=-1)
        np.testing.assert_array_equal(rows["mean"], [reached])
    for metric in ("parent_is_highest", "predicts_optimally"):
        rows = numbers[numbers["metric"] == metric].set_index("p")
        assert rows.index.tolist() == [0.5, 0.8, 1.0]
        for p, row in rows.iterrows():
            values = run.metrics[metric].sel(p=p).isel(step=-1).values
            assert tuple(row[["mean", "low", "high", "seeds"]]) == pytest.approx(tuple(rate_interval(values)))
    optimum = numbers[numbers["metric"] == "optimal_accuracy"].set_index("p")["mean"]
    for p in (0.5, 0.8, 1.0):
        assert optimum[p] == pytest.approx(run.metrics["optimal_accuracy"].sel(p=p).isel(step=-1).mean().item())


def lines_through(panel, count: int) -> list[np.ndarray]:
    return [line.get_xdata() for line in panel.lines if len(line.get_xdata()) == count]


def test_no_line_joins_p_of_exactly_0_or_1_with_what_is_near_and_near_them_p_lies_by_its_logit(make_run):
    p = (0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999, 1.0)
    figure, _ = plots.success_against(make_run(small(p=p, seed=(0, 1))))
    panel = figure.axes[1]
    inner = np.log(np.array(p[1:-1]) / (1 - np.array(p[1:-1])))
    for line in lines_through(panel, 6):
        np.testing.assert_allclose(np.diff(line), np.diff(inner))
    assert len(lines_through(panel, 6)) == 2
    assert len(lines_through(panel, 8)) == 0
    ticks = [tick.get_text() for tick in panel.get_xticklabels()]
    assert (ticks[0], ticks[1]) == ("0", "1")
    linear, _ = plots.success_against(make_run(small(p=(0.1, 0.5, 1.0), seed=(0, 1))))
    assert [len(line.get_xdata()) for line in linear.axes[1].lines] == [2, 1, 2, 1]


def test_the_numbers_of_the_curves_are_means_and_t_intervals_at_every_recorded_step(run):
    numbers = plots.curves(run)[1]
    assert sorted(numbers["p"].unique()) == [0.5, 1.0]  # those of figures.p that are in the grid
    means = numbers[numbers["seeds"].notna()]
    for (name, p), rows in means.groupby(["metric", "p"]):
        values = run.metrics[name].sel(p=p).values
        np.testing.assert_array_equal(rows["step"], run.metrics["step"])
        np.testing.assert_allclose(rows["mean"], values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(rows[["low", "high"]], [t_interval(at_step) for at_step in values.T], rtol=1e-7)


def test_infinity_lies_beyond_the_last_number_and_no_line_goes_there(make_run):
    figure, numbers = plots.success_against(make_run(small(walks=(100, 1000, "infinite"), seed=(0, 1, 2))), "walks")
    panel = figure.axes[1]
    places = np.concatenate([line.get_xdata() for line in panel.lines[:2]])
    assert np.isfinite(places).all()
    assert [len(line.get_xdata()) for line in panel.lines[:2]] == [2, 1]
    assert places[2] > places[1] > places[0]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["100", "infinite", "1000"]
    assert numbers["walks"].max() == np.inf


def test_seeds_that_are_not_optimal_are_drawn_beside_the_mean_at_most_five_of_a_setting(make_run):
    run = make_run(small(p=(0.5, 0.7), seed=tuple(range(30))))
    numbers = plots.curves(run)[1]
    single = numbers[numbers["seed"].notna()]
    for (p, name), rows in single.groupby(["p", "metric"]):
        final = run.metrics["predicts_optimally"].sel(p=p).isel(step=-1)
        assert set(rows["seed"]) == set(final["seed"].values[final.values == 0][:5])
        for seed, of_seed in rows.groupby("seed"):
            np.testing.assert_array_equal(of_seed["mean"], run.metrics[name].sel(p=p, seed=int(seed)))


def test_the_value_matrices_are_those_of_an_optimal_seed_and_of_one_that_is_not(make_run):
    run = make_run(small(p=(0.5, 1.0), seed=tuple(range(40))))
    figure, numbers = plots.value_matrices(run)
    nodes, final = 6, run.metrics["predicts_optimally"].isel(step=-1)
    assert len(numbers) == 2 * nodes**2
    for p, rows in numbers.groupby("p"):
        entries = rows.set_index(["next", "now"])
        for name, wanted in (("optimal", 1), ("not_optimal", 0)):
            seeds = final["seed"].values[final.sel(p=p).values == wanted]
            (seed,) = set(rows[f"seed_{name}"])
            assert seed == seeds[0]
            expected = unit(run.value_matrix(step=4, p=p, seed=seed))
            np.testing.assert_allclose(entries[name].to_numpy().reshape(nodes, nodes), expected, rtol=1e-12)
        transposed = np.zeros((nodes, nodes))
        for now in range(nodes):
            transposed[(now + 1) % nodes, now] = p
            transposed[(now - 1) % nodes, now] = 1 - p
        for (following, now), row in entries.iterrows():
            np.testing.assert_allclose(row["transition"], unit(transposed)[following, now], atol=1e-7)
            np.testing.assert_allclose(row["sqrt_transition"], unit(np.sqrt(transposed))[following, now], atol=1e-7)
        assert f"{int(final.sel(p=p).sum())} of 40 optimal" in texts(figure)


def test_the_value_matrix_of_a_question_answerer_stands_alone_and_that_before_a_feed_forward_layer_is_not_averaged(
    make_run,
):
    sizes = {"task": ("preference",), "num_nodes": (19,), "walk_length": (19,), "feed_forward_width": (0, 5)}
    run = make_run(small(**sizes, seed=(0, 1)), figures=True)
    numbers = plots.value_matrices(run, feed_forward_width=0)[1]
    assert len(numbers) == 19 * 19
    assert "transition" not in numbers
    drawn = {path.stem for path in run.run_dir.figures.glob("*.png")}
    assert drawn == {"success_against_feed_forward_width", "curves", "attention", "value_matrices"}
    written = pd.read_csv(run.run_dir.figures / "value_matrices.csv")
    assert len(written) == 19 * 19, "of the runs without such a layer"


def test_the_attention_of_every_slot_is_the_mean_over_seeds(run):
    numbers = plots.attention(run)[1]
    for p, rows in numbers.groupby("p"):
        seeds = np.stack([run.mean_attention(step=4, p=p, seed=seed) for seed in range(3)])
        np.testing.assert_array_equal(rows["slot"], np.arange(1, 14))
        np.testing.assert_allclose(rows["mean"], seeds.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(rows["mean"].sum(), 1, rtol=1e-12)


def test_the_written_numbers_are_the_returned_ones(run):
    for stem, figure in zip(("success_against_p", "curves", "value_matrices", "attention"), FIGURES, strict=True):
        written = pd.read_csv(run.run_dir.figures / f"{stem}.csv")
        pd.testing.assert_frame_equal(written, figure(run)[1], check_dtype=False, rtol=1e-12)


@pytest.mark.parametrize("figure_of", FIGURES)
def test_every_panel_has_its_axes_labelled_and_the_title_tells_the_setting(run, figure_of):
    figure, _ = figure_of(run)
    panels = figure.axes
    assert any(panel.get_xlabel() for panel in panels)
    assert any(panel.get_ylabel() for panel in panels)
    assert figure.get_suptitle()[0].isupper()  # a sentence on what is seen
    setting = " ".join(figure.legends[0].get_title().get_text().split())
    assert "K = 6, N = 13, walks = 30, M = 100, start = zero, ε = 0.1, η = 1, steps = 4" in setting
    assert "3 seeds" in setting


def test_bands_are_drawn_within_0_and_1_though_the_interval_runs_past(run):
    figure, numbers = plots.curves(run)
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
    assert "p = 0.8" in texts(figure).replace("\N{NO-BREAK SPACE}", " ")
    assert set(numbers["seeds"]) == {1}
    accuracy = numbers[numbers["metric"] == "expected_accuracy"]["mean"]
    np.testing.assert_array_equal(accuracy, run.metrics["expected_accuracy"].sel(p=0.8, seed=1))
    assert "one seed" in texts(figure)


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


def test_axes_that_are_paired_with_p_are_one_and_two_axes_make_a_map(structures_run):
    assert plots.varied(structures_run) == ["p", "learning_rate"]
    names = {path.stem for path in structures_run.run_dir.figures.glob("*.png")}
    assert names == {"success_over_p_and_learning_rate", "curves", "value_matrices", "attention"}
    _, numbers = plots.attention(structures_run, learning_rate=1.0)
    assert numbers.groupby("p")["slot"].max().to_dict() == {0.3: 3, 0.6: 12}
    figure, numbers = plots.value_matrices(structures_run, learning_rate=1.0)
    assert numbers.groupby("p")["now"].max().to_dict() == {0.3: 2, 0.6: 7}
    assert "K = " not in texts(figure)


def test_an_axis_of_words_alone_has_no_figure_against_it_and_one_that_is_paired_with_numbers_has(make_run):
    words = make_run(small(loss=("log", "hinge"), seed=(0, 1)), figures=True)
    assert {path.stem for path in words.run_dir.figures.glob("*.png")} == {"curves", "value_matrices", "attention"}
    axes = {"loss": ("log", "hinge"), "num_nodes": (5, 6), "seed": (0, 1)}
    paired = make_run(small(**axes, zipped=(("loss", "num_nodes"),)), figures=True)
    assert plots.varied(paired) == ["num_nodes"]
    assert (paired.run_dir.figures / "success_against_num_nodes.png").is_file()


def test_a_map_over_two_axes_has_a_cell_for_each_pair_of_labels_and_the_numbers_of_every_seed(make_run):
    run = make_run(small(p=(0.5, 0.7, 0.9), num_nodes=(4, 6), learning_rate=(0.1, 1.0), seed=(0, 1, 2)))
    assert plots.varied(run)[:1] == ["p"]
    figure, numbers = plots.success_over(run, "p", "num_nodes")
    for (metric, p, nodes, rate), rows in numbers.groupby(["metric", "p", "num_nodes", "learning_rate"]):
        values = run.metrics[metric].sel(p=p, num_nodes=nodes, learning_rate=rate).isel(step=-1).values
        (row,) = rows.to_dict("records")
        assert (row["mean"], row["low"], row["high"], row["seeds"]) == pytest.approx(tuple(rate_interval(values)))
    shown = [panel for panel in figure.axes if panel.images]
    assert [panel.images[0].get_array().shape for panel in shown] == [(2, 3)] * 4
    first = run.metrics["parent_is_highest"].isel(step=-1).mean("seed").sel(learning_rate=0.1)
    np.testing.assert_allclose(shown[0].images[0].get_array(), first.transpose("num_nodes", "p"))
    assert "η = 0.1" in shown[0].get_title()
    with pytest.raises(RunError, match="axis is 'steps', but must be another one of the grid"):
        plots.success_over(run, "p", "steps")
    for other in ("seed", "p"):
        with pytest.raises(RunError, match="but must be another one of the grid"):
            plots.success_over(run, "p", other)


def test_runs_that_have_diverged_are_drawn_without_numbers(structures_run):
    _, diverged = plots.value_matrices(structures_run, learning_rate=1e30)
    columns = [name for name in ("optimal", "not_optimal") if name in diverged]
    assert columns
    assert diverged[columns].isna().all(axis=None)


def test_a_single_run_is_drawn_without_axes_and_without_an_interval(make_run):
    single = make_run(small(), figures=True)
    assert {file.stem for file in single.run_dir.figures.glob("*.png")} == {"curves", "value_matrices", "attention"}
    figure, numbers = plots.curves(single)
    assert numbers["low"].isna().all()
    assert "one seed" in texts(figure)
    assert "accuracy" in texts(figure)


def test_figures_are_along_any_axis_and_lines_are_named_by_the_labels_that_differ(make_run):
    run = make_run(small(num_nodes=(5, 6), learning_rate=(0.1, 1.0, 10.0), seed=(0, 1, 2)))
    assert plots.main_axis(run) == "learning_rate"  # axes of a config file come in the order of their names
    assert plots.varied(run) == ["learning_rate", "num_nodes"]
    figure, numbers = plots.success_against(run, "learning_rate", num_nodes=6)
    assert figure.axes[0].get_xlabel() == "η, logarithmic"
    for rate, rows in numbers[numbers["metric"] == "parent_is_highest"].groupby("learning_rate"):
        values = run.metrics["parent_is_highest"].sel(num_nodes=6, learning_rate=rate).isel(step=-1).values
        np.testing.assert_allclose(rows["mean"], [values.mean()], rtol=1e-12)
    figure, numbers = plots.curves(run)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["η = 0.1, K = 5", "η = 0.1, K = 6"]
    assert set(numbers["num_nodes"]) == {5, 6}
    setting = figure.legends[0].get_title().get_text().replace("\N{NO-BREAK SPACE}", " ")
    assert "K = " not in setting
    assert "N = 13" in setting


def test_success_against_an_axis_is_refused_while_the_runs_differ_in_another(make_run):
    run = make_run(small(num_nodes=(3, 5), learning_rate=(0.1, 1.0), seed=(0, 1)))
    with pytest.raises(RunError, match="learning_rate is not given, but the runs differ in it") as refused:
        plots.success_against(run, "num_nodes")
    assert_sentence(str(refused.value))
    assert set(plots.success_against(run, "num_nodes", learning_rate=0.1)[1]["num_nodes"]) == {3, 5}


def test_a_figure_of_more_settings_than_it_can_show_draws_four_of_them_evenly_spaced(make_run):
    run = make_run(small(learning_rate=tuple(0.1 * i for i in range(1, 11)), seed=(0, 1)))
    drawn = plots.curves(run)[1]["learning_rate"].unique()
    np.testing.assert_allclose(drawn, [0.1, 0.4, 0.7, 1.0])


DECODER = {"model.form": "decoder", "model.init": "gaussian"}
STRUCTURAL = {
    "task": ({}, ("circle", "hidden_direction")),
    "num_nodes": ({}, (3, 5)),
    "walk_length": ({}, (4, 6)),
    "walks": ({}, (20, 30)),
    "test_walks": ({}, (20, 30)),
    "form": ({"model.init": "gaussian"}, ("reduced", "full", "decoder")),
    "heads": ({}, (1, 2)),
    "heads of decoders": (DECODER, (1, 2)),
    "positions": (DECODER, ("sine", "learned")),
    "position_width": ({}, (6, 9)),
    "position_place": ({}, ("beside", "added")),
    "embedding": (DECODER, ("one_hot", "learned")),
    "embedding_width": ({"model.embedding": "random"}, (8, 9)),
    "query": (DECODER, ("empty", "last")),
    "key_width": (DECODER, (0, 2)),
    "layers": ({**DECODER, "model.residual": "on"}, (1, 2)),
    "residual": (DECODER, ("off", "on")),
    "layer_norm": ({**DECODER, "model.residual": "on"}, ("off", "on")),
    "unit_length": ({}, ("none", "keys", "both")),
    "feed_forward_width": ({"model.init": "gaussian"}, (0, 7)),
    "init": ({}, ("zero", "gaussian")),
    "loss": ({}, ("log", "squared_error")),
    "optimizer": ({"model.form": "full"}, ("gd", "adam")),
    "steps": ({}, (2, 4)),
    "batch": ({}, (0, 10)),
    "target": (DECODER, ("last", "all")),
    "shortest_walk": ({}, (0, 2)),
    "precision": ({}, ("float32", "float64")),
}
"""By axis: fields beside it, and labels."""
_QUICK = ("heads", "form", "layers", "num_nodes")


@pytest.mark.parametrize(
    "axis", [axis if axis in _QUICK else pytest.param(axis, marks=pytest.mark.slow) for axis in STRUCTURAL]
)
def test_every_figure_can_be_drawn_over_every_axis_that_changes_the_program(axis, tmp_path):
    fields, labels = STRUCTURAL[axis]
    config = tiny_study(fields={"record.parameters": (), **fields}, seed=(0, 1), **{axis.split()[0]: labels})
    run = shaped_run(config, tmp_path / "run")
    assert plots.write_figures(run, tmp_path / "figures").failed == {}
    for draw in (*FIGURES, plots.attention_maps):
        try:
            draw(run)
        except RunError as error:
            assert_sentence(str(error))
