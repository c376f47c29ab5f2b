"""Counts who handles p, learning_rate, walk_length and seed while two short runs are trained.

    python scripts/trace.py            # a table with a row for each parameter, a minute
    python scripts/trace.py --files    # also all files that they pass, not five of p alone

It traces the rw_jax of the working directory, in one sweep of two labels of p. The other parameters are fields of its
config. Each has a value that nothing else has. Calls of functions of rw_jax are counted, in the main thread, those
that JAX makes while it traces included. A generator is one call, however often it is resumed.

A call receives a parameter if one of its arguments is the value, is a list, tuple, set or dict with the value in it, or
is a mapping with the parameter's name as a key. The last finds values that JAX traces. Files are those with such a
call. A stay is a run of such calls, one after the other, in one file.

A call holds a parameter if the value is anywhere inside its arguments, at any depth, also in dataclasses and named
tuples; `self` is an argument. So a method of a Config or a Grid holds all that it has. Values that JAX traces are not
found. Compare only p here: the other parameters are in the config of every structure, the labels of p only in the grid.

On commit 830ac94 p passes 20 files in 156 stays and 231 calls, and 983 calls hold it, 585 of them Config.path and
Config.value; learning_rate and seed pass 19 files each; `make_experiment` is called 6 times.
"""

import argparse
import dataclasses
import importlib
import inspect
import itertools
import numbers
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

VALUES = {"p": 0.6371, "learning_rate": 0.4829, "walk_length": 23, "seed": 7919}
"""The value of each parameter that is followed."""


class Call(NamedTuple):
    """A call: its file in the package, the function, and the parameters that it receives and holds."""

    file: str
    function: str
    receives: set[str]
    holds: set[str]


def follow(run: Callable[[], Any], package: Path, values: Mapping[str, float]) -> list[Call]:
    """Runs a function and gives all calls of a package's functions in order; `values` has each parameter's value."""
    calls: list[Call] = []
    starts: dict[CodeType, int] = {}

    def look(frame: FrameType, event: str, _: Any) -> None:
        code, path = frame.f_code, Path(frame.f_code.co_filename)
        if event != "call" or not path.is_relative_to(package):
            return
        if starts.setdefault(code, frame.f_lasti) != frame.f_lasti:
            return  # a generator that is resumed
        names, rest, keywords, local = inspect.getargvalues(frame)
        arguments = [*(local[name] for name in names), *local.get(rest, ()), local.get(keywords, {})]
        inside = set(_numbers_in(arguments, set()))
        receives = {name for name in values if any(_is_received(item, name, values[name]) for item in arguments)}
        holds = {name for name in values if values[name] in inside}
        calls.append(Call(path.relative_to(package).as_posix(), code.co_name, receives, holds))

    sys.setprofile(look)
    try:
        run()
    finally:
        sys.setprofile(None)
    return calls


def count_stays(files: Iterable[str]) -> int:
    """How many runs of equal files there are in a row of files."""
    return sum(1 for _ in itertools.groupby(files))


def _is_received(argument: Any, name: str, value: float) -> bool:
    """Whether an argument is a value, has it in it, or is a mapping that has its name."""
    if isinstance(argument, Mapping) and name in list(argument):
        return True
    inside = _elements(argument) if type(argument) in (list, tuple, set, frozenset, dict) else ()
    return any(isinstance(item, numbers.Real) and item == value for item in (argument, *inside))


def _elements(item: Any) -> Iterable[Any]:
    """What a container or a dataclass has in it. No method of a piece is called: it might note what is read."""
    if isinstance(item, dict):
        return (*dict.keys(item), *dict.values(item))
    if isinstance(item, list | tuple | set | frozenset):
        return tuple(item)
    return tuple(vars(item).values()) if dataclasses.is_dataclass(item) and hasattr(item, "__dict__") else ()


def _numbers_in(item: Any, seen: set[int]) -> Iterable[Any]:
    """All numbers inside of something, at any depth; `seen` has the ids of what was looked into."""
    if isinstance(item, numbers.Real):
        yield item
    elif id(item) not in seen:
        seen.add(id(item))
        for element in _elements(item):
            yield from _numbers_in(element, seen)


def _sweep(axis: str, labels: tuple[float, ...]) -> list[Call]:
    """Follows the parameters through a tiny sweep of the working directory's rw_jax."""
    rw_jax = importlib.import_module("rw_jax")
    config = rw_jax.base_config()
    config.task.walk_length, config.task.walks, config.task.test_walks = VALUES["walk_length"], 16, 16
    config.model.position_width, config.training.steps = 32, 2
    config.training.learning_rate, config.seed = VALUES["learning_rate"], VALUES["seed"]
    config.grid[axis] = labels
    with tempfile.TemporaryDirectory() as folder:
        return follow(lambda: rw_jax.sweep(config, folder), Path(rw_jax.__file__).parent, VALUES)


def main() -> None:
    """Prints the table, the files, and how often experiments are made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", action="store_true", help="list all files that each parameter passes")
    asked = parser.parse_args()
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    sys.path[0] = str(Path.cwd())  # not this folder, whose modules have names of the standard library
    calls = _sweep("p", (VALUES["p"], 0.9))
    received = {name: [call.file for call in calls if name in call.receives] for name in VALUES}
    held = {name: Counter(call.file for call in calls if name in call.holds) for name in VALUES}
    print(f"{'':15}{'files':>8}{'stays':>8}{'calls':>8}{'calls that hold it':>20}")
    for name, files in received.items():
        print(f"{name:15}{len(set(files)):8}{count_stays(files):8}{len(files):8}{held[name].total():20}")
    for name in VALUES if asked.files else ("p",):
        print(f"\nfiles that {name} passes: calls, and calls that hold it")
        for file, count in Counter(received[name]).most_common(None if asked.files else 5):
            print(f"  {file:30}{count:6}{held[name][file]:6}")
    made = [call.function for call in _sweep("num_nodes", (4, 5))].count("make_experiment")
    print(f"\nmake_experiment is called {made} times in a sweep of two structures.")


if __name__ == "__main__":
    main()
