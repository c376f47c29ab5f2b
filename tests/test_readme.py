"""What the README shows works as pasted, and what it lists is what there is."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import rw_jax
from rw_jax import load_run, main
from rw_jax.study.config import AXES
from rw_jax.training.metrics import METRICS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder_with_a_sweep(tmp_path_factory) -> Path:
    """A folder in which runs/sweep is a finished run with short walks and few seeds."""
    config = rw_jax.read_config(ROOT / "configs" / "sweep.py")
    config.task.walk_length = 9
    config.task.walks = config.task.test_walks = 20
    config.model.position_width = 30
    config.grid.p = (0.5, 1.0)
    config.grid.seed = (0, 3)
    folder = tmp_path_factory.mktemp("project")
    main.show(rw_jax.sweep(config, folder / "runs" / "sweep"))
    return folder


def test_the_analysis_works_as_pasted(folder_with_a_sweep, monkeypatch, capsys):
    monkeypatch.chdir(folder_with_a_sweep)
    names = {}
    exec(compile(SNIPPETS[0], "README.md", "exec"), names)
    run = load_run("runs/sweep")
    np.testing.assert_array_equal(names["V"], run.params(step=50, p=0.5, seed=3)["value"])
    assert names["W"].shape == (6 + 30, 6 + 30)
    assert names["tokens"].shape == (20, 8)
    np.testing.assert_allclose(names["attention"].sum(axis=1), 1, rtol=1e-5)
    mean_attention = float(run.metrics["parent_attention"].sel(step=50, p=0.5, seed=3))
    np.testing.assert_allclose(names["attention"][:, -2].mean(), mean_attention, rtol=1e-5)
    assert "parent_attention" in capsys.readouterr().out


def test_the_figure_is_drawn_as_pasted(folder_with_a_sweep, monkeypatch, tmp_path):
    monkeypatch.chdir(folder_with_a_sweep)
    exec(compile(SNIPPETS[1], "README.md", "exec"), {"__name__": "readme"})
    assert (folder_with_a_sweep / "curves.pdf").read_bytes().startswith(b"%PDF")
    assert mpl.rcParams["legend.frameon"] == mpl.rcParamsDefault["legend.frameon"]  # the style stays inside plots


def test_a_sweep_and_a_run_from_python_work_as_pasted(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(SNIPPETS[2], "README.md", "exec"), names)
    assert names["run"].metrics["accuracy"].shape == (2, 4, 21)
    same = names["run"].metrics["accuracy"].sel(p=0.7, seed=3).values
    np.testing.assert_allclose(names["one"].metrics["accuracy"].values, same)
    assert (tmp_path / "runs" / "mine" / "metrics.nc").is_file()
    assert capsys.readouterr().out


def test_pieces_of_ones_own_work_as_pasted_and_attend_to_the_token_two_back(capsys):
    names = {}
    exec(compile(SNIPPETS[3], "README.md", "exec"), names)
    assert float(names["run"].metrics["parent_attention"][-1]) > 0.9
    assert float(names["run"].metrics["accuracy"][-1]) > 0.9
    assert capsys.readouterr().out


def test_every_snippet_is_tested():
    assert len(SNIPPETS) == 4


def test_the_table_of_metrics_is_the_table_of_the_code():
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (\w+) \|$", README, re.MULTILINE)
    assert {name: (what.replace("\\|", "|"), unit) for name, what, unit in rows} == {
        metric.name: (metric.about, metric.unit) for metric in METRICS
    }


def test_the_axes_are_those_of_the_code():
    listed = re.search(r"These can be axes:\n(.*?)\.\n", README, re.DOTALL)
    assert listed is not None
    assert re.findall(r"`(\w+)`", listed.group(1)) == list(AXES)


def test_the_run_directory_is_as_listed(folder_with_a_sweep):
    listing = re.search(r"^```\n(config\.json .*?)^```", README, re.DOTALL | re.MULTILINE)
    assert listing is not None
    names = {line.split()[0].rstrip("/") for line in listing.group(1).splitlines()}
    assert names == {path.name for path in (folder_with_a_sweep / "runs" / "sweep").iterdir()}


@pytest.mark.parametrize("page", ["README.md", "WORKSPACE.md"])
def test_every_linked_file_is_there_and_pictures_are_small(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text()):
        assert (ROOT / target).is_file(), target
        assert not target.endswith(".png") or (ROOT / target).stat().st_size < 300_000


def test_the_pages_name_only_files_that_are_there():
    for page in ("README.md", "WORKSPACE.md"):
        for path in re.findall(r"\b(?:rw_jax|configs|scripts|tests)/[\w/]+\.(?:py|sh)\b", (ROOT / page).read_text()):
            assert (ROOT / path).is_file(), f"{page} names {path}"
