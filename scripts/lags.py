"""Where attention ends on infinitely many walks, beside what is predicted of it.

    python scripts/lags.py [--study=infinite] [--workdir=runs/infinite]

Trains configs/infinite.py, over p and K, by gradient descent and by gradient flow; with --study=lengths
configs/lengths.py, over p and N; with --study=settled configs/settled.py, for 100,000 steps. What is finished is not
run again. Writes WORKDIR/lags.png, .svg and .csv: the lag with the largest correlation, and those that attention goes
to after two steps, when it is first sharp, and after the last; and, for several K, thresholds.png, the p from which
each lag is stable. Prints how often the prediction is right, and on what lags attention ends.
"""

import sys
from pathlib import Path

import pandas as pd
from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

from rw_jax.analysis import plots
from rw_jax.command_line import explaining, log_plainly
from rw_jax.reports.lags import lag_map, thresholds
from rw_jax.study.flags import from_config_dict, read_config
from rw_jax.study.paths import local_path
from rw_jax.sweeps import interruption
from rw_jax.sweeps.sweep import sweep

_STUDY = flags.DEFINE_enum(
    "study", "infinite", ["infinite", "lengths", "settled"], "Over nodes, over lengths of walks, or for long."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where the run and the picture go; runs/STUDY if it is not given.")


def main(argv: list[str]) -> None:
    """Trains the grid and draws the picture."""
    del argv
    log_plainly()
    with explaining():
        workdir = local_path("--workdir", _WORKDIR.value or f"runs/{_STUDY.value}")
        configs = Path(__file__).parents[1] / "configs"
        config = from_config_dict(read_config(configs / f"{_STUDY.value}.py"))
        figure, rows = lag_map(sweep(config, workdir, [configs]))
        plots.save(figure, rows, workdir / "lags")
        if rows["K"].nunique() > 1:
            plots.save(*thresholds(sorted(rows["K"].unique()), most=7), workdir / "thresholds")
        for line in told(rows):
            print(line)
        print(f"The picture is {workdir / 'lags'}.png, with .svg and .csv beside it.")


def told(rows: pd.DataFrame) -> list[str]:
    """What the table says, in sentences."""
    sentences = [f"The largest estimated relative error of the gradients is {rows['quadrature_error'].max():.1e}."]
    for by, group in rows.groupby("by"):
        clear = group[group["lead"] > 0.01]
        others = group[group["at_end"] != 1]
        unstable = group[~group["is_stable"]]
        sentences += [
            f"By {by}, of {len(group)} settings:",
            f"  after 2 steps attention is highest on the predicted lag in {_right(group, 'at_step_2')}, and in "
            f"{_right(clear, 'at_step_2')} where that leads by more than 1%;",
            f"  when it is first sharp, in {_right(group, 'sharp')}; that is the last one, too, in "
            f"{int((group['sharp'] == group['at_end']).sum())};",
            f"  it ends on the direct parent in {len(group) - len(others)}; of the {len(others)} others "
            f"{int((others['below_optimum'] > 1e-3).sum())} predict below the optimum;",
            f"  {len(unstable)} end on an unstable lag"
            + (f", all others at most exp({unstable['log_others'].max():.0f}) of it." if len(unstable) else "."),
        ]
    return sentences


def _right(rows: pd.DataFrame, name: str) -> str:
    return f"{int((rows['predicted'] == rows[name]).sum())} of {len(rows)}"


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main)
