"""What figures share: the style, the runs to draw and their numbers over seeds, the pieces of a panel, the title."""

import contextlib
import io
import itertools
import math
import textwrap
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage

from rw_jax.analysis.measures import direction
from rw_jax.analysis.numbers import label, setting, text
from rw_jax.analysis.run import Group, Run, checked_run
from rw_jax.analysis.statistics import mean_interval, of_numbers, rate_interval
from rw_jax.store.layout import write_atomically
from rw_jax.study.config import ARM, symbol
from rw_jax.study.fields import Scalar
from rw_jax.study.labels import same_label

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


@contextlib.contextmanager
def styled() -> Generator[None]:
    """Draws in our style alone, whatever the user's matplotlibrc says: a context, or a decorator."""
    with matplotlib.style.context(["default", STYLE]):
        yield


OPTIMUM: Any = {"color": "black", "linestyle": "--", "linewidth": 0.8, "zorder": 3}
ZOOM = 8
"""How many of the last slots a zoom into the attention shows."""


@styled()
def rendered(figure: Figure, numbers: pd.DataFrame) -> dict[str, str | bytes]:
    """The contents of the files of a figure, by their endings."""
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png")
    figure.set_layout_engine(None)  # the places that drawing the first has found also serve the second
    figure.savefig(svg, format="svg", metadata={"Date": None})
    return {".png": png.getvalue(), ".svg": svg.getvalue(), ".csv": str(numbers.to_csv(index=False))}


def save(figure: Figure, numbers: pd.DataFrame, stem: Path) -> list[Path]:
    """Writes STEM.png, STEM.svg and STEM.csv, making the folder; gives their paths. Errors as write_rendered."""
    return write_rendered(rendered(figure, numbers), stem)


def write_rendered(contents: Mapping[str, str | bytes], stem: Path) -> list[Path]:
    """Writes the files of a figure, each atomically, making the folder; gives their paths.

    Raises:
      OSError: naming the file, if one cannot be written.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = []
    for ending, content in contents.items():
        paths.append(stem.with_name(stem.name + ending))
        write_atomically(paths[-1], content)
    return paths


def drawn(run: Run, **labels: Scalar) -> list[Group]:
    """The groups over seeds that have the labels, thinned where a figure cannot show them all.

    Of those along p alone, those of the config's `figures.p` are drawn; of many others, four that are evenly spaced.
    """
    groups = checked_run(run).groups(over="seed", **labels)
    if differing(groups) == ["p"]:
        chosen = [group for group in groups if any(same_label(group.labels["p"], p) for p in run.config.figures.p)]
        if chosen:
            return chosen
    if len(groups) <= _MOST_LINES:
        return groups
    return [groups[i] for i in sorted({round(i) for i in np.linspace(0, len(groups) - 1, 4)})]


_MOST_LINES = 7


def differing(groups: Sequence[Group]) -> list[str]:
    """The axes in whose labels groups differ; one that is paired with an earlier one is left out."""
    axes = [axis for axis in groups[0].labels if len({group.labels[axis] for group in groups}) > 1]
    for dimension in groups[0].run.grid.dimensions:
        paired = [axis for axis in dimension.axes if axis in axes]
        telling = next((axis for axis in paired if len({group.labels[axis] for group in groups}) == len(groups)), None)
        if telling is not None:
            axes = [axis for axis in axes if axis not in paired or axis == telling]
    return axes


def names_of(groups: Sequence[Group]) -> list[str]:
    """What tells each group from the others, such as "p = 0.5"; nothing if there is one alone."""
    axes = differing(groups)
    return [", ".join(f"{symbol(axis)} = {label(group.labels[axis])}" for axis in axes) for group in groups]


def label_columns(group: Group, axes: Sequence[str]) -> dict[str, Scalar]:
    """The labels of a group on some axes, for the columns of a table."""
    return {axis: group.labels[axis] for axis in axes}


def estimate_columns(samples: np.ndarray) -> pd.DataFrame:
    """Mean, interval (low, high) and number of seeds of each column of float[seeds, columns]."""
    return pd.DataFrame([of_numbers(mean_interval, column) for column in samples.T])


def band(axes: Axes, x: Sequence[int] | np.ndarray, estimates: pd.DataFrame, **line: Any) -> None:
    """A line with a band, cut off at 0 and 1."""
    axes.plot(x, estimates["mean"], **line)
    low, high = (estimates[name].clip(0, 1) for name in ("low", "high"))
    axes.fill_between(x, low, high, color=line["color"], alpha=0.2, linewidth=0)


def single_seeds(axes: Axes, group: Group, metric: str, colour: str) -> pd.DataFrame:
    """The first seeds of a group as thin lines below a band, where a mean hides that they part.

    Returns:
      What is drawn, one row for each seed and step: seed, step, value.
    """
    shown, steps = group.metric(metric)[:_MOST_SEEDS], group.steps
    axes.plot(steps, shown.T, color=colour, alpha=0.25, linewidth=0.4, zorder=1)
    seeds = np.repeat([cell.labels["seed"] for cell in group.cells[:_MOST_SEEDS]], len(steps))
    return pd.DataFrame({"seed": seeds, "step": np.tile(steps, len(shown)), "value": shown.ravel()})


_MOST_SEEDS = 20
WITH_SINGLE_SEEDS = f"mean and 95% interval over {{seeds}}, thin: up to {_MOST_SEEDS} of them"
"""What `set_title` tells of a figure with bands and single seeds."""


def paper_says(axes: Axes, x: float, y: float) -> None:
    """A number that the paper gives, as a star."""
    known = "the paper" in axes.get_legend_handles_labels()[1]
    label = None if known else "the paper"
    axes.plot(x, y, "*", color="black", markersize=9, markeredgecolor="white", zorder=5, clip_on=False, label=label)


def bars(axes: Axes, x: np.ndarray, estimates: pd.DataFrame, **points: Any) -> None:
    """Points with bars, cut off at 0 and 1."""
    points["linestyle"] = "none"
    axes.vlines(x, estimates["low"].clip(0, 1), estimates["high"].clip(0, 1), color=points["color"], linewidth=1)
    axes.plot(x, estimates["mean"], **points)


def unit_value_matrices(group: Group, step: int) -> pd.DataFrame:
    """Estimates over seeds of each entry of V at unit norm, by next and now; all that failed to learn are included."""
    units = np.stack([direction(group.run.value_matrix(step=step, **cell.labels)) for cell in group.cells])
    following, now = np.indices(units.shape[1:]).reshape(2, -1)
    return estimate_columns(units.reshape(len(units), -1)).assign(next=following, now=now)


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


def name_states(panel: Axes, vocabulary: Sequence[str] | None) -> None:
    """Writes the words of all states beside a matrix, if they have any."""
    if vocabulary is not None:
        panel.set_xticks(range(len(vocabulary)), vocabulary, rotation=90, fontsize=4)
        panel.set_yticks(range(len(vocabulary)), vocabulary, fontsize=4)


def show_map(
    panel: Axes,
    values: np.ndarray,
    xs: Sequence[str],
    ys: Sequence[str],
    limits: tuple[float, float] = (0.0, 1.0),
    cmap: str = "viridis",
) -> AxesImage:
    """Numbers over two axes, a cell for each pair of labels, in the order given, from below; NaN is left blank."""
    image = panel.imshow(values, origin="lower", aspect="auto", vmin=limits[0], vmax=limits[1], cmap=cmap)
    panel.grid(False)
    panel.set_xticks(range(len(xs)), xs, rotation=60)
    panel.set_yticks(range(len(ys)), ys)
    return image


def show_shares(axes: Axes, found: pd.DataFrame) -> None:
    """A map of shares with the number in each cell."""
    show_map(axes, found.to_numpy(), list(map(str, found.columns)), list(map(str, found.index)))
    for (y, x), share in np.ndenumerate(found.to_numpy()):
        axes.text(x, y, text(share, 2), ha="center", va="center", fontsize=7, color="white" if share < 0.6 else "black")


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


def legend_below(figure: Figure, *panels: Axes) -> None:
    """The legend of some panels, below the figure, in as many columns as fit."""
    named = [pair for panel in panels for pair in zip(*panel.get_legend_handles_labels(), strict=True)]
    handles, names = zip(*named, strict=True)
    inches = 0.55 + 0.068 * max(map(len, names))
    columns = max(int(figure.get_figwidth() / inches), 1)
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), columns))


def set_title(
    figure: Figure, seen: str, groups: Sequence[Group], ending: str = "mean and 95% interval over {seeds}"
) -> None:
    """What is seen, above; small below, the setting as far as the groups agree in it, and how many seeds there are.

    Args:
      figure: a figure that has its legend, if it is to have one.
      seen: what is seen, in words.
      groups: the runs that are drawn.
      ending: what numbers are shown of them.
    """
    run = groups[0].run
    words = setting([group.config for group in groups], groups[0].labels, run.source.unread(run.grid))
    arms = {group.labels[ARM] for group in groups if ARM in group.labels}
    words = [*(f"{ARM} = {label(arm)}" for arm in arms if len(arms) == 1), *words]
    fields = ", ".join(word.replace(" ", "\N{NO-BREAK SPACE}") for word in words)
    counts = sorted({len(group) for group in groups})
    seeds = "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    if counts == [1] and "{seeds}" in ending:
        ending = "one seed"
    ending = ending.format(seeds=f"{seeds} seeds")
    shown_of = len(run.groups())
    if len(groups) < shown_of:
        ending = f"{len(groups)} of {shown_of} settings; {ending}"
    lines = [
        line
        for words in (fields, ending)
        for line in textwrap.wrap(words, int(20 * figure.get_figwidth()), break_on_hyphens=False)
    ]
    wide = int(11 * figure.get_figwidth())
    figure.suptitle("\n".join(textwrap.wrap(seen, wide, break_on_hyphens=False)), fontsize=9, fontweight="bold")
    legend = figure.legends[0] if figure.legends else figure.legend([], [], loc="outside lower center")
    legend.set_title("\n".join(lines), prop=FontProperties(size=6.5))
    legend.get_title().set(color="#555555", multialignment="center")


def set_letters(panels: Iterable[Axes]) -> None:
    """A letter at the upper left of each of several panels, by which a text can name it."""
    panels = list(panels)
    for letter, panel in zip("ABCDEFGHIJKL", panels if len(panels) > 1 else [], strict=False):
        panel.set_title(letter, loc="left", fontweight="bold")


def shares(samples: np.ndarray) -> pd.DataFrame:
    """Share, Wilson interval (low, high) and number of seeds of each column of float[seeds, columns], 0 or 1 each."""
    return pd.DataFrame([of_numbers(rate_interval, column) for column in samples.T])
