"""The theorem report: trains what the claims of the paper are judged by, judges them, and writes the page.

    python -m rw_jax.verify --config=configs/verify.py [--workdir=runs/verify] [--quick] [--config.FIELD=VALUE ...]

--config gives the setting around which claims are tested; --workdir is the folder of the report, runs/NAME if it is not
given; --quick takes grids so small that no verdict means anything, to see that everything works. Every study is a run
directory WORKDIR/STUDY, which `rw_jax.load_run` opens. The same command goes on with a report that was interrupted, and
judges a finished one anew without training.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np
from absl import app, flags, logging

from rw_jax import main
from rw_jax.reports import claims, report
from rw_jax.study.config import AXES, Config, ConfigError, Scalar, from_json
from rw_jax.sweeps import interruption, sweep

QUICK = "--quick"


def studies(config: Config, quick: bool) -> dict[str, Config]:
    """The studies that the claims are judged by, each a config with a grid.

    The position width grows as N^(3/2) with the walk length, as the theorem wants it, from that of the config.

    Args:
      config: the setting around which they are made; its grid is not looked at.
      quick: whether to make them tiny.

    Raises:
      ConfigError: if the config is of another model, task, start or loss than the claims, or does not go with a study.
    """
    for axis, assumed in _ASSUMED.items():
        if config.value(axis) != assumed:
            raise ConfigError(
                f"{AXES[axis]} is {config.value(axis)!r}, but must be {assumed!r}, as the claims assume it."
            )

    def width(length: int) -> int:
        return max(length, round(config.model.position_width * (length / config.task.walk_length) ** 1.5))

    def one_length(length: int) -> Fields:
        return {"walk_length": length, "position_width": width(length)}

    def lengths(*values: int) -> Axes:
        return {"walk_length": values, "position_width": tuple(map(width, values))}

    def sizes(*pairs: tuple[int, int]) -> Axes:
        nodes, values = zip(*pairs, strict=True)
        return {"num_nodes": nodes, **lengths(*values)}

    def seeds(number: int) -> Axes:
        return {"seed": tuple(range(3 if quick else number))}

    by_length, by_size = ("walk_length", "position_width"), ("num_nodes", "walk_length", "position_width")
    populations: Fields = {"walks": "all", "test_walks": "all"}
    # As far from 0 as from 1, and ever closer: evenly spread in the logarithm of the distance.
    near_1 = (0.9, 0.99) if quick else (0.7, 0.9, 0.97, 0.99, 0.997, 0.999)
    wide = (*(round(1 - p, 3) for p in reversed(near_1)), 0.5, *near_1)
    # In a quick report, samples are few and short.
    short: Fields = {"walks": 100, "test_walks": 50, **one_length(13)} if quick else {}
    many = 512  # in a chunk where there are thousands of short runs: to save and to read one takes a tenth of a second
    few: Fields = {"walks": 100, "test_walks": 50} if quick else {}
    return {
        "population": _study(
            config,
            "population",
            {
                **sizes(*(((5, 6), (5, 7)) if quick else ((6, 7), (6, 8), (6, 9), (6, 10), (6, 11), (6, 12), (5, 9)))),
                "p": (0.5, 0.9) if quick else (0.02, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98),
            },
            {"steps": 20 if quick else 200, **populations},
            zipped=by_size,
            keep=(1, 2, 3, 5, 10, 20, 50, 100),
            precision="float64",
        ),
        "long": _study(
            config,
            "long",
            {"p": (0.5, 0.9) if quick else (0.5, 0.6, 0.7, 0.8, 0.9, 0.98)},
            {"steps": 200 if quick else 20_000, **one_length(6 if quick else 9), **populations},
            keep=_spread_out(200 if quick else 20_000),
            precision="float64",
        ),
        "growth": _study(
            config,
            "growth",
            {"walks": (100,) if quick else (1000, 10_000), "p": (0.5, 0.7, 0.9), **seeds(16)},
            {"steps": 40 if quick else 1000, **short},
            keep=_spread_out(40 if quick else 1000),
        ),
        "walks": _study(
            config,
            "walks",
            {
                "walks": (50, 200) if quick else (1000, 3000, 10_000, 30_000, 100_000),
                "p": (0.5, 0.9) if quick else (0.5, 0.7, 0.9, 0.97, 0.99),
                **seeds(20),
            },
            {"steps": 5 if quick else 20, **short},
            keep=(1, 2),
        ),
        "length": _study(
            config,
            "length",
            {
                **lengths(*((7, 13) if quick else (13, 25, 49, 97, 145, 193))),
                "p": (0.5, 0.9) if quick else (0.5, 0.7, 0.9, 0.97),
                **seeds(16),
            },
            {"steps": 5 if quick else 50, "walks": 10_000, **few},
            zipped=by_length,
            keep=(2,),
        ),
        "success_by_length": _study(
            config,
            "success_by_length",
            {**lengths(*((7, 13) if quick else (7, 13, 25, 49, 97, 193))), "p": wide, **seeds(100)},
            {"steps": 5 if quick else 15, **few},
            zipped=by_length,
            cells_per_chunk=many,
        ),
        "success_by_nodes": _study(
            config,
            "success_by_nodes",
            {"num_nodes": (6,) if quick else (5, 6, 8, 12, 16, 24), "p": wide, **seeds(100)},
            {"steps": 5 if quick else 15, **short},
            cells_per_chunk=many,
        ),
        "success_by_walks": _study(
            config,
            "success_by_walks",
            {"walks": (100,) if quick else (100, 300, 1000, 3000, 10_000), "p": wide, **seeds(100)},
            {"steps": 5 if quick else 15, **short},
            cells_per_chunk=many,
        ),
        "many_nodes": _study(
            config,
            "many_nodes",
            {"num_nodes": (7,) if quick else (12, 20, 24, 31), "p": (0.5, 0.6, 0.7, 0.8, 0.9), **seeds(10)},
            {"steps": 5 if quick else 10, "walks": 10_000, **one_length(241), **short},
            keep=(2,),
        ),
        "deterministic": _study(
            config,
            "deterministic",
            {
                **sizes(*(((5, 21),) if quick else ((6, 97), (7, 50)))),
                "p": (0.0, 1.0),
                "loss": ("log",) if quick else ("log", "cross_entropy", "squared_error", "hinge"),
                "learning_rate": (0.01, 0.1, 1.0, 10.0),
            },
            {"steps": 20 if quick else 200, **populations},
            zipped=by_size,
            keep=(1, 2, 3, 10, 50),
        ),
        "off_by": _study(
            config,
            "off_by",
            {**lengths(*((31, 32) if quick else range(91, 98))), "p": (0.0, 1.0)},
            {"steps": 20 if quick else 200, **populations},
            zipped=by_length,
        ),
        "full": _study(
            config,
            "full",
            {"p": (0.5, 0.7, 1.0), **seeds(4)},
            {"steps": 50, "form": "full", **one_length(13), **few},
            keep=(1, 2, 10),
        ),
    }


_ASSUMED = {
    "task": "circle",
    "form": "reduced",
    "unit_length": "none",
    "feed_forward_width": 0,
    "init": "zero",
    "loss": "log",
}

Fields = dict[str, Scalar]
Axes = dict[str, tuple[Scalar, ...]]


def _study(
    config: Config,
    name: str,
    grid: Axes,
    fields: Fields,
    *,
    zipped: tuple[str, ...] = (),
    keep: tuple[int, ...] = (),
    precision: str | None = None,
    cells_per_chunk: int = 64,
) -> Config:
    """The config with this grid and these fields, measured only at the steps that keep parameters.

    Raises:
      ConfigError: if the config's own fields do not go with these.
    """
    changed = config.replace(**fields)
    steps = changed.training.steps
    changed = dataclasses.replace(
        changed,
        name=f"{config.name}_{name}",
        record=dataclasses.replace(changed.record, every=max(steps, 1), parameters=keep),
        execution=dataclasses.replace(changed.execution, cells_per_chunk=cells_per_chunk),
        precision=precision or config.precision,
        grid=tuple((axis, tuple(grid[axis])) for axis in AXES if axis in grid),
        zipped=(zipped,) if zipped else (),
    )
    return from_json(changed.to_json())


def _spread_out(largest: int) -> tuple[int, ...]:
    """Some 40 steps up to the largest, evenly spread in the logarithm."""
    return tuple(int(step) for step in np.unique(np.round(np.geomspace(1, largest, 40))))


def run(config: Config, workdir: Path, quick: bool) -> report.Report:
    """Trains the studies that are not finished, judges every claim and writes the report into the folder.

    Raises:
      ConfigError: if a study cannot be made from the config, or the folder holds another report.
    """
    configs, runs = studies(config, quick), {}
    for number, (name, study) in enumerate(configs.items(), 1):
        logging.info("study %d of %d: %s", number, len(configs), name)
        runs[name] = sweep.sweep(study, workdir / name)
    judged = [claims.judge(claim, runs) for claim in claims.CLAIMS]
    return report.write(judged, runs, workdir)


def parse(argv: list[str], flag_values: flags.FlagValues = flags.FLAGS) -> tuple[Config, Path, bool]:
    """The config, the folder and whether to be quick; bad input is one sentence and exit code 2.

    Args:
      argv: the command line, the program first.
      flag_values: where the flags are defined and parsed; it can be used once.
    """
    if {"--help", "--helpshort", "-h"} & set(argv[1:]):
        print(__doc__)
        sys.exit(0)
    quick = QUICK in argv
    words = [word for word in argv if word != QUICK]
    if quick and not any(word.startswith(("--workdir", "-workdir")) for word in words):
        words.append("--workdir=runs/verify_quick")
    command = main.parse(words, flag_values)
    for flag in ("dry_run", "strict", "distributed"):
        if getattr(command, flag):
            main.refuse(f"--{flag} is given, but a report knows --config, --config.FIELD, --workdir and --quick only.")
    return command.config, command.workdir, quick


def _main(arguments: tuple[Config, Path, bool]) -> None:
    config, workdir, quick = arguments
    main.log_plainly()
    try:
        written = run(config, workdir, quick)
    except ConfigError as error:
        main.refuse(error)
    for line in written.verdicts():
        print(line)
    print(f"The report is {written.path}; report.md, report.json and figures are beside it.")


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(_main, flags_parser=parse)
