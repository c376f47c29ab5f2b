"""The figures of any sweep."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis.measures import direction
from rw_jax.analysis.numbers import label
from rw_jax.analysis.plots.drawing import (
    OPTIMUM,
    ZOOM,
    Picture,
    band,
    bars,
    differing,
    drawn,
    estimate_columns,
    label_columns,
    legend_below,
    line_styles,
    name_states,
    names_of,
    rendered,
    set_letters,
    set_title,
    shares,
    show_map,
    show_matrix,
    styled,
    write_rendered,
)
from rw_jax.analysis.plots.success import SUCCESS, accuracy_of, main_axis, success_against, success_over, varied
from rw_jax.analysis.run import Group, Run, checked_run
from rw_jax.study.config import symbol
from rw_jax.study.errors import RunError
from rw_jax.study.fields import Scalar
from rw_jax.study.grid import Cell


class WrittenFigures(NamedTuple):
    """What has come of the figures of a sweep.

    Attributes:
      paths: the files that are written.
      failed: by the name of a figure, why it could not be drawn.
    """

    paths: list[Path]
    failed: dict[str, Exception]


def write_figures(run: Run, folder: Path) -> WrittenFigures:
    """All figures of a sweep; one that cannot be drawn is left out.

    Raises:
      OSError: naming the file, if one cannot be written.
    """
    written, axes, groups = WrittenFigures([], {}), varied(run), run.groups()
    figures: dict[str, Callable[[], Picture]] = {}
    has_accuracy = accuracy_of(run) in run.metrics
    has_success = any(metric in run.metrics for metric in SUCCESS)
    if axes == [main_axis(run)] and (has_success or has_accuracy):
        figures[f"success_against_{axes[0]}"] = functools.partial(success_against, run, axes[0])
    if len(axes) > 1 and (has_success or has_accuracy):
        figures[f"success_over_{axes[0]}_and_{axes[1]}"] = functools.partial(success_over, run, axes[0], axes[1])
    if has_accuracy or "parent_attention" in run.metrics:
        figures["curves"] = functools.partial(curves, run)
    if any(str(name).startswith("value_") for name in run.metrics) and any(map(_has_one_value, groups)):
        figures["value_matrices"] = functools.partial(value_matrices, run)
    if {"parent_attention", "parent_is_highest"} & set(run.metrics):
        figures["attention"] = functools.partial(attention, run)
    for name, draw in figures.items():
        try:
            contents = rendered(*draw())
        except Exception as error:  # the numbers of a finished training are not to wait for a picture
            written.failed[name] = error
        else:
            written.paths.extend(write_rendered(contents, folder / name))
    return written


@styled()
def curves(run: Run, **labels: Scalar) -> Picture:
    """Accuracy, and mean attention on the direct parent of a model that has attention, against the step.

    Beside the means there are single seeds that do not predict optimally in the end, at most five of a setting.
    """
    groups, numbers = drawn(run, **labels), []
    accuracy = accuracy_of(run)
    shown_names = [name for name in (accuracy, "parent_attention") if name in run.metrics]
    if not shown_names:
        raise RunError(
            "There are no curves to draw: none of expected_accuracy, accuracy, parent_attention is a metric of the run."
        )
    names = [*shown_names, *({"optimal_accuracy"} & set(run.metrics) if accuracy in shown_names else ())]
    figure = Figure(figsize=(3.5 * len(shown_names), 3.3), layout="constrained")
    panels = dict(zip(shown_names, figure.subplots(1, len(shown_names), squeeze=False)[0], strict=True))
    columns, failed = differing(groups), False
    for group, name_of_line, style in zip(groups, names_of(groups), line_styles(groups), strict=True):
        steps = group.steps
        tables = {name: estimate_columns(group.metric(name)) for name in names}
        style["marker"] = None
        for name, panel in panels.items():
            band(panel, steps, tables[name], **style, label=name_of_line or "mean over seeds")
            for row in _not_optimal(group)[:5] if len(group) > 1 else []:
                failed = True
                panel.plot(steps, group.metric(name)[row], color=style["color"], linewidth=0.5, linestyle=":")
                seed = group.cells[row].labels.get("seed")
                numbers.append(pd.DataFrame({"mean": group.metric(name)[row], "seed": seed, "metric": name,
                                             **label_columns(group, columns), "step": steps}))  # fmt: skip
        if "optimal_accuracy" in tables:
            panels[accuracy].plot(steps, tables["optimal_accuracy"]["mean"], **OPTIMUM)
        of_group = label_columns(group, columns)
        numbers += [table.assign(metric=name, **of_group, step=steps) for name, table in tables.items()]
    if "optimal_accuracy" in names:
        panels[accuracy].plot([], [], label="optimum", **OPTIMUM)
    if failed:
        panels[shown_names[0]].plot([], [], ":", color="grey", linewidth=0.8, label="a seed that is not optimal")
    labels_of = {accuracy: accuracy.replace("_", " "), "parent_attention": "attention on the direct parent"}
    for name, panel in panels.items():
        panel.set(xlabel="gradient steps", ylabel=labels_of[name], ylim=(-0.03, 1.03))
        last = max(group.config.training.steps for group in groups)
        if last > 20:  # the first ten steps are where most happens
            panel.set_xscale("symlog", linthresh=10, linscale=1.5)
            panel.set_xlim(-0.3, last)
            panel.set_xlabel("gradient steps, logarithmic from 10 on")
            ticks = [0, 2, 4, 6, 8, 10, *(10 * 10**i * factor for i in range(8) for factor in (2, 5, 10))]
            panel.set_xticks([tick for tick in ticks if tick <= last], minor=False)
            panel.set_xticks([], minor=True)
            panel.xaxis.set_major_formatter("{x:g}")
        else:
            panel.locator_params("x", integer=True)
    set_letters(panels.values())
    legend_below(figure, panels[shown_names[0]])
    seen = " and ".join(dict.fromkeys(labels_of[name] for name in shown_names))
    ending = "means and 95% intervals over {seeds}"
    if failed:
        ending += "; of seeds that are not optimal, five of a setting at most"
    set_title(figure, f"{seen[0].upper()}{seen[1:]} during training", groups, ending)
    return figure, pd.concat(numbers, ignore_index=True)


def _not_optimal(group: Group) -> np.ndarray:
    """The rows of the runs of a group that do not predict optimally in the end; none where it is not known."""
    if "predicts_optimally" not in group.run.metrics:
        return np.zeros(0, int)
    return np.flatnonzero(group.metric("predicts_optimally")[:, -1] != 1)  # NaN of one that has diverged


@styled()
def value_matrices(run: Run, **labels: Scalar) -> Picture:
    """The value matrix of single seeds after the last step above Pi^T and its elementwise square root.

    The first seed that predicts optimally, and the first that does not, where there are such; the first of all where it
    is not known. All are at unit Frobenius norm; one without a direction, being zero or not finite, is left blank.
    Runs whose model has no single square V, as those of several heads, are left out.

    Raises:
      RunError: if no run has one.
    """
    groups, numbers = list(filter(_has_one_value, drawn(run, **labels))), []
    if not groups:
        raise RunError("There is nothing to draw: no run has a single square V.")
    columns, counts = differing(groups), []
    rows: dict[str, list[np.ndarray | None]] = {}
    for place, group in enumerate(groups):
        matrices, seeds = _value_matrices_of(group)
        counts.append(f"{len(group) - len(_not_optimal(group))} of {len(group)} optimal")
        for name, matrix in matrices.items():
            rows.setdefault(name, [None] * len(groups))[place] = matrix
        size = next(iter(matrices.values())).shape
        following, now = np.indices(size).reshape(2, -1)
        flat = {name: matrix.ravel() for name, matrix in matrices.items()}
        numbers.append(pd.DataFrame({**flat, **seeds, **label_columns(group, columns), "next": following, "now": now}))
    order = [name for name in _ROWS if name in rows]
    size = (max(1.45 * len(groups) + 1.4, 4.2), max(1.4 * len(order) + 1.1, 2.8))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(order), len(groups), squeeze=False)
    entries = np.concatenate([matrix.ravel() for each in rows.values() for matrix in each if matrix is not None])
    finite = entries[np.isfinite(entries)]
    limits = {"vmin": min(0.0, finite.min(initial=0.0)), "vmax": finite.max(initial=1e-9)}
    image: Any = None
    for name, line in zip(order, panels, strict=True):
        for group, matrix, panel in zip(groups, rows[name], line, strict=True):
            if matrix is None:
                panel.set_axis_off()
                panel.text(0.5, 0.5, "none", ha="center", transform=panel.transAxes)
                continue
            image = show_matrix(panel, matrix, **limits)
            name_states(panel, run.vocabulary(**group.cells[0].labels))
        line[0].set_ylabel(f"{_ROWS[name]}\n\nnext state", visible=True)
    known = "predicts_optimally" in run.metrics
    for name, count, column in zip(names_of(groups), counts, panels.T, strict=True):
        column[0].set_title("\n".join(filter(None, (name, count if known else ""))), visible=True)
        column[-1].set_xlabel("state now")
    figure.colorbar(image, ax=panels, shrink=0.6, label="entry at unit norm")
    set_title(figure, "What single seeds have learned: the value matrix V", groups,
              "V of the first seed of each kind, of {seeds}; each matrix at unit norm")  # fmt: skip
    return figure, pd.concat(numbers, ignore_index=True)


_ROWS = {
    "optimal": "V of a seed\nthat is optimal",
    "not_optimal": "V of a seed\nthat is not",
    "first": "V of the\nfirst seed",
    "transition": r"$\Pi^{\sf T}$",
    "sqrt_transition": "square root\n" + r"of $\Pi^{\sf T}$",
}


def _has_one_value(group: Group) -> bool:
    """Whether V maps states to states: the units of a feed-forward layer, say, come in any order."""
    cell, K = group.cells[0], group.config.task.num_nodes
    if group.config.model.feed_forward_width:
        return False
    try:
        return np.shape(group.run.value_matrix(step=cell.config.training.steps, **cell.labels)) == (K, K)
    except RunError:  # several heads or layers have none
        return False


def _value_matrices_of(group: Group) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The matrices of a group that are shown, at unit norm, and the seeds whose V they are."""
    wrong = set(_not_optimal(group).tolist())
    right = [row for row in range(len(group)) if row not in wrong]
    if "predicts_optimally" not in group.run.metrics:
        shown_rows = {"first": 0}
    else:
        shown_rows = {
            name: next(iter(rows)) for name, rows in (("optimal", right), ("not_optimal", sorted(wrong))) if rows
        }
    cells: dict[str, Cell] = {name: group.cells[row] for name, row in shown_rows.items()}
    last = group.config.training.steps
    matrices = {name: direction(group.run.value_matrix(step=last, **cell.labels)) for name, cell in cells.items()}
    seeds = {f"seed_{name}": cell.labels.get("seed", cell.config.seed) for name, cell in cells.items()}
    transition_KxK = group.run.target_law(**group.cells[0].labels)
    if transition_KxK is not None:
        exact = transition_KxK.T
        matrices |= {"transition": direction(exact), "sqrt_transition": direction(np.sqrt(exact))}
    return matrices, seeds


@styled()
def attention(run: Run, **labels: Scalar) -> Picture:
    """Mean attention of every slot after the last step, of single seeds, and the share of seeds that attend most to it.

    At most thirty seeds of a setting are drawn; the share is of all.
    """
    groups, numbers = drawn(run, **labels), []
    figure = Figure(figsize=(7.0, 3.3), layout="constrained")
    whole, zoom = figure.subplots(1, 2, width_ratios=(1, 1.2))
    longest, columns, lowest = 0, differing(groups), 1.0
    dodges = np.linspace(-0.25, 0.25, len(groups)) if len(groups) > 1 else [0.0]
    for group, name, style, dodge in zip(groups, names_of(groups), line_styles(groups), dodges, strict=True):
        weights = np.stack([run.mean_attention(step=None, **cell.labels) for cell in group.cells])
        length = weights.shape[1]
        longest, slots = max(longest, length), np.arange(1, length + 1)
        lowest = min(lowest, 1 / max(length - 1, 1))
        for seed_weights in weights[:30]:
            whole.plot(slots, seed_weights, color=style["color"], linewidth=0.6, alpha=0.4)
        is_highest = weights == np.nanmax(weights, axis=1, keepdims=True, initial=-1.0)
        is_highest &= is_highest.sum(axis=1, keepdims=True) == 1  # of equal weights none is the highest
        highest = shares(np.where(np.isnan(weights).any(axis=1, keepdims=True), np.nan, is_highest))
        last = min(ZOOM - 1, length)
        earlier = shares(np.where(np.isnan(weights).any(axis=1), np.nan, is_highest[:, :-last].any(axis=1))[:, None])
        table = pd.concat([earlier, highest.tail(last)], ignore_index=True)
        points = {"color": style["color"], "marker": style["marker"], "label": name or "share of seeds"}
        bars(zoom, np.arange(-last, 1) + dodge, table, **points)
        numbers.append(
            estimate_columns(weights).assign(
                **label_columns(group, columns), slot=slots, highest=highest["mean"], highest_low=highest["low"],
                highest_high=highest["high"],
            )
        )  # fmt: skip
    whole.axhline(lowest, color="black", linestyle="--", linewidth=0.8)
    whole.annotate("1/(N − 1)", (1, lowest), (2, 3), textcoords="offset points", fontsize=7)
    whole.set(xlabel="slot", ylabel="mean attention weight, each seed", yscale="log", ylim=(lowest / 100, 1.5))
    names = {-1: "N−1\nparent", 0: "N\nempty", 1 - ZOOM: "earlier"}
    words = [names.get(place, f"N−{-place}\n") for place in range(1 - ZOOM, 1)]
    zoom.set_xticks(range(1 - ZOOM, 1), words, fontsize=7)
    zoom.set(xlabel="slot with the highest weight", ylabel="share of seeds", ylim=(-0.03, 1.03))
    set_letters((whole, zoom))
    legend_below(figure, zoom)
    each = "each of the first 30 of {seeds}" if max(map(len, groups)) > 30 else "each of {seeds}"
    set_title(figure, "Where attention has gone after the last step", groups,
              f"A: {each}; B: shares, 95% intervals; equal weights not counted")  # fmt: skip
    return figure, pd.concat(numbers, ignore_index=True)


@styled()
def attention_maps(run: Run, *, step: int | None = None, **labels: Scalar) -> Picture:
    """Attention of every slot of a decoder to every slot, mean over the test walks of one run: a map for each head.

    Raises:
      RunError: as `Run.attention_maps`.
    """
    maps = checked_run(run).attention_maps(None, step=step, **labels).mean(axis=0)
    num_layers, num_heads, num_slots = maps.shape[:3]
    figure = Figure(figsize=(0.9 + 2.2 * num_heads, 0.8 + 2.1 * num_layers), layout="constrained")
    panels, slots = figure.subplots(num_layers, num_heads, squeeze=False), [str(i + 1) for i in range(num_slots)]
    for (layer, head), panel in np.ndenumerate(panels):
        image = show_map(panel, maps[layer, head], slots, slots)
        panel.set(xlabel="slot looked at", ylabel="slot that looks")
        panel.set_title(f"layer {layer}, head {head}", fontsize=8)
    figure.colorbar(image, ax=panels, label="attention weight", shrink=0.8)
    of_run = ", ".join(f"{symbol(axis)} = {label(each)}" for axis, each in run.cell(**labels).labels.items())
    figure.suptitle(f"Which slot each head looks at{f', {of_run}' if of_run else ''}", fontsize=9)
    layers, heads, looks, at = np.indices(maps.shape)
    names = {"layer": layers, "head": heads, "slot": looks + 1, "looks_at": at + 1, "weight": maps}
    return figure, pd.DataFrame({name: array.ravel() for name, array in names.items()})
