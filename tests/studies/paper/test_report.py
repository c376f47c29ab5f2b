"""The quick report from end to end, its pages, and what a setting is refused for."""

import dataclasses
import html.parser
import json
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib.image
import pytest

from rw_jax import ConfigError
from rw_jax.study.config import Config
from rw_jax.study.grid import Grid
from rw_jax.sweeps import sweep
from studies import pages, runner
from studies.__main__ import parse
from studies.paper.report import CLAIMS, study
from studies.paper.sweeps import DETERMINISTIC, LENGTH, POPULATION, WALKS
from studies.paper.theorem_3_1 import SUCCESS_BY_LENGTH, SUCCESS_BY_NODES, SUCCESS_BY_WALKS
from studies.rules import COUNTEREXAMPLE, FAILS, HOLDS, PARTLY, UNTESTABLE
from studies.sweeps import StudyCommand
from tests.tiny import assert_sentence


def base(*words: str) -> Config:
    """The setting around which claims are tested, with changes."""
    asked_for = parse(["theorems", *words])
    assert asked_for is not None
    assert asked_for[1].base is not None
    return asked_for[1].base


@pytest.fixture(scope="module")
def quick_report(tmp_path_factory: pytest.TempPathFactory) -> pages.Report:
    """A quick report."""
    return runner.run(study(), StudyCommand(tmp_path_factory.mktemp("theorems"), is_quick=True, base=base()))


SMALL = {POPULATION, DETERMINISTIC}
"""Sweeps that take seconds."""


def small_study():
    """The claims that need no other sweep."""
    return dataclasses.replace(study(), claims=tuple(claim for claim in CLAIMS if set(claim.sweeps) <= SMALL))


@pytest.fixture(scope="module")
def small_report(tmp_path_factory: pytest.TempPathFactory) -> pages.Report:
    """A quick report of the claims that two small sweeps decide."""
    return runner.run(small_study(), StudyCommand(tmp_path_factory.mktemp("theorems"), is_quick=True, base=base()))


@pytest.mark.slow
def test_the_report_gives_a_verdict_on_every_claim(quick_report):
    assert [judged.claim for judged in quick_report.judged] == list(CLAIMS)
    words = {judged.claim.name: judged.verdict.word for judged in quick_report.judged}
    assert set(words.values()) <= {HOLDS, FAILS, COUNTEREXAMPLE, PARTLY, UNTESTABLE}
    # What does not hang on size is true in the smallest populations.
    for name in ("accuracy", "value-root", "recursion", "C1", "C2", "C7-growth", "D1", "D2", "D3", "zero-blocks", "E5"):
        assert words[name] == HOLDS, name
    for name in ("output", "value", "C7-residual"):
        (verdict,) = (judged.verdict for judged in quick_report.judged if judged.claim.name == name)
        assert verdict.word == PARTLY
        assert verdict.reason.startswith("p = 0.5 (")
    assert words["deterministic-attention"] == HOLDS
    assert words["deterministic-lengths"] == PARTLY
    on_samples = [judged.claim for judged in quick_report.judged if judged.claim.population]
    assert quick_report.path.read_text().count("<dt>On infinitely many walks</dt>") == len(on_samples)


def test_the_json_holds_what_the_page_tells(small_report):
    record = json.loads(small_report.path.with_name("report.json").read_text())
    assert [claim["verdict"] for claim in record["claims"]] == [j.verdict.word for j in small_report.judged]
    for claim, judged in zip(record["claims"], small_report.judged, strict=True):
        assert len(claim["rows"]) == len(judged.evidence.rows)
    assert {each["sweep"] for each in record["sweeps"]} == {
        each.name for judged in small_report.judged for each in judged.claim.sweeps
    }


def test_the_pages_open_with_the_verdicts_and_have_a_section_for_every_claim(small_report):
    page = small_report.path.read_text()
    markdown = small_report.path.with_suffix(".md").read_text()
    for judged in small_report.judged:
        name = judged.claim.name
        assert page.index(f'href="#{name}"') < page.index("<section")
        assert page.count(f'<section id="{name}">') == 1
        assert f"](#{name})" in markdown
        assert (small_report.path.parent / "tables" / f"{name}.csv").is_file()
    for target in re.findall(r"!\[.*?\]\((.*?)\)", markdown):
        assert matplotlib.image.imread(small_report.path.parent / target).std() > 0.05  # not an empty picture


def test_the_page_is_well_formed_and_asks_for_nothing_outside_itself(small_report):
    class Links(html.parser.HTMLParser):
        def __init__(self):
            super().__init__()
            self.open, self.targets = [], []

        def handle_starttag(self, tag, attrs):
            self.targets += [value for name, value in attrs if name in ("src", "href")]
            if tag not in ("meta", "link", "img"):
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    links = Links()
    links.feed(small_report.path.read_text())
    assert not links.open
    assert all(target.startswith(("#", "data:")) for target in links.targets)


def test_a_browser_shows_the_page_without_an_error_or_a_request(small_report, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    log = tmp_path / "net.json"
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={tmp_path}")
    offline = "--host-resolver-rules=MAP * ~NOTFOUND"
    command = [browser, *options, offline, f"--log-net-log={log}", "--dump-dom", small_report.path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.count("<section") == len(small_report.judged) + 1
    assert "CONSOLE" not in done.stderr
    # The browser's own requests have no origin.
    assert not re.findall(r'"initiator":"(?!not an origin)[^"]*"[^}]*', log.read_text())


def test_a_finished_report_is_judged_again_without_training(small_report, monkeypatch):
    monkeypatch.setattr(sweep, "run_chunk", lambda *_: pytest.fail("something was trained"))
    before = small_report.path.read_text()
    again = runner.run(small_study(), StudyCommand(small_report.path.parent, is_quick=True, base=base()))
    assert again.judged[0].verdict == small_report.judged[0].verdict
    assert small_report.path.read_text() == before


@pytest.mark.slow
def test_a_folder_with_another_report_is_refused(small_report):
    with pytest.raises(ConfigError, match="which has other runs: the directory has"):
        runner.run(small_study(), StudyCommand(small_report.path.parent, base=base()))


def test_a_report_of_some_sections_has_a_page_of_their_names(small_report):
    asked = StudyCommand(small_report.path.parent, is_quick=True, parts=("C1", "E5"), base=base())
    written = runner.run(small_study(), asked)
    assert written.path.name == "C1-E5.html"
    assert [judged.claim.name for judged in written.judged] == ["C1", "E5"]


@pytest.mark.parametrize(
    ("field", "right"),
    [("model.unit_length=keys", "none"), ("model.form=full", "reduced"), ("training.loss=hinge", "log")],
)
def test_another_model_or_loss_than_that_of_the_claims_is_refused(field, right):
    with pytest.raises(ConfigError, match=f"but must be '{right}', as the claims assume it") as refused:
        runner.run(study(), StudyCommand(Path("nowhere"), is_quick=True, base=base(f"--config.{field}")))
    assert_sentence(str(refused.value))


def test_the_full_sweeps_are_as_large_as_promised():
    configs = {each: each.config(base(), quick=False) for each in study().sweeps}
    for each in (SUCCESS_BY_LENGTH, SUCCESS_BY_NODES, SUCCESS_BY_WALKS):
        grid = dict(configs[each].grid)
        assert len(grid["seed"]) == 100
        assert min(grid["p"]) == pytest.approx(1 - max(grid["p"])) == pytest.approx(0.001)
    assert len(dict(configs[LENGTH].grid)["walk_length"]) >= 6
    assert dict(configs[WALKS].grid)["walks"] == (1000, 3000, 10_000, 30_000, 100_000)
    assert sum(Grid(config).num_cells for config in configs.values()) > 20_000
