"""A million runs on one machine, stopped on the way and continued: what they cost, and the map that they give."""

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from ml_collections import ConfigDict

import rw_jax
from rw_jax import ConfigError, Run
from rw_jax.analysis import plots
from rw_jax.analysis.plots.drawing import Picture
from studies.study import Exhibit, Study
from studies.sweeps import FromFile, StudyCommand, beside

_ROOT = Path(__file__).parents[2]

_STOP_AFTER, _QUICK_STOP_AFTER = 60.0, 15.0
"""Seconds after which the sweep is interrupted."""

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C has stopped."""


def quick(config: ConfigDict) -> None:
    """One seed of each of the 200 settings."""
    config.grid.seed = range(1)


class Interrupted(FromFile):
    """A sweep by the main command, which is interrupted and given again; WORKDIR/cost.json tells what both took."""

    def planned(self, command: StudyCommand) -> Callable[[], Run]:
        """As Sweep.planned. A run directory that is finished is not measured again."""
        seeds, workdir = len(dict(self.config(command).grid)["seed"]), command.workdir / self.name
        call = [
            sys.executable, "-m", "rw_jax.main", f"--config={self.file}", f"--workdir={workdir}",
            f"--config.grid.seed=range({seeds})",
        ]  # fmt: skip

        def train() -> Run:
            if not (workdir / "metrics.nc").is_file():
                cost = measured(call, workdir, _QUICK_STOP_AFTER if command.is_quick else _STOP_AFTER)
                (command.workdir / "cost.json").write_text(json.dumps(cost, indent=2))
            return rw_jax.load_run(workdir)

        return train


def measured(command: list[str], workdir: Path, stop_after: float) -> dict[str, float | None]:
    """Gives the command, interrupts it and gives it again: what both took together."""
    first, code = given(command, stop_after)
    rest, _ = given(command, None) if code == INTERRUPTED else (0.0, code)
    return {
        "seconds": round(first + rest, 1),
        "of them until it was interrupted": round(first, 1) if code == INTERRUPTED else None,
        "peak memory, MiB": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "disk, MB": round(sum(f.stat().st_size for f in workdir.rglob("*") if f.is_file()) / 1e6),
    }


def given(command: list[str], stop_after: float | None) -> tuple[float, int]:
    """Runs a command, and interrupts it after so many seconds if it is not done by then; its seconds and exit code.

    Raises:
      ConfigError: if it fails.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=_ROOT) as process:
        try:
            process.wait(stop_after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait()
    if process.returncode not in (0, INTERRUPTED):
        raise ConfigError(f"the command is {' '.join(command)!r}, which failed; it says why above.")
    return time.perf_counter() - started, process.returncode


def success_map(run: Run) -> Picture:
    """The share of seeds on the parent over p and the number of walks."""
    return plots.success_over(run, "p", "walks")


def cost(run: Run) -> pd.DataFrame:
    """What the runs took, a row."""
    costs = json.loads((run.run_dir.path.parent / "cost.json").read_text())
    return pd.DataFrame([{"runs": run.grid.num_cells, **costs}])


def sentences(table: pd.DataFrame) -> list[str]:
    """The cost, in sentences."""
    (row,) = table.to_dict("records")
    stopped = row["of them until it was interrupted"]
    until = "it was done before it was to be interrupted" if pd.isna(stopped) else f"interrupted after {stopped} s"
    return [
        f"{row['runs']:,} runs took {row['seconds']:,} s, {until}, with {row['peak memory, MiB']:,} MiB at most and "
        f"{row['disk, MB']:,} MB on disk."
    ]


def study() -> Study:
    """The report on a million runs."""
    sweeps = (Interrupted(name="million", file=beside(__file__, "million"), quick=quick),)
    return Study(
        name="million",
        title="A million runs",
        introduction=(
            "Success over p and the number of walks, 5,000 seeds in each of 200 settings, and what these runs cost. "
            "The main command is interrupted on the way, as Ctrl-C does, and given again."
        ),
        exhibits=(
            Exhibit(name="map", title="Success over p and the number of walks", make=success_map, sweeps=sweeps),
            Exhibit(name="cost", title="What they cost", make=cost, sentences=sentences, sweeps=sweeps),
        ),
    )
