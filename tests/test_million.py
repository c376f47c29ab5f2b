"""The script of a million runs, with one seed of each setting."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import rw_jax

SCRIPT = Path(__file__).parent.parent / "scripts" / "million.py"


@pytest.mark.slow
def test_the_runs_are_interrupted_and_gone_on_with_and_a_finished_directory_is_not_measured_again(tmp_path):
    command = [sys.executable, str(SCRIPT), f"--workdir={tmp_path}/runs", "--seeds=1", "--stop_after=15"]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    cost = (tmp_path / "runs" / "cost.json").read_text()
    assert 15 <= json.loads(cost)["of them until it was interrupted"] < json.loads(cost)["seconds"]
    assert "what is finished is kept" in said.stderr
    run = rw_jax.load_run(tmp_path / "runs")
    assert run.metrics["finished"].values.all()
    assert run.grid.num_cells == 200
    assert run.environment["runs"] < 200, "the first call has left some"
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "200 runs are opened and drawn" in again.stdout
    assert (tmp_path / "runs" / "cost.json").read_text() == cost
    assert {f"map.{ending}" for ending in ("png", "svg", "csv")} <= {
        path.name for path in (tmp_path / "runs").iterdir()
    }
