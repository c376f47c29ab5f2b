"""The lemmas of appendix D: the induction behind Theorem 4.1."""

import numpy as np

from rw_jax import Run
from rw_jax.analysis.run import Group
from rw_jax.study.grid import kept_steps
from rw_jax.theory import closed_forms
from studies.claim import Evidence
from studies.paper.lemmas_c import largest_score
from studies.paper.measures import value_matrices
from studies.paper.theorem_4_1 import (
    OVER_THE_LARGEST,
    asymmetry,
    of_deterministic_walks,
    of_populations,
    value_spread,
)
from studies.rules import Within


def first_step_of_deterministic_walks(run: Run) -> Evidence:
    """Distance of V(1) from Lemma D.1's value, for the log-loss, or from all-ones, and the largest entry of W(1)."""
    return of_deterministic_walks(run, lambda group: float(np.max([largest_score(group, 1), _first_error(group)])))


def _first_error(group: Group) -> float:
    task, training = group.config.task, group.config.training
    if training.loss != "log":
        return value_spread(group, 1)
    exact = closed_forms.symmetric_first_value(
        task.num_nodes, task.walk_length, training.learning_rate, training.epsilon
    )
    return float(np.max(np.abs(value_matrices(group, 1) / exact - 1)))


def second_step_of_deterministic_walks(run: Run) -> Evidence:
    """Largest relative difference within V, u and the scores of positions after step 2."""
    return of_deterministic_walks(run, lambda group: asymmetry(group, 2))


def later_steps_of_deterministic_walks(run: Run) -> Evidence:
    """As second_step_of_deterministic_walks, the largest over all later steps with parameters."""
    return of_deterministic_walks(
        run, lambda group: np.max([asymmetry(group, step) for step in kept_steps(group.config) if step > 2])
    )


CLAIMS = (
    of_populations(
        name="D1",
        reference="Lemma D.1",
        statement="V(1) is a multiple of all-ones, η r/(ε N K) for the log-loss, and W(1) = 0.",
        statistic=(
            "Largest relative distance of an entry, or largest entry of u(1) and a(1), over p = 0 and 1 and all "
            "learning rates."
        ),
        rule=Within(0, 1e-5, "float32."),
        measure=first_step_of_deterministic_walks,
    ),
    of_populations(
        name="D2",
        reference="Lemma D.2",
        statement=(
            "V(2) is a multiple of all-ones, W_12(2) of 1 p_N^T, and W_22(2) = (α Σ_{i<N} p_i - α' p_N) p_N^T: u "
            "and the scores of the N - 1 positions have equal entries."
        ),
        statistic=(
            "Largest difference between two entries of V" + OVER_THE_LARGEST + "; and of u, and of a without the "
            "empty slot, over the largest."
        ),
        measure=second_step_of_deterministic_walks,
    ),
    of_populations(
        name="D3",
        reference="Lemma D.3",
        statement="V, u and the scores of the N - 1 positions have equal entries at every later step.",
        statistic="As for Lemma D.2, the largest over all later steps with parameters.",
        measure=later_steps_of_deterministic_walks,
    ),
)
