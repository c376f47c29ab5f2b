"""The command line.

    python -m rw_jax.main --config=configs/sweep.py [--workdir=runs/sweep] [--config.FIELD=VALUE ...]
        [--dry_run] [--strict] [--distributed]

--config is a file whose get_config() returns the study; --config.FIELD changes one of its fields, such as
--config.training.steps=100 or --config.grid.seed='range(100)'; --workdir is the run directory, runs/NAME if it is not
given. Repeat the command to resume an interrupted run. --dry_run only tells what there is to do; --strict
makes the exit code 3 if a run diverged; --distributed lets the processes of a job share the sweep.
"""

import contextlib
import logging as python_logging
import sys
from typing import NoReturn

from absl import app, flags, logging

from rw_jax.analysis import plots, summary
from rw_jax.analysis.run import Run
from rw_jax.store.processes import is_first
from rw_jax.study.errors import ConfigError
from rw_jax.study.flags import Command, read_command
from rw_jax.sweeps import interruption, processes
from rw_jax.sweeps.sweep import plan, sweep

SWITCHES = {
    "dry_run": "Only tell what there is to do.",
    "strict": "Exit with 3 if a run diverged.",
    "distributed": "Share the sweep with the other processes of the job.",
}
"""The flags without a value."""


def main(command: Command) -> None:
    """Runs the sweep of a config in a run directory and shows what came out, or tells what it would do.

    Exit codes beside 0: 2 if the directory or the environment cannot be used; 1 if the sweep cannot go on, 130 or 143
    if it is told not to, and the same command continues it; 3 if a run diverged and `strict` is given.
    """
    log_plainly()
    is_distributed, folders = "distributed" in command.switches, [command.config_file.parent]
    with processes.leaving_at_once() if is_distributed else contextlib.nullcontext():
        try:
            if is_distributed:
                processes.join()
            if "dry_run" in command.switches:
                print(plan(command.config, command.workdir, folders))
                return
            run = sweep(command.config, command.workdir, folders)
            diverged = show(run) if is_first() else 0
        except ConfigError as error:
            refuse(error)
        except (OSError, RuntimeError, ValueError) as error:  # JAX and Orbax raise each of them
            if is_distributed and processes.tells_of_a_lost_process(error):
                refuse(f"another process of the job has ended; {interruption.CONTINUE}", exit_code=1)
            if "RESOURCE_EXHAUSTED" in str(error):
                less = "give a smaller --config.execution.cells_per_chunk or cells_per_batch"
                refuse(f"memory is short; {less}. What is finished is kept.", exit_code=1)
            if isinstance(error, OSError) and error.errno:
                refuse(f"{error.filename} cannot be written ({error.strerror}); {interruption.CONTINUE}", exit_code=1)
            raise
        if diverged and "strict" in command.switches:
            sys.exit(3)


def show(run: Run) -> int:
    """Draws the figures of a finished run, prints its table and writes it; gives how many of its runs diverged.

    Where that has been done since the last training, it only says so.
    """
    run_dir = run.run_dir
    if run_dir.summary_file.is_file():
        print(f"{run_dir.path} is finished: all {run.grid.num_cells} runs of this config are there. Nothing to do.")
    else:
        plots.write_figures(run, run_dir.figures)
        table = summary.table(run)
        summary.show(table)
        summary.write(table, run_dir.summary_file)
        print(
            f"{run.environment['runs']} of {run.grid.num_cells} runs trained in {run.environment['seconds']:.1f} s.\n"
            f"Everything is in {run_dir.path}:\n"
            "metrics.nc (xarray), chunks (parameters), figures, summary.csv, config.json, environment.json."
        )
    diverged = int(run.metrics["diverged_at"].notnull().sum())
    if diverged:
        names = "; ".join(summary.diverged(run.metrics))
        logging.warning("%d runs diverged, their training loss NaN or infinite: %s.", diverged, names)
    return diverged


def log_plainly() -> None:
    """One plain line per message, and of JAX only warnings: it tells which backends this machine does not have."""
    logging.get_absl_handler().setFormatter(python_logging.Formatter("%(message)s"))
    python_logging.getLogger("jax").setLevel(python_logging.WARNING)


def parse(argv: list[str], flag_values: flags.FlagValues = flags.FLAGS) -> Command:
    """What a command line asks for; bad input is one sentence and exit code 2.

    Args:
      argv: the command line, the program first.
      flag_values: where the flags are defined and parsed; it can be used once.
    """
    if {"--help", "--helpshort", "-h"} & set(argv[1:]):
        print(__doc__)
        sys.exit(0)
    try:
        return read_command(argv, SWITCHES, flag_values)
    except ConfigError as error:
        refuse(error)


def refuse(reason: object, exit_code: int = 2) -> NoReturn:
    """Ends the program with a sentence on stderr."""
    print("rw_jax:", *str(reason).split(), file=sys.stderr)  # one line, whatever was given
    sys.exit(exit_code)


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main, flags_parser=parse)
