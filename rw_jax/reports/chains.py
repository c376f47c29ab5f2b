"""The report on Markov chains: where attention goes, on infinitely many walks and on samples, beside predictions."""

import itertools
import math
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
from rw_jax.analysis.run import Run
from rw_jax.analysis.statistics import Estimate, rate_interval
from rw_jax.reports.claim import Claim, Evidence, Report, Within
from rw_jax.reports.evidence import accuracy_gap, evidence, on_parent, row, transition_matrix
from rw_jax.reports.lags import show_lags
from rw_jax.reports.study import Study
from rw_jax.tasks.chain import stationary_law
from rw_jax.tasks.families import near_cycle
from rw_jax.theory import chains, lags
from rw_jax.training.metrics import OPTIMAL

CHAINS = Study(name="chains", fields={}, grid={})
"""configs/chains.py: infinitely many walks."""

FLOW = Study(name="chains_flow", fields={}, grid={})
"""configs/chains_flow.py: a part of the chains by gradient flow."""

SAMPLES = Study(name="chains_samples", fields={}, grid={})
"""configs/chains_samples.py: a part of the chains, on samples."""

SHARP = 0.9
"""Attention has ended on one lag if that has more than this mean weight."""

CLEAR = 0.01
"""The largest c_k leads clearly if it does by more than this share of the spread of all."""


def chain_table(run: Run) -> pd.DataFrame:
    """Of each chain, and each number of nodes and walks, what predicts where attention goes, and what seeds do.

    Returns:
      A row for each setting with `chain`, its number, and `family`; `K` and `walks`; `predicted`, the lag with the
      largest c_k, by how much it leads, `lead`, and by how much the last token leads all others, `parent_lead` (less
      than 0 where it does not); `at_step_2` and `at_end`, the lags with the highest mean weight in the first seed,
      `weight`, that weight at the end, and `spread_of_u`, the largest less the smallest score of a state there;
      `end_is_stable` and `parent_is_stable`, by the exchange of lags; `is_informative`, whether the averaged token is;
      `drift`, `mixing_rate` and `unevenness`;
      `below_optimum`, and `on_parent`, `optimal` and `seeds`, the numbers of seeds with attention on the last token,
      with the optimal accuracy, and of all.
    """
    rows = []
    for group in run.groups():
        task, training, labels = group.config.task, group.config.training, group.cells[0].labels
        transition, most = transition_matrix(group), task.walk_length - 1
        stationary = stationary_law(transition)
        sizes = (task.walk_length, training.learning_rate, training.epsilon)
        scores = chains.token_scores(stationary, transition, transition, *sizes)
        weights = run.mean_attention(step=None, **labels)
        at_end, gap = attended_lag(weights), accuracy_gap(group)
        rows.append(
            {
                "chain": group.config.value("graph_seed"),
                "family": group.config.value("family"),
                "K": task.num_nodes,
                "walks": task.walks,
                "predicted": int(np.argmax(scores)) + 1,
                "lead": chains.lead(scores),
                "parent_lead": chains.lead_of_parent(scores),
                "at_step_2": attended_lag(run.mean_attention(step=2, **labels)),
                "at_end": at_end,
                "weight": weights.max(),
                "spread_of_u": np.ptp(run.params(step=None, **labels)["state_scores"]),
                "end_is_stable": at_end > 0 and lags.is_stable(transition, at_end, most),
                "parent_is_stable": lags.is_stable(transition, 1, most),
                "is_informative": chains.is_informative(transition, stationary, task.walk_length),
                "drift": chains.drift(transition, stationary),
                "mixing_rate": chains.mixing_rate(transition),
                "unevenness": chains.unevenness(stationary),
                "below_optimum": float(np.mean(gap)),
                "on_parent": int(on_parent(group).sum()),
                "optimal": int((gap <= OPTIMAL).sum()),
                "seeds": len(group.cells),
            }
        )
    return pd.DataFrame(rows)


def _by_family(table: pd.DataFrame, is_right: pd.Series, **more: pd.Series) -> Evidence:
    """The share of all chains, and of those of each family, for which something is right; the others by number."""
    rows = []
    told = table.assign(is_right=is_right, **more)
    for family, group in [("all", told), *told.groupby("family", sort=False)] if len(told) else []:
        wrong = group[~group["is_right"]]
        others = {name: float(group[name].mean()) for name in more}
        shown = ", ".join(map(str, wrong["chain"].tolist()[:12])) + (", ..." if len(wrong) > 12 else "")
        rows.append(row({"family": family}, float(group["is_right"].mean()), chains=len(group), **others, wrong=shown))
    return evidence(rows, table)


def after_step_two(table: pd.DataFrame) -> Evidence:
    """The share of chains with a clear lead whose attention is highest on the predicted lag after the second step."""
    clear = table[table["lead"] > CLEAR]
    return _by_family(clear, clear["predicted"] == clear["at_step_2"])


def ends_sharp(table: pd.DataFrame) -> Evidence:
    """The share of chains whose attention ends on one lag, how uneven their laws are, and how far u is spread."""
    more = {name: table[name] for name in ("unevenness", "spread_of_u")}
    return _by_family(table, table["weight"] > SHARP, **more)


def at_the_end(table: pd.DataFrame) -> Evidence:
    """The share of chains with a clear lead, and with sharp attention in the end, that is on the predicted lag."""
    clear = table[(table["lead"] > CLEAR) & (table["weight"] > SHARP)]
    return _by_family(clear, clear["predicted"] == clear["at_end"])


def ends_are_stable(table: pd.DataFrame) -> Evidence:
    """The share of chains with sharp attention in the end that is on a stable lag."""
    sharp = table[table["weight"] > SHARP]
    return _by_family(sharp, sharp["end_is_stable"].astype(bool))


def parents_are_stable(table: pd.DataFrame) -> Evidence:
    """The share of chains on which the last token is stable, from the closed form."""
    return _by_family(table, table["parent_is_stable"])


def uniform_and_reversible(table: pd.DataFrame) -> Evidence:
    """The share of the reversible chains with a uniform law, without a tie, whose attention ends on the last token."""
    is_one = (table["drift"] < 1e-12) & (table["unevenness"] < 1e-12) & (table["parent_lead"] != 0)
    return _by_family(table[is_one], table["at_end"][is_one] == 1)


def optimum(table: pd.DataFrame) -> Evidence:
    """The share of chains that are predicted optimally in the end."""
    return _by_family(table, table["below_optimum"] < 1e-3, below_optimum=table["below_optimum"])


def success_on_samples(infinite: Run, samples: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of both studies."""
    return chain_table(infinite), chain_table(samples)


def samples_like_infinity(tables: tuple[pd.DataFrame, pd.DataFrame]) -> Evidence:
    """The share of seeds on the last token, over the chains whose infinite run ends there, by walks and family."""
    infinite, samples = tables
    on_parent = set(infinite["chain"][(infinite["at_end"] == 1)])
    chosen = samples[samples["chain"].isin(on_parent) & (samples["K"] == infinite["K"].iloc[0])]
    rows = []
    for (family, walks), group in chosen.groupby(["family", "walks"], sort=False):
        labels = {"family": family, "walks": walks}
        rows.append(row(labels, _pooled(group, "on_parent"), chains=len(group), optimal=_pooled(group, "optimal").mean))
    return evidence(rows, samples)


def _pooled(group: pd.DataFrame, name: str) -> Estimate:
    """The share of seeds, with an interval over chains: seeds of one chain are no independent draws of chains."""
    return rate_interval((group[name] / group["seeds"]).to_numpy())._replace(seeds=int(group["seeds"].sum()))


_BINS = (-math.inf, -0.1, 0.0, 0.1, 0.3, math.inf)


def calibration(tables: tuple[pd.DataFrame, pd.DataFrame]) -> Evidence:
    """The share of seeds that do what the largest c_k says, by how clearly it says it, the walks and K."""
    _, samples = tables
    rows = []
    samples = samples[samples["parent_lead"] != 0]  # a tie predicts nothing
    samples = samples.assign(bin=pd.cut(samples["parent_lead"], list(_BINS), right=False))
    for _, group in samples.groupby(["walks", "K", "bin"], observed=True):
        walks, K, between = group[["walks", "K", "bin"]].iloc[0]
        predicted = between.left >= 0
        agree = group.assign(agree=group["on_parent"] if predicted else group["seeds"] - group["on_parent"])
        labels = {"walks": walks, "K": K, "parent_lead_from": between.left}
        rows.append(row(labels, _pooled(agree, "agree"), chains=len(group)))
    return evidence(rows, rows)


_QUANTITIES = {"drift": "drift", "mixing_rate": "second eigenvalue", "unevenness": "unevenness of the law"}


def what_hurts(tables: tuple[pd.DataFrame, pd.DataFrame]) -> Evidence:
    """Rank correlation of the share of seeds on the last token with properties of the chain, by walks and K."""
    _, samples = tables
    rows = []
    for _, group in samples.groupby(["walks", "K"]):
        walks, K = group[["walks", "K"]].iloc[0]
        success = (group["on_parent"] / group["seeds"]).rank().to_numpy()
        for quantity in _QUANTITIES:
            ranks = group[quantity].rank().to_numpy()
            rows.append(row({"property": quantity, "walks": walks, "K": K}, _correlation(ranks, success)))
    return evidence(rows, samples)


def _correlation(one: np.ndarray, other: np.ndarray) -> Estimate:
    """The correlation of two rankings over chains, with its bootstrap interval; NaN if one of them is constant."""
    pairs = np.stack([one, other], axis=1)

    def correlation(chosen: np.ndarray) -> float:
        return float(np.corrcoef(chosen.T)[0, 1]) if (np.ptp(chosen, axis=0) > 0).all() else np.nan

    generator, found = np.random.default_rng(0), correlation(pairs)
    if np.isnan(found):
        return Estimate(found, found, found, len(pairs))
    drawn = [correlation(pairs[generator.integers(len(pairs), size=len(pairs))]) for _ in range(1000)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Estimate(found, float(low), float(high), len(pairs))


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
    panels = figure.subplots(1, len(_QUANTITIES), sharey=True)
    walks = sorted(samples["walks"].unique())[len(samples["walks"].unique()) // 2]
    chosen = samples[(samples["walks"] == walks) & (samples["K"] == samples["K"].min())]
    for panel, (name, words) in zip(panels, _QUANTITIES.items(), strict=True):
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
    """A chain of each family as a graph, beside its law and what was learned of it."""
    figure = Figure(figsize=(1.75 * len(families), 5.2), layout="constrained")
    panels = figure.subplots(3, len(families), squeeze=False)
    numbers = []
    for column, family in enumerate(families):
        group = run.groups(family=family)[0]
        labels = group.cells[0].labels
        transition, value = transition_matrix(group), run.value_matrix(step=None, **labels)
        weights = run.mean_attention(step=None, **labels)
        seen = f"lag {attended_lag(weights)}" if weights.max() > SHARP else "no one lag"
        _draw_graph(panels[0, column], transition)
        learned = direction(value)
        show_matrix(panels[1, column], direction(transition.T), vmin=0, vmax=1)
        show_matrix(panels[2, column], learned, vmin=0, vmax=1)
        panels[0, column].set_title(f"{family}\nattends to {seen}", fontsize=7)
        for (following, now), entry in np.ndenumerate(transition.T):
            entries = {"transition": entry, "value_at_unit_norm": learned[following, now]}
            numbers.append({"family": family, "next": following, "now": now, **entries})
    panels[1, 0].set_ylabel("Πᵀ: next state")
    panels[2, 0].set_ylabel("V: next state")
    for panel in panels[2]:
        panel.set_xlabel("last token")
    figure.suptitle(
        "Chains, their laws and what was learned of them on infinitely many walks; matrices at unit norm", fontsize=9
    )
    return figure, pd.DataFrame(numbers)


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


_OF_FAMILY = "The share of the chains of a family; nothing is random but the choice of the chains."


def _where_attention_ends(prefix: str, setting: str, study: Study) -> tuple[Claim, ...]:
    """The claims on the end of a training, by gradient descent or by gradient flow."""
    shared: dict[str, Any] = {
        "reference": "Where attention ends",
        "labels": ("family",),
        "studies": (study,),
        "derive": chain_table,
    }
    return (
        Claim(
            name=f"{prefix}sharp",
            setting=setting,
            statement=f"Attention ends on one lag, with a mean weight above {SHARP}.",
            statistic=_OF_FAMILY,
            rule=Within(1, 1, "Any chain on which it does not is a counterexample."),
            measure=ends_sharp,
            **shared,
        ),
        Claim(
            name=f"{prefix}end",
            setting=f"{setting}, sharp ends, chains whose largest c_k leads by more than 1%",
            statement="Attention ends on the lag with the largest c_k.",
            statistic=_OF_FAMILY,
            rule=Within(0.99, 1, "As after the second step."),
            measure=at_the_end,
            **shared,
        ),
        Claim(
            name=f"{prefix}end-stable",
            setting=f"{setting}, sharp ends",
            statement="Attention ends on a lag k that is stable: R(k'|k) < 1 for every other.",
            statistic=_OF_FAMILY,
            rule=Within(1, 1, "Any chain that ends elsewhere is a counterexample."),
            measure=ends_are_stable,
            **shared,
        ),
    )


def _optimum(name: str, setting: str, study: Study) -> Claim:
    return Claim(
        name=name,
        reference="What a one-layer transformer reaches",
        setting=setting,
        statement="The transformer predicts with the optimal accuracy in the end.",
        statistic=_OF_FAMILY + " Optimal is an expected accuracy within 0.001 of the optimum.",
        rule=Within(1, 1, "Any chain on which it does not is a counterexample."),
        labels=("family",),
        studies=(study,),
        derive=chain_table,
        measure=optimum,
    )


_DESCENT, _FLOW = "infinitely many walks, gradient descent with η = 1", "infinitely many walks, gradient flow"

CLAIMS = (
    Claim(
        name="second-step",
        reference="Where attention goes first",
        setting="infinitely many walks, chains whose largest c_k leads by more than 1%",
        statement="After the second step attention is highest on the lag with the largest c_k.",
        statistic=_OF_FAMILY,
        rule=Within(0.99, 1, "The agreement that was asked for before the chains were trained."),
        labels=("family",),
        studies=(CHAINS,),
        derive=chain_table,
        measure=after_step_two,
        draw=lag_counts,
    ),
    *_where_attention_ends("", _DESCENT, CHAINS),
    *_where_attention_ends("flow-", _FLOW, FLOW),
    Claim(
        name="parent-stable",
        reference="Where attention ends",
        setting="closed form",
        statement="The last token is stable.",
        statistic=_OF_FAMILY + " It is proven for a uniform stationary law, but for ties.",
        rule=Within(1, 1, "Any chain on which it is not is a counterexample."),
        labels=("family",),
        studies=(CHAINS,),
        derive=chain_table,
        measure=parents_are_stable,
    ),
    Claim(
        name="uniform-reversible",
        reference="Reversible chains with a uniform law",
        setting="infinitely many walks",
        statement="Attention ends on the last token, but for exact ties.",
        statistic=_OF_FAMILY + " Chains on which the last token ties for the largest c_k are left out.",
        rule=Within(1, 1, "It is proven that the last token has the largest c_k."),
        labels=("family",),
        studies=(CHAINS,),
        derive=chain_table,
        measure=uniform_and_reversible,
    ),
    _optimum("optimum", _DESCENT, CHAINS),
    _optimum("flow-optimum", _FLOW, FLOW),
    Claim(
        name="samples",
        reference="Samples against infinitely many walks",
        setting="samples of the chains whose run on infinitely many walks ends on the last token",
        statement="Attention is highest on the last token in the end.",
        statistic="The share of seeds of all chains of a family, with its Wilson interval over chains.",
        rule=Within(0.8, 1, "Four seeds in five, by the whole interval."),
        labels=("family", "walks"),
        studies=(CHAINS, SAMPLES),
        derive=success_on_samples,
        measure=samples_like_infinity,
        draw=success_by_property,
    ),
    Claim(
        name="calibration",
        reference="The prediction on samples",
        setting="samples",
        statement="Seeds attend to the last token where it has the largest c_k, and elsewhere where it has not.",
        statistic=(
            "The share of seeds that do, with its Wilson interval over chains, by the lead of the last token's c_k "
            "over all others, relative to the spread of all."
        ),
        rule=Within(0.8, 1, "Four seeds in five, by the whole interval."),
        labels=("walks", "K", "parent_lead_from"),
        studies=(CHAINS, SAMPLES),
        derive=success_on_samples,
        measure=calibration,
    ),
    Claim(
        name="what-hurts",
        reference="What success on samples falls with",
        setting="samples",
        statement="The share of seeds on the last token falls with this property of the chain.",
        statistic="Rank correlation over chains, with its bootstrap interval.",
        rule=Within(-1, 0, "An interval below zero."),
        labels=("property", "walks", "K"),
        studies=(CHAINS, SAMPLES),
        derive=success_on_samples,
        measure=what_hurts,
    ),
)  # fmt: skip

REPORT = Report(
    "Markov chains",
    "What a one-layer transformer learns of Markov chains other than the circle, with the verdict that a stated rule "
    "makes of the numbers. K is the number of nodes, N the length of a walk, Π the transition matrix, V the value "
    "matrix. The lag of a token is how many states before the target it is; the last token has lag 1. c_k is the "
    "prediction of where attention goes after two steps, R(k'|k) tells whether lag k is stable once attention is "
    "one-hot. Brackets are 95% intervals.",
    {},
    CLAIMS,
)
