"""The report on Markov chains: what attention goes to on 527 chains, beside what predicts it.

    python scripts/chains.py [--workdir=runs/chains] [--quick]

Trains configs/chains.py and configs/chains_flow.py on infinitely many walks and configs/chains_samples.py on samples
(what is finished is not run again), judges what is claimed, and writes WORKDIR/report.html with figures and tables.
--quick takes a few chains and steps, so that no verdict means anything, to see that everything works. Time: about half
an hour on 2 cores.
"""

import sys
from pathlib import Path

import ml_collections
from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

from rw_jax.analysis import plots
from rw_jax.command_line import explaining, log_plainly
from rw_jax.reports import pages
from rw_jax.reports.chains import CHAINS, CLAIMS, FLOW, REPORT, SAMPLES, gallery, noise_map
from rw_jax.reports.claim import judge_all
from rw_jax.reports.configured import sweep_studies
from rw_jax.study.paths import local_path
from rw_jax.sweeps import interruption

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where the report goes; runs/chains, or runs/chains_quick with --quick."
)
_QUICK = flags.DEFINE_bool("quick", False, "Take a few chains and steps, to see that everything works.")

SHOWN = ("cycle", "lazy_cycle", "path", "regular", "tree", "barbell", "de_bruijn", "dirichlet")
"""The families of the gallery."""


def main(argv: list[str]) -> None:
    """Trains, judges and writes the report."""
    del argv
    log_plainly()
    with explaining():
        workdir = local_path("--workdir", _WORKDIR.value or ("runs/chains_quick" if _QUICK.value else "runs/chains"))
        runs = sweep_studies((CHAINS, FLOW, SAMPLES), workdir, quickened if _QUICK.value else None)
        written = pages.write(REPORT, judge_all(CLAIMS, runs), runs, workdir, _QUICK.value)
        plots.save(*gallery(runs[CHAINS], SHOWN), workdir / "figures" / "gallery")
        plots.save(*noise_map(24, 97), workdir / "figures" / "noise")
        for line in written.verdicts():
            print(line)
        print(f"The report is {written.path}; report.md, report.json and figures are beside it.")


def quickened(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The study with one or two chains of each family, and few steps, walks and seeds."""
    families = list(config.grid.family)
    chosen = [i for i, family in enumerate(families) if families[:i].count(family) < 2]
    for axis in config.zipped[0]:
        config.grid[axis] = tuple(config.grid[axis][i] for i in chosen)
    config.training.steps = config.record.every = 5
    config.record.parameters = (2,)
    config.task.walk_length, config.model.position_width, config.task.test_walks = 7, 19, 50
    if config.task.walks != "infinite" or config.grid.walks:
        config.grid.walks = config.grid.walks and (50, 100)
        config.grid.seed = config.grid.seed and range(2)
    return config


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main)
