"""Which results of the paper survive in relatives of its model, and what tasks take more."""

import functools
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from studies.claim import Claim
from studies.relatives.ablation import ablation, lost_without_attention, one_head_does_it, without_attention
from studies.relatives.measures import (
    as_good_as_paper,
    equal_heads,
    finds_parent,
    looks_like_transition,
    loss_of,
    losses_of_tasks,
    reaches_optimum,
    symmetric,
    table_of,
)
from studies.relatives.pictures import ablated_heads, optimal_map, random_positions_map, task_losses, value_distances
from studies.relatives.positions import positions_table_of, predicted_slot, random_positions_do
from studies.rules import Within
from studies.study import Study
from studies.sweeps import sweep_of


def quick(config: ConfigDict) -> None:
    """Few steps, walks and seeds."""
    config.grid.seed = range(2)
    config.record.every, config.record.parameters = (2 if config.grid.embedding_seed else 10), ()
    if config.grid.embedding_seed:
        config.grid.embedding_seed, config.grid.position_width = range(2), (100, 130)
        config.grid.seed = None
    config.grid.arm = {name: _quick_arm(changes) for name, changes in (config.grid.arm or {}).items()} or None
    config.training.steps = 20
    config.task.walks = config.task.test_walks = 50


def _quick_arm(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes of an arm with few steps and narrow positions."""
    most = {"steps": 40, "position_width": 130}
    return {axis: min(value, most[axis]) if axis in most else value for axis, value in changes.items()}


REDUCED = sweep_of(__file__, "relatives", quick)
"""Heads and fixed embeddings, trained as the paper's model is."""

POSITIONS = sweep_of(__file__, "relatives_positions", quick)
"""Random positions by their width and the learning rate."""

DECODERS = sweep_of(__file__, "relatives_decoder", quick)
"""The parts of a decoder, one by one and together."""

TASKS = sweep_of(__file__, "relatives_tasks", quick)
"""Tasks whose target takes more than the last token."""

_OF_SEEDS = "The share of seeds, with its 95% Wilson interval."
_EVERY = "Every seed: it is proven, so that one is a counterexample."
_MOST = "More than half of the seeds, by the whole interval."
_AS_PAPER = "K = 6, N = 97, 1,000 walks, log-loss, gradient descent with η = 1 from zero, 50 steps unless it is said"
_AS_DECODER = "K = 6, N = 13, M = 16, 10,000 walks, cross-entropy, Adam with rate 0.01, batches of 128, 1,000 steps"

_of_relatives = functools.partial(
    Claim,
    setting=_AS_PAPER,
    statistic=_OF_SEEDS,
    labels=("relative", "p"),
    sweeps=(REDUCED,),
    derive=table_of,
)
_of_positions = functools.partial(
    Claim,
    statistic="The share of draws, with its 95% Wilson interval.",
    rule=Within(0.5, 1, _MOST),
    labels=("width", "rate", "p"),
    sweeps=(POSITIONS,),
    derive=positions_table_of,
)
_of_decoders = functools.partial(
    Claim,
    setting=_AS_DECODER,
    rule=Within(0.5, 1, _MOST),
    labels=("relative", "p"),
    sweeps=(DECODERS,),
    derive=table_of,
)
DEPTH = sweep_of(__file__, "relatives_depth", quick)
"""The same tasks with a larger budget."""

_of_tasks = functools.partial(Claim, sweeps=(TASKS,), derive=table_of)

CLAIMS = (
    _of_relatives(
        name="relatives",
        reference="Theorem 3.1, statement 1, of relatives",
        setting=f"{_AS_PAPER}, p < 1",
        statement="As many seeds predict optimally as with the paper's model, up to one in ten.",
        statistic=(
            "The change of the share of seeds, paired, with its interval. parent: the share in which a head attends to "
            "the parent most; learned_at: the mean of the first steps at which seeds predict optimally."
        ),
        rule=Within(-0.1, 1, "Two seeds of 20."),
        measure=as_good_as_paper,
        draw=optimal_map,
    ),
    _of_relatives(
        name="relatives-stay",
        reference="Theorem 4.1 of relatives: heads from zero, orthogonal positions",
        setting=f"{_AS_PAPER}, p = 1",
        statement="The weights of all tokens are equal to the last bit at every step.",
        rule=Within(1, 1, _EVERY),
        measure=lambda table: symmetric(table, keeps=True),
    ),
    _of_relatives(
        name="relatives-leave",
        reference="What the proof of Theorem 4.1 does not reach: positions or tokens that are not orthogonal",
        setting=f"{_AS_PAPER}, p = 1",
        statement="The weights of the tokens become different.",
        statistic=f"{_OF_SEEDS} optimal: the share that predicts optimally in the end.",
        rule=Within(0.8, 1, "Four seeds in five, by the whole interval: with 20 seeds, all of them."),
        measure=lambda table: symmetric(table, keeps=False),
    ),
    _of_relatives(
        name="equal-heads",
        reference="Heads from zero are one head with rates (H η, η / H)",
        statement="All heads have the same parameters, to the last bit.",
        rule=Within(1, 1, _EVERY),
        measure=equal_heads,
    ),
    _of_positions(
        name="random-positions",
        reference="Positions of any Gram matrix",
        setting="K = 6, N = 97, 1,000 walks, random positions, p < 1, 400 steps, ten draws",
        statement="The parent is attended to most in the end.",
        measure=random_positions_do,
        draw=random_positions_map,
    ),
    _of_positions(
        name="predicted-slot",
        reference="Positions of any Gram matrix: which slot comes first",
        setting="as above, after the second step",
        statement="Attention is highest on the slot whose score is highest in the linearised second step.",
        measure=predicted_slot,
    ),
    _of_decoders(
        name="decoders",
        reference="Theorem 3.1, statement 1, of decoders",
        statement="It predicts optimally.",
        statistic=f"{_OF_SEEDS} gap: accuracy below the optimum; learned_at: the mean first step at which it does.",
        measure=reaches_optimum,
        draw=optimal_map,
    ),
    _of_decoders(
        name="decoders-parent",
        reference="Theorem 3.1, statement 4, of decoders",
        setting=f"{_AS_DECODER}, p < 1, seeds that predict optimally",
        statement="A head attends to the parent most.",
        statistic=f"{_OF_SEEDS} on_parent: the mean of the largest attention of a head on it.",
        measure=finds_parent,
    ),
    _of_decoders(
        name="decoders-value",
        reference="Theorem 3.1, statement 3, of decoders",
        setting=f"{_AS_DECODER}, p < 1, seeds that predict optimally",
        statement="V of the head with most attention on the parent looks like Pi^T.",
        statistic=(
            "The distance between the directions of V (readout times output times value of a residual stream) and "
            "Pi^T, columns centred; the mean over seeds, with its interval."
        ),
        rule=Within(0, 0.5, "A distance of 0.5 is a correlation of 0.875; unrelated matrices have 1.41."),
        measure=looks_like_transition,
        draw=value_distances,
    ),
    Claim(
        name="no-attention",
        reference="What the residual stream does by itself",
        setting=f"{_AS_DECODER}, p = 0.9, residual stream (stated after the first numbers)",
        statement="Without all of its attention it predicts as well, up to one per cent.",
        statistic="The expected accuracy that is lost with V of every head at zero, mean over seeds with its interval.",
        rule=Within(-1, 0.01, "One per cent."),
        labels=("relative",),
        sweeps=(DECODERS,),
        derive=without_attention,
        measure=lost_without_attention,
    ),
    Claim(
        name="ablation",
        reference="Which head does it",
        setting=f"{_AS_DECODER}, p = 0.9, decoders with several heads",
        statement="The head whose loss costs most accuracy is the one that attends to the parent most.",
        statistic=f"{_OF_SEEDS} most_lost: the mean of the largest loss.",
        rule=Within(0.5, 1, _MOST),
        labels=("relative",),
        sweeps=(DECODERS,),
        derive=ablation,
        measure=one_head_does_it,
        draw=ablated_heads,
    ),
    _of_tasks(
        name="tasks",
        reference="Tasks that take more than the last token",
        setting=f"{_AS_DECODER.replace('1,000 steps', '2,000 steps')}, last token as query, residual stream",
        statement="It loses less than one per cent of accuracy.",
        statistic="The expected accuracy below the optimum, mean over seeds. optimal: the share within 0.001.",
        rule=Within(-1e-6, 0.01, "One per cent."),
        labels=("relative", "task", "p"),
        measure=losses_of_tasks,
        draw=task_losses,
    ),
    _of_tasks(
        name="depth",
        reference="The same with five times the steps and ten times the walks",
        setting="as above, but for 100,000 walks and 10,000 steps",
        statement="It loses less than one per cent of accuracy.",
        statistic="The expected accuracy below the optimum, mean over seeds. optimal: the share within 0.001.",
        rule=Within(-1e-6, 0.01, "One per cent."),
        labels=("relative", "task", "p"),
        sweeps=(DEPTH,),
        measure=losses_of_tasks,
    ),
    _of_tasks(
        name="second-layer",
        reference="What a second layer is for",
        setting="as above, one head",
        statement="Two layers lose less accuracy than one.",
        statistic="The accuracy that two layers have more, seeds paired, with its interval.",
        rule=Within(1e-9, 1, "More than none, by the whole interval."),
        labels=("task", "p"),
        measure=lambda table: loss_of(table, "1 layer with 1 head", "2 layers with 1 head"),
    ),
    _of_tasks(
        name="second-head",
        reference="What a second head is for",
        setting="as above, one layer",
        statement="Two heads lose less accuracy than one.",
        statistic="The accuracy that two heads have more, seeds paired, with its interval.",
        rule=Within(1e-9, 1, "More than none, by the whole interval."),
        labels=("task", "p"),
        measure=lambda table: loss_of(table, "1 layer with 1 head", "1 layer with 2 heads"),
    ),
)  # fmt: skip

INTRODUCTION = (
    "The paper's model has one layer, one head, one-hot tokens beside sine positions, and an empty slot for its query. "
    "Which of its results survive when one of these is another, and what tasks take more. Each claim has the verdict "
    "that a stated rule makes of the numbers. K is the number of nodes, N the length of a walk, M the width of a "
    "position, η the learning rate. The lag of a token is how many states before the target it is; the parent has lag "
    "1. Brackets are 95% intervals."
)


def study() -> Study:
    """The report on relatives of the model."""
    return Study(name="relatives", title="Relatives of the model", introduction=INTRODUCTION, claims=CLAIMS)
