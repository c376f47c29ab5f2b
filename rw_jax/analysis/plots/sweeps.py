"""The figures of any sweep."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from absl import logging
from matplotlib.figure import Figure

from rw_jax.analysis.plots.drawing import (
    COLOURS,
    OPTIMUM,
    STYLE,
    Picture,
    as_matrix,
    band,
    bars,
    direction,
    drawn_runs,
    estimate_columns,
    label_slots,
    label_text,
    legend_below,
    line_styles,
    runs_by_p,
    save,
    set_title,
    show_attention,
    show_matrix,
    unit_value_matrices,
)
from rw_jax.analysis.run import Run, metric_of
from rw_jax.study.config import Scalar
from rw_jax.study.grid import recorded_steps
from rw_jax.training.train import transition_to_compare

_LARGEST_NUMBER_OF_SETTINGS = 6


def write_figures(run: Run, folder: Path) -> None:
    """All figures of a sweep, for each setting, at most six settings."""
    every = settings(run)
    if len(every) > _LARGEST_NUMBER_OF_SETTINGS:
        logging.info("figures show the first %d of %d settings", _LARGEST_NUMBER_OF_SETTINGS, len(every))
    for labels in every[:_LARGEST_NUMBER_OF_SETTINGS]:
        suffix = "".join(f"_{axis}={label_text(label)}" for axis, label in labels.items())
        by_p = runs_by_p(run, labels)
        if len(by_p) > 1:
            save(*accuracy_against_p(run, **labels), folder / f"accuracy_against_p{suffix}")
        save(*curves(run, **labels), folder / f"curves{suffix}")
        if not any(cells[0].config.model.feed_forward_width for cells in by_p.values()):
            # The units of a feed-forward layer come in any order: a mean over seeds says nothing.
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
        for cell in run.grid.cells
    )
    return [dict(combination) for combination in dict.fromkeys(combinations)]


@mpl.rc_context(STYLE)
def accuracy_against_p(run: Run, **labels: Scalar) -> Picture:
    """Test accuracy, expected accuracy and the optimum after the last step, against p."""
    by_p = runs_by_p(run, labels)
    ps = np.array(list(by_p))
    numbers = {
        name: estimate_columns(np.stack([metric_of(run, name, cells)[:, -1] for cells in by_p.values()], axis=1))
        for name in ("accuracy", "expected_accuracy", "optimal_accuracy")
    }
    figure = Figure(figsize=(4.8, 3.5), layout="constrained")
    axes = figure.subplots()
    if run.config.task.name == "circle":
        fine = np.union1d(np.linspace(ps.min(), ps.max(), 201), ps)
        axes.plot(fine, np.maximum(fine, 1 - fine), label="optimum max(p, 1 − p)", **OPTIMUM)
    else:
        axes.plot(ps, numbers["optimal_accuracy"]["mean"], label="optimum", **OPTIMUM)
    band(axes, ps, numbers["expected_accuracy"], color=COLOURS[5], linewidth=2, label="expected accuracy")
    bars(axes, ps, numbers["accuracy"], color=COLOURS[1], marker="o", markersize=4, label="accuracy")
    chance = [1 / cells[0].config.task.num_nodes for cells in by_p.values()]
    axes.plot(ps, chance, color="grey", linestyle=":", linewidth=1, label="chance 1/K")
    axes.set(xlabel="p", ylabel="share of test walks predicted", ylim=(0, 1.03))
    legend_below(figure, axes, columns=2)
    set_title(figure, run, by_p)
    return figure, pd.concat([table.assign(metric=name, p=ps) for name, table in numbers.items()], ignore_index=True)


@mpl.rc_context(STYLE)
def curves(run: Run, **labels: Scalar) -> Picture:
    """Accuracy and mean attention on the direct parent against the step, for the config's `figures.p`."""
    by_p, numbers = drawn_runs(run, labels), []
    figure = Figure(figsize=(7.0, 3.1), layout="constrained")
    accuracy_axes, parent_axes = figure.subplots(1, 2)
    for place, ((p, cells), style) in enumerate(zip(by_p.items(), line_styles(by_p), strict=True)):
        steps = recorded_steps(cells[0].config)
        tables = {
            name: estimate_columns(metric_of(run, name, cells))
            for name in ("accuracy", "optimal_accuracy", "parent_attention")
        }
        gap = max(len(steps) // 10, 1)
        style["markevery"] = (place * gap // len(by_p), gap)  # the markers of lines that coincide stand side by side
        band(accuracy_axes, steps, tables["accuracy"], **style, label=f"p = {label_text(p)}")
        band(parent_axes, steps, tables["parent_attention"], **style)
        accuracy_axes.plot(steps, tables["optimal_accuracy"]["mean"], **OPTIMUM)
        numbers += [table.assign(metric=name, p=p, step=steps) for name, table in tables.items()]
    accuracy_axes.lines[-1].set_label("optimum")
    accuracy_axes.set(xlabel="gradient descent steps", ylabel="accuracy", ylim=(0, 1.03))
    parent_axes.set(xlabel="gradient descent steps", ylabel="attention on the direct parent", ylim=(-0.03, 1.03))
    for axes in (accuracy_axes, parent_axes):
        axes.locator_params("x", integer=True)
    legend_below(figure, accuracy_axes)
    set_title(figure, run, by_p)
    return figure, pd.concat(numbers, ignore_index=True)


@mpl.rc_context(STYLE)
def value_matrices(run: Run, **labels: Scalar) -> Picture:
    """The value matrix after the last step above Pi^T and its elementwise square root, for the config's `figures.p`.

    It stands alone where it is not to be compared with Pi^T (`train.transition_to_compare`).
    All are scaled to unit Frobenius norm; the value matrix is then averaged over all seeds, those that failed to learn
    included. It is left blank where it has no direction, being zero or not finite.
    """
    by_p, numbers = drawn_runs(run, labels), []
    columns = []
    for p, cells in by_p.items():
        learned = unit_value_matrices(run, cells, cells[0].config.training.steps)
        transition = transition_to_compare(cells[0].config, p)
        references = {}
        if transition is not None:
            exact = np.asarray(transition).T
            references = {"transition": direction(exact), "sqrt_transition": direction(np.sqrt(exact))}
        columns.append((p, [as_matrix(learned, "mean"), *references.values()]))
        numbers.append(learned.assign(p=p, **{name: reference.ravel() for name, reference in references.items()}))
    rows = len(columns[0][1])
    figure = Figure(figsize=(max(1.4 * len(by_p) + 1.4, 3.4), max(1.4 * rows + 0.7, 2.8)), layout="constrained")
    panels = figure.subplots(rows, len(by_p), squeeze=False)
    entries = np.concatenate([np.ravel(matrix) for _, matrices in columns for matrix in matrices])
    limits = {"vmin": min(0.0, np.nanmin(entries)), "vmax": np.nanmax(entries)}
    for (p, matrices), column in zip(columns, panels.T, strict=True):
        for matrix, panel in zip(matrices, column, strict=True):
            image = show_matrix(panel, matrix, **limits)
            panel.label_outer()
        column[0].set_title(f"p = {label_text(p)}")
        column[-1].set_xlabel("state now")
    for panel, name in zip(panels[:, 0], (r"$V$", r"$\Pi^{\sf T}$", r"$\sqrt{\Pi^{\sf T}}$"), strict=False):
        panel.set_ylabel(f"{name}\nnext state")
    figure.colorbar(image, ax=panels, shrink=0.6, label="entry at unit norm")
    set_title(figure, run, by_p, "V is the mean over all {seeds}, each at unit norm")
    return figure, pd.concat(numbers, ignore_index=True)


@mpl.rc_context(STYLE)
def attention_against_position(run: Run, **labels: Scalar) -> Picture:
    """Mean attention of every slot after the last step, and a zoom at the last ones, for the config's `figures.p`."""
    by_p, numbers = drawn_runs(run, labels), []
    figure = Figure(figsize=(7.0, 3.1), layout="constrained")
    whole, zoom = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.25))
    longest = 0
    dodges = np.linspace(-0.25, 0.25, len(by_p)) if len(by_p) > 1 else [0.0]
    for (p, cells), style, dodge in zip(by_p.items(), line_styles(by_p), dodges, strict=True):
        weights = [run.mean_attention(step=cell.config.training.steps, **cell.labels) for cell in cells]
        table = estimate_columns(np.stack(weights))
        longest = max(longest, len(table))
        show_attention(whole, zoom, table, dodge, {**style, "label": f"p = {label_text(p)}"})
        numbers.append(table.assign(p=p, slot=np.arange(1, len(table) + 1)))
    label_slots(whole, zoom, longest)
    legend_below(figure, zoom)
    set_title(figure, run, by_p)
    return figure, pd.concat(numbers, ignore_index=True)
