"""The page of a run, drawn with Bokeh: one HTML file that asks for nothing. The door to Bokeh."""

import html
import importlib.resources
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    Legend,
    LegendItem,
    LinearColorMapper,
    TapTool,
)
from bokeh.palettes import Viridis256, interp_palette
from bokeh.plotting import figure
from bokeh.resources import Resources

from rw_jax.analysis.plots.drawing import COLOURS
from rw_jax.analysis.run import Run
from rw_jax.explorer.data import gather
from rw_jax.explorer.fitting import packed
from rw_jax.explorer.numbers import Axis, Numbers
from rw_jax.store.layout import write_atomically

BLUE, VERMILION, GREEN, _, ORANGE, SKY, BLACK = COLOURS
SIGNED = interp_palette((VERMILION, "#f7f7f7", BLUE), 255)
"""From negative over zero to positive; the two ends are told apart with every common colour blindness."""


def write(run: Run, path: Path) -> Numbers:
    """Writes the page of a run, whole or not at all; gives what it shows.

    Raises:
      RunError: as `gather`.
      OSError: naming the file, if it cannot be written.
    """
    numbers = gather(run)
    write_atomically(path, page(numbers))
    return numbers


def page(numbers: Numbers) -> str:
    """The page, the same bytes for the same numbers."""
    blocks, arrays = packed(numbers.blocks)
    about = numbers._asdict() | {
        "axes": [axis._asdict() for axis in numbers.axes],
        "others": [other._asdict() for other in numbers.others],
        "status": numbers.status.tolist(),
        "blocks": blocks,
        "colours": {"parent": BLUE, "empty": BLACK, "alike": "#bdbdbd", "near": "#f6c27a", "far": "#7a2e00"},
    }
    parts = {
        "title": html.escape(f"{numbers.name}: inside {int((numbers.status == 1).sum())} runs"),
        "setting": html.escape(", ".join(numbers.setting)),
        "notes": html.escape(" ".join(numbers.notes)),
        "about": _as_script(json.dumps(about)),
        "figures": _as_script(_document(figures(numbers))),
        "arrays": arrays,
        "bokeh": Resources(mode="inline", components=["bokeh"]).render_js(),
        "explorer": _read("explorer.js"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("template.html"))


def _read(name: str) -> str:
    return importlib.resources.files("rw_jax.explorer").joinpath(name).read_text(encoding="utf-8")


def _as_script(content: str) -> str:
    """JSON that can stand in a script element."""
    return content.replace("<", "\\u003c")


def _document(drawn: Iterable[Any]) -> str:
    """Figures as one document in JSON, with ids that count from 1, whatever else the process has drawn."""
    document, ids = Document(), dict[str, str]()
    for each in drawn:
        document.add_root(each)
    content = json.dumps(document.to_json(deferred=False))
    return re.sub(r'"p\d+"', lambda found: ids.setdefault(found[0], f'"f{len(ids) + 1}"'), content)


def figures(numbers: Numbers) -> list[Any]:
    """All figures, without numbers: the page fills them. Their names are those of their places in the template."""
    return [
        _runs(numbers),
        *(
            _matrix(name, palette, title)
            for name, palette, title in (
                ("value", Viridis256, "V"),
                ("transition", Viridis256, "Πᵀ"),
                ("root", Viridis256, "√Πᵀ, entry by entry"),
                ("difference", SIGNED, "V − Πᵀ"),
                ("root_difference", SIGNED, "V − √Πᵀ"),
            )
        ),
        _by_lag("attention", "mean attention weight", "log"),
        _by_lag("correlations", "c, from its smallest to its largest", "linear"),
        _scores(),
        _spectrum(),
        *_curves(numbers),
    ]


def _figure(name: str, x: str, y: str, height: int, **options: Any) -> Any:
    """A figure as wide as its place, and no tool that would catch the wheel or a finger."""
    drawn: Any = figure(
        name=f"{name} figure", x_axis_label=x, y_axis_label=y, height=height, sizing_mode="stretch_width",
        toolbar_location=None, tools=[], title=" ", min_border_right=12, **options,
    )  # fmt: skip
    drawn.title.text_font_size, drawn.title.text_font_style, drawn.title.text_color = "12px", "normal", "#444444"
    drawn.outline_line_color = None
    drawn.axis.axis_label_text_font_style, drawn.axis.axis_label_text_font_size = "normal", "12px"
    drawn.axis.major_label_text_font_size = "11px"
    drawn.axis.minor_tick_line_color = None
    drawn.xaxis.ticker.min_interval = 1  # lags, states, modes
    drawn.grid.grid_line_color = "#ececec"
    return drawn


def _source(name: str, *columns: str) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns}, name=name)


def _hover(drawn: Any, renderer: Any, *tooltips: tuple[str, str]) -> None:
    drawn.add_tools(HoverTool(renderers=[renderer], tooltips=list(tooltips)))


def _legend(drawn: Any, columns: int, items: Iterable[tuple[str, list[Any]]]) -> None:
    """A legend above the frame, from its left: words, and what is drawn for them."""
    options: Any = {"ncols": columns, "location": "left", "label_text_font_size": "11px", "border_line_color": None}
    options |= {"padding": 0, "margin": 2, "spacing": 6, "label_height": 14, "glyph_height": 14, "glyph_width": 18}
    drawn.add_layout(
        Legend(items=[LegendItem(label=words, renderers=those) for words, those in items], **options), "above"
    )


def _runs(numbers: Numbers) -> Any:
    """The map of runs: a rectangle for each, its colour the lag attended to, a cross where it failed."""
    across, down = (None if i is None else numbers.axes[i] for i in (numbers.across, numbers.down))
    columns, rows = (1 if axis is None else len(axis.labels) for axis in (across, down))
    drawn = _figure(
        "runs", across.symbol if across else "", down.symbol if down else "", int(np.clip(14 * rows + 90, 150, 560)),
        x_range=(-0.5, columns - 0.5), y_range=(rows - 0.5, -0.5),
    )  # fmt: skip
    drawn.grid.visible = False
    _label(drawn.xaxis[0], across, 24)
    _label(drawn.yaxis[0], down, 20)
    if columns > 8:
        drawn.xaxis.major_label_orientation = "vertical"
    source = _source("runs", "x", "y", "colour", "line", "mark", "size", "words", "lag", "accuracy")
    cells = drawn.rect(
        "x", "y", width=0.94, height=0.9, fill_color="colour", line_color="line", source=source, nonselection_alpha=1.0
    )
    cells.nonselection_glyph = cells.selection_glyph = None
    crosses = drawn.scatter("x", "y", marker="x", size="size", line_color="mark", line_width=1.6, source=source)
    crosses.nonselection_glyph = crosses.selection_glyph = None
    chosen = _source("chosen", "x", "y")
    drawn.rect("x", "y", width=1, height=1, fill_color=None, line_color="white", line_width=5, source=chosen)
    drawn.rect("x", "y", width=1, height=1, fill_color=None, line_color="black", line_width=2.5, source=chosen)
    drawn.add_tools(TapTool(renderers=[cells]))
    _hover(drawn, cells, ("run", "@words"), ("attends to", "@lag"), (numbers.accuracy.replace("_", " "), "@accuracy"))
    return drawn


def _label(axis: Any, labelled: Axis | None, most: int) -> None:
    """Ticks at the labels of a dimension, of many those at equal distances."""
    if labelled is None:
        axis.visible = False
        return
    labels = labelled.labels
    stride = -(-len(labels) // most)
    ticks = list(range(0, len(labels), stride))
    axis.ticker = FixedTicker(ticks=ticks)
    axis.major_label_overrides = {tick: labels[tick] for tick in ticks}


def _matrix(name: str, palette: Sequence[str], title: str) -> Any:
    """A matrix as a map, row 0 at the top, with its numbers in it where there is room."""
    drawn = _figure(
        name, "from state s", "to state y", 270, x_range=(-0.5, 5.5), y_range=(5.5, -0.5)
    )  # fmt: skip
    drawn.title.text = title
    drawn.grid.visible = False
    mapper = LinearColorMapper(palette=palette, low=0, high=1, name=f"{name} colours")
    source = _source(name, "s", "y", "from", "to", "entry", "text", "ink")
    fill: Any = {"field": "entry", "transform": mapper}
    cells = drawn.rect("s", "y", width=1, height=1, fill_color=fill, line_color=None, source=source)
    drawn.text("s", "y", text="text", text_color="ink", text_align="center", text_baseline="middle",
               text_font_size="10px", source=source)  # fmt: skip
    bar = ColorBar(color_mapper=mapper, height=8, padding=2, margin=2, major_label_text_font_size="10px", title=None,
                   border_line_color=None, background_fill_color=None)  # fmt: skip
    drawn.add_layout(bar, "below")
    _hover(drawn, cells, ("from", "@from"), ("to", "@to"), ("entry", "@entry{0.0000}"))
    return drawn


def _by_lag(name: str, y: str, scale: str) -> Any:
    """A number for each lag: all of them, with the parent and the largest marked."""
    drawn = _figure(
        name, "lag: states before the target", y, 280, y_axis_type=scale, x_range=(0, 10), y_range=(1e-3, 1),
    )  # fmt: skip
    source, marks = _source(name, "lag", "number"), {}
    drawn.line("lag", "number", line_color="#8a8a8a", line_width=1, source=source)
    points = drawn.scatter("lag", "number", size=4, color="#8a8a8a", source=source)
    styles = (("parent", "square", 12, BLUE, None), ("highest", "circle", 7, VERMILION, VERMILION))
    for kind, marker, size, line, fill in (*styles, ("empty", "diamond", 9, BLACK, None)):
        if kind == "empty" and name != "attention":
            continue
        marks[kind] = drawn.scatter(
            "lag", "number", marker=marker, size=size, line_color=line, fill_color=fill, line_width=2,
            source=_source(f"{name} {kind}", "lag", "number"),
        )  # fmt: skip
    names = {"parent": "direct parent", "highest": "largest", "empty": "empty slot"}
    _legend(drawn, 3, [(names[kind], [mark]) for kind, mark in marks.items()])
    _hover(drawn, points, ("lag", "@lag"), (y, "@number{0.000e+0}"))
    return drawn


def _scores() -> Any:
    drawn = _figure("scores", "state s", "u, score before softmax", 240, x_range=(-0.5, 5.5), y_range=(-1, 1))
    bars = drawn.vbar("state", top="score", width=0.7, color=BLUE, source=_source("scores", "state", "word", "score"))
    _hover(drawn, bars, ("state", "@word"), ("u", "@score{0.000e+0}"))
    return drawn


def _spectrum() -> Any:
    drawn = _figure(
        "spectrum", "Fourier mode: periods around the circle", "amplitude at unit norm", 330, x_range=(-0.2, 3.2),
        y_range=(0, 1),
    )  # fmt: skip
    source, items = _source("spectrum", "mode", "value", "transition", "root"), []
    styles = (("transition", "square", GREEN, 11, None, "Πᵀ"), ("root", "triangle", ORANGE, 10, None, "√Πᵀ"))
    for column, marker, colour, size, fill, words in (*styles, ("value", "circle", BLUE, 6, BLUE, "V")):
        line = drawn.line("mode", column, line_color=colour, source=source)
        points = drawn.scatter("mode", column, marker=marker, size=size, line_color=colour, fill_color=fill,
                               line_width=2, source=source)  # fmt: skip
        items.append((words, [line, points]))
        _hover(drawn, points, ("mode", "@mode"), (words, f"@{column}{{0.0000}}"))
    _legend(drawn, 3, items)
    return drawn


def _curves(numbers: Numbers) -> list[Any]:
    """Metrics of the chosen run over steps, others faint; and what accuracy each half of it would give."""
    last = max(max(block.recorded) for block in numbers.blocks)
    accuracy = numbers.accuracy.replace("_", " ")
    drawn = [
        _steps_figure(name, words, last)
        for name, words in (
            ("accuracy", accuracy), ("parent_attention", "attention on the direct parent"),
            ("train_loss", numbers.loss), ("other", "metric"), ("split", "expected accuracy"),
        )
    ]  # fmt: skip
    drawn[-1].height = 330
    for each, of_name in zip(drawn[:-1], ("accuracy", "parent_attention", "train_loss", "other"), strict=True):
        others = each.multi_line("steps", "numbers", line_color="#b5b5b5", line_alpha=0.6,
                                 source=_source(f"{of_name} others", "steps", "numbers"))  # fmt: skip
        seeds = each.multi_line("steps", "numbers", line_color=SKY, line_alpha=0.8,
                                source=_source(f"{of_name} seeds", "steps", "numbers"))  # fmt: skip
        source = _source(f"{of_name} own", "x", "step", "number")
        own = each.line("x", "number", line_color=BLACK, line_width=2.5, source=source)
        points = each.scatter("x", "number", color=BLACK, size=4, source=source)
        _hover(each, points, ("step", "@step"), (of_name.replace("_", " "), "@number{0.0000}"))
        items = [("this run", [own]), ("same setting", [seeds]), ("other runs", [others])]
        if of_name == "accuracy":
            items.insert(1, ("optimum", [_optimum(each, "accuracy optimum")]))
        _legend(each, 2, items)
    _split(drawn[-1])
    return drawn


def _split(drawn: Any) -> None:
    source, items = _source("split", "x", "step", "learned", "with_parent", "with_law"), []
    for column, marker, colour, size, words in (
        ("learned", "circle", BLACK, 7, "both as learned"),
        ("with_parent", "square", BLUE, 10, "learned V, attention on the parent"),
        ("with_law", "triangle", VERMILION, 10, "learned attention, V = Πᵀ"),
    ):
        line = drawn.line("x", column, line_color=colour, line_width=1.5, source=source)
        points = drawn.scatter("x", column, marker=marker, size=size, line_color=colour, line_width=2,
                               fill_color=colour if column == "learned" else None, source=source)  # fmt: skip
        items.append((words, [line, points]))
        _hover(drawn, points, ("step", "@step"), (words, f"@{column}{{0.0000}}"))
    _legend(drawn, 1, [*items, ("optimum", [_optimum(drawn, "split optimum")])])


def _optimum(drawn: Any, name: str) -> Any:
    return drawn.line(
        "x", "number", line_color=BLACK, line_dash="dashed", line_width=1, source=_source(name, "x", "number")
    )


def _steps_figure(name: str, y: str, last: int) -> Any:
    """A figure over steps, by log(1 + step): most happens early."""
    end = float(np.log10(1 + last)) or 1.0
    drawn = _figure(name, "gradient steps, by log(1 + step)", y, 280, x_range=(-0.03 * end, 1.03 * end),
                    y_range=(0, 1))  # fmt: skip
    decades = [digit * 10**power for power in range(10) for digit in (1, 2, 5)]
    steps = [0, *(step for step in decades if step <= last)]
    if last > 5000:  # ticks that do not touch
        steps = [0, *(10**power for power in range(10) if 10**power <= last)]
    ticks = [float(np.log10(1 + step)) for step in steps]
    drawn.xaxis.ticker = FixedTicker(ticks=ticks)
    drawn.xaxis.major_label_overrides = {tick: f"{step:,}" for tick, step in zip(ticks, steps, strict=True)}
    now = _source(f"{name} now", "x", "low", "high")
    drawn.segment("x", "low", "x", "high", line_color=VERMILION, line_dash="dotted", line_width=1.5, source=now)
    return drawn
