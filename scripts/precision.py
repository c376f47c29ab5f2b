"""The rounding study: at p = 1, rounding alone decides whether the transformer learns.

    python scripts/precision.py [--workdir=runs/precision]

Trains configs/precision.py in float32 and in float64 (a finished part is not run again), writes WORKDIR/precision.png,
.svg and .csv: the spread of the attention weights against the step, its growth per step beside the largest
eigenvalue of the linearised dynamics, and the accuracy. Prints when the accuracy leaves 1/K.
"""

import dataclasses
import sys
from pathlib import Path

import jax
import numpy as np
from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

from rw_jax import Run
from rw_jax.analysis import plots
from rw_jax.analysis.stability import step_multipliers
from rw_jax.analysis.statistics import mean_interval
from rw_jax.command_line import explaining, log_plainly
from rw_jax.reports.rounding import rounding
from rw_jax.study.flags import from_config_dict, read_config
from rw_jax.study.paths import local_path
from rw_jax.sweeps import interruption
from rw_jax.sweeps.sweep import sweep

_WORKDIR = flags.DEFINE_string("workdir", "runs/precision", "Where the two runs and the picture go.")
_STEPS = flags.DEFINE_integer("eigenvalue_steps", 40, "For how many steps the linearised dynamics are computed.")


def main(argv: list[str]) -> None:
    """Runs both precisions and draws the picture."""
    del argv
    log_plainly()
    with explaining():
        workdir = local_path("--workdir", _WORKDIR.value)
        config = from_config_dict(read_config(Path(__file__).parents[1] / "configs" / "precision.py"))
        runs = {
            precision: sweep(dataclasses.replace(config, precision=precision), workdir / precision)
            for precision in ("float32", "float64")
        }
        with jax.enable_x64(True):
            multipliers = step_multipliers(runs["float64"].cell(form="reduced", seed=0).config, _STEPS.value)
        figure, numbers = rounding(runs, multipliers)
        plots.save(figure, numbers, workdir / "precision")
        for precision, run in runs.items():
            print_departures(precision, run)
        print(f"The picture is {workdir / 'precision'}.png, with .svg and .csv beside it.")


def print_departures(precision: str, run: Run) -> None:
    """Prints, for each form, how many seeds leave accuracy 1/K and when."""
    for form in ("full", "reduced"):
        accuracy = run.metrics["accuracy"].sel(form=form).values
        # Far above what the accuracy of a constant prediction can be in 1000 test walks.
        left = accuracy > 2 / run.config.task.num_nodes
        first = np.argmax(left, axis=1)[left.any(axis=1)]
        steps = mean_interval(first) if first.size else None
        when = f"at step {steps.mean:.1f} [{steps.low:.1f}, {steps.high:.1f}]" if steps else "at no step"
        print(f"{form}, {precision}: {first.size} of {len(accuracy)} seeds leave accuracy 1/K, {when}.")


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main)
