"""Measures what an accelerator makes of a grid: batches, compilation, memory, many runs, TF32, and the same bits twice.

    python scripts/accelerator.py             # on a machine with one GPU or TPU
    python scripts/accelerator.py --small     # small batches and few runs, on any machine, to see that everything works

Trains the setting of configs/base.py at p = 0.7 (K = 6, N = 97, M = 1000, 1000 walks, float32, 50 steps), every part in
a process of its own. First the reduced form on one device in batches of 16 to 8192 runs: seconds to compile, memory,
milliseconds per run and step, and trainings a second, recorded at their ends and at every step. Then whole sweeps of
10,000 and 100,000 runs with the quickest batch, from a cold process to the metrics; 1,000 runs on the CPU of the
machine, one at a time; whether two processes, and two batches, give the same bits; how far TF32 is from float32
products; and PyTorch on the same device, where it is installed. All of it goes to one JSON file.
"""

import dataclasses
import hashlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich.table
from absl import app, flags
from absl import logging as absl_logging

sys.path.insert(0, str(Path(__file__).parent.parent))

import benchmark

_RESULTS = flags.DEFINE_string("results", "runs/accelerator.json", "Where the numbers are written.")
_SMALL = flags.DEFINE_bool("small", False, "Take small batches and few runs, to see that everything works.")
_PART = flags.DEFINE_string("part", None, "Measure one part and print it as JSON; used by the script itself.")

STEPS = 50
BATCHES, SMALL_BATCHES = (16, 64, 256, 1024, 2048, 4096, 8192), (2, 4)
RUNS, SMALL_RUNS = (10_000, 100_000), (8, 16)


def main(argv: list[str]) -> None:
    """Measures each part in a process of its own, prints the tables, and writes the file."""
    del argv
    logging.getLogger("jax").setLevel(logging.WARNING)  # it tells which backends this machine does not have
    absl_logging.set_verbosity(absl_logging.WARNING)  # sweeps tell how far they have come
    if _PART.value:
        name, setting = json.loads(_PART.value)
        print(json.dumps(PARTS[name](**setting)))
        return
    batches, runs = (SMALL_BATCHES, SMALL_RUNS) if _SMALL.value else (BATCHES, RUNS)
    results: dict[str, Any] = {"environment": measured("environment")}
    results["batches"] = {batch: measured("batch", batch=batch) for batch in batches}
    show_batches(results["batches"])
    can_be = {batch: row for batch, row in results["batches"].items() if "failed" not in row}
    if not can_be:
        sys.exit(f"No batch could be trained; the first says: {results['batches'][batches[0]]['failed']}")
    best = max(can_be, key=lambda batch: can_be[batch]["trainings_per_second"])
    print(f"Batches of {best} are the quickest.")
    results["sweeps"] = {count: measured("sweep", batch=best, runs=count) for count in runs}
    on_cpu = {"JAX_PLATFORMS": "cpu"}
    results["cpu"] = measured("sweep", variables=on_cpu, batch=1, runs=16 if _SMALL.value else 1_000)
    show_sweeps({**results["sweeps"], "CPU": results["cpu"]})
    bits = [measured("bits", batch=batch) for batch in (best, best, min(can_be))]
    failed = next((each for each in bits if isinstance(each, dict)), None)
    results["bits"] = failed or {"two processes": bits[0] == bits[1], "another batch": bits[0] == bits[2]}
    results["precision"] = measured("precision")
    results["torch"] = measured("torch") if importlib.util.find_spec("torch") is not None else None
    for name in ("bits", "precision", "torch"):
        print(f"{name}: {json.dumps(results[name])}")
    path = Path(_RESULTS.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2))
    print(f"Everything is in {path}.")


def measured(part: str, variables: dict[str, str] | None = None, **setting: Any) -> Any:
    """What a part measures in a process of its own; {"failed": why} if it fails, as where memory is short."""
    print(f"{part} {setting or ''} ...", file=sys.stderr)
    command = [sys.executable, __file__, f"--part={json.dumps([part, setting])}"]
    with tempfile.TemporaryDirectory() as programs:  # nothing is found that another part has compiled
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": programs, **(variables or {})}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return {"failed": done.stderr[-2000:]}
    return json.loads(lines[-1])


def training(batch: int, steps: int, every: int) -> Callable[[], Any]:
    """The training of a batch on one device, recorded every so many steps."""
    return benchmark.our_training("d", runs=batch, batch=batch).train(steps, every)


def measure_batch(batch: int) -> dict[str, Any]:
    """What a batch takes: to compile, in memory, per step, per recorded step, and as a whole."""
    import jax

    benchmark.environment()  # loads packages and starts the device
    started = time.perf_counter()
    short = training(batch, 1, 1)
    compile_seconds = time.perf_counter() - started
    long = training(batch, 1 + STEPS, 1 + STEPS)
    recorded = training(batch, 1 + STEPS, 1)
    for call in (short, long, recorded):
        call()
    step = benchmark.difference(short, long) / STEPS / batch
    record = benchmark.difference(long, recorded) / STEPS / batch  # the ends are recorded always
    whole, whole_recorded = (1 / benchmark.difference(lambda: None, call) for call in (long, recorded))
    held = jax.devices()[0].memory_stats()
    return {
        "compile_s": compile_seconds,
        "device_peak_MiB": held["peak_bytes_in_use"] / 2**20 if held else None,
        "ms_per_run_and_step": 1e3 * step,
        "ms_per_run_and_record": 1e3 * record,
        "trainings_per_second": batch * whole,
        "recorded_trainings_per_second": batch * whole_recorded,
    }


def measure_sweep(batch: int, runs: int) -> dict[str, Any]:
    """Wall seconds, memory and disk of a whole sweep of this many seeds, each recorded at its ends."""
    from rw_jax.sweeps.sweep import sweep

    config = benchmark.base_config().replace(steps=STEPS)
    config = dataclasses.replace(
        config,
        grid=(("seed", tuple(range(runs))),),
        record=dataclasses.replace(config.record, every=STEPS, parameters=()),
        execution=dataclasses.replace(config.execution, cells_per_batch=batch),
    )
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = sweep(config, Path(folder) / "run")
        seconds = time.perf_counter() - started
        disk = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        accuracy = float(run.metrics["accuracy"].isel(step=-1).mean())
    return {
        "seconds": seconds,
        "runs_per_second": runs / seconds,
        "peak_MiB": benchmark.peak_MiB(),
        "disk_MB": disk / 1e6,
        "accuracy": accuracy,
        "runs": runs,
        "batch": batch,
    }


def measure_bits(batch: int) -> list[str]:
    """Digests of all that the first runs of a batch leave; as many as the smallest batch holds."""
    import jax
    import numpy as np

    record = jax.tree.map(np.asarray, training(batch, STEPS, STEPS)())
    compared = min(SMALL_BATCHES if _SMALL.value else BATCHES)
    return [hashlib.sha256(leaf[:compared].tobytes()).hexdigest() for leaf in jax.tree.leaves(record)]


def measure_precision() -> dict[str, float]:
    """How far loss and gradient of the full form are from float64 ones, with TF32 and with float32 products.

    At random parameters; relative to the largest entry.
    """
    import jax
    import numpy as np

    from rw_jax.training import run as training_run
    from rw_jax.training.experiment import make_experiment
    from rw_jax.training.objectives import as_model_takes, on_walks
    from rw_jax.training.values import run_values
    from rw_jax.training.walks import draw_training_walks

    config = benchmark.base_config().replace(form="full", init="gaussian", init_scale=0.01)
    experiment = make_experiment(config)
    values = run_values(experiment.labels, experiment)
    walks, params = draw_training_walks(experiment, values), training_run.init(experiment, values).params
    assert walks is not None
    drawn = jax.tree.map(np.asarray, (as_model_takes(walks, config.task.num_nodes), params))

    def loss(output_K, target_K):
        return experiment.loss.of_walk(output_K, target_K, values)

    def gradients(precision: str, float_type: str = "float32") -> list[np.ndarray]:
        with jax.enable_x64(float_type == "float64"), jax.default_matmul_precision(precision):
            walks, params = jax.tree.map(
                lambda leaf: leaf.astype(float_type) if leaf.dtype.kind == "f" else leaf, drawn
            )
            model = make_experiment(dataclasses.replace(config, precision=float_type)).model
            objective = on_walks(model, loss, walks, config.task.num_nodes)
            return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(jax.jit(objective)(params, 0, None))]

    exact = gradients("highest", "float64")

    def distance(precision: str) -> float:
        found = gradients(precision)
        return max(float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in zip(found, exact, strict=True))

    return {precision: distance(precision) for precision in ("tensorfloat32", "highest")}


def measure_torch() -> dict[str, Any]:
    """Row (b) of scripts/benchmark.py on PyTorch's accelerator, if it has one."""
    torch = importlib.import_module("torch")  # not a requirement: type checkers need not find it
    if not torch.cuda.is_available():
        return {"failed": "PyTorch finds no CUDA device."}
    torch.set_default_device("cuda")
    return benchmark.torch_times("b")


PARTS: dict[str, Callable[..., Any]] = {
    "environment": benchmark.environment,
    "batch": measure_batch,
    "sweep": measure_sweep,
    "bits": measure_bits,
    "precision": measure_precision,
    "torch": measure_torch,
}


def show_batches(batches: dict[int, dict[str, Any]]) -> None:
    """The table of batches."""
    names = {
        "compile_s": "trace and compile, s",
        "device_peak_MiB": "peak on device, MiB",
        "ms_per_run_and_step": "ms per run and step",
        "ms_per_run_and_record": "ms per run and record",
        "trainings_per_second": "trainings a second",
        "recorded_trainings_per_second": "the same, every step recorded",
    }
    show("batch", names, batches)


def show_sweeps(sweeps: dict[Any, dict[str, Any]]) -> None:
    """The table of sweeps."""
    names = {"seconds": "seconds", "runs_per_second": "runs a second", "peak_MiB": "peak, MiB", "disk_MB": "disk, MB"}
    show("runs", names, sweeps)


def show(of: str, names: dict[str, str], rows: dict[Any, dict[str, Any]]) -> None:
    """Prints a table with a row for each of what was measured."""
    table = rich.table.Table(of, *names.values())
    for label, row in rows.items():
        words = ["-" if row.get(name) is None else f"{row[name]:.4g}" for name in names]
        table.add_row(str(label), *(words if "failed" not in row else [f"failed: {row['failed'][-80:]}"]))
    benchmark.show(table)


if __name__ == "__main__":
    app.run(main)
