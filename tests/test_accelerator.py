"""The script for accelerators, in its small form, on whatever device there is."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "accelerator.py"


@pytest.mark.slow
def test_every_part_is_measured_and_one_that_fails_is_told(tmp_path):
    command = [sys.executable, str(SCRIPT), "--small", f"--results={tmp_path / 'new' / 'results.json'}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    results = json.loads((tmp_path / "new" / "results.json").read_text())
    assert results["environment"]["devices"]
    assert list(results["batches"]) == ["2", "4"]
    assert list(results["sweeps"]) == ["8", "16"]
    assert [sweep["runs"] for sweep in (*results["sweeps"].values(), results["cpu"])] == [8, 16, 16]
    for row in (*results["batches"].values(), *results["sweeps"].values(), results["cpu"]):
        assert all(value is None or value > 0 for value in row.values()), row
    assert results["bits"]["two processes"]
    exact, rough = (results["precision"][name] for name in ("highest", "tensorfloat32"))
    assert 0 < exact < 1e-4
    assert math.isfinite(rough)
    assert "Batches of" in said
    wrong = [sys.executable, str(SCRIPT), '--part=["batch", {"batch": 0}]']
    assert subprocess.run(wrong, check=False, capture_output=True).returncode
