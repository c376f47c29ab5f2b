"""Real processes that are killed, or told to leave, at any moment."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.sweeps import killed
from tests.tiny import contents, stored_records


@pytest.fixture(scope="module")
def start():
    """Starts a function in a process of its own, with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.sweeps.killed"])

    def start_process(function, *args):
        process = context.Process(target=function, args=args, daemon=True)
        process.start()
        return process

    return start_process


def wait_until(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def files(folder: Path) -> set[str]:
    return {str(path) for part in ("chunks", "unfinished") for path in (folder / part).glob("*")}


def assert_same_end(folder: Path, expected: Path) -> None:
    assert stored_records(folder) == stored_records(expected)
    there, files_expected = contents(folder), contents(expected)
    for name in ("config.json", "metrics.nc"):
        assert there[name] == files_expected[name]
    assert {path.name for path in folder.iterdir()} == {path.name for path in expected.iterdir()}
    assert not [path for path in there if "tmp" in path]


@pytest.mark.parametrize("least_kills", [2, pytest.param(25, marks=pytest.mark.slow)])
def test_a_sweep_killed_at_any_moment_ends_with_the_bits_of_one_that_was_not(least_kills, start, tmp_path):
    whole, folders = tmp_path / "whole", [tmp_path / "one", tmp_path / "other"]
    process = start(killed.train, whole)
    process.join()
    assert process.exitcode == 0
    rng, kills, in_a_save = random.Random(0), 0, 0
    while kills < least_kills:
        before = [files(folder) for folder in folders]
        processes = [start(killed.train, folder) for folder in folders]  # two at a time, as there are two cores
        wait_until(
            lambda before=before: any(files(folder) - known for folder, known in zip(folders, before, strict=True))
        )
        time.sleep(rng.uniform(0, 0.15))
        for process, folder in zip(processes, folders, strict=True):
            process.kill()
            process.join()
            if process.exitcode == -signal.SIGKILL:
                kills += 1
                in_a_save += any("tmp" in Path(path).name for path in files(folder))
            else:  # it was finished before; another one begins
                assert_same_end(folder, whole)
                shutil.rmtree(folder)
    assert in_a_save > 3 or least_kills < 25
    for process, folder in [(start(killed.train, folder), folder) for folder in folders]:
        process.join()
        assert process.exitcode == 0
        assert_same_end(folder, whole)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_process_that_is_told_to_leave_does_so_within_seconds_and_says_how_to_continue(
    number, exit_code, start, tmp_path
):
    process = start(killed.train_long, tmp_path)
    wait_until((tmp_path / "run" / "environment.json").exists)
    time.sleep(2)  # by now it is in a call of its program that takes hours
    os.kill(process.pid, number)
    process.join(5)
    assert process.exitcode == exit_code
    assert (tmp_path / "stderr").read_text().splitlines()[-1] == f"rw_jax: {number.name}: go on."


def test_a_save_in_flight_is_finished_unless_a_second_signal_comes(start, tmp_path):
    for seconds, signals, saved in ((0.5, 1, True), (30, 2, False)):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        process = start(killed.save_slowly, folder, seconds)
        wait_until((folder / "listening").exists)
        for _ in range(signals):
            assert process.is_alive()
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.2)
        process.join(5)
        assert process.exitcode == 130
        assert (folder / "saved").exists() == saved
