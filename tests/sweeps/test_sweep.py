"""A whole grid: a run's numbers are its own, an interrupted sweep ends with the same, and what is said on the way."""

import dataclasses
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from absl import logging as absl_logging
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rw_jax import load_run
from rw_jax.store import checkpoint, chunks, provenance
from rw_jax.store.provenance import commit_of, digest_of
from rw_jax.study.errors import ConfigError
from rw_jax.study.grid import Grid, recorded_steps
from rw_jax.sweeps import devices, pace, program, progress_bar, sweep
from rw_jax.training import run as training_run
from tests.tiny import (
    assert_sentence,
    checked,
    chunk_of,
    contents,
    experiment_and_values,
    stored_records,
    tiny_study,
)


@pytest.fixture(scope="module")
def mesh():
    return devices.set_up(tiny_study().execution).mesh


def compiled_program(study, mesh, cells_per_batch, size):
    """The program of a study of one structure."""
    experiment, shape, _ = checked(study)
    placement = devices.Placement(mesh, cells_per_batch, size, study.execution.checkpoint_steps)
    return program.compile_program(experiment, placement, shape)


@pytest.fixture(scope="module")
def programs(mesh):
    """A compiled program for each structure and batch: the tests that compare bits share them."""
    made = {}

    def program_of(study, cells_per_batch):
        (structure,) = Grid(study).structures
        key = structure.config, cells_per_batch
        if key not in made:
            made[key] = compiled_program(study, mesh, cells_per_batch, study.execution.cells_per_chunk)
        return made[key]

    return program_of


@pytest.fixture(scope="module")
def records_of(mesh, programs):
    """The bytes of the records of every cell of a study with one structure, by its p and seed."""

    def records(study, cells_per_batch=1):
        grid, size = Grid(study), study.execution.cells_per_chunk
        compiled = programs(study, cells_per_batch)
        found = {}
        for start in range(0, grid.num_cells, size):
            cells = [grid.cell(number) for number in range(start, min(start + size, grid.num_cells))]
            progress = jax.tree.map(np.asarray, program.run_chunk(compiled, cells))
            rows = compiled.placement.assign(len(cells)).rows
            for row, cell in zip(rows, cells, strict=True):
                leaves = [leaf[row].tobytes() for leaf in jax.tree.leaves(progress)]
                found[cell.config.task.p, cell.config.seed] = leaves
        return found

    return records


@pytest.fixture(scope="module")
def six(records_of, values_study):
    return records_of(values_study)


def test_every_cell_of_a_batch_equals_the_same_run_alone_bit_for_bit(six, records_of):
    assert len({leaf for leaves in six.values() for leaf in leaves if len(leaf) > 8}) > 6
    for (p, seed), leaves in six.items():
        assert records_of(tiny_study(p=(p,), seed=(seed,))) == {(p, seed): leaves}


def test_a_run_of_the_grid_is_the_plain_single_run_of_training(six):
    study = tiny_study(fields={"task.p": 0.7, "seed": 1})
    experiment, shape, _ = checked(study)
    schedule = program.make_schedule(experiment, 0, len(recorded_steps(study)))
    room = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shape.record)
    run = jax.jit(
        lambda values: training_run.train(experiment, values, training_run.begin(experiment, values, room), schedule)
    )
    progress = run(experiment_and_values(study)[1])
    assert progress.state.step == 5
    for ours, theirs in zip(jax.tree.leaves(progress), six[0.7, 1], strict=True):
        # The same numbers to rounding; only one compiled program gives them to the bit.
        np.testing.assert_allclose(np.frombuffer(theirs, ours.dtype), np.ravel(ours), rtol=1e-3, atol=1e-4)


def test_changing_one_cell_changes_no_other(six, records_of):
    changed = records_of(tiny_study(p=(0.5, 0.6, 1.0), seed=(0, 1)))
    for label in ((0.5, 0), (0.5, 1), (1.0, 0), (1.0, 1)):
        assert changed[label] == six[label]
    assert changed[0.6, 0] != six[0.7, 0]


def test_a_grid_with_added_values_keeps_every_old_run_bit_for_bit(six, records_of):
    larger = records_of(tiny_study(p=(0.0, 0.5, 0.6, 0.7, 1.0), seed=(2, 0, 1)))
    assert len(larger) == 15
    for label, leaves in six.items():
        assert larger[label] == leaves


@pytest.mark.slow
def test_another_chunk_size_gives_the_same_bits(six, records_of):
    assert records_of(tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1), fields={"execution.cells_per_chunk": 5})) == six


@pytest.mark.parametrize("form", ["reduced", pytest.param("full", marks=pytest.mark.slow)])
def test_a_cell_does_not_depend_on_its_neighbours_in_a_vmapped_batch(form, records_of):
    fields = {"execution.cells_per_batch": 3, "model.form": form}
    some = records_of(tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1), fields=fields), cells_per_batch=3)
    others = records_of(tiny_study(p=(0.9, 0.7), seed=(1, 4), fields=fields), cells_per_batch=3)
    alone = records_of(tiny_study(p=(1.0,), seed=(1,), fields=fields), cells_per_batch=3)
    assert others[0.7, 1] == some[0.7, 1]
    assert alone[1.0, 1] == some[1.0, 1]


def test_an_interrupted_sweep_is_resumed_to_identical_files(values_run, values_study, sweep_once, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(values_run, folder)
    finished = contents(folder)
    lost, kept = chunk_of(folder, p=0.5, seed=0), chunk_of(folder, p=1.0, seed=0)
    shutil.rmtree(lost)
    (folder / "metrics.nc").unlink()
    written = kept.stat().st_mtime_ns
    sweep_once(values_study, folder)
    assert load_run(folder).environment["runs"] == 4
    assert kept.stat().st_mtime_ns == written  # only what was missing was trained
    assert stored_records(folder) == stored_records(values_run)
    again = contents(folder)
    for name in ("config.json", "metrics.nc"):
        assert again[name] == finished[name]


def test_a_finished_directory_of_the_same_config_is_left_as_it_is_without_a_word(values_run, values_study, capsys):
    before = contents(values_run)
    run = sweep.sweep(values_study, values_run)
    assert capsys.readouterr() == ("", "")
    assert run.config == values_study
    assert contents(values_run) == before


def test_a_larger_grid_trains_only_what_it_adds_and_says_so(values_run, sweep_once, tmp_path, caplog):
    folder = shutil.copytree(values_run, tmp_path / "run")
    before = stored_records(folder)
    larger = tiny_study(p=(0.3, 0.5, 0.7, 1.0), seed=(0, 1, 2), fields={"execution.cells_per_chunk": 3})
    caplog.set_level(logging.INFO)
    sweep_once(larger, folder)
    assert "6 of 12 runs to train" in caplog.text
    assert load_run(folder).environment["runs"] == 6
    there = stored_records(folder)
    assert {key: there[key] for key in before} == before
    assert there == stored_records(sweep_once(larger))
    assert load_run(folder).config == larger
    before = contents(folder)
    sweep_once(larger, folder)
    assert contents(folder) == before


def test_more_steps_go_on_from_the_last_one_to_the_bits_of_a_training_in_one_go(
    values_run, sweep_once, tmp_path, caplog
):
    folder = shutil.copytree(values_run, tmp_path / "run")
    longer = tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1, 2), fields={"training.steps": 9})
    caplog.set_level(logging.INFO)
    sweep_once(longer, folder)
    assert "9 of 9 runs to train, 6 of them from where they are" in caplog.text
    assert load_run(folder).environment["runs"] == 9
    assert stored_records(folder) == stored_records(sweep_once(longer))
    assert load_run(folder).steps == (0, 2, 9)  # and no longer the last step of the shorter runs
    before = contents(folder)
    sweep_once(longer, folder)
    assert contents(folder) == before


@pytest.mark.slow
def test_more_steps_go_on_from_the_progress_of_shorter_runs_in_their_midst(values_study, sweep_once, tmp_path, caplog):
    folder, save = tmp_path / "run", chunks.save

    def save_no_chunk(where, *what):
        if where.name == "chunks":
            raise KeyboardInterrupt
        return save(where, *what)

    shorter = dataclasses.replace(
        values_study, execution=dataclasses.replace(values_study.execution, checkpoint_steps=2)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "save", save_no_chunk)
        with pytest.raises(KeyboardInterrupt):
            sweep_once(shorter, folder)
    caplog.set_level(logging.INFO)
    longer = shorter.replace(steps=9)
    sweep_once(longer, folder)
    assert "6 of 6 runs to train, 4 of them from where they are" in caplog.text
    assert stored_records(folder) == stored_records(sweep_once(longer))


def test_the_shorter_command_still_runs_after_a_longer_one_that_finished_nothing(
    values_run, values_study, sweep_once, tmp_path
):
    folder = shutil.copytree(values_run, tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "_train_chunk", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sweep.sweep(values_study.replace(steps=9), folder)
    sweep_once(values_study, folder)
    assert load_run(folder).environment["runs"] == 0
    assert stored_records(folder) == stored_records(values_run)
    assert load_run(folder).config == values_study


@pytest.mark.slow
def test_a_label_of_steps_is_a_run_of_its_own_and_not_the_beginning_of_another(sweep_once):
    workdir = sweep_once(tiny_study(steps=(3, 5)))
    before = contents(workdir)
    for study in (tiny_study(steps=(9,)), tiny_study(fields={"training.steps": 9}), tiny_study(steps=(5, 9))):
        with pytest.raises(ConfigError, match=r"the directory has .*grid\.steps = \(3, 5\)"):
            sweep.sweep(study, workdir)
    for study in (tiny_study(steps=(5,)), tiny_study(fields={"training.steps": 5})):
        assert sweep.sweep(study, workdir).grid.num_cells == 2  # it is there, and nothing is to do
    assert contents(workdir) == before


@pytest.mark.slow
def test_more_steps_are_refused_where_the_shorter_runs_record_other_steps(sweep_once):
    workdir = sweep_once(tiny_study(p=(0.5,), fields={"record.every": 2}))
    before = contents(workdir)
    with pytest.raises(
        ConfigError, match=r"has training\.steps = 5, you asked for training\.steps = 9"
    ):  # 5 is recorded as the last step only
        sweep.sweep(tiny_study(p=(0.5,), fields={"record.every": 2, "training.steps": 9}), workdir)
    assert contents(workdir) == before


def test_a_grid_that_leaves_out_a_run_or_changes_one_is_refused(values_run):
    before = contents(values_run)
    for study, words in (
        (
            tiny_study(p=(0.5, 0.7), seed=(0, 1, 2)),
            r"has grid.p = \(0.5, 0.7, 1.0\), .*asked for grid.p = \(0.5, 0.7\)",
        ),
        (
            tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1), fields={"training.epsilon": 0.2}),
            "has training.epsilon = 0.1, you asked for training.epsilon = 0.2",
        ),
        (tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1, 2), fields={"study_seed": 1}), "study_seed = 0, .*study_seed = 1"),
        (
            tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1, 2), fields={"record.every": 5}),
            "record.every = 1, .*record.every = 5",
        ),
    ):
        with pytest.raises(ConfigError, match=words):
            sweep.sweep(study, values_run)
    assert contents(values_run) == before


def test_a_plan_tells_what_there_is_to_do_and_writes_nothing(values_run, values_study, tmp_path):
    new, finished = sweep.plan(values_study, tmp_path / "new"), sweep.plan(values_study, values_run)
    assert str(new).startswith("6 of 6 runs to train: 1 program, chunks of at most 4 runs, 0.0 MB on disk")
    assert str(finished).startswith("0 of 6 runs to train: 0 programs,")
    assert not (tmp_path / "new").exists()


def test_chunks_that_grow_hold_no_more_than_their_cells_and_the_same_bits(
    values_run, sweep_once, tmp_path, monkeypatch
):
    monkeypatch.setattr(pace, "SECONDS_OF_CHUNK", 1e6)
    study = tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1), fields={"execution.cells_per_chunk": None})
    folder = sweep_once(study, tmp_path / "run")
    found = chunks.read_all(folder / "chunks")
    at_first = len(jax.devices())
    assert sorted(len(chunk.rows) for chunk in found) == sorted((at_first, 6 - at_first)), "a batch each, then the rest"
    for chunk in found:
        assert {len(leaf) for leaf in jax.tree.leaves(checkpoint.load(chunk.folder))} == {len(chunk.rows)}
    assert stored_records(folder) == stored_records(values_run)


def test_a_training_in_segments_has_the_bits_of_one_in_a_single_call(values_run, sweep_once, tmp_path):
    study = tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1), fields={"execution.checkpoint_steps": 2})
    saved = []
    save = chunks.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "save", lambda *what: saved.append(what[0].name) or save(*what))
        folder = sweep_once(study, tmp_path / "run")
    assert saved == ["unfinished", "unfinished", "chunks"] * 2
    assert stored_records(folder) == stored_records(values_run)
    assert not (folder / "unfinished").exists()


@pytest.mark.slow
def test_chunks_are_as_small_as_the_memory_that_is_free(values_run, values_study, tmp_path, monkeypatch):
    experiment, shape, _ = checked(values_study)
    placement = devices.set_up(values_study.execution)._replace(cells_per_chunk=64)
    pieces = (experiment, placement, shape)
    whole = program.compile_program(*pieces)
    assert whole.placement.cells_per_chunk == 64
    bytes_per_cell = sum(leaf.size * 4 for leaf in jax.tree.leaves(whole.shape))
    monkeypatch.setattr(program, "free_memory", lambda mesh: 64 * bytes_per_cell // mesh.size)
    assert placement.mesh.size <= program.compile_program(*pieces).placement.cells_per_chunk < 64
    monkeypatch.setattr(program, "free_memory", lambda mesh: 1)
    smallest = program.compile_program(*pieces).placement.cells_per_chunk
    assert smallest == placement.mesh.size
    sweep.sweep(values_study, tmp_path / "run")
    assert {len(chunk.rows) for chunk in chunks.read_all(tmp_path / "run" / "chunks")} <= {1, smallest}
    assert stored_records(tmp_path / "run") == stored_records(values_run)


RARE = st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 1e30, -1.0, float("nan"), None, "one"])


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "task.num_nodes": st.sampled_from([2, 3, 5, 130]),
            "task.walk_length": st.sampled_from([2, 3, 9]),
            "task.p": RARE,
            "task.walks": st.sampled_from([0, 1, 7]),
            "model.form": st.sampled_from(["reduced", "full", "half"]),
            "model.unit_length": st.sampled_from(["none", "keys", "both"]),
            "model.init": st.sampled_from(["zero", "gaussian"]),
            "model.init_scale": RARE,
            "training.loss": st.sampled_from(["log", "cross_entropy", "squared_error", "hinge"]),
            "training.epsilon": RARE,
            "training.learning_rate": RARE,
            "training.steps": st.sampled_from([-1, 0, 1, 4]),
            "record.every": st.sampled_from([1, 3, 100]),
            "record.parameters": st.sampled_from([(), (0, 2, 9), (1, 1), (-1,)]),
            "execution.cells_per_chunk": st.sampled_from([1, 3]),
            "execution.cells_per_batch": st.sampled_from([None, 1, 2]),
            "execution.checkpoint_steps": st.sampled_from([0, 1, 2]),
        },
    )
)
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_config_is_refused_in_a_sentence_or_runs(sweep_once, fields):
    try:
        config = tiny_study(seed=(0, 1, 2), fields=fields)
    except (ConfigError, TypeError, ValueError) as error:  # ml_collections refuses values of another type by itself
        if isinstance(error, ConfigError):
            assert_sentence(str(error))
        return
    metrics = load_run(sweep_once(config)).metrics
    assert metrics["finished"].all()
    assert metrics["optimal_accuracy"].notnull().all()
    assert (metrics["diverged_at"].notnull() == ~np.isfinite(metrics["train_loss"]).all("step")).all()


def test_a_directory_of_another_config_is_refused_with_the_fields_that_differ(values_run):
    before = contents(values_run)
    with pytest.raises(ConfigError, match=r"has grid.seed = \(0, 1\), you asked for grid.seed = \(0, 2\)"):
        sweep.sweep(tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 2)), values_run)
    assert contents(values_run) == before


def test_a_start_that_was_killed_while_it_wrote_the_config_can_be_repeated(tmp_path, values_study, monkeypatch):
    class StartedError(Exception):
        pass

    def start(*_):
        raise StartedError

    (tmp_path / "config.json.tmp").write_text('{"name":')
    monkeypatch.setattr(sweep, "compile_program", start)
    with pytest.raises(StartedError):
        sweep.sweep(values_study, tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config.json", "environment.json", "lock"]


def test_the_environment_names_what_the_numbers_depend_on(values_run):
    environment = json.loads((values_run / "environment.json").read_text())
    assert environment["versions"]["jax"] == jax.__version__
    assert environment["devices"]
    assert environment["cells_per_batch"] == 1
    assert environment["command"]
    assert environment["seconds"] > 0
    assert environment["commit"] is None or len(environment["commit"].removesuffix("+")) == 40
    assert environment["package"] == digest_of(Path(provenance.__file__).parents[1])


def git(folder, *words):
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *words], cwd=folder, env=os.environ | identity, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_commit_is_that_of_the_checkout_that_tracks_the_package_marked_if_its_files_are_changed(
    tmp_path, monkeypatch
):
    package, other = tmp_path / "package", tmp_path / "installed"
    for folder in (package, other):
        folder.mkdir()
        (folder / "__init__.py").write_text("x = 1\n")
    assert commit_of(package) is None  # no checkout
    git(tmp_path, "init")
    assert commit_of(package) is None
    git(tmp_path, "add", "package")
    assert commit_of(package) is None  # no commit yet, where plain rev-parse prints "HEAD"
    git(tmp_path, "commit", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert commit_of(package) == commit
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert commit_of(package) == commit
    monkeypatch.delenv("GIT_DIR")
    assert commit_of(other) is None  # not tracked, as an installed copy in another checkout
    same = digest_of(package)
    (package / "__init__.py").write_text("x = 2\n")
    assert commit_of(package) == commit + "+"
    assert digest_of(package) != same
    monkeypatch.setenv("PATH", "")
    assert commit_of(package) is None  # no git


def test_a_sweep_logs_one_short_plain_line_per_chunk_where_stderr_is_no_terminal(
    values_run, values_study, tmp_path, monkeypatch
):
    lines = []

    class Listener(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    logger, listener, verbosity = absl_logging.get_absl_logger(), Listener(), absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.INFO)
    logger.addHandler(listener)
    try:
        with progress_bar.shown(total=6, missing=4) as advance:
            advance(3, {"accuracy": np.array([0.5, 1.0, 0.75]), "parent_is_highest": np.array([1, 0, np.nan])})
            advance(1, {"accuracy": np.array([0.25])})
    finally:
        logger.removeHandler(listener)
        absl_logging.set_verbosity(verbosity)
    assert [line.split(",")[0] for line in lines] == ["5 of 6 runs", "6 of 6 runs"]
    assert "accuracy 0.75, on the parent 0.50, " in lines[0]
    assert "accuracy 0.62, on the parent 0.50, " in lines[1]
    # The first chunk is small, and what it took with all that came before it foretells nothing.
    assert re.search(r"[0-9.e+]+ a second$", lines[0])
    assert re.search(r"[0-9.e+]+ a second, 0 s left$", lines[1])
    assert max(map(len, lines)) < 90


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_shows_every_word_however_narrow_it_is(columns, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    measured = {"accuracy": np.full(10**6, 0.75), "parent_is_highest": np.ones(10**6)}
    with progress_bar.shown(total=2 * 10**6, missing=10**6) as advance:
        advance(2, {name: values[:2] for name, values in measured.items()})
        advance(10**6 - 2, measured)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert max(map(len, re.split(r"[\r\n]", plain))) <= columns
    words = " ".join(plain.split("training")[-1].replace("━", " ").split())
    assert re.fullmatch(
        r"2000000 of 2000000 runs, accuracy 0\.75, on the parent 1\.00, [0-9.e+]+ a second, 0 s left", words
    )


def test_a_notebook_has_one_line_that_is_replaced(monkeypatch):
    shown = []

    class Handle:
        def update(self, content, raw):
            shown.append(content["text/plain"])

    def display(content, raw, display_id):
        shown.append(content["text/plain"])
        return Handle()

    shell = types.SimpleNamespace(kernel=object())
    ipython = types.SimpleNamespace(get_ipython=lambda: shell, display=types.SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    with progress_bar.shown(total=6, missing=4) as advance:
        advance(3, {"accuracy": np.array([0.5, 0.5, 0.2])})
    assert shown[0] == "2 of 6 runs"
    assert shown[1].startswith("5 of 6 runs, accuracy 0.40, ")
    shell.kernel = None  # a terminal with IPython in it is no notebook
    with progress_bar.shown(total=6, missing=4):
        assert len(shown) == 2


@pytest.fixture(scope="module")
def train_in_batches(mesh):
    """(p, learning_rates) -> Record: 2000 steps of a run for each pair of labels, in vmapped batches of three."""
    fields = {"task.num_nodes": 7, "task.walk_length": 15, "task.walks": 101, "model.position_width": 1000}
    fields |= {"training.steps": 2000, "record.every": 50, "record.parameters": (1, 2, 5, 1000)}
    compiled = compiled_program(tiny_study(fields=fields), mesh, 3, 6)

    def train_all(p, learning_rates):
        study = tiny_study(p=p, learning_rate=learning_rates, fields=fields)
        return jax.tree.map(np.asarray, program.run_chunk(compiled, list(Grid(study).cells())).record)

    return train_all


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
def test_batches_of_deterministic_walks_keep_equal_weights_to_the_last_bit_for_2000_steps(train_in_batches):
    record = train_in_batches((0.0, 1.0), (0.01, 1.0, 10.0))
    assert record.metrics["attention_spread"].shape == (6, 44)
    np.testing.assert_array_equal(record.metrics["attention_spread"], 0)
    np.testing.assert_array_equal(np.ptp(record.kept["params"]["value"], axis=-1), 0)
    assert (record.kept["params"]["value"][:, 1:] != 0).all()


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
def test_a_run_whose_factors_underflow_changes_no_bit_of_the_others_in_its_batch(train_in_batches):
    def records(learning_rates):
        record = train_in_batches((0.7,), learning_rates)
        return [[leaf[row].tobytes() for leaf in jax.tree.leaves(record)] for row in range(3)], record

    calm, _ = records((0.4, 0.5, 0.6))
    beside, record = records((0.4, 1e9, 0.6))
    spread = np.ptp(record.kept["params"]["state_scores"][1, -1])
    assert not spread < 60  # beyond what the factors of float32 hold
    assert beside[0] == calm[0]
    assert beside[2] == calm[2]
