"""The rounding study: at p = 1, rounding alone decides whether the transformer learns.

    python scripts/precision.py [--workdir=runs/precision]

Trains configs/precision.py in float32 and in float64 (a finished part is not run again), writes WORKDIR/precision.png,
.svg and .csv: the spread of the attention weights against the step, its growth per step beside the largest
eigenvalue of the linearised dynamics, and the accuracy. Prints when the accuracy leaves 1/K.
"""

import subprocess
import sys
from pathlib import Path

import jax
from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

from rw_jax import load_run, plots
from rw_jax.stability import step_multipliers

_WORKDIR = flags.DEFINE_string("workdir", "runs/precision", "Where the two runs and the picture go.")
_STEPS = flags.DEFINE_integer("eigenvalue_steps", 40, "For how many steps the linearised dynamics are computed.")


def main(argv: list[str]) -> None:
    """Runs both precisions, each in a process of its own, and draws the picture."""
    del argv
    workdir, runs = Path(_WORKDIR.value), {}
    for precision in ("float32", "float64"):
        flags_of_run = [f"--config.precision={precision}", f"--workdir={workdir / precision}"]
        command = [sys.executable, "-m", "rw_jax.main", "--config=configs/precision.py", *flags_of_run]
        subprocess.run(command, check=True, cwd=Path(__file__).parent.parent)
        runs[precision] = load_run(workdir / precision)
    with jax.enable_x64(True):
        multipliers = step_multipliers(runs["float64"].cell(form="reduced", seed=0).config, _STEPS.value)
    figure, numbers = plots.rounding(runs, multipliers)
    plots.save(figure, numbers, workdir / "precision")
    print(plots.rounding_summary(runs).to_string(index=False))
    print(f"The picture is {workdir / 'precision'}.png, with .svg and .csv beside it.")


if __name__ == "__main__":
    app.run(main)
