"""The report on relatives of the model: heads, embeddings, positions, queries, depth, and tasks that take more."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis.circuits import num_heads_of, without_head
from rw_jax.analysis.interpret import attended_lag
from rw_jax.analysis.measures import direction_distance
from rw_jax.analysis.numbers import text
from rw_jax.analysis.plots.drawing import COLOURS, MARKERS, legend_below, set_letters, show_shares, styled
from rw_jax.analysis.run import Group, Run
from rw_jax.analysis.statistics import first_step, mean_interval, rate_interval
from rw_jax.models.embeddings import make_embeddings
from rw_jax.reports.claim import Claim, Evidence, Report, Within
from rw_jax.reports.evidence import accuracy_gap, by_labels, evidence, row, shares, with_first_steps, without_intervals
from rw_jax.reports.study import Study
from rw_jax.theory.geometry import second_scores
from rw_jax.theory.lags import circle_matrix
from rw_jax.training.metrics import OPTIMAL

REDUCED = Study(name="relatives", fields={}, grid={})
"""configs/relatives.py: heads and fixed embeddings, trained as the paper's model is."""

POSITIONS = Study(name="relatives_positions", fields={}, grid={})
"""configs/relatives_positions.py: random positions by their width and the learning rate."""

DECODERS = Study(name="relatives_decoder", fields={}, grid={})
"""configs/relatives_decoder.py: the parts of a decoder, one by one and together."""

TASKS = Study(name="relatives_tasks", fields={}, grid={})
"""configs/relatives_tasks.py: tasks whose target takes more than the last token."""


class Relative(NamedTuple):
    """A model that differs from the paper's.

    Attributes:
      name: what it is called.
      changes: fields, by the names of their axes, that differ from those of the first of its list.
      keeps: whether from zero all tokens weigh the same at p = 1 for good, by the proof of Theorem 4.1.
    """

    name: str
    changes: Mapping[str, Any] = {}
    keeps: bool = True


RELATIVES = (
    Relative("paper"),
    Relative("2 heads", {"heads": 2}),
    Relative("4 heads", {"heads": 4}),
    Relative("2 heads, start 1e-6", {"heads": 2, "init": "gaussian", "init_scale": 1e-6}, keeps=False),
    Relative("no positions", {"positions": "none"}),
    Relative("one-hot positions", {"positions": "one_hot", "position_width": 97}),
    Relative("one-hot, 2,000 steps", {"positions": "one_hot", "position_width": 97, "steps": 2000}),
    Relative("sines, M = 48", {"position_width": 48}, keeps=False),
    Relative("random positions", {"positions": "random"}, keeps=False),
    Relative("random, η = 0.001", {"positions": "random", "learning_rate": 0.001, "steps": 1000}, keeps=False),
    Relative("added sines", {"position_place": "added"}, keeps=False),
    Relative(
        "added, η = 0.001", {"position_place": "added", "learning_rate": 0.001, "steps": 1000}, keeps=False
    ),
    Relative("random tokens, E = 6", {"embedding": "random", "embedding_width": 6}, keeps=False),
    Relative("random tokens, E = 64", {"embedding": "random", "embedding_width": 64}, keeps=False),
)  # fmt: skip
"""Those that reduce exactly. The first is the paper's model."""

_STREAM = {"query": "last", "residual": "on", "key_width": 8}

OF_DECODERS = (
    Relative("paper"),
    Relative("keys and queries", {"key_width": 8}),
    Relative("learned positions", {"positions": "learned"}),
    Relative("learned embeddings", {"embedding": "learned", "embedding_width": 16}),
    Relative("last token as query", {"query": "last"}),
    Relative("rotary", {"query": "last", "key_width": 8, "positions": "rotary"}),
    Relative("all positions", {"query": "last", "target": "all"}),
    Relative("residual stream", _STREAM),
    Relative("4 heads", {**_STREAM, "heads": 4}),
    Relative("feed-forward", {**_STREAM, "feed_forward_width": 32}),
    Relative("LayerNorm", {**_STREAM, "layer_norm": "on"}),
    Relative("2 layers", {**_STREAM, "layers": 2}),
    Relative("4 layers", {**_STREAM, "layers": 4}),
    Relative(
        "everything",
        {
            **_STREAM, "layers": 2, "heads": 2, "feed_forward_width": 32, "layer_norm": "on", "positions": "rotary",
            "embedding": "learned", "embedding_width": 16, "target": "all",
        },
    ),
)  # fmt: skip
"""Parts of a decoder, trained with Adam from a Gaussian start. The first is the paper's model, trained so."""

OF_TASKS = (
    Relative("1 layer, 1 head", _STREAM),
    Relative("1 layer, 2 heads", {**_STREAM, "heads": 2}),
    Relative("2 layers, 1 head", {**_STREAM, "layers": 2}),
    Relative("2 layers, 2 heads", {**_STREAM, "layers": 2, "heads": 2}),
)
"""Decoders for tasks that take more than one token."""

_OF_RELATIVES = {
    "heads": 1, "positions": "sine", "position_width": 1000, "position_place": "beside", "embedding": "one_hot",
    "embedding_width": 0, "init": "zero", "init_scale": 0.01, "learning_rate": 1.0, "steps": 50,
}  # fmt: skip
_OF_DECODERS = {
    "heads": 1, "positions": "sine", "embedding": "one_hot", "embedding_width": 0, "query": "empty", "key_width": 0,
    "layers": 1, "residual": "off", "layer_norm": "off", "feed_forward_width": 0, "target": "last",
}  # fmt: skip


def fields_of(relative: Relative) -> dict[str, Any]:
    """The fields of one of RELATIVES by the names of their axes, the same for all of them."""
    return {**_OF_RELATIVES, **relative.changes}


def decoder_fields_of(relative: Relative) -> dict[str, Any]:
    """The fields of one of OF_DECODERS or OF_TASKS by the names of their axes, the same for all of them."""
    return {**_OF_DECODERS, **relative.changes}


def _relative_of(group: Group, relatives: Sequence[Relative]) -> Relative:
    """The relative of a group: they lie along one dimension of the grid, in their order."""
    grid = group.run.grid
    place = next(i for i, dimension in enumerate(grid.dimensions) if "heads" in dimension.axes)
    return relatives[group.cells[0].index[place]]


def table_of(run: Run) -> pd.DataFrame:
    """What each seed of each relative in configs/relatives.py did, a row each (`_table`)."""
    return _table(run, RELATIVES)


def decoder_table_of(run: Run) -> pd.DataFrame:
    """As table_of, of configs/relatives_decoder.py."""
    return _table(run, OF_DECODERS)


def task_table_of(run: Run) -> pd.DataFrame:
    """As table_of, of configs/relatives_tasks.py."""
    return _table(run, OF_TASKS)


def _table(run: Run, relatives: Sequence[Relative]) -> pd.DataFrame:
    """Of each relative, task and p what each seed did.

    Returns:
      A row for each seed with `relative`, `keeps`, `task`, `p`, `seed`; `optimal`, whether it predicts optimally in the
      end; `gap`, how far its expected accuracy is below the optimum; `learned_at`, the first recorded step at which it
      predicts optimally, infinite for none; `stays`, whether all tokens weigh the same, to the bit, at every recorded
      step; `parent`, whether a head attends to the parent more than to any other slot; `on_parent`, the largest
      attention of a head on it; `lags`, the lag that each head attends to most, layer by layer; `value_error`, the
      distance between the directions of V and Pi^T, columns centred, of the head with most attention on the parent, NaN
      where there are no such matrices; `equal_heads`, whether all heads are the same to the bit; and `parameters`, how
      many numbers are trained.
    """
    rows = []
    for group in run.groups():
        relative, config = _relative_of(group, relatives), group.config
        optimal, gap = group.metric("predicts_optimally") == 1, accuracy_gap(group)
        learned, spread = first_step(optimal, group.steps), group.metric("attention_spread")
        parent = dict(config.task.options)["lag"] if config.task.name == "lagged" else 1
        for i, cell in enumerate(group.cells):
            params, heads = run.params(step=None, **cell.labels), _heads(run, cell.labels)
            attended = [attended_lag(head_N) for head_N in heads]
            on_parent = heads[:, -1 - parent]
            told = {"relative": relative.name, "keeps": relative.keeps, "task": config.task.name, "p": config.task.p}
            rows.append(
                {
                    **told,
                    "seed": cell.config.seed,
                    "optimal": bool(optimal[i, -1]),
                    "gap": gap[i],
                    "learned_at": learned[i],
                    "stays": bool((spread[i] == 0).all()),
                    "parent": parent in attended,
                    "on_parent": float(on_parent.max()),
                    "lags": " ".join(map(str, attended)),
                    "value_error": _value_error(group, i, int(np.argmax(on_parent))),
                    "equal_heads": len(heads) == 1 or all(bool((leaf == leaf[:1]).all()) for leaf in params.values()),
                    "parameters": sum(leaf.size for leaf in params.values()),
                }
            )
    return pd.DataFrame(rows)


def _heads(run: Run, labels: Mapping[str, Any]) -> np.ndarray:
    """The mean attention of each head at the end, layers after one another, float[heads, N]."""
    model = run.cell(**labels).config.model
    if model.form == "decoder" or model.heads > 1:
        of_heads = run.mean_head_attention(step=None, **labels)
        return of_heads.reshape(-1, of_heads.shape[-1])
    return run.mean_attention(step=None, **labels)[None]


def _value_error(group: Group, seed: int, head: int) -> float:
    """The distance between the directions of a head's V and the law of the target, columns centred."""
    run, labels = group.run, group.cells[seed].labels
    law, params = run.target_law(**labels), run.params(step=None, **labels)
    if law is None:
        return np.nan
    if params["value"].ndim > 2:
        if "head_value_error" not in run.metrics:
            return np.nan
        num_layers, num_heads = num_heads_of(params)  # NaN beyond them, where another relative has more
        return float(group.metric("head_value_error")[seed, -1, :num_layers, :num_heads].ravel()[head])
    return direction_distance(*(matrix - matrix.mean(axis=0) for matrix in (params["value"], law.T)))


_BY = ("relative", "p")


def as_good_as_paper(table: pd.DataFrame) -> Evidence:
    """By how much the share of seeds that predict optimally differs from the paper's model's, seeds paired, p < 1."""
    table, rows = with_first_steps(table[table["p"] < 1]), []
    paper = {p: group.set_index("seed")["optimal"] for p, group in table[table["relative"] == "paper"].groupby("p")}
    for labels, group in by_labels(table[table["relative"] != "paper"], *_BY):
        of_paper = paper[labels["p"]]
        change = group.set_index("seed")["optimal"].astype(float) - of_paper.astype(float)
        more = {"optimal": group["optimal"].mean(), "optimal_of_paper": of_paper.mean()}
        more |= {name: float(group[name].mean()) for name in ("parent", "learned_at", "value_error")}
        rows.append(row(labels, mean_interval(change.to_numpy()), **more))
    return evidence(rows, table)


def symmetric(table: pd.DataFrame, keeps: bool) -> Evidence:
    """The share of seeds that stay at p = 1, of the relatives that are to stay, or leave, of those that are to."""
    chosen = table[(table["p"] == 1) & (table["keeps"] == keeps)]
    found = shares(chosen.assign(as_said=chosen["stays"] == keeps), _BY, "as_said", "optimal")
    return without_intervals(found) if keeps else found


def equal_heads(table: pd.DataFrame) -> Evidence:
    """The share of seeds whose heads are the same to the bit at the end, of several heads from zero."""
    chosen = table[table["relative"].isin(["2 heads", "4 heads"])]
    return without_intervals(shares(chosen, _BY, "equal_heads"))


def reaches_optimum(table: pd.DataFrame) -> Evidence:
    """The share of seeds that predict optimally, and when they first do."""
    return shares(with_first_steps(table), _BY, "optimal", "gap", "learned_at", "parameters")


def finds_parent(table: pd.DataFrame) -> Evidence:
    """Of the seeds that predict optimally at p < 1 the share in which a head attends to the parent most."""
    return shares(table[table["optimal"] & (table["p"] < 1)], _BY, "parent", "on_parent")


def looks_like_transition(table: pd.DataFrame) -> Evidence:
    """The distance of V from Pi^T, columns centred, of the seeds that predict optimally at p < 1."""
    rows, table = [], table[table["optimal"] & (table["p"] < 1) & table["value_error"].notna()]
    for labels, group in by_labels(table, *_BY):
        rows.append(row(labels, mean_interval(group["value_error"].to_numpy())))
    return evidence(rows, table)


def loss_of(table: pd.DataFrame, *relatives: str) -> Evidence:
    """By how much less of the optimal accuracy the second of two relatives loses, seeds paired, for each task and p."""
    rows, (one, other) = [], relatives
    for labels, group in by_labels(table, "task", "p"):
        gaps = {name: each.set_index("seed")["gap"] for name, each in group.groupby("relative")}
        means = {one: gaps[one].mean(), other: gaps[other].mean()}
        rows.append(row(labels, mean_interval((gaps[one] - gaps[other]).to_numpy()), **means))
    return evidence(rows, table)


def losses_of_tasks(table: pd.DataFrame) -> Evidence:
    """How far the expected accuracy is below the optimum, for each relative, task and p."""
    rows = []
    for labels, group in by_labels(table, "relative", "task", "p"):
        rows.append(row(labels, mean_interval(group["gap"].to_numpy()), optimal=group["optimal"].mean()))
    return evidence(rows, table)


def ablation(run: Run) -> pd.DataFrame:
    """What each head of the decoders with several is for, at p = 0.9, seed by seed.

    Returns:
      A row for each head with `relative`, `seed`, `layer`, `head`; `lost`, how far the expected accuracy falls without
      it; `on_parent`, its attention on the parent.
    """
    rows = []
    for group in run.groups(p=0.9):
        relative = _relative_of(group, OF_DECODERS)
        num_layers, num_heads = num_heads_of(run.params(step=None, **group.cells[0].labels))
        if num_layers * num_heads == 1:
            continue
        whole = group.metric("expected_accuracy")[:, -1]
        for i, cell in enumerate(group.cells):
            params, on_parent = run.params(step=None, **cell.labels), run.mean_head_attention(step=None, **cell.labels)
            for layer, head in itertools.product(range(num_layers), range(num_heads)):
                without = _expected_accuracy(run, cell.labels, without_head(params, layer, head))
                rows.append(
                    {
                        "relative": relative.name,
                        "seed": cell.config.seed,
                        "layer": layer,
                        "head": head,
                        "lost": float(whole[i] - without),
                        "on_parent": float(on_parent[layer, head, -2]),
                    }
                )
    return pd.DataFrame(rows)


def without_attention(run: Run) -> pd.DataFrame:
    """The expected accuracy that decoders with a residual stream lose without attention, at p = 0.9, by seed."""
    rows = []
    for group in run.groups(p=0.9, residual="on"):
        whole = group.metric("expected_accuracy")[:, -1]
        for i, cell in enumerate(group.cells):
            params = {"value": np.zeros_like(run.value_matrix(step=None, **cell.labels))}
            lost = float(whole[i] - _expected_accuracy(run, cell.labels, params))
            rows.append({"relative": _relative_of(group, OF_DECODERS).name, "seed": cell.config.seed, "lost": lost})
    return pd.DataFrame(rows)


def lost_without_attention(table: pd.DataFrame) -> Evidence:
    """The mean of that loss, for each relative."""
    groups = by_labels(table, "relative")
    return evidence([row(labels, mean_interval(group["lost"].to_numpy())) for labels, group in groups], table)


def _expected_accuracy(run: Run, labels: Mapping[str, Any], params: Mapping[str, np.ndarray]) -> float:
    return float(run.evaluate(step=None, params=params, attention=None, **labels)["expected_accuracy"])


def one_head_does_it(table: pd.DataFrame) -> Evidence:
    """The share of seeds in which the head that costs most is the one with most attention on the parent.

    Seeds in which no head costs more than 0.001 are left out.
    """
    rows = []
    for relative, group in table.groupby("relative", sort=False):
        seeds = [seed for _, seed in group.groupby("seed") if seed["lost"].max() > OPTIMAL]
        if not seeds:  # no head costs anything
            continue
        same = [seed["lost"].to_numpy().argmax() == seed["on_parent"].to_numpy().argmax() for seed in seeds]
        most = np.mean([seed["lost"].max() for seed in seeds])
        rows.append(row({"relative": relative}, rate_interval(np.array(same)), most_lost=most))
    return evidence(rows, table)


def positions_table_of(run: Run) -> pd.DataFrame:
    """What each draw of random positions did, a row each.

    Returns:
      `width`, `rate`, `p`, `draw`; `lag`, the slot with the highest mean attention after the second step, as a lag, 0
      for the empty slot; `predicted`, the same by `second_scores`; `optimal`, `parent` at the end.
    """
    rows = []
    for group in run.groups():
        config = group.config
        for i, cell in enumerate(group.cells):
            task, model = cell.config.task, cell.config.model
            embeddings = make_embeddings(
                task.num_nodes, task.walk_length, model.position_width, model.positions, seed=model.embedding_seed
            )
            scores = second_scores(circle_matrix(task.num_nodes, task.p), embeddings.positions_NxM)
            second = np.searchsorted(group.steps, 2)
            rows.append(
                {
                    "width": model.position_width,
                    "rate": config.training.learning_rate,
                    "p": task.p,
                    "draw": model.embedding_seed,
                    "lag": int(group.metric("highest_lag")[i, second]),
                    "predicted": attended_lag(scores),
                    "optimal": bool(group.metric("predicts_optimally")[i, -1] == 1),
                    "parent": bool(group.metric("parent_is_highest")[i, -1] == 1),
                }
            )
    return pd.DataFrame(rows)


def predicted_slot(table: pd.DataFrame) -> Evidence:
    """The share of draws whose attention after the second step is highest where it is predicted."""
    told = table.assign(as_said=table["lag"] == table["predicted"])
    return shares(told, ("width", "rate", "p"), "as_said")


def random_positions_do(table: pd.DataFrame) -> Evidence:
    """The share of draws of random positions with which the parent is attended to in the end."""
    return shares(table, ("width", "rate", "p"), "parent", "optimal")


@styled()
def optimal_map(table: pd.DataFrame) -> Figure:
    """The share of seeds of each relative that predict optimally, by p."""
    found = table.pivot_table(index="relative", columns="p", values="optimal", aggfunc="mean", sort=False)
    found = found.reindex(columns=sorted(found.columns)).iloc[::-1]  # maps begin below
    figure = Figure(figsize=(5.4, 0.26 * len(found) + 1.2), layout="constrained")
    axes = figure.subplots()
    show_shares(axes, found)
    axes.set(xlabel="p, probability of a clockwise step")
    axes.set_title("Share of seeds that predict optimally in the end", fontsize=8)
    return figure


@styled()
def value_distances(table: pd.DataFrame) -> Figure:
    """The distance of V from Pi^T, seed by seed, for each relative."""
    relatives = list(dict.fromkeys(table["relative"]))[::-1]
    figure = Figure(figsize=(6.4, 0.26 * len(relatives) + 1.2), layout="constrained")
    axes = figure.subplots()
    for (_, group), colour, marker in zip(table.groupby("p"), COLOURS, MARKERS, strict=False):
        places, name = group["relative"].map(relatives.index), f"p = {group['p'].iloc[0]:g}"
        axes.plot(group["value_error"], places, marker, color=colour, markersize=3, alpha=0.6, label=name)
    axes.axvline(2**0.5, color="0.6", linewidth=0.8)
    axes.set(xlabel="distance of the directions of V and Pi^T, columns centred; √2 (line): unrelated")
    axes.set_yticks(range(len(relatives)), relatives)
    axes.set_title("How much V looks like the transition matrix, a point for each seed that predicts optimally")
    legend_below(figure, axes)
    return figure


@styled()
def task_losses(table: pd.DataFrame) -> Figure:
    """The expected accuracy that is missing, by task, p and model, seed by seed with means."""
    tasks, relatives = list(dict.fromkeys(table["task"])), list(dict.fromkeys(table["relative"]))
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(tasks), sharey=True))
    ps = sorted(table["p"].unique())
    for axes, task in zip(panels, tasks, strict=True):
        for number, (relative, colour, marker) in enumerate(zip(relatives, COLOURS, MARKERS, strict=False)):
            chosen = table[(table["task"] == task) & (table["relative"] == relative)]
            places = chosen["p"].map(ps.index) + 0.14 * (number - (len(relatives) - 1) / 2)
            axes.plot(places, chosen["gap"], ".", color=colour, markersize=2, alpha=0.5)
            means = chosen.assign(place=places).groupby("place")["gap"].mean()
            axes.plot(means.index, means, marker, color=colour, markersize=5, linestyle="none", label=relative)
        axes.set_xticks(range(len(ps)), [text(float(p)) for p in ps])
        axes.set(xlabel="p")
        axes.set_title(task.replace("_", " "), fontsize=8)
    panels[0].set_ylabel("accuracy below the optimum")
    set_letters(panels)
    figure.suptitle("How far below the optimum each model ends", fontsize=9)
    legend_below(figure, panels[0])
    return figure


@styled()
def ablated_heads(table: pd.DataFrame) -> Figure:
    """The accuracy that is lost without a head against its attention on the parent, a point for each head and seed."""
    relatives = list(dict.fromkeys(table["relative"]))
    figure = Figure(figsize=(7.6, 2.9), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(relatives), sharey=True, sharex=True))
    for axes, relative in zip(panels, relatives, strict=True):
        for (layer, group), colour, marker in zip(
            table[table["relative"] == relative].groupby("layer"), COLOURS, MARKERS, strict=False
        ):
            name = f"layer {layer}"
            axes.plot(group["on_parent"], group["lost"], marker, color=colour, markersize=3, alpha=0.7, label=name)
        axes.set_title(relative, fontsize=8)
        axes.set_xlabel("attention on the parent")
    panels[0].set_ylabel("accuracy lost without the head")
    set_letters(panels)
    figure.suptitle("What each head is for, at p = 0.9", fontsize=9)
    widest = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[0]))
    legend_below(figure, widest)
    return figure


@styled()
def random_positions_map(table: pd.DataFrame) -> Figure:
    """The share of draws of random positions that attend to the parent, by width and rate, over all p < 1."""
    figure = Figure(figsize=(5.6, 2.8), layout="constrained")
    axes = figure.subplots()
    for (_, group), colour, marker in zip(table.groupby("rate"), COLOURS, MARKERS, strict=False):
        widths = np.unique(group["width"].to_numpy())
        shares = [rate_interval(group["parent"][group["width"] == width].to_numpy(bool)) for width in widths]
        mean = np.array([share.mean for share in shares])
        errors = np.array([(share.mean - share.low, share.high - share.mean) for share in shares]).T
        name, errors = f"η = {group['rate'].iloc[0]:g}", np.maximum(errors, 0)
        axes.errorbar(widths, mean, yerr=errors, fmt=f"{marker}-", color=colour, markersize=4, label=name)
    axes.set(
        xscale="log", xlabel="width M of random positions", ylabel="share attending to the parent", ylim=(-0.03, 1.03)
    )
    axes.set_title("How many draws of random positions end on the parent", fontsize=8)
    legend_below(figure, axes)
    return figure


_OF_SEEDS = "The share of seeds, with its 95% Wilson interval."
_EVERY = "Every seed: it is proven, so that one is a counterexample."
_MOST = "More than half of the seeds, by the whole interval."
_AS_PAPER = "K = 6, N = 97, 1,000 walks, log-loss, gradient descent with η = 1 from zero, 50 steps unless it is said"
_AS_DECODER = "K = 6, N = 13, M = 16, 10,000 walks, cross-entropy, Adam with rate 0.01, batches of 128, 1,000 steps"

CLAIMS = (
    Claim(
        name="relatives",
        reference="Theorem 3.1, statement 1, of relatives",
        setting=f"{_AS_PAPER}, p < 1",
        statement="As many seeds predict optimally as of the paper's model, but for one in ten.",
        statistic=(
            "The change of the share of seeds, paired, with its interval. parent: the share in which a head attends to "
            "the parent most; learned_at: the mean of the first steps at which seeds predict optimally."
        ),
        rule=Within(-0.1, 1, "Two seeds of 20."),
        labels=("relative", "p"),
        studies=(REDUCED,),
        derive=table_of,
        measure=as_good_as_paper,
        draw=optimal_map,
    ),
    Claim(
        name="relatives-stay",
        reference="Theorem 4.1 of relatives: heads from zero, orthogonal positions",
        setting=f"{_AS_PAPER}, p = 1",
        statement="The weights of all tokens are equal to the last bit at every step.",
        statistic=_OF_SEEDS,
        rule=Within(1, 1, _EVERY),
        labels=("relative", "p"),
        studies=(REDUCED,),
        derive=table_of,
        measure=lambda table: symmetric(table, keeps=True),
    ),
    Claim(
        name="relatives-leave",
        reference="What the proof of Theorem 4.1 does not reach: positions or tokens that are not orthogonal",
        setting=f"{_AS_PAPER}, p = 1",
        statement="The weights of the tokens become different.",
        statistic=f"{_OF_SEEDS} optimal: the share that predicts optimally in the end.",
        rule=Within(0.8, 1, "Four seeds in five, by the whole interval: with 20 seeds, all of them."),
        labels=("relative", "p"),
        studies=(REDUCED,),
        derive=table_of,
        measure=lambda table: symmetric(table, keeps=False),
    ),
    Claim(
        name="equal-heads",
        reference="Heads from zero are one head with rates (H η, η / H)",
        setting=_AS_PAPER,
        statement="All heads have the same parameters, to the last bit.",
        statistic=_OF_SEEDS,
        rule=Within(1, 1, _EVERY),
        labels=("relative", "p"),
        studies=(REDUCED,),
        derive=table_of,
        measure=equal_heads,
    ),
    Claim(
        name="random-positions",
        reference="Positions of any Gram matrix",
        setting="K = 6, N = 97, 1,000 walks, random positions, p < 1, 400 steps, ten draws",
        statement="The parent is attended to most in the end.",
        statistic="The share of draws, with its 95% Wilson interval.",
        rule=Within(0.5, 1, _MOST),
        labels=("width", "rate", "p"),
        studies=(POSITIONS,),
        derive=positions_table_of,
        measure=random_positions_do,
        draw=random_positions_map,
    ),
    Claim(
        name="predicted-slot",
        reference="Positions of any Gram matrix: which slot comes first",
        setting="as above, after the second step",
        statement="Attention is highest on the slot whose score is highest in the linearised second step.",
        statistic="The share of draws, with its 95% Wilson interval.",
        rule=Within(0.5, 1, _MOST),
        labels=("width", "rate", "p"),
        studies=(POSITIONS,),
        derive=positions_table_of,
        measure=predicted_slot,
    ),
    Claim(
        name="decoders",
        reference="Theorem 3.1, statement 1, of decoders",
        setting=_AS_DECODER,
        statement="It predicts optimally.",
        statistic=f"{_OF_SEEDS} gap: accuracy below the optimum; learned_at: the mean first step at which it does.",
        rule=Within(0.5, 1, _MOST),
        labels=("relative", "p"),
        studies=(DECODERS,),
        derive=decoder_table_of,
        measure=reaches_optimum,
        draw=optimal_map,
    ),
    Claim(
        name="decoders-parent",
        reference="Theorem 3.1, statement 4, of decoders",
        setting=f"{_AS_DECODER}, p < 1, seeds that predict optimally",
        statement="A head attends to the parent most.",
        statistic=f"{_OF_SEEDS} on_parent: the mean of the largest attention of a head on it.",
        rule=Within(0.5, 1, _MOST),
        labels=("relative", "p"),
        studies=(DECODERS,),
        derive=decoder_table_of,
        measure=finds_parent,
    ),
    Claim(
        name="decoders-value",
        reference="Theorem 3.1, statement 3, of decoders",
        setting=f"{_AS_DECODER}, p < 1, seeds that predict optimally",
        statement="V of the head with most attention on the parent looks like Pi^T.",
        statistic=(
            "The distance between the directions of V (readout times output times value of a residual stream) and "
            "Pi^T, columns centred; the mean over seeds, with its interval."
        ),
        rule=Within(0, 0.5, "A distance of 0.5 is a correlation of 0.875; unrelated matrices have 1.41."),
        labels=("relative", "p"),
        studies=(DECODERS,),
        derive=decoder_table_of,
        measure=looks_like_transition,
        draw=value_distances,
    ),
    Claim(
        name="no-attention",
        reference="What the residual stream does by itself",
        setting=f"{_AS_DECODER}, p = 0.9, residual stream (stated after the first numbers)",
        statement="Without all of its attention it predicts as well, but for one per cent.",
        statistic="The expected accuracy that is lost with V of every head at zero, mean over seeds with its interval.",
        rule=Within(-1, 0.01, "One per cent."),
        labels=("relative",),
        studies=(DECODERS,),
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
        studies=(DECODERS,),
        derive=ablation,
        measure=one_head_does_it,
        draw=ablated_heads,
    ),
    Claim(
        name="tasks",
        reference="Tasks that take more than the last token",
        setting=f"{_AS_DECODER.replace('1,000 steps', '2,000 steps')}, last token as query, residual stream",
        statement="It loses less than one per cent of accuracy.",
        statistic="The expected accuracy below the optimum, mean over seeds. optimal: the share within 0.001.",
        rule=Within(-1e-6, 0.01, "One per cent."),
        labels=("relative", "task", "p"),
        studies=(TASKS,),
        derive=task_table_of,
        measure=losses_of_tasks,
        draw=task_losses,
    ),
    Claim(
        name="second-layer",
        reference="What a second layer is for",
        setting="as above, one head",
        statement="Two layers lose less accuracy than one.",
        statistic="The accuracy that two layers have more, seeds paired, with its interval.",
        rule=Within(1e-9, 1, "More than none, by the whole interval."),
        labels=("task", "p"),
        studies=(TASKS,),
        derive=task_table_of,
        measure=lambda table: loss_of(table, "1 layer, 1 head", "2 layers, 1 head"),
    ),
    Claim(
        name="second-head",
        reference="What a second head is for",
        setting="as above, one layer",
        statement="Two heads lose less accuracy than one.",
        statistic="The accuracy that two heads have more, seeds paired, with its interval.",
        rule=Within(1e-9, 1, "More than none, by the whole interval."),
        labels=("task", "p"),
        studies=(TASKS,),
        derive=task_table_of,
        measure=lambda table: loss_of(table, "1 layer, 1 head", "1 layer, 2 heads"),
    ),
)  # fmt: skip

REPORT = Report(
    "Relatives of the model",
    "The paper's model has one layer, one head, one-hot tokens beside sine positions, and an empty slot for its query. "
    "Which of its results survive when one of these is another, and what tasks take more. Each claim has the verdict "
    "that a stated rule makes of the numbers. K is the number of nodes, N the length of a walk, M the width of a "
    "position, η the learning rate. The lag of a token is how many states before the target it is; the parent has lag "
    "1. Brackets are 95% intervals.",
    {},
    CLAIMS,
)
