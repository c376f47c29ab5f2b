"""Every picture, each with the numbers it shows; the only door to Matplotlib.

A figure function takes a Run and returns (figure, numbers); `save` writes PNG, SVG and CSV. Bands are 95% t intervals
of a mean over seeds. Labels that fix a cell among other axes than p and seed are given by name, as to `Run.params`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.axes
import numpy as np
import pandas as pd
import xarray as xr
from absl import logging
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rw_jax.config import Scalar
from rw_jax.run_dir import Run
from rw_jax.statistics import mean_interval
from rw_jax.summary import cells_without_seed, final_metrics

# Okabe and Ito's colours can be told apart with every common colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "rw_jax",
    "savefig.dpi": 200,
    "image.cmap": "viridis",
}
_LARGEST_NUMBER_OF_SETS = 6
_ZOOM = 10
"""How many of the last slots the zoom into the attention shows."""


def write_figures(run: Run, folder: Path) -> None:
    """All figures of a sweep, one set for each combination of labels other than p and seed, at most six sets."""
    sets = _sets(run)
    if len(sets) > _LARGEST_NUMBER_OF_SETS:
        logging.info("figures show the first %d of %d settings", _LARGEST_NUMBER_OF_SETS, len(sets))
    for labels in sets[:_LARGEST_NUMBER_OF_SETS]:
        suffix = "".join(f"_{axis}={label}" for axis, label in labels.items())
        if "p" in run.metrics.dims:
            save(*accuracy_against_p(run, **labels), folder / f"accuracy_against_p{suffix}")
        save(*curves(run, **labels), folder / f"curves{suffix}")
        save(*value_matrices(run, **labels), folder / f"value_matrices{suffix}")
        save(*attention_against_position(run, **labels), folder / f"attention{suffix}")


def save(figure: Figure, numbers: pd.DataFrame, stem: Path) -> None:
    """Writes STEM.png, STEM.svg and STEM.csv, making the folder."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure.savefig(f"{stem}.png")
        figure.savefig(f"{stem}.svg", metadata={"Date": None})
    numbers.to_csv(f"{stem}.csv", index=False)


def accuracy_against_p(run: Run, **labels: Scalar) -> tuple[Figure, pd.DataFrame]:
    """Test accuracy, expected accuracy and the optimum after the last step, against p."""
    final = final_metrics(_select(run, labels)).sortby("p")
    ps = final["p"].values
    figure, (axes,) = _figure(1, width=4.6)
    numbers = []
    for name, heading, colour, marker in (
        ("accuracy", "accuracy", COLOURS[0], "o"),
        ("expected_accuracy", "expected accuracy", COLOURS[1], "s"),
    ):
        estimates = [mean_interval(final[name].sel(p=p).values) for p in ps]
        _band(axes, ps, estimates, colour, label=heading, marker=marker, markersize=3)
        numbers += [{"metric": name, "p": p, **e._asdict()} for p, e in zip(ps, estimates, strict=True)]
    fine = np.linspace(ps.min(), ps.max(), 201)
    axes.plot(
        fine, np.maximum(fine, 1 - fine), color="black", linestyle="--", linewidth=1, label="optimum max(p, 1 − p)"
    )
    axes.axhline(1 / _nodes(run, labels), color="grey", linestyle=":", linewidth=1, label="chance 1/K")
    axes.set(xlabel="p, probability of a clockwise step", ylabel="share of test walks", ylim=(0, 1.03))
    axes.legend()
    _title(figure, run, labels)
    return figure, pd.DataFrame(numbers)


def curves(run: Run, **labels: Scalar) -> tuple[Figure, pd.DataFrame]:
    """Accuracy and mean attention on the direct parent against the step, for the config's `figures.p`."""
    metrics = _select(run, labels)
    figure, (accuracy_axes, parent_axes) = _figure(2)
    numbers = []
    for colour, p_labels in zip(COLOURS, _drawn_p(run), strict=False):
        chosen = metrics.sel(p_labels).dropna("step", how="all", subset=["optimal_accuracy"])
        steps = chosen["step"].values
        p = p_labels.get("p", _config_value(run, labels, "p"))
        for axes, name in ((accuracy_axes, "accuracy"), (parent_axes, "parent_attention")):
            estimates = [mean_interval(chosen[name].sel(step=step).values) for step in steps]
            _band(axes, steps, estimates, colour, label=f"p = {p:g}")
            numbers += [
                {"metric": name, "p": p, "step": s, **e._asdict()} for s, e in zip(steps, estimates, strict=True)
            ]
        optimum = float(chosen["optimal_accuracy"].isel(step=-1).mean())
        accuracy_axes.axhline(optimum, color=colour, linestyle="--", linewidth=0.8)
    accuracy_axes.plot([], [], color="grey", linestyle="--", linewidth=0.8, label="optimum")
    accuracy_axes.set(xlabel="gradient descent steps", ylabel="accuracy", ylim=(0, 1.03))
    parent_axes.set(xlabel="gradient descent steps", ylabel="mean attention on the direct parent", ylim=(-0.03, 1.03))
    accuracy_axes.legend(loc="best")
    _title(figure, run, labels)
    return figure, pd.DataFrame(numbers)


def value_matrices(run: Run, **labels: Scalar) -> tuple[Figure, pd.DataFrame]:
    """The value matrix after the last step, mean over seeds of V/|V|, above Pi^T/|Pi^T|, for each p of `figures.p`."""
    drawn = _drawn_p(run)
    figure, axes = _figure(len(drawn), rows=2, width=1.9 * len(drawn) + 1.0, height=3.9)
    step, nodes = _last_step(run, labels), _nodes(run, labels)
    pairs, numbers = [], []
    for p_labels in drawn:
        p: Any = p_labels.get("p", _config_value(run, labels, "p"))
        seeds = [run.value_matrix(step=step, **labels, **p_labels, **seed) for seed in _seeds(run)]
        learned = np.mean([value / np.linalg.norm(value) if value.any() else value for value in seeds], axis=0)
        forward = np.roll(np.eye(nodes), 1, axis=1)
        transition = p * forward + (1 - p) * forward.T
        pairs.append((p, learned, transition.T / np.linalg.norm(transition)))
    top = max(float(np.max(matrix)) for _, *matrices in pairs for matrix in matrices)
    low = min(0.0, *(float(np.min(matrix)) for _, *matrices in pairs for matrix in matrices))
    for column, (p, *matrices) in enumerate(pairs):
        for row, (name, matrix) in enumerate(zip(("V / |V|", "Πᵀ / |Πᵀ|"), matrices, strict=True)):
            panel = axes[row * len(drawn) + column]
            image = panel.imshow(matrix, vmin=low, vmax=top)
            panel.grid(False)
            panel.set_title(f"{name}, p = {p:g}")
            ticks = range(0, nodes, max(1, nodes // 6))
            panel.set(xticks=ticks, yticks=ticks)
            if row == 1:
                panel.set_xlabel("state now")
            if column == 0:
                panel.set_ylabel("next state")
            numbers += [
                {"matrix": name, "p": p, "next": i, "now": j, "value": v} for (i, j), v in np.ndenumerate(matrix)
            ]
    figure.colorbar(image, ax=axes, shrink=0.8, label="entry")
    _title(figure, run, labels)
    return figure, pd.DataFrame(numbers)


def attention_against_position(run: Run, **labels: Scalar) -> tuple[Figure, pd.DataFrame]:
    """Mean attention of every slot after the last step, and a zoom at the last ones, for the config's `figures.p`."""
    step, numbers = _last_step(run, labels), []
    figure, (whole, zoom) = _figure(2)
    for colour, marker, p_labels in zip(COLOURS, "osD^v<>", _drawn_p(run), strict=False):
        p = p_labels.get("p", _config_value(run, labels, "p"))
        seeds_SxN = np.stack([run.mean_attention(step=step, **labels, **p_labels, **seed) for seed in _seeds(run)])
        estimates = [mean_interval(seeds) for seeds in seeds_SxN.T]
        slots = np.arange(1, len(estimates) + 1)
        _band(whole, slots, estimates, colour, label=f"p = {p:g}")
        _band(zoom, slots[-_ZOOM:], estimates[-_ZOOM:], colour, marker=marker, markersize=3)
        numbers += [{"p": p, "slot": slot, **e._asdict()} for slot, e in zip(slots, estimates, strict=True)]
    whole.axvspan(slots[-_ZOOM:][0] - 0.5, slots[-1] + 0.5, color="#eeeeee", zorder=0)
    whole.set(xlabel="slot", ylabel="mean attention weight", ylim=(-0.03, 1.03))
    zoom.set(xlabel="slot (last ones)", ylim=(-0.03, 1.03))
    zoom.set_xticks(slots[-_ZOOM:], [*map(str, slots[-_ZOOM:-2]), "N−1\nparent", "N\nempty"])
    whole.legend()
    _title(figure, run, labels)
    return figure, pd.DataFrame(numbers)


def _figure(columns: int, rows: int = 1, width: float = 7.0, height: float = 2.9) -> tuple[Figure, list[mpl.axes.Axes]]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        return figure, list(np.ravel(figure.subplots(rows, columns)))


def _band(axes: mpl.axes.Axes, x: np.ndarray, estimates: list, colour: str, **line: Any) -> None:
    means, lows, highs = (np.array([getattr(e, name) for e in estimates]) for name in ("mean", "low", "high"))
    axes.plot(x, means, color=colour, **line)
    axes.fill_between(x, lows, highs, color=colour, alpha=0.2, linewidth=0)


def _title(figure: Figure, run: Run, labels: dict[str, Scalar]) -> None:
    config = run.cell(**labels, **_drawn_p(run)[0], **next(_seeds(run))).config
    seeds = len(list(_seeds(run)))
    start = "zero start" if config.model.init == "zero" else f"Gaussian start {config.model.init_scale:g}"
    figure.suptitle(
        f"K = {config.task.num_nodes}, N = {config.task.walk_length}, {config.task.walks} walks, "
        f"η = {config.training.learning_rate:g}, {start}, {config.training.steps} steps, {seeds} seed{'s'[:seeds > 1]}",
        fontsize=9,
    )  # fmt: skip


def _sets(run: Run) -> list[dict[str, Scalar]]:
    """The labels of every combination of axes other than p and seed."""
    places = cells_without_seed(run.metrics)
    combinations = [{name: place for name, place in cell.items() if name != "p"} for cell in places]
    unique = [combination for i, combination in enumerate(combinations) if combination not in combinations[:i]]
    sets = []
    for combination in unique:
        labels = {}
        for dimension in run.grid.dimensions:
            if dimension.name in combination:
                labels |= dict(zip(dimension.axes, dimension.labels[combination[dimension.name]], strict=True))
        sets.append(labels)
    return sets


def _select(run: Run, labels: dict[str, Scalar]) -> xr.Dataset:
    """The metrics of one set, on the dimensions p, seed and step, as far as the grid has them."""
    dimensions = {dimension.name: dimension for dimension in run.grid.dimensions}
    index = {}
    for name, dimension in dimensions.items():
        given = [axis for axis in dimension.axes if axis in labels]
        if given:
            places = [tuple(place) for place in dimension.labels]
            wanted = {axis: labels[axis] for axis in given}
            index[name] = next(
                i for i, place in enumerate(places)
                if all(place[dimension.axes.index(axis)] == label for axis, label in wanted.items())
            )  # fmt: skip
    return run.metrics.isel(index)


def _drawn_p(run: Run) -> list[dict[str, Scalar]]:
    """The labels of each p that is drawn: those of `figures.p` in the grid, or else up to four of the grid."""
    if "p" not in run.metrics.dims:
        return [{}]
    there = [float(p) for p in run.metrics["p"].values]
    chosen = [p for p in run.config.figures.p if p in there]
    if not chosen:
        chosen = [there[i] for i in sorted({round(i) for i in np.linspace(0, len(there) - 1, 4)})]
    return [{"p": p} for p in chosen]


def _seeds(run: Run) -> Iterator[dict[str, Scalar]]:
    if "seed" not in run.metrics.dims:
        yield {}
        return
    for seed in run.metrics["seed"].values:
        yield {"seed": int(seed)}


def _config_value(run: Run, labels: dict[str, Scalar], axis: str) -> Any:
    return run.cell(**labels, **_drawn_p(run)[0], **next(_seeds(run))).config.value(axis)


def _nodes(run: Run, labels: dict[str, Scalar]) -> int:
    return int(_config_value(run, labels, "num_nodes"))


def _last_step(run: Run, labels: dict[str, Scalar]) -> int:
    return int(_config_value(run, labels, "steps"))
