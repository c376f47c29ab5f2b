"""The figures of any sweep."""

import functools
import numbers as python_numbers
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from absl import logging
from matplotlib.figure import Figure

from rw_jax.analysis.measures import direction
from rw_jax.analysis.numbers import label
from rw_jax.analysis.plots.drawing import (
    COLOURS,
    OPTIMUM,
    Picture,
    as_matrix,
    band,
    bars,
    differing,
    drawn,
    estimate_columns,
    label_slots,
    legend_below,
    line_styles,
    names_of,
    rendered,
    set_title,
    show_attention,
    show_matrix,
    styled,
    told,
    unit_value_matrices,
    write_rendered,
)
from rw_jax.analysis.run import Run, checked_run
from rw_jax.analysis.statistics import mean_interval, of_numbers
from rw_jax.study.config import symbol
from rw_jax.study.errors import RunError
from rw_jax.study.fields import Scalar, shown

_LARGEST_NUMBER_OF_SETTINGS = 6


class Written(NamedTuple):
    """What has come of the figures of a sweep.

    Attributes:
      paths: the files that are written.
      failed: by the name of a figure, why it could not be drawn.
    """

    paths: list[Path]
    failed: dict[str, Exception]


def write_figures(run: Run, folder: Path) -> Written:
    """All figures of a sweep, for each setting, at most six settings; one that cannot be drawn is left out.

    Raises:
      OSError: naming the file, if one cannot be written.
    """
    every, axis = settings(run), main_axis(run)
    if len(every) > _LARGEST_NUMBER_OF_SETTINGS:
        logging.info("figures show the first %d of %d settings", _LARGEST_NUMBER_OF_SETTINGS, len(every))
    written = Written([], {})
    for labels in every[:_LARGEST_NUMBER_OF_SETTINGS]:
        suffix = "".join(f"_{axis}={label(value)}" for axis, value in labels.items())
        groups = run.groups(over="seed", **labels)
        figures: dict[str, Callable[[], Picture]] = {}
        if axis is not None and len(groups) > 1:
            figures[f"accuracy_against_{axis}"] = functools.partial(accuracy_against, run, axis, **labels)
        figures["curves"] = functools.partial(curves, run, **labels)
        # The units of a feed-forward layer come in any order: a mean over seeds says nothing.
        has_units = any(group.config.model.feed_forward_width for group in groups)
        if "value_uniform_direction_error" in run.metrics and not has_units:
            figures["value_matrices"] = functools.partial(value_matrices, run, **labels)
        if "parent_attention" in run.metrics:
            figures["attention"] = functools.partial(attention_against_position, run, **labels)
        for name, draw in figures.items():
            try:
                contents = rendered(*draw())
            except Exception as error:  # the numbers of a finished training are not to wait for a picture
                written.failed[f"{name}{suffix}"] = error
            else:
                written.paths.extend(write_rendered(contents, folder / f"{name}{suffix}"))
    return written


def main_axis(run: Run) -> str | None:
    """The axis that figures have along x: p, or else the first with numbers other than the seed; None if there is none.

    It has more than one label, each once.
    """
    axes = {
        axis: labels
        for axis, labels in checked_run(run).config.grid
        if axis != "seed" and len(labels) > 1 and len(set(labels)) == len(labels)
    }
    numeric = [axis for axis, labels in axes.items() if isinstance(labels[0], python_numbers.Real)]
    return "p" if "p" in numeric else next(iter(numeric), None)


def settings(run: Run) -> list[dict[str, Scalar]]:
    """Every combination of labels on the axes other than the seed, the main one, and those that are paired with it."""
    axis = main_axis(run)
    along = {"seed", axis} | {
        each for dimension in run.grid.dimensions if axis in dimension.axes for each in dimension.axes
    }
    combinations: list[dict[str, Scalar]] = [{}]
    for dimension in run.grid.dimensions:
        if not along & set(dimension.axes):
            combinations = [
                combination | dict(zip(dimension.axes, labels, strict=True))
                for combination in combinations
                for labels in dimension.labels
            ]
    return combinations


@styled()
def accuracy_against(run: Run, axis: str = "p", **labels: Scalar) -> Picture:
    """Test accuracy, expected accuracy and the optimum after the last step, against an axis of numbers.

    Raises:
      RunError: if the runs differ in an axis that is not paired with this one, and is not among the labels.
    """
    if axis not in checked_run(run).grid.axes:
        raise RunError(f"axis is {shown(axis)}, but must be one of the grid: {', '.join(run.grid.axes)}.")
    groups = sorted(run.groups(over="seed", **labels), key=lambda group: group.config.value(axis))
    paired = {each for dimension in run.grid.dimensions if axis in dimension.axes for each in dimension.axes}
    for other in groups[0].labels:
        if other not in paired and len({group.labels[other] for group in groups}) > 1:
            raise RunError(f"{other} is not given, but the runs differ in it; give one of its labels.")
    x = np.array([group.config.value(axis) for group in groups], float)
    numbers = {
        name: pd.DataFrame([of_numbers(mean_interval, group.metric(name)[:, -1]) for group in groups])
        for name in ("accuracy", "expected_accuracy", "optimal_accuracy")
        if name in run.metrics
    }
    figure = Figure(figsize=(4.8, 3.5), layout="constrained")
    axes = figure.subplots()
    if axis == "p" and run.config.task.name == "circle":
        fine = np.union1d(np.linspace(x.min(), x.max(), 201), x)
        axes.plot(fine, np.maximum(fine, 1 - fine), label="optimum max(p, 1 − p)", **OPTIMUM)
    elif "optimal_accuracy" in numbers:
        axes.plot(x, numbers["optimal_accuracy"]["mean"], label="optimum", **OPTIMUM)
    if "expected_accuracy" in numbers:
        band(axes, x, numbers["expected_accuracy"], color=COLOURS[5], linewidth=2, label="expected accuracy")
    bars(axes, x, numbers["accuracy"], color=COLOURS[1], marker="o", markersize=4, label="accuracy")
    chance = [1 / group.config.task.num_nodes for group in groups]
    axes.plot(x, chance, color="grey", linestyle=":", linewidth=1, label="chance 1/K")
    axes.set(xlabel=symbol(axis), ylabel="share of test walks predicted", ylim=(0, 1.03))
    legend_below(figure, axes, columns=2)
    set_title(figure, groups)
    return figure, pd.concat([table.assign(metric=name, **{axis: x}) for name, table in numbers.items()],
                             ignore_index=True)  # fmt: skip


@styled()
def curves(run: Run, **labels: Scalar) -> Picture:
    """Accuracy, and mean attention on the direct parent of a model that has attention, against the step."""
    groups, numbers = drawn(run, **labels), []
    names = [name for name in ("accuracy", "optimal_accuracy", "parent_attention") if name in run.metrics]
    figure = Figure(figsize=(7.0, 3.1), layout="constrained")
    panels = dict(zip(("accuracy", "parent_attention"), figure.subplots(1, 2), strict=True))
    columns = differing(groups)
    lines = zip(groups, names_of(groups), line_styles(groups), strict=True)
    for place, (group, name_of_line, style) in enumerate(lines):
        steps = group.steps
        tables = {name: estimate_columns(group.metric(name)) for name in names}
        gap = max(len(steps) // 10, 1)
        style["markevery"] = (place * gap // len(groups), gap)  # the markers of lines that coincide stand side by side
        band(panels["accuracy"], steps, tables["accuracy"], **style, label=name_of_line or "accuracy")
        if "parent_attention" in tables:
            band(panels["parent_attention"], steps, tables["parent_attention"], **style)
        if "optimal_accuracy" in tables:
            panels["accuracy"].plot(steps, tables["optimal_accuracy"]["mean"], **OPTIMUM)
        numbers += [table.assign(metric=name, **told(group, columns), step=steps) for name, table in tables.items()]
    if "optimal_accuracy" in names:
        panels["accuracy"].lines[-1].set_label("optimum")
    panels["accuracy"].set(xlabel="gradient steps", ylabel="accuracy", ylim=(0, 1.03))
    panels["parent_attention"].set(xlabel="gradient steps", ylabel="attention on the direct parent", ylim=(-0.03, 1.03))
    for axes in panels.values():
        axes.locator_params("x", integer=True)
    legend_below(figure, panels["accuracy"])
    set_title(figure, groups)
    return figure, pd.concat(numbers, ignore_index=True)


@styled()
def value_matrices(run: Run, **labels: Scalar) -> Picture:
    """The value matrix after the last step above Pi^T and its elementwise square root.

    It stands alone where no chain gives the law of the next state. All are scaled to unit Frobenius norm; the value
    matrix is then averaged over all seeds, those that failed to learn included. It is left blank where it has no
    direction, being zero or not finite.
    """
    groups, numbers = drawn(run, **labels), []
    columns, matrices_of = differing(groups), []
    for group in groups:
        learned = unit_value_matrices(group, group.config.training.steps)
        transition_KxK = run.transition_matrix(**group.cells[0].labels)
        references: dict[str, Any] = {}
        if transition_KxK is not None:
            exact = transition_KxK.T
            references = {"transition": direction(exact), "sqrt_transition": direction(np.sqrt(exact))}
        matrices_of.append([as_matrix(learned, "mean"), *references.values()])
        flat = {name: reference.ravel() for name, reference in references.items()}
        numbers.append(learned.assign(**told(group, columns), **flat))
    rows = len(matrices_of[0])
    size = (max(1.4 * len(groups) + 1.4, 3.4), max(1.4 * rows + 0.7, 2.8))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, len(groups), squeeze=False)
    entries = np.concatenate([np.ravel(matrix) for matrices in matrices_of for matrix in matrices])
    limits = {"vmin": min(0.0, np.nanmin(entries)), "vmax": np.nanmax(entries)}
    for name, matrices, column in zip(names_of(groups), matrices_of, panels.T, strict=True):
        for matrix, panel in zip(matrices, column, strict=True):
            image = show_matrix(panel, matrix, **limits)
            panel.label_outer()
        column[0].set_title(name)
        column[-1].set_xlabel("state now")
    for panel, name in zip(panels[:, 0], (r"$V$", r"$\Pi^{\sf T}$", r"$\sqrt{\Pi^{\sf T}}$"), strict=False):
        panel.set_ylabel(f"{name}\nnext state")
    figure.colorbar(image, ax=panels, shrink=0.6, label="entry at unit norm")
    set_title(figure, groups, "V is the mean over all {seeds}, each at unit norm")
    return figure, pd.concat(numbers, ignore_index=True)


@styled()
def attention_against_position(run: Run, **labels: Scalar) -> Picture:
    """Mean attention of every slot after the last step, and a zoom at the last ones."""
    groups, numbers = drawn(run, **labels), []
    figure = Figure(figsize=(7.0, 3.1), layout="constrained")
    whole, zoom = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.25))
    longest, columns = 0, differing(groups)
    dodges = np.linspace(-0.25, 0.25, len(groups)) if len(groups) > 1 else [0.0]
    for group, name, style, dodge in zip(groups, names_of(groups), line_styles(groups), dodges, strict=True):
        table = estimate_columns(np.stack([run.mean_attention(step=None, **cell.labels) for cell in group.cells]))
        longest = max(longest, len(table))
        show_attention(whole, zoom, table, dodge, {**style, "label": name or "mean attention"})
        numbers.append(table.assign(**told(group, columns), slot=np.arange(1, len(table) + 1)))
    label_slots(whole, zoom, longest)
    legend_below(figure, zoom)
    set_title(figure, groups)
    return figure, pd.concat(numbers, ignore_index=True)
