"""Which findings survive small steps."""

from ml_collections import ConfigDict

from studies.claim import Claim
from studies.rules import Within
from studies.small_steps.measures import same_outcomes
from studies.small_steps.pictures import shares
from studies.study import Study
from studies.sweeps import sweep_of


def quick(config: ConfigDict) -> None:
    """Two arms, two rates and flow, few steps of short walks, and two seeds."""
    config.task.walk_length, config.model.position_width, config.task.walks, config.task.test_walks = 25, 125, 50, 50
    config.grid.arm = {name: config.grid.arm[name] for name in ("6 nodes at p = 0.7", "p = 1")}
    for option in list(config.task.options):  # of the chain alone
        del config.task.options[option]
    config.grid.learning_rate, config.grid.steps = (1.0, 0.3, 0.1), (5, 10, 10)
    config.grid.optimizer, config.grid.seed = config.grid.optimizer[-3:], range(2)


SWEEP = sweep_of(__file__, "small_steps", quick)
"""Thirteen conditions by the learning rate."""

CLAIMS = (
    Claim(
        name="small-steps",
        reference="Which findings are about long steps",
        setting=(
            "6 nodes, N = 97, 1,000 walks, M = 1,000, zero start, log-loss, whole walks, but for what the arm says; η "
            "times steps is 50"
        ),
        statement="Seeds do with small steps what they do with η = 1.",
        statistic=(
            "The share of seeds that predict optimally at this rate if, and only if, they do at η = 1, with its 95% "
            "Wilson interval. optimal: that predict optimally at this rate."
        ),
        rule=Within(0.5, 1, "More than half of the seeds, by the whole interval."),
        labels=("arm", "η"),
        sweeps=(SWEEP,),
        measure=same_outcomes,
        draw=shares,
    ),
)

INTRODUCTION = (
    "The paper takes steps of η = 1, so long that attention locks at the second one. Here thirteen conditions that "
    "fail or succeed with η = 1 are trained at rates down to 0.01, for as much time, and by gradient flow: Euler steps "
    "in which no score moves by more than 0.1. Each claim has the verdict of a stated rule. N is the length of a walk, "
    "M the width of positions, η the learning rate, p the probability of a clockwise step. Brackets are 95% intervals."
)


def study() -> Study:
    """The report on small steps."""
    return Study(name="small_steps", title="Small steps", introduction=INTRODUCTION, claims=CLAIMS)
