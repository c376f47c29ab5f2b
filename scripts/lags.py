"""Where attention ends on infinitely many walks, beside what is predicted of it.

    python scripts/lags.py [--study=infinite] [--workdir=runs/infinite]

Trains configs/infinite.py, or with --study=lengths configs/lengths.py (what is finished is not run again), and writes
WORKDIR/lags.png, .svg and .csv: over p, and K or N, the lag with the largest correlation, and those that attention goes
to after two steps and after the last. Prints how often the prediction is right, and how often attention ends on the
direct parent.
"""

import sys
from pathlib import Path

import pandas as pd
from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

from rw_jax.analysis import plots
from rw_jax.command_line import explaining, log_plainly
from rw_jax.reports.lags import lag_map
from rw_jax.study.flags import from_config_dict, read_config
from rw_jax.study.paths import local_path
from rw_jax.sweeps import interruption
from rw_jax.sweeps.sweep import sweep

_STUDY = flags.DEFINE_enum("study", "infinite", ["infinite", "lengths"], "Over nodes, or over lengths of walks.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Where the run and the picture go; runs/STUDY if it is not given.")


def main(argv: list[str]) -> None:
    """Trains the grid and draws the picture."""
    del argv
    log_plainly()
    with explaining():
        workdir = local_path("--workdir", _WORKDIR.value or f"runs/{_STUDY.value}")
        config = from_config_dict(read_config(Path(__file__).parents[1] / "configs" / f"{_STUDY.value}.py"))
        figure, rows = lag_map(sweep(config, workdir))
        plots.save(figure, rows, workdir / "lags")
        for line in told(rows):
            print(line)
        print(f"The picture is {workdir / 'lags'}.png, with .svg and .csv beside it.")


def told(rows: pd.DataFrame) -> list[str]:
    """What the table says, in sentences."""
    clear = rows[rows["lead"] > 0.01]
    on_parent = rows[rows["at_end"] == 1]
    others = rows[rows["at_end"] != 1]
    return [
        f"After 2 steps attention is highest on the predicted lag in {_right(rows)}, and in {_right(clear)} where that "
        "leads by more than 1%.",
        f"After the last step it is highest on the direct parent in {len(on_parent)} of {len(rows)} settings.",
        f"Of the {len(others)} others {int(others['is_stable'].sum())} end on a stable lag, and "
        f"{int((others['below_optimum'] > 1e-3).sum())} predict below the optimum.",
        f"The largest estimated error of the quadrature is {rows['quadrature_error'].max():.1e}.",
    ]


def _right(rows: pd.DataFrame) -> str:
    return f"{int((rows['predicted'] == rows['at_step_2']).sum())} of {len(rows)} settings"


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main)
