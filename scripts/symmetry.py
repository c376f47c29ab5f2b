"""The report on what breaks the symmetric state of p = 0 and 1.

    python scripts/symmetry.py [--workdir=runs/symmetry] [--quick]

Trains configs/symmetry.py, symmetry_long.py, symmetry_costs.py, escape.py and curriculum.py (what is finished is not
run again), judges what is claimed, and writes WORKDIR/report.html with figures and tables. --quick takes a few steps
and seeds, so that no verdict means anything, to see that everything works. Time: about twenty minutes on 2 cores.
"""

import sys
from pathlib import Path

import ml_collections
from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

from rw_jax.command_line import explaining, log_plainly
from rw_jax.reports import pages
from rw_jax.reports.claim import judge_all
from rw_jax.reports.configured import sweep_studies
from rw_jax.reports.symmetry import CLAIMS, REPORT
from rw_jax.study.paths import local_path
from rw_jax.sweeps import interruption

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where the report goes; runs/symmetry, or runs/symmetry_quick with --quick."
)
_QUICK = flags.DEFINE_bool("quick", False, "Take a few steps and seeds, to see that everything works.")


def main(argv: list[str]) -> None:
    """Trains, judges and writes the report."""
    del argv
    log_plainly()
    with explaining():
        workdir = local_path(
            "--workdir", _WORKDIR.value or ("runs/symmetry_quick" if _QUICK.value else "runs/symmetry")
        )
        runs = sweep_studies(REPORT.studies, workdir, quickened if _QUICK.value else None)
        written = pages.write(REPORT, judge_all(CLAIMS, runs), runs, workdir, _QUICK.value)
        for line in written.verdicts():
            print(line)
        print(f"The report is {written.path}; report.md, report.json and figures are beside it.")


def quickened(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The study with few steps, walks and seeds."""
    config.grid.seed = range(2)
    config.training.steps, config.record.every = 60 if config.name == "symmetry_long" else 12, 1
    config.model.position_width = 130
    return config


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main)
