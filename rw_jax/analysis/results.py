"""Published results: the numbers of runs and reports in small files, which are read without training anything."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from rw_jax.analysis.run import Run
from rw_jax.store import metrics_file
from rw_jax.study.errors import RunError
from rw_jax.study.fields import shown

FOLDER = Path(__file__).parents[2] / "docs" / "results"
"""Where they are: in a checkout, not in an installed copy."""


def load_results(name: str) -> xr.Dataset:
    """Published numbers.

    Args:
      name: "sweep", the default sweep on 200 seeds; "fig4" and the like, a figure of the paper; "theorems" or
        "relatives", a report; or another file in docs/results/.

    Returns:
      Of a run its metrics, on the axes of its grid and some of its steps. Of a report `verdict`, `statement`,
      `setting`, `reference` and `reason` by "claim", and beside them what was judged: `claim_of_row`, `labels`,
      `estimate`, `low`, `high`, `seeds` and `agrees` by "row".

    Raises:
      RunError: if there is no such file.
    """
    names = published()
    if name not in names:
        known = ", ".join(names) or "none here: they come with the repository, not with an installed copy"
        raise RunError(f"{shown(name)} names no published results; those are {known}.")
    return metrics_file.load((FOLDER / f"{name}.nc").read_bytes())


def published() -> tuple[str, ...]:
    """The names of what is published."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.nc")))


def of_run(run: Run, steps: Sequence[int]) -> xr.Dataset:
    """The metrics of a run at some of its steps, as they are published: in float32.

    Args:
      run: the run, finished.
      steps: those of its steps that are wanted; others are passed over.
    """
    metrics = run.metrics
    chosen = [step for step in steps if step in metrics["step"].values]
    small = metrics.sel(step=chosen).map(lambda array: array.astype(np.float32) if array.dtype == np.float64 else array)
    about = {"study": run.config.name, "commit": run.environment.get("commit") or "unknown"}
    return small.assign_attrs(**about, command=run.environment.get("command") or "unknown")


def of_report(path: Path) -> xr.Dataset:
    """The verdicts of a report and what was judged, from its report.json."""
    report = json.loads(path.read_text())
    claims = pd.DataFrame(report["claims"])
    columns = ("name", "verdict", "statement", "setting", "reference", "reason")
    variables = {name: ("claim", claims[name].astype(str).to_numpy(object)) for name in columns if name != "name"}
    rows = []
    for claim in report["claims"]:
        for row in claim["rows"]:
            numbers = {name: row.pop(name, None) for name in ("estimate", "low", "high", "seeds")}
            agrees = {True: "yes", False: "no", None: "undecided"}[row.pop("agrees", None)]
            labels = ", ".join(f"{name} = {value}" for name, value in row.items())
            rows.append({"claim_of_row": claim["name"], "labels": labels, **numbers, "agrees": agrees})
    table = pd.DataFrame(rows)
    for name in table:
        numeric = name in ("estimate", "low", "high", "seeds")
        column = pd.to_numeric(table[name]).to_numpy(np.float64) if numeric else table[name].to_numpy(object)
        variables[str(name)] = ("row", column)
    return xr.Dataset(variables, {"claim": claims["name"].to_numpy(object)})


def write(results: xr.Dataset, path: Path) -> None:
    """Writes published numbers, compressed."""
    encoding = {
        name: {"compression": "gzip", "compression_opts": 9, "shuffle": True}
        for name, array in results.data_vars.items()
        if array.ndim and array.dtype.kind in "fiub"
    }
    metrics_file.save(path, results, encoding)
