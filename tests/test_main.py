"""The command line: what it accepts, and that everything else is one sentence, exit code 2 and nothing written."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rw_jax
from rw_jax import main
from rw_jax.study.config import AXES, DECLARATIONS, Config
from rw_jax.study.flags import Command, from_config_dict
from rw_jax.study.reading import checked
from rw_jax.training.pieces import KINDS
from tests.tiny import assert_sentence, chunk_of, contents, tiny_study

PROJECT = Path(__file__).parent.parent
SMOKE = "--config=configs/smoke.py"

BAD_COMMAND_LINES = [
    # (words of the command line, words that the sentence must have)
    ([], ["--config", "configs/sweep.py"]),
    (["--config"], ["--config", "value"]),
    (["--config="], ["--config", "''", "file"]),
    (["--config=nowhere.py"], ["--config", "'nowhere.py'", "not a file"]),
    (["--config=configs"], ["--config", "'configs'", "not a file"]),
    (["--config=configs/smoke.py:full"], ["--config", "smoke.py:full", "not a file"]),
    ([SMOKE, "--config=configs/sweep.py"], ["--config", "configs/smoke.py", "configs/sweep.py", "once"]),
    ([SMOKE, "--wokrdir=here"], ["--wokrdir", "--workdir"]),
    ([SMOKE, "--noconfig.seed"], ["--noconfig.seed", "not a flag"]),
    ([SMOKE, "seed=3"], ["'seed=3'", "--name=value"]),
    ([SMOKE, "--config.grid.seed=0, 1", "2"], ["'2'", "quotes"]),
    ([SMOKE, "--workdir="], ["--workdir", "empty"]),
    ([SMOKE, "--workdir=gs://bucket/run"], ["--workdir", "'gs://bucket/run'", "a local file or folder"]),
    ([SMOKE, "--workdir"], ["--workdir", "no value"]),
    ([SMOKE, "--flagfile=nowhere"], ["flagfile", "nowhere"]),
    ([SMOKE, "--strict=maybe"], ["--strict", "maybe", "true or false"]),
    ([SMOKE, "--dry_run=2"], ["--dry_run", "2", "true or false"]),
    ([SMOKE, "--distributed=slurm"], ["--distributed", "slurm", "true or false"]),
    ([SMOKE, "--dry-run"], ["--dry-run", "--dry_run"]),
    # fields that there are not
    ([SMOKE, "--config.y=3"], ["y is not a field", "task, model, training"]),
    ([SMOKE, "--config.a\nb=3"], ["a b is not a field"]),
    ([SMOKE, "--config.=3"], ["name is not a field"]),
    ([SMOKE, "--config.task.y=3"], ["task.y is not a field", "num_nodes, walk_length"]),
    ([SMOKE, "--config.task.p.y=3"], ["task.p.y is not a field"]),
    ([SMOKE, "--config.task[0]=3"], ["task[0] is not a field"]),
    ([SMOKE, "--config.task={}"], ["task is a group", "task.name"]),
    ([SMOKE, "--config.grid=3"], ["grid is a group"]),
    ([SMOKE, "--config.grid.y=3"], ["grid.y", "can be an axis", "learning_rate"]),
    ([SMOKE, "--config.grid.study_seed=1,2"], ["grid.study_seed", "can be an axis"]),
    ([SMOKE, "--config.task.options.lag=2"], ["task.options.lag", "no piece of the study"]),
    ([SMOKE, "--config.task.wlaks=7"], ["task.wlaks", "Did you mean walks?"]),
    # values of the wrong type
    ([SMOKE, "--config.seed"], ["--config.seed", "value"]),
    ([SMOKE, "--config.task.p=abc"], ["task.p", "'abc'", "a number from 0 to 1"]),
    ([SMOKE, "--config.task.p="], ["task.p", "''", "a number from 0 to 1"]),
    ([SMOKE, "--config.task.num_nodes=six"], ["task.num_nodes", "'six'", "an integer from 2"]),
    ([SMOKE, "--config.seed=1.5"], ["seed", "'1.5'", "an integer from 0"]),
    ([SMOKE, "--config.execution.cells_per_batch=None"], ["cells_per_batch", "'None'", "an integer from 1"]),
    ([SMOKE, "--config.figures.p=half"], ["figures.p", "'half'", "a number from 0 to 1"]),
    # values out of range
    ([SMOKE, "--config.task.p=1.1"], ["task.p", "1.1", "from 0 to 1"]),
    ([SMOKE, "--config.task.p=-0.1"], ["task.p", "-0.1", "from 0 to 1"]),
    ([SMOKE, "--config.task.p=nan"], ["task.p", "nan", "from 0 to 1"]),
    ([SMOKE, "--config.task.num_nodes=2"], ["task.num_nodes", "2", "at least 3"]),
    ([SMOKE, "--config.task.num_nodes=99999999999"], ["task.num_nodes", "99999999999", "2147483647"]),
    ([SMOKE, "--config.task.walk_length=2"], ["task.walk_length", "2", "from 3"]),
    ([SMOKE, "--config.task.walks=0"], ["task.walks", "0", "from 1"]),
    ([SMOKE, "--config.task.test_walks=-5"], ["task.test_walks", "-5", "from 1"]),
    (
        [SMOKE, "--config.model.positions=one_hot", "--config.model.position_width=12"],
        ["model.position_width", "12", "task.walk_length = 13"],
    ),
    ([SMOKE, "--config.model.init_scale=-0.1"], ["model.init_scale", "-0.1", "from 0"]),
    ([SMOKE, "--config.training.learning_rate=-1"], ["training.learning_rate", "-1.0", "from 0"]),
    ([SMOKE, "--config.training.learning_rate=inf"], ["training.learning_rate", "inf", "1e+30"]),
    ([SMOKE, "--config.training.epsilon=0"], ["training.epsilon", "0.0", "from 1e-30"]),
    ([SMOKE, "--config.training.epsilon=1e-50"], ["training.epsilon", "1e-50", "from 1e-30"]),
    ([SMOKE, "--config.training.steps=-1"], ["training.steps", "-1", "from 0"]),
    ([SMOKE, "--config.record.every=0"], ["record.every", "0", "from 1"]),
    ([SMOKE, "--config.record.parameters=0,-1"], ["record.parameters", "-1", "from 0"]),
    ([SMOKE, "--config.execution.cells_per_chunk=0"], ["execution.cells_per_chunk", "0", "from 1"]),
    ([SMOKE, "--config.execution.checkpoint_steps=0"], ["execution.checkpoint_steps", "0", "from 1"]),
    ([SMOKE, "--config.execution.checkpoint_steps=1e6"], ["execution.checkpoint_steps", "1e6", "an integer"]),
    ([SMOKE, "--config.study_seed=-1"], ["study_seed", "-1", "from 0"]),
    ([SMOKE, "--config.seed=2147483648"], ["seed", "2147483648", "2147483647"]),
    # names that there are not
    ([SMOKE, "--config.task.name=torus"], ["task.name", "'torus'", "circle"]),
    ([SMOKE, "--config.model.form=ful"], ["model.form", "'ful'", "reduced, full"]),
    ([SMOKE, "--config.model.unit_length=all"], ["model.unit_length", "'all'", "none, keys, both"]),
    ([SMOKE, "--config.model.init=ones"], ["model.init", "'ones'", "zero, gaussian"]),
    ([SMOKE, "--config.training.loss=absolute"], ["training.loss", "'absolute'", "log"]),
    ([SMOKE, "--config.precision=float16"], ["precision", "'float16'", "float32, float64"]),
    ([SMOKE, "--config.name="], ["name", "''", "a word"]),
    ([SMOKE, "--config.name=../elsewhere"], ["name", "'../elsewhere'", "a word"]),
    ([SMOKE, "--config.name=.."], ["name", "'..'", "a word"]),
    # grids
    ([SMOKE, "--config.grid.p="], ["grid.p", "empty"]),
    ([SMOKE, "--config.grid.p=()"], ["grid.p", "empty"]),
    ([SMOKE, "--config.grid.p=0.5,1.5"], ["grid.p", "1.5", "from 0 to 1"]),
    ([SMOKE, "--config.grid.p=0.5,0.7,0.5"], ["grid.p", "0.5", "more than once"]),
    ([SMOKE, "--config.grid.p=0,0.0"], ["grid.p", "0.0", "more than once"]),
    ([SMOKE, "--config.grid.p=half"], ["grid.p", "'half'", "from 0 to 1"]),
    ([SMOKE, "--config.grid.p=0.1:0.9:0.1"], ["grid.p", "'0.1:0.9:0.1'", "linspace(0, 1, 11)"]),
    ([SMOKE, "--config.grid.seed=0,0.5"], ["grid.seed", "0.5", "an integer"]),
    ([SMOKE, "--config.grid.seed=range(5,2)"], ["grid.seed", "empty"]),
    ([SMOKE, "--config.grid.seed=range(x)"], ["grid.seed", "range(x)", "an integer"]),
    ([SMOKE, "--config.grid.seed=range(999999999)"], ["grid.seed", "range(999999999)", "at most"]),
    ([SMOKE, "--config.grid.seed=1,,2"], ["grid.seed", "''", "an integer"]),
    ([SMOKE, "--config.grid.seed=True,False"], ["grid.seed", "True", "an integer"]),
    ([SMOKE, "--config.grid.form=full,ful"], ["model.form", "'ful'", "reduced, full", "Did you mean full?"]),
    (
        [SMOKE, "--config.model.positions=one_hot", "--config.grid.walk_length=13,101"],
        ["model.position_width", "100", "101"],
    ),
    ([SMOKE, "--config.zipped=p,seed"], ["zipped", "'p,seed'", "a tuple of groups"]),
    ([SMOKE, "--config.zipped=(('p', 'seed'),)"], ["zipped", "p, seed", "3, 4", "equally many"]),
    ([SMOKE, "--config.zipped=(('p', 'steps'),)"], ["zipped", "'steps'", "p, seed"]),
    ([SMOKE, "--config.zipped=(('p', 'p'),)"], ["zipped", "'p'", "twice"]),
    ([SMOKE, "--config.zipped=(([],),)"], ["zipped", "[]", "p, seed"]),
    ([SMOKE, "--config.zipped=((),)"], ["zipped", "empty group"]),
]

BAD_FILES = [
    # (the config file, words that the sentence must have)
    ("def get_config(:\n", ["SyntaxError", "line 1"]),
    ("x = 3\n", ["no get_config()"]),
    ("get_config = 3\n", ["no get_config()"]),
    ("import no_such_module\n", ["line 1", "no_such_module"]),
    ("def get_config():\n    return 1 / 0\n", ["line 2", "ZeroDivisionError", "division by zero"]),
    ("def get_config():\n    raise ValueError('no\\nway')\n", ["line 2", "ValueError: no way"]),
    ("def get_config():\n    open('/nowhere')\n", ["line 2", "FileNotFoundError"]),
    ("def get_config(size):\n    pass\n", ["TypeError", "size"]),
    ("def get_config():\n    pass\n", ["NoneType", "ConfigDict"]),
    ("def get_config():\n    return {'name': 'x'}\n", ["dict", "ConfigDict"]),
    ("raise SystemExit(0)\n", ["SystemExit", "line 1"]),
    ("import ml_collections\n\n\ndef get_config():\n    return ml_collections.ConfigDict()\n", ["name is missing"]),
    ("{change} config.grid.p = range(3); return config\n", ["grid.p has the label 2", "from 0 to 1"]),
    ("{change} config.grid.p = {0.1, 0.2}; return config\n", ["grid.p is {", "a tuple of labels"]),
    ("{change} config.task.nodes = 6; return config\n", ["task.nodes is not a field", "num_nodes"]),
    ("{change} del config.task.p; return config\n", ["task.p is missing"]),
    ("{change} del config.grid; return config\n", ["grid is missing"]),
    ("{change} config.task = 3; return config\n", ["line 3", "task"]),
    ("{change} config.grid.seed = (0, 2**40); return config\n", ["grid.seed", str(2**40)]),
    ("{change} config.grid.p = (0.5, 10**400); return config\n", ["grid.p", "1000", "from 0 to 1"]),
    ("{change} config.training.loss = None; return config\n", ["training.loss", "None"]),
]


def refusal(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The sentence with which a command line is refused, exit code 2, before anything starts."""

    def plan():
        command = main.parse(["rw_jax", *argv])
        main.main(command._replace(switches=frozenset({"dry_run"})))  # what only the pieces know is checked here

    with pytest.raises(SystemExit) as refused:
        plan()
    assert refused.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("rw_jax: ")
    sentence = err.removeprefix("rw_jax: ").removesuffix("\n")
    assert_sentence(sentence)
    return sentence


def parsed(*argv: str) -> tuple[Config, Path]:
    command = main.parse(["rw_jax", *argv])
    return command.config, command.workdir


def start_command(*argv: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rw_jax.main", *argv],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("argv", "words"), BAD_COMMAND_LINES, ids=lambda value: " ".join(value)[:50])
def test_a_bad_command_line_is_refused_in_one_sentence_that_says_what_would_be_right(
    argv, words, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(PROJECT)
    before = set(PROJECT.iterdir())
    sentence = refusal(argv, capsys)
    for word in words:
        assert word in sentence
    assert set(PROJECT.iterdir()) == before


PATHS = [*DECLARATIONS, *(f"grid.{axis}" for axis in AXES), "zipped"]
WORDS = st.one_of(
    st.sampled_from(
        ["", "None", "nan", "inf", "-1", "0", "1e400", "10" * 30, "0.5", "3", "True", "all", "range(3)", "()"]
    ),
    st.sampled_from(
        ["range(99999999999)", "1,2", "(1, 2)", "[0.1]", "{}", "a:b", "a.py:b", "'", '"', "\\", "\0", "\u00fc", "*"]
    ),
    st.text(max_size=20),
    st.floats().map(str),
    st.integers().map(str),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from([*DECLARATIONS, *(f"grid.{axis}" for axis in AXES), "zipped"]), WORDS), max_size=3
    )
)
def test_any_words_for_any_field_make_a_valid_study_or_one_sentence(capsys, changes):
    argv = ["rw_jax", f"--config={PROJECT}/configs/smoke.py", *(f"--config.{path}={words}" for path, words in changes)]
    try:
        config = main.parse(argv).config
    except SystemExit as left:
        sentence = capsys.readouterr().err.removesuffix("\n")
        code = left.code
    else:
        assert checked(config) == config
        return
    assert code == 2
    assert_sentence(sentence)


@pytest.mark.parametrize(("text", "words"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_a_bad_config_file_is_refused_in_one_sentence_that_says_where_it_fails(text, words, capsys, tmp_path):
    path = tmp_path / "study.py"
    path.write_text(text.replace("{change}", "import rw_jax\ndef get_config():\n    config = rw_jax.base_config();"))
    sentence = refusal([f"--config={path}"], capsys)
    for word in words:
        assert word in sentence
    assert [entry.name for entry in tmp_path.iterdir() if entry.suffix == ".py"] == ["study.py"]


@pytest.mark.parametrize(
    "argv",
    [
        ("--config", "configs/smoke.py", "--config.seed", "3"),
        ("-config=configs/smoke.py", "-config.seed=3"),
        ("--workdir", "runs/smoke", "--config", "configs/smoke.py", "--config.seed=3"),
        ("--config=configs/smoke.py", "--config.seed=2", "--config.seed=3"),
        ("--config.seed=3", "--config=configs/smoke.py"),
        ("--config.seed", "3", "--config", "configs/smoke.py"),
    ],
)
def test_flags_and_their_values_may_stand_in_one_word_or_two(argv, monkeypatch):
    monkeypatch.chdir(PROJECT)
    config, workdir = parsed(*argv)
    assert config == from_config_dict(rw_jax.read_config(PROJECT / "configs" / "smoke.py")).replace(seed=3)
    assert workdir == PROJECT / "runs" / "smoke"


def test_the_command_line_sets_axes_as_tuples_ranges_and_words(monkeypatch):
    monkeypatch.chdir(PROJECT)
    config, workdir = parsed(
        SMOKE,
        "--workdir=elsewhere",
        "--config.grid.seed=range(3)",
        "--config.grid.p=0,0.5",
        "--config.grid.form=full,reduced",
        "--config.grid.steps=range(2, 4)",
        "--config.zipped=(('p', 'steps'),)",
    )
    assert workdir == PROJECT / "elsewhere"
    assert dict(config.grid) == {"seed": (0, 1, 2), "p": (0.0, 0.5), "form": ("full", "reduced"), "steps": (2, 3)}
    assert config.zipped == (("p", "steps"),)


def test_none_on_the_command_line_takes_an_axis_out_of_the_grid(monkeypatch):
    monkeypatch.chdir(PROJECT)
    assert [axis for axis, _ in parsed(SMOKE, "--config.grid.p=None")[0].grid] == ["seed"]


def test_the_run_directory_is_named_after_the_config_unless_it_is_given(monkeypatch):
    monkeypatch.chdir(PROJECT)
    assert parsed(SMOKE, "--config.name=other")[1] == PROJECT / "runs" / "other"


def test_a_home_directory_may_be_named_by_a_tilde_anywhere(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "small.py").write_text((PROJECT / "configs" / "smoke.py").read_text())
    command = main.parse(["rw_jax", "--config=~/small.py", "--workdir=~/runs/x"])
    assert (command.config_file, command.workdir) == (tmp_path / "small.py", tmp_path / "runs" / "x")


def test_a_config_file_that_leaves_for_another_folder_takes_nobody_along(monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "away.py").write_text(
        f"import os\nimport rw_jax\n\n\ndef get_config():\n    os.chdir({str(tmp_path / 'elsewhere')!r})\n"
        "    return rw_jax.base_config()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main.parse(["rw_jax", "--config=away.py", "--workdir=x"]).workdir == tmp_path / "x"


def test_help_is_the_text_of_the_module_and_no_error(capsys):
    with pytest.raises(SystemExit) as left:
        main.parse(["rw_jax", "--help"])
    assert left.value.code == 0
    assert "--workdir" in capsys.readouterr().out


def test_a_run_directory_that_cannot_be_used_is_refused_and_left_as_it_was(capsys, tmp_path, values_run):
    study = tiny_study(seed=(0, 1), fields={"study_seed": 7})
    shutil.copytree(values_run, tmp_path / "other")
    (tmp_path / "file").write_text("text")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("text")
    for name, text in {
        "no_json": "{",
        "no_object": "[]",
        "cut": '{"schema": 4, "name": "tiny"}',
        "older": '{"name": "tiny"}',
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    (tmp_path / "no_text").mkdir()
    (tmp_path / "no_text" / "config.json").write_bytes(b"\xff\xfe")
    cases = {
        "file": ["a file"],
        "file/below": ["Not a directory"],
        "notes": ["notes", "not a run directory", "config.json"],
        "other": [
            "which has other runs: the directory has",
            "study_seed = 0",
            "you asked for",
            "study_seed = 7",
            "--workdir",
        ],
        "no_json": ["config.json", "not as it was written"],
        "no_object": ["config.json", "not as it was written"],
        "cut": ["config.json", "not as it was written"],
        "older": ["has format 2"],
        "no_text": ["config.json", "not as it was written"],
        "long" * 100: ["File name too long"],
        "../../../../../../../../proc/run": ["cannot be written"],
    }
    before = contents(tmp_path)
    for name, words in cases.items():
        with pytest.raises(SystemExit) as refused:
            main.main(Command(study, Path("study.py"), tmp_path / name, frozenset()))
        assert refused.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert_sentence(err.removesuffix("\n"))
        for word in ["workdir is", *words]:
            assert word in err
    assert contents(tmp_path) == before


def test_the_real_command_refuses_in_one_sentence_with_exit_code_2_and_writes_nothing(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("text")
    before = contents(tmp_path)
    smoke_file = f"--config={PROJECT}/configs/smoke.py"
    command_lines = ([smoke_file, "--config.y=3", "--workdir=run"], [smoke_file, "--workdir=notes"])
    for process in [start_command(*argv, cwd=tmp_path) for argv in command_lines]:
        output, errors = process.communicate()
        assert process.returncode == 2
        assert output == ""
        assert_sentence(errors.removesuffix("\n"))
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_a_finished_sweep_is_shown_once_and_shown_again_if_its_table_is_gone(
    values_run, values_study, tmp_path, capsys
):
    folder = Path(shutil.copytree(values_run, tmp_path / "run"))
    command = Command(values_study, Path("study.py"), folder, frozenset())
    main.main(command)
    out = capsys.readouterr().out
    assert "6 of 6 runs trained in" in out
    assert f"Everything is in {folder}" in out
    assert {path.name for path in folder.iterdir()} >= {"summary.csv", "figures"}
    before = contents(folder)
    main.main(command)
    again = capsys.readouterr().out
    assert again.splitlines()[-1] == "All 6 runs that were asked for are there. Nothing to do."
    assert again.splitlines()[:-1] == out.splitlines()[:-1]  # the table, once more
    assert contents(folder) == before
    (folder / "summary.csv").unlink()
    main.main(command)
    assert (folder / "summary.csv").read_bytes() == before["summary.csv"]


def test_a_smaller_grid_whose_runs_are_all_there_is_answered_and_not_refused(values_run, tmp_path, capsys):
    folder = Path(shutil.copytree(values_run, tmp_path / "run"))
    shutil.rmtree(chunk_of(folder, p=1.0, seed=0))  # another part is still to be trained
    (folder / "metrics.nc").unlink()
    before = contents(folder)
    for study in (tiny_study(p=(0.5, 0.7), seed=(1,)), tiny_study(seed=(0, 1), fields={"task.p": 0.7})):
        main.main(Command(study, Path("study.py"), folder, frozenset()))
        lines = capsys.readouterr().out.splitlines()
        assert lines[-1] == "All 2 runs that were asked for are there, among 6. Nothing to do."
        assert ("p = 0.7" in lines[0]) == (study.grid[0][0] == "seed")
        (row,) = [line.split() for line in lines if line.startswith("0.7")] or [None, *["0"]][:1]
        assert row is None or row[:2] == ["0.7", "1"]  # one seed
    assert contents(folder) == before


def test_help_lists_every_field_with_its_axis_and_how_labels_are_written(capsys):
    with pytest.raises(SystemExit):
        main.parse(["rw_jax", "--help"])
    out = capsys.readouterr().out
    for path, declared in DECLARATIONS.items():
        kind = KINDS.get(declared.axis or path.rpartition(".")[2])
        words = declared.right.words
        if kind is not None:  # a field of several pieces says first how they are written
            several = "" if declared.right.is_piece else f"{words}; each "
            words = f"{several}one of {', '.join(kind.table)}, or 'file.py:attribute' or"
        assert f"  {path}: {declared.what}; {words}" in out
    assert all(f"; axis {axis}\n" in out for axis in AXES)
    assert "linspace(0, 1, 11)" in out


@pytest.mark.parametrize(
    ("word", "meant"),
    [("--config.trainig.steps=3", "training"), ("--config.training.stesp=3", "steps"), ("--workdr=x", "workdir"),
     ("--config.grid.sead=3", "seed"), ("--dryrun", "dry_run")],
)  # fmt: skip
def test_a_name_that_is_close_to_one_that_there_is_is_asked_after(word, meant, monkeypatch, capsys):
    monkeypatch.chdir(PROJECT)
    with pytest.raises(SystemExit):
        parsed(SMOKE, word)
    assert f"Did you mean {meant}?" in capsys.readouterr().err


def test_a_dry_run_tells_what_there_is_to_do_and_writes_nothing(values_study, tmp_path, capsys):
    main.main(Command(values_study, Path("study.py"), tmp_path / "new", frozenset({"dry_run"})))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["p: 3 labels, 0.5 to 1", "seed: 2 labels, 0 to 1"]
    assert lines[2].startswith("6 of 6 runs to train: 1 program, chunks of at most 4 runs")
    assert not (tmp_path / "new").exists()


WITH_A_DATACLASS = """
from __future__ import annotations
import dataclasses
from pathlib import Path
import rw_jax


def get_config():
    @dataclasses.dataclass
    class Size:
        nodes: int = 7

    config = rw_jax.read_config(Path(__file__).with_name("other.py"))
    config.task.num_nodes = Size().nodes
    return config
"""


def test_a_config_file_may_have_dataclasses_and_read_another(tmp_path):
    (tmp_path / "mine.py").write_text(WITH_A_DATACLASS)
    other = WITH_A_DATACLASS.replace('rw_jax.read_config(Path(__file__).with_name("other.py"))', "rw_jax.base_config()")
    (tmp_path / "other.py").write_text(other.replace("nodes: int = 7", "nodes: int = 9"))
    assert rw_jax.read_config(tmp_path / "other.py").task.num_nodes == 9
    assert rw_jax.read_config(tmp_path / "mine.py").task.num_nodes == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.py", "other.py"]
    assert "__config__" not in sys.modules


def test_a_notebook_may_run_a_command_twice_and_is_interrupted_afterwards_as_before(monkeypatch, capsys):
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(sys, "argv", ["rw_jax", SMOKE, "--dry_run"])
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    threads = threading.active_count()
    for _ in range(2):
        main.command()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert capsys.readouterr().out.count("runs to train") == 2
    until = time.monotonic() + 10
    while threading.active_count() > threads and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() <= threads
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_working_directory_that_is_gone_is_one_sentence(tmp_path):
    program = f"{sys.executable} -m rw_jax.main --config={PROJECT / 'configs' / 'smoke.py'} --dry_run"
    shell = f"mkdir gone; cd gone; rmdir ../gone; {program}"
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "rw_jax: The working directory is not there any more; change to one that is.\n"
