"""How long attention takes to leave an unstable lag, beside what is predicted.

    python scripts/leaving.py [--folder=runs/leaving]

Trains on infinitely many walks from one-hot attention on every unstable lag up to 4 of some circles, at a rate so small
that no step overshoots. Writes FOLDER/leaving.png, .svg and .csv, and prints the ratio of the observed to the predicted
times. Time: about ten minutes on 2 cores.
"""

import sys
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

import rw_jax
from rw_jax.analysis import plots
from rw_jax.command_line import explaining, log_plainly
from rw_jax.reports.leaving import predicted_and_observed, starts, times
from rw_jax.study.flags import from_config_dict
from rw_jax.study.paths import local_path

_FOLDER = flags.DEFINE_string("folder", "runs/leaving", "Where the picture goes.")


def main(argv: list[str]) -> None:
    """Trains and draws the picture."""
    del argv
    log_plainly()
    with explaining():
        folder = local_path("--folder", _FOLDER.value)
        config = rw_jax.base_config()
        config.task.walk_length, config.model.position_width = 9, 13
        config.task.walks, config.task.test_walks, config.precision = "infinite", 20, "float64"
        config.training.learning_rate = 1e-3
        chosen = starts(nodes=(6, 9, 12), probabilities=(0.5, 0.6, 0.7), gaps=(3.0, 4.0), most=4)
        table = times(from_config_dict(config), chosen)
        plots.save(*predicted_and_observed(table), folder / "leaving")
        ratios = table["observed"] / table["predicted"]
        print(
            f"From {len(table)} starts attention left the lag in {int(ratios.notna().sum())}, in {ratios.min():.2f} to "
            f"{ratios.max():.2f} times the predicted steps, {ratios.median():.2f} in the median."
        )
        print(f"The picture is {folder / 'leaving'}.png, with .svg and .csv beside it.")


if __name__ == "__main__":
    app.run(main)
