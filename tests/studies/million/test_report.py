"""The study of a million runs, with one seed of each setting."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import rw_jax

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_the_runs_are_interrupted_and_gone_on_with_and_a_finished_directory_is_not_measured_again(tmp_path):
    command = [sys.executable, "-m", "studies", "million", "--quick", f"--workdir={tmp_path}/runs"]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    cost = (tmp_path / "runs" / "cost.json").read_text()
    assert 15 <= json.loads(cost)["of them until it was interrupted"] < json.loads(cost)["seconds"]
    assert "what is finished is kept" in said.stderr
    run = rw_jax.load_run(tmp_path / "runs" / "million")
    assert run.metrics["finished"].values.all()
    assert run.grid.num_cells == 200
    assert run.environment["runs"] < 200, "the first call has left some"
    again = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert "200 runs took" in again.stdout
    assert (tmp_path / "runs" / "cost.json").read_text() == cost
    assert {f"map.{ending}" for ending in ("png", "svg", "csv")} <= {
        path.name for path in (tmp_path / "runs" / "figures").iterdir()
    }
