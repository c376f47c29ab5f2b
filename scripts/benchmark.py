"""Times a training step of PyTorch and of rw_jax side by side, and holds it against the floor of the machine.

    python scripts/benchmark.py                  # the table of ratios, about three minutes
    python scripts/benchmark.py --scaling        # whole sweeps against runs, steps, walks and N as well, eight more
    python scripts/benchmark.py --law            # nothing but what a run costs against steps, walks, N and K, four

Every row trains the setting of configs/base.py at p = 0.7 (K = 6, N = 97, M = 1000, 1000 walks, float32) on the same
walks, in a process of its own. Nothing is timed unless all rows agree on the losses of the first steps; those on
infinitely many walks agree with one another where they are of one setting. Times are of training only: the median over
several repeats of a long training less a short one, per run and step; of steps 2 to 51 in rows (d), (e) and (j). Below
the table stand what a long training costs, the floor, and what recording the metrics of a step costs beside the step
itself. PyTorch is optional: without it its rows are left out; it computes on the CPU, so compare it on a machine
without an accelerator.
"""

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import json
import logging
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import rich.console
import rich.table
from absl import app, flags
from absl import logging as absl_logging

_JSON = flags.DEFINE_string("json", "runs/benchmark.json", "Where the numbers are written.")
_SCALING = flags.DEFINE_bool("scaling", False, "Also measure how cost grows with runs, steps, walks and N.")
_LAW = flags.DEFINE_bool("law", False, "Measure nothing but what a run costs, fit a law to it, and draw both.")
_RUNS = flags.DEFINE_integer("runs", 0, "Runs of row (e); 0 for 128 on a CPU and 10,000 on an accelerator.")
_MEASURE = flags.DEFINE_string("measure", None, "Measure one thing and print it as JSON; used by the script itself.")

P = 0.7
STEPS_COMPARED = 6
REPEATS = 5

TORCH_ROWS = ("a", "b")
ROWS = {
    "a": "PyTorch, X~ materialised",
    "b": "PyTorch, W x~_N first",
    "c": "rw_jax, full form",
    "d": "rw_jax, reduced form, one run at a time",
    "e": "rw_jax, reduced form, the grid",
    "j": "the same, every step over all walks",
    "f": "rw_jax, infinitely many walks, the grid, float32",
    "g": "rw_jax, infinitely many walks, the grid, float64",
    "h": "rw_jax, infinitely many walks, the grid, float64, K = 20",
    "i": "rw_jax, infinitely many walks, the grid, float64, N = 385",
}
LONG_STEPS = 5_000
"""The length of a long training, of which rows (e) and (j) are compared as well."""

INFINITE: dict[str, dict[str, Any]] = {
    "f": {"precision": "float32"},
    "g": {"precision": "float64"},
    "h": {"precision": "float64", "num_nodes": 20},
    "i": {"precision": "float64", "walk_length": 385},
}
"""The rows on infinitely many walks, whose losses are others than those on samples, and what they change."""


def main(argv: list[str]) -> None:
    """Compares the losses of all rows, measures each in a process of its own, prints the table."""
    del argv
    logging.getLogger("jax").setLevel(logging.WARNING)  # it tells which backends this machine does not have
    absl_logging.set_verbosity(absl_logging.WARNING)  # sweeps tell how far they have come
    if _MEASURE.value:
        print(json.dumps(measure(_MEASURE.value)))
        return
    if _LAW.value:
        draw_law(Path(_JSON.value).with_name("cost"))
        return
    titles = dict(ROWS)
    if importlib.util.find_spec("torch") is None:
        print(f"({'), ('.join(TORCH_ROWS)}) are left out, because PyTorch is not installed.")
        titles = {name: title for name, title in ROWS.items() if name not in TORCH_ROWS}
    losses = {name: in_own_process(f"losses:{name}") for name in titles}
    check_losses({name: row for name, row in losses.items() if name not in INFINITE}, "e")
    check_losses({name: losses[name] for name in ("f", "g")}, "g")
    rows: dict[str, dict[str, Any]] = {}
    for name, title in titles.items():
        print(f"({name}) {title} ...", file=sys.stderr)
        rows[name] = {"title": title, **in_own_process(f"times:{name}")}
    for row in rows.values():
        row["ratio_to_e"] = row["ms"] / rows["e"]["ms"]
    floor = in_own_process("floor")
    floor["multiple"] = rows["e"]["ms"] / max(floor["bytes_ms"], floor["operations_ms"])
    results = {"environment": in_own_process("environment"), "losses": losses, "rows": rows, "floor": floor}
    print_table(rows, floor)
    if _SCALING.value:
        results["scaling"] = print_scaling()
    path = Path(_JSON.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2))
    print(f"Everything is in {path}.")


def in_own_process(what: str, **variables: str) -> Any:
    """Has this script measure one thing, with environment variables if any, and reads what it prints."""
    command = [sys.executable, __file__, f"--runs={_RUNS.value}", f"--measure={what}"]
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false", **variables}  # every first call compiles
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return json.loads(output.splitlines()[-1])


def check_losses(losses: dict[str, list[float]], exact: str) -> None:
    """Stops unless all rows compute the losses of one of them; rounding sets them apart by less than the tolerance."""
    reference = np.array(losses[exact])
    for name, row in losses.items():
        worst = float(np.max(np.abs(np.array(row) - reference)))
        if not worst < 2e-3:
            sys.exit(
                f"Row ({name}) computes other losses than row ({exact}), by up to {worst:.2g} nats: nothing is timed."
            )
    numbers = ", ".join(f"{loss:.4f}" for loss in reference)
    print(f"Rows {', '.join(losses)} agree on the losses of the first {STEPS_COMPARED} steps: {numbers}.")


def measure(what: str) -> Any:
    """What one process measures: the losses or the times of a row, the floor, a whole sweep, or where it runs."""
    match what.split(":", 1):
        case ["losses", row]:
            return torch_training(row)(STEPS_COMPARED) if row in TORCH_ROWS else our_losses(row)
        case ["times", row]:
            times = torch_times(row) if row in TORCH_ROWS else our_times(row)
            return {**times, "peak_MiB": peak_MiB()}
        case ["sweep", setting]:
            return measure_sweep(json.loads(setting))
        case ["training", runs]:
            return measure_training(int(runs))
        case ["run", setting]:
            return measure_run(json.loads(setting))
        case ["floor"]:
            return measure_floor()
        case ["environment"]:
            return environment()
    raise ValueError(f"measure is {what!r}, which is nothing to measure.")


def peak_MiB() -> float:
    """The largest memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def environment() -> dict:
    """Versions, devices and commit, as in environment.json, and the version of PyTorch."""
    from rw_jax.store.provenance import describe_environment
    from rw_jax.sweeps import devices

    placement = devices.set_up(base_config().execution)
    described = describe_environment(placement.mesh, placement.cells_per_batch)
    if importlib.util.find_spec("torch") is not None:
        described["versions"]["torch"] = importlib.metadata.version("torch")
    return described


def base_config():
    """The setting of configs/base.py at p = 0.7, recorded at its ends only."""
    import rw_jax
    from rw_jax.study.flags import from_config_dict

    config = rw_jax.base_config()
    config.task.p = P
    return from_config_dict(config)


def difference(short: Callable[[], object], long: Callable[[], object]) -> float:
    """Seconds that long() takes beyond short(), the median of several repeats in turn."""
    differences = []
    for _ in range(REPEATS):
        seconds = []
        for call in (short, long):
            started = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - started)
        differences.append(seconds[1] - seconds[0])
    return statistics.median(differences)


class Training(NamedTuple):
    """A row from (c) on, which is the sweep's own program.

    Attributes:
      train: (steps, every, metrics) -> a function that trains all runs, records these metrics every so many steps, all
        of them unless some are named, and gives the Record.
      runs: how many there are.
      devices: on how many.
    """

    train: Callable[..., Callable[[], Any]]
    runs: int
    devices: int


def our_training(row: str, runs: int = 0, batch: int = 1, **changes: Any) -> Training:
    """The training of a row from (c) on, with some fields changed.

    Args:
      row: the row.
      runs: how many; as many as the row has if 0 are given.
      batch: how many together in row (d).
      **changes: the fields, by their axes.
    """
    import jax

    from rw_jax.sweeps import devices
    from rw_jax.sweeps.program import compile_program, run_chunk
    from rw_jax.training.grids import make_grid

    config = base_config().replace(form="full" if row == "c" else "reduced", **changes)
    if row in INFINITE:
        config = config.replace(walks=math.inf, **INFINITE[row])
    placement = devices.set_up(config.execution)
    if row == "d":
        placement = placement._replace(mesh=devices.make_mesh(jax.devices()[:1]), cells_per_batch=batch)
    many = _RUNS.value or (128 if jax.default_backend() == "cpu" else 10_000)
    several = 8 * placement.mesh.size if row in INFINITE else placement.mesh.size
    runs = runs or (many if row in "ej" else several)
    if row != "d":  # no batch is padded
        least = -(-runs // placement.mesh.size)
        placement = placement._replace(cells_per_batch=min(placement.cells_per_batch, least))
    placement = placement._replace(cells_per_chunk=runs)

    def train(steps: int, every: int, metrics: tuple[str, ...] | str = "all") -> Callable[[], Any]:
        record = dataclasses.replace(config.record, every=every, parameters=(), metrics=metrics)
        grid = (("seed", tuple(range(runs))),)
        experiments = make_grid(dataclasses.replace(config.replace(steps=steps), grid=grid, record=record))
        experiment, shape, _ = experiments.checked(experiments.grid.structures[0])
        if row == "j":
            experiment = experiment._replace(model=experiment.model._replace(weighs=None))
        program = compile_program(experiment, placement, shape)
        cells = list(experiments.grid.cells())
        return lambda: run_chunk(program, cells).record

    return Training(train, runs, placement.mesh.size)


def our_losses(row: str) -> list[float]:
    """The losses of the first steps of the first run of a row from (c) on."""
    record = our_training(row).train(STEPS_COMPARED, 1)()
    return record.metrics["train_loss"][0][:STEPS_COMPARED].tolist()


def our_times(row: str) -> dict:
    """Milliseconds of a step and of recording one, per run, and seconds of the first call, which compiles."""
    train, runs, devices = our_training(row)
    short, long = {
        "c": (2, 22),
        "d": (1, 51),
        "e": (1, 51),
        "j": (1, 51),
        "f": (5, 55),
        "g": (5, 55),
        "h": (2, 12),
        "i": (2, 12),
    }[row]
    started = time.perf_counter()
    train_short = train(short, short)
    train_short()
    first_call = time.perf_counter() - started
    train_long, record_all = train(long, long), train(long, 1)
    train_long()
    record_all()
    few = {}
    if row == "e":
        record_few = train(long, 1, ("accuracy", "train_loss"))
        record_few()
        few["record_few_ms"] = 1e3 * difference(train_long, record_few) / (long - 1) / runs
    return {
        **(long_times(row) if row in "ej" else {}),
        **few,
        "ms": 1e3 * difference(train_short, train_long) / (long - short) / runs,
        "record_ms": 1e3 * difference(train_long, record_all) / (long - 1) / runs,  # the ends are recorded always
        "first_call_s": first_call,
        "runs": runs,
        "devices": devices,
    }


def long_times(row: str) -> dict:
    """Milliseconds of a step of a long training, per run."""
    train, runs, devices = our_training(row, runs=8 * our_training(row).devices)
    short, long = train(1, 1), train(LONG_STEPS, LONG_STEPS)
    short()
    long()
    return {"long_ms": 1e3 * difference(short, long) / (LONG_STEPS - 1) / runs, "long_runs": runs, "devices": devices}


def torch_training(row: str) -> Callable[[int], list[float]]:
    """Row (a) or (b): plain PyTorch with autograd and SGD, one run, on all cores; (steps) -> the loss of each."""
    torch = importlib.import_module("torch")  # not a requirement: type checkers need not find it

    from rw_jax.models.positions import sine_positions
    from rw_jax.training.experiment import make_experiment
    from rw_jax.training.values import run_values
    from rw_jax.training.walks import draw_training_walks

    config, careful = base_config(), row == "b"
    experiment = make_experiment(config)
    walks = draw_training_walks(experiment, run_values(experiment.labels, experiment))
    assert walks is not None
    tokens, targets = (torch.tensor(np.asarray(x, np.int64)) for x in (walks.tokens_LxB.T, walks.targets_B))
    K, M, N = config.task.num_nodes, config.model.position_width, config.task.walk_length
    positions = torch.tensor(sine_positions(N, M)).float()
    one_hot = torch.nn.functional.one_hot(tokens, K).float()
    X = torch.cat([one_hot, torch.zeros(len(tokens), 1, K)], dim=1)  # B x N x K
    last = torch.cat([torch.zeros(K), positions[-1]])  # x~_N
    if not careful:
        X_tilde = torch.cat([X, positions.expand(len(tokens), N, M)], dim=2)  # B x N x (K + M), materialised

    def train_torch(steps: int) -> list[float]:
        V = torch.zeros(K, K, requires_grad=True)
        W = torch.zeros(K + M, K + M, requires_grad=True)
        optimizer = torch.optim.SGD([V, W], lr=config.training.learning_rate)
        losses = []
        for _ in range(steps):
            if careful:
                w = W @ last
                scores = torch.cat(
                    [w[:K][tokens] + positions[:-1] @ w[K:], (positions[-1] @ w[K:]).expand(len(tokens), 1)], 1
                )
            else:
                query = X_tilde[:, -1] @ W.T
                scores = torch.bmm(X_tilde, query[:, :, None])[:, :, 0]
            attention = torch.softmax(scores, dim=1)
            averaged = torch.bmm(attention[:, None], X)[:, 0]
            output = averaged @ V.T
            loss = -torch.log(output.gather(1, targets[:, None]) + config.training.epsilon).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return train_torch


def torch_times(row: str) -> dict:
    """Milliseconds of a step of row (a) or (b). PyTorch compiles nothing and, here, records nothing but the loss."""
    train_torch = torch_training(row)
    short, long = {"a": (1, 4), "b": (2, 42)}[row]
    train_torch(short)
    seconds = difference(lambda: train_torch(short), lambda: train_torch(long)) / (long - short)
    return {"ms": 1e3 * seconds, "record_ms": None, "first_call_s": None, "runs": 1, "devices": 1}


def measure_floor() -> dict:
    """What a step must move and do at least, and the rates at which this machine can.

    A step over all walks reads every token twice, as one byte: from scores to averaged token, and back. It does, per
    token, K comparisons, selections and additions on the way there; back, K - 1 selections by the bits of the token,
    each of which is looked at once, and an addition. A step over classes, as those from step 2 on are of runs one at a
    time, multiplies their shares with a number and adds it, on the way there and back.
    """
    import jax
    import jax.numpy as jnp

    from rw_jax.models.classes import MOST_CLASSES
    from rw_jax.sweeps import devices
    from rw_jax.sweeps.program import compiler_options

    config = base_config()
    placement = devices.set_up(config.execution)
    mesh, runs = placement.mesh, placement.runs

    def seconds_per_round(round_of, size: int, rounds: int) -> float:
        x = jax.device_put(jnp.ones(mesh.size * size, jnp.float32), runs)
        loop = jax.jit(
            lambda x, n: jax.lax.fori_loop(0, n, lambda _, x: round_of(x), x),
            compiler_options=compiler_options(),
        )
        loop(x, 1).block_until_ready()
        seconds = difference(lambda: loop(x, 1).block_until_ready(), lambda: loop(x, rounds).block_until_ready())
        return seconds / (rounds - 1)

    def compare_select_add(x):
        sums = [jnp.zeros_like(x)] * 8  # that wait for one another no more than they must
        for k in range(64):
            sums[k % 8] = sums[k % 8] + jnp.where(x > k, x, 0)
        return x + 1e-9 * sum(sums)

    large, small = 2**27 // mesh.size, 2**13 if jax.default_backend() == "cpu" else 2**24
    bandwidth = 8 * large * mesh.size / seconds_per_round(lambda x: x + 1, large, 5)
    rate = 3 * 64 * small * mesh.size / seconds_per_round(compare_select_add, small, 2000)
    nodes, tokens = config.task.num_nodes, config.task.walks * (config.task.walk_length - 1)
    forward, backward = 3 * nodes, (nodes - 1) + (nodes - 1).bit_length() + 1
    shares = (config.task.walk_length - 1) * nodes * MOST_CLASSES
    is_alone = placement.cells_per_batch == 1
    moved = 2 * 4 * shares if is_alone else 2 * tokens
    operations = 4 * shares if is_alone else (forward + backward) * tokens
    return {
        "bandwidth_GB_s": bandwidth / 1e9,
        "rate_Gop_s": rate / 1e9,
        "bytes": moved,
        "operations": operations,
        "bytes_ms": 1e3 * moved / bandwidth,
        "operations_ms": 1e3 * operations / rate,
    }


def measure_sweep(changes: dict) -> dict:
    """A whole sweep of configs/base.py with some fields changed and so many seeds, from the start of a cold process.

    Wall seconds to the last figure and to the first chunk on disk, those that `import jax` takes of them, peak memory.
    """
    begun = psutil.Process().create_time()
    started = time.perf_counter()
    importlib.import_module("jax")
    import_jax = time.perf_counter() - started

    from rw_jax.sweeps.sweep import sweep

    seeds = changes.pop("runs")
    config = dataclasses.replace(base_config().replace(**changes), grid=(("seed", tuple(range(seeds))),))
    with tempfile.TemporaryDirectory() as folder:
        run = sweep(config, Path(folder) / "run")
        first = min(chunk.stat().st_mtime for chunk in (Path(folder) / "run" / "chunks").iterdir())

        from rw_jax.analysis import plots

        plots.write_figures(run, Path(folder) / "figures")
    return {
        "s": time.time() - begun,
        "first_chunk_s": first - begun,
        "import_jax_s": import_jax,
        "peak_MiB": peak_MiB(),
    }


def measure_training(runs: int) -> float:
    """Seconds of sampling, steps and records of so many runs, every step recorded: a second call of the program."""
    train = our_training("e", runs=runs).train(50, 1)
    train()
    started = time.perf_counter()
    train()
    return time.perf_counter() - started


AXES_OF_COST: dict[str, tuple[int, ...]] = {
    "steps": (50, 200, 500, 1000, 2000, 5000),
    "walks": (250, 500, 1000, 2000, 4000),
    "walk_length": (25, 49, 97, 193, 385),
    "num_nodes": (4, 6, 8, 12, 16),
}
"""What a run's cost is measured against, one axis at a time; the others are as in configs/base.py."""


def measure_run(changes: dict) -> float:
    """Milliseconds of one run on one device: its walks, its steps, and records at its ends; a mean over 32 seeds."""
    steps = changes.pop("steps")
    train, runs, _ = our_training("d", runs=32, **changes)
    whole = train(steps, steps)
    whole()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        whole()
        seconds.append(time.perf_counter() - started)
    return 1e3 * statistics.median(seconds) / runs


def terms(setting: dict[str, int]) -> list[float]:
    """What the cost of a run is a sum of: a start, tokens drawn, tokens seen by steps over walks, steps by classes."""
    tokens = setting["walks"] * (setting["walk_length"] - 1)
    return [1.0, tokens, tokens * setting["num_nodes"], setting["steps"]]


def picture_of_cost(table):
    """The table of `draw_law` as a figure: a panel for each axis."""
    from matplotlib.figure import Figure

    from rw_jax.analysis.plots import drawing

    names = {"steps": "steps", "walks": "walks", "walk_length": "N", "num_nodes": "K"}
    figure, ticks = Figure(figsize=(7.0, 3.3), layout="constrained"), (1, 2, 5, 10, 20, 50)
    with drawing.styled():
        panels = figure.subplots(1, len(names), sharey=True)
        for axes, (axis, of_axis) in zip(panels, table.groupby("axis", sort=False), strict=True):
            axes.plot(of_axis[axis], of_axis["law"], color=drawing.COLOURS[0], label="fitted law")
            axes.plot(of_axis[axis], of_axis["ms"], "o", color=drawing.COLOURS[1], label="measured")
            axes.set(xlabel=names[str(axis)], xscale="log", yscale="log")
            axes.set_xticks(of_axis[axis], [f"{value:,}" for value in of_axis[axis]], rotation=60)
            axes.set_yticks(ticks, [str(tick) for tick in ticks])
            axes.minorticks_off()
        figure.axes[0].set_ylabel("ms per run, one core")
        drawing.set_letters(figure.axes)
        drawing.legend_below(figure, figure.axes[0])
        figure.legends[0].set_title("otherwise 50 steps, 1,000 walks, N = 97, K = 6; p = 0.7, 32 seeds")
        figure.suptitle("What a run costs against steps, walks, walk length and states", fontsize=9, fontweight="bold")
    return figure


def draw_law(stem: Path) -> None:
    """Measures a run along each axis, fits the law, and writes STEM.png, .svg and .csv."""
    import pandas as pd
    import scipy.optimize

    from rw_jax.analysis.plots import drawing

    base = {"steps": 50, "walks": 1000, "walk_length": 97, "num_nodes": 6}
    rows: list[dict[str, Any]] = []
    for axis, values in AXES_OF_COST.items():
        for value in values:
            setting = base | {axis: value}
            print(f"{axis} = {value} ...", file=sys.stderr)
            changes = setting | {"test_walks": setting["walks"]}
            rows.append({"axis": axis, **setting, "ms": in_own_process(f"run:{json.dumps(changes)}")})
    measured = np.array([row["ms"] for row in rows])
    matrix = np.array([terms(row) for row in rows])
    factors, _ = scipy.optimize.nnls(matrix / measured[:, None], np.ones(len(rows)))  # relative errors count alike
    table = pd.DataFrame(rows).assign(law=matrix @ factors)
    drawing.save(picture_of_cost(table), table, stem)
    off = np.max(np.abs(table["law"] / measured - 1))
    print(
        f"ms = {factors[0]:.2g} + {factors[1]:.2g} B (N - 1) + {factors[2]:.2g} B (N - 1) K + {factors[3]:.2g} T for B "
        f"training and B test walks and T steps; off by at most {off:.0%}. "
        f"It is drawn in {stem}.png."
    )


def print_table(rows: dict[str, dict], floor: dict) -> None:
    """The table of times and ratios, what recording costs, and how far row (e) is from the floor."""
    table = rich.table.Table(
        "row", "what", "ms per run and step", "ratio to (e)", "compile and first call, s", "peak memory, MiB"
    )
    for name, row in rows.items():
        first_call = "-" if row["first_call_s"] is None else f"{row['first_call_s']:.1f}"
        numbers = (f"{row['ms']:.4g}", f"{row['ratio_to_e']:.4g}", first_call, f"{row['peak_MiB']:.0f}")
        table.add_row(f"({name})", row["title"], *numbers)
    show(table)
    step, record = rows["e"]["ms"], rows["e"]["record_ms"]
    of_classes, of_walks = rows["e"]["long_ms"], rows["j"]["long_ms"]
    print(
        "One run at a time, rows (e) and (j) compare classes of walks with all walks; in batches they are the same. "
        f"Steps 2 to 51 are {rows['j']['ratio_to_e']:.1f} times as fast in row (e) as in row (j), and "
        f"{LONG_STEPS:,} steps of {rows['e']['long_runs']} runs {of_walks / of_classes:.1f} times ({of_walks:.4f} and "
        f"{of_classes:.4f} ms a step)."
    )
    print(
        f"Recording the metrics of a step in row (e) takes {record:.4f} ms, {record / step:.2f} times such a step, and "
        f"{record / rows['j']['ms']:.2f} times one over all walks; the training loss and the accuracy alone "
        f"{rows['e']['record_few_ms']:.4f} ms, {rows['e']['record_few_ms'] / rows['j']['ms']:.2f} times."
    )
    print(
        f"Floor of this machine: {floor['bytes']:,.0f} bytes at {floor['bandwidth_GB_s']:.1f} GB/s take "
        f"{floor['bytes_ms']:.4f} ms, {floor['operations']:,.0f} operations at {floor['rate_Gop_s']:.0f} Gop/s take "
        f"{floor['operations_ms']:.4f} ms. Row (e) is {floor['multiple']:.1f} times the larger of the two."
    )


def show(table: rich.table.Table) -> None:
    """Prints a table, as wide as its rows are where the output is no terminal."""
    rich.console.Console(width=None if sys.stdout.isatty() else 200).print(table)


MANY = 10_000
"""The runs of a large sweep."""


def print_scaling() -> list[dict]:
    """Whole sweeps, metrics at every step, against CPU devices, runs, steps, walks and walk length."""
    settings = [
        *({"runs": 1_000, "devices": devices} for devices in (1, 2)),
        *({"runs": runs} for runs in (100, 1_000, MANY)),
        *({"runs": 100, "steps": steps} for steps in (100, 200, 400)),
        *({"runs": 100, "walks": walks, "test_walks": walks} for walks in (2_000, 4_000)),
        *({"runs": 100, "walk_length": length} for length in (193, 385)),
    ]
    table = rich.table.Table("changed from configs/base.py", "runs", "seconds", "runs per second", "peak memory, MiB")
    results = []
    for setting in settings:
        fields = {name: value for name, value in setting.items() if name != "devices"}
        devices = {"JAX_NUM_CPU_DEVICES": str(setting["devices"])} if "devices" in setting else {}
        measured = in_own_process(f"sweep:{json.dumps(fields)}", **devices)
        results.append({**setting, **measured})
        changed = ", ".join(f"{name} = {value}" for name, value in setting.items() if name != "runs") or "nothing"
        seconds, runs = measured["s"], setting["runs"]
        numbers = (f"{seconds:.1f}", f"{runs / seconds:.0f}", f"{measured['peak_MiB']:.0f}")
        table.add_row(changed, f"{runs:,}", *numbers)
    show(table)
    many = next(row for setting, row in zip(settings, results, strict=True) if setting == {"runs": MANY})
    alone = in_own_process(f"training:{MANY}")
    print(
        f"Sampling, steps and records of {MANY:,} runs take {alone:.1f} s; the whole sweep, from a cold process to the "
        f"last figure, {many['s'] / alone:.2f} times that. Its first chunk is on disk after "
        f"{many['first_chunk_s']:.1f} s, of which `import jax` takes {many['import_jax_s']:.2f} s."
    )
    return [*results, {"training_s": alone, "runs": MANY}]


if __name__ == "__main__":
    app.run(main)
