"""What people do to run directories: files of their own in them, edits, links, damage, other versions, sizes."""

import errno
import fcntl
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from rw_jax import command_line, load_run, main
from rw_jax.store import checkpoint, chunks
from rw_jax.store.layout import RunDir, read_environment, write_environment
from rw_jax.study.errors import ConfigError, RunError
from rw_jax.sweeps import sweep
from tests.sweeps.faults import command, damaged, files_at_most, refusal
from tests.tiny import assert_sentence, chunk_of, contents, some, stored_records, tiny_study


def test_what_a_sweep_did_not_write_is_neither_read_nor_removed(copied, values_run, values_study, sweep_once):
    mine = [
        copied / "chunks" / ".ipynb_checkpoints" / "a.ipynb",
        copied / "chunks" / "notes.damaged" / "todo.txt",
        copied / "unfinished" / "drafts" / "todo.txt",
        copied / "figures" / "mine.svg",
        copied / "notes.txt",
    ]
    for file in mine:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    assert load_run(copied).params(p=0.5, seed=0)
    shutil.rmtree(chunk_of(copied, p=1.0, seed=0))
    sweep_once(values_study, copied)
    main.main(command(values_study, copied))
    assert all(file.read_text() == "mine" for file in mine)
    assert stored_records(copied) == stored_records(values_run)


@pytest.mark.parametrize(
    "name", some(["config.json", "environment.json", "summary.csv", "figures", "chunks", "lock"], "figures", "lock")
)
def test_a_link_in_the_place_of_what_a_sweep_writes_is_refused_and_its_target_is_left_alone(
    name, copied, values_study, capsys, tmp_path
):
    main.main(command(values_study, copied))
    target = tmp_path / "target"
    (copied / name).rename(target)
    (copied / name).symlink_to(target)
    before = contents(tmp_path)
    assert f"in which {name} is a link" in refusal(capsys, values_study, copied)
    assert contents(tmp_path) == before


def test_a_link_in_the_place_of_a_chunk_is_refused_and_its_target_is_left_alone(copied, values_study, capsys, tmp_path):
    chunk = chunk_of(copied, p=1.0, seed=0)
    target = chunk.rename(tmp_path / "target")
    (target / "notes.txt").write_text("mine")
    chunk.symlink_to(target)
    before = contents(tmp_path)
    assert f"in which chunks/{chunk.name} is a link" in refusal(capsys, values_study, copied)
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_links_below_are_replaced_and_not_followed(copied, values_study, tmp_path):
    main.main(command(values_study, copied))
    target = tmp_path / "target"
    target.write_text("precious")
    for name in ("figures/curves.svg", "summary.csv.tmp", "config.json.tmp"):
        (copied / name).unlink(missing_ok=True)
        (copied / name).symlink_to(target)
    (copied / "environment.json").write_text("")
    main.main(command(values_study, copied))
    assert target.read_text() == "precious"
    assert not (copied / "figures" / "curves.svg").is_symlink()
    assert json.loads((copied / "environment.json").read_text())["runs"] == 0


@pytest.mark.slow
def test_files_that_can_be_made_again_are_made_again_and_named(copied, values_study, caplog):
    main.main(command(values_study, copied))
    made = ["metrics.nc", "summary.csv", "figures/curves.png", "figures/curves.svg", "figures/value_matrices.csv"]
    whole = {name: (copied / name).read_bytes() for name in made}
    for name in made:
        (copied / name).write_bytes(whole[name][:20])
    caplog.clear()
    main.main(command(values_study, copied))
    assert {name: (copied / name).read_bytes() for name in made} == whole
    for name in made:
        assert name == "metrics.nc" or f"{name} is not as it was written, and is made again" in caplog.text
        (copied / name).unlink()
    (copied / "products.json").unlink()
    main.main(command(values_study, copied))
    assert {name: (copied / name).read_bytes() for name in made} == whole


def test_an_empty_config_or_environment_is_restored_by_the_same_command(copied, values_study, sweep_once):
    config = (copied / "config.json").read_bytes()
    edited = (copied / "environment.json").read_bytes().replace(b'"runs": 6', b'"runs": 9')
    for name, content in (
        ("config.json", b""), ("config.json", None), ("environment.json", b""), ("environment.json", None),
        ("environment.json", edited),
    ):  # fmt: skip
        before = stored_records(copied)
        (copied / name).unlink()
        if content is not None:
            (copied / name).write_bytes(content)
        if name == "config.json":
            with pytest.raises(RunError, match=r"config\.json"):
                load_run(copied)
        sweep_once(values_study, copied)
        assert (copied / "config.json").read_bytes() == config
        assert stored_records(copied) == before
        assert load_run(copied).environment["cells_per_batch"] == 1


def test_any_edit_of_a_config_is_found(copied):
    file = copied / "config.json"
    whole = file.read_text()
    edits = [("walk_length", 6, 7), ("study_seed", 0, 1), ("steps", 5, 4), ("precision", "float32", "float64")]
    for name, there, here in edits:
        text = f'"{name}": {json.dumps(there)}'
        assert text in whole
        file.write_text(whole.replace(text, f'"{name}": {json.dumps(here)}'))
        with pytest.raises(RunError, match=r"config\.json is not as it was written") as refused:
            load_run(copied)
        assert_sentence(str(refused.value))
    file.write_text(whole.replace("2\n", "3\n"))
    with pytest.raises(RunError, match=r"config\.json is not as it was written"):
        load_run(copied)


def test_what_cannot_be_read_is_no_damage_and_nothing_is_removed(copied, values_study, capsys, monkeypatch):
    before = contents(copied)
    read = checkpoint.checksum_of

    def no_more_files(path):
        if "chunks" in path.parts:
            raise OSError(24, "Too many open files", str(path))
        return read(path)

    monkeypatch.setattr(checkpoint, "checksum_of", no_more_files)
    sentence = refusal(capsys, values_study, copied)
    assert "cannot be used (Too many open files" in sentence
    with pytest.raises(RunError, match="cannot be read \\(Too many open files\\)") as refused:
        load_run(copied).params(p=0.5, seed=0)
    assert_sentence(str(refused.value))
    assert contents(copied) == before


TOO_FEW_FILES = """
import os, resource, sys
import rw_jax
run = rw_jax.load_run(sys.argv[1])
used = len(os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (used + 4, used + 4))
try:
    run.params(p=0.5, seed=0)
except rw_jax.RunError as error:
    print(error)
"""


def test_a_process_that_may_open_few_files_is_told_so(copied):
    done = subprocess.run([sys.executable, "-c", TOO_FEW_FILES, copied], capture_output=True, text=True, check=False)
    assert "cannot be read (Too many open files)" in done.stdout
    assert_sentence(done.stdout.removesuffix("\n"))


def test_a_damaged_chunk_is_kept_until_there_is_another_in_its_place(
    copied, values_run, values_study, sweep_once, monkeypatch, capsys
):
    damaged = chunk_of(copied, p=0.5, seed=0)
    (damaged / "files.json").unlink()
    (damaged / "state" / "manifest.ocdbt").write_bytes(b"")
    before = contents(damaged)

    def full(*_):
        raise OSError(28, "No space left on device", str(damaged))

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "_train", full)
        refusal(capsys, values_study, copied, exit_code=1)
    assert contents(damaged.with_name(f"{damaged.name}.damaged")) == before
    assert (copied / "metrics.nc").is_file()
    sweep_once(values_study, copied)
    assert stored_records(copied) == stored_records(values_run)
    assert not list(copied.rglob("*.damaged"))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_any_damage_of_any_file_leaves_the_same_numbers_or_is_named_and_the_command_heals_it(
    seed, values_run, values_study, sweep_once, tmp_path
):
    rng = random.Random(seed)
    whole, records = load_run(values_run), stored_records(values_run)
    cells = [(p, cell) for p in (0.5, 0.7, 1.0) for cell in (0, 1)]
    files = [path for path in sorted(values_run.rglob("*")) if path.is_file() and path.stat().st_size]
    told = 0
    for number, file in enumerate(files if seed else files[::2]):
        folder = Path(shutil.copytree(values_run, tmp_path / str(number)))
        content = rng.choice([*damaged(file.read_bytes(), rng), b"", bytes(file.stat().st_size)])
        (folder / file.relative_to(values_run)).unlink()
        if content is not None:
            (folder / file.relative_to(values_run)).write_bytes(content)
        error = None
        try:
            run = load_run(folder)
            assert run.metrics.identical(whole.metrics)
            for p, cell in cells:
                for step in (0, 2, 5):
                    for name, leaf in run.params(p=p, seed=cell, step=step).items():
                        np.testing.assert_array_equal(leaf, whole.params(p=p, seed=cell, step=step)[name])
        except RunError as told_error:
            error = str(told_error)
        if error is not None:
            assert_sentence(error)
            assert str(folder) in error
            told += 1
        if file.name == "config.json" and content is None:  # then it is no run directory that can be known
            continue
        if seed or (error is not None and number % 2):  # healing takes long
            sweep_once(values_study, folder)
            assert stored_records(folder) == records
            assert load_run(folder).metrics.identical(whole.metrics)
    assert told >= len(files) // 6


@pytest.mark.slow
def test_a_figure_that_cannot_be_drawn_is_a_warning_the_rest_is_there_and_the_exit_code_says_so(
    copied, values_study, caplog, monkeypatch
):
    def fails(*_, **__):
        raise RuntimeError("latex could not be found")

    with monkeypatch.context() as patch:
        patch.setattr("rw_jax.analysis.plots.sweeps.curves", fails)
        with pytest.raises(SystemExit) as left:
            main.main(command(values_study, copied))
    assert left.value.code == 1
    assert "The figure curves cannot be drawn (RuntimeError: latex could not be found)." in caplog.text
    assert (copied / "summary.csv").is_file()
    assert (copied / "figures" / "value_matrices.png").is_file()
    assert not (copied / "figures" / "curves.png").exists()
    main.main(command(values_study, copied))
    assert (copied / "figures" / "curves.png").is_file()


def test_metrics_on_a_full_disk_end_in_a_sentence_and_the_same_command_goes_on(
    copied, values_run, values_study, sweep_once, capsys
):
    (copied / "metrics.nc").unlink()
    with files_at_most(4000):
        sentence = refusal(capsys, values_study, copied, exit_code=1)
    assert "metrics.nc cannot be written (File too large)" in sentence
    sweep_once(values_study, copied)
    assert (copied / "metrics.nc").read_bytes() == (values_run / "metrics.nc").read_bytes()


def test_whatever_decides_numbers_is_set_by_the_study(values_run, values_study, tmp_path):
    theirs = {
        "jax_threefry_partitionable": False,
        "jax_default_prng_impl": "rbg",
        "jax_random_seed_offset": 7,
        "jax_default_matmul_precision": "bfloat16",
        "jax_enable_x64": True,
        "jax_numpy_dtype_promotion": "strict",
        "jax_numpy_rank_promotion": "raise",
        "jax_debug_nans": True,
        "jax_legacy_prng_key": "error",
    }
    before = {name: jax.config.values[name] for name in theirs}
    walks = load_run(values_run).walks("test", p=0.5, seed=1)[0]
    for name, value in theirs.items():
        jax.config.update(name, value)
    try:
        sweep.sweep(values_study, tmp_path / "run")
        np.testing.assert_array_equal(load_run(values_run).walks("test", p=0.5, seed=1)[0], walks)
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
    assert stored_records(tmp_path / "run") == stored_records(values_run)


def test_another_version_or_code_than_when_runs_were_trained_is_said(copied, values_study, sweep_once, caplog):
    environment = read_environment(RunDir(copied))
    assert environment["package"]
    environment |= {"package": "0" * 12, "versions": environment["versions"] | {"jax": "0.1"}}
    write_environment(RunDir(copied), environment, environment.pop("earlier_calls"))
    sweep_once(values_study, copied)
    assert "0.1" not in caplog.text  # nothing is trained
    shutil.rmtree(chunk_of(copied, p=0.5, seed=0))
    sweep_once(values_study, copied)
    assert "and was 0.1, when runs of" in caplog.text
    assert "the code of rw_jax is" in caplog.text


def test_a_directory_without_runs_may_be_begun_by_another_config(tmp_path, sweep_once, monkeypatch, capsys):
    def short(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "_train", short)
        assert "memory is short" in refusal(capsys, tiny_study(seed=(0, 1)), tmp_path / "run", exit_code=1)
    sweep_once(tiny_study(seed=(0, 1, 2)), tmp_path / "run")
    assert load_run(tmp_path / "run").metrics["finished"].all()


def test_beginnings_are_not_lost_to_another_config(tmp_path, sweep_once, monkeypatch, capsys):
    study = tiny_study(seed=(0, 1), fields={"execution.checkpoint_steps": 2})
    save = chunks.save

    def killed_at_the_end(folder, *rest):
        if folder.name == "chunks":
            raise KeyboardInterrupt
        return save(folder, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "save", killed_at_the_end)
        with pytest.raises(KeyboardInterrupt):
            sweep_once(study, tmp_path / "run")
    before = contents(tmp_path / "run")
    other = tiny_study(seed=(5, 6), fields={"execution.checkpoint_steps": 2})
    assert "which has other runs" in refusal(capsys, other, tmp_path / "run")
    assert contents(tmp_path / "run") == before
    sweep_once(study, tmp_path / "run")
    assert not (tmp_path / "run" / "unfinished").exists()


def test_an_open_run_does_not_give_the_numbers_of_another_study_that_has_come_in_its_place(tmp_path, sweep_once):
    run = load_run(sweep_once(tiny_study(seed=(0, 1)), tmp_path / "run"))
    run.value_matrix(seed=0)
    shutil.rmtree(tmp_path / "run")
    sweep_once(tiny_study(seed=(0, 1), fields={"study_seed": 1}), tmp_path / "run")
    for ask in (lambda: run.metrics, lambda: run.mean_attention(seed=0)):
        with pytest.raises(RunError) as refused:
            ask()
        assert_sentence(str(refused.value))


def test_a_directory_that_is_moved_while_it_is_trained_ends_the_sweep_and_is_continued_where_it_is(
    tmp_path, values_study, values_run, sweep_once, monkeypatch
):
    save = chunks.save

    def moved(folder, *rest):
        path = save(folder, *rest)
        if (tmp_path / "run").exists():
            (tmp_path / "run").rename(tmp_path / "moved")
        return path

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "save", moved)
        with pytest.raises(RunError, match="was moved or removed while it was trained") as refused:
            sweep_once(values_study, tmp_path / "run")
    assert_sentence(str(refused.value))
    assert [path.name for path in tmp_path.iterdir() if path.name != "copy"] == ["moved"]
    assert load_run(sweep_once(values_study, tmp_path / "moved")).environment["runs"] == 2
    assert stored_records(tmp_path / "moved") == stored_records(values_run)


def test_a_directory_that_another_sweep_fills_before_it_is_locked_is_refused(tmp_path, sweep_once, monkeypatch):
    work_of, other = sweep.work_of, tiny_study(learning_rate=(0.1, 0.2))

    def overtaken(*args):
        monkeypatch.setattr(sweep, "work_of", work_of)
        sweep_once(other, tmp_path / "run")
        return work_of(*args)

    monkeypatch.setattr(sweep, "work_of", overtaken)
    with pytest.raises(ConfigError, match="which has other runs"):
        sweep_once(tiny_study(seed=(0, 1)), tmp_path / "run")
    assert load_run(tmp_path / "run").metrics["finished"].all()
    assert load_run(tmp_path / "run").config == other


@pytest.mark.slow
def test_figures_of_an_earlier_grid_are_named(copied, values_study, sweep_once, caplog):
    main.main(command(values_study, copied))
    larger = tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1), learning_rate=(0.5, 1.0))
    main.main(command(larger, copied))
    assert "are not of this grid" in caplog.text
    assert "success_against_p.png" in caplog.text


def test_a_folder_among_the_pieces_is_no_piece(copied):
    (copied / "pieces" / "x.py").mkdir(parents=True)
    assert load_run(copied).walks("test", p=0.5, seed=0)


@pytest.mark.slow
def test_a_reader_that_has_had_enough_does_not_hide_that_a_run_diverged(copied, tmp_path, sweep_once, monkeypatch):
    study = tiny_study(learning_rate=(1e30,), fields={"training.loss": "squared_error"})
    workdir = sweep_once(study, tmp_path / "wild")
    main.main(command(study, workdir))

    def closed(*args, **rest):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", closed)
    monkeypatch.setattr(command_line, "_leave_output", lambda: None)
    with pytest.raises(SystemExit) as strict:
        main.main(command(study, workdir, "strict"))
    assert strict.value.code == 3


@pytest.mark.slow
def test_more_steps_as_an_axis_go_on_after_an_interruption(tmp_path, sweep_once, monkeypatch):
    sweep_once(tiny_study(seed=(0, 1), fields={"training.steps": 4}), tmp_path / "run")
    longer = tiny_study(seed=(0, 1), steps=(6, 8))

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "_train", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep_once(longer, tmp_path / "run")
    assert str(sweep.plan(longer, tmp_path / "run")).startswith("4 of 4 runs to train, 4 of them from where they are")


@pytest.mark.slow
def test_runs_without_a_step_leave_nothing_when_they_go_on(tmp_path, sweep_once):
    sweep_once(tiny_study(seed=(0, 1), fields={"training.steps": 0}), tmp_path / "run")
    sweep_once(tiny_study(seed=(0, 1)), tmp_path / "run")
    assert len(list((tmp_path / "run" / "chunks").iterdir())) == 1


def test_a_chunk_of_this_study_but_of_other_runs_is_named(copied, values_study, sweep_once, tmp_path, capsys):
    other = sweep_once(tiny_study(learning_rate=(0.1,)), tmp_path / "other")
    (chunk,) = (other / "chunks").iterdir()
    shutil.copytree(chunk, copied / "chunks" / chunk.name)
    sentence = refusal(capsys, values_study, copied)
    assert f"hold no other runs than those of this grid: chunks/{chunk.name} has others" in sentence


SIZES = [
    ({"training.steps": 10**8}, {}, "record.every is 1, which records 100000000"),
    ({"model.position_width": 10**8}, {}, "model.position_width is 100000000, but must be at most"),
    ({"task.num_nodes": 10**6}, {}, "task.num_nodes is 1000000, but must be at most 10000"),
    ({"model.feed_forward_width": 10**9}, {}, "model.feed_forward_width is 1000000000, but must be at most"),
    ({"execution.cells_per_batch": 2**31 - 1}, {}, "GB of memory are free"),
    ({"task.walks": 2**31 - 1}, {}, "GB of memory are free"),
    ({"model.form": "full", "model.position_width": 10**6}, {}, "GB of memory are free"),
    ({}, {"seed": tuple(range(10**6)), "p": tuple(i / 101 for i in range(101))}, "can have at most 100000000"),
]


@pytest.mark.parametrize(("fields", "axes", "words"), SIZES, ids=[words[:24] for *_, words in SIZES])
def test_what_fits_no_machine_is_told_from_sizes_alone_and_nothing_is_written(fields, axes, words, tmp_path, capsys):
    sentence = refusal(capsys, tiny_study(fields=fields, **axes), tmp_path / "run")
    assert words in sentence
    assert not (tmp_path / "run").exists()


def test_where_there_are_no_locks_it_is_said_and_trained(
    tmp_path, values_study, values_run, sweep_once, monkeypatch, caplog
):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    sweep_once(values_study, tmp_path / "run")
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"{tmp_path / 'run' / 'lock'} cannot be locked (No locks available)" in told[0]
    assert stored_records(tmp_path / "run") == stored_records(values_run)


def test_a_folder_whose_inode_changes_is_the_same_folder(tmp_path, values_study, values_run, sweep_once, monkeypatch):
    """As on sshfs; what tells it then is its lock."""
    numbers, of = itertools.count(), sweep._Place.of
    monkeypatch.setattr(sweep._Place, "of", lambda run_dir: of(run_dir)._replace(inode=next(numbers)))
    sweep_once(values_study, tmp_path / "run")
    assert next(numbers) > 2
    assert stored_records(tmp_path / "run") == stored_records(values_run)
