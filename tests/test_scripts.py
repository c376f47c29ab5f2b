"""The shell scripts, with an interpreter that only writes down what it is asked: nothing is installed here."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent

STUB = """#!/usr/bin/env bash
# What an interpreter is asked is a line of the log. `-m venv` copies it into the environment, where `-m pip` works.
echo "$(basename "$(dirname "$0")") $*" >> "$STUB_LOG"
case "$*" in
  *"-c import sys"*) exit "${STUB_TOO_OLD:-0}" ;;
  "-m venv"*)
    rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/has_pip
    exit "${STUB_NO_VENV:-0}" ;;
  "-m pip --version") [ -e .venv/has_pip ] ;;
  "-m pip install"*) exit "${STUB_NO_INSTALL:-0}" ;;
  *) pwd >> "$STUB_LOG" ;;
esac
"""


@pytest.fixture
def project(tmp_path):
    """The scripts in a folder of their own, with the stub as `python3` on the path."""
    folder = tmp_path / "a project"
    shutil.copytree(PROJECT / "scripts", folder / "scripts")
    for name in ("requirements.txt", "requirements-test.txt", "pyproject.toml"):
        (folder / name).write_text("jax\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_text(STUB)
    (tmp_path / "bin" / "python3").chmod(0o755)
    return folder


@pytest.fixture
def call(project, tmp_path):
    """Runs a script: (exit code, stderr, what the interpreters were asked)."""
    log = tmp_path / "log"

    def run(*words, cwd=None, **variables):
        log.write_text("")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHON"}
        environment |= {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "STUB_LOG": str(log)} | variables
        done = subprocess.run(
            ["bash", *words], cwd=cwd or project, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr, log.read_text().splitlines()

    return run


INSTALL = "bin -m pip install --quiet --disable-pip-version-check --editable .[test]"


def test_the_first_call_makes_the_environment_and_installs_and_the_second_starts_at_once(call, project):
    code, _, asked = call("scripts/sweep.sh", "--config.grid.seed=0, 1")
    assert code == 0
    assert [line.split(",")[0] for line in asked] == [
        "bin -c import sys; sys.exit(sys.version_info < (3",
        "bin -m venv --clear .venv",
        INSTALL,
        "bin -m rw_jax.main --config=configs/sweep.py --config.grid.seed=0",
        str(project),
    ]
    code, _, asked = call("scripts/sweep.sh")
    assert code == 0
    assert asked == ["bin -m rw_jax.main --config=configs/sweep.py", str(project)]
    code, _, asked = call("scripts/test.sh", "-x")
    assert asked == ["bin -m pytest -x", str(project)]


def test_the_scripts_work_from_any_folder(call, project, tmp_path):
    (tmp_path / "scripts").mkdir()
    for cwd, script in (
        (tmp_path, "a project/scripts/test.sh"),
        (project / "scripts", "test.sh"),
        (tmp_path, str(project / "scripts" / "test.sh")),
    ):
        code, _, asked = call(script, cwd=cwd, CDPATH=str(tmp_path))
        assert code == 0
        assert asked[-2:] == ["bin -m pytest", str(project)]


def test_an_install_that_was_cut_short_is_repeated(call):
    assert call("scripts/test.sh", STUB_NO_INSTALL="1")[0] == 1
    code, _, asked = call("scripts/test.sh")
    assert code == 0
    assert asked[:2] == ["bin -m pip --version", INSTALL]


def test_an_update_that_was_cut_short_is_repeated_even_if_the_requirements_change_back(call, project):
    assert call("scripts/test.sh")[0] == 0
    (project / "requirements.txt").write_text("jax\nflax\n")
    assert call("scripts/test.sh", STUB_NO_INSTALL="1")[0] == 1
    (project / "requirements.txt").write_text("jax\n")
    assert INSTALL in call("scripts/test.sh")[2]
    assert INSTALL not in call("scripts/test.sh")[2]


def test_an_environment_without_pip_or_without_its_interpreter_is_made_again(call, project):
    assert call("scripts/test.sh", STUB_NO_VENV="1")[0] == 1
    (project / ".venv" / "has_pip").unlink()
    assert "bin -m venv --clear .venv" in call("scripts/test.sh")[2]
    (project / ".venv" / "bin" / "python").unlink()
    (project / ".venv" / "bin" / "python").symlink_to("/nowhere/python3.11")
    assert "bin -m venv --clear .venv" in call("scripts/test.sh")[2]
    assert call("scripts/test.sh")[2][0] == "bin -m pytest"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-test.txt", "pyproject.toml"])
def test_changed_requirements_are_installed_once(name, call, project):
    call("scripts/test.sh")
    (project / name).write_text("jax\nflax\n")
    assert call("scripts/test.sh")[2][:2] == ["bin -m pip --version", INSTALL]
    assert call("scripts/test.sh")[2][0] == "bin -m pytest"


def test_an_interpreter_that_is_too_old_or_missing_is_refused_in_a_sentence_and_makes_nothing(call, project):
    for variables in ({"STUB_TOO_OLD": "1"}, {"PYTHON": "no-such-python"}):
        code, stderr, _ = call("scripts/test.sh", **variables)
        assert code == 2
        assert "rw_jax needs Python 3.11 or newer; name one with PYTHON=python3.11." in stderr
        assert not (project / ".venv").exists()


def test_python_names_the_interpreter(call, tmp_path):
    (tmp_path / "mine").mkdir()
    shutil.copy(tmp_path / "bin" / "python3", tmp_path / "mine" / "python3.13")
    _, _, asked = call("scripts/test.sh", PYTHON=str(tmp_path / "mine" / "python3.13"))
    assert asked[1] == "mine -m venv --clear .venv"


def test_a_project_that_was_moved_is_installed_from_where_it_is_into_the_environment_that_moved_with_it(
    call, project, tmp_path
):
    call("scripts/test.sh")
    project.rename(tmp_path / "moved")
    code, _, asked = call("scripts/test.sh", cwd=tmp_path / "moved")
    assert code == 0
    assert asked == ["bin -m pip --version", INSTALL, "bin -m pytest", str(tmp_path / "moved")]
    assert call("scripts/test.sh", cwd=tmp_path / "moved")[2][0] == "bin -m pytest"
