"""What predicts where attention goes in a chain, what seeds do, and the shares that the claims are about."""

import math

import numpy as np
import pandas as pd

from rw_jax import Run
from rw_jax.analysis.interpret import attended_lag
from rw_jax.analysis.statistics import Estimate, rate_interval
from rw_jax.tasks.chain import stationary_law
from rw_jax.theory import chains, lags
from studies.claim import Evidence
from studies.evidence import accuracy_gap, evidence, on_parent, predicts_optimally, row, transition_matrix

SHARP = 0.9
"""Attention has ended on one lag if that has more than this mean weight."""

EVEN = 1e-12
"""A stationary law is uniform if its unevenness is below this."""

CLEAR = 0.01
"""The largest c_k leads clearly if it does by more than this share of the spread of all."""


def chain_table(run: Run) -> pd.DataFrame:
    """Of each chain, and each number of nodes and walks, what predicts where attention goes, and what seeds do.

    Returns:
      A row for each setting with `chain`, its number, and `family`; `K`, `N`, `M` and `walks`; `predicted`, the lag
      with the largest c_k, by how much it leads, `lead`, and by how much the last token leads all others, `parent_lead`
      (less than 0 where it does not); `at_step_2` and `at_end`, the lags with the highest mean weight in the first
      seed, `weight`, that weight at the end, and `spread_of_u`, the largest less the smallest score of a state there;
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
        at_end = attended_lag(weights)
        rows.append(
            {
                "chain": group.config.value("graph_seed"),
                "family": group.config.value("family"),
                "K": task.num_nodes,
                "N": task.walk_length,
                "M": group.config.model.position_width,
                "walks": task.walks,
                "predicted": int(np.argmax(scores)) + 1,
                "lead": chains.lead(scores),
                "parent_lead": chains.lead_of_parent(scores),
                "at_step_2": attended_lag(run.mean_attention(step=2, **labels)),
                "at_end": at_end,
                "weight": weights.max(),
                "spread_of_u": np.ptp(run.params(step=None, **labels)["state_scores"]),
                "end_is_stable": at_end > 0 and lags.is_stable(transition, int(at_end), most),
                "parent_is_stable": lags.is_stable(transition, 1, most),
                "is_informative": chains.is_informative(transition, stationary, task.walk_length),
                "drift": chains.drift(transition, stationary),
                "mixing_rate": chains.mixing_rate(transition),
                "unevenness": chains.unevenness(stationary),
                "below_optimum": float(np.mean(accuracy_gap(group))),
                "on_parent": int(on_parent(group).sum()),
                "optimal": int(predicts_optimally(group).sum()),
                "seeds": len(group.cells),
            }
        )
    return pd.DataFrame(rows)


def _by_family(table: pd.DataFrame, is_right: pd.Series, **more: pd.Series) -> Evidence:
    """The share of all chains, and of those of each family, for which something is right; the others by number."""
    rows = []
    marked = table.assign(is_right=is_right, **more)
    for family, group in [("all", marked), *marked.groupby("family", sort=False)] if len(marked) else []:
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
    is_one = (table["drift"] < 1e-12) & (table["unevenness"] < EVEN) & (table["parent_lead"] != 0)
    return _by_family(table[is_one], table["at_end"][is_one] == 1)


def optimum(table: pd.DataFrame) -> Evidence:
    """The share of chains that are predicted optimally in the end."""
    return _by_family(table, table["optimal"] == table["seeds"], below_optimum=table["below_optimum"])


def optimum_by_width(table: pd.DataFrame) -> Evidence:
    """The share of chains that are predicted optimally in the end, of each kind of law and family, by the width M.

    Trainings that diverged, whose numbers are NaN, are left out and counted.
    """
    rows, is_even = [], table["unevenness"] < EVEN
    kinds = {"all with a uniform law": table[is_even], "all others": table[~is_even]}
    kinds |= {str(family): of_family for family, of_family in table.groupby("family", sort=False)}
    for chains_of, group in kinds.items():
        for (N, M), of_width in group.groupby(["N", "M"]):
            diverged = int(of_width["below_optimum"].isna().sum())
            of_width = of_width.dropna(subset="below_optimum")
            if not len(of_width):
                continue
            share = rate_interval((of_width["optimal"] == of_width["seeds"]).to_numpy())
            below = float(of_width["below_optimum"].mean())
            on_states = float((of_width["weight"] <= SHARP).mean())
            rows.append(
                row(
                    {"chains": chains_of, "N": N, "M": M},
                    share,
                    below_optimum=below,
                    no_one_lag=on_states,
                    diverged=diverged,
                )
            )
    return evidence(rows, table)


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


QUANTITIES = {"drift": "drift", "mixing_rate": "second eigenvalue", "unevenness": "unevenness of the law"}
"""The properties of a chain that success is held beside, and their words."""


def what_hurts(tables: tuple[pd.DataFrame, pd.DataFrame]) -> Evidence:
    """Rank correlation of the share of seeds on the last token with properties of the chain, by walks and K."""
    _, samples = tables
    rows = []
    for _, group in samples.groupby(["walks", "K"]):
        walks, K = group[["walks", "K"]].iloc[0]
        success = (group["on_parent"] / group["seeds"]).rank().to_numpy()
        for quantity in QUANTITIES:
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
