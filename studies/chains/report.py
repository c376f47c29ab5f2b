"""What a one-layer transformer learns of 527 Markov chains, beside what predicts it."""

import functools

from ml_collections import ConfigDict

from studies.chains.measures import (
    SHARP,
    after_step_two,
    at_the_end,
    calibration,
    chain_table,
    ends_are_stable,
    ends_sharp,
    optimum,
    optimum_by_width,
    parents_are_stable,
    samples_like_infinity,
    success_on_samples,
    uniform_and_reversible,
    what_hurts,
)
from studies.chains.pictures import gallery, lag_counts, learned_by_width, noise_map, race_won, success_by_property
from studies.chains.race import on_long_walks, race_table, success_by_width, who_wins, widest
from studies.claim import Claim
from studies.rules import Within
from studies.study import Exhibit, Study
from studies.sweeps import Sweep, sweep_of


def quick(config: ConfigDict) -> None:
    """One or two chains of each family, and few steps, walks and seeds."""
    families = list(config.grid.family)
    chosen = [i for i, family in enumerate(families) if families[:i].count(family) < 2]
    for axis in config.zipped[0]:
        config.grid[axis] = tuple(config.grid[axis][i] for i in chosen)
    config.training.steps = config.record.every = 5
    config.record.parameters = (2,)
    config.task.walk_length, config.model.position_width, config.task.test_walks = 7, 19, 50
    config.grid.position_width = config.grid.position_width and (19, 50)
    if config.task.walks != "infinite" or config.grid.walks:
        config.grid.walks = config.grid.walks and (50, 100)
        config.grid.seed = config.grid.seed and range(2)


CHAINS = sweep_of(__file__, "chains", quick)
"""Infinitely many walks."""

FLOW = sweep_of(__file__, "chains_flow", quick)
"""A part of the chains by gradient flow."""

WIDTHS = sweep_of(__file__, "chains_widths", quick)
"""A part of the chains, by the width of positions."""

WIDTHS_SAMPLES = sweep_of(__file__, "chains_widths_samples", quick)
"""Fewer of them on samples, by the width of positions."""

SAMPLES = sweep_of(__file__, "chains_samples", quick)
"""A part of the chains, on samples."""

SHOWN = ("cycle", "lazy_cycle", "path", "regular", "star", "tree", "de_bruijn", "dirichlet")
"""The families of the gallery."""

_OF_FAMILY = "The share of the chains of a family; nothing is random but the choice of the chains."


_of_chains = functools.partial(Claim, statistic=_OF_FAMILY, labels=("family",), sweeps=(CHAINS,), derive=chain_table)
"""A claim on the chains of every family."""


_of_samples = functools.partial(Claim, setting="samples", sweeps=(CHAINS, SAMPLES), derive=success_on_samples)
"""A claim on samples, beside infinitely many walks."""


def _where_attention_ends(prefix: str, setting: str, sweep: Sweep) -> tuple[Claim, ...]:
    """The claims on the end of a training, by gradient descent or by gradient flow."""
    ends = functools.partial(_of_chains, reference="Where attention ends", sweeps=(sweep,))
    return (
        ends(
            name=f"{prefix}sharp",
            setting=setting,
            statement=f"Attention ends on one lag, with a mean weight above {SHARP}.",
            rule=Within(1, 1, "Any chain on which it does not is a counterexample."),
            measure=ends_sharp,
        ),
        ends(
            name=f"{prefix}end",
            setting=f"{setting}, sharp ends, chains whose largest c_k leads by more than 1%",
            statement="Attention ends on the lag with the largest c_k.",
            rule=Within(0.99, 1, "As after the second step."),
            measure=at_the_end,
        ),
        ends(
            name=f"{prefix}end-stable",
            setting=f"{setting}, sharp ends",
            statement="Attention ends on a lag k that is stable: R(k'|k) < 1 for every other.",
            rule=Within(1, 1, "Any chain that ends elsewhere is a counterexample."),
            measure=ends_are_stable,
        ),
    )


def _optimum(name: str, setting: str, sweep: Sweep) -> Claim:
    return _of_chains(
        name=name,
        reference="What a one-layer transformer reaches",
        setting=setting,
        statement="The transformer predicts with the optimal accuracy in the end.",
        statistic=_OF_FAMILY + " Optimal is an expected accuracy within 0.001 of the optimum.",
        rule=Within(1, 1, "Any chain on which it does not is a counterexample."),
        sweeps=(sweep,),
        measure=optimum,
    )


_race = functools.partial(
    Claim,
    reference="The race between states and positions",
    statement=(
        "The transformer predicts optimally in the end if and only if the position of the last token leads all others "
        "after the second step by more than the scores of the states are spread."
    ),
    statistic=(
        "The share of trainings for which that is right, by that lead in units of that spread, with its Wilson "
        "interval over chains. Trainings that diverged are left out and counted."
    ),
    rule=Within(0.8, 1, "Four in five, by the whole interval."),
    labels=("walks", "N", "race_from"),
    derive=race_table,
    measure=who_wins,
)
"""A claim on what decides after the second step."""

_DESCENT, _FLOW = (
    "infinitely many walks, gradient descent with η = 1, M = 343",
    "infinitely many walks, gradient flow, M = 343",
)

CLAIMS = (
    _of_chains(
        name="second-step",
        reference="Where attention goes first",
        setting="infinitely many walks, chains whose largest c_k leads by more than 1%",
        statement="After the second step attention is highest on the lag with the largest c_k.",
        rule=Within(0.99, 1, "The agreement that was asked for before the chains were trained."),
        measure=after_step_two,
        draw=lag_counts,
    ),
    *_where_attention_ends("", _DESCENT, CHAINS),
    *_where_attention_ends("flow-", _FLOW, FLOW),
    _of_chains(
        name="parent-stable",
        reference="Where attention ends",
        setting="closed form",
        statement="The last token is stable.",
        statistic=_OF_FAMILY + " It is proven for a uniform stationary law, except for ties.",
        rule=Within(1, 1, "Any chain on which it is not is a counterexample."),
        measure=parents_are_stable,
    ),
    _of_chains(
        name="uniform-reversible",
        reference="Reversible chains with a uniform law",
        setting="infinitely many walks",
        statement="Attention ends on the last token, except for exact ties.",
        statistic=_OF_FAMILY + " Chains on which the last token ties for the largest c_k are left out.",
        rule=Within(1, 1, "It is proven that the last token has the largest c_k."),
        measure=uniform_and_reversible,
    ),
    _optimum("optimum", _DESCENT, CHAINS),
    _optimum("flow-optimum", _FLOW, FLOW),
    Claim(
        name="widths",
        reference="What a one-layer transformer reaches, by the width M of its positions",
        setting="infinitely many walks, gradient descent with η = 1, K = 8",
        statement="The transformer predicts optimally in the end.",
        statistic=(
            "The share of chains, with its Wilson interval over the random chains. below_optimum: the mean; "
            f"no_one_lag: the share on which no lag ends with a mean weight above {SHARP}. Trainings that diverged "
            "are left out."
        ),
        rule=Within(0.8, 1, "Four chains in five, by the whole interval."),
        labels=("chains", "N", "M"),
        sweeps=(WIDTHS,),
        derive=chain_table,
        measure=optimum_by_width,
        draw=learned_by_width,
    ),
    _race(
        name="race",
        setting="infinitely many walks, gradient descent with η = 1, K = 8",
        sweeps=(WIDTHS,),
        draw=race_won,
    ),
    _race(name="race-samples", setting="3,000 walks, η = 1, K = 8", sweeps=(WIDTHS_SAMPLES,)),
    Claim(
        name="widest",
        reference="As q tends to infinity",
        setting="infinitely many walks, M = 10,000, K = 8",
        statement="Attention ends on the lag whose position leads after the second step.",
        statistic="The share of chains, with its Wilson interval. Trainings that diverged are left out.",
        rule=Within(0.8, 1, "Four chains in five, by the whole interval."),
        labels=("law", "N"),
        sweeps=(WIDTHS,),
        derive=race_table,
        measure=widest,
    ),
    Claim(
        name="widths-samples",
        reference="What a one-layer transformer reaches, by the width M of its positions",
        setting="3,000 walks, 50 steps with η = 1, K = 8",
        statement="The transformer predicts optimally in the end.",
        statistic="The share of seeds, with its Wilson interval over chains; on_parent: the share on the last token.",
        rule=Within(0.8, 1, "Four seeds in five, by the whole interval."),
        labels=("law", "N", "M"),
        sweeps=(WIDTHS_SAMPLES,),
        derive=race_table,
        measure=success_by_width,
    ),
    Claim(
        name="long-walks",
        reference="On long walks",
        setting="closed form, chains whose law is not uniform, K = 8",
        statement="The last token has the largest c_k.",
        statistic="The share of these chains; N = inf is the limit.",
        rule=Within(0.8, 1, "Four chains in five."),
        labels=("η", "N"),
        sweeps=(WIDTHS,),
        measure=on_long_walks,
    ),
    _of_samples(
        name="samples",
        reference="Samples against infinitely many walks",
        setting="samples of the chains whose run on infinitely many walks ends on the last token",
        statement="Attention is highest on the last token in the end.",
        statistic="The share of seeds of all chains of a family, with its Wilson interval over chains.",
        rule=Within(0.8, 1, "Four seeds in five, by the whole interval."),
        labels=("family", "walks"),
        measure=samples_like_infinity,
        draw=success_by_property,
    ),
    _of_samples(
        name="calibration",
        reference="The prediction on samples",
        statement="Seeds attend to the last token where it has the largest c_k, and elsewhere where it has not.",
        statistic=(
            "The share of seeds that do, with its Wilson interval over chains, by the lead of the last token's c_k "
            "over all others, relative to the spread of all."
        ),
        rule=Within(0.8, 1, "Four seeds in five, by the whole interval."),
        labels=("walks", "K", "parent_lead_from"),
        measure=calibration,
    ),
    _of_samples(
        name="what-hurts",
        reference="What success on samples falls with",
        statement="The share of seeds on the last token falls with this property of the chain.",
        statistic="Rank correlation over chains, with its bootstrap interval.",
        rule=Within(-1, 0, "An interval below zero."),
        labels=("property", "walks", "K"),
        measure=what_hurts,
    ),
)  # fmt: skip

INTRODUCTION = (
    "What a one-layer transformer learns of Markov chains other than the circle, with the verdict that a stated rule "
    "makes of the numbers. K is the number of nodes, N the length of a walk, Π the transition matrix, V the value "
    "matrix. The lag of a token is how many states before the target it is; the last token has lag 1. c_k is the "
    "prediction of where attention goes after two steps, R(k'|k) tells whether lag k is stable once attention is "
    "one-hot. Brackets are 95% intervals."
)


def study() -> Study:
    """The report on Markov chains."""
    return Study(
        name="chains",
        title="Markov chains",
        introduction=INTRODUCTION,
        claims=CLAIMS,
        exhibits=(
            Exhibit(
                name="gallery",
                title="Chains, their laws and what was learned of them",
                make=functools.partial(gallery, families=SHOWN),
                sweeps=(WIDTHS,),
            ),
            Exhibit(name="noise", title="Mixing noise heals", make=lambda: noise_map(24, 97)),
        ),
    )
