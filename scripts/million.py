"""A million runs on one machine, stopped on the way and gone on with: what they cost, and the map that they give.

    python scripts/million.py [--workdir=runs/million] [--seeds=5000] [--stop_after=60]

Runs `python -m rw_jax.main --config=configs/million.py`, interrupts it after so many seconds as Ctrl-C does, and gives
the command again, which trains what is missing. Then it draws success over p and the number of walks, and writes what
it took to WORKDIR/cost.json: seconds, peak memory, disk. A run directory that is finished is only drawn.
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
    """Trains, interrupts, goes on, draws, and tells what it took."""
    del argv
    log_plainly()
    with explaining():
        workdir = local_path("--workdir", _WORKDIR.value)
        command = [
            sys.executable, "-m", "rw_jax.main", f"--config={_ROOT / 'configs' / 'million.py'}",
            f"--workdir={workdir}", f"--config.grid.seed=range({_SEEDS.value})",
        ]  # fmt: skip
        started = time.perf_counter()
        first = interrupted(command, _STOP_AFTER.value)
        rest = interrupted(command, None)
        seconds = time.perf_counter() - started
        opened = time.perf_counter()
        run = rw_jax.load_run(workdir)
        drawing.save(*plots.success_over(run, "p", "walks"), workdir / "map")
        cost = {
            "runs": run.grid.num_cells,
            "seconds": round(seconds, 1),
            "seconds until it was interrupted": round(first, 1),
            "seconds after that": round(rest, 1),
            "seconds to open and draw": round(time.perf_counter() - opened, 1),
            "peak memory of the sweep, MiB": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
            "peak memory to open and draw, MiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "disk, MB": round(sum(f.stat().st_size for f in workdir.rglob("*") if f.is_file()) / 1e6),
        }
        (workdir / "cost.json").write_text(json.dumps(cost, indent=2))
        for what, number in cost.items():
            print(f"{what}: {number:,}")
        print(f"The map is {workdir}/map.png.")


def interrupted(command: list[str], after: float | None) -> float:
    """Runs a command, and interrupts it after so many seconds if it is not done by then; gives how many it took.

    Raises:
      ConfigError: if it fails by itself.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=_ROOT) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait()
        else:
            if process.returncode:
                raise ConfigError(f"the command is {' '.join(command)!r}, which failed; it says why above.")
    return time.perf_counter() - started


if __name__ == "__main__":
    app.run(main)
