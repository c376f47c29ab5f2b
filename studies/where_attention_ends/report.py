"""Where attention ends on infinitely many walks, beside what is predicted of it."""

import dataclasses
from pathlib import Path

from ml_collections import ConfigDict

from rw_jax import Run
from rw_jax.analysis.plots.drawing import Picture
from studies.study import Exhibit, Study
from studies.sweeps import FromFile, sweep_of
from studies.where_attention_ends import lags, leaving
from studies.where_attention_ends.pictures import lag_map, thresholds


def quick(config: ConfigDict) -> None:
    """Two circles, or two lengths of walks on one, and few steps."""
    config.task.num_nodes, config.task.walk_length, config.model.position_width = 6, 9, 27
    config.training.steps, config.record.every, config.record.parameters = 20, 20, (1, 2, 3)
    config.grid.p = (0.6, 0.8)
    if config.grid.num_nodes:
        config.grid.num_nodes = (5, 6)
    if config.grid.walk_length:
        config.grid.walk_length, config.grid.position_width = (7, 9), (19, 27)
    if config.grid.steps:
        config.grid.steps = (30, 20)


INFINITE = FromFile(name="infinite", file=Path(__file__).parents[2] / "configs" / "infinite.py", quick=quick)
"""Over nodes, by gradient descent and by gradient flow."""

LENGTHS = sweep_of(__file__, "lengths", quick)
"""Over lengths of walks."""

SETTLED = sweep_of(__file__, "settled", quick)
"""For 100,000 steps."""

INTRODUCTION = (
    "The lag that attention goes to on infinitely many walks on circles: the one with the largest correlation with the "
    "target, after two steps, when it is first sharp, and after the last step; which lags are stable once attention is "
    "one-hot; and how long attention takes to leave one that is not. K is the number of nodes, N the length of a walk, "
    "p the probability of a clockwise step, η the learning rate. The lag of a token is how many states before the "
    "target it is; the parent has lag 1."
)


def stability(run: Run) -> Picture:
    """From which p on each lag is stable, for the numbers of nodes of a run."""
    return thresholds(sorted(lags.table(run)["K"].unique()), most=7)


def study() -> Study:
    """The report on where attention ends."""
    shown = Exhibit(
        name="infinite",
        title="Where attention ends, over p and K",
        make=lag_map,
        sentences=lags.sentences,
        sweeps=(INFINITE,),
    )
    return Study(
        name="where_attention_ends",
        title="Where attention ends",
        introduction=INTRODUCTION,
        exhibits=(
            shown,
            Exhibit(
                name="thresholds", title="From which p each lag is stable", make=stability, sweeps=(INFINITE,),
                section="infinite",
            ),
            dataclasses.replace(shown, name="lengths", title="The same over p and N, on 24 nodes", sweeps=(LENGTHS,)),
            dataclasses.replace(shown, name="settled", title="The same after 100,000 steps", sweeps=(SETTLED,)),
            Exhibit(
                name="leaving",
                title="How long attention takes to leave an unstable lag",
                make=leaving.predicted_and_observed,
                sentences=leaving.sentences,
                sweeps=(leaving.Leaving(),),
            ),
        ),
    )  # fmt: skip
