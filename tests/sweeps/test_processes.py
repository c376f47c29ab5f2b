"""Several processes, with several CPU devices, on one sweep: on the loopback interface of this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from rw_jax import load_run
from rw_jax.study.errors import ConfigError
from rw_jax.sweeps import processes
from tests.tiny import assert_sentence

ROOT = Path(__file__).parents[2]
STUDY = [
    "--config=configs/smoke.py",
    "--config.grid.p=0.5,1.0",
    "--config.grid.seed=range(3)",
    "--config.training.steps=12",
    "--config.record.every=3",
    "--config.execution.checkpoint_steps=6",
    "--config.execution.cells_per_chunk=4",
]

# One process of a job, quickly compiled and without figures.
PROCESS = """
import sys
import jax
jax.config.update("jax_disable_most_optimizations", True)
from rw_jax.sweeps import interruption
from rw_jax import main
from rw_jax.analysis import plots
plots.write_figures = lambda run, folder: ([], {})
with interruption.leaving_on_signal(interruption.CONTINUE):
    main.main(main.parse(sys.argv))
"""


def start(workdir: Path, number: int, devices: int, *argv: str) -> list[subprocess.Popen[str]]:
    """Starts the processes of a job, each with so many devices."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    job = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(number)}
    if number > 1:
        argv = (*argv, "--distributed")
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, *STUDY, f"--workdir={workdir}", *argv],
            cwd=ROOT,
            env=os.environ
            | (job | {"JAX_PROCESS_ID": str(i)} if "--distributed" in argv else {})
            | {"JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(number)
    ]


def finish(jobs: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """The exit code of each process, and what it said on stderr."""
    said = [job.communicate()[1] for job in jobs]
    return [(job.returncode, text) for job, text in zip(jobs, said, strict=True)]


def contents_by_label(workdir: Path) -> dict[str, bytes]:
    """The bytes of all that a run directory says about its runs."""
    run = load_run(workdir)
    found = {name: (workdir / name).read_bytes() for name in ("config.json", "metrics.nc", "summary.csv")}
    for p in (0.5, 1.0):
        for seed in range(3):
            for step in run.steps:
                params = run.params(step=step, p=p, seed=seed) | {
                    "attention": run.mean_attention(step=step, p=p, seed=seed)
                }
                found |= {f"{p} {seed} {step} {name}": np.asarray(array).tobytes() for name, array in params.items()}
    assert {path.name for path in workdir.iterdir()} == {
        "config.json", "environment.json", "lock", "chunks", "metrics.nc", "products.json", "summary.csv",
    }  # fmt: skip
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run of one process with one device."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    ((code, said),) = finish(start(workdir, 1, 1))
    assert code == 0, said
    return contents_by_label(workdir)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "devices"), [(2, 2), (1, 4), (3, 1)])
def test_any_number_of_devices_and_processes_leaves_the_same_run_directory(number, devices, alone, tmp_path):
    for code, said in finish(start(tmp_path / "run", number, devices)):
        assert code == 0, said
    assert contents_by_label(tmp_path / "run") == alone


@pytest.mark.slow
def test_processes_agree_on_chunks_that_grow(alone, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "STUDY", [word for word in STUDY if "cells_per_chunk" not in word])
    for code, said in finish(start(tmp_path / "run", 2, 1)):
        assert code == 0, said
    found = contents_by_label(tmp_path / "run")
    assert found.keys() == alone.keys()
    assert {name for name, content in found.items() if content != alone[name]} == {"config.json"}


@pytest.mark.slow
def test_a_process_of_a_job_leaves_when_it_is_told(tmp_path):
    long = [
        f"--config.{field}"
        for field in ("training.steps=1000000", "record.every=1000", "execution.checkpoint_steps=1000")
    ]
    (job,) = start(tmp_path / "run", 1, 1, "--distributed", *long)
    while not list((tmp_path / "run").glob("unfinished/*")):
        assert job.poll() is None
        time.sleep(0.01)
    job.send_signal(signal.SIGTERM)
    try:
        said = job.communicate(timeout=30)[1]
    finally:
        job.kill()
    assert job.returncode == 143
    assert "rw_jax: SIGTERM: what is finished is kept" in said


@pytest.mark.slow
def test_when_one_process_is_killed_the_others_end_with_a_message_and_another_number_goes_on(alone, tmp_path):
    def parts():
        return {path for name in ("unfinished", "chunks") for path in (tmp_path / "run" / name).glob("*")}

    for killed in (1, 0):
        before, jobs = parts(), start(tmp_path / "run", 2, 1)
        while not parts() - before:
            assert all(job.poll() is None for job in jobs)
            time.sleep(0.005)
        jobs[killed].kill()
        started = time.monotonic()
        code, said = finish(jobs)[1 - killed]
        assert time.monotonic() - started < 60
        assert code != 0
        # Where the first process ends, which leads the others, JAX may abort them with a message of its own.
        assert "another process of the job has ended; what is finished is kept" in said or "another task died" in said
    ((code, said),) = finish(start(tmp_path / "run", 1, 2))
    assert code == 0, said
    assert contents_by_label(tmp_path / "run") == alone


def test_processes_that_do_not_find_one_another_are_refused_in_a_sentence(monkeypatch):
    def find(**_):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", find)
    with pytest.raises(ConfigError, match="outside SLURM and TPU pods set JAX_COORDINATOR_ADDRESS") as refused:
        processes.join()
    assert_sentence(str(refused.value))
    monkeypatch.setenv("JAX_NUM_PROCESSES", "two")
    with pytest.raises(ConfigError, match="JAX_NUM_PROCESSES is 'two', but must be an integer") as refused:
        processes.join()
    assert_sentence(str(refused.value))
