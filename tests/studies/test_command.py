"""What `python -m studies` answers: the list, a study with its folder, or one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

from rw_jax import ConfigError
from studies import pages, runner
from studies.__main__ import STUDIES, listed, main, parse
from tests.tiny import assert_sentence

ROOT = Path(__file__).parents[2]


def asked(*words):
    """The name of a study and what is asked of it."""
    study, what = parse(list(words))
    return study.name, what


@pytest.mark.parametrize("words", [[], ["--list"]])
def test_without_a_name_every_study_is_told_in_a_line(words, capsys):
    main(words)
    lines = capsys.readouterr().out.splitlines()
    assert lines == listed()
    assert [line.split()[0] for line in lines] == list(STUDIES)
    assert all(len(line) <= 140 and line.endswith(".") for line in lines)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_named_as_it_is_asked_for_and_its_parts_have_names_of_their_own(name):
    study, what = parse([name])
    assert study.name == name
    assert what.workdir == Path("runs").absolute() / name
    names = [each.name for each in (*study.claims, *study.exhibits)]
    assert len(set(names)) == len(names)
    assert len({sweep.name for sweep in study.sweeps}) == len(study.sweeps)


@pytest.mark.parametrize("words", [["rounding"], ["rounding", "--quick"]])
def test_what_is_printed_of_a_quick_report_says_that_it_means_nothing(words, tmp_path, monkeypatch, capsys):
    written = pages.Report(tmp_path / "report.html", [], ["0 of 2 seeds leave accuracy 1/K."])
    monkeypatch.setattr(runner, "run", lambda study, command: written)
    main(words)
    assert ("no verdict means anything" in capsys.readouterr().out) == ("--quick" in words)


def test_quick_has_a_folder_of_its_own_parts_are_named_and_fields_of_a_setting_can_be_changed():
    name, what = asked("theorems", "--quick", "--config.training.epsilon=0.2")
    assert (name, what.workdir, what.base.training.epsilon) == ("theorems", Path("runs/theorems_quick").absolute(), 0.2)
    assert what.is_quick
    assert asked("chains", "--quick", "--workdir=mine")[1].workdir == Path("mine").absolute()
    name, what = asked("figures", "fig4", "--workdir", "mine", "fig5")
    assert (name, what.parts, what.workdir) == ("figures", ("fig4", "fig5"), Path("mine").absolute())
    assert (what.is_quick, what.base) == (False, None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["thorems"], "the study is 'thorems', but must be one of theorems, figures, "),
        (["theorems", "--config.task.p=7"], "task.p is 7.0, but must be"),
        (["theorems", "--dry_run"], "--dry_run is not a flag"),
        (["chains", "--config.task.p=1"], "--config.task.p is not a flag of chains"),
        (["chains", "--workdir"], "--workdir"),
        (["chains", "--workdir="], "--workdir is ''"),
    ],
)
def test_what_is_not_right_is_refused_in_a_sentence(words, told):
    with pytest.raises(ConfigError) as refused:
        parse(words)
    assert told in str(refused.value)
    assert_sentence(str(refused.value))


def test_a_part_that_is_not_there_is_refused_before_anything_is_written(tmp_path):
    command = [sys.executable, "-m", "studies", "figures", "fig3", f"--workdir={tmp_path / 'new'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("rw_jax: the part of figures is 'fig3', but must be one of fig2, fig4, ")
    assert not list(tmp_path.iterdir())


OLD = {path.stem for path in (ROOT / "scripts").iterdir() if path.is_symlink()}


@pytest.mark.parametrize("command", [["-m", "rw_jax.verify"], *([f"scripts/{name}.py"] for name in sorted(OLD))])
def test_an_old_command_answers_with_one_sentence_that_names_the_new_one(command):
    done = subprocess.run([sys.executable, *command, "--quick"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert_sentence(done.stderr.strip())
    assert done.stderr.split(" is python -m studies ")[1].split()[0] in STUDIES
