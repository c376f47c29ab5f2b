"""The bits of a run do not depend on devices, chunks or neighbours, with every optimisation of the compiler on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rw_jax import load_run
from tests.studies import stored_records

ROOT = Path(__file__).parent.parent


def train(workdir: Path, devices: int, p: str = "0.5,1.0", seed: str = "range(4)", chunk: int = 32) -> Path:
    """Trains a small study, deterministic walks included, in a process with so many CPU devices."""
    command = [sys.executable, "-m", "rw_jax.main", "--config=configs/smoke.py", f"--workdir={workdir}"]
    study = [f"--config.grid.p={p}", f"--config.grid.seed={seed}", f"--config.execution.cells_per_chunk={chunk}"]
    subprocess.run(
        [*command, *study],
        check=True,
        cwd=ROOT,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
    )
    return workdir


def records_by_cell(workdir: Path) -> dict[tuple, bytes]:
    """The bytes of every metric and parameter of every run, by its labels."""
    run = load_run(workdir)
    records = {}
    for p in run.metrics["p"].values:
        for seed in run.metrics["seed"].values:
            cell = {"p": float(p), "seed": int(seed)}
            metrics = run.metrics.sel(cell)
            records |= {(p, seed, name): metrics[name].values.tobytes() for name in run.metrics}
            for step in run.steps:
                params = run.params(step=step, **cell)
                records |= {(p, seed, step, name): array.tobytes() for name, array in params.items()}
    return records


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    return train(tmp_path_factory.mktemp("one") / "run", 1)


def test_two_devices_leave_the_same_records_as_one(on_one_device, tmp_path):
    assert stored_records(train(tmp_path / "run", 2)) == stored_records(on_one_device)


def test_four_devices_and_other_chunks_leave_the_same_bits_of_every_run(on_one_device, tmp_path):
    four = train(tmp_path / "run", 4, chunk=3)
    assert records_by_cell(four) == records_by_cell(on_one_device)


def test_a_run_alone_has_the_bits_it_has_in_a_grid(on_one_device, tmp_path):
    alone = train(tmp_path / "run", 2, p="0.5,", seed="3,")
    records = records_by_cell(alone)
    assert records == {key: record for key, record in records_by_cell(on_one_device).items() if key in records}
    assert len(records) > 20
