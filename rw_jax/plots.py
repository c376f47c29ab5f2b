"""Every picture, each with the numbers it shows; the only door to Matplotlib.

A figure function takes a Run and the labels of one setting, by name as for `Run.params`, and returns (figure, numbers);
`save` writes PNG, SVG and CSV. It draws the finished runs that have these labels, for each p over all their seeds;
p and seed may be among the labels, every other axis that does not advance together with p must be.

Intervals are 95% t intervals of a mean over seeds. Where all that is possible lies in [0, 1] they are drawn cut off at
0 and 1; the numbers keep them whole. States count from 0, as in the arrays; slots count from 1 to N, as in the paper.
"""

import itertools
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from absl import logging
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rw_jax.config import AXES, Scalar
from rw_jax.grid import Cell, recorded_steps
from rw_jax.run_dir import Run, RunError, same_label
from rw_jax.statistics import mean_interval
from rw_jax.train import make_task

# Okabe and Ito's colours can be told apart with every common colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^v<>P"
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "rw_jax",
    "savefig.dpi": 200,
    "image.cmap": "viridis",
}
_OPTIMUM: Any = {"color": "black", "linestyle": "--", "linewidth": 0.8, "zorder": 3}
_SYMBOLS = {
    "num_nodes": "K = {}",
    "walk_length": "N = {}",
    "position_width": "M = {}",
    "walks": "{} training walks",
    "learning_rate": "η = {}",
    "epsilon": "ε = {}",
    "init": "{} start",
    "steps": "{} steps",
}
"""Axis: how a title tells its value. Other fields are in a title only if they are axes of the grid."""

_LARGEST_NUMBER_OF_SETTINGS = 6
_SMALLEST_SPREAD = 1e-17
"""Where a spread of 0 is drawn; below the smallest difference of two float64 weights of tokens, some 1e-18 to 1e-16."""
_ZOOM = 8
"""How many of the last slots the zoom into the attention shows."""


def write_figures(run: Run, folder: Path) -> None:
    """All figures of a sweep, for each setting, at most six settings."""
    every = settings(run)
    if len(every) > _LARGEST_NUMBER_OF_SETTINGS:
        logging.info("figures show the first %d of %d settings", _LARGEST_NUMBER_OF_SETTINGS, len(every))
    for labels in every[:_LARGEST_NUMBER_OF_SETTINGS]:
        suffix = "".join(f"_{axis}={_word(label)}" for axis, label in labels.items())
        if len(_by_p(run, labels)) > 1:
            save(*accuracy_against_p(run, **labels), folder / f"accuracy_against_p{suffix}")
        save(*curves(run, **labels), folder / f"curves{suffix}")
        save(*value_matrices(run, **labels), folder / f"value_matrices{suffix}")
        save(*attention_against_position(run, **labels), folder / f"attention{suffix}")


def settings(run: Run) -> list[dict[str, Scalar]]:
    """Every combination of labels on the axes other than seed, p, and those that advance together with p.

    An axis advances with p only if each p comes once; where p repeats, the others tell its runs apart.
    """
    p_labels = dict(run.config.grid).get("p", ())
    along_p = {"p"}
    if len(set(p_labels)) == len(p_labels):
        along_p |= {axis for dimension in run.grid.dimensions if "p" in dimension.axes for axis in dimension.axes}
    combinations = (
        tuple((axis, label) for axis, label in cell.labels.items() if axis != "seed" and axis not in along_p)
        for cell in _cells(run)
    )
    return [dict(combination) for combination in dict.fromkeys(combinations)]


@mpl.rc_context(STYLE)
def save(figure: Figure, numbers: pd.DataFrame, stem: Path) -> None:
    """Writes STEM.png, STEM.svg and STEM.csv, making the folder."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(f"{stem}.png")
    figure.set_layout_engine(None)  # the places that drawing the first has found also serve the second
    figure.savefig(f"{stem}.svg", metadata={"Date": None})
    numbers.to_csv(f"{stem}.csv", index=False)


@mpl.rc_context(STYLE)
def accuracy_against_p(run: Run, **labels: Scalar) -> tuple[Figure, pd.DataFrame]:
    """Test accuracy, expected accuracy and the optimum after the last step, against p."""
    by_p = _by_p(run, labels)
    ps = np.array(list(by_p))
    numbers = {
        name: _estimates(np.stack([_metric(run, name, cells)[:, -1] for cells in by_p.values()], axis=1))
        for name in ("accuracy", "expected_accuracy", "optimal_accuracy")
    }
    figure = Figure(figsize=(4.8, 3.5), layout="constrained")
    axes = figure.subplots()
    fine = np.union1d(np.linspace(ps.min(), ps.max(), 201), ps)
    axes.plot(fine, np.maximum(fine, 1 - fine), label="optimum max(p, 1 − p)", **_OPTIMUM)
    _band(axes, ps, numbers["expected_accuracy"], color=COLOURS[5], linewidth=2, label="expected accuracy")
    _bars(axes, ps, numbers["accuracy"], color=COLOURS[1], marker="o", markersize=4, label="accuracy")
    chance = [1 / cells[0].config.task.num_nodes for cells in by_p.values()]
    axes.plot(ps, chance, color="grey", linestyle=":", linewidth=1, label="chance 1/K")
    axes.set(xlabel="p, probability of a clockwise step", ylabel="share of test walks predicted", ylim=(0, 1.03))
    _legend_below(figure, axes, columns=2)
    _title(figure, run, by_p)
    return figure, pd.concat([table.assign(metric=name, p=ps) for name, table in numbers.items()], ignore_index=True)


@mpl.rc_context(STYLE)
def curves(run: Run, **labels: Scalar) -> tuple[Figure, pd.DataFrame]:
    """Accuracy and mean attention on the direct parent against the step, for the config's `figures.p`."""
    by_p, numbers = _drawn(run, labels), []
    figure = Figure(figsize=(7.0, 3.1), layout="constrained")
    accuracy_axes, parent_axes = figure.subplots(1, 2)
    for place, ((p, cells), style) in enumerate(zip(by_p.items(), _styles(by_p), strict=True)):
        steps = recorded_steps(cells[0].config)
        tables = {
            name: _estimates(_metric(run, name, cells)) for name in ("accuracy", "optimal_accuracy", "parent_attention")
        }
        gap = max(len(steps) // 10, 1)
        style["markevery"] = (place * gap // len(by_p), gap)  # the markers of lines that coincide stand side by side
        _band(accuracy_axes, steps, tables["accuracy"], **style, label=f"p = {_word(p)}")
        _band(parent_axes, steps, tables["parent_attention"], **style)
        accuracy_axes.plot(steps, tables["optimal_accuracy"]["mean"], **_OPTIMUM)
        numbers += [table.assign(metric=name, p=p, step=steps) for name, table in tables.items()]
    accuracy_axes.lines[-1].set_label("optimum")
    accuracy_axes.set(xlabel="gradient descent steps", ylabel="accuracy", ylim=(0, 1.03))
    parent_axes.set(xlabel="gradient descent steps", ylabel="attention on the direct parent", ylim=(-0.03, 1.03))
    for axes in (accuracy_axes, parent_axes):
        axes.locator_params("x", integer=True)
    _legend_below(figure, accuracy_axes)
    _title(figure, run, by_p)
    return figure, pd.concat(numbers, ignore_index=True)


@mpl.rc_context(STYLE)
def value_matrices(run: Run, **labels: Scalar) -> tuple[Figure, pd.DataFrame]:
    """The value matrix after the last step above Pi^T and its elementwise square root, for the config's `figures.p`.

    All are scaled to unit Frobenius norm; the value matrix is then averaged over all seeds, those that failed to learn
    included. It is left blank where it has no direction, being zero or not finite.
    """
    by_p, numbers = _drawn(run, labels), []
    figure = Figure(figsize=(max(1.4 * len(by_p) + 1.4, 3.4), 4.9), layout="constrained")
    panels = figure.subplots(3, len(by_p), squeeze=False)
    columns = []
    for p, cells in by_p.items():
        values = [run.value_matrix(step=cell.config.training.steps, **cell.labels) for cell in cells]
        learned = _estimates(np.stack([_direction(value).ravel() for value in values]))
        transition = np.asarray(make_task(cells[0].config).transition_matrix(p)).T
        matrices = (learned["mean"].to_numpy().reshape(transition.shape), transition, np.sqrt(transition))
        columns.append((p, [matrices[0], *map(_direction, matrices[1:])]))
        following, now = np.indices(transition.shape).reshape(2, -1)
        _, exact, root = columns[-1][1]
        numbers.append(
            learned.assign(p=p, next=following, now=now, transition=exact.ravel(), sqrt_transition=root.ravel())
        )
    entries = np.concatenate([np.ravel(matrix) for _, matrices in columns for matrix in matrices])
    limits = {"vmin": min(0.0, np.nanmin(entries)), "vmax": np.nanmax(entries)}
    for (p, matrices), column in zip(columns, panels.T, strict=True):
        for matrix, panel in zip(matrices, column, strict=True):
            image = panel.imshow(matrix, **limits)
            panel.grid(False)
            ticks = range(0, len(matrix), math.ceil(len(matrix) / 7))
            panel.set(xticks=ticks, yticks=ticks)
            panel.label_outer()
        column[0].set_title(f"p = {_word(p)}")
        column[-1].set_xlabel("state now")
    for panel, name in zip(panels[:, 0], (r"$V$", r"$\Pi^{\sf T}$", r"$\sqrt{\Pi^{\sf T}}$"), strict=True):
        panel.set_ylabel(f"{name}\nnext state")
    figure.colorbar(image, ax=panels, shrink=0.6, label="entry of the matrix at unit norm")
    _title(figure, run, by_p, "V is the mean over all {seeds}, each at unit norm")
    return figure, pd.concat(numbers, ignore_index=True)


@mpl.rc_context(STYLE)
def attention_against_position(run: Run, **labels: Scalar) -> tuple[Figure, pd.DataFrame]:
    """Mean attention of every slot after the last step, and a zoom at the last ones, for the config's `figures.p`."""
    by_p, numbers = _drawn(run, labels), []
    figure = Figure(figsize=(7.0, 3.1), layout="constrained")
    whole, zoom = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.25))
    longest = 0
    dodges = np.linspace(-0.25, 0.25, len(by_p)) if len(by_p) > 1 else [0.0]
    for (p, cells), style, dodge in zip(by_p.items(), _styles(by_p), dodges, strict=True):
        weights = [run.mean_attention(step=cell.config.training.steps, **cell.labels) for cell in cells]
        table = _estimates(np.stack(weights))
        slots, last = np.arange(1, len(table) + 1), table.tail(_ZOOM)
        longest = max(longest, len(slots))
        _band(whole, slots, table, **{**style, "marker": None})
        _bars(zoom, np.arange(1 - len(last), 1) + dodge, last, **style, label=f"p = {_word(p)}")
        numbers.append(table.assign(p=p, slot=slots))
    shown = range(1 - min(_ZOOM, longest), 1)
    whole.axvspan(longest + shown[0] - 0.5, longest + 0.5, color="#f0f0f0", zorder=0)
    whole.set(xlabel="slot", ylabel="mean attention weight", ylim=(-0.03, 1.03))
    names = {-1: "N−1\nparent", 0: "N\nempty"}
    zoom.set_xticks(shown, [names.get(place, f"N−{-place}\n") for place in shown])
    zoom.set(xlabel="slot, the last ones")
    _legend_below(figure, zoom)
    _title(figure, run, by_p)
    return figure, pd.concat(numbers, ignore_index=True)


@mpl.rc_context(STYLE)
def rounding(runs: Mapping[str, Run], multipliers: np.ndarray) -> tuple[Figure, pd.DataFrame]:
    """The rounding study: attention spread, its growth per step, and accuracy against the step, for each arithmetic.

    A spread that is exactly 0 has no place on the logarithmic axis and is drawn along its lower edge. Growth per step
    is that over two steps (`growth_of_spread`), beside the geometric mean of the largest eigenvalues of the two.

    Args:
      runs: by precision, runs over the axes form and seed that agree in everything else.
      multipliers: float[steps], the largest absolute eigenvalue of the linearised dynamics of each of the first steps.
    """
    figure = Figure(figsize=(7.0, 3.0), layout="constrained")
    spread_axes, growth_axes, accuracy_axes = figure.subplots(1, 3)
    predicted = np.sqrt(multipliers[:-1] * multipliers[1:])
    growth_axes.plot(np.arange(1, len(multipliers)), predicted, **_OPTIMUM, label="largest eigenvalue")
    numbers = [
        pd.DataFrame({"quantity": "largest eigenvalue", "step": np.arange(len(multipliers)), "mean": multipliers})
    ]
    for (precision, form, cells), colour, marker in zip(_arithmetics(runs), COLOURS, MARKERS, strict=False):
        spread, accuracy = (_metric(runs[precision], name, cells) for name in ("attention_spread", "accuracy"))
        steps = np.arange(spread.shape[1])
        style: Any = {
            "color": colour,
            "marker": marker,
            "markevery": 10,
            "linewidth": 1.2,
            "label": f"{form}, {precision}",
        }
        drawn = np.maximum(spread, _SMALLEST_SPREAD)
        spread_axes.plot(steps, np.median(drawn, axis=0), **style)
        spread_axes.fill_between(steps, drawn.min(axis=0), drawn.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        _band(accuracy_axes, steps, _estimates(accuracy), **style)
        growth = growth_of_spread(spread)
        measured = np.flatnonzero(np.isfinite(growth).sum(axis=0) > 1)
        points = pd.DataFrame([mean_interval(column[np.isfinite(column)]) for column in growth.T[measured]])
        if len(points):
            growth_axes.vlines(measured + 1, points["low"], points["high"], color=colour, linewidth=1)
            growth_axes.plot(measured + 1, points["mean"], color=colour, marker=marker, linestyle="none")
        medians = pd.DataFrame({"mean": np.median(spread, axis=0), "seeds": len(cells), "step": steps})
        tables = {"median attention spread": medians, "accuracy": _estimates(accuracy).assign(step=steps)}
        tables["growth of attention spread"] = points.assign(step=measured + 1)
        numbers += [table.assign(quantity=name, form=form, precision=precision) for name, table in tables.items()]
    spread_axes.set(xlabel="gradient descent steps", ylabel="attention spread", yscale="log")
    spread_axes.set_ylim(_SMALLEST_SPREAD / 3, 3)
    growth_axes.set(xlabel="gradient descent steps", ylabel="growth of the spread per step", yscale="log")
    accuracy_axes.set(xlabel="gradient descent steps", ylabel="accuracy", ylim=(0, 1.03))
    handles, names = (
        first + rest
        for first, rest in zip(*(axes.get_legend_handles_labels() for axes in (growth_axes, spread_axes)), strict=True)
    )
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    drawn_cells = {float(place): cells for place, (_, _, cells) in enumerate(_arithmetics(runs))}
    ending = "median and range of the spread, mean and 95% interval of the others, {seeds}"
    _title(figure, next(iter(runs.values())), drawn_cells, ending)
    return figure, pd.concat(numbers, ignore_index=True)


def growth_of_spread(spread: np.ndarray) -> np.ndarray:
    """How much the attention spread of each run grows per step, over two steps, float[runs, T - 2].

    The leading eigenvalues come in pairs of either sign, as a difference in the scores makes one in V and the other way
    round, so that single steps alternate between little and much. NaN where the spread is 0 or above 1e-3, where the
    dynamics are no longer linear.

    Args:
      spread: float[runs, T], at consecutive steps.
    """
    before, after = spread[:, :-2], spread[:, 2:]
    linear = (before > 0) & (after < 1e-3)
    return np.sqrt(np.divide(after, before, out=np.full(before.shape, np.nan), where=linear))


def _arithmetics(runs: Mapping[str, Run]) -> Iterator[tuple[str, str, list[Cell]]]:
    """Each precision and form of a rounding study, with its runs."""
    for precision, run in runs.items():
        for form in dict(run.config.grid)["form"]:
            yield precision, str(form), next(iter(_by_p(run, {"form": form}).values()))


def _cells(run: Run) -> list[Cell]:
    """The cells of a run in the order of its grid."""
    return sorted((cell for structure in run.grid.structures for cell in structure.cells), key=lambda cell: cell.index)


def _by_p(run: Run, labels: dict[str, Scalar]) -> dict[float, list[Cell]]:
    """The finished cells that have the labels, by p in increasing order; those of one p differ in their seed alone.

    Raises:
      RunError: if no finished run has the labels, or if runs of one p differ in more than the seed.
    """
    unknown = [axis for axis in labels if axis not in AXES]
    if unknown:
        raise RunError(f"{unknown[0]} is no axis of a grid; those are {', '.join(AXES)}.")
    finished = run.metrics["optimal_accuracy"].notnull().any("step").values
    by_p: dict[float, list[Cell]] = {}
    for cell in _cells(run):
        if finished[cell.index] and all(same_label(cell.config.value(axis), label) for axis, label in labels.items()):
            by_p.setdefault(cell.config.task.p, []).append(cell)
    if not by_p:
        asked = ", ".join(f"{axis} = {label!r}" for axis, label in labels.items())
        grid = "; ".join(f"{axis} = {', '.join(map(str, there))}" for axis, there in run.config.grid)
        raise RunError(f"No finished run has {asked}; the grid has {grid or 'no axes'}.")
    for cells in by_p.values():
        for axis, label in cells[0].labels.items():
            if axis != "seed" and any(cell.labels[axis] != label for cell in cells):
                raise RunError(f"{axis} is not given, but the runs to draw at one p differ in it.")
    return dict(sorted(by_p.items()))


def _drawn(run: Run, labels: dict[str, Scalar]) -> dict[float, list[Cell]]:
    """As _by_p, but only for p of the config's `figures.p`, or, if none of those is there, for four at most."""
    by_p = _by_p(run, labels)
    chosen = [p for p in by_p if any(same_label(p, wanted) for wanted in run.config.figures.p)]
    if not chosen:
        chosen = [list(by_p)[i] for i in sorted({round(i) for i in np.linspace(0, len(by_p) - 1, 4)})]
    return {p: by_p[p] for p in chosen}


def _metric(run: Run, name: str, cells: Sequence[Cell]) -> np.ndarray:
    """A metric of runs that differ in their seed alone at their T recorded steps, float[runs, T]."""
    recorded = np.searchsorted(run.metrics["step"].values, recorded_steps(cells[0].config))
    values = run.metrics[name].values
    return np.stack([values[cell.index][recorded] for cell in cells])


def _estimates(samples: np.ndarray) -> pd.DataFrame:
    """Mean, interval (low, high) and number of seeds of each column of float[seeds, columns]."""
    return pd.DataFrame([mean_interval(column) for column in samples.T])


def _direction(matrix: np.ndarray) -> np.ndarray:
    """The matrix at unit norm, float64; NaN if it is zero or not finite."""
    matrix = matrix.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return matrix / np.linalg.norm(matrix)


def _band(axes: Axes, x: Sequence[int] | np.ndarray, estimates: pd.DataFrame, **line: Any) -> None:
    """A line with a band, cut off at 0 and 1."""
    axes.plot(x, estimates["mean"], **line)
    low, high = (estimates[name].clip(0, 1) for name in ("low", "high"))
    axes.fill_between(x, low, high, color=line["color"], alpha=0.2, linewidth=0)


def _bars(axes: Axes, x: np.ndarray, estimates: pd.DataFrame, **points: Any) -> None:
    """Points with bars, cut off at 0 and 1."""
    points["linestyle"] = "none"
    axes.vlines(x, estimates["low"].clip(0, 1), estimates["high"].clip(0, 1), color=points["color"], linewidth=1)
    axes.plot(x, estimates["mean"], **points)


def _styles(by_p: dict[float, list[Cell]]) -> list[dict[str, Any]]:
    """Colour, marker and width of the line of each p; later lines are thinner, so that those below show."""
    widths = np.linspace(2.4, 1.0, len(by_p)) if len(by_p) > 1 else [1.5]
    return [
        {"color": colour, "marker": marker, "linewidth": width}
        for colour, marker, width in zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), widths, strict=False)
    ]


def _legend_below(figure: Figure, axes: Axes, columns: int = 7) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), columns))


def _title(
    figure: Figure,
    run: Run,
    by_p: dict[float, list[Cell]],
    ending: str = "mean and 95% interval over {seeds}",
) -> None:
    """The setting, as far as the runs drawn agree in it, and how many seeds there are."""
    configs = [cells[0].config for cells in by_p.values()]
    fields = dict.fromkeys([*_SYMBOLS, *(axis for axis, _ in run.config.grid if axis not in ("p", "seed"))])
    if configs[0].model.init == "gaussian":
        fields["init_scale"] = None
    common = {axis: configs[0].value(axis) for axis in fields if len({config.value(axis) for config in configs}) == 1}
    words = [_SYMBOLS.get(axis, f"{axis} = {{}}").format(_word(value)) for axis, value in common.items()]
    setting = ", ".join(word.replace(" ", "\N{NO-BREAK SPACE}") for word in words)
    counts = sorted({len(cells) for cells in by_p.values()})
    seeds = "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    ending = "one seed" if counts == [1] else ending.format(seeds=f"{seeds} seeds")
    figure.suptitle(
        "\n".join([*textwrap.wrap(setting, int(15 * figure.get_figwidth()), break_on_hyphens=False), ending])
    )


def _word(label: Scalar) -> str:
    return f"{label:.12g}" if isinstance(label, float) else str(label)
