"""Verdicts and figures of the paper on made-up measurements, so that it is known what they must say."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from ml_collections import config_dict

from rw_jax import Run, read_config
from rw_jax.analysis.plots import drawing
from rw_jax.study.config import Config
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import recorded_steps
from studies import pages
from studies.claim import Claim, judge, judge_all, of_seeds
from studies.figures_of_the_paper import gaussian
from studies.figures_of_the_paper.overview import PANELS, Curve, overview
from studies.figures_of_the_paper.report import FIGURES, study
from studies.sweeps import StudyCommand
from tests.made_up import source_of

FILES = {sweep.name: sweep.file for sweep in study().sweeps}
"""The config file of each sweep."""


class MadeUpRun(Run):
    """A run whose metrics are given, and whose arrays come from functions of the step."""

    arrays: dict[str, Callable[[int], np.ndarray]]

    def value_matrix(self, *, step, **labels):
        return self.arrays["value"](step)

    def averaged_tokens(self, tokens=None, *, step, **labels):
        return self.arrays["averaged"](step)

    def walks(self, split, **labels):
        return self.arrays["walks"](0)[:, :-1], self.arrays["walks"](0)[:, -1]

    def walk_weights(self, split, **labels):
        return np.ones(len(self.arrays["walks"](0)))


def made_up(config: config_dict.ConfigDict, metrics: dict[str, Any], **arrays: Callable[[int], np.ndarray]) -> Run:
    """A run of a config with these metrics: numbers, or arrays with some of its dimensions."""
    source = source_of(from_config_dict(config))
    run = MadeUpRun(source)
    empty = source.metrics(run.grid)
    known = {"optimal_accuracy": 1.0, **metrics}
    run.__dict__["_metrics"] = empty.assign({name: empty[name] + x for name, x in known.items()})
    run.__dict__["arrays"] = arrays
    return run


def by_step(run_config: config_dict.ConfigDict, value: Callable[[int], float]) -> xr.DataArray:
    """A metric that is a function of the step."""
    steps = list(recorded_steps(from_config_dict(run_config)))
    return xr.DataArray([value(step) for step in steps], {"step": steps}, "step")


def by_p(half: Any, one: Any) -> xr.DataArray:
    """A metric that differs between p = 1/2 and p = 1."""
    return xr.concat([xr.DataArray(half), xr.DataArray(one)], pd.Index([0.5, 1.0], name="p"))


def learned_at(config: config_dict.ConfigDict, step: int) -> xr.DataArray:
    """Expected accuracy 1 from a step on."""
    return by_step(config, lambda now: float(now >= step))


def reported_and_contrary(name: str) -> tuple[Run, Run]:
    """A run that shows everything as the paper reports it, and one that shows nothing of it."""
    ones, eye = np.ones((6, 6)), np.eye(6)
    match name:
        case "fig2":
            clockwise, back = (np.cumsum(np.full((6, 97), step), axis=1) % 6 for step in (1, -1))
            config = read_config(FILES["fig2"])
            config.grid.p = (1.0,)
            return tuple(made_up(config, {}, walks=lambda _, walks=walks: walks) for walks in (clockwise, back))
        case "fig4":
            names = ("expected_accuracy", "value_direction_error", "parent_attention", "parent_is_highest")
            values = ((0.5, 0.1, 0.99, 1), (0.17, 0.9, 0.01, 0))
            return tuple(made_up(read_config(FILES["fig4"]), dict(zip(names, row, strict=True))) for row in values)
        case "fig9":
            names = ("accuracy", "value_uniform_direction_error", "attention_spread")
            once = by_step(read_config(FILES["fig9"]), lambda step: 1e-8 * (step == 7))
            values = ((0.06, 0.1, 0.0), (0.9, 1.2, once))
            return tuple(made_up(read_config(FILES["fig9"]), dict(zip(names, row, strict=True))) for row in values)
        case "fig5_losses":
            rate = xr.DataArray([0, 0, 0, 1.0], {"learning_rate": [0.01, 0.1, 1.0, 10.0]}, "learning_rate")
            shown = made_up(
                read_config(FILES["fig5_losses"]), {"accuracy": 0.17, "attention_spread": 0.0}, value=lambda _: ones
            )
            # One learning rate is enough against it.
            return shown, made_up(
                read_config(FILES["fig5_losses"]), {"accuracy": rate, "attention_spread": rate}, value=lambda _: eye
            )
        case "fig6":
            config = read_config(FILES["fig6"])
            late, early = learned_at(config, 2000), learned_at(config, 20)
            shown = by_p(learned_at(config, 400), by_step(config, lambda step: 0.95 * (step == 1000)))
            accuracy = by_p(0.5, by_step(config, lambda step: 0.9))
            contrary = made_up(config, {"expected_accuracy": by_p(early + 0 * late, early), "accuracy": 1.0})
            return made_up(config, {"expected_accuracy": shown, "accuracy": accuracy}), contrary
        case "fig7":
            task = {"task": ["majority", "preference"]}
            values = ([1.0, 0.5], [0.5, 1.0])
            return tuple(
                made_up(read_config(FILES["fig7"]), {"accuracy": xr.DataArray(row, task, "task")}) for row in values
            )
        case "fig11":
            names = ("value_direction_error", "parent_attention")
            values = ((0.1, 0.95), (0.9, 0.1))
            return tuple(made_up(read_config(FILES["fig6"]), dict(zip(names, row, strict=True))) for row in values)
        case "fig12":
            config = read_config(FILES["fig6"])
            metrics = [by_step(config, lambda step, s=sign: s * (step - 850) > 0) * 1.0 for sign in (1, -1)]
            return tuple(made_up(config, {"value_uniform_direction_error": metric}) for metric in metrics)
        case "fig13":
            one_token, equal = np.eye(6)[:3], np.ones((3, 6)) / 6

            def run(dominated: Callable[[int], bool]) -> Run:
                return made_up(
                    read_config(FILES["fig6"]), {}, averaged=lambda step: one_token if dominated(step) else equal
                )

            return run(lambda step: step == 1000), run(lambda step: step == 700)
    raise ValueError(name)


def outcomes(claims: Sequence[Claim], run: Run) -> dict[str, str]:
    """The verdict on each claim, by its statement."""
    return {claim.statement: judge(claim, [run]).verdict.word for claim in claims}


@pytest.mark.parametrize("name", ["fig2", "fig4", "fig5_losses", "fig6", "fig7", "fig9", "fig11", "fig12", "fig13"])
def test_what_the_paper_reports_is_reproduced_and_the_contrary_is_not(name):
    claims_of = {figure.name: figure.claims for figure in FIGURES}[name]
    for run, outcome in zip(reported_and_contrary(name), ("reproduced", "not reproduced"), strict=True):
        words = outcomes(claims_of(run.config), run)
        assert words == dict.fromkeys(words, outcome)


def test_a_reading_shows_figure_6_if_a_seed_shows_all_of_its_claims():
    config = read_config(FILES["fig6_readings"])
    config.grid.unit_length, config.grid.learning_rate, config.grid.init_scale = ("none", "keys"), (0.01,), (0.1,)
    reported, contrary = (run.metrics for run in reported_and_contrary("fig6"))
    lengths = pd.Index(["none", "keys"], name="unit_length")
    metrics = {
        name: xr.concat([reported[name], contrary[name]], lengths).isel(seed=0, drop=True)
        for name in ("expected_accuracy", "accuracy")
    }
    run = made_up(config, metrics)
    found = outcomes(gaussian.readings_claims(run.config), run)
    assert found["unit length none, start 0.1, η = 0.01: figure 6 as reported"] == "reproduced"
    assert found["unit length keys, start 0.1, η = 0.01: figure 6 as reported"] == "not reproduced"
    assert sum("later" in words for words in found) == 2


def test_the_table_counts_seeds_that_do_not_show_a_claim_by_where_they_lie():
    values = np.array([0.4, 0.6, 0.1, 0.9, np.inf, np.nan])
    run: Any = None
    claim = of_seeds("near one half", lambda run: values, 0.4, 0.6)
    (row,) = claim.rule.reported(judge(claim, [run]).evidence.rows).to_dict("records")
    assert (row["below"], row["above"], row["without_a_number"], row["seeds"]) == (1, 2, 1, 6)
    assert row["share"] == pytest.approx(2 / 6)
    assert (row["estimate"], row["of_seeds"]) == (0.6, "median")
    shown = claim.rule.shown(judge(claim, [run]).evidence.rows, ()).iloc[0]
    assert shown["measured"].startswith("median 0.6")
    assert shown["verdict"].endswith(": 1 below, 2 above, 1 without a number")


def test_a_run_that_learns_neither_p_is_no_evidence_that_one_is_learned_later():
    never = made_up(read_config(FILES["fig6"]), {"expected_accuracy": 0.0, "accuracy": 0.0})
    later = gaussian.gaussian_start_claims(never.config)[-1]
    assert judge(later, [never]).verdict.reason == "50 without a number"


def small(path: Path) -> Config:
    """A config of the paper with two seeds, short walks and few recorded steps."""
    config = read_config(path)
    config.grid.seed = (0, 1)
    config.record.every = 50
    if config.task.name == "circle" and config.grid.task is None:
        config.task.walk_length, config.task.walks, config.task.test_walks = 13, 20, 20
    return from_config_dict(config)


def anything(config: Config) -> Run:
    """A run whose metrics and parameters are drawn at random."""
    rng = np.random.default_rng(0)

    def keep(cell, step):
        nodes, length = cell.config.task.num_nodes, cell.config.task.walk_length
        scores = {"state_scores": np.zeros(nodes), "position_scores": np.ones(length)}
        rows = cell.config.model.feed_forward_width or nodes
        attention = rng.uniform(size=length) ** 4
        return {
            "params": {"value": rng.normal(0.3, 1, (rows, nodes)), **scores},
            "mean_attention": attention / attention.sum(),
        }

    return Run(source_of(config, lambda name, cell: rng.uniform(size=len(recorded_steps(cell.config))) ** 4, keep))


SECTIONS = tuple(
    figure.name
    for figure in {figure.claims: figure for figure in FIGURES}.values()
    if figure.claims is not gaussian.every_gaussian_claim
)
"""One figure for each kind of claims, but for those whose pictures are others' pictures."""
DRAWN = study().only(SECTIONS)


OVERVIEW = {"learned": (Curve("fig8", {}, 0.5, "p = 0.5"),), "not learned": (Curve("fig9", {}, 1.0, "p = 1"),)}


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """Made-up runs, by config."""
    return {sweep.name: anything(small(sweep.file)) for sweep in DRAWN.sweeps}


@pytest.fixture(scope="module")
def reported(runs, tmp_path_factory) -> Path:
    """A folder with figures that were drawn and judged from made-up runs."""
    folder = tmp_path_factory.mktemp("figures")
    of_sweeps = {sweep: runs[sweep.name] for sweep in DRAWN.sweeps}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(drawing.STYLE, "savefig.dpi", 40)
        pages.write(DRAWN, judge_all(DRAWN.claims, of_sweeps), of_sweeps, StudyCommand(folder))
        drawing.save(*overview(runs, OVERVIEW), folder / "overview")
    return folder


def test_every_figure_has_its_pictures_and_their_numbers(reported):
    names = {path.name for path in (reported / "figures").iterdir()}
    assert names == {f"{each.name}.{kind}" for each in DRAWN.exhibits for kind in ("png", "svg", "csv")}
    assert all(len(pd.read_csv(reported / "figures" / f"{each.name}.csv")) > 1 for each in DRAWN.exhibits)
    assert {path.stem for path in (reported / "tables").iterdir()} == set(SECTIONS)


def test_the_page_has_a_row_for_each_claim_with_its_numbers_and_links_that_lead_somewhere(reported):
    page = (reported / "report.md").read_text()
    claims = [claim for name in SECTIONS for claim in DRAWN.claims if claim.section == name]
    table = re.findall(r"^\| (.*?) \| (.*? \[.*?) \| (.*? of 2) \| ((?:not )?\w+)(?:: .*)? \|$", page, re.MULTILINE)
    assert sorted(row[0].replace("\\|", "|") for row in table) == sorted(claim.statement for claim in claims)
    record = json.loads((reported / "report.json").read_text())["claims"]
    assert sorted((row[0].replace("\\|", "|"), row[3]) for row in table) == sorted(
        (claim["statement"], claim["verdict"]) for claim in record
    )
    assert all(len(claim["rows"]) == 1 and claim["rows"][0]["seeds"] == 2 for claim in record)
    for target in re.findall(r"\]\(([^)#]+)\)", page):
        assert (reported / target).exists(), target


def test_the_overview_shows_the_mean_accuracy_of_its_runs(reported, runs):
    numbers = pd.read_csv(reported / "overview.csv").groupby("figure")
    assert set(numbers.groups) == set(OVERVIEW)
    accuracy = runs["fig8"].metrics["accuracy"].mean("seed")
    np.testing.assert_allclose(numbers.get_group("learned")["mean"], accuracy, rtol=1e-6)


def test_the_overview_names_runs_that_figures_have():
    for curves in PANELS.values():
        assert {curve.config for curve in curves} <= {figure.config for figure in FIGURES}


def test_curves_have_at_least_fifty_seeds():
    for name in {figure.config for figure in FIGURES} - {"fig6_readings"}:
        assert len(read_config(FILES[name]).grid.seed) >= 50, name
