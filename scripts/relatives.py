"""The report on relatives of the model: heads, embeddings, positions, depth, and tasks that take more.

    python scripts/relatives.py [--workdir=runs/relatives] [--quick]

Trains configs/relatives.py, relatives_positions.py, relatives_decoder.py and relatives_tasks.py (what is finished is
not run again), judges what is claimed, and writes WORKDIR/report.html with figures and tables. --quick takes a few
steps and seeds, so that no verdict means anything, to see that everything works. Time: about an hour on 2 cores.
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
from rw_jax.reports.relatives import CLAIMS, REPORT
from rw_jax.study.paths import local_path
from rw_jax.sweeps import interruption

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where the report goes; runs/relatives, or runs/relatives_quick with --quick."
)
_QUICK = flags.DEFINE_bool("quick", False, "Take a few steps and seeds, to see that everything works.")


def main(argv: list[str]) -> None:
    """Trains, judges and writes the report."""
    del argv
    log_plainly()
    with explaining():
        workdir = local_path(
            "--workdir", _WORKDIR.value or ("runs/relatives_quick" if _QUICK.value else "runs/relatives")
        )
        runs = sweep_studies(REPORT.studies, workdir, quickened if _QUICK.value else None)
        written = pages.write(REPORT, judge_all(CLAIMS, runs), runs, workdir, _QUICK.value)
        for line in written.verdicts():
            print(line)
        print(f"The report is {written.path}; report.md, report.json and figures are beside it.")


def quickened(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The study with few steps, walks and seeds."""
    config.grid.seed = range(2)
    config.record.every, config.record.parameters = (2 if config.grid.embedding_seed else 10), ()
    if config.grid.embedding_seed:
        config.grid.embedding_seed, config.grid.position_width = range(2), (100, 130)
        config.grid.seed = None
    if config.grid.steps:
        config.grid.steps = tuple(steps // 25 for steps in config.grid.steps)
        config.grid.position_width = tuple(min(width, 130) for width in config.grid.position_width)
    config.training.steps = 20
    config.task.walks = config.task.test_walks = 50
    return config


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main)
