"""Appendices B and E: the blocks of W that stay 0, and facts on walks and positions that the proofs use."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rw_jax import Run
from rw_jax.analysis import interpret
from rw_jax.analysis.statistics import Estimate
from rw_jax.models.positions import sine_positions, squared_norm
from rw_jax.study.grid import kept_steps
from rw_jax.theory import closed_forms
from studies.claim import Claim, Evidence
from studies.evidence import evidence, row
from studies.paper import pictures
from studies.paper.lemmas_c import on_long_walks
from studies.paper.measures import settings
from studies.paper.sweeps import FULL
from studies.rules import Within


def zero_blocks(run: Run) -> Evidence:
    """Largest absolute entry of W_11 and W_21 over all seeds and steps with parameters, where all of W is trained."""
    rows = []
    for labels, group in settings(run):
        zero, moved = [], []
        for cell in group.cells:
            for step in kept_steps(group.config):
                W = interpret.blocks(run.key_query_matrix(step=step, **cell.labels), group.config.task.num_nodes)
                zero += [np.abs(W.states_states).max(), np.abs(W.positions_states).max()]
                moved += [np.abs(W.states_positions).max(), np.abs(W.positions_positions).max()]
        largest = Estimate(float(np.max(zero)), np.nan, np.nan, len(group.cells))
        rows.append(row(labels, largest, largest_entry_of_the_other_blocks=float(np.max(moved))))
    return evidence(rows)


def gap_between_correlations() -> Evidence:
    """The smallest gap of Lemma E.4 over the two long lengths."""
    return on_long_walks(closed_forms.parent_gap)


def gap_map(points: pd.DataFrame) -> Figure:
    """The gap of Lemma E.4 over p and K: orange where the inequality is reversed.

    Args:
      points: columns p, K, estimate.
    """
    return pictures.map_over_p(points, "K", "K, nodes", (-0.2, 0.2), "gap of Lemma E.4", "PuOr")


def orthogonal_positions() -> Evidence:
    """Largest entry of P^T P / q - I, for positions of several widths."""
    rows = []
    for width in (10, 47, 100, 1000):
        positions_NxM = sine_positions(width, width)
        gram = positions_NxM @ positions_NxM.T / squared_norm(width)
        rows.append(row({"M": width}, float(np.abs(gram - np.eye(width)).max()), positions=width))
    return evidence(rows)


CLAIMS = (
    Claim(
        name="zero-blocks",
        reference="Appendix B",
        setting="samples, full form",
        statement="W_11 and W_21, which meet the states of the query, stay 0.",
        statistic="Largest absolute entry over all seeds and all steps with parameters.",
        rule=Within(0, 0, "Their gradient is a product with zeros."),
        labels=("p",),
        sweeps=(FULL,),
        measure=zero_blocks,
    ),
    Claim(
        name="E4",
        reference="Lemma E.4, as the proof of Lemma C.5 uses it",
        setting="closed form, for walks so long that it changes no more",
        statement=(
            "[Π Γ]_11 - [Π^k Γ]_11 ≥ C_p > 0 for k = 2..N-1, with Γ = Σ_{l=1}^{N-1} (Π^T)^l: the target goes with"
            " its parent more than with any other token."
        ),
        statistic="The smallest difference over k, and over an even and an odd N.",
        rule=Within(1e-9, math.inf, "Positive; 1e-9 is rounding."),
        labels=("p", "K"),
        measure=gap_between_correlations,
        draw=gap_map,
    ),
    Claim(
        name="E5",
        reference="Lemma E.5",
        setting="sine positions, as many as their width M",
        statement="The positions are orthogonal, with squared norm (M + 1)/2.",
        statistic="Largest entry of P^T P / q - I.",
        rule=Within(0, 1e-11, "float64 sums of M terms."),
        labels=("M",),
        measure=orthogonal_positions,
    ),
)
