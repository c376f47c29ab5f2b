"""What figures share: the style, the runs to draw and their numbers over seeds, the pieces of a panel, the title."""

import itertools
import math
import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from rw_jax.analysis.run import Run, RunError, same_label
from rw_jax.analysis.statistics import mean_interval
from rw_jax.study.config import AXES, Config, Scalar
from rw_jax.study.grid import Cell

Picture = tuple[Figure, pd.DataFrame]
"""A figure with the numbers it shows."""

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
OPTIMUM: Any = {"color": "black", "linestyle": "--", "linewidth": 0.8, "zorder": 3}
SYMBOLS = {
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
ZOOM = 8
"""How many of the last slots a zoom into the attention shows."""


@mpl.rc_context(STYLE)
def save(figure: Figure, numbers: pd.DataFrame, stem: Path) -> None:
    """Writes STEM.png, STEM.svg and STEM.csv, making the folder."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(f"{stem}.png")
    figure.set_layout_engine(None)  # the places that drawing the first has found also serve the second
    figure.savefig(f"{stem}.svg", metadata={"Date": None})
    numbers.to_csv(f"{stem}.csv", index=False)


def runs_by_p(run: Run, labels: dict[str, Scalar]) -> dict[float, list[Cell]]:
    """The finished cells that have the labels, by p in increasing order; those of one p differ in their seed alone.

    Raises:
      RunError: if no finished run has the labels, or if runs of one p differ in more than the seed.
    """
    unknown = [axis for axis in labels if axis not in AXES]
    if unknown:
        raise RunError(f"{unknown[0]} is no axis of a grid; those are {', '.join(AXES)}.")
    finished = run.metrics["optimal_accuracy"].notnull().any("step").values
    by_p: dict[float, list[Cell]] = {}
    for cell in run.grid.cells:
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


def drawn_runs(run: Run, labels: dict[str, Scalar]) -> dict[float, list[Cell]]:
    """As runs_by_p, but only for p of the config's `figures.p`, or, if none of those is there, for four at most."""
    by_p = runs_by_p(run, labels)
    chosen = [p for p in by_p if any(same_label(p, wanted) for wanted in run.config.figures.p)]
    if not chosen:
        chosen = [list(by_p)[i] for i in sorted({round(i) for i in np.linspace(0, len(by_p) - 1, 4)})]
    return {p: by_p[p] for p in chosen}


def estimate_columns(samples: np.ndarray) -> pd.DataFrame:
    """Mean, interval (low, high) and number of seeds of each column of float[seeds, columns]."""
    return pd.DataFrame([mean_interval(column) for column in samples.T])


def direction(matrix: np.ndarray) -> np.ndarray:
    """The matrix at unit norm, float64; NaN if it is zero or not finite."""
    matrix = matrix.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return matrix / np.linalg.norm(matrix)


def band(axes: Axes, x: Sequence[int] | np.ndarray, estimates: pd.DataFrame, **line: Any) -> None:
    """A line with a band, cut off at 0 and 1."""
    axes.plot(x, estimates["mean"], **line)
    low, high = (estimates[name].clip(0, 1) for name in ("low", "high"))
    axes.fill_between(x, low, high, color=line["color"], alpha=0.2, linewidth=0)


def bars(axes: Axes, x: np.ndarray, estimates: pd.DataFrame, **points: Any) -> None:
    """Points with bars, cut off at 0 and 1."""
    points["linestyle"] = "none"
    axes.vlines(x, estimates["low"].clip(0, 1), estimates["high"].clip(0, 1), color=points["color"], linewidth=1)
    axes.plot(x, estimates["mean"], **points)


def unit_value_matrices(run: Run, cells: Sequence[Cell], step: int) -> pd.DataFrame:
    """Estimates over seeds of each entry of V at unit norm, by next and now; all that failed to learn are included."""
    units = np.stack([direction(run.value_matrix(step=step, **cell.labels)) for cell in cells])
    following, now = np.indices(units.shape[1:]).reshape(2, -1)
    return estimate_columns(units.reshape(len(cells), -1)).assign(next=following, now=now)


def as_matrix(entries: pd.DataFrame, column: str) -> np.ndarray:
    """A column of a table of entries by next and now, as a matrix."""
    return entries.pivot(index="next", columns="now", values=column).to_numpy()


def show_matrix(panel: Axes, matrix: np.ndarray, **limits: Any) -> AxesImage:
    """A matrix over states as an image, next state by state now."""
    image = panel.imshow(matrix, **limits)
    panel.grid(False)
    now, following = (range(0, size, math.ceil(size / 7)) for size in matrix.shape[::-1])
    panel.set(xticks=now, yticks=following)
    return image


def show_attention(whole: Axes, zoom: Axes, table: pd.DataFrame, dodge: float, style: dict[str, Any]) -> None:
    """Estimates of the weight of every slot, and a zoom at the last ones, moved aside by `dodge`."""
    last = table.tail(ZOOM)
    band(whole, np.arange(1, len(table) + 1), table, **{**style, "marker": None, "label": None})
    bars(zoom, np.arange(1 - len(last), 1) + dodge, last, **style)


def label_slots(whole: Axes, zoom: Axes, num_slots: int) -> None:
    """The labels of the panels of `show_attention`; the slots of the zoom are shaded in the whole."""
    shown = range(1 - min(ZOOM, num_slots), 1)
    whole.axvspan(num_slots + shown[0] - 0.5, num_slots + 0.5, color="#f0f0f0", zorder=0)
    whole.set(xlabel="slot", ylabel="mean attention weight", ylim=(-0.03, 1.03))
    names = {-1: "N−1\nparent", 0: "N\nempty"}
    zoom.set_xticks(shown, [names.get(place, f"N−{-place}\n") for place in shown])
    zoom.set(xlabel="slot, the last ones", ylim=(-0.03, 1.03))


def line_styles(lines: Collection[Any]) -> list[dict[str, Any]]:
    """Colour, marker and width of each line; later lines are thinner, so that those below show."""
    widths = np.linspace(2.4, 1.0, len(lines)) if len(lines) > 1 else [1.5]
    return [
        {"color": colour, "marker": marker, "linewidth": width}
        for colour, marker, width in zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), widths, strict=False)
    ]


def legend_below(figure: Figure, axes: Axes, columns: int = 7) -> None:
    """The legend of a panel, below the figure."""
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), columns))


def setting(run: Run, configs: Sequence[Config]) -> list[str]:
    """The fields in which configs of a run agree, but for p and seed, as a title tells them."""
    fields = dict.fromkeys([*SYMBOLS, *(axis for axis, _ in run.config.grid if axis not in ("p", "seed"))])
    model = configs[0].model
    for axis, matters in (
        ("init_scale", model.init == "gaussian"),
        ("unit_length", model.unit_length != "none"),
        ("feed_forward_width", model.feed_forward_width > 0),
    ):
        if matters:
            fields[axis] = None
    common = {axis: configs[0].value(axis) for axis in fields if len({config.value(axis) for config in configs}) == 1}
    return [SYMBOLS.get(axis, f"{axis} = {{}}").format(label_text(value)) for axis, value in common.items()]


def set_title(
    figure: Figure,
    run: Run,
    by_p: dict[float, list[Cell]],
    ending: str = "mean and 95% interval over {seeds}",
) -> None:
    """The setting, as far as the runs drawn agree in it, and how many seeds there are."""
    words = setting(run, [cells[0].config for cells in by_p.values()])
    setting_text = ", ".join(word.replace(" ", "\N{NO-BREAK SPACE}") for word in words)
    counts = sorted({len(cells) for cells in by_p.values()})
    seeds = "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    ending = "one seed" if counts == [1] else ending.format(seeds=f"{seeds} seeds")
    figure.suptitle(
        "\n".join([*textwrap.wrap(setting_text, int(15 * figure.get_figwidth()), break_on_hyphens=False), ending])
    )


def label_text(label: Scalar) -> str:
    """A label as figures show it."""
    return f"{label:.12g}" if isinstance(label, float) else str(label)
