"""A run directory by label: what a run is asked for is what its chunks hold, and what is not there is said so."""

import concurrent.futures
import itertools
import json
import pickle
import shutil
import threading

import jax
import numpy as np
import pytest
import xarray as xr

import rw_jax
from rw_jax.analysis import plots, summary
from rw_jax.analysis.measures import transition_shares
from rw_jax.analysis.sources import InMemory
from rw_jax.analysis.statistics import mean_interval, rate_interval
from rw_jax.store import checkpoint
from rw_jax.store.layout import RunDir, write_config
from rw_jax.study.errors import RunError
from rw_jax.study.grid import Grid
from rw_jax.training.grids import make_grid
from rw_jax.training.metrics import METRICS
from rw_jax.training.run import Record
from tests import oracle
from tests.made_up import SCALARS
from tests.tiny import assert_sentence, chunk_of, contents, tiny_study

NAMES = tuple(name for name in SCALARS if name != "quadrature_error")


def run_of_study(study):
    """A run of which nothing is trained."""
    nothing = Record({}, {})
    return rw_jax.Run(InMemory(make_grid(study), np.zeros(0, int), nothing, {}))


@pytest.fixture(scope="module")
def run(values_run):
    return rw_jax.load_run(values_run)


@pytest.fixture(scope="module")
def structures(structures_run):
    return rw_jax.load_run(structures_run)


@pytest.fixture
def unfinished(values_run, tmp_path):
    """A copy of the run of six cells without its second chunk, the cells (1.0, 0) and (1.0, 1)."""
    folder = tmp_path / "unfinished"
    shutil.copytree(values_run, folder)
    shutil.rmtree(chunk_of(folder, p=1.0, seed=0))
    (folder / "metrics.nc").unlink()
    return rw_jax.load_run(folder)


def tree_and_row(folder, p, seed):
    """The tree of the chunk that holds a cell, and the cell's row there."""
    ((path, metadata, i),) = (
        (path, metadata, i)
        for path in (folder / "chunks").iterdir()
        for metadata in [checkpoint.load_metadata(path)]
        for i in range(len(metadata["rows"]))
        if tuple(_of_row(metadata["cells"][axis], i) for axis in ("p", "seed")) == (p, seed)
    )
    return checkpoint.load(path), metadata["rows"][i]


def _of_row(column, i):
    return column[i] if isinstance(column, list) else column


def refused(call, *args, **labels):
    with pytest.raises(RunError) as error:
        call(*args, **labels)
    assert_sentence(str(error.value))
    return str(error.value)


def test_the_metrics_lie_on_the_axes_of_the_grid_and_the_recorded_steps(run):
    assert set(run.metrics.data_vars) == {*NAMES, "diverged_at", "finished"}
    assert run.metrics["finished"].all()
    for name in NAMES:
        variable, metric = run.metrics[name], METRICS[name]
        assert variable.dims == ("p", "seed", "step")
        assert variable.shape == (3, 2, 6)
        assert variable.dtype == np.float64
        unit = "nats" if name == "train_loss" else metric.unit  # of the log-loss
        assert (variable.attrs["long_name"], variable.attrs["units"]) == (metric.about, unit)
    assert run.metrics["p"].values.tolist() == [0.5, 0.7, 1.0]
    assert run.metrics["seed"].values.tolist() == [0, 1]
    assert run.metrics["step"].values.tolist() == [0, 1, 2, 3, 4, 5]


def test_structure_axes_and_zipped_axes_are_dimensions_and_coordinates_of_one_dataset(structures):
    # A ConfigDict hands out its fields in alphabetical order.
    metrics = structures.metrics
    assert metrics["accuracy"].dims == ("form", "num_nodes", "p", "seed", "step")
    assert metrics["form"].values.tolist() == ["reduced", "full"]
    for axis in ("num_nodes", "walk_length", "steps"):
        assert metrics[axis].dims == ("num_nodes",)
    assert metrics["num_nodes"].values.tolist() == [4, 5]
    assert metrics["walk_length"].values.tolist() == [6, 7]
    assert metrics["steps"].values.tolist() == [4, 5]
    assert metrics["step"].values.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_run_without_axes_is_a_group_of_its_own(sweep_once):
    run = rw_jax.load_run(sweep_once(tiny_study()))
    (group,) = run.groups()
    np.testing.assert_array_equal(group.metric("accuracy"), run.metrics["accuracy"].values[None])
    assert run.summary()["seeds"].tolist() == [1]


def test_a_step_after_the_last_of_a_cell_is_nan_and_every_other_is_a_number(structures):
    optimum = structures.metrics["optimal_accuracy"]
    assert np.isnan(optimum.isel(num_nodes=0).sel(step=5)).all()
    assert not np.isnan(optimum.isel(num_nodes=0).sel(step=slice(0, 4))).any()
    assert not np.isnan(optimum.isel(num_nodes=1)).any()


def test_each_run_is_taken_at_its_own_last_step_where_steps_is_an_axis(structures):
    rows = structures.summary()
    for form, step in itertools.product(("reduced", "full"), (4, 5)):
        row = rows[(rows["form"] == form) & (rows["steps"] == step)].iloc[0]
        values = structures.metrics["accuracy"].sel(form=form, step=step, p=0.7).isel(num_nodes=step - 4).values
        assert row["accuracy"] == values.mean()


def test_the_table_of_a_real_run_has_a_row_for_each_combination_of_labels_but_the_seed(structures):
    rows = structures.summary()
    there = list(zip(rows["form"], rows["num_nodes"], rows["walk_length"], rows["steps"], strict=True))
    assert there == [(form, *sizes) for form, sizes in itertools.product(("reduced", "full"), ((4, 6, 4), (5, 7, 5)))]
    assert rows["seeds"].tolist() == [2, 2, 2, 2]
    for form, nodes, _, step in there:
        seeds = structures.metrics.sel(form=form, num_nodes=nodes, p=0.7, step=step)
        row = rows[(rows["form"] == form) & (rows["num_nodes"] == nodes)].iloc[0]
        for name, estimate in (("accuracy", mean_interval), ("parent_is_highest", rate_interval)):
            expected = estimate(seeds[name].values)
            assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == expected[:3]


def test_the_printed_table_has_each_row_on_one_line_with_its_axes_and_an_axis_of_one_label_is_no_column(structures):
    table = structures.summary()
    header, *lines = summary.show(table).splitlines()
    assert header.split()[:5] == ["form", "K", "N", "steps", "seeds"]
    assert len(lines) == len(table)
    assert any(line.split()[:4] == ["full", "5", "7", "5"] for line in lines)


def test_metrics_nc_holds_the_numbers_of_the_chunks_to_the_bit(run, values_run):
    with xr.open_dataset(values_run / "metrics.nc", engine="h5netcdf") as stored:
        for p, seed in itertools.product((0.5, 0.7, 1.0), (0, 1)):
            tree, row = tree_and_row(values_run, p, seed)
            for name in NAMES:
                expected = tree["record"]["metrics"][name][row].astype(np.float64)
                np.testing.assert_array_equal(stored[name].sel(p=p, seed=seed).values, expected)
                np.testing.assert_array_equal(run.metrics[name].sel(p=p, seed=seed).values, expected)


def test_parameters_of_a_label_are_the_rows_of_its_chunk(run, values_run):
    for p, seed in itertools.product((0.5, 0.7, 1.0), (0, 1)):
        tree, row = tree_and_row(values_run, p, seed)
        for place, step in enumerate((0, 2, 5)):
            params = run.params(step=step, p=p, seed=seed)
            assert {name: array.shape for name, array in params.items()} == {
                "value": (4, 4),
                "state_scores": (4,),
                "position_scores": (6,),
            }
            for name, array in params.items():
                np.testing.assert_array_equal(array, tree["record"]["kept"]["params"][name][row, place])
            np.testing.assert_array_equal(run.value_matrix(step=step, p=p, seed=seed), params["value"])
            np.testing.assert_array_equal(
                run.mean_attention(step=step, p=p, seed=seed), tree["record"]["kept"]["mean_attention"][row, place]
            )
    assert run.steps == (0, 2, 5)


def test_different_cells_have_different_parameters(run):
    values = {run.value_matrix(step=5, p=p, seed=seed).tobytes() for p in (0.5, 0.7, 1.0) for seed in (0, 1)}
    assert len(values) == 6


def test_walks_are_drawn_again_as_they_were_trained_on(run):
    for p, seed in itertools.product((0.5, 0.7, 1.0), (0, 1)):
        train_tokens, train_targets = run.walks("train", p=p, seed=seed)
        assert (train_tokens.shape, train_targets.shape) == ((16, 5), (16,))
        tokens, targets = run.walks("test", p=p, seed=seed)
        assert (tokens.shape, targets.shape) == ((24, 5), (24,))
        states = np.concatenate([tokens, targets[:, None]], axis=1)
        clockwise = np.diff(states, axis=1) % 4 == 1
        assert np.isin(np.diff(states, axis=1) % 4, (1, 3)).all()
        if p == 1:
            assert clockwise.all()
        # What the model predicts for the regenerated walks gives the accuracy that the program recorded.
        attention = run.attention(step=5, p=p, seed=seed)
        averaged = np.einsum("bl,blk->bk", attention[:, :-1], np.eye(4)[tokens])
        predicted = np.argmax(averaged @ run.value_matrix(step=5, p=p, seed=seed).T, axis=1)
        accuracy = float(run.metrics["accuracy"].sel(p=p, seed=seed, step=5))
        assert np.mean(predicted == targets) == pytest.approx(accuracy, abs=1e-6)


def test_the_mean_of_the_regenerated_attention_is_the_one_that_was_recorded(run, structures):
    for step, p in itertools.product((0, 2, 5), (0.5, 0.7, 1.0)):
        attention = run.attention(step=step, p=p, seed=1)
        assert attention.shape == (24, 6)
        np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(
            attention.mean(axis=0), run.mean_attention(step=step, p=p, seed=1), rtol=1e-5, atol=1e-7
        )
    for form in ("reduced", "full"):
        labels = dict(step=5, num_nodes=5, form=form, seed=0)
        attention = structures.attention(**labels)
        assert attention.shape == (24, 7)
        assert attention.dtype == np.float64
        np.testing.assert_allclose(attention.mean(axis=0), structures.mean_attention(**labels), atol=1e-10)


def test_attention_on_walks_of_the_caller_is_that_of_each_walk(run):
    labels = dict(step=5, p=0.7, seed=0)
    tokens, _ = run.walks("test", p=0.7, seed=0)
    whole = run.attention(**labels)
    np.testing.assert_allclose(run.attention(tokens[3:5], **labels), whole[3:5], rtol=1e-6)


def test_weights_that_are_given_as_attention_are_weights_or_refused(run):
    labels = dict(step=5, p=0.7, seed=0)
    even_N = np.full(6, 1 / 6)
    assert float(run.evaluate(attention=even_N, **labels)["parent_attention"]) == pytest.approx(1 / 6)
    for bad in (3 * even_N, -even_N, even_N * np.nan, np.eye(6)[0] * 2 - np.eye(6)[1]):
        with pytest.raises(rw_jax.RunError, match="weights of at least 0 that sum to 1") as refused:
            run.evaluate(attention=bad, **labels)
        assert_sentence(str(refused.value))


def test_tokens_that_are_no_walks_of_the_model_are_refused(run):
    labels = dict(step=5, p=0.7, seed=0)
    tokens, _ = run.walks("test", p=0.7, seed=0)
    for bad, words in (
        (tokens[:, :-1], ["[24, 4]", "[B, 5]"]),
        (tokens[0], ["[5]", "[B, 5]"]),
        (tokens[:0], ["[0, 5]", "[B, 5]", "at least 1"]),
        (tokens.astype(float), ["float64", "integers"]),
        (tokens + 1, ["1 to 4", "0..3"]),
        (tokens - 1, ["-1 to 2", "0..3"]),
    ):
        sentence = refused(run.attention, bad, **labels)
        for word in words:
            assert word in sentence
    assert "'train' or 'test'" in refused(run.walks, "training", p=0.7, seed=0)


def test_the_rebuilt_matrix_of_a_reduced_run_is_that_of_the_full_run_to_rounding(structures):
    assert not jax.config.jax_enable_x64  # that the run is in float64 is known to the reader from its config
    for num_nodes, seed, last in ((4, 0, 4), (4, 1, 4), (5, 0, 5), (5, 1, 5)):
        start, *_, end = matrices = [
            structures.key_query_matrix(form="full", step=step, num_nodes=num_nodes, seed=seed) for step in (0, 2, last)
        ]
        assert np.abs(end - start).max() > 1e-3
        for step, full in zip((0, 2, last), matrices, strict=True):
            labels = dict(step=step, num_nodes=num_nodes, seed=seed)
            rebuilt = structures.key_query_matrix(form="reduced", **labels)
            assert full.shape == rebuilt.shape == (num_nodes + 8, num_nodes + 8)
            assert full.dtype == rebuilt.dtype == np.float64
            np.testing.assert_allclose(rebuilt, full, atol=1e-10)
            np.testing.assert_allclose(
                structures.value_matrix(form="reduced", **labels),
                structures.value_matrix(form="full", **labels),
                atol=1e-10,
            )


def test_an_axis_of_one_label_and_fields_that_are_no_axes_may_be_given_or_left_out(structures):
    labels = dict(form="reduced", num_nodes=4, seed=0, step=2)
    expected = structures.params(**labels)
    for more in ({"p": 0.7}, {"position_width": 8}, {"p": 0.7, "init": "gaussian", "learning_rate": 0.5}):
        params = structures.params(**labels, **more)
        for name, array in expected.items():
            np.testing.assert_array_equal(params[name], array)
    assert "the run has p = 0.7" in refused(structures.params, **labels, p=0.6)


def test_a_zipped_cell_is_named_by_any_of_its_axes_or_all(structures):
    for labels in ({"num_nodes": 5}, {"walk_length": 7}, {"steps": 5}, {"num_nodes": 5, "walk_length": 7, "steps": 5}):
        assert structures.cell(form="full", seed=1, **labels).index == (1, 1, 0, 1)
    sentence = refused(structures.cell, form="full", seed=1, num_nodes=5, walk_length=6)
    assert "no cell has num_nodes = 5, walk_length = 6" in sentence
    assert "(4, 6, 4), (5, 7, 5)" in sentence


def test_labels_are_found_but_for_the_rounding_of_fractions_and_seeds_exactly(run):
    assert run.cell(p=0.1 * 7, seed=1).labels == {"p": 0.7, "seed": 1}
    assert run.cell(p=1, seed=np.int64(1)).labels == {"p": 1.0, "seed": 1}
    for label in (0.7001, "0.7", None, float("nan")):
        assert "0.5, 0.7, 1.0" in refused(run.cell, p=label, seed=1)
    with pytest.raises(rw_jax.ConfigError, match="differ by more than rounding"):
        tiny_study(p=(0.3, 0.1 + 0.2))
    large = run_of_study(tiny_study(p=(0.3, 0.31), seed=(2**31 - 2, 2**31 - 1)))
    assert large.cell(p=0.1 + 0.2, seed=2**31 - 2).index == (0, 0)
    assert large.cell(p=0.31, seed=2**31 - 1).index == (1, 1)


def test_what_is_not_there_is_refused_in_a_sentence_that_lists_what_there_is(run):
    for call in (run.params, run.value_matrix, run.key_query_matrix, run.mean_attention, run.attention):
        sentence = refused(call, step=5, p=0.6, seed=0)
        assert "p = 0.6" in sentence
        assert "0.5, 0.7, 1.0" in sentence
        sentence = refused(call, step=3, p=0.5, seed=0)
        assert "step is 3" in sentence
        assert "0, 2, 5" in sentence
    assert "0, 1" in refused(run.params, step=5, p=0.5)
    assert "p, seed" in refused(run.params, step=5, p=0.5, seed=0, probability=0.5)
    assert "num_nodes is 6, but this run has 4" in refused(run.params, step=5, p=0.5, seed=0, num_nodes=6)
    assert "p, seed" in refused(run.walks, "test", p=0.5, seed=0, eta=1)


def test_the_steps_of_a_cell_are_its_own_where_steps_is_an_axis(structures):
    assert structures.steps == (0, 2, 4, 5)
    assert "0, 2, 4" in refused(structures.params, step=5, steps=4, form="full", seed=0)
    assert "0, 2, 5" in refused(structures.params, step=4, steps=5, form="full", seed=0)


def test_a_long_list_of_labels_is_cut_in_the_middle():
    run = run_of_study(tiny_study(seed=tuple(range(1000))))
    sentence = refused(run.cell, seed=1000)
    assert "0, 1, 2" in sentence
    assert "..." in sentence
    assert "998, 999" in sentence
    assert len(sentence) < 200


def test_an_unfinished_run_opens_with_nan_where_it_is_not_finished(unfinished, run):
    assert unfinished.metrics["finished"].sel(seed=0).values.tolist() == [True, True, False]
    for name in NAMES:
        assert np.isnan(unfinished.metrics[name].sel(p=1.0)).all()
        xr.testing.assert_identical(unfinished.metrics[name].sel(p=[0.5, 0.7]), run.metrics[name].sel(p=[0.5, 0.7]))
    np.testing.assert_array_equal(
        unfinished.value_matrix(step=5, p=0.7, seed=1), run.value_matrix(step=5, p=0.7, seed=1)
    )
    sentence = refused(unfinished.params, step=5, p=1.0, seed=0)
    assert "not finished" in sentence
    assert "4 of its 6 cells" in sentence
    unfinished.walks("test", p=1.0, seed=0)  # walks need no chunk


def test_a_run_directory_of_which_only_the_config_is_written_opens(tmp_path):
    study = tiny_study(p=(0.5, 0.7))
    write_config(RunDir(tmp_path), study)
    run = rw_jax.load_run(tmp_path)
    assert run.config == study
    assert run.environment == {}
    assert not run.metrics["finished"].any()
    assert "accuracy" not in run.metrics  # nothing is known yet of what is measured


def test_a_run_directory_can_be_moved_and_reading_it_changes_nothing(values_run, run, tmp_path):
    shutil.copytree(values_run, tmp_path / "moved")
    before = contents(tmp_path / "moved")
    moved = rw_jax.load_run(str(tmp_path / "moved"))
    xr.testing.assert_identical(moved.metrics, run.metrics)
    np.testing.assert_array_equal(
        moved.key_query_matrix(step=5, p=0.7, seed=1), run.key_query_matrix(step=5, p=0.7, seed=1)
    )
    moved.attention(step=5, p=0.7, seed=1)
    assert contents(tmp_path / "moved") == before


def test_what_is_no_run_directory_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text(json.dumps({"schema": 4, "name": "x"}))
    assert "has no config.json" in refused(rw_jax.load_run, tmp_path)
    assert "has no config.json" in refused(rw_jax.load_run, tmp_path / "nowhere")
    assert "has no config.json" in refused(rw_jax.load_run, tmp_path / "file")
    assert "config.json is not as it was written" in refused(rw_jax.load_run, tmp_path / "broken")


def test_cells_of_each_structure_are_in_the_order_of_the_grid():
    structures = Grid(tiny_study(form=("full", "reduced"), seed=tuple(range(5)))).structures
    assert [structure.config.model.form for structure in structures] == ["full", "reduced"]
    assert [structure.cells.tolist() for structure in structures] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_the_last_step_is_taken_if_none_is_given(run, structures):
    np.testing.assert_array_equal(run.value_matrix(p=0.7, seed=1), run.value_matrix(step=5, p=0.7, seed=1))
    labels = dict(form="full", num_nodes=4, seed=0)
    np.testing.assert_array_equal(structures.key_query_matrix(**labels), structures.key_query_matrix(step=4, **labels))


def test_arrays_are_the_callers_own_and_changing_them_changes_no_later_answer(run):
    labels = dict(step=5, p=0.7, seed=1)
    calls = {
        "value": lambda: run.value_matrix(**labels),
        "params": lambda: run.params(**labels)["position_scores"],
        "attention": lambda: run.attention(**labels),
        "mean attention": lambda: run.mean_attention(**labels),
        "W": lambda: run.key_query_matrix(**labels),
        "walks": lambda: run.walks("test", p=0.7, seed=1)[0],
        "weights": lambda: run.walk_weights("test", p=0.7, seed=1),
        "transition": lambda: run.transition_matrix(p=0.7, seed=1),
    }
    for name, call in calls.items():
        before = call()
        kept = before.copy()
        before[:] = 0
        assert kept.any(), name
        np.testing.assert_array_equal(call(), kept)


def test_a_run_opened_by_a_relative_path_is_read_from_wherever_the_process_is(values_run, tmp_path, monkeypatch):
    monkeypatch.chdir(values_run.parent)
    run = rw_jax.load_run(values_run.name)
    monkeypatch.chdir(tmp_path)
    assert run.metrics["accuracy"].notnull().all()
    assert run.value_matrix(p=0.5, seed=0).shape == (4, 4)


def test_groups_are_the_finished_runs_that_differ_in_one_axis_alone(run, unfinished):
    groups = run.groups(over="seed")
    assert [group.labels for group in groups] == [{"p": 0.5}, {"p": 0.7}, {"p": 1.0}]
    for group in groups:
        assert [cell.labels["seed"] for cell in group.cells] == [0, 1]
        np.testing.assert_array_equal(group.metric("accuracy"), run.metrics["accuracy"].sel(p=group.labels["p"]))
        assert group.steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert [group.labels for group in run.groups(over="p", p=0.7)] == [{"seed": 0}, {"seed": 1}]
    assert [len(group.cells) for group in run.groups(over="p")] == [3, 3]
    assert [group.labels for group in unfinished.groups()] == [{"p": 0.5}, {"p": 0.7}]
    assert "No finished run has p = 1.0" in refused(unfinished.groups, p=1.0)
    assert "colour is no axis" in refused(run.groups, colour="red")


def test_the_transition_matrix_is_that_of_the_paper_in_float64(run):
    transition_KxK = run.transition_matrix(p=0.7, seed=0)
    assert transition_KxK.dtype == np.float64
    np.testing.assert_array_equal(transition_KxK, oracle.transition_matrix(4, 0.7))


@pytest.fixture(scope="module")
def population(sweep_once):
    """A run on all 128 walks of 6 states on 4 nodes."""
    return rw_jax.load_run(sweep_once(tiny_study(p=(0.3, 1.0), fields={"task.walks": "all", "task.test_walks": "all"})))


def test_averaged_tokens_are_the_attention_on_each_state(run):
    labels = {"step": 5, "p": 0.7, "seed": 1}
    tokens, _ = run.walks("test", p=0.7, seed=1)
    attention = run.attention(**labels)
    expected = [oracle.average_token(weights, walk, 4) for weights, walk in zip(attention, tokens, strict=True)]
    np.testing.assert_allclose(run.averaged_tokens(**labels), expected, rtol=1e-6)
    np.testing.assert_array_equal(run.averaged_tokens(tokens[:3], **labels), run.averaged_tokens(**labels)[:3])


def test_walks_that_were_sampled_weigh_alike_and_those_of_the_population_their_probability(run, population):
    assert (run.walk_weights("train", p=0.5, seed=0) == np.ones(16)).all()
    for split in ("train", "test"):
        walks = np.column_stack(population.walks(split, p=0.3))
        assert len(np.unique(walks, axis=0)) == 4 * 2**5
        expected = oracle.probabilities(walks, 4, 0.3)
        np.testing.assert_allclose(population.walk_weights(split, p=0.3), expected, rtol=1e-6)


def test_shares_of_transitions_on_the_population_count_walks_by_their_probability(population):
    (shares,) = transition_shares(population.groups(p=0.3)[0])
    np.testing.assert_allclose(shares, oracle.transition_matrix(4, 0.3), atol=1e-6)


def test_metrics_on_the_population_are_means_over_all_walks_by_their_probability(population):
    tokens, targets = population.walks("test", p=0.3)
    walks, labels = np.column_stack([tokens, targets]), {"step": 5, "p": 0.3}
    weights = oracle.probabilities(walks, 4, 0.3)
    outputs = population.averaged_tokens(**labels) @ population.value_matrix(**labels).T
    final = population.metrics.sel(step=5, p=0.3)
    assert float(final["accuracy"]) == pytest.approx(np.sum(weights * (outputs.argmax(axis=1) == targets)), rel=1e-5)
    loss = oracle.mean_loss(outputs, targets, weights, 0.1)
    assert float(final["train_loss"]) == pytest.approx(loss, rel=1e-5)
    assert float(final["optimal_accuracy"]) == pytest.approx(0.7, rel=1e-6)


def test_all_that_a_run_gives_is_the_callers_own_or_read_only(run):
    cell = {"p": 0.5, "seed": 1}
    give = {
        "params": lambda: run.params(**cell)["position_scores"],
        "value": lambda: run.value_matrix(**cell),
        "W": lambda: run.key_query_matrix(**cell),
        "mean attention": lambda: run.mean_attention(**cell),
        "attention": lambda: run.attention(**cell),
        "averaged tokens": lambda: run.averaged_tokens(**cell),
        "tokens": lambda: run.walks("test", **cell)[0],
        "targets": lambda: run.walks("test", **cell)[1],
        "weights": lambda: run.walk_weights("train", **cell),
        "Pi": lambda: run.transition_matrix(**cell),
        "metric of a group": lambda: run.groups(p=0.5)[0].metric("accuracy"),
        "steps of a group": lambda: run.groups(p=0.5)[0].steps,
    }
    for name, ask in give.items():
        before = ask().copy()
        ask()[...] = 9
        np.testing.assert_array_equal(ask(), before, err_msg=name)
    before = run.metrics
    for array in before.variables.values():
        with pytest.raises(ValueError, match="read-only"):
            array.values[...] = 0
    changed = run.metrics
    changed["accuracy"] = changed["accuracy"] * 0
    assert run.metrics.identical(before)
    run.environment["commit"] = run.environment["versions"]["jax"] = "another"
    assert "another" not in (run.environment["commit"], run.environment["versions"]["jax"])
    with pytest.raises(ValueError, match="read-only"):
        run.grid.structures[0].cells[0] = 9


WRONG_LABELS = [
    {"p": True, "seed": 0}, {"p": 0.5, "seed": True}, {"p": np.bool_(True), "seed": 0}, {"p": 10**400, "seed": 0},
    {"p": 0.5, "seed": 10**400}, {"p": [0.5], "seed": 0}, {"p": np.array([0.5, 1.0]), "seed": 0}, {"p": {}, "seed": 0},
    {"p": 0.5, "seed": "0"}, {"p": 0.5, "seed": None}, {"p": 0.5, "seed": 0, "steps": [5]},
    {"p": 0.5, "seed": 0, "num_nodes": np.array([4, 4])}, {"p": 0.5 + 0j, "seed": 0},
    *(
        {"p": 0.5, "seed": 0, "step": step}
        for step in (True, [2], np.array([0, 2]), "2", 10**400, 10**5000, 2.5, object())
    ),
]  # fmt: skip


@pytest.mark.parametrize("labels", WRONG_LABELS, ids=range(len(WRONG_LABELS)))
def test_what_is_no_label_is_refused_in_a_sentence(labels, run):
    for ask in (run.params, run.value_matrix, run.attention):
        refused(ask, **labels)


WRONG_TOKENS = [
    [[1, 2], [3]], "x", 5, {}, object(), [[0.5] * 5], [[True] * 5], [[10**400] * 5], [], [[0] * 4], [0] * 5, [[4] * 5],
    [[-1] * 5], np.ma.masked_array([[0] * 5], True),
]  # fmt: skip


@pytest.mark.parametrize("tokens", WRONG_TOKENS, ids=range(len(WRONG_TOKENS)))
def test_what_are_no_tokens_is_refused_in_a_sentence(tokens, run):
    for ask in (run.attention, run.averaged_tokens):
        assert "tokens" in refused(ask, tokens, p=0.5, seed=0)


def test_tokens_may_be_lists_or_tuples(run):
    tokens = run.walks("test", p=0.5, seed=0)[0]
    for given in (tokens.tolist(), tuple(map(tuple, tokens))):
        for ask in (run.attention, run.averaged_tokens):
            np.testing.assert_array_equal(ask(given, p=0.5, seed=0), ask(tokens, p=0.5, seed=0))


def test_other_arguments_are_checked_too(run):
    for given in (5, None, "", "gs://bucket/run", "a\0b", b"run"):
        with pytest.raises(rw_jax.ConfigError, match="must be the path of a local file or folder") as error:
            rw_jax.load_run(given)
        assert_sentence(str(error.value))
    for split in (5, ["test"], "all", np.array(["train", "test"])):
        assert "split is" in refused(run.walks, split, p=0.5, seed=0)
    for over in (5, ["seed"], "sed"):
        assert "is no axis of a grid" in refused(run.groups, over=over)
    for not_a_run in (5, "runs/sweep", None):
        for name in ("nope", 5, ["accuracy"]):
            assert "is no metric of this run" in refused(run.groups()[0].metric, name)
        assert "axis is 'nope'" in refused(plots.success_against, run, "nope")
        for ask in (plots.curves, plots.value_matrices, plots.success_against, plots.main_axis):
            assert "but must be a Run" in refused(ask, not_a_run)
    for given in (5, None, {"task": 1}):
        with pytest.raises(rw_jax.ConfigError, match="must be a ConfigDict"):
            rw_jax.sweep(given, "run")


def test_a_run_opened_by_a_relative_path_stays_where_it_is(values_run, tmp_path, monkeypatch):
    monkeypatch.chdir(values_run.parent)
    run = rw_jax.load_run(values_run.name)
    monkeypatch.chdir(tmp_path)
    assert run.metrics["accuracy"].notnull().all()
    assert run.params(p=0.5, seed=0)


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_run_whose_directory_was_moved_or_deleted_says_so(values_run, tmp_path, is_gone):
    shutil.copytree(values_run, tmp_path / "run")
    run = rw_jax.load_run(tmp_path / "run")
    assert run.params(p=0.5, seed=0)
    (tmp_path / "run").rename(tmp_path / "moved")
    if is_gone:
        shutil.rmtree(tmp_path / "moved")
    for ask in (lambda: run.metrics, lambda: run.params(p=0.7, seed=1), run.summary):
        with pytest.raises(RunError, match="is no run directory any more; open the run where it is now") as refused:
            ask()
        assert_sentence(str(refused.value))


def test_a_run_is_pickled_as_its_path_alone(values_run):
    run = rw_jax.load_run(values_run)
    run.attention(p=0.5, seed=0)
    _ = run.metrics
    whole = pickle.dumps(run)
    assert len(whole) < 1000
    again = pickle.loads(whole)
    assert again.metrics.identical(run.metrics)
    np.testing.assert_array_equal(again.attention(p=0.5, seed=0), run.attention(p=0.5, seed=0))


def test_a_run_shows_what_a_person_wants_to_know(run, unfinished):
    lines = repr(run).splitlines()
    assert lines[0] == f"Run 'tiny' in {run.run_dir.path}: 6 of 6 runs finished"
    assert [line.strip() for line in lines[1:3]] == ["p: 3 labels, 0.5 to 1", "seed: 2 labels, 0 to 1"]
    assert "K = 4, N = 6" in lines[3]
    assert "p = " not in lines[3]
    assert lines[4].strip() == "metrics at 6 steps, 0 to 5; parameters at 0, 2, 5"
    assert "4 of 6 runs finished" in repr(unfinished)
    assert "<b>Run &#x27;tiny&#x27; in " in run._repr_html_()


def test_a_run_stays_as_it_was_read_until_it_is_read_again(unfinished, values_run, sweep_once, values_study):
    assert int(unfinished.metrics["finished"].sum()) == 4
    sweep_once(values_study, unfinished.run_dir.path)
    assert int(unfinished.metrics["finished"].sum()) == 4
    again = unfinished.reload()
    assert again.metrics.identical(rw_jax.load_run(values_run).metrics)


def test_the_summary_is_over_the_axis_that_is_asked_for(run):
    rows = run.summary(over="p", seed=1)
    assert (rows["seed"].tolist(), rows["seeds"].tolist()) == ([1], [3])
    expected = run.metrics["accuracy"].sel(seed=1, step=5).mean().item()
    assert rows["accuracy"].item() == pytest.approx(expected)


def test_threads_may_read_at_the_same_time_and_leave_the_process_as_it_was(values_run):
    hook = threading.excepthook
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda seed: rw_jax.load_run(values_run).params(p=0.5, seed=seed % 2)["value"], range(8)))
    assert threading.excepthook is hook
    expected = [rw_jax.load_run(values_run).params(p=0.5, seed=seed)["value"] for seed in (0, 1)]
    for number, value in enumerate(read):
        np.testing.assert_array_equal(value, expected[number % 2])
