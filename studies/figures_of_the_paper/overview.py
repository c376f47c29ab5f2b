"""The overview: accuracy in several figures of the paper."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from rw_jax import Run
from rw_jax.analysis.plots.drawing import OPTIMUM, Picture, band, estimate_columns, line_styles, set_letters, styled
from rw_jax.study.fields import Scalar
from studies.figures import STEPS, one


class Curve(NamedTuple):
    """A curve of the overview: of the run of a config, the seeds that have one p and these labels."""

    config: str
    labels: dict[str, Scalar]
    p: float
    name: str


PANELS = {
    "figures 4 and 5: K = 6": (Curve("fig4", {}, 0.5, "p = 0.5"), Curve("fig5", {}, 1.0, "p = 1")),
    "figures 8 and 9: K = 20": (Curve("fig8", {}, 0.5, "p = 0.5"), Curve("fig9", {}, 1.0, "p = 1")),
    "figure 5, cross-entropy, η = 10": (
        Curve("fig5_losses", {"loss": "cross_entropy", "learning_rate": 10.0}, 1.0, "p = 1"),
    ),
    "figure 6, loss summed,\nstart of scale 1e-5": (
        Curve("fig6_small_start", {}, 0.5, "p = 0.5"), Curve("fig6_small_start", {}, 1.0, "p = 1"),
    ),
    "figure 7:\nquestions": (
        Curve("fig7", {"task": "majority"}, 0.5, "Task 1"), Curve("fig7", {"task": "preference"}, 0.5, "Task 2"),
    ),
    "figure 10:\nfeed-forward layer": (
        Curve("fig10", {"task": "majority"}, 0.5, "Task 1"), Curve("fig10", {"task": "preference"}, 0.5, "Task 2"),
    ),
}  # fmt: skip
"""By title, the curves of each panel."""


@styled()
def overview(runs: Mapping[str, Run], panels: Mapping[str, Sequence[Curve]]) -> Picture:
    """Accuracy against the step for several figures of the paper, by title, from finished runs by their config."""
    numbers = []
    figure = Figure(figsize=(7.6, 4.6), layout="constrained")
    for (title, drawn), axes in zip(panels.items(), figure.subplots(2, len(panels) // 2).flat, strict=True):
        for curve, style in zip(drawn, line_styles(drawn), strict=True):
            group = one(runs[curve.config], p=curve.p, **curve.labels)
            steps = group.steps
            style["markevery"] = max(len(steps) // 6, 1)
            table, optimum = (estimate_columns(group.metric(name)) for name in ("accuracy", "optimal_accuracy"))
            band(axes, steps, table, **style, label=f"{curve.name}, {len(group.cells)} seeds")
            axes.plot(steps, optimum["mean"], **OPTIMUM)
            numbers.append(table.assign(figure=title, curve=curve.name, step=steps, optimum=optimum["mean"]))
        axes.set(title=title, xlabel=STEPS, ylabel="accuracy", ylim=(0, 1.03))
        axes.legend(loc="center left", bbox_to_anchor=(0.08, 0.76))  # where no curve of the paper's figures runs
    set_letters(figure.axes)
    figure.suptitle("Accuracy in six figures of the paper: mean and 95% interval over seeds; dashed: optimum",
                    fontsize=9, fontweight="bold")  # fmt: skip
    return figure, pd.concat(numbers, ignore_index=True)
