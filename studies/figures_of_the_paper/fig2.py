"""Figure 2: the transition matrices."""

import functools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax import Run
from rw_jax.analysis.measures import transition_shares
from rw_jax.analysis.numbers import label
from rw_jax.analysis.plots.drawing import Picture, estimate_columns, set_letters, set_title, show_matrix, styled
from rw_jax.study.config import Config
from studies.claim import Claim, of_seeds
from studies.evidence import transition_matrix
from studies.figures import by_p, one


@styled()
def transition_matrices(run: Run) -> Picture:
    """Figure 2: Pi for each p above the share of transitions in the test walks."""
    groups, numbers = by_p(run), []
    figure = Figure(figsize=(1.5 * len(groups) + 1.4, 3.6), layout="constrained")
    panels = figure.subplots(2, len(groups), squeeze=False)
    for (p, group), column in zip(groups.items(), panels.T, strict=True):
        exact = transition_matrix(group)
        counted = estimate_columns(transition_shares(group).reshape(len(group.cells), -1))
        for matrix, panel in zip((exact, counted["mean"].to_numpy().reshape(exact.shape)), column, strict=True):
            image = show_matrix(panel, matrix, vmin=0, vmax=1)
            panel.label_outer()
        column[0].set_title(f"p = {label(p)}")
        column[-1].set_xlabel("next state")
        now, following = np.indices(exact.shape).reshape(2, -1)
        numbers.append(counted.assign(p=p, now=now, next=following, transition=exact.ravel()))
    for panel, name in zip(panels[:, 0], (r"$\Pi$", "test walks"), strict=True):
        panel.set_ylabel(f"{name}\nstate now")
    set_letters(panels.flat)
    figure.colorbar(image, ax=panels, shrink=0.8, label="probability, share of the transitions")
    set_title(
        figure,
        "Transition matrices, and the transitions of sampled walks",
        list(groups.values()),
        "shares are means over {seeds}",
    )
    return figure, pd.concat(numbers, ignore_index=True)


def transition_claims(config: Config) -> list[Claim]:
    """Figure 2."""
    return [
        of_seeds(
            f"p = {p:g}: clockwise share of the transitions of the test walks within 0.01 of p",
            functools.partial(clockwise_shares, p=p),
            p - 0.01,
            p + 0.01,
        )
        for p in sorted(map(float, dict(config.grid)["p"]))
    ]


def clockwise_shares(run: Run, p: float) -> np.ndarray:
    """The share of clockwise steps in the test walks of each seed, the mean over states, float[seeds]."""
    shares = transition_shares(one(run, p=p))
    return np.array([np.mean(np.diagonal(np.roll(share, -1, axis=1))) for share in shares])
