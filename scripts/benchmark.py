"""Times a training step of PyTorch and of rw_jax side by side, and holds it against the floor of the machine.

    python scripts/benchmark.py                  # the table of ratios, about two minutes
    python scripts/benchmark.py --scaling        # cost against runs, steps, walks and N as well, about five more

Every row trains the setting of configs/base.py at p = 0.7 (K = 6, N = 97, M = 1000, 1000 walks, float32) on the same
walks, in a process of its own. Times are of training only: the median over several repeats of a long training less a
short one, per run and step. The table is shown only if all rows agree on the losses of the first steps. PyTorch is
optional: without it its rows are left out; it computes on the CPU, so compare it on a machine without an accelerator.
"""

import importlib
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rich
import rich.table
from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

_JSON = flags.DEFINE_string("json", "runs/benchmark.json", "Where the numbers are written.")
_SCALING = flags.DEFINE_bool("scaling", False, "Also measure how cost grows with runs, steps, walks and N.")
_RUNS = flags.DEFINE_integer("runs", 0, "Runs of row (e); 0 for 128 on a CPU and 10,000 on an accelerator.")
_ROW = flags.DEFINE_string("row", None, "Measure one row and print it as JSON; used by the script itself.")

P = 0.7
STEPS_COMPARED = 6
REPEATS = 5

ROWS = {
    "a": "PyTorch, X~ materialised",
    "b": "PyTorch, W x~_N first",
    "c": "rw_jax, full form",
    "d": "rw_jax, reduced form, one run at a time",
    "e": "rw_jax, reduced form, the grid",
}


def main(argv: list[str]) -> None:
    """Measures every row in a process of its own, compares their losses, prints the table."""
    del argv
    if _ROW.value:
        print(json.dumps(measure(_ROW.value)))
        return
    rows = {}
    for name, title in ROWS.items():
        if name in "ab" and importlib.util.find_spec("torch") is None:
            print(f"({name}) {title}: left out, because PyTorch is not installed.")
            continue
        print(f"({name}) {title} ...", file=sys.stderr)
        rows[name] = in_own_process(f"--row={name}")
    check_losses(rows)
    floor = in_own_process("--row=floor")
    print_table(rows, floor)
    results = {"rows": rows, "floor": floor}
    if _SCALING.value:
        results["scaling"] = print_scaling()
    path = Path(_JSON.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2))
    print(f"Everything is in {path}.")


def in_own_process(*arguments: str) -> dict:
    """Runs this script with the arguments and reads what it prints."""
    command = [sys.executable, __file__, f"--runs={_RUNS.value}", *arguments]
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}  # every first call compiles
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return json.loads(output.splitlines()[-1])


def check_losses(rows: dict[str, dict]) -> None:
    """Stops unless all rows compute the same losses; rounding alone sets them apart by less than the tolerance."""
    reference = np.array(rows["e"]["losses"])
    for name, row in rows.items():
        worst = float(np.max(np.abs(np.array(row["losses"]) - reference)))
        if not worst < 2e-3:
            sys.exit(f"Row ({name}) computes other losses than row (e), by up to {worst:.2g} nats: no times are shown.")
    print(
        f"All rows agree on the losses of the first {STEPS_COMPARED} steps: {', '.join(f'{x:.4f}' for x in reference)}."
    )


def measure(row: str) -> dict:
    """The losses, milliseconds per run and step, compile seconds and peak memory of one row, or the machine's floor."""
    if row == "floor":
        return measure_floor()
    if row.startswith("sweep:"):
        return measure_sweep(json.loads(row.removeprefix("sweep:")))
    result = measure_torch(careful=row == "b") if row in "ab" else measure_ours(row)
    result["peak_MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def base_config():
    """The setting of configs/base.py at p = 0.7, recorded at its ends only."""
    from configs import base
    from rw_jax.config import from_config_dict

    config = base.get_config()
    config.task.p = P
    return from_config_dict(config)


def timed(train: Callable[[int], object], short: int, long: int) -> float:
    """Seconds a step of `train(steps)` takes: a long training less a short one, the median of several repeats."""
    differences = []
    for _ in range(REPEATS):
        seconds = []
        for steps in (short, long):
            started = time.perf_counter()
            train(steps)
            seconds.append(time.perf_counter() - started)
        differences.append(seconds[1] - seconds[0])
    return statistics.median(differences) / (long - short)


def measure_ours(row: str) -> dict:
    """Rows (c), (d) and (e): the sweep's own program."""
    import jax

    from rw_jax import sweep
    from rw_jax.grid import expand
    from rw_jax.run_dir import cut

    config = base_config().replace(form="full" if row == "c" else "reduced")
    mesh = sweep.set_up_devices(config)
    on_cpu = jax.default_backend() == "cpu"
    if row == "d":
        mesh = sweep.make_mesh(jax.devices()[:1])
    batch = 1 if row == "d" else sweep.default_cells_per_batch()
    runs = {"c": mesh.size, "d": 1, "e": _RUNS.value or (128 if on_cpu else 10_000)}[row]
    short, long = {"c": (2, 22), "d": (20, 420), "e": (20, 120)}[row]

    def program_of(steps: int, every: int):
        import dataclasses

        grid = (("seed", tuple(range(runs))),)
        record = dataclasses.replace(config.record, every=every, parameters=())
        grid_config = dataclasses.replace(config.replace(steps=steps), grid=grid, record=record)
        (chunk,) = cut(expand(grid_config), runs)
        program = sweep.make_program(chunk.structure.config, mesh, batch)
        return lambda: sweep.run_chunk(program, chunk, mesh, batch, runs)

    started = time.perf_counter()
    losses = program_of(STEPS_COMPARED, 1)().metrics["train_loss"][0][:STEPS_COMPARED]
    compiled = time.perf_counter() - started
    programs = {steps: program_of(steps, steps) for steps in (short, long)}
    for program in programs.values():
        program()
    seconds = timed(lambda steps: programs[steps](), short, long) / runs
    return {
        "losses": losses.tolist(),
        "ms": 1e3 * seconds,
        "first_call_s": compiled,
        "runs": runs,
        "devices": mesh.size,
    }


def measure_torch(careful: bool) -> dict:
    """Rows (a) and (b): plain PyTorch with autograd and SGD, one run, on all cores."""
    torch = importlib.import_module("torch")  # not a requirement: type checkers need not find it

    from rw_jax import train
    from rw_jax.positions import sine_positions

    config = base_config()
    walks, _ = train.sample_walks(config, train.run_values(config))
    tokens, targets = (torch.from_numpy(np.array(x, np.int64)) for x in (walks.tokens, walks.targets))
    K, M, N = config.task.num_nodes, config.model.position_width, config.task.walk_length
    positions = torch.from_numpy(sine_positions(N, M)).float()
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

    losses = train_torch(STEPS_COMPARED)
    short, long = (2, 42) if careful else (1, 4)
    return {
        "losses": losses,
        "ms": 1e3 * timed(train_torch, short, long),
        "first_call_s": None,
        "runs": 1,
        "devices": 1,
    }


def measure_floor() -> dict:
    """What a step must move and do at least, and the rates at which this machine can.

    A step reads every token twice, as one byte: from scores to averaged token, and back. It does, per token, K
    comparisons, selections and additions on the way there, and K comparisons and selections and an addition back.
    """
    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding, PartitionSpec

    from rw_jax import sweep

    config = base_config()
    mesh = sweep.set_up_devices(config)
    runs = NamedSharding(mesh, PartitionSpec("run"))

    def seconds_per_round(round_of, size: int, rounds: int) -> float:
        x = jax.device_put(jnp.ones(mesh.size * size, jnp.float32), runs)
        loop = jax.jit(lambda x, n: jax.lax.fori_loop(0, n, lambda _, x: round_of(x), x))
        loop(x, 1).block_until_ready()
        return timed(lambda n: loop(x, n).block_until_ready(), 1, rounds)

    def compare_select_add(x):
        for k in range(64):
            x = jnp.where(x > k, x + 1e-3, x)
        return x

    large, small = 2**27 // mesh.size, 2**13 if jax.default_backend() == "cpu" else 2**24
    bandwidth = 8 * large * mesh.size / seconds_per_round(lambda x: x + 1, large, 5)
    rate = 3 * 64 * small * mesh.size / seconds_per_round(compare_select_add, small, 2000)
    nodes, tokens = config.task.num_nodes, config.task.walks * (config.task.walk_length - 1)
    moved, operations = 2 * tokens, (5 * nodes + 1) * tokens
    return {
        "bandwidth_GB_s": bandwidth / 1e9,
        "rate_Gop_s": rate / 1e9,
        "bytes": moved,
        "operations": operations,
        "bytes_ms": 1e3 * moved / bandwidth,
        "operations_ms": 1e3 * operations / rate,
    }


def measure_sweep(changes: dict) -> dict:
    """Wall seconds and peak memory of a whole sweep of configs/base.py with some fields changed and so many seeds."""
    import dataclasses
    import tempfile

    from rw_jax import sweep

    seeds = changes.pop("runs")
    config = dataclasses.replace(base_config().replace(**changes), grid=(("seed", tuple(range(seeds))),))
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sweep.run(config, Path(folder) / "run")
    return {"s": time.perf_counter() - started, "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def print_table(rows: dict[str, dict], floor: dict) -> None:
    """The table of times and ratios, and how far row (e) is from the floor."""
    table = rich.table.Table(
        "row", "what", "ms per run and step", "ratio to (e)", "compile and first call, s", "peak memory, MiB"
    )
    best = rows["e"]["ms"]
    for name, row in rows.items():
        numbers = (
            f"{row['ms']:.4g}",
            f"{row['ms'] / best:.4g}",
            f"{row['first_call_s']:.1f}",
            f"{row['peak_MiB']:.0f}",
        )
        table.add_row(f"({name})", ROWS[name], *numbers)
    rich.print(table)
    least = max(floor["bytes_ms"], floor["operations_ms"])
    print(
        f"Floor of this machine: {floor['bytes']:,} bytes at {floor['bandwidth_GB_s']:.1f} GB/s take "
        f"{floor['bytes_ms']:.4f} ms, {floor['operations']:,} operations at {floor['rate_Gop_s']:.0f} Gop/s take "
        f"{floor['operations_ms']:.4f} ms. Row (e) is {best / least:.1f} times the larger of the two."
    )


def print_scaling() -> list[dict]:
    """Whole sweeps, metrics at every step, against runs, steps, walks and walk length."""
    settings = [
        *({"runs": runs} for runs in (100, 1_000, 10_000)),
        *({"runs": 100, "steps": steps} for steps in (100, 200, 400)),
        *({"runs": 100, "walks": walks, "test_walks": walks} for walks in (2_000, 4_000)),
        *({"runs": 100, "walk_length": length} for length in (193, 385)),
    ]
    table = rich.table.Table("changed from configs/base.py", "runs", "seconds", "ms per run", "peak memory, MiB")
    results = []
    for setting in settings:
        measured = in_own_process(f"--row=sweep:{json.dumps(setting)}")
        results.append({**setting, **measured})
        changed = ", ".join(f"{name} = {value}" for name, value in setting.items() if name != "runs") or "nothing"
        seconds, runs = measured["s"], setting["runs"]
        table.add_row(
            changed, f"{runs:,}", f"{seconds:.1f}", f"{1e3 * seconds / runs:.1f}", f"{measured['peak_MiB']:.0f}"
        )
    rich.print(table)
    return results


if __name__ == "__main__":
    app.run(main)
