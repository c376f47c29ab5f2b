"""The command line.

    python -m rw_jax.main --config=configs/sweep.py [--workdir=runs/sweep] [--config.FIELD=VALUE ...]
        [--dry_run] [--strict] [--distributed]

--config is a file whose get_config() returns the study; --config.FIELD changes one of its fields, such as
--config.training.steps=100 or --config.grid.seed='range(100)'; --workdir is the run directory, runs/NAME if it is not
given. The same command goes on with a run that was interrupted. --dry_run only tells what there is to do; --strict
makes the exit code 3 if a run diverged; --distributed lets the processes of a job share the sweep.
"""

import contextlib
import logging as python_logging
import re
import runpy
import sys
import traceback
from pathlib import Path
from typing import NamedTuple, NoReturn

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags

from rw_jax.analysis import plots, summary
from rw_jax.analysis.run_dir import Run
from rw_jax.store import distributed
from rw_jax.study.config import Config, ConfigError, describe_field, from_config_dict
from rw_jax.sweeps import interruption, sweep


class Command(NamedTuple):
    """What a command line asks for.

    Attributes:
      config: the study.
      workdir: the run directory.
      dry_run: whether only to tell what there is to do.
      strict: whether a run that diverged makes the exit code 3.
      distributed: whether other processes share the sweep.
    """

    config: Config
    workdir: Path
    dry_run: bool = False
    strict: bool = False
    distributed: bool = False


def main(command: Command) -> None:
    """Runs the sweep of a config in a run directory, draws its figures, or tells what it would do.

    Exit codes beside 0: 2 if the directory or the environment cannot be used; 1 if the sweep cannot go on, 130 or 143
    if it is told not to, and the same command continues it; 3 if a run diverged and `strict` is given.
    """
    log_plainly()
    with distributed.leaving_at_once() if command.distributed else contextlib.nullcontext():
        try:
            if command.distributed:
                distributed.join()
            if command.dry_run:
                print(sweep.plan(command.config, command.workdir))
                return
            diverged = show(sweep.sweep(command.config, command.workdir))
        except ConfigError as error:
            refuse(error)
        except (OSError, RuntimeError, ValueError) as error:  # JAX and Orbax raise each of them
            if command.distributed and distributed.tells_of_a_lost_process(error):
                refuse(f"another process of the job has ended; {interruption.CONTINUE}", exit_code=1)
            if "RESOURCE_EXHAUSTED" in str(error):
                short = "memory is short"
                if command.distributed:  # where chunks are not halved
                    refuse(f"{short}; give a smaller --config.execution.cells_per_chunk. What is finished is kept.", 1)
                refuse(f"{short} even for one batch of runs; {interruption.CONTINUE}", exit_code=1)
            if isinstance(error, OSError) and error.errno:
                refuse(f"{error.filename} cannot be written ({error.strerror}); {interruption.CONTINUE}", exit_code=1)
            raise
        if command.strict and diverged:
            sys.exit(3)


def show(run: Run) -> int:
    """Draws the figures of a finished run, prints its table and writes it; gives how many of its runs diverged.

    Where that has been done since the last training, it only says so.
    """
    if not distributed.is_first():
        return 0
    run_dir = run.run_dir
    if run_dir.summary_file.is_file():
        print(f"{run_dir.path} is finished: all {run.grid.num_cells} runs of this config are there. Nothing to do.")
    else:
        plots.write_figures(run, run_dir.figures)
        table = summary.table(run.metrics)
        summary.show(table)
        summary.write(table, run_dir.summary_file)
        trained, seconds = run.environment["runs"], run.environment["seconds"]
        print(f"{trained} of {run.grid.num_cells} runs trained in {seconds:.1f} s.")
        print(f"Everything is in {run_dir.path}:")
        print("metrics.nc (xarray), chunks (parameters), figures, summary.csv, config.json, environment.json.")
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
    """The config and the run directory that a command line names; bad input is one sentence and exit code 2.

    Args:
      argv: the command line, the program first.
      flag_values: where the flags are defined and parsed; it can be used once.
    """
    if {"--help", "--helpshort", "-h"} & set(argv[1:]):
        print(__doc__)
        sys.exit(0)
    try:
        argv = [argv[0], *flag_values.read_flags_from_files(argv[1:], force_gnu=False)]
        path, argv = _take_config_file(argv)
        config_dict = _load(path)
        _check_field_names(argv)
        # ml_collections knows the overrides by their words on the command line, so the flags are defined here.
        config_flags.DEFINE_config_dict("config", config_dict, flag_values=flag_values, sys_argv=argv)
        workdir = flags.DEFINE_string("workdir", None, "The run directory.", flag_values=flag_values)
        dry_run, strict, distributed = (
            flags.DEFINE_bool(name, False, help_text, flag_values=flag_values)
            for name, help_text in (
                ("dry_run", "Only tell what there is to do."),
                ("strict", "Exit with 3 if a run diverged."),
                ("distributed", "Share the sweep with the other processes of the job."),
            )
        )
        leftovers = flag_values(argv)[1:]
        if leftovers:
            refuse(f"{leftovers[0]!r} is not a flag; give every flag as --name=value, in quotes if it has spaces.")
        if workdir.value == "":
            refuse("--workdir is empty, but must name a folder, or be left out for runs/<name of the config>.")
        config = from_config_dict(config_dict)
    except (ConfigError, flags.Error) as error:
        refuse(_explain(error))
    return Command(config, Path(workdir.value or f"runs/{config.name}"), dry_run.value, strict.value, distributed.value)


def _take_config_file(argv: list[str]) -> tuple[str, list[str]]:
    """The path that --config names, and the command line without it."""
    first = flags.FlagValues()
    paths = flags.DEFINE_multi_string("config", [], "The config file.", flag_values=first)
    first.set_gnu_getopt(True)  # flags after a word that is no flag are looked at, too
    rest = first(argv, known_only=True)
    if not paths.value:
        raise ConfigError("--config is not given, but must name a config file, such as --config=configs/sweep.py.")
    if len(paths.value) > 1:
        raise ConfigError(f"--config is given as {' and '.join(paths.value)}, but must be given once.")
    return paths.value[0], rest


def _load(path: str) -> ml_collections.ConfigDict:
    """What get_config() of a config file returns, its fields locked."""
    if not Path(path).is_file():
        raise ConfigError(f"--config is {path!r}, which is not a file; give one, such as --config=configs/sweep.py.")
    try:
        get_config = runpy.run_path(path).get("get_config")
        config_dict = get_config() if callable(get_config) else None
    except (Exception, SystemExit) as error:  # whatever a config file does wrong
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        where = f" in line {lines[-1]}" if lines else ""
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        raise ConfigError(f"--config is {path!r}, which cannot be used{where}: {reason}.") from error
    if not callable(get_config):
        raise ConfigError(f"--config is {path!r}, which has no get_config(), but must define it.")
    if not isinstance(config_dict, ml_collections.ConfigDict):
        given = type(config_dict).__name__
        raise ConfigError(f"--config is {path!r}, whose get_config() gives {given}, but must give a ConfigDict.")
    return config_dict.lock()


def _check_field_names(argv: list[str]) -> None:
    """Refuses --config.FIELD for what is no field, which ml_collections meets with a bare AttributeError."""
    for word in argv[1:]:
        override = re.match(r"--?config\.([^=]*)", word)
        if override:
            describe_field(override[1])


def _explain(error: ConfigError | flags.Error) -> str:
    """A sentence on what is wrong; those of absl do not say what would be right."""
    reason = " ".join(str(error).split()).removeprefix("ERROR:: ")
    if isinstance(error, flags.UnrecognizedFlagError):
        return f"--{error.flagname} is not a flag; there are {', '.join(_FLAGS)}."
    missing = re.fullmatch(r"Missing value for flag (--\S+)", reason)
    if missing:
        return f"{missing[1]} has no value, but must have one, as in {missing[1]}=VALUE."
    illegal = re.match(r"flag --config\.([\w.]+)=(.*?): ", reason)
    if illegal:
        return f"{illegal[1]} is {illegal[2]!r}, but must be {describe_field(illegal[1])}."
    boolean = re.match(r"flag (--\w+)=(.*?): \('Non-boolean", reason)
    if boolean:
        return f"{boolean[1]} is {boolean[2]!r}, but must be true or false."
    return reason.rstrip(".") + "."


_FLAGS = ("--config", "--config.FIELD", "--workdir", "--dry_run", "--strict", "--distributed")


def refuse(reason: object, exit_code: int = 2) -> NoReturn:
    """Ends the program with a sentence on stderr."""
    print("rw_jax:", *str(reason).split(), file=sys.stderr)  # one line, whatever was given
    sys.exit(exit_code)


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main, flags_parser=parse)
