"""How training on samples comes to that on infinitely many walks.

    python scripts/finite.py [--workdir=runs/finite]

Trains configs/finite.py (what is finished is not run again), writes WORKDIR/finite.png, .svg and .csv: against the
number of walks the share of seeds that attend to the token of the exact run, and how far their V is from its V. Prints
the exponent of the number of walks in that distance, for each p.
"""

import sys
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

from rw_jax.analysis import plots
from rw_jax.command_line import explaining, log_plainly
from rw_jax.reports.finite import approach, exponents
from rw_jax.study.flags import from_config_dict, read_config
from rw_jax.study.paths import local_path
from rw_jax.sweeps import interruption
from rw_jax.sweeps.sweep import sweep

_WORKDIR = flags.DEFINE_string("workdir", "runs/finite", "Where the run and the picture go.")


def main(argv: list[str]) -> None:
    """Trains the grid and draws the picture."""
    del argv
    log_plainly()
    with explaining():
        workdir = local_path("--workdir", _WORKDIR.value)
        run = sweep(from_config_dict(read_config(Path(__file__).parents[1] / "configs" / "finite.py")), workdir)
        plots.save(*approach(run), workdir / "finite")
        for row in exponents(run).to_dict("records"):
            interval = f"[{row['low']:.3f}, {row['high']:.3f}], {row['seeds']} seeds"
            print(f"p = {row['p']:g}: the distance of {row['of']} falls as walks^{row['exponent']:.3f} {interval}.")
        print(f"The picture is {workdir / 'finite'}.png, with .svg and .csv beside it.")


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main)
