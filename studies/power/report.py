"""What V tends to, for losses that flatten as a power of the output."""

from ml_collections import ConfigDict

from studies.claim import Claim
from studies.power.measures import powers, powers_of_counts, rates
from studies.power.pictures import distances_from_counts, powers_and_distances
from studies.rules import Within
from studies.study import Study
from studies.sweeps import sweep_of


def quick(config: ConfigDict) -> None:
    """Few steps of few arms and exponents."""
    config.training.steps, config.record.parameters = 30, (3, 10)
    config.grid.exponent, config.grid.p = (0.0, 2.0), (0.8,)
    config.grid.arm = {name: config.grid.arm[name] for name in ("base", "η = 10")}


def quick_samples(config: ConfigDict) -> None:
    """Few steps on few short walks, and two seeds."""
    config.training.steps, config.model.position_width = 20, 130
    config.grid.walks, config.task.test_walks = (50, 60), 50
    config.grid.exponent, config.grid.p, config.grid.seed = (0.0, 2.0), (0.8,), range(2)


POPULATION = sweep_of(__file__, "power", quick)
"""All walks of a short circle."""

SAMPLES = sweep_of(__file__, "power_samples", quick_samples)
"""Samples of long walks, on 6 and 20 nodes."""

_SETTING = (
    "all walks of K = 5, N = 8, M = 100; zero start, ε = 1, η = 1, 20,000 steps in float64, but for what the arm says"
)

CLAIMS = (
    Claim(
        name="powers",
        reference="The limit of V for l' = -(f_y + ε)^-a (theory.recursions.one_hot_training)",
        setting=_SETTING,
        statement="Each entry of V + ε is its probability to the power 1 / (1 + a).",
        statistic=(
            "The slope of log(V + ε) in the logarithm of the entry of Πᵀ, over the entries that are not 0, less "
            "1 / (1 + a); where attention has settled on lag k, of Πᵏ. power: the slope itself. Nothing is random."
        ),
        rule=Within(
            -0.02, 0.02, "The largest difference between two exponents that were tried is 0.33, the least 0.08."
        ),
        labels=("arm", "a", "p"),
        sweeps=(POPULATION,),
        measure=powers,
        draw=powers_and_distances,
    ),
    Claim(
        name="rates",
        reference="How fast V tends there",
        setting=_SETTING,
        statement="The direction of V tends to that of the power of Πᵀ as T^(-1 / (1 + a)).",
        statistic=(
            "The exponent of the step in the distance of V/|V| from its limit, by least squares over the last decade, "
            "plus 1 / (1 + a). Nothing is random."
        ),
        rule=Within(-0.1, 0.1, "An exponent of -1 / (1 + a) within 0.1: the next order is still seen at 20,000 steps."),
        labels=("arm", "a", "p"),
        sweeps=(POPULATION,),
        measure=rates,
    ),
    Claim(
        name="counts",
        reference="The same on a sample, at any lag",
        setting=(
            "whole walks; K = 6: N = 97, 1,000 walks; K = 20: N = 101, 3,000 walks; zero start, ε = 1, η = 1, "
            "M = 1,000, 2,000 steps"
        ),
        statement="V + ε tends to the power 1 / (1 + a) of how often token and target meet in the sample.",
        statistic=(
            "Mean over the seeds whose attention has settled, by more than 0.99, of the distance of V + ε from that "
            "power of the counts, both of unit norm, where there are any; its 95% interval. settled: how many seeds; "
            "lags: where. from_square_root: the same from the square root."
        ),
        rule=Within(0, 0.05, "A twentieth of the norm, by the whole interval."),
        labels=("K", "a", "p"),
        sweeps=(SAMPLES,),
        measure=powers_of_counts,
        draw=distances_from_counts,
    ),
)

INTRODUCTION = (
    "The paper says that V tends in direction to the transposed transition matrix Πᵀ. For the log-loss it tends to the "
    "square root. Here the loss flattens as a power: its derivative is -(f_y + ε)^-a, where a = 1 is the log-loss and "
    "a = 0 is minus f_y. The law: with attention on one token, each entry of V tends to its probability to the power "
    "1 / (1 + a). Each claim has the verdict of a stated rule. K is the number of nodes, N the length of a walk, M the "
    "width of positions, η the learning rate, p the probability of a clockwise step. Brackets are 95% intervals."
)


def study() -> Study:
    """The report on what V tends to."""
    return Study(name="power", title="What V tends to", introduction=INTRODUCTION, claims=CLAIMS)
