"""The rules, and every claim on measurements that satisfy or violate it by construction: each can say yes and no."""

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rw_jax
from rw_jax import Run
from rw_jax.study.config import Config
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import Cell
from rw_jax.theory import closed_forms
from studies.claim import Evidence, judge
from studies.paper.measures import Course
from studies.paper.report import CLAIMS, study
from studies.paper.theorem_3_1 import NEEDED
from studies.rules import COUNTEREXAMPLE, FAILS, HOLDS, PARTLY, UNTESTABLE
from tests import oracle
from tests.made_up import source_of

BY_NAME = {claim.name: claim for claim in CLAIMS}
BASE = from_config_dict(rw_jax.read_config(study().base))
CONFIGS = {sweep: sweep.config(BASE, quick=True) for sweep in study().sweeps}


def row(estimate: float, low: float = math.nan, high: float = math.nan, **labels: Any) -> dict[str, Any]:
    return {**labels, "estimate": estimate, "low": low, "high": high, "seeds": 5}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_the_rule_of_every_claim_says_yes_no_and_not_testable(claim):
    least, largest = claim.rule.least, claim.rule.largest
    inside = (max(least, -10) + min(largest, 10)) / 2
    outside = largest + 1 if math.isfinite(largest) else least - 1

    def word(*estimates):
        rows = [row(estimate, **dict.fromkeys(claim.labels, place)) for place, estimate in enumerate(estimates)]
        synthetic = dataclasses.replace(claim, measure=lambda: Evidence(pd.DataFrame(rows), pd.DataFrame()))
        return judge(synthetic, []).verdict.word

    assert word(inside, inside) == HOLDS
    assert word(outside, outside) in (FAILS, COUNTEREXAMPLE)
    assert word(inside, outside) == PARTLY
    assert word(math.nan) == UNTESTABLE


def test_every_claim_and_every_sweep_has_a_name_of_its_own():
    assert len(BY_NAME) == len(CLAIMS)
    assert len({sweep.name for sweep in study().sweeps}) == len(study().sweeps)


class MadeUpRun(Run):
    """A run of made-up numbers, whose walks go round and whose attention is on the parent."""

    def walks(self, split: str, **labels: Any) -> tuple[np.ndarray, np.ndarray]:
        task = self.cell(**labels).config.task
        walks = np.cumsum(np.ones((4, task.walk_length), int), axis=1) % task.num_nodes
        return walks[:, :-1], walks[:, -1]


def made_up(config: Config, metric=lambda name, cell: 0.5, parameters=lambda cell, step: {}, lag=1) -> Run:
    """A run with these metrics and parameters, and attention on one lag."""

    def keep(cell, step):
        return {"params": parameters(cell, step), "mean_attention": np.eye(cell.config.task.walk_length)[-1 - lag]}

    return MadeUpRun(source_of(config, metric, keep))


def word_of(name: str, **made_of: Any) -> str:
    """The verdict on a claim on one sweep, made up of these metrics or parameters."""
    (sweep,) = BY_NAME[name].sweeps
    return judge(BY_NAME[name], [made_up(CONFIGS[sweep], **made_of)]).verdict.word


def first_value(cell: Cell) -> np.ndarray:
    """Lemma C.1's V(1) of a cell."""
    task, training = cell.config.task, cell.config.training
    transition = oracle.transition_matrix(task.num_nodes, task.p)
    return closed_forms.first_step_value_matrix(transition, task.walk_length, training.learning_rate, training.epsilon)


@pytest.mark.parametrize("name", ["attention", "attention-length", "C5", "C5-population"])
def test_attention_must_come_closer_to_the_parent_as_walks_grow(name):
    def scores(gap):
        def parameters(cell, step):
            scores_N = np.zeros(cell.config.task.walk_length)
            scores_N[-2] = gap(cell.config.task.walk_length)
            return {"state_scores": np.zeros(cell.config.task.num_nodes), "position_scores": scores_N}

        return parameters

    assert word_of(name, parameters=scores(lambda length: 5 * length)) == HOLDS
    assert word_of(name, parameters=scores(lambda length: 40.0)) in (FAILS, COUNTEREXAMPLE)


@pytest.mark.parametrize("name", ["C1-samples", "C2-samples"])
def test_errors_of_samples_must_fall_as_the_square_root_of_their_number(name):
    def noisy(exponent):
        def parameters(cell, step):
            noise = np.random.default_rng(0).normal(size=(cell.config.task.num_nodes,) * 2)
            return {"value": first_value(cell) + 0.01 * cell.config.task.walks**exponent * noise}

        return parameters

    assert word_of(name, parameters=noisy(-0.5)) == HOLDS
    assert word_of(name, parameters=noisy(0.0)) in (FAILS, COUNTEREXAMPLE)


@pytest.mark.parametrize("name", ["C1", "C2"])
def test_the_first_value_matrix_must_be_the_closed_form_and_circulant(name):
    def changed(by):
        def parameters(cell, step):
            value = first_value(cell)
            value[0, 0] += by
            zeros = np.zeros(3)
            return {"value": value, "state_scores": zeros, "position_scores": zeros}

        return parameters

    assert word_of(name, parameters=changed(0)) == HOLDS
    assert word_of(name, parameters=changed(1e-6)) in (FAILS, COUNTEREXAMPLE)


def test_the_largest_entry_must_be_where_the_transition_is_largest():
    def value(cell, step):
        return {"value": oracle.transition_matrix(cell.config.task.num_nodes, cell.config.task.p).T}

    assert word_of("C3-samples", parameters=value) not in (FAILS, COUNTEREXAMPLE)  # three seeds do not decide
    assert word_of("C3-samples", parameters=lambda cell, step: {"value": -value(cell, step)["value"]}) in (
        FAILS,
        COUNTEREXAMPLE,
    )


@pytest.mark.parametrize("name", ["accuracy-samples", "success-length", "success-nodes", "success-walks", "many-nodes"])
def test_seeds_that_fail_are_counted(name):
    def metric(succeeds):
        return lambda name, cell: {"optimal_accuracy": 0.9, "expected_accuracy": 0.9 if succeeds else 0.3}.get(
            name, float(succeeds)
        )

    assert word_of(name, metric=metric(True)) == UNTESTABLE  # three of three seeds are not many
    assert word_of(name, metric=metric(False)) in (FAILS, COUNTEREXAMPLE)


def test_the_accuracy_of_a_population_must_be_optimal():
    assert word_of("accuracy", metric=lambda name, cell: 0.7) == HOLDS
    assert word_of("accuracy", metric=lambda name, cell: 0.7 if name == "optimal_accuracy" else 0.5) in (
        FAILS,
        COUNTEREXAMPLE,
    )


def test_attention_on_infinitely_many_walks_must_be_on_the_parent():
    assert word_of("attended-lag") == HOLDS
    assert word_of("attended-lag", lag=3) == FAILS


def test_the_length_that_is_needed_is_the_shortest_from_which_on_all_suffice():
    def judged(suffices):
        def metric(name, cell):
            is_enough = suffices(cell.config.task)
            return {"parent_attention": 0.999, "expected_accuracy": 0.8 if is_enough else 0.6}.get(name, 0.8)

        sweep = dataclasses.replace(NEEDED, quick_grid={"num_nodes": (5, 10), "walk_length": (20, 40, 80, 160)})
        config = sweep.config(BASE.replace(p=0.7), quick=True)
        return judge(BY_NAME["needed-length"], [made_up(config, metric)])

    as_square = judged(lambda task: task.walk_length >= 0.8 * task.num_nodes**2 and task.walk_length != 40)
    assert as_square.verdict.word == HOLDS
    # 20 suffices for K = 5 and 40 does not: 80 is the first from which on all do, as for K = 10.
    assert set(as_square.evidence.rows["shortest_by_K"]) == {"5: 80, 10: 80"}
    assert set(as_square.evidence.rows["estimate"]) == {80}
    growing = judged(lambda task: task.walk_length >= 0.8 * task.num_nodes**2)
    assert set(growing.evidence.rows["shortest_by_K"]) == {"5: 20, 10: 80"}
    never = judged(lambda task: task.num_nodes == 5)
    assert never.verdict.word == FAILS
    assert set(never.evidence.rows["shortest_by_K"]) == {"5: 20, 10: none"}
    assert math.isinf(never.evidence.rows["estimate"].iloc[0])


def test_claims_on_samples_name_a_claim_on_infinitely_many_walks():
    named = {claim.name: claim.population for claim in CLAIMS if claim.population}
    assert len(named) >= 10
    for sample, population in named.items():
        assert population in BY_NAME, sample
        assert population != sample
        assert not BY_NAME[population].population


@pytest.mark.parametrize("name", ["deterministic-value", "D1", "D2", "D3"])
def test_deterministic_walks_must_leave_everything_equal(name):
    def parameters(change):
        def made_up(cell, step):
            task, training = cell.config.task, cell.config.training
            r = (task.walk_length - 1) / task.num_nodes
            entry = training.learning_rate * r / (training.epsilon * task.walk_length * task.num_nodes)
            value = np.full((task.num_nodes,) * 2, entry)
            value[0, 0] *= 1 + change
            return {
                "value": value,
                "state_scores": np.zeros(task.num_nodes),
                "position_scores": np.append(np.zeros(task.walk_length - 1), -1.0 * (step > 1)),
            }

        return made_up

    assert word_of(name, parameters=parameters(0)) == HOLDS
    assert word_of(name, parameters=parameters(0.01)) in (FAILS, COUNTEREXAMPLE)
    assert word_of(name, parameters=parameters(math.nan)) == UNTESTABLE


def test_deterministic_walks_must_have_equal_weights_and_the_accuracy_of_a_guess():
    def metric(accuracy, spread):
        return lambda name, cell: {"accuracy": accuracy, "attention_spread": spread}.get(name, 0.0)

    assert word_of("deterministic-attention", metric=metric(0.2, 0.0)) == HOLDS
    assert word_of("deterministic-attention", metric=metric(0.2, 1e-9)) in (FAILS, COUNTEREXAMPLE)
    assert word_of("deterministic-accuracy", metric=metric(0.2, 0.0)) == HOLDS  # K = 5
    assert word_of("deterministic-accuracy", metric=metric(1.0, 0.0)) in (FAILS, COUNTEREXAMPLE)
    assert word_of("deterministic-lengths", metric=metric(1 / 6, 0.0)) == HOLDS
    assert word_of("deterministic-lengths", metric=metric(1.0, 0.0)) in (FAILS, COUNTEREXAMPLE)
    assert word_of("deterministic-full", metric=metric(1 / 6, 0.0)) == HOLDS
    assert word_of("deterministic-full", metric=metric(1.0, 0.0)) in (FAILS, COUNTEREXAMPLE)


def test_the_blocks_that_meet_the_states_of_the_query_must_be_zero():
    def key_query(entry):
        W = np.ones((56, 56))
        W[:, :6] = entry
        return lambda cell, step: {"key_query": W}

    assert word_of("zero-blocks", parameters=key_query(0)) == HOLDS
    assert word_of("zero-blocks", parameters=key_query(1e-20)) in (FAILS, COUNTEREXAMPLE)


@pytest.mark.parametrize(
    ("name", "to_transition", "to_square_root"),
    [
        ("output", HOLDS, FAILS),
        ("value", HOLDS, FAILS),
        ("value-root", FAILS, HOLDS),
        ("C7-growth", HOLDS, HOLDS),
        ("C7-residual", HOLDS, FAILS),
    ],
)
def test_what_v_tends_to_decides_the_claims_on_its_limit(name, to_transition, to_square_root):
    steps = np.unique(np.geomspace(1, 100_000, 30).astype(int))

    def word(limit, growth=0.5):
        courses = []
        for p in (0.7, 0.9):
            transition = oracle.transition_matrix(5, p)
            values = np.stack([limit(transition.T) * step**growth + 0.3 for step in steps])
            courses.append(Course(p, transition, steps, values, steps, values))
        return judge(BY_NAME[name], [courses]).verdict.word

    assert word(lambda transposed: transposed) == to_transition
    assert word(np.sqrt) == to_square_root
    if name == "C7-growth":
        assert word(np.sqrt, growth=0.25) in (FAILS, COUNTEREXAMPLE)
