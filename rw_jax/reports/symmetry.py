"""The report on what breaks the symmetric state of p = 0 and 1: starts, optimizers, losses, walks and curricula."""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis.numbers import text
from rw_jax.analysis.plots.drawing import COLOURS, MARKERS, legend_below, set_letters, show_shares, styled
from rw_jax.analysis.run import Group, Run
from rw_jax.analysis.statistics import bootstrap_interval, first_step, mean_interval, rate_interval
from rw_jax.models.positions import squared_norm
from rw_jax.reports.claim import Claim, Evidence, Report, Within
from rw_jax.reports.evidence import accuracy_gap, evidence, on_parent, row, shares, with_first_steps, without_intervals
from rw_jax.reports.study import Study
from rw_jax.study.fields import without_digest
from rw_jax.theory.escape import growth_factors
from rw_jax.training.metrics import OPTIMAL

SYMMETRY = Study(name="symmetry", fields={}, grid={})
"""configs/symmetry.py: every remedy at p = 0 and 1."""

LONG = Study(name="symmetry_long", fields={}, grid={})
"""configs/symmetry_long.py: those that have not learned by then, for 10,000 steps."""

COSTS = Study(name="symmetry_costs", fields={}, grid={})
"""configs/symmetry_costs.py: every remedy at 0 < p < 1."""

ESCAPE = Study(name="escape", fields={}, grid={})
"""configs/escape.py: small Gaussian starts at p = 1."""

CURRICULUM = Study(name="curriculum", fields={}, grid={})
"""configs/curriculum.py: some steps at another p before p = 1."""


class Remedy(NamedTuple):
    """A change of the training that is said to leave the symmetric state, or not to.

    Attributes:
      name: what it is called.
      kind: what it changes: start, optimizer, loss, walks or curriculum.
      leaves: whether it is to leave the state, by the proofs or the hypotheses that came before these numbers.
      changes: fields, by the names of their axes, that differ from those of the paper's training.
      first_p: p of the first steps, of a curriculum for a p above one half; mirrored for one below.
      first_steps: how many steps these are.
      share_of_walks: how many of the walks of the others it has, where it makes many of one.
    """

    name: str
    kind: str
    leaves: bool
    changes: Mapping[str, Any] = {}
    first_p: float | None = None
    first_steps: int = 50
    share_of_walks: float = 1.0


REMEDIES = (
    Remedy("none", "none", False),
    Remedy("rate 0.1", "optimizer", False, {"learning_rate": 0.1}),
    Remedy("rate 10", "optimizer", False, {"learning_rate": 10.0}),
    Remedy("momentum", "optimizer", False, {"optimizer": "momentum"}),
    Remedy("Nesterov", "optimizer", False, {"optimizer": "nesterov"}),
    Remedy("weight decay", "optimizer", False, {"optimizer": "weight_decay"}),
    Remedy("Muon", "optimizer", False, {"optimizer": "muon", "learning_rate": 0.02}),
    Remedy(
        "Adam on V", "optimizer", False,
        {"optimizer": "pieces/adam_on_value.py:adam_on_value", "learning_rate": 0.01},
    ),
    Remedy("Adam 0.001", "optimizer", True, {"optimizer": "adam", "learning_rate": 0.001}),
    Remedy("Adam 1e-7", "optimizer", True, {"optimizer": "adam", "learning_rate": 1e-7}),
    Remedy("sign", "optimizer", True, {"optimizer": "sign", "learning_rate": 0.001}),
    Remedy("batches of 16", "walks", False, {"batch": 16}),
    Remedy("label noise 0.1", "walks", False, {"label_noise": 0.1}),
    Remedy("cross-entropy", "loss", False, {"loss": "cross_entropy"}),
    Remedy("squared error", "loss", False, {"loss": "squared_error"}),
    Remedy("hinge loss", "loss", False, {"loss": "hinge"}),
    Remedy("all positions", "loss", True, {"target": "all"}, share_of_walks=0.1),
    Remedy("start 1e-8", "start", True, {"init": "gaussian", "init_scale": 1e-8}),
    Remedy("start 0.01", "start", True, {"init": "gaussian", "init_scale": 0.01}),
    Remedy("start of V 0.01", "start", True, {"init": "gaussian", "init_scale": 0.01, "init_place": "value"}),
    Remedy("start of W 1e-4", "start", True, {"init": "gaussian", "init_scale": 1e-4, "init_place": "scores"}),
    Remedy("N = 98", "walks", True, {"walk_length": 98}),
    Remedy("mixed lengths", "walks", True, {"shortest_walk": 49}),
    Remedy("dropped tokens 0.1", "walks", True, {"dropped_tokens": 0.1}),
    Remedy("a tenth at p = 1/2", "walks", True, {"mixed_share": 0.1}),
    Remedy("3 steps at p = 0.9", "curriculum", True, first_p=0.9, first_steps=3),
    Remedy("50 steps at p = 0.9", "curriculum", True, first_p=0.9),
    Remedy("50 steps at p = 1/2", "curriculum", True, first_p=0.5),
)  # fmt: skip
"""Every remedy, beside none. Rates are not tuned; Adam has its usual one, and one that does not overshoot."""

COORDINATEWISE = ("Adam 0.001", "Adam 1e-7", "sign")
"""The optimizers that look at every entry of W by itself."""

OPTIONS = {"momentum": 0.9, "weight_decay": 0.001, "eps": 0.0}
"""Parameters of the optimizers."""

_PAPER = {
    "optimizer": "gd", "learning_rate": 1.0, "loss": "log", "target": "last", "batch": 0, "init": "zero",
    "init_scale": 0.01, "init_place": "both", "walk_length": 97, "label_noise": 0.0, "dropped_tokens": 0.0,
    "shortest_walk": 0, "mixed_share": 0.0,
}  # fmt: skip


def fields_of(remedy: Remedy, p: float, walks: int) -> dict[str, Any]:
    """The fields of a run with a remedy by the names of their axes, the same for all remedies.

    Args:
      remedy: the remedy.
      p: what is to be learned.
      walks: how many walks there are.
    """
    first = p if remedy.first_p is None else remedy.first_p if p >= 0.5 else round(1 - remedy.first_p, 9)
    stages = "" if remedy.first_p is None else f"{remedy.first_steps}: p={p:g}"
    of_walks = {"walks": max(round(walks * remedy.share_of_walks), 1), "p": first, "stages": stages}
    return {**_PAPER, **remedy.changes, **of_walks}


def _told(group: Group) -> tuple[Remedy, float] | None:
    """The remedy of a group and what it is to learn."""
    stages = group.config.training.stages
    p = float(stages.rpartition("=")[2]) if stages else group.config.task.p
    labels = {axis: label for axis, label in group.cells[0].config.values().items() if axis in _PAPER}
    labels["optimizer"] = without_digest(labels["optimizer"])
    for remedy in REMEDIES:
        wanted = fields_of(remedy, p, 1)
        is_curriculum = group.config.task.p == wanted["p"] and stages == wanted["stages"]
        if is_curriculum and all(wanted[axis] == label for axis, label in labels.items()):
            return remedy, p
    return None


def table_of(run: Run) -> pd.DataFrame:
    """Of each remedy and p what each seed did.

    Returns:
      A row for each seed with `remedy`, `kind`, `leaves` (whether it was to), `p` and `seed`; `stays`, whether all
      tokens weighed the same, to the bit, at every recorded step; `optimal`, whether it predicts optimally in the end;
      `learned_at`, the first recorded step at which it did, infinite for none; `parent`, whether attention is highest
      on the direct parent; `lag`, where it is highest, `weight`, that weight, and `residue`, the residue class of lags
      mod K with the most attention (K for that of 0), and `of_residue`, its share; `shorter` and `other_p`, how far its
      accuracy is below the optimum on the last 48 tokens alone, and on walks with p = 0.9 (0.1 for p = 0).
    """
    rows = []
    for group in run.groups():
        told = _told(group)
        if told is None:
            continue
        remedy, p = told
        spread, optimal = group.metric("attention_spread"), group.metric("predicts_optimally") == 1
        parents, K, learned = on_parent(group), group.config.task.num_nodes, first_step(optimal, group.steps)
        for i, cell in enumerate(group.cells):
            weights = run.mean_attention(step=None, **cell.labels)[:-1]
            by_residue = _by_residue(weights, K)
            params = run.params(step=None, **cell.labels)
            rows.append(
                {
                    "remedy": remedy.name,
                    "kind": remedy.kind,
                    "leaves": remedy.leaves,
                    "p": p,
                    "seed": cell.config.seed,
                    "stays": bool((spread[i] == 0).all()),
                    "optimal": bool(optimal[i, -1]),
                    "learned_at": learned[i],
                    "parent": bool(parents[i]),
                    "lag": len(weights) - int(np.argmax(weights)),
                    "weight": float(weights.max()),
                    "residue": int(np.argmax(by_residue)) or K,
                    "of_residue": float(by_residue.max() / max(weights.sum(), 1e-30)),
                    "shorter": below_optimum(params, p, len(weights) // 2),
                    "other_p": below_optimum(params, 0.9 if p >= 0.5 else 0.1, len(weights)),
                }
            )
    return pd.DataFrame(rows)


def _by_residue(weights: np.ndarray, num_nodes: int) -> np.ndarray:
    """The attention on the tokens of each residue class of lags mod K, float[K]."""
    return np.bincount(np.arange(len(weights), 0, -1) % num_nodes, weights, num_nodes)


def below_optimum(params: Mapping[str, np.ndarray], p: float, num_tokens: int) -> float:
    """How far the accuracy of a model is below the optimum on walks that it was not trained on, in float64 NumPy.

    Args:
      params: of the reduced form, without unit length or feed-forward layer.
      p: probability of a clockwise step.
      num_tokens: the tokens that are there: the last ones, next to the query.
    """
    value_KxK, scores_K = (np.asarray(params[name], np.float64) for name in ("value", "state_scores"))
    positions_N = np.asarray(params["position_scores"], np.float64)
    generator, K = np.random.default_rng(0), len(scores_K)
    steps_BxL = np.where(generator.random((500, num_tokens - 1)) < p, 1, -1)
    starts_Bx1 = generator.integers(K, size=(500, 1))
    tokens_BxL = np.concatenate([starts_Bx1, starts_Bx1 + np.cumsum(steps_BxL, axis=1)], axis=1) % K
    scores_BxN = np.concatenate(
        [scores_K[tokens_BxL] + positions_N[-1 - num_tokens : -1], np.full((500, 1), positions_N[-1])], axis=1
    )
    weights_BxN = np.exp(scores_BxN - scores_BxN.max(axis=1, keepdims=True))
    averaged_BxK = np.stack([np.sum(weights_BxN[:, :-1] * (tokens_BxL == k), axis=1) for k in range(K)], axis=1)
    averaged_BxK /= weights_BxN.sum(axis=1, keepdims=True)
    predicted_B, last_B = np.argmax(averaged_BxK @ value_KxK.T, axis=1), tokens_BxL[:, -1]
    reached = p * np.mean(predicted_B == (last_B + 1) % K) + (1 - p) * np.mean(predicted_B == (last_B - 1) % K)
    return max(p, 1 - p) - float(reached)


def _by_remedy(table: pd.DataFrame, shown: str, *means: str) -> Evidence:
    return shares(table, ("remedy", "p"), shown, *means)


def stays(table: pd.DataFrame) -> Evidence:
    """The share of seeds that stay, of the remedies that are to stay."""
    return _by_remedy(table[~table["leaves"]], "stays")._replace(points=table)


def leaves(table: pd.DataFrame) -> Evidence:
    """The share of seeds that leave, of the remedies that are to leave."""
    chosen = table[table["leaves"]]
    return _by_remedy(chosen.assign(gone=~chosen["stays"]), "gone")


def learns(table: pd.DataFrame) -> Evidence:
    """The share of seeds that predict optimally in the end, of the remedies that leave, and when they first do."""
    chosen = table[table["leaves"]]
    return _by_remedy(with_first_steps(chosen), "optimal", "learned_at")


def on_one_residue(table: pd.DataFrame) -> Evidence:
    """The share of the seeds that have learned with all attention on tokens of one residue class, and which."""
    learned = table[table["optimal"]]
    told = learned.assign(one=learned["of_residue"] > 0.99, parents=learned["residue"] == 1)
    return _by_remedy(told, "one", "of_residue", "parents", "parent", "weight")


def right_on_shorter(table: pd.DataFrame) -> Evidence:
    """The share of the seeds that have learned that are optimal on the last half of the tokens, too."""
    learned = table[table["optimal"]]
    return _by_remedy(learned.assign(right=learned["shorter"] <= OPTIMAL), "right", "shorter")


def right_at_other_p(table: pd.DataFrame) -> Evidence:
    """The share of the seeds that have learned that are optimal on random walks, too."""
    learned = table[table["optimal"]]
    return _by_remedy(learned.assign(right=learned["other_p"] <= OPTIMAL), "right", "other_p")


def coordinatewise(table: pd.DataFrame) -> Evidence:
    """For each optimizer whether it leaves exactly if it looks at every entry of W by itself: 1 or 0, by its seeds."""
    rows = []
    for remedy, group in table[table["kind"].isin(["optimizer", "none"])].groupby("remedy", sort=False):
        is_coordinatewise = remedy in COORDINATEWISE
        as_said = rate_interval((~group["stays"]).to_numpy(bool) == is_coordinatewise)
        rows.append(row({"remedy": remedy}, as_said, coordinatewise=is_coordinatewise, stays=group["stays"].mean()))
    return evidence(rows, table)


def costs(run: Run) -> Evidence:
    """By how much a remedy changes the share of seeds that predict optimally, seeds paired with those of none."""
    by_remedy: dict[tuple[str, float], Group] = {}
    for group in run.groups():
        told = _told(group)
        if told is not None:
            by_remedy[told[0].name, told[1]] = group
    rows = []
    for (name, p), group in by_remedy.items():
        base = by_remedy.get(("none", p))
        if base is None or name == "none":
            continue
        optimal, of_none = (accuracy_gap(each) <= OPTIMAL for each in (group, base))
        change = mean_interval(optimal.astype(float) - of_none.astype(float))
        shares = {"optimal": optimal.mean(), "optimal_of_none": of_none.mean()}
        shares |= {"on_parent": on_parent(group).mean(), "on_parent_of_none": on_parent(base).mean()}
        rows.append(row({"remedy": name, "p": p}, change, **shares))
    return evidence(rows, rows)


_LINEAR = 1e-3
"""The spread of the weights is small, as linearisation wants it, below this."""

_ESCAPED = 1e-2
"""Weights of 1/96 that differ by this much are no longer the same."""


def growth(run: Run) -> Evidence:
    """The measured growth of the spread of the weights in a step over mu_t, by rate and t, from the smallest start."""
    rows = []
    for group in _smallest_starts(run):
        spread, predicted = group.metric("attention_spread"), _predicted(group)
        for t in range(3, len(predicted) - 1):
            if (spread[:, t + 1] < _LINEAR).all():
                measured = spread[:, t + 1] / spread[:, t]
                means = {"measured": measured.mean(), "predicted": predicted[t]}
                labels = {"η": group.config.training.learning_rate, "t": t}
                rows.append(row(labels, bootstrap_interval(measured / predicted[t]), **means))
    return evidence(rows, _escape_points(run))


def _smallest_starts(run: Run) -> list[Group]:
    """The runs from the smallest start, for each rate."""
    return run.groups(init_scale=min(group.config.model.init_scale for group in run.groups()))


def _predicted(group: Group) -> np.ndarray:
    task, training = group.config.task, group.config.training
    q = squared_norm(group.config.model.position_width)
    sizes = (task.num_nodes, task.walk_length, q, training.learning_rate, training.epsilon)
    return growth_factors(*sizes, num_steps=training.steps)


def escape_times(run: Run) -> dict[float, dict[float, np.ndarray]]:
    """By rate and scale of the start, the steps of each seed until weights differ, with the fraction of a step."""
    times: dict[float, dict[float, np.ndarray]] = {}
    for group in run.groups():
        logs, steps = np.log(np.maximum(group.metric("attention_spread"), 1e-300)), group.steps
        after = first_step(logs > np.log(_ESCAPED), steps)
        of_seeds = [
            np.interp(np.log(_ESCAPED), row_T[int(t) - 1 : int(t) + 1], [t - 1, t]) if 0 < t < np.inf else t
            for row_T, t in zip(logs, np.where(np.isfinite(after), after, np.nan), strict=True)
        ]
        by_scale = times.setdefault(group.config.training.learning_rate, {})
        by_scale[group.config.model.init_scale] = np.array(of_seeds)
    return times


def _escape_points(run: Run) -> pd.DataFrame:
    points: list[dict[str, Any]] = []
    for group in _smallest_starts(run):
        spread, rate = group.metric("attention_spread"), group.config.training.learning_rate
        for t, mu in enumerate(_predicted(group)[:-1]):
            if t >= 2 and (spread[:, t + 1] < _LINEAR).all():
                measured = np.exp(np.mean(np.log(spread[:, t + 1] / spread[:, t])))
                points += [{"quantity": "measured", "rate": rate, "step": t, "mean": measured}]
                points += [{"quantity": "predicted", "rate": rate, "step": t, "mean": mu}]
    for rate, by_scale in escape_times(run).items():
        for scale, times in by_scale.items():
            points += [{"quantity": "time", "rate": rate, "scale": scale, "mean": time} for time in times]
    return pd.DataFrame(points)


def escape_slope(run: Run) -> Evidence:
    """How many more steps a start takes that is smaller by a factor of e, over what mu_t predicts for it."""
    rows = []
    for rate, by_scale in escape_times(run).items():
        logs = np.log(_predicted(run.groups(learning_rate=rate)[0])[2:])
        steps, grown = np.arange(2, len(logs) + 3), np.concatenate([[0.0], np.cumsum(logs)])
        scales = sorted(by_scale)
        for smaller, larger in itertools.pairwise(scales):
            # When the larger start has left, the smaller one has this much to grow.
            missing = np.interp(by_scale[larger], steps, grown) + np.log(larger / smaller)
            predicted = np.interp(missing, grown, steps) - by_scale[larger]
            measured = by_scale[smaller] - by_scale[larger]
            labels = {"η": rate, "from_scale": larger, "to_scale": smaller}
            means = {"measured": measured.mean(), "predicted": predicted.mean()}
            rows.append(row(labels, bootstrap_interval(measured / predicted), **means))
    return evidence(rows)


def curriculum(run: Run) -> Evidence:
    """The share of seeds that predict p = 1 optimally, by the p of the first stage and its steps."""
    rows = []
    for group in run.groups():
        steps = int(group.config.training.stages.partition(":")[0])
        label = {"first_p": group.config.task.p, "steps": steps}
        share = rate_interval(accuracy_gap(group) <= OPTIMAL)
        weights = [run.mean_attention(step=None, **cell.labels)[:-1] for cell in group.cells]
        class_of_parent = [_by_residue(each, group.config.task.num_nodes)[1] > 0.9 * each.sum() for each in weights]
        means = {"on_parent": on_parent(group).mean(), "on_class_of_parent": np.mean(class_of_parent)}
        rows.append(row(label, share, **means))
    return evidence(rows, rows)


@styled()
def what_each_does(table: pd.DataFrame) -> Figure:
    """The share of seeds of each remedy that leave, and that learn, at the largest p: a row for each."""
    table = table[table["p"] == table["p"].max()]  # p = 0 is its mirror image
    figure = Figure(figsize=(6.4, 0.23 * table["remedy"].nunique() + 1.0), layout="constrained")
    axes = figure.subplots()
    remedies = list(dict.fromkeys(table["remedy"]))
    shown = (("leaves", lambda group: ~group["stays"], 0.16), ("learns", lambda group: group["optimal"], -0.16))
    for (name, of_group, shift), colour, marker in zip(shown, COLOURS, MARKERS, strict=False):
        shares = [rate_interval(of_group(table[table["remedy"] == each]).to_numpy(bool)) for each in remedies]
        mean = np.array([share.mean for share in shares])
        errors = np.array([(share.mean - share.low, share.high - share.mean) for share in shares]).T
        places = np.arange(len(remedies))[::-1] + shift
        axes.errorbar(mean, places, xerr=np.maximum(errors, 0), fmt=marker, color=colour, markersize=4, label=name)
    axes.set(xlabel="share of seeds", xlim=(-0.03, 1.03))
    axes.set_yticks(np.arange(len(remedies))[::-1], remedies)
    axes.grid(axis="y", linewidth=0.3)
    axes.set_title(f"What leaves the symmetric state of p = {text(float(table['p'].iloc[0]))}, and what learns")
    legend_below(figure, axes)
    return figure


@styled()
def growth_and_escape(points: pd.DataFrame) -> Figure:
    """Growth of a small difference step by step, and the steps until it is large against the scale of the start."""
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (rate, group), colour in zip(points.groupby("rate"), COLOURS, strict=False):
        for name, style in (("predicted", "-"), ("measured", "o")):
            chosen = group[group["quantity"] == name]
            left.plot(chosen["step"], chosen["mean"], style, color=colour, markersize=3, label=f"{name}, η = {rate}")
        times = group[group["quantity"] == "time"]
        right.plot(times["scale"], times["mean"], "o", color=colour, markersize=3, alpha=0.4, label=f"η = {rate}")
    left.set(xlabel="gradient step t", ylabel="growth of a difference in a step", yscale="log")
    left.set_title("Differences of weights grow step by step", fontsize=8)
    left.legend()
    right.set(xlabel="standard deviation of the start", ylabel="steps until weights differ by 0.01", xscale="log")
    right.set_title("A smaller start takes longer by a logarithm", fontsize=8)
    right.legend()
    set_letters([left, right])
    return figure


@styled()
def curriculum_map(points: pd.DataFrame) -> Figure:
    """The shares of seeds that learn p = 1, and that attend to the parent, by the p before it and the steps there."""
    figure = Figure(figsize=(7.4, 2.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (name, title) in zip(
        panels, {"estimate": "predict p = 1 optimally", "on_parent": "attend to the parent"}.items(), strict=True
    ):
        show_shares(axes, points.pivot(index="first_p", columns="steps", values=name))
        axes.set(xlabel="steps before p = 1")
        axes.set_title(f"Share of seeds that {title}", fontsize=8)
    panels[0].set_ylabel("p of these steps")
    set_letters(panels)
    return figure


@styled()
def cost_map(points: pd.DataFrame) -> Figure:
    """The share of seeds that predict optimally with each remedy at 0 < p < 1."""
    of_none = points.drop_duplicates("p").assign(remedy="none", optimal=lambda rows: rows["optimal_of_none"])
    found = pd.concat([of_none, points]).pivot(index="remedy", columns="p", values="optimal")
    found = found.loc[list(dict.fromkeys(["none", *points["remedy"]]))[::-1]]  # maps begin below
    figure = Figure(figsize=(4.6, 0.24 * len(found) + 1.2), layout="constrained")
    axes = figure.subplots()
    show_shares(axes, found)
    axes.set(xlabel="p, probability of a clockwise step")
    axes.set_title("Share of seeds that predict optimally, with each remedy", fontsize=8)
    return figure


_OF_SEEDS = "The share of seeds, with its 95% Wilson interval."
_EVERY = "Nine seeds in ten, by the whole interval: with 50 seeds, all of them."
_DETERMINISTIC = "p = 0 and 1, K = 6, N = 97 but where it is said, 120 walks (12 for all positions), 100 steps"
_RANDOM = "0 < p < 1, K = 6, N = 97, 1,000 walks (100 for all positions), 400 steps"

CLAIMS = (
    Claim(
        name="stays",
        reference="Theorem 4.1, and what follows for rates, momentum, decay, rotations, batches, noise and losses",
        setting=_DETERMINISTIC,
        statement="The weights of all tokens are equal to the last bit at every step.",
        statistic=_OF_SEEDS,
        rule=Within(1, 1, "It is proven; a single seed that leaves is a counterexample."),
        labels=("remedy", "p"),
        studies=(SYMMETRY,),
        derive=table_of,
        measure=lambda table: without_intervals(stays(table)),
        draw=what_each_does,
    ),
    Claim(
        name="stays-long",
        reference="Theorem 4.1, and what follows",
        setting=f"{_DETERMINISTIC.rpartition(',')[0]}, 10,000 steps",
        statement="The weights of all tokens are equal to the last bit at every recorded step.",
        statistic=_OF_SEEDS,
        rule=Within(1, 1, "As above."),
        labels=("remedy", "p"),
        studies=(LONG,),
        derive=table_of,
        measure=lambda table: without_intervals(stays(table)),
    ),
    Claim(
        name="leaves",
        reference="What the proof does not reach",
        setting=_DETERMINISTIC,
        statement="The weights of the tokens become different.",
        statistic=_OF_SEEDS,
        rule=Within(0.9, 1, _EVERY),
        labels=("remedy", "p"),
        studies=(SYMMETRY,),
        derive=table_of,
        measure=leaves,
    ),
    Claim(
        name="coordinatewise",
        reference="Which optimizers see the axes of W",
        setting=_DETERMINISTIC,
        statement="An optimizer leaves if and only if it looks at each entry of W by itself.",
        statistic=_OF_SEEDS,
        rule=Within(0.9, 1, _EVERY),
        labels=("remedy",),
        studies=(SYMMETRY,),
        derive=table_of,
        measure=coordinatewise,
    ),
    Claim(
        name="learns",
        reference="Is the failure unavoidable?",
        setting=_DETERMINISTIC,
        statement="What leaves predicts optimally in the end.",
        statistic=f"{_OF_SEEDS} learned_at: the mean of the first steps at which seeds do.",
        rule=Within(0.9, 1, _EVERY),
        labels=("remedy", "p"),
        studies=(SYMMETRY,),
        derive=table_of,
        measure=learns,
    ),
    Claim(
        name="learns-long",
        reference="Is the failure unavoidable?",
        setting=f"{_DETERMINISTIC.rpartition(',')[0]}, 10,000 steps, what has not learned by step 100",
        statement="What leaves predicts optimally in the end.",
        statistic=_OF_SEEDS,
        rule=Within(0.9, 1, _EVERY),
        labels=("remedy", "p"),
        studies=(LONG,),
        derive=table_of,
        measure=learns,
    ),
    Claim(
        name="residue",
        reference="What is learned: one residue class",
        setting=f"{_DETERMINISTIC}, seeds that have learned",
        statement="More than 99% of the attention on tokens is on those of one residue class of lags mod K.",
        statistic=(
            f"{_OF_SEEDS} parents: the share whose class is that of the parent; parent: whose weight is highest on the "
            "parent itself; weight: the mean of the highest weight."
        ),
        rule=Within(0.9, 1, _EVERY),
        labels=("remedy", "p"),
        studies=(SYMMETRY,),
        derive=table_of,
        measure=on_one_residue,
    ),
    Claim(
        name="shorter",
        reference="What is learned: shorter walks",
        setting=f"{_DETERMINISTIC}, seeds that have learned, tested on walks of which the last half is shown",
        statement="It predicts optimally on shorter walks.",
        statistic=f"{_OF_SEEDS} shorter: how far the accuracy is below the optimum, in the mean.",
        rule=Within(0.9, 1, _EVERY),
        labels=("remedy", "p"),
        studies=(SYMMETRY,),
        derive=table_of,
        measure=right_on_shorter,
    ),
    Claim(
        name="other-p",
        reference="What is learned: random walks",
        setting=f"{_DETERMINISTIC}, seeds that have learned, tested on walks with p = 0.9 (0.1 for p = 0)",
        statement="It predicts optimally on random walks.",
        statistic=f"{_OF_SEEDS} other_p: how far the accuracy is below the optimum, in the mean.",
        rule=Within(0.9, 1, _EVERY),
        labels=("remedy", "p"),
        studies=(SYMMETRY,),
        derive=table_of,
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
        studies=(ESCAPE,),
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
        studies=(ESCAPE,),
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
        studies=(CURRICULUM,),
        measure=curriculum,
        draw=curriculum_map,
    ),
    Claim(
        name="costs",
        reference="What a remedy costs where none is needed",
        setting=_RANDOM,
        statement="As many seeds predict optimally with the remedy as without, but for one in ten.",
        statistic="The change of the share of seeds, paired, with its interval.",
        rule=Within(-0.1, 1, "Two seeds of 20."),
        labels=("remedy", "p"),
        studies=(COSTS,),
        measure=costs,
        draw=cost_map,
    ),
)  # fmt: skip


REPORT = Report(
    "What breaks the symmetry",
    "At p = 0 and 1 gradient descent from zero stays where all tokens weigh the same, and predicts no better than "
    "chance (Theorem 4.1). What of the training has to change for that to end, what is learned then, and what the "
    "change costs at 0 < p < 1, with the verdict that a stated rule makes of the numbers. K is the number of nodes, N "
    "the length of a walk, η the learning rate. The lag of a token is how many states before the target it is; the "
    "parent has lag 1. Brackets are 95% intervals.",
    {},
    CLAIMS,
)
