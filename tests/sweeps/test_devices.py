"""The bits of a run do not depend on devices, chunks or neighbours, with every optimisation of the compiler on."""

import os
import subprocess
import sys
from pathlib import Path

from rw_jax import load_run

ROOT = Path(__file__).parents[2]


COMMAND_WITHOUT_FIGURES = """
import sys
from rw_jax import main
from rw_jax.analysis import plots
plots.write_figures = lambda run, folder: ([], {})
main.main(main.parse(sys.argv))
"""


def start_training(
    workdir: Path, devices: int, p: str = "0.5,1.0", seed: str = "range(4)", chunk: int = 32
) -> subprocess.Popen[str]:
    """Trains a small study, deterministic walks included, in a process with so many CPU devices."""
    command = [sys.executable, "-c", COMMAND_WITHOUT_FIGURES, "--config=configs/smoke.py", f"--workdir={workdir}"]
    study = [f"--config.grid.p={p}", f"--config.grid.seed={seed}", f"--config.execution.cells_per_chunk={chunk}"]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [*command, *study], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


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


def test_one_or_four_devices_other_chunks_and_neighbours_leave_the_same_bits_of_every_run(tmp_path):
    processes = [
        start_training(tmp_path / "one", 1),
        start_training(tmp_path / "four", 4, seed="1,3", chunk=3),
    ]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    one, four = (records_by_cell(tmp_path / name) for name in ("one", "four"))
    assert four == {key: record for key, record in one.items() if key[1] in (1, 3)}
    assert len(four) > 40
