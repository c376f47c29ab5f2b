"""The pictures of Markov chains."""

import itertools
import math

import networkx as nx
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rw_jax import Run
from rw_jax.analysis.interpret import attended_lag
from rw_jax.analysis.measures import direction
from rw_jax.analysis.plots.drawing import (
    COLOURS,
    MARKERS,
    Picture,
    legend_below,
    set_letters,
    show_map,
    show_matrix,
    styled,
)
from rw_jax.analysis.statistics import rate_interval
from rw_jax.tasks.families import near_cycle
from rw_jax.theory import chains
from studies.chains.measures import CLEAR, EVEN, QUANTITIES, SHARP
from studies.evidence import transition_matrix
from studies.figures import show_lags


@styled()
def lag_counts(table: pd.DataFrame) -> Figure:
    """How many chains with a clear lead attend to which lag, against the one that is predicted."""
    clear = table[table["lead"] > CLEAR]
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, (name, title) in zip(
        panels, {"at_step_2": "after the second step", "at_end": "at the end"}.items(), strict=True
    ):
        counts = pd.crosstab(clear["predicted"], clear[name])
        if not counts.size:
            continue
        show_map(panel, np.log1p(counts.to_numpy()), *_names(counts), limits=(0, math.log1p(len(clear))), cmap="Blues")
        for (y, x), count in np.ndenumerate(counts.to_numpy()):
            is_dark = math.log1p(count) > 0.6 * math.log1p(len(clear))
            style = {"ha": "center", "va": "center", "fontsize": 6, "color": "white" if is_dark else "black"}
            panel.text(x, y, str(count) if count else "", **style)
        panel.set(xlabel=f"lag attended to {title}")
    panels[0].set_ylabel("lag with the largest c_k")
    set_letters(panels)
    figure.suptitle(f"Where attention goes on {len(clear)} chains whose largest c_k leads by 1%", fontsize=9)
    return figure


def _names(counts: pd.DataFrame) -> tuple[list[str], list[str]]:
    return [str(lag) for lag in counts.columns], [str(lag) for lag in counts.index]


@styled()
def success_by_property(samples: pd.DataFrame) -> Figure:
    """The share of seeds on the last token against properties of the chain: a point for each chain."""
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    panels = figure.subplots(1, len(QUANTITIES), sharey=True)
    walks = sorted(samples["walks"].unique())[len(samples["walks"].unique()) // 2]
    chosen = samples[(samples["walks"] == walks) & (samples["K"] == samples["K"].min())]
    for panel, (name, words) in zip(panels, QUANTITIES.items(), strict=True):
        styles = zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS[:5]), strict=False)
        for (family, group), (colour, marker) in zip(chosen.groupby("family"), styles, strict=False):
            points = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 4, "alpha": 0.7}
            panel.plot(group[name], group["on_parent"] / group["seeds"], label=family, **points)
        panel.set(xlabel=words, ylim=(-0.03, 1.03))
    panels[0].set_ylabel("share of seeds on the last token")
    set_letters(panels)
    legend_below(figure, panels[0])
    figure.suptitle(f"Which chains are learned from {walks:,} walks: a point for each chain", fontsize=9)
    return figure


@styled()
def gallery(run: Run, families: tuple[str, ...]) -> Picture:
    """A chain of each family as a graph, beside its law and what was learned of it with each width of positions."""
    widths = run.config.labels("position_width")
    figure = Figure(figsize=(1.55 * len(families), 3.0 + 1.6 * len(widths)), layout="constrained")
    panels = figure.subplots(2 + len(widths), len(families), squeeze=False)
    numbers = []
    for column, family in enumerate(families):
        groups = {width: run.groups(family=family, position_width=width)[0] for width in widths}
        transition = transition_matrix(groups[widths[0]])
        _draw_graph(panels[0, column], transition)
        panels[0, column].set_title(family, fontsize=7)
        image = show_matrix(panels[1, column], direction(transition.T), vmin=0, vmax=1)
        for panel, (width, group) in zip(panels[2:, column], groups.items(), strict=True):
            labels = group.cells[0].labels
            weights = run.mean_attention(step=None, **labels)
            learned = direction(run.value_matrix(step=None, **labels))
            show_matrix(panel, learned, vmin=0, vmax=1)
            panel.set_title(_where(weights), fontsize=7)
            for (following, now), entry in np.ndenumerate(transition.T):
                entries = {"transition": entry, "value_at_unit_norm": learned[following, now]}
                numbers.append({"family": family, "M": width, "next": following, "now": now, **entries})
    for panel, name in zip(panels[1:, 0], ["Πᵀ", *(f"V, M = {width:,}" for width in widths)], strict=True):
        panel.set_ylabel(f"{name}\nnext state", fontsize=7)
    for panel in panels[-1]:
        panel.set_xlabel("last token", fontsize=7)
    figure.colorbar(image, ax=panels[1:, :], shrink=0.4, label="entry, at unit norm of the matrix")
    task = run.config.task
    figure.suptitle(
        f"What is learned of {len(families)} chains by the width M of positions (on no one lag: on states)\n"
        f"K = {task.num_nodes}, N = {task.walk_length}, infinitely many walks; above each V where attention is",
        fontsize=9,
    )
    return figure, pd.DataFrame(numbers)


def _where(weights: np.ndarray) -> str:
    """Where attention is, in words."""
    if not np.isfinite(weights).all():
        return "diverged"
    return f"on lag {attended_lag(weights)}" if weights.max() > SHARP else "on no one lag"


@styled()
def learned_by_width(table: pd.DataFrame) -> Figure:
    """The share of the chains of each family that are predicted optimally, by M; families of one chain are left out."""
    several = table.groupby("family")["chain"].transform("nunique") > 1
    computed = table[several].dropna(subset="below_optimum")
    marked = computed.assign(is_optimal=computed["optimal"] == computed["seeds"], law=_law(computed["unevenness"]))
    lengths = sorted(marked["N"].unique())
    figure = Figure(figsize=(8.0, 0.6 + 2.7 * len(lengths)), layout="constrained")
    rows, all_widths = (
        figure.subplots(len(lengths), 2, sharex=True, sharey=True, squeeze=False),
        sorted(table["M"].unique()),
    )
    for N, panels in zip(lengths, rows, strict=True):
        laws = marked[marked["N"] == N].groupby("law", sort=True)
        for panel, (law, of_law) in zip(panels, laws, strict=False):
            styles = zip(COLOURS, itertools.cycle(MARKERS), strict=False)
            for (family, group), (colour, marker) in zip(of_law.groupby("family"), styles, strict=False):
                shares = group.groupby("M")["is_optimal"].agg(lambda optimal: rate_interval(optimal.to_numpy()))
                errors = np.array([(share.mean - share.low, share.high - share.mean) for share in shares]).T
                panel.errorbar(
                    shares.index, [share.mean for share in shares], yerr=np.maximum(errors, 0), color=colour,
                    marker=marker, markersize=4, label=f"{family} ({group['chain'].nunique()})",
                )  # fmt: skip
            panel.set(xscale="log", ylim=(-0.03, 1.03))
            panel.set_xticks(all_widths, [f"{M:,}" for M in all_widths])
            panel.xaxis.set_minor_formatter("")
            panel.set_title(f"{law}, N = {N}", fontsize=8)
        panels[0].set_ylabel("share of chains predicted optimally")
    for panel in rows[-1]:
        panel.set_xlabel("width M of positions")
    for panel in rows[0]:
        panel.legend(fontsize=5.5, loc="lower right")
    set_letters(rows.ravel())
    figure.suptitle("How many chains are learned on infinitely many walks (in brackets: of how many)", fontsize=9)
    return figure


@styled()
def race_won(table: pd.DataFrame) -> Figure:
    """The share of trainings that are optimal in the end by the race after step 2, of chains with an uneven law."""
    figure = Figure(figsize=(5.6, 3.3), layout="constrained")
    panel = figure.subplots()
    uneven = table[(table["law"] == "uneven") & ~table["diverged"]]
    edges = np.geomspace(0.01, 1000, 11)
    for (N, group), colour, marker in zip(uneven.groupby("N"), COLOURS, MARKERS, strict=False):
        places, shares = [], []
        for low, high in itertools.pairwise(edges):
            inside = group[(group["race"] > low) & (group["race"] <= high)]
            if len(inside):
                places.append(math.sqrt(low * high))
                shares.append(rate_interval(inside["optimal"].to_numpy()))
        errors = np.array([(share.mean - share.low, share.high - share.mean) for share in shares]).T
        means = [share.mean for share in shares]
        panel.errorbar(places, means, yerr=np.maximum(errors, 0), color=colour, marker=marker, label=f"N = {N}")
    panel.axvline(1, color="#777777", linewidth=0.8, linestyle="--")
    panel.set(
        xscale="log", ylim=(-0.03, 1.03), ylabel="share of trainings predicted optimally",
        xlabel="lead of the last token's position after step 2,\nin units of the spread of states' scores: q / q*",
    )  # fmt: skip
    legend_below(figure, panel)
    figure.suptitle("A chain is learned if its positions outrun its states (uneven laws, all widths M)", fontsize=9)
    return figure


def _law(unevenness: pd.Series) -> np.ndarray:
    return np.where(unevenness < EVEN, "uniform stationary law", "other laws")


def _draw_graph(panel: Axes, transition: np.ndarray) -> None:
    graph = nx.from_numpy_array(transition * (transition > 0.02), create_using=nx.DiGraph)
    widths = [0.2 + 1.5 * graph.edges[edge]["weight"] for edge in graph.edges]
    nx.draw_networkx(
        graph, nx.circular_layout(graph), ax=panel, node_size=60, font_size=5, width=widths, arrowsize=4,
        node_color="#cfe3f2", edge_color="#444444", connectionstyle="arc3,rad=0.1",
    )  # fmt: skip
    panel.set_axis_off()


@styled()
def noise_map(num_nodes: int, walk_length: int) -> Picture:
    """The lag with the largest c_k on circles that jump anywhere now and then, over p and how often they do."""
    noises, probabilities = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1), (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)
    rows = []
    for noise in noises:
        for p in probabilities:
            transition = near_cycle(num_nodes, p, noise, 0.0, 0)
            uniform = np.full(num_nodes, 1 / num_nodes)
            scores = chains.token_scores(uniform, transition, transition, walk_length, 1.0, 0.1)
            rows.append({"p": p, "noise": noise, "predicted": int(np.argmax(scores)) + 1, "lead": chains.lead(scores)})
    table = pd.DataFrame(rows)
    found = table.pivot(index="noise", columns="p", values="predicted")
    figure = Figure(figsize=(4.8, 3.3), layout="constrained")
    panel = figure.subplots()
    show_lags(panel, found)
    panel.set(xlabel="p, probability of a clockwise step", ylabel="probability of a jump anywhere")
    figure.suptitle(f"Mixing noise heals: the lag with the largest c_k, K = {num_nodes}, N = {walk_length}", fontsize=9)
    return figure, table
