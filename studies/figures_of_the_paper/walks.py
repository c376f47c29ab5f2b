"""Figures 4, 5, 8 and 9: walks from a zero start."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax import Run
from rw_jax.analysis.measures import direction
from rw_jax.analysis.numbers import label
from rw_jax.analysis.plots.drawing import (
    COLOURS,
    OPTIMUM,
    WITH_SINGLE_SEEDS,
    Picture,
    as_matrix,
    band,
    estimate_columns,
    label_slots,
    legend_below,
    paper_says,
    set_letters,
    set_title,
    show_attention,
    show_matrix,
    single_seeds,
    styled,
    unit_value_matrices,
)
from rw_jax.analysis.statistics import rate_interval
from rw_jax.study.config import Config
from rw_jax.study.fields import Scalar
from studies.claim import Claim, of_seeds
from studies.evidence import transition_matrix
from studies.figures import STEPS, one

ALL_ONES = 0.2
"""What is within this distance of all-ones, both at unit norm, looks like it; the distance of Pi^T is about 1."""


PAPER: Mapping[float, Callable[[int], float]] = {0.5: lambda K: 0.5, 1.0: lambda K: 1 / K}
"""The accuracy after the last step that the paper reports, by p: (K) -> it."""


@styled()
def walk_learning(run: Run) -> Picture:
    """Figures 4, 5, 8 and 9: accuracy against the step, V beside Pi^T, mean attention against the slot and its zoom."""
    group = one(run)
    p, steps, last = group.config.task.p, group.steps, group.config.training.steps
    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    panels = figure.subplot_mosaic([["accuracy", "V", "transition"], ["whole", "zoom", "zoom"]])
    style = {"color": COLOURS[0], "marker": None, "linewidth": 1.2}

    accuracy, optimum = (estimate_columns(group.metric(name)) for name in ("accuracy", "optimal_accuracy"))
    singles = single_seeds(panels["accuracy"], group, "accuracy", style["color"])
    band(panels["accuracy"], steps, accuracy, **style, label="accuracy")
    if p in PAPER:
        paper_says(panels["accuracy"], steps[-1], PAPER[p](group.config.task.num_nodes))
    panels["accuracy"].plot(steps, optimum["mean"], label="optimum", **OPTIMUM)
    panels["accuracy"].set(xlabel=STEPS, ylabel="accuracy", ylim=(0, 1.03))

    value = unit_value_matrices(group, last)
    transition = direction(transition_matrix(group).T)
    learned = as_matrix(value, "mean")
    limits = {"vmin": min(0.0, learned.min()), "vmax": max(learned.max(), transition.max())}
    for name, matrix, title in (("V", learned, "$V$, mean of all"), ("transition", transition, r"$\Pi^{\sf T}$")):
        image = show_matrix(panels[name], matrix, **limits)
        panels[name].set(xlabel="state now", ylabel="next state", title=title)
    figure.colorbar(image, ax=panels["transition"], shrink=0.8, label="entry at unit norm")

    weights = estimate_columns(np.stack([run.mean_attention(step=last, **cell.labels) for cell in group.cells]))
    show_attention(panels["whole"], panels["zoom"], weights, 0.0, {**style, "marker": "o"})
    label_slots(panels["whole"], panels["zoom"], len(weights))
    top = min(1.03, 1.3 * weights["high"].max())  # equal weights of many tokens are small
    for name in ("whole", "zoom"):
        panels[name].set_ylim(-0.03 * top, top)

    highest = rate_interval(group.metric("parent_is_highest")[:, -1])
    set_letters(panels.values())
    legend_below(figure, panels["accuracy"])
    found = f"{highest.mean:.0%} [{highest.low:.0%}, {highest.high:.0%}]"
    ending = f"{WITH_SINGLE_SEEDS}; D: grey what E shows\nattention is highest on the direct parent for {found} of them"
    set_title(figure, f"Accuracy, V and attention at p = {label(p)}", [group], ending)
    numbers = [
        accuracy.assign(metric="accuracy", step=steps),
        singles.assign(metric="accuracy of a seed"),
        optimum.assign(metric="optimal_accuracy", step=steps),
        value.assign(metric="value", transition=transition.ravel()),
        weights.assign(metric="attention", slot=np.arange(1, len(weights) + 1)),
        pd.DataFrame([highest]).assign(metric="parent_is_highest", step=last),
    ]
    return figure, pd.concat(numbers, ignore_index=True)


def random_walk_claims(config: Config) -> list[Claim]:
    """Figures 4 and 8: p = 1/2 is learned."""
    last = config.training.steps
    return [
        of_seeds("expected accuracy at step 10 at least 0.48 (optimum 0.5)", at("expected_accuracy", 10), 0.48, 0.51),
        of_seeds(f"the same at step {last}", at("expected_accuracy", last), 0.48, 0.51),
        of_seeds(f"V/|V| within 0.3 of Πᵀ/|Πᵀ| at step {last}", at("value_direction_error", last), 0, 0.3),
        of_seeds(f"attention on the parent at least 0.95 at step {last}", at("parent_attention", last), 0.95, 1),
        of_seeds(f"attention is highest on the parent at step {last}", at("parent_is_highest", last), 1, 1),
    ]


def deterministic_walk_claims(config: Config) -> list[Claim]:
    """Figures 5 and 9: p = 1 is not learned (Theorem 4.1)."""
    K, last = config.task.num_nodes, config.training.steps
    uneven = at("value_uniform_direction_error", last)

    def spread(run):
        return run.metrics["attention_spread"].max("step", skipna=False).values

    return [
        of_seeds(f"accuracy at step {last} from 1/2 to 3/2 of 1/K", at("accuracy", last), 0.5 / K, 1.5 / K),
        of_seeds(f"V/|V| within {ALL_ONES} of all-ones at step {last}", uneven, 0, ALL_ONES),
        of_seeds("weights of all tokens equal to the last bit at every step", spread, 0, 0),
    ]


def at(metric: str, step: int, **labels: Scalar) -> Callable[[Run], np.ndarray]:
    """The function from a run to a metric of every seed at a recorded step, float[seeds]."""

    def numbers(run: Run) -> np.ndarray:
        values = run.metrics[metric].sel({"step": step, **labels})
        if values.dims != ("seed",):
            raise ValueError(f"labels are {labels}, but must leave the seed as the only axis of {values.dims}.")
        return values.values

    return numbers
