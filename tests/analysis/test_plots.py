"""Figures are tested on made-up records, so that every number in them is known and none needs training."""

from collections.abc import Callable

import jax
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from configs import smoke
from rw_jax import Run
from rw_jax.analysis import plots
from rw_jax.analysis.run_dir import Chunk, RunError
from rw_jax.study.config import Config, from_config_dict
from rw_jax.study.grid import kept_steps, recorded_steps
from rw_jax.sweeps import sweep
from rw_jax.training import train
from rw_jax.training.metrics import METRICS

FIGURES = (plots.accuracy_against_p, plots.curves, plots.value_matrices, plots.attention_against_position)


def study(zipped: tuple[tuple[str, ...], ...] = (), **axes: tuple) -> Config:
    """configs/smoke.py made tiny, with the axes that are given."""
    config = smoke.get_config()
    config.task.walks = config.task.test_walks = 30
    config.training.steps = 4
    config.grid.p = config.grid.seed = None
    config.grid.update(axes)
    config.zipped = zipped
    return from_config_dict(config)


def made_up_record(program, chunk: Chunk, mesh, cells_per_batch, cells_per_chunk, *rest) -> train.Record:
    """What training would leave of a chunk, drawn at random; not finite where the learning rate is huge."""
    config, cells = chunk.structure.config, len(chunk.cells)
    shape = {"recorded": len(recorded_steps(config)), "kept": len(kept_steps(config))}
    nodes, length = config.task.num_nodes, config.task.walk_length
    rng = np.random.default_rng(0)
    rows = config.model.feed_forward_width or nodes
    value = rng.normal(0.3, 1, (cells, shape["kept"], rows, nodes))
    value[[cell.config.training.learning_rate > 1e9 for cell in chunk.cells]] = np.inf
    attention = rng.uniform(size=(cells, shape["kept"], length)) ** 4
    rows = sweep.deal(cells, mesh, cells_per_batch, cells_per_chunk).rows
    record = train.Record(
        {name: rng.uniform(size=(cells, shape["recorded"])) ** 4 for name in METRICS},
        {"value": value},
        attention / attention.sum(axis=-1, keepdims=True),
    )
    return jax.tree.map(
        lambda stack: np.stack(
            [stack[list(rows).index(i)] if i in rows else 0 * stack[0] for i in range(rows[-1] + 1)]
        ),
        record,
    )


@pytest.fixture(scope="session")
def make_run(tmp_path_factory) -> Callable[[Config], Run]:
    """A finished run directory of a study, through all of the sweep but the training."""

    def make(config):
        path = tmp_path_factory.mktemp("runs") / config.name
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweep, "make_program", lambda *structure: None)
            patch.setattr(sweep, "fitted", lambda *program: (None, 64))
            patch.setattr(sweep, "run_chunk", made_up_record)
            run = sweep.sweep(config, path)
        plots.write_figures(run, path / "figures")
        return run

    return make


@pytest.fixture(scope="session")
def run(make_run) -> Run:
    return make_run(study(p=(0.5, 0.8, 1.0), seed=(0, 1, 2)))


@pytest.fixture(scope="session")
def structures_run(make_run) -> Run:
    """Two numbers of nodes and lengths that advance together with p, and two learning rates, one of which diverges."""
    axes = {"p": (0.3, 0.6), "num_nodes": (3, 8), "walk_length": (3, 12), "learning_rate": (1.0, 1e30)}
    return make_run(study(**axes, zipped=(("p", "num_nodes", "walk_length"),)))


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
    numbers = plots.accuracy_against_p(run)[1].set_index(["metric", "p"])
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
    run = make_run(study(**sizes, seed=(0, 1)))
    numbers = plots.value_matrices(run, feed_forward_width=0)[1]
    assert len(numbers) == 19 * 19
    assert set(numbers.columns) == {"mean", "low", "high", "seeds", "p", "next", "now"}
    drawn = {path.name.split("_feed")[0] for path in run.run_dir.figures.glob("*_feed_forward_width=5_*.png")}
    assert drawn == {"curves", "attention"}


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
    title = figure.get_suptitle().replace("\N{NO-BREAK SPACE}", " ")
    assert "K = 6, N = 13, M = 100, 30 training walks, η = 1, ε = 0.1" in title
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
    assert set(numbers["p"]) == {0.8}
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
    with pytest.raises(RunError, match="learning_rate is not given"):
        plots.curves(structures_run)


def test_each_setting_has_its_own_figures_and_axes_that_advance_with_p_share_one(structures_run):
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
    single = make_run(study())
    assert {file.stem for file in single.run_dir.figures.glob("*.png")} == {"curves", "value_matrices", "attention"}
    figure, numbers = plots.curves(single)
    assert numbers["low"].isna().all()
    assert "one seed" in figure.get_suptitle()
    assert "p = 0.5" in texts(figure)
