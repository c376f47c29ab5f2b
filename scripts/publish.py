"""Publishes the numbers of runs and reports as docs/results/NAME.nc, which rw_jax.load_results reads.

    python scripts/publish.py NAME=PATH [NAME=PATH ...]

PATH is a finished run directory, or the report.json of a report. Of a run the metrics after steps 0 to 3, 5, 10, 20, 50
and so on are kept.
"""

import sys
from pathlib import Path

from absl import app

sys.path.insert(0, str(Path(__file__).parent.parent))

from rw_jax.analysis import results
from rw_jax.analysis.run import load_run
from rw_jax.command_line import explaining, log_plainly
from rw_jax.study.errors import ConfigError

STEPS = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 400, 500, 700, 1000)
"""The steps that are kept."""


def main(argv: list[str]) -> None:
    """Writes a file for each NAME=PATH."""
    log_plainly()
    with explaining():
        for word in argv[1:]:
            name, _, path = word.partition("=")
            if not name or not path:
                raise ConfigError(f"{word!r} is given, but must be NAME=PATH, such as sweep=runs/sweep.")
            is_report = path.endswith(".json")
            found = results.of_report(Path(path)) if is_report else results.of_run(load_run(path), STEPS)
            written = results.FOLDER / f"{name}.nc"
            results.write(found, written)
            print(f"{written}: {written.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    app.run(main)
