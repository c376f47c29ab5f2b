"""A million runs on one machine, stopped on the way and gone on with: what they cost, and the map that they give.

    python scripts/million.py [--workdir=runs/million] [--seeds=5000] [--stop_after=60]

Runs `python -m rw_jax.main --config=configs/million.py`, interrupts it after so many seconds as Ctrl-C does, and gives
the command again, which trains what is missing. What both took goes to WORKDIR/cost.json: seconds, peak memory, disk.
Then it draws success over p and the number of walks. A run directory that is finished is not measured again.
"""

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

import rw_jax
from rw_jax.analysis import plots
from rw_jax.analysis.plots import drawing
from rw_jax.command_line import explaining, log_plainly
from rw_jax.study.errors import ConfigError
from rw_jax.study.paths import local_path

_ROOT = Path(__file__).parent.parent
_WORKDIR = flags.DEFINE_string("workdir", "runs/million", "Where the runs are.")
_SEEDS = flags.DEFINE_integer("seeds", 5_000, "Seeds of each of the 200 settings.", lower_bound=1)
_STOP_AFTER = flags.DEFINE_float("stop_after", 60.0, "Seconds after which the sweep is interrupted.", lower_bound=0.0)


def main(argv: list[str]) -> None:
    """Trains, interrupts and goes on, unless all is there; and draws."""
    del argv
    log_plainly()
    with explaining():
        workdir = local_path("--workdir", _WORKDIR.value)
        command = [
            sys.executable, "-m", "rw_jax.main", f"--config={_ROOT / 'configs' / 'million.py'}",
            f"--workdir={workdir}", f"--config.grid.seed=range({_SEEDS.value})",
        ]  # fmt: skip
        if (workdir / "metrics.nc").is_file():
            given(command, None)  # it trains what more seeds there are to be
        else:
            train(command, workdir)
        opened = time.perf_counter()
        run = rw_jax.load_run(workdir)
        drawing.save(*plots.success_over(run, "p", "walks"), workdir / "map")
        seconds, memory = time.perf_counter() - opened, _peak_MiB(resource.RUSAGE_SELF)
        print(f"{run.grid.num_cells:,} runs are opened and drawn in {seconds:.1f} s with {memory:,} MiB.")
        print(f"The map is {workdir}/map.png.")


def train(command: list[str], workdir: Path) -> None:
    """Gives the command, interrupts it, gives it again, and writes what both took together."""
    first, code = given(command, _STOP_AFTER.value)
    rest, _ = given(command, None) if code == INTERRUPTED else (0.0, code)
    cost = {
        "seconds": round(first + rest, 1),
        "of them until it was interrupted": round(first, 1) if code == INTERRUPTED else None,
        "peak memory, MiB": _peak_MiB(resource.RUSAGE_CHILDREN),
        "disk, MB": round(sum(f.stat().st_size for f in workdir.rglob("*") if f.is_file()) / 1e6),
    }
    (workdir / "cost.json").write_text(json.dumps(cost, indent=2))
    for what, number in cost.items():
        print(f"{what}: {number:,}" if number is not None else f"{what}: it was done before")


INTERRUPTED = 130
"""The exit code of a command that Ctrl-C has stopped."""


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


def _peak_MiB(who: int) -> int:
    return round(resource.getrusage(who).ru_maxrss / 1024)


if __name__ == "__main__":
    app.run(main)
