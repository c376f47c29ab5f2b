"""Whether training on walks of all lengths ends the failures of training on whole walks."""

import functools

from ml_collections import ConfigDict

from studies.all_lengths.measures import (
    of_all_lengths,
    of_chains,
    of_populations,
    second_step,
    success_by_arm,
    success_by_lengths,
    success_by_query,
    success_by_share,
)
from studies.all_lengths.pictures import success_by_shortest, success_over_p
from studies.claim import Claim
from studies.rules import Within
from studies.study import Study
from studies.sweeps import sweep_of


def quick(config: ConfigDict) -> None:
    """Short walks on six nodes, few of them, and two seeds."""
    config.training.steps = config.record.every = 5
    config.model.position_width, config.task.test_walks = 130, 50
    config.grid.p, config.grid.seed = (0.7, 0.99), range(2)
    if config.zipped:
        count = list(config.grid.num_nodes).count(6)
        for axis in config.zipped[0]:
            config.grid[axis] = config.grid[axis][:count]
        config.grid.walks = (50,) * count
    config.task.walks = 50


def quick_infinite(config: ConfigDict) -> None:
    """Two circles, and few steps."""
    config.task.walk_length, config.model.position_width = 9, 27
    config.training.steps = config.record.every = 20
    config.grid.p, config.grid.num_nodes = (0.6, 0.8), (5, 6)


def quick_decoder(config: ConfigDict) -> None:
    """Few steps of short walks, and two seeds."""
    config.task.walk_length, config.model.position_width, config.task.walks, config.task.test_walks = 7, 20, 50, 50
    config.training.steps = config.record.every = 5
    config.grid.p, config.grid.seed = (0.9,), range(2)


def quick_chains(config: ConfigDict) -> None:
    """The first two chains, with short walks, and few steps."""
    config.task.walk_length, config.grid.position_width = 9, (27, 81)
    config.training.steps = config.record.every = 20
    config.record.parameters = (2,)
    for axis in config.zipped[0]:
        config.grid[axis] = config.grid[axis][:2]


OVER_P = sweep_of(__file__, "all_lengths", quick)
"""Whole walks and walks of all lengths, over p."""

NODES = sweep_of(__file__, "all_lengths_nodes", quick)
"""By the shortest walk and the number of nodes."""

ARMS = sweep_of(__file__, "all_lengths_arms", quick)
"""Other ways to fail."""

SHARE = sweep_of(__file__, "all_lengths_share", quick)
"""By the share of walks of two states among whole ones."""

DECODER = sweep_of(__file__, "all_lengths_decoder", quick_decoder)
"""Decoders whose query is an empty slot, or the last token."""

POPULATION = sweep_of(__file__, "all_lengths_infinite", quick_infinite)
"""Infinitely many walks, over nodes and p."""

CHAINS = sweep_of(__file__, "all_lengths_chains", quick_chains)
"""Infinitely many walks of other chains."""

_OF_SEEDS = (
    "The share of seeds that predict optimally, with its 95% Wilson interval. on_parent: that attend to the parent."
)
_SETTING = "zero start, log-loss, η = 1, M = 1,000, 50 steps; K = 6: N = 97, 1,000 walks; K = 20: N = 101, 3,000 walks"
_OF_20 = Within(0.8, 1, "Four seeds in five, by the whole interval: with 20 seeds, all of them.")
_of_seeds = functools.partial(
    Claim,
    statistic=_OF_SEEDS,
    rule=Within(0.9, 1, "Nine seeds in ten, by the whole interval."),
    labels=("lengths", "K", "p"),
)

CLAIMS = (
    Claim(
        name="second-step",
        reference="Which token the second step raises most (theory.lengths)",
        setting="closed form, K = 5 to 64, p = 0.5 to 0.999, N = 25 to 577, η = 1, ε = 0.1",
        statement="The score of the direct parent grows most.",
        statistic="The share of 2,048 circles. Nothing is random.",
        rule=Within(1, 1, "One circle on which it does not is a counterexample."),
        labels=("lengths",),
        measure=second_step,
    ),
    _of_seeds(
        name="all-lengths",
        reference="Theorem 3.1, item 1, with lengths uniform on 2 to N",
        setting=_SETTING,
        statement="Seeds that train on walks of all lengths predict optimally.",
        sweeps=(OVER_P,),
        measure=of_all_lengths,
        draw=success_over_p,
    ),
    _of_seeds(
        name="shortest",
        reference="Which lengths are enough",
        setting=f"{_SETTING}; K = 31: N = 121, 3,000 walks",
        statement="Seeds predict optimally.",
        rule=_OF_20,
        sweeps=(NODES,),
        measure=success_by_lengths,
        draw=success_by_shortest,
    ),
    _of_seeds(
        name="others",
        reference="Which other failures walks of all lengths end",
        setting="K = 6, N = 97, 1,000 walks, log-loss, η = 1, 50 steps; zero start and M = 1,000 unless said",
        statement="Seeds predict optimally.",
        rule=_OF_20,
        labels=("arm", "lengths", "p"),
        sweeps=(ARMS,),
        measure=success_by_arm,
    ),
    _of_seeds(
        name="share",
        reference="How many short walks are enough",
        setting=f"{_SETTING}; K = 31: N = 121, 3,000 walks; a share of the walks has two states, all others N",
        statement="Seeds predict optimally.",
        rule=_OF_20,
        labels=("share", "K", "p"),
        sweeps=(SHARE,),
        measure=success_by_share,
    ),
    _of_seeds(
        name="decoder",
        reference="The usual loss of a decoder, over all positions",
        setting="one layer, one head, K = 12, N = 25, M = 125, 1,000 walks, zero start, log-loss, η = 1, 50 steps",
        statement="Seeds predict optimally.",
        rule=Within(0.7, 1, "With 10 seeds, all of them."),
        labels=("query", "trained on", "p"),
        sweeps=(DECODER,),
        measure=success_by_query,
    ),
    Claim(
        name="population",
        reference="Theorem 3.1, item 1, on infinitely many walks of lengths uniform on 2 to N",
        setting="K = 5 to 64, p = 0.5 to 0.99, N = 97, M = 1,000, log-loss, zero start, 1,000 steps, float64",
        statement="Attention ends on the parent, and the prediction is optimal.",
        statistic="The share of 132 circles that are predicted optimally. Nothing is random. on_parent: on the parent.",
        rule=Within(1, 1, "One circle that is not is a counterexample."),
        labels=("training",),
        sweeps=(POPULATION,),
        measure=of_populations,
    ),
    Claim(
        name="chains",
        reference="Other chains, on infinitely many walks",
        setting="106 chains of 10 families, N = 49, log-loss, zero start, η = 1",
        statement="Chains are predicted optimally.",
        statistic="The share of chains, drawn at random, with its 95% Wilson interval. on_parent: on the parent.",
        rule=Within(0.8, 1, "Four chains in five, by the whole interval."),
        labels=("lengths", "M"),
        sweeps=(CHAINS,),
        measure=of_chains,
    ),
)

INTRODUCTION = (
    "The paper trains on walks of one length. Here training walks have any number of states from a shortest one to N, "
    "equally likely (training.shortest_walk), with their tokens next to the query; test walks are whole. Which lengths "
    "end the failures at many nodes, near p = 0 and 1, and at p = 0 and 1 themselves. Each claim has the verdict of a "
    "stated rule. K is the number of nodes, N the length of a walk, p the probability of a "
    "clockwise step. Brackets are 95% intervals."
)


def study() -> Study:
    """The report on walks of all lengths."""
    return Study(name="all_lengths", title="Walks of all lengths", introduction=INTRODUCTION, claims=CLAIMS)
