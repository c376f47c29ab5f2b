"""The command line rw-jax-explore."""

import os
import shutil
import tempfile
import tomllib
from pathlib import Path

import pytest

from rw_jax import explore
from tests.tiny import assert_sentence


def parse(*words: str):
    return explore.parse(["explore", *words])


def test_the_command_writes_the_page_beside_the_figures_and_says_where(copied, monkeypatch, capsys):
    monkeypatch.chdir(copied.parent)
    explore.main(parse(str(copied)))
    written = (copied / "explore.html").read_text()
    assert capsys.readouterr().out == f"copy/explore.html shows 6 runs in {len(written.encode()) / 1e6:.1f} MB.\n"
    assert written.startswith("<!DOCTYPE html>")
    assert "default-src 'none'" in written
    assert not list(copied.glob("*.tmp"))


def test_the_page_may_go_elsewhere_and_needs_no_home(copied, tmp_path, monkeypatch, capsys):
    """A run that cannot be written to, and a user of a container, of whom the system knows nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(explore.Path, "home", no_home)
    explore.main(parse(str(copied), "--output=page.html"))
    assert capsys.readouterr().out.startswith("page.html shows 6 runs")
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert not (copied / "explore.html").exists()
    assert os.environ["HOME"] == tempfile.gettempdir()


def no_home():
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere is not a run directory"),
        ([], "No run directories are given; give one"),
        (["one", "two"], "2 run directories are given; give one"),
        (["--output=nowhere/page.html", "{run}"], "--output is 'nowhere/page.html', but must be a file in a folder"),
        (["--p=0.5", "one"], "give a run directory, and --output alone"),
    ],
)
def test_what_is_no_run_is_refused_in_a_sentence_with_exit_code_2(
    words, told, tmp_path, monkeypatch, capsys, values_run
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        parse(*(word.format(run=values_run) for word in words))
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip()
    assert told in said
    assert_sentence(said)


def test_a_run_of_which_nothing_is_finished_is_a_sentence_and_exit_code_1(copied, capsys):
    for name in ("chunks", "metrics.nc", "products.json"):
        path = copied / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(SystemExit) as ended:
        explore.main(parse(str(copied)))
    assert ended.value.code == 1
    assert_sentence(capsys.readouterr().err.strip())
    assert not (copied / "explore.html").exists()


def test_the_command_and_its_files_are_installed():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert project["project"]["scripts"]["rw-jax-explore"] == "rw_jax.explore:command"
    (folder,) = project["tool"]["setuptools"]["package-data"]
    files = project["tool"]["setuptools"]["package-data"][folder]
    there = Path(explore.__file__).parents[1] / folder.replace(".", "/")
    assert sorted(files) == sorted(path.name for path in there.iterdir() if path.is_file() and path.suffix != ".py")
