"""What breaks the symmetric state of p = 0 and 1: starts, optimizers, losses, walks and curricula."""

import functools

from ml_collections import ConfigDict

from studies.claim import Claim
from studies.evidence import without_intervals
from studies.rules import Within
from studies.study import Study
from studies.sweeps import sweep_of
from studies.symmetry.escape import escape_slope, growth
from studies.symmetry.measures import (
    coordinatewise,
    costs,
    curriculum,
    learns,
    leaves,
    on_one_residue,
    right_at_other_p,
    right_on_shorter,
    stays,
    table_of,
)
from studies.symmetry.pictures import cost_map, curriculum_map, growth_and_escape, what_each_does


def quick(config: ConfigDict) -> None:
    """Few steps and seeds, and narrow positions; the longest stages begin at step 50."""
    config.grid.seed = range(2)
    config.training.steps, config.record.every = 60, 1
    config.model.position_width = 130


SYMMETRY = sweep_of(__file__, "symmetry", quick)
"""Every remedy at p = 0 and 1."""

LONG = sweep_of(__file__, "symmetry_long", quick)
"""Those that have not learned by then, for 10,000 steps."""

COSTS = sweep_of(__file__, "symmetry_costs", quick)
"""Every remedy at 0 < p < 1."""

ESCAPE = sweep_of(__file__, "escape", quick)
"""Small Gaussian starts at p = 1."""

CURRICULUM = sweep_of(__file__, "curriculum", quick)
"""Some steps at another p before p = 1."""

_OF_SEEDS = "The share of seeds, with its 95% Wilson interval."
_EVERY = "Nine seeds in ten, by the whole interval: with 50 seeds, all of them."
_DETERMINISTIC = "p = 0 and 1, K = 6, N = 97 but where it is said, 120 walks (12 for all positions), 100 steps"
_RANDOM = "0 < p < 1, K = 6, N = 97, 1,000 walks (100 for all positions), 400 steps"

_of_remedies = functools.partial(
    Claim,
    setting=_DETERMINISTIC,
    statistic=_OF_SEEDS,
    rule=Within(0.9, 1, _EVERY),
    labels=("remedy", "p"),
    sweeps=(SYMMETRY,),
    derive=table_of,
)
"""A claim on the seeds of every remedy."""

CLAIMS = (
    _of_remedies(
        name="stays",
        reference="Theorem 4.1, and what follows for rates, momentum, decay, rotations, batches, noise and losses",
        statement="The weights of all tokens are equal to the last bit at every step.",
        rule=Within(1, 1, "It is proven; a single seed that leaves is a counterexample."),
        measure=lambda table: without_intervals(stays(table)),
        draw=what_each_does,
    ),
    _of_remedies(
        name="stays-long",
        reference="Theorem 4.1, and what follows",
        setting=f"{_DETERMINISTIC.rpartition(',')[0]}, 10,000 steps",
        statement="The weights of all tokens are equal to the last bit at every recorded step.",
        rule=Within(1, 1, "As above."),
        sweeps=(LONG,),
        measure=lambda table: without_intervals(stays(table)),
    ),
    _of_remedies(
        name="leaves",
        reference="What the proof does not reach",
        statement="The weights of the tokens become different.",
        measure=leaves,
    ),
    _of_remedies(
        name="coordinatewise",
        reference="Which optimizers see the axes of W",
        statement="An optimizer leaves if and only if it looks at each entry of W by itself.",
        labels=("remedy",),
        measure=coordinatewise,
    ),
    _of_remedies(
        name="learns",
        reference="Is the failure unavoidable?",
        statement="What leaves predicts optimally in the end.",
        statistic=f"{_OF_SEEDS} learned_at: the mean of the first steps at which seeds do.",
        measure=learns,
    ),
    _of_remedies(
        name="learns-long",
        reference="Is the failure unavoidable?",
        setting=f"{_DETERMINISTIC.rpartition(',')[0]}, 10,000 steps, what has not learned by step 100",
        statement="What leaves predicts optimally in the end.",
        sweeps=(LONG,),
        measure=learns,
    ),
    _of_remedies(
        name="residue",
        reference="What is learned: one residue class",
        setting=f"{_DETERMINISTIC}, seeds that have learned",
        statement="More than 99% of the attention on tokens is on those of one residue class of lags mod K.",
        statistic=(
            f"{_OF_SEEDS} parents: the share whose class is that of the parent; parent: whose weight is highest on the "
            "parent itself; weight: the mean of the highest weight."
        ),
        measure=on_one_residue,
    ),
    _of_remedies(
        name="shorter",
        reference="What is learned: shorter walks",
        setting=f"{_DETERMINISTIC}, seeds that have learned, tested on walks of which the last half is shown",
        statement="It predicts optimally on shorter walks.",
        statistic=f"{_OF_SEEDS} shorter: how far the accuracy is below the optimum, in the mean.",
        measure=right_on_shorter,
    ),
    _of_remedies(
        name="other-p",
        reference="What is learned: random walks",
        setting=f"{_DETERMINISTIC}, seeds that have learned, tested on walks with p = 0.9 (0.1 for p = 0)",
        statement="It predicts optimally on random walks.",
        statistic=f"{_OF_SEEDS} other_p: how far the accuracy is below the optimum, in the mean.",
        measure=right_at_other_p,
    ),
    Claim(
        name="growth",
        reference="The linearised dynamics: growth in a step",
        setting="p = 1, K = 6, N = 97, from the smallest start, in float64",
        statement="A small difference of weights grows by mu_t in step t.",
        statistic="The mean over seeds of the measured growth over mu_t, with its bootstrap interval.",
        rule=Within(0.99, 1.01, "One per cent: the difference is below 0.001, so that the next order counts for less."),
        labels=("η", "t"),
        sweeps=(ESCAPE,),
        measure=growth,
        draw=growth_and_escape,
    ),
    Claim(
        name="escape",
        reference="The linearised dynamics: time to leave",
        setting="p = 1, K = 6, N = 97, Gaussian starts, in float64",
        statement="A start that is smaller by a factor takes as many steps more as mu_t needs to make up for it.",
        statistic="The measured number of steps over the predicted one, mean over seeds with its bootstrap interval.",
        rule=Within(0.9, 1.1, "Ten per cent of a step or two, which are counted with their fractions."),
        labels=("η", "from_scale", "to_scale"),
        sweeps=(ESCAPE,),
        measure=escape_slope,
    ),
    Claim(
        name="curriculum",
        reference="How much of a curriculum is enough",
        setting="p = 1, K = 6, N = 97, 1,000 walks, 200 steps, the first of them at another p",
        statement="The transformer predicts p = 1 optimally.",
        statistic=(
            f"{_OF_SEEDS} on_parent: the share whose attention is highest on the parent; on_class_of_parent: the share "
            "with more than 90% of it on tokens that are a multiple of K further back."
        ),
        rule=Within(0.8, 1, "Four seeds in five, by the whole interval: with 20 seeds, all of them."),
        labels=("first_p", "steps"),
        sweeps=(CURRICULUM,),
        measure=curriculum,
        draw=curriculum_map,
    ),
    Claim(
        name="costs",
        reference="What a remedy costs where none is needed",
        setting=_RANDOM,
        statement="As many seeds predict optimally with the remedy as without, up to one in ten.",
        statistic="The change of the share of seeds, paired, with its interval.",
        rule=Within(-0.1, 1, "Two seeds of 20."),
        labels=("remedy", "p"),
        sweeps=(COSTS,),
        measure=costs,
        draw=cost_map,
    ),
)  # fmt: skip


INTRODUCTION = (
    "At p = 0 and 1 gradient descent from zero stays where all tokens weigh the same, and predicts no better than "
    "chance (Theorem 4.1). What of the training has to change for that to end, what is learned then, and what the "
    "change costs at 0 < p < 1, with the verdict that a stated rule makes of the numbers. K is the number of nodes, N "
    "the length of a walk, η the learning rate. The lag of a token is how many states before the target it is; the "
    "parent has lag 1. Brackets are 95% intervals."
)


def study() -> Study:
    """The report on what breaks the symmetry."""
    return Study(
        name="symmetry",
        title="What breaks the symmetry",
        introduction=INTRODUCTION,
        claims=CLAIMS,
    )
