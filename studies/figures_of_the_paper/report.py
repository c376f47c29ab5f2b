"""The figures of the paper, each with its pictures and its claims, which the report judges seed by seed."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ml_collections import ConfigDict

import rw_jax
from rw_jax import Run
from rw_jax.analysis.plots.drawing import Picture
from rw_jax.study.config import Config
from rw_jax.study.flags import from_config_dict
from studies.claim import Claim
from studies.figures_of_the_paper import fig2, gaussian, losses, questions, walks
from studies.figures_of_the_paper.overview import PANELS, overview
from studies.rules import ShareOfSeeds
from studies.study import Exhibit, Study
from studies.sweeps import FromFile, sweep_of


class PaperFigure(NamedTuple):
    """A figure of the paper, or what stands in for one.

    Attributes:
      name: how it is asked for, and the name of its section.
      config: the name of its config file, and of its sweep.
      what: what it is about.
      pictures: by file name, functions from the run to a picture and its numbers.
      claims: from the config of the run, the claims on its seeds.
    """

    name: str
    config: str
    what: str
    pictures: Mapping[str, Callable[[Run], Picture]]
    claims: Callable[[Config], Sequence[Claim]]


FIGURES = (
    PaperFigure("fig2", "fig2", "transition matrices", {"fig2": fig2.transition_matrices}, fig2.transition_claims),
    PaperFigure("fig4", "fig4", "p = 0.5, K = 6", {"fig4": walks.walk_learning}, walks.random_walk_claims),
    PaperFigure("fig5", "fig5", "p = 1, K = 6", {"fig5": walks.walk_learning}, walks.deterministic_walk_claims),
    PaperFigure(
        "fig5_losses", "fig5_losses", "p = 1 with other losses and learning rates (Theorem 4.1)",
        {"fig5_losses": losses.losses_and_rates}, losses.loss_and_rate_claims,
    ),
    PaperFigure("fig6", "fig6", "Gaussian start", {"fig6": gaussian.gaussian_start}, gaussian.gaussian_start_claims),
    PaperFigure(
        "fig6_readings", "fig6_readings", "Gaussian start in every reading", {"fig6_readings": gaussian.readings},
        gaussian.readings_claims,
    ),
    PaperFigure(
        "fig6_sum", "fig6_sum", "figures 6 and 11 to 13, loss summed over walks", gaussian.PICTURES,
        gaussian.every_gaussian_claim,
    ),
    PaperFigure(
        "fig6_small_start", "fig6_small_start", "figures 6 and 11 to 13, loss summed, start of scale 1e-5",
        gaussian.PICTURES, gaussian.every_gaussian_claim,
    ),
    PaperFigure("fig7", "fig7", "questions", {"fig7": questions.questions}, questions.question_claims),
    PaperFigure(
        "fig7_sampled", "fig7_sampled", "questions, 1000 samples",
        {"fig7_sampled": questions.questions}, questions.question_claims,
    ),
    PaperFigure("fig8", "fig8", "p = 0.5, K = 20", {"fig8": walks.walk_learning}, walks.random_walk_claims),
    PaperFigure("fig9", "fig9", "p = 1, K = 20", {"fig9": walks.walk_learning}, walks.deterministic_walk_claims),
    PaperFigure(
        "fig10", "fig10", "questions, feed-forward layer", {"fig10": questions.questions}, questions.question_claims,
    ),
    PaperFigure(
        "fig10_sampled", "fig10_sampled", "questions, feed-forward layer, 1024 samples",
        {"fig10_sampled": questions.questions}, questions.question_claims,
    ),
    PaperFigure(
        "fig10_readings", "fig10_readings", "questions, feed-forward layer, in every reading",
        {"fig10_readings": questions.question_readings}, questions.question_readings_claims,
    ),
    PaperFigure(
        "fig11", "fig6", "Gaussian start, p = 0.5: V and X S",
        {"fig11_values": functools.partial(gaussian.value_snapshots, p=0.5),
         "fig11_tokens": functools.partial(gaussian.token_snapshots, p=0.5)},
        gaussian.gaussian_half_claims,
    ),
    PaperFigure(
        "fig12", "fig6", "Gaussian start, p = 1: V", {"fig12": functools.partial(gaussian.value_snapshots, p=1.0)},
        gaussian.gaussian_value_claims,
    ),
    PaperFigure(
        "fig13", "fig6", "Gaussian start, p = 1: X S", {"fig13": functools.partial(gaussian.token_snapshots, p=1.0)},
        gaussian.gaussian_token_claims,
    ),
)  # fmt: skip
"""Every figure, in the paper's order."""


def quick(config: ConfigDict) -> None:
    """Two seeds, on few short walks."""
    config.grid.seed, config.record.every = (0, 1), 50
    if config.task.name == "circle" and config.grid.task is None:
        config.task.walk_length, config.task.walks, config.task.test_walks = 13, 20, 20


def claims_of(figure: PaperFigure, sweep: FromFile) -> tuple[Claim, ...]:
    """The claims of a figure, as they stand in its section."""
    shared = {"section": figure.name, "reference": figure.name, "setting": figure.what, "sweeps": (sweep,)}
    config = from_config_dict(rw_jax.read_config(sweep.file))
    return tuple(
        dataclasses.replace(claim, name=f"{figure.name}-{number}", statistic=_STATISTIC, **shared)
        for number, claim in enumerate(figure.claims(config), 1)
    )


_STATISTIC = "A number of each seed: its mean over seeds, or its median where some are infinite."


def _file(figure: PaperFigure, picture: str) -> str:
    """The name of the files of a picture: that of the figure comes first."""
    return picture if picture.startswith(figure.name) else f"{figure.name}_{picture}"


def study() -> Study:
    """The paper, figure by figure."""
    names = dict.fromkeys(figure.config for figure in FIGURES)
    sweeps = {name: sweep_of(__file__, name, quick) for name in names}
    exhibits = [
        Exhibit(
            name=_file(figure, name), title=figure.what, make=draw, sweeps=(sweeps[figure.config],), section=figure.name
        )
        for figure in FIGURES
        for name, draw in figure.pictures.items()
    ]
    shown = tuple(dict.fromkeys(curve.config for curves in PANELS.values() for curve in curves))
    return Study(
        name="figures",
        title="The paper, figure by figure",
        introduction=(
            f"A claim is a range for one number of each seed. {ShareOfSeeds.tolerance} Brackets are 95% intervals: "
            "t intervals of means, order statistics of medians."
        ),
        claims=tuple(claim for figure in FIGURES for claim in claims_of(figure, sweeps[figure.config])),
        exhibits=(
            *exhibits,
            Exhibit(
                name="overview",
                title="Accuracy in several figures of the paper",
                make=lambda *runs: overview(dict(zip(shown, runs, strict=True)), PANELS),
                sweeps=tuple(sweeps[name] for name in shown),
            ),
        ),
    )
