"""What can be wrong with a run directory: each fault is made here, and is repaired, or refused in a sentence."""

import contextlib
import gc
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from rw_jax import load_run, main
from rw_jax.explorer.data import gather
from rw_jax.store import checkpoint, chunks, metrics_file
from rw_jax.study.errors import RunError
from rw_jax.sweeps import lock, sweep
from tests.sweeps.faults import command, damaged, files_at_most, refusal
from tests.tiny import assert_sentence, chunk_of, contents, stored_records, tiny_study

# Of a tree Orbax reads and writes many parts at once, and leaves the others behind when the first fails.
pytestmark = pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind_for_other_tests() -> Iterator[None]:
    yield
    gc.collect()


def test_a_file_that_is_missing_cut_short_or_changed_is_found_unless_what_is_read_is_what_was_saved(tmp_path):
    rng, noise = random.Random(0), np.random.default_rng(0)
    tree = {"metrics": {"loss": noise.random((4, 500))}, "params": {"value": noise.random((4, 9, 9), np.float32)}}
    metadata = {"cells": {"p": [0.5, 0.7]}}
    folder, found = tmp_path / "chunk", 0
    checkpoint.save(folder, tree, metadata)
    for file in [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]:
        whole = file.read_bytes()
        for content in [*damaged(whole, rng), *(damaged(whole, rng)[2] for _ in range(4))]:
            file.unlink()
            if content is not None:
                file.write_bytes(content)
            try:
                again = checkpoint.load(folder)
                assert checkpoint.load_metadata(folder) == metadata
                for name, part in tree.items():
                    for leaf, array in part.items():
                        np.testing.assert_array_equal(again[name][leaf], array)
            except checkpoint.DamagedError as error:
                assert_sentence(str(error))
                found += str(folder) in str(error)
            file.write_bytes(whole)
    assert found >= 25


@pytest.mark.parametrize("part", ["state/_METADATA", "_CHECKPOINT_METADATA"])
def test_the_sweep_trains_a_damaged_chunk_again_and_analysis_names_it(
    part, copied, values_run, values_study, sweep_once, caplog
):
    damaged = chunk_of(copied, p=0.5, seed=0)
    (damaged / part).write_bytes((damaged / part).read_bytes()[:100])
    for ask in (
        lambda: load_run(copied).params(step=5, p=0.5, seed=0),
        lambda: (copied / "metrics.nc").unlink() or load_run(copied).metrics,
    ):
        with pytest.raises(RunError) as refused:
            ask()
        assert_sentence(str(refused.value))
        assert str(damaged) in str(refused.value)
    sweep_once(values_study, copied)
    assert stored_records(copied) == stored_records(values_run)
    assert (copied / "metrics.nc").read_bytes() == (values_run / "metrics.nc").read_bytes()
    assert any(str(damaged) in record.getMessage() for record in caplog.records)


def test_a_finished_directory_with_a_damaged_chunk_is_not_finished(copied, values_run, values_study, sweep_once):
    damaged = chunk_of(copied, p=1.0, seed=1)
    shutil.rmtree(damaged / "state")
    sweep_once(values_study, copied)
    assert load_run(copied).environment["runs"] == 2
    assert stored_records(copied) == stored_records(values_run)


def test_metrics_of_a_large_file_are_those_of_a_small_one_and_damage_is_named_where_it_is_read(copied, monkeypatch):
    small = load_run(copied)
    monkeypatch.setattr(metrics_file, "_SMALL", 0)
    large = load_run(copied)
    assert not large.metrics.variables["accuracy"]._in_memory
    pd.testing.assert_frame_equal(large.summary(), small.summary())
    for ours, theirs in zip(large.groups(p=0.7), small.groups(p=0.7), strict=True):
        for name in small.metrics.data_vars:
            if "step" in small.metrics[name].dims:
                np.testing.assert_array_equal(ours.metric(name), theirs.metric(name))
    assert pickle.dumps(gather(large)) == pickle.dumps(gather(small))
    content = bytearray((copied / "metrics.nc").read_bytes())
    content[content.index(small.metrics["accuracy"].values.tobytes()) + 10] ^= 1
    (copied / "metrics.nc").write_bytes(content)  # into the file that is open
    with pytest.raises(RunError, match=r"metrics\.nc is not as it was written") as refused:
        large.groups()[0].metric("accuracy")
    assert_sentence(str(refused.value))
    large.metrics.close()


def test_damaged_metrics_are_named(copied):
    file = copied / "metrics.nc"
    content = bytearray(file.read_bytes())
    place = content.index(load_run(copied).metrics["accuracy"].values.tobytes())
    content[place + 10] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"metrics\.nc is not as it was written") as refused:
        _ = load_run(copied).metrics
    assert_sentence(str(refused.value))


def test_a_half_written_chunk_is_nothing_and_is_cleared_away(copied, values_run, values_study, sweep_once):
    lost = chunk_of(copied, p=1.0, seed=0)
    lost.rename(lost.with_name(f"{lost.name}.orbax-checkpoint-tmp"))
    (copied / "metrics.nc").unlink()
    assert np.isnan(load_run(copied).metrics["accuracy"].sel(p=1.0)).all()
    sweep_once(values_study, copied)
    assert stored_records(copied) == stored_records(values_run)
    assert not list(copied.rglob("*tmp*"))


def test_a_file_that_cannot_grow_in_a_save_ends_the_sweep_in_a_sentence_and_the_same_command_goes_on(
    values_run, values_study, sweep_once, tmp_path, capsys, monkeypatch
):
    folder = tmp_path / "run"
    save = chunks.save

    def save_the_second_on_a_full_disk(path, *rest):
        with files_at_most(300) if list(path.glob("*")) else contextlib.nullcontext():
            return save(path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "save", save_the_second_on_a_full_disk)
        sentence = refusal(capsys, values_study, folder, exit_code=1)
    assert "cannot be written (File too large); what is finished is kept" in sentence
    sweep_once(values_study, folder)
    assert load_run(folder).environment["runs"] == 2
    assert stored_records(folder) == stored_records(values_run)


def test_a_full_disk_ends_the_sweep_in_a_sentence(values_study, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", str(tmp_path / "run" / "chunks"))

    monkeypatch.setattr(sweep, "_train", full)
    sentence = refusal(capsys, values_study, tmp_path / "run", exit_code=1)
    assert "cannot be written (No space left on device); what is finished is kept" in sentence


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a user who may become another")
def test_a_read_only_directory_can_be_analysed_and_a_sweep_into_it_is_refused(copied, values_study, capsys):
    shutil.rmtree(chunk_of(copied, p=1.0, seed=0))
    for path in [copied, *copied.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in copied.parents:
        if not parent.stat().st_mode & 0o001:  # pytest's own, which only its user may enter
            parent.chmod(0o755)
    before = contents(copied)
    os.seteuid(65534)
    try:
        sentence = refusal(capsys, values_study, copied)
        assert load_run(copied).metrics["accuracy"].notnull().all()
    finally:
        os.seteuid(0)
    assert "cannot be written (Permission denied" in sentence
    assert contents(copied) == before


HOLD = """
import pathlib, sys, time
from rw_jax.sweeps import lock
folder = pathlib.Path(sys.argv[1])
with lock.hold(folder, folder / "lock"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_at_once_with_the_first_by_name_and_a_dead_one_holds_nothing(
    copied, values_study, sweep_once, capsys
):
    (copied / "metrics.nc").unlink()
    holder = [sys.executable, "-c", HOLD, str(copied)]
    with subprocess.Popen(holder, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        before = contents(copied)
        sentence = refusal(capsys, values_study, copied)
        assert f"is in use by process {first.pid} on {os.uname().nodename}" in sentence
        assert contents(copied) == before
        first.kill()
    assert f"process {first.pid}" in (copied / "lock").read_text()
    sweep_once(values_study, copied)
    assert (copied / "metrics.nc").is_file()


def test_a_lock_is_free_again_after_its_holder(tmp_path):
    file = tmp_path / "lock"
    held = lock.LockedError
    for _ in range(2):
        with lock.hold(tmp_path, file), pytest.raises(held, match=f"process {os.getpid()}"), lock.hold(tmp_path, file):
            pass


def test_a_lock_that_is_deleted_or_is_no_text_lets_nobody_in(tmp_path):
    file = tmp_path / "lock"
    file.write_bytes(b"\xff\xfe")
    with lock.hold(tmp_path, file):
        file.write_bytes(b"\xff\xfe")
        with pytest.raises(lock.LockedError, match="in use by"), lock.hold(tmp_path, file):
            pass
        file.unlink()
        with pytest.raises(lock.LockedError, match="in use by another process"), lock.hold(tmp_path, file):
            pass


def test_a_directory_of_an_older_format_is_refused_in_a_sentence_that_names_the_commit(copied, values_study, capsys):
    file, config_file = copied / "environment.json", copied / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"commit": "c0ffee"}))
    config = json.loads(config_file.read_text())
    assert config.pop("schema") == 4
    config_file.write_text(json.dumps(config))
    sentence = refusal(capsys, values_study, copied)
    assert "has format 2, but this rw_jax reads format 4; commit c0ffee wrote it" in sentence
    with pytest.raises(RunError, match="has format 2"):
        load_run(copied)


def test_clocks_that_change_change_nothing(copied, values_run, values_study, sweep_once):
    shutil.rmtree(chunk_of(copied, p=1.0, seed=0))
    for i, path in enumerate(sorted(copied.rglob("*"))):
        os.utime(path, (i, 4e9 - i))
    sweep_once(values_study, copied)
    assert stored_records(copied) == stored_records(values_run)


def test_nothing_in_a_run_directory_is_executed_when_it_is_read():
    package = Path(main.__file__).parent
    modules = [path for wing in ("study", "store", "analysis") for path in (package / wing).rglob("*.py")]
    assert len(modules) > 15
    for module in modules:
        if module.name in ("flags.py", "sources.py"):  # config files are Python; a Run says how it is to be pickled
            continue
        text = module.read_text()
        for word in ("pickle", "eval(", "exec(", "allow_pickle=True", "dill"):
            assert word not in text


def test_a_run_that_diverges_is_told_and_its_neighbours_are_untouched(sweep_once, tmp_path, caplog):
    fields = {"execution.cells_per_batch": 3, "training.loss": "squared_error"}
    calm = sweep_once(tiny_study(learning_rate=(0.1, 0.2, 0.3), fields=fields), tmp_path / "calm")
    study = tiny_study(learning_rate=(0.1, 1e30, 0.3), fields=fields)
    wild = sweep_once(study, tmp_path / "wild")
    run = load_run(wild)
    (step,) = run.metrics["diverged_at"].sel(learning_rate=[1e30]).values
    assert 1 <= step <= 5
    loss = run.metrics["train_loss"].sel(learning_rate=1e30)
    assert np.isfinite(loss.sel(step=slice(0, step - 1))).all()
    assert not np.isfinite(loss.sel(step=step))
    assert np.isnan(run.metrics["diverged_at"].sel(learning_rate=[0.1, 0.3])).all()
    one, other = stored_records(calm), stored_records(wild)
    assert len(set(one) & set(other)) == 2
    assert all(one[key] == other[key] for key in set(one) & set(other))
    main.main(command(study, wild))
    assert f"1 runs diverged, their training loss NaN or infinite: learning_rate=1e+30 from step {step:g} on." in (
        caplog.text
    )
    with pytest.raises(SystemExit) as strict:
        main.main(command(study, wild, "strict"))
    assert strict.value.code == 3


def test_memory_that_is_short_ends_the_sweep_in_a_sentence_that_says_what_to_give(
    values_study, tmp_path, capsys, monkeypatch
):
    def short(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(sweep, "_train", short)
    sentence = refusal(capsys, values_study, tmp_path / "run", exit_code=1)
    assert "memory is short; give a smaller --config.execution.cells_per_chunk" in sentence


def test_a_chunk_or_metrics_of_another_study_are_not_read_as_ones_own(copied, sweep_once, tmp_path):
    other = sweep_once(tiny_study(p=(0.5, 0.7, 1.0), seed=(0, 1), fields={"study_seed": 5}), tmp_path / "other")
    shutil.copy(other / "metrics.nc", copied / "metrics.nc")
    with pytest.raises(RunError, match=r"metrics\.nc is not as it was written") as refused:
        _ = load_run(copied).metrics
    assert_sentence(str(refused.value))
    mine = load_run(copied.parent / "copy").source.gathered(load_run(copied).grid)
    shutil.copy(other / "products.json", copied / "products.json")  # which are not ours, so the chunks are asked
    assert load_run(copied).metrics.identical(mine)
    shutil.rmtree(copied / "chunks")
    shutil.copytree(other / "chunks", copied / "chunks")
    for ask in (lambda: load_run(copied).metrics, lambda: load_run(copied).params(p=0.5, seed=0)):
        with pytest.raises(RunError, match="is of another study") as refused:
            ask()
        assert_sentence(str(refused.value))
