"""The figures of the paper, each with its pictures and its claims."""

import functools

from rw_jax.reports.paper.figures import fig2, gaussian, losses, questions, walks
from rw_jax.reports.reproduction import PaperFigure

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
