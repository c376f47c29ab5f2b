"""The page of a run: its numbers against load_run and slow NumPy, and the page itself in a browser."""

import csv
import re
import shutil
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
from playwright import sync_api

import rw_jax
from rw_jax.analysis.replay import Replays
from rw_jax.explorer import blocks, fitting, missing, page
from rw_jax.explorer.data import gather
from rw_jax.explorer.numbers import ALL_ALIKE, LEFT_OUT, SHOWN, SPREAD, UNFINISHED, Axis, Block, Numbers, others_of
from rw_jax.study.errors import RunError
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Grid, kept_steps
from rw_jax.theory import closed_forms
from rw_jax.training.grids import make_grid
from tests.made_up import random_run, small
from tests.tiny import assert_sentence, chunk_of, tiny_study

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


def study_of(**axes):
    """K = 4, N = 9 = 2 K + 1: at p = 1 walks are two whole rounds. One program, whatever the axes."""
    fields = {"task.walk_length": 9, "model.position_width": 100, "task.walks": 200, "task.test_walks": 50}
    return tiny_study(fields={**fields, "training.learning_rate": 1.0, "execution.cells_per_chunk": 3}, **axes)


@pytest.fixture(scope="module")
def study(sweep_once) -> Path:
    """Nine runs, in chunks of three; those of p = 1 fail, and one of p = 0.7."""
    return sweep_once(study_of(p=(0.7, 0.9, 1.0), seed=(0, 1, 2)))


@pytest.fixture(scope="module")
def run(study):
    return rw_jax.load_run(study)


@pytest.fixture(scope="module")
def numbers(run):
    return gather(run)


def every_run(numbers, run):
    """(block, row, labels) of every run on a page."""
    for block in numbers.blocks:
        for row, number in enumerate(block.cells):
            yield block, row, run.grid.cell(number).labels


# ---- Numbers --------------------------------------------------------------------------------------------------------


def test_matrices_attention_scores_and_metrics_are_those_of_load_run(numbers, run):
    metrics, seen = run.metrics, 0
    for block, row, labels in every_run(numbers, run):
        for s, step in enumerate(block.kept):
            params = run.params(step=step, **labels)
            np.testing.assert_array_equal(block.arrays["value"][row, s], params["value"])
            np.testing.assert_array_equal(block.arrays["scores"][row, s], params["state_scores"])
            np.testing.assert_array_equal(block.arrays["attention"][row, s], run.mean_attention(step=step, **labels))
        of_run = metrics.sel(labels)
        assert list(of_run["step"].values) == list(block.recorded)
        for name, metric in (("accuracy", "expected_accuracy"), ("parent_attention",) * 2, ("train_loss",) * 2):
            np.testing.assert_array_equal(block.arrays[name][row], of_run[metric].values.astype(np.float32))
        np.testing.assert_array_equal(block.arrays["failed"][row], of_run["predicts_optimally"].values != 1)
        lags = np.where(of_run["attention_spread"] <= SPREAD, ALL_ALIKE, of_run["highest_lag"])
        np.testing.assert_array_equal(block.arrays["lag"][row], lags)
        np.testing.assert_allclose(
            block.arrays["law"][block.arrays["setting"][row]], run.target_law(**labels), rtol=1e-6
        )
        seen += 1
    assert seen == run.grid.num_cells == 9
    assert numbers.status.tolist() == [SHOWN] * 9
    assert {ALL_ALIKE, 1} <= set(block.arrays["lag"].ravel().tolist())


def slow_split(run, step, labels):
    """The two accuracies of a run at a step, walk by walk."""
    tokens, _ = run.walks("test", **labels)
    value, law = run.value_matrix(step=step, **labels).astype(float), run.transition_matrix(**labels)
    attention = run.attention(tokens, step=step, **labels).astype(float)
    with_parent = with_law = 0.0
    for walk, weights in zip(tokens, attention, strict=True):
        output = sum(weight * law[token] for weight, token in zip(weights[:-1], walk, strict=True))
        with_law += law[walk[-1], np.argmax(np.round(output, 6))]
        with_parent += law[walk[-1], np.argmax(value[:, walk[-1]])]
    return with_parent / len(tokens), with_law / len(tokens)


def test_selection_and_transition_are_judged_as_walk_by_walk(numbers, run):
    for block, row, labels in every_run(numbers, run):
        for s, step in enumerate(block.kept):
            found = block.arrays["with_parent"][row, s], block.arrays["with_law"][row, s]
            np.testing.assert_allclose(found, slow_split(run, step, labels), atol=1e-6)


def test_what_counts_as_right_is_told_with_them(numbers, run):
    for block, row, labels in every_run(numbers, run):
        p = run.transition_matrix(**labels).max()
        assert block.arrays["tolerance"][row] == pytest.approx(np.clip(p * (1 - p) / 10, 1e-6, 1e-3), rel=1e-6)


def test_selection_and_transition_are_those_of_interventions(numbers, run):
    labels = run.grid.cell(4).labels
    block, row, _ = next(each for each in every_run(numbers, run) if each[2] == labels)
    on_parent = run.evaluate(step=5, attention="parent", **labels)["expected_accuracy"]
    np.testing.assert_allclose(block.arrays["with_parent"][row, -1], on_parent, atol=1e-6)
    law = {"value": run.transition_matrix(**labels).T}
    of_law = run.evaluate(step=5, params=law, **labels)["expected_accuracy"]
    np.testing.assert_allclose(block.arrays["with_law"][row, -1], of_law, atol=1e-6)


def test_a_prediction_that_ties_is_the_smallest_state_and_no_number_is_none():
    law = np.array([[0.2, 0.8], [0.7, 0.3]])
    outputs = np.array([[[1.0, 1.0], [0.0, 2.0]], [[1.0, 1.0 + 1e-7], [0.0, 1.0]], [[np.nan, 1.0], [0.0, 1.0]]])
    rest = (law, np.array([0, 1]), np.array([1.0, 3.0]))
    of_tie, of_other = (0.2 + 3 * 0.3) / 4, (0.8 + 3 * 0.3) / 4
    np.testing.assert_allclose(blocks.expected_accuracy(outputs, *rest), [of_tie, of_other, np.nan])
    np.testing.assert_allclose(blocks.expected_accuracy(outputs, *rest, tie=1e-6), [of_tie, of_tie, np.nan])


def test_amplitudes_are_those_of_the_circle_and_leave_out_nothing_but_their_twins():
    p, K = 0.7, 5
    law = np.zeros((K, K))
    for i in range(K):
        law[i, (i + 1) % K], law[i, (i - 1) % K] = p, 1 - p
    angle = 2 * np.pi * np.arange(K) / K
    eigenvalues = np.abs(p * np.exp(1j * angle) + (1 - p) * np.exp(-1j * angle)) / np.linalg.norm(law)
    found = blocks.amplitudes(np.stack([law.T, 3 * law.T]))
    np.testing.assert_allclose(found, [eigenvalues[:3]] * 2, atol=1e-12)
    np.testing.assert_allclose(eigenvalues[3:], eigenvalues[[2, 1]])
    assert np.isnan(blocks.amplitudes(np.zeros((2, 2)))).all()


def test_c_is_that_of_the_closed_form_from_0_to_1_and_0_where_all_are_alike(numbers, run):
    for block, row, labels in every_run(numbers, run):
        exact = closed_forms.token_correlations(4, labels["p"], 9)
        exact = 0 * exact if labels["p"] == 1 else (exact - exact.min()) / np.ptp(exact)
        found = block.arrays["correlations"][block.arrays["setting"][row]]
        np.testing.assert_allclose(found, exact, atol=1e-5)


@pytest.mark.slow
def test_runs_of_several_structures_are_in_blocks_and_the_full_form_splits_as_the_reduced_one(structures_run):
    run = rw_jax.load_run(structures_run)
    found = gather(run)
    assert sorted(number for block in found.blocks for number in block.cells) == list(range(run.grid.num_cells))
    assert [axis.names[0] for axis in found.axes] == [dimension.name for dimension in run.grid.dimensions]
    by_form = {"reduced": {}, "full": {}}
    for block, row, labels in every_run(found, run):
        assert block.arrays["value"].shape[2:] == (block.num_nodes,) * 2 == (labels["num_nodes"],) * 2
        assert block.kept == kept_steps(run.cell(**labels).config)
        form, rest = labels["form"], tuple((axis, label) for axis, label in labels.items() if axis != "form")
        by_form[form][rest] = np.stack([block.arrays[name][row] for name in ("with_parent", "with_law")])
        assert ("scores" in block.missing) == (form == "full")
        assert "from zero weights" in block.missing["correlations"]
    for rest, split in by_form["reduced"].items():
        np.testing.assert_allclose(by_form["full"][rest], split, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "of_value", "of_lag"),
    [
        ({}, "", ""),
        ({"model.form": "full"}, "", ""),
        ({"model.heads": 2}, "The model has 2 heads.", "The model has 2 heads."),
        ({"model.feed_forward_width": 3}, "The model has a feed-forward layer.", "The model has a feed-forward layer."),
        ({"model.position_place": "added"}, "Positions are added to tokens.", "Positions are added to tokens."),
        (
            {"model.embedding": "random", "model.embedding_width": 4},
            "Embeddings of tokens are not one-hot.",
            "Embeddings of tokens are not one-hot.",
        ),
        ({"model.form": "decoder"}, "The model is of the form 'decoder'.", "The model is of the form 'decoder'."),
        ({"training.loss": "hinge"}, "", "but the loss is 'hinge'."),
        ({"model.init": "gaussian"}, "", "but training does not start from zero weights."),
        ({"training.stages": "2: p=0.9"}, "", "but training has several stages."),
    ],
)
def test_models_and_trainings_that_are_not_those_of_the_theory_are_named(fields, of_value, of_lag):
    config = tiny_study(fields=fields)
    replay = Replays(make_grid(config)).of(Grid(config).cell(0))
    assert missing.unlike_the_paper(config, replay.multiplies_average) == of_value
    first_steps = missing.unlike_the_first_steps(replay, replay.multiplies_average)
    assert first_steps.endswith(of_lag)
    assert bool(first_steps) == bool(of_lag)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "missing", "words"),
    [
        ({"model.feed_forward_width": 3}, {"value", "split", "correlations"}, "a feed-forward layer"),
        ({"model.heads": 2}, {"value", "split", "correlations", "scores"}, "2 heads"),
        ({"training.loss": "hinge"}, {"correlations"}, "the loss is 'hinge'"),
        ({"task.name": "lagged", "task.options.lag": 2},
         {"law", "split", "correlations"}, "The last token alone does not tell"),
    ],
)  # fmt: skip
@in_browser
def test_what_a_run_does_not_have_is_left_out_with_a_sentence(fields, missing, words, sweep_once, opened, tmp_path):
    numbers = gather(rw_jax.load_run(sweep_once(tiny_study(seed=(0, 1), fields=fields))))
    found = numbers.blocks[0]
    assert set(found.missing) == missing
    assert any(words in sentence for sentence in found.missing.values())
    (tmp_path / "explore.html").write_text(page.page(numbers))
    text = opened(tmp_path / "explore.html").inner_text(".panels")
    for sentence in found.missing.values():
        assert_sentence(sentence)
        assert sentence in text or "law" in found.missing


def test_thinning_keeps_every_failure_and_seeds_of_every_setting_at_equal_distances():
    run = random_run(small(p=(0.5, 0.7), seed=tuple(range(60))))
    cells, metrics = list(run.grid.cells()), run.metrics
    last = metrics.isel(step=-1)
    failed = ((last["predicts_optimally"] != 1) | (last["parent_is_highest"] != 1)).values.ravel()
    assert 10 < failed.sum() < 110
    room = fitting.size_of(cells[0].config, len(others_of(metrics))) * (failed.sum() + 0.4 * (~failed).sum())
    kept = [cell.number for cell in fitting.thinned(metrics, cells, int(room) + fitting.PAGE)]
    assert set(np.flatnonzero(failed)) <= set(kept)
    share = (len(kept) - failed.sum()) / (~failed).sum()
    assert 0.3 < share <= 0.4
    for p in range(2):
        others = [i for i in range(60 * p, 60 * p + 60) if not failed[i]]
        gaps = np.diff([others.index(i) for i in kept if i in others])
        assert set(gaps) <= {2, 3}
    only = [cell.number for cell in fitting.thinned(metrics, cells, 0)]
    assert len(only) == failed.sum() + 2
    assert fitting.thinned(metrics, cells, fitting.LARGEST_PAGE) == cells


def test_a_thinned_page_says_so(run):
    found = gather(run, limit=0)
    failed = ~(run.metrics.isel(step=-1)[["predicts_optimally", "parent_is_highest"]].to_array() == 1).all("variable")
    assert (found.status[failed.values.ravel()] == SHOWN).all()
    left_out = int((found.status == LEFT_OUT).sum())
    assert 0 < left_out == 9 - sum(len(block.cells) for block in found.blocks)
    assert f"{left_out} of 9 runs are left out" in found.notes[0]
    assert "every run that failed is kept" in found.notes[0]


@pytest.fixture
def unfinished(study, tmp_path) -> Path:
    """A copy of the study before the runs of p = 0.9 were trained."""
    copy = Path(shutil.copytree(study, tmp_path / "unfinished"))
    for name in ("metrics.nc", "products.json"):
        (copy / name).unlink(missing_ok=True)
    shutil.rmtree(chunk_of(copy, p=0.9, seed=2))
    return copy


def test_an_unfinished_run_shows_what_there_is_and_an_empty_one_is_refused(unfinished):
    found = gather(rw_jax.load_run(unfinished))
    assert found.status.tolist() == [SHOWN] * 3 + [UNFINISHED] * 3 + [SHOWN] * 3
    assert found.notes == ("3 of 9 runs are not finished.",)
    shutil.rmtree(unfinished / "chunks")
    with pytest.raises(RunError, match="nothing to see") as refused:
        gather(rw_jax.load_run(unfinished))
    assert_sentence(str(refused.value))


# ---- The page -------------------------------------------------------------------------------------------------------


def test_the_page_is_the_same_bytes_whenever_it_is_made(numbers):
    first = page.page(numbers)
    page.figures(numbers)  # whatever else the process draws
    assert page.page(numbers) == first


def test_only_the_page_imports_bokeh():
    package = Path(rw_jax.__file__).parent
    importing = [
        path for path in package.rglob("*.py") if re.search(r"^\s*(from|import) bokeh", path.read_text(), re.M)
    ]
    assert importing == [Path(page.__file__)]


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """Opens a page, at a width, without a network; whatever it asks for or complains of fails the test."""
    wrong, contexts = [], []

    def route(asked):
        if asked.request.url.split(":")[0] in ("file", "data", "blob"):
            asked.continue_()
        else:
            wrong.append(asked.request.url)
            asked.abort()

    def open_page(path: Path, address: str = "", width: int = 1280):
        context = chromium.new_context(offline=True, viewport={"width": width, "height": 900})
        contexts.append(context)
        context.route("**/*", route)
        shown = context.new_page()
        shown.on("console", lambda said: said.type in ("error", "warning") and wrong.append(said.text))
        shown.on("pageerror", lambda error: wrong.append(str(error)))
        shown.goto(path.as_uri() + address)
        shown.wait_for_selector("body[data-ready]")
        return shown

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture(scope="module")
def path(run, tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("page") / "explore.html"
    page.write(run, where)
    return where


def told(shown) -> dict[str, float]:
    """The numbers of the chosen run, as the page tells them."""
    texts = shown.eval_on_selector_all("[data-number]", "all => all.map(one => [one.dataset.number, one.textContent])")
    return {name: float(text) if text != "–" else np.nan for name, text in texts}


def slide(shown, name: str, place: int) -> None:
    """Moves a slider as a hand does."""
    shown.eval_on_selector(
        f"#slider-{name}", "(slider, at) => { slider.value = at; slider.dispatchEvent(new Event('input')); }", place
    )


def saved(shown, panel: str, kind: str) -> str:
    with shown.expect_download() as download:
        shown.get_by_role("button", name=f"Save {panel} as {kind}", exact=True).click()
    return Path(download.value.path()).read_text()


@in_browser
def test_sliders_show_the_numbers_of_load_run(opened, path, run):
    shown, metrics = opened(path), run.metrics
    for i, (p, seed, step) in enumerate([(0.7, 0, 5), (0.9, 2, 2), (1.0, 1, 0), (1.0, 2, 5), (0.7, 1, 2)]):
        for name, place in (("p", (0.7, 0.9, 1.0).index(p)), ("seed", seed), ("step", (0, 2, 5).index(step))):
            slide(shown, name, place)
        of_run, found = metrics.sel(p=p, seed=seed, step=step), told(shown)
        for name, metric in (("accuracy", "expected_accuracy"), ("optimum", "optimal_accuracy"),
                             ("parent_attention",) * 2, ("train_loss",) * 2):  # fmt: skip
            np.testing.assert_allclose(found[name], of_run[metric], rtol=1e-3, err_msg=f"{name} of {i}")
        for name, metric in (("to_law", "value_direction_error"), ("to_root", "value_sqrt_direction_error")):
            np.testing.assert_allclose(found[name], of_run[metric], rtol=1e-3)
        np.testing.assert_allclose((found["with_parent"], found["with_law"]),
                                   slow_split(run, step, {"p": p, "seed": seed}), rtol=1e-3)  # fmt: skip
        if of_run["attention_spread"] > SPREAD:
            assert found["lag"] == of_run["highest_lag"]
        optimal = of_run["predicts_optimally"] == 1
        assert ("It predicts optimally" if optimal else "does not predict optimally") in shown.inner_text("#why")
        assert f"step={step}" in shown.url
        assert f"p={p:g}&seed={seed}" in shown.url


@in_browser
def test_what_is_shown_is_saved_as_tables_with_the_numbers_of_load_run(opened, path, run):
    labels = {"p": 0.9, "seed": 1}
    shown = opened(path, "#p=0.9&seed=1&step=5")
    rows = list(csv.DictReader(saved(shown, "attention", "CSV").splitlines()))
    found = [float(row["mean_attention"]) for row in rows]
    np.testing.assert_allclose(found, run.mean_attention(step=5, **labels), rtol=1e-6)
    assert [int(row["lag"]) for row in rows] == list(range(8, -1, -1))
    rows = list(csv.DictReader(saved(shown, "value", "CSV").splitlines()))
    value, law = run.value_matrix(step=5, **labels), run.transition_matrix(**labels).T
    for row in rows:
        y, s = int(row["to_y"]), int(row["from_s"])
        own, exact = value[y, s] / np.linalg.norm(value), law[y, s] / np.linalg.norm(law)
        np.testing.assert_allclose(float(row["value"]), own, rtol=1e-5)
        np.testing.assert_allclose(float(row["value_minus_transition"]), own - exact, atol=1e-6)
        root = np.sqrt(law)[y, s] / np.linalg.norm(np.sqrt(law))
        np.testing.assert_allclose(float(row["value_minus_root"]), own - root, atol=1e-6)
    assert len(rows) == 16
    rows = list(csv.DictReader(saved(shown, "runs", "CSV").splitlines()))
    assert [(float(row["p"]), int(row["seed"])) for row in rows] == [
        (p, seed) for p in (0.7, 0.9, 1) for seed in range(3)
    ]
    for row in rows:
        of_run = run.metrics.sel(p=float(row["p"]), seed=int(row["seed"]), step=5)
        assert int(row["failed"]) == (of_run["predicts_optimally"] != 1)
    rows = list(csv.DictReader(saved(shown, "curves", "CSV").splitlines()))
    own = [float(row["train_loss"]) for row in rows if row["seed"] == "1"]
    np.testing.assert_allclose(own, run.metrics["train_loss"].sel(**labels), rtol=1e-6)
    for panel in ("correlations", "split", "spectrum", "scores"):
        assert len(saved(shown, panel, "CSV").splitlines()) > 2


@in_browser
def test_every_other_metric_can_be_chosen_with_its_meaning_and_its_unit(opened, path, run):
    labels = {"p": 0.9, "seed": 1}
    shown = opened(path, "#p=0.9&seed=1&step=5&metric=log_other_attention")
    names = shown.eval_on_selector_all("#other-metric option", "all => all.map(one => one.textContent)")
    one_number = {str(name) for name, of in run.metrics.data_vars.items() if of.dims == ("p", "seed", "step")}
    assert {name.replace(" ", "_") for name in names} == one_number - {
        *("train_loss", "expected_accuracy", "parent_attention")
    }
    for name in ("log_other_attention", "kl_divergence", "value_direction_error"):
        shown.get_by_label("Metric").select_option(label=name.replace("_", " "))
        of_run = run.metrics[name].sel(labels)
        rows = list(csv.DictReader(saved(shown, "other", "CSV").splitlines()))
        assert len(rows) == 3 * 6
        own = [float(row[name]) for row in rows if row["seed"] == "1"]
        np.testing.assert_allclose(own, of_run, rtol=1e-6)
        panel = shown.inner_text('[data-panel="other"]')
        assert of_run.attrs["long_name"][1:] in panel
        assert "at step 5" in panel
        assert f"metric={name}" in shown.url
        unit = shown.evaluate("""() => [...Bokeh.index.roots].find((view) => view.model.name === "other figure")
            .model.left[0].axis_label""")
        assert unit == name.replace("_", " ") + (" / nats" if of_run.attrs["units"] == "nats" else "")


@in_browser
def test_what_is_shown_is_saved_as_pictures(opened, path):
    shown = opened(path, "#p=0.9&seed=1&step=5")
    for panel, words, num_figures in (("value", "to state y", 5), ("runs", "seed", 1), ("curves", "gradient steps", 3)):
        picture = xml.etree.ElementTree.fromstring(saved(shown, panel, "SVG"))
        assert picture.tag == "{http://www.w3.org/2000/svg}svg"
        assert len(picture.findall("{http://www.w3.org/2000/svg}svg")) == num_figures
        text = " ".join(picture.itertext())
        assert words in text
        assert "p = 0.9, seed = 1, step 5" in text


@in_browser
@pytest.mark.slow
def test_the_address_restores_the_choice(opened, path):
    first = opened(path, "#p=0.9&seed=2&step=2")
    assert "p=0.9&seed=2&step=2" in first.url
    values = first.eval_on_selector_all(
        "input[type=range]", "all => all.map(one => one.getAttribute('aria-valuetext'))"
    )
    assert values == ["step 2", "p 0.9", "seed 2"]
    assert "step 2" in first.inner_text("#why")
    slide(first, "seed", 0)
    second = opened(path, "#" + first.url.split("#")[1])
    assert told(second) == pytest.approx(told(first), nan_ok=True)
    second.evaluate("location.hash = 'p=0.7&seed=1&step=5'")
    second.wait_for_function("document.getElementById('why').textContent.includes('p = 0.7, seed = 1')")
    nonsense = opened(path, "#p=7&seed=none&step=x")
    assert "At step 5 this run" in nonsense.inner_text("#why")


@in_browser
def test_everything_can_be_done_with_the_keyboard(opened, path):
    shown = opened(path, "#p=0.7&seed=0&step=5")
    names = []
    for _ in range(44):
        shown.keyboard.press("Tab")
        names.append(shown.evaluate("document.activeElement.getAttribute('aria-label')"))
    panels = ("runs", "attention", "correlations", "value", "split", "spectrum", "curves", "other", "scores")
    wanted = ["step", "p", "seed", *(f"Save {panel} as {kind}" for panel in panels for kind in ("SVG", "CSV"))]
    assert {*wanted, "Map of runs: arrow keys choose a run"} <= set(names)
    shown.focus("#map")
    for key, ending in (("ArrowRight", "p=0.9&seed=0"), ("ArrowDown", "p=0.9&seed=1"), ("End", "p=1&seed=1"),
                        ("ArrowUp", "p=1&seed=0"), ("ArrowUp", "p=1&seed=0"), ("Home", "p=0.7&seed=0")):  # fmt: skip
        shown.keyboard.press(key)
        assert f"#{ending}&step=5" in shown.url
    shown.focus("#slider-step")
    shown.keyboard.press("ArrowLeft")
    assert shown.url.endswith("step=2")


@in_browser
def test_a_click_on_the_map_chooses_a_run(opened, path):
    shown = opened(path, "#p=0.7&seed=0&step=5")
    place = shown.evaluate(
        """() => {
          const view = [...Bokeh.index.roots].find((view) => view.model.name === "runs figure");
          const box = view.el.getBoundingClientRect(), frame = view.frame;
          return [box.x + frame.x_scale.compute(1), box.y + frame.y_scale.compute(2)];
        }"""
    )
    shown.mouse.click(*place)
    shown.wait_for_function("location.hash.startsWith('#p=0.9&seed=2')")


@in_browser
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_scrolls_sideways_or_sticks_out(opened, path, width):
    shown = opened(path, width=width)
    shown.wait_for_timeout(200)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    out = shown.eval_on_selector_all(
        "body *:not(.bk-GlyphRenderer)",  # these have no place of their own
        "(all, width) => all.filter((one) => one.getBoundingClientRect().right > width + 1).map((one) => one.id)",
        width,
    )
    assert not out
    clipped = shown.eval_on_selector_all(
        ".plots > div", "all => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.id)"
    )
    assert not clipped
    sizes = shown.eval_on_selector_all("[data-figure]", "all => all.map((one) => [one.clientWidth, one.clientHeight])")
    assert len(sizes) == 15
    assert all(each > 150 and high > 140 for each, high in sizes)


@in_browser
@pytest.mark.slow
def test_runs_that_are_not_finished_or_not_on_the_page_are_told(opened, unfinished, run, tmp_path):
    page.write(rw_jax.load_run(unfinished), unfinished / "explore.html")
    shown = opened(unfinished / "explore.html", "#p=0.9&seed=2")
    assert "This run is not finished." in shown.inner_text("#why")
    assert shown.inner_text("#notes") == "3 of 9 runs are not finished."
    assert shown.locator(".panels [data-panel]:visible").count() == 0
    slide(shown, "p", 0)
    assert "At step 5 this run (p = 0.7, seed = 2)" in shown.inner_text("#why")
    found = gather(run, limit=0)
    (tmp_path / "thin.html").write_text(page.page(found))
    cell = run.grid.cell(int(np.flatnonzero(found.status == LEFT_OUT)[0])).labels
    shown = opened(tmp_path / "thin.html", f"#p={cell['p']}&seed={cell['seed']}")
    assert "This run is left out of the page." in shown.inner_text("#why")
    assert "runs are left out" in shown.inner_text("#notes")


@in_browser
@pytest.mark.slow
def test_one_run_alone_and_runs_with_other_axes_are_shown(opened, sweep_once, tmp_path):
    alone = rw_jax.load_run(sweep_once(study_of()))
    page.write(alone, tmp_path / "alone.html")
    shown = opened(tmp_path / "alone.html")
    np.testing.assert_allclose(told(shown)["accuracy"], alone.metrics["expected_accuracy"].values[-1], rtol=1e-3)
    assert shown.inner_text("#why").startswith("At step 5 this run attends")
    labels = {"learning_rate": 0.5, "epsilon": 0.2, "seed": 1}
    several = rw_jax.load_run(sweep_once(study_of(learning_rate=(1.0, 0.5, 0.25), epsilon=(0.1, 0.2), seed=(0, 1))))
    page.write(several, tmp_path / "several.html")
    shown = opened(tmp_path / "several.html", "#learning_rate=1&epsilon=0.1&seed=0")
    shown.get_by_label("ε").select_option(label="ε = 0.2")
    slide(shown, "seed", 1)
    slide(shown, "η", 1)
    assert "#epsilon=0.2&learning_rate=0.5&seed=1&step=5" in shown.url
    for name in ("train_loss", "parent_attention"):
        np.testing.assert_allclose(told(shown)[name], several.metrics[name].sel(**labels, step=5), rtol=1e-3)


@pytest.mark.slow
@in_browser
def test_a_sweep_of_336_runs_is_small_and_there_soon(opened, tmp_path):
    """A second on a machine that has nothing else to do; here there may be others, so that it may take six."""
    rng, (C, T, S, K, N) = np.random.default_rng(0), (336, 51, 6, 6, 97)
    axes = (Axis(("p",), "p", *(tuple(f"{i / 20:g}" for i in range(21)),) * 2),
            Axis(("seed",), "seed", *(tuple(map(str, range(16))),) * 2))  # fmt: skip
    shapes = {"accuracy": (C, T), "parent_attention": (C, T), "train_loss": (C, T), "optimum": (C,),
              "attention": (C, S, N), "scores": (C, S, K), "value": (C, S, K, K), "value_spectrum": (C, S, 4),
              "law": (21, K, K), "law_spectrum": (21, 4), "root_spectrum": (21, 4), "correlations": (21, N - 1),
              "with_parent": (C, S), "with_law": (C, S)}  # fmt: skip
    arrays = {name: rng.uniform(size=shape).astype(np.float32) for name, shape in shapes.items()}
    arrays |= {
        "lag": rng.integers(0, N, (C, T)).astype(np.int16),
        "failed": rng.integers(0, 2, (C, T)).astype(np.uint8),
    }
    arrays["setting"] = np.repeat(np.arange(21), 16).astype(np.uint32)
    block = Block(np.arange(C), K, N, 1, tuple(range(T)), (0, 1, 2, 3, 10, 50), arrays, {})
    status = np.ones(C, np.uint8)
    made = Numbers("many", ("K = 6",), axes, 0, 1, status, (block,), "expected_accuracy", "loss", "failed", (), ())
    content = page.page(made)
    (tmp_path / "many.html").write_text(content)
    estimate = fitting.PAGE + C * fitting.size_of(from_config_dict(rw_jax.base_config()))
    assert 0.7 * estimate < len(content) < estimate < 4e6
    assert float(opened(tmp_path / "many.html").evaluate("document.body.dataset.ready")) < 6000
