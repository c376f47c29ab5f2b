"""What is measured for the claims of the paper, from finished studies, closed forms and the recursion.

Each function takes the studies by name and gives `Evidence`: a row for each setting with one number that counts,
`estimate`, and its 95% interval `low` to `high`, which is NaN where nothing is random, as on a population.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rw_jax.analysis import interpret
from rw_jax.analysis.run_dir import Run, load_run, metric_of
from rw_jax.analysis.statistics import Estimate, bootstrap_interval, mean_interval, rate_interval, slopes
from rw_jax.models.positions import sine_positions, squared_norm
from rw_jax.study.grid import Cell, kept_steps, recorded_steps
from rw_jax.theory import theory

Runs = Mapping[str, Run]


class Evidence(NamedTuple):
    """What was measured for a claim.

    Attributes:
      rows: a row for each setting: the claim's labels, `estimate`, `low`, `high`, `seeds`, and what else is telling.
      points: what its figure shows; empty if it has none.
    """

    rows: pd.DataFrame
    points: pd.DataFrame


SYMBOLS = {"num_nodes": "K", "walk_length": "N", "position_width": "M", "learning_rate": "η"}
"""Axis: its name in the tables of the report; other axes keep theirs."""


def _settings(run: Run) -> Iterator[tuple[dict[str, Any], list[Cell]]]:
    """The cells of a run by their labels other than the seed, in the order of the grid."""
    groups: dict[tuple, list[Cell]] = {}
    for cell in run.grid.cells:
        labels = tuple((SYMBOLS.get(axis, axis), label) for axis, label in cell.labels.items() if axis != "seed")
        groups.setdefault(labels, []).append(cell)
    for labels, group in groups.items():
        yield dict(labels), group


def _metric(run: Run, name: str, cell: Cell) -> np.ndarray:
    """A metric of a cell at its recorded steps."""
    return metric_of(run, name, [cell])[0]


def _transition(cell: Cell) -> np.ndarray:
    """Pi of a cell in float64, whatever precision the process has."""
    K, p = cell.config.task.num_nodes, cell.config.task.p
    identity = np.eye(K)
    return p * np.roll(identity, 1, axis=1) + (1 - p) * np.roll(identity, -1, axis=1)


def _row(labels: dict[str, Any], estimate: Estimate | float, **more: Any) -> dict[str, Any]:
    if not isinstance(estimate, Estimate):
        estimate = Estimate(estimate, np.nan, np.nan, 1)
    mean, low, high, seeds = estimate
    return {**labels, "estimate": mean, "low": low, "high": high, "seeds": seeds, **more}


def _evidence(rows: list[dict[str, Any]], points: list[dict[str, Any]] | pd.DataFrame | None = None) -> Evidence:
    return Evidence(pd.DataFrame(rows), pd.DataFrame([] if points is None else points))


# Theorem 3.1, on populations.


def accuracy_of_populations(runs: Runs) -> Evidence:
    """How far the accuracy after the last step lies below the optimum, and since when it does not."""
    run, rows = runs["population"], []
    for labels, (cell,) in _settings(run):
        gap = _metric(run, "optimal_accuracy", cell) - _metric(run, "expected_accuracy", cell)
        late = np.flatnonzero(gap > 1e-6)
        since = recorded_steps(cell.config)[late[-1] + 1] if len(late) and late[-1] + 1 < len(gap) else None
        rows.append(_row(labels, gap[-1], optimal_since_step=since))
    return _evidence(rows)


def attention_of_populations(runs: Runs) -> Evidence:
    """Slope of log(1 - parent weight) of the worst walk after the last step against N, for the K with most lengths."""
    run, points = runs["population"], []
    for labels, (cell,) in _settings(run):
        tokens, _ = run.walks("test", **cell.labels)
        steps = cell.config.training.steps
        worst = float(interpret.log_other_attention(run.params(step=steps, **cell.labels), tokens).max())
        points.append(_row(labels, worst))
    table = pd.DataFrame(points)
    table = table[table["K"] == table["K"].mode()[0]]
    rows = [
        _row({"p": p}, float(slopes(group["N"], group["estimate"].to_numpy()[None])[0]), K=group["K"].iloc[0],
             log_other_weight_at_largest_N=group["estimate"].iloc[-1], largest_N=group["N"].iloc[-1])
        for p, group in table.groupby("p")
    ]  # fmt: skip
    return _evidence(rows, table)


class _Course(NamedTuple):
    """V of one run: after the steps of training, and where the recursion goes from an early one of them."""

    p: float
    transition: np.ndarray
    trained_steps: np.ndarray
    trained: np.ndarray
    recursion_steps: np.ndarray
    recursion: np.ndarray


_RECURSION_STARTS = 0.05
"""The recursion takes over from training after this share of its steps, so that the rest of them can be compared."""


@functools.lru_cache(maxsize=1)
def _courses(path: Path) -> list[_Course]:
    """V against the step for each p of the long study at a path, by training and by the recursion, 50 times as far."""
    run = load_run(path)
    cells = [cell for _, (cell,) in _settings(run)]
    config = cells[0].config
    steps = np.array([step for step in kept_steps(config) if step > 0])
    first = int(steps[steps >= _RECURSION_STARTS * steps[-1]][0])
    trained = np.stack([[run.value_matrix(step=int(step), **cell.labels) for step in steps] for cell in cells])
    shared = steps[steps >= first]
    ahead = np.unique(np.round(np.geomspace(steps[-1], 50 * steps[-1], 20)).astype(int))
    every = np.unique(np.concatenate([shared, ahead]))
    transition = np.stack([_transition(cell) for cell in cells])
    recursion = theory.one_hot_training(
        trained[:, list(steps).index(first)], transition,
        config.training.learning_rate, config.training.epsilon, [int(step) - first for step in every],
    )  # fmt: skip
    return [
        _Course(cell.config.task.p, transition[i], steps, trained[i], every, recursion[:, i])
        for i, cell in enumerate(cells)
    ]


def output_to_transition(runs: Runs) -> Evidence:
    """Approach of f/|f| to f_OPT/|f_OPT|."""

    def distance(value_KxK, transition_KxK):
        # With attention on the parent f is the column of V that belongs to it, and parents are uniform.
        columns = zip(value_KxK.T, transition_KxK, strict=True)
        return np.mean([interpret.direction_distance(column, row) for column, row in columns])

    return _exponents(
        runs, "distance of f/|f| from f_OPT/|f_OPT|", distance, of_the_square_root=theory.square_root_distance
    )


def value_to_transition(runs: Runs) -> Evidence:
    """Approach of V/|V| to Pi^T/|Pi^T|."""
    return _exponents(
        runs,
        "distance of V/|V| from Π^T/|Π^T|",
        lambda value_KxK, transition_KxK: interpret.direction_distance(value_KxK, transition_KxK.T),
        of_the_square_root=theory.square_root_distance,
    )


def value_to_square_root(runs: Runs) -> Evidence:
    """Approach of V/|V| to the normalised elementwise square root of Pi^T."""
    return _exponents(
        runs,
        "distance of V/|V| from √Π^T/|√Π^T|",
        lambda value_KxK, transition_KxK: interpret.direction_distance(value_KxK, np.sqrt(transition_KxK.T)),
    )


def growth_of_value(runs: Runs) -> Evidence:
    """Growth of beta, the multiple of Pi^T in V."""
    return _exponents(
        runs, "β", lambda value_KxK, transition_KxK: interpret.multiple_of(value_KxK, transition_KxK.T)[0]
    )


def residual_of_value(runs: Runs) -> Evidence:
    """Growth of the largest entry of V - beta Pi^T."""
    return _exponents(
        runs,
        "largest entry of V − β Π^T",
        lambda value_KxK, transition_KxK: interpret.multiple_of(value_KxK, transition_KxK.T)[1],
    )


def _exponents(
    runs: Runs, quantity: str, measure: Callable[[np.ndarray, np.ndarray], float], **more: Callable[[float], float]
) -> Evidence:
    """The exponent of T in a quantity of V and Pi, in the last factor of 100 of the recursion, for each p.

    Args:
      runs: the studies.
      quantity: what is measured, in words.
      measure: (V, Pi) -> the quantity.
      **more: other columns, as functions of p.
    """
    rows, points = [], []
    for course in _courses(runs["long"].run_dir.path):
        labels = {"p": course.p}
        trained, recursion = (
            np.array([measure(value, course.transition) for value in values])
            for values in (course.trained, course.recursion)
        )
        parts = {"training": (course.trained_steps, trained), "recursion": (course.recursion_steps, recursion)}
        for source, (steps, values) in parts.items():
            points += [
                {**labels, "source": source, "quantity": quantity, "step": int(step), "value": value}
                for step, value in zip(steps, values, strict=True)
            ]
        window = course.recursion_steps >= course.recursion_steps[-1] / 100
        steps, values = course.recursion_steps[window], recursion[window]
        exponent = float(slopes(np.log(steps), np.log(values)[None])[0])
        ends = {"from_step": int(steps[0]), "to_step": int(steps[-1]), "value_at_the_end": values[-1]}
        rows.append(_row(labels, exponent, **ends, **{name: of_p(course.p) for name, of_p in more.items()}))
    return _evidence(rows, points)


def recursion_against_training(runs: Runs) -> Evidence:
    """Largest relative difference of V between the recursion and training over the steps that both have."""
    rows = []
    for course in _courses(runs["long"].run_dir.path):
        shared = np.isin(course.recursion_steps, course.trained_steps)
        errors = [
            interpret.relative_error(recursion, course.trained[list(course.trained_steps).index(step)])
            for step, recursion in zip(course.recursion_steps[shared], course.recursion[shared], strict=True)
        ]
        first = int(course.recursion_steps[0])
        rows.append(_row({"p": course.p}, max(errors), from_step=first, to_step=int(course.trained_steps[-1])))
    return _evidence(rows)


# Theorem 3.1, on samples.


def accuracy_of_samples(runs: Runs) -> Evidence:
    """Share of seeds whose accuracy is optimal after the last step, against the number of walks."""
    return _success(runs["walks"], lambda run, cell: _accuracy_gap(run, cell) < 1e-3)


def _accuracy_gap(run: Run, cell: Cell) -> float:
    """How far the accuracy after the last step lies below the optimum."""
    return float(_metric(run, "optimal_accuracy", cell)[-1] - _metric(run, "expected_accuracy", cell)[-1])


def _on_parent(run: Run, cell: Cell) -> bool:
    return bool(_metric(run, "parent_is_highest", cell)[-1] == 1)


def _success(run: Run, succeeds: Callable[[Run, Cell], bool]) -> Evidence:
    """The share of seeds that succeed, for each setting."""
    rows = [
        _row(labels, rate_interval(np.array([succeeds(run, cell) for cell in cells])))
        for labels, cells in _settings(run)
    ]
    return _evidence(rows, rows)


def success_by_length(runs: Runs) -> Evidence:
    """Share of seeds whose attention is on the direct parent, over p and N."""
    return _success(runs["success_by_length"], _on_parent)


def success_by_nodes(runs: Runs) -> Evidence:
    """Share of seeds whose attention is on the direct parent, over p and K."""
    return _success(runs["success_by_nodes"], _on_parent)


def success_by_walks(runs: Runs) -> Evidence:
    """Share of seeds whose attention is on the direct parent, over p and the number of training walks."""
    return _success(runs["success_by_walks"], _on_parent)


def attention_with_many_nodes(runs: Runs) -> Evidence:
    """Share of seeds on the parent for many nodes, where attention goes, and where Lemma C.5's scores send it."""
    run, rows = runs["many_nodes"], []
    for labels, cells in _settings(run):
        task, steps = cells[0].config.task, cells[0].config.training.steps
        attended = [_most_attended(run.mean_attention(step=steps, **cell.labels)) for cell in cells]
        places, counts = np.unique(attended, return_counts=True)
        predicted = int(np.argmax(theory.token_correlations(task.num_nodes, task.p, task.walk_length))) + 1
        rows.append(
            _row(labels, rate_interval(np.array([_on_parent(run, cell) for cell in cells])),
                 mostly_attended_place=int(places[np.argmax(counts)]), place_with_largest_correlation=predicted,
                 accuracy_below_optimum=float(np.mean([_accuracy_gap(run, cell) for cell in cells])),
                gap_of_Lemma_E4=theory.parent_gap(task.num_nodes, task.p, task.walk_length))
        )  # fmt: skip
    return _evidence(rows, rows)


def _most_attended(attention_N: np.ndarray) -> int:
    """How many places before the target the token with the highest mean attention is; 0 for the empty slot."""
    return len(attention_N) - 1 - int(np.argmax(attention_N))


def decay_after_training(runs: Runs) -> Evidence:
    """Slope of log(1 - parent weight) against N after the last step, for each p."""
    return _decay(runs["length"], lambda cell: cell.config.training.steps)


def decay_after_step_two(runs: Runs) -> Evidence:
    """Slope of log(1 - parent weight) against N after step 2, for each p."""
    return _decay(runs["length"], lambda cell: 2)


def _decay(run: Run, step_of: Callable[[Cell], int]) -> Evidence:
    table = []
    for labels, cells in _settings(run):
        values = []
        for cell in cells:
            tokens, _ = run.walks("test", **cell.labels)
            log_others = interpret.log_other_attention(run.params(step=step_of(cell), **cell.labels), tokens)
            values.append(log_others.max())
        table.append((labels, np.array(values)))
    rows, points = [], []
    for p in dict.fromkeys(labels["p"] for labels, _ in table):
        lengths = np.array([labels["N"] for labels, _ in table if labels["p"] == p])
        logs = np.stack([values for labels, values in table if labels["p"] == p], axis=1)
        slope, means = bootstrap_interval(slopes(lengths, logs)), logs.mean(axis=0)
        fits = {"r_squared_in_N": _r_squared(lengths, means), "r_squared_in_log_N": _r_squared(np.log(lengths), means)}
        is_power = fits["r_squared_in_log_N"] > fits["r_squared_in_N"]
        rows.append(
            _row({"p": p}, Estimate(np.nan, np.nan, np.nan, slope.seeds) if is_power else slope, slope=slope.mean,
                 log_other_weight_at_largest_N=means[-1], largest_N=int(lengths[-1]), **fits)
        )  # fmt: skip
        points += [
            {"p": p, "N": int(length), "estimate": estimate.mean, "low": estimate.low, "high": estimate.high}
            for length, estimate in zip(lengths, map(mean_interval, logs.T), strict=True)
        ]
    return _evidence(rows, points)


def _r_squared(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1] ** 2) if len(x) > 2 else np.nan


def value_of_samples(runs: Runs) -> Evidence:
    """Exponents of T in the distance of V to three limits, over seeds that found the parent, for p and walks."""
    run, rows = runs["growth"], []
    for labels, cells in _settings(run):
        found = [cell for cell in cells if _on_parent(run, cell)]
        config = cells[0].config
        steps = np.array([step for step in kept_steps(config) if step >= config.training.steps / 20])
        transposed = _transition(cells[0]).T
        distances: dict[str, list[np.ndarray]] = {"transition": [], "root": [], "counted": []}
        for cell in found:
            values = [run.value_matrix(step=int(step), **cell.labels) for step in steps]
            limits = {"transition": transposed, "root": np.sqrt(transposed), "counted": np.sqrt(_counts(run, cell))}
            for name, limit in limits.items():
                distances[name].append(np.array([interpret.direction_distance(value, limit) for value in values]))
        if len(found) < 2:
            rows.append(_row(labels, Estimate(np.nan, np.nan, np.nan, len(found))))
            continue
        exponents = {
            name: bootstrap_interval(slopes(np.log(steps), np.log(np.stack(stack))))
            for name, stack in distances.items()
        }
        last = {name: float(np.mean([distance[-1] for distance in stack])) for name, stack in distances.items()}
        rows.append(
            _row(labels, exponents["transition"], distance_to_transition=last["transition"],
                 exponent_to_square_root=exponents["root"].mean, distance_to_square_root=last["root"],
                 exponent_to_square_root_of_counts=exponents["counted"].mean,
                 distance_to_square_root_of_counts=last["counted"])
        )  # fmt: skip
    return _evidence(rows)


def _counts(run: Run, cell: Cell) -> np.ndarray:
    """How often each state (row) follows each state (column) at the end of the training walks, float64[K, K]."""
    tokens, targets = run.walks("train", **cell.labels)
    counts = np.zeros((cell.config.task.num_nodes,) * 2)
    np.add.at(counts, (targets, tokens[:, -1]), 1)
    return counts


# Theorem 4.1 and lemmas D.1 to D.3.


def accuracy_of_deterministic_walks(runs: Runs) -> Evidence:
    """Largest distance of the accuracy from 1/K at any recorded step."""
    return _deterministic(
        runs["deterministic"],
        lambda run, cell: np.abs(_metric(run, "accuracy", cell) - 1 / cell.config.task.num_nodes).max(),
    )


def attention_of_deterministic_walks(runs: Runs) -> Evidence:
    """Largest difference between the weights of two tokens of a walk at any recorded step."""
    return _deterministic(runs["deterministic"], lambda run, cell: _metric(run, "attention_spread", cell).max())


def value_of_deterministic_walks(runs: Runs) -> Evidence:
    """Largest relative difference between two entries of V at any recorded step."""
    return _deterministic(
        runs["deterministic"],
        lambda run, cell: np.max(
            [_value_spread(run.value_matrix(step=s, **cell.labels), cell) for s in kept_steps(cell.config)]
        ),
    )


def first_step_of_deterministic_walks(runs: Runs) -> Evidence:
    """Distance of V(1) from Lemma D.1's value, for the log-loss, or from all-ones, and the largest entry of W(1)."""

    def measure(run, cell):
        config, params = cell.config, run.params(step=1, **cell.labels)
        scores = np.max([np.abs(params[name]).max() for name in ("state_scores", "position_scores")])
        if config.training.loss != "log":
            return np.max([scores, _value_spread(params["value"], cell)])
        task, training = config.task, config.training
        exact = theory.symmetric_first_value(task.num_nodes, task.walk_length, training.learning_rate, training.epsilon)
        return np.max([scores, *np.abs(params["value"] / exact - 1).ravel()])

    return _deterministic(runs["deterministic"], measure)


def second_step_of_deterministic_walks(runs: Runs) -> Evidence:
    """Largest relative difference within V, u and the scores of positions after step 2."""
    return _deterministic(runs["deterministic"], lambda run, cell: _asymmetry(run.params(step=2, **cell.labels), cell))


def later_steps_of_deterministic_walks(runs: Runs) -> Evidence:
    """As second_step_of_deterministic_walks, the largest over all later steps with parameters."""
    return _deterministic(
        runs["deterministic"],
        lambda run, cell: np.max(
            [_asymmetry(run.params(step=step, **cell.labels), cell) for step in kept_steps(cell.config) if step > 2]
        ),
    )


def _asymmetry(params: dict[str, np.ndarray], cell: Cell) -> float:
    parts = (params["state_scores"], params["position_scores"][:-1])
    # NaN if one is, unlike Python's max.
    return float(np.max([_value_spread(params["value"], cell), *map(_spread, parts)]))


def _value_spread(value_KxK: np.ndarray, cell: Cell) -> float:
    """As _spread, but over eta / K at least, what a step can add to V: some losses leave V at 0 but for rounding."""
    return _spread(value_KxK, cell.config.training.learning_rate / cell.config.task.num_nodes)


def _spread(array: np.ndarray, least: float = 0.0) -> float:
    """Largest less smallest entry over the largest absolute one, or `least`; NaN if an entry is not finite."""
    array = np.asarray(array, np.float64)
    if not np.isfinite(array).all():
        return np.nan
    return float(np.ptp(array) / (max(np.abs(array).max(), least) or 1))


def _deterministic(run: Run, measure: Callable[[Run, Cell], float]) -> Evidence:
    """A number for each setting; the largest over p = 0 and 1, which mirror each other, and over learning rates."""
    table = pd.DataFrame([{**labels, "estimate": float(measure(run, cell))} for labels, (cell,) in _settings(run)])
    rows = []
    labels = ["K", "N", "loss"]
    for _, group in table.groupby(labels, sort=False):
        # With a run that has no number the setting is undecided: before it diverged it may have done anything.
        largest, setting = group["estimate"].max(skipna=False), group[labels].iloc[0].to_dict()
        rows.append(_row(setting, largest, runs=len(group), diverged=int(group["estimate"].isna().sum())))
    return _evidence(rows)


def deterministic_walks_of_other_lengths(runs: Runs) -> Evidence:
    """Accuracy after the last step, less 1/K, at p = 0 and 1, for lengths with and without N = rK + 1."""
    run, rows = runs["off_by"], []
    for _, (cell,) in _settings(run):
        task = cell.config.task
        accuracy = float(_metric(run, "accuracy", cell)[-1])
        rows.append(
            _row({"N - 1 mod K": (task.walk_length - 1) % task.num_nodes, "p": task.p, "N": task.walk_length},
                 accuracy - 1 / task.num_nodes, accuracy=accuracy,
                 attention_spread=float(_metric(run, "attention_spread", cell)[-1]))
        )  # fmt: skip
    return _evidence(rows)


def deterministic_walks_in_full(runs: Runs) -> Evidence:
    """Accuracy less 1/K after the last step at p = 1 where every entry of W is trained in float32."""
    run, rows = runs["full"], []
    for labels, cells in _settings(run):
        if labels["p"] == 1:
            gaps = np.array([_metric(run, "accuracy", cell)[-1] for cell in cells]) - 1 / cells[0].config.task.num_nodes
            spreads = [_metric(run, "attention_spread", cell)[-1] for cell in cells]
            rows.append(_row(labels, mean_interval(gaps), attention_spread=float(np.mean(spreads))))
    return _evidence(rows)


# Lemmas of appendix C, B and E.


def first_value_matrix(runs: Runs) -> Evidence:
    """Relative distance of V(1) from its closed form on populations, or the largest entry of W(1) if that is larger."""
    run, rows = runs["population"], []
    for labels, (cell,) in _settings(run):
        params = run.params(step=1, **cell.labels)
        scores = np.max([np.abs(params[name]).max() for name in ("state_scores", "position_scores")])
        error = interpret.relative_error(params["value"], _first_value(cell))
        rows.append(_row(labels, float(np.max([scores, error]))))
    return _evidence(rows)


def _first_value(cell: Cell) -> np.ndarray:
    """Lemma C.1's V(1), float64."""
    training = cell.config.training
    return theory.first_step_value_matrix(
        _transition(cell), cell.config.task.walk_length, training.learning_rate, training.epsilon
    )


def circulant_value_matrix(runs: Runs) -> Evidence:
    """Relative distance of V(1) from the nearest circulant matrix on populations."""
    run = runs["population"]
    rows = [
        _row(labels, interpret.circulant_error(run.value_matrix(step=1, **cell.labels)))
        for labels, (cell,) in _settings(run)
    ]
    return _evidence(rows)


def first_value_matrix_of_samples(runs: Runs) -> Evidence:
    """Exponent of the number of walks in the relative distance of V(1) from its closed form, for each p."""
    return _against_walks(
        runs["walks"], lambda value, cell: interpret.relative_error(value, _first_value(cell))
    )  # fmt: skip


def circulant_value_matrix_of_samples(runs: Runs) -> Evidence:
    """Exponent of the number of walks in the relative distance of V(1) from a circulant matrix, for each p."""
    return _against_walks(runs["walks"], lambda value, cell: interpret.circulant_error(value))


def _against_walks(run: Run, measure: Callable[[np.ndarray, Cell], float]) -> Evidence:
    table: dict[float, dict[int, np.ndarray]] = {}
    for labels, cells in _settings(run):
        errors = [measure(run.value_matrix(step=1, **cell.labels), cell) for cell in cells]
        table.setdefault(labels["p"], {})[labels["walks"]] = np.array(errors)
    rows, points = [], []
    for p, by_walks in table.items():
        walks, errors = np.array(list(by_walks)), np.stack(list(by_walks.values()), axis=1)
        exponent = bootstrap_interval(slopes(np.log(walks), np.log(errors)))
        rows.append(_row({"p": p}, exponent, error_at_most_walks=errors[:, -1].mean(), most_walks=int(walks[-1])))
        points += [
            {"p": p, "walks": int(number), "estimate": estimate.mean, "low": estimate.low, "high": estimate.high}
            for number, estimate in zip(walks, map(mean_interval, errors.T), strict=True)
        ]
    return _evidence(rows, points)


NODES = (5, 6, 7, 8, 10, 12, 14, 16, 17, 18, 20, 21, 24, 31, 32, 48, 64)
PROBABILITIES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""Where closed forms are evaluated, p below 1/2 being a mirror image."""


def _long_walks(num_nodes: int, p: float) -> tuple[int, int]:
    """Walks so long that no closed form changes any more, of both parities, which matter for even K."""
    length = math.ceil(num_nodes**2 / (p * (1 - p)))
    return length, length + 1


def place_of_the_largest_entry(runs: Runs) -> Evidence:
    """The smallest margin of Lemma C.3 over the two long lengths, from the closed form of V(1)."""
    return _closed_form(theory.first_step_margin)


def gap_between_correlations(runs: Runs) -> Evidence:
    """The smallest gap of Lemma E.4 over the two long lengths."""
    return _closed_form(theory.parent_gap)


def _closed_form(function: Callable[[int, float, int], float]) -> Evidence:
    rows = [
        _row({"p": p, "K": K}, min(function(K, p, length) for length in _long_walks(K, p)), N=_long_walks(K, p)[0])
        for K in NODES
        for p in PROBABILITIES
    ]
    return _evidence(rows, rows)


def largest_entry_of_samples(runs: Runs) -> Evidence:
    """Share of seeds whose V(1) is largest where Pi^T is, against the number of walks."""

    def succeeds(run, cell):
        largest = np.argmax(run.value_matrix(step=1, **cell.labels))
        transposed = _transition(cell).T.ravel()
        return bool(transposed[largest] == transposed.max())

    return _success(runs["walks"], succeeds)


def zero_blocks(runs: Runs) -> Evidence:
    """Largest absolute entry of W_11 and W_21 over all seeds and steps with parameters, where all of W is trained."""
    run, rows = runs["full"], []
    for labels, cells in _settings(run):
        zero, moved = [], []
        for cell in cells:
            for step in kept_steps(cell.config):
                W = interpret.blocks(run.key_query_matrix(step=step, **cell.labels), cell.config.task.num_nodes)
                zero += [np.abs(W.states_states).max(), np.abs(W.positions_states).max()]
                moved += [np.abs(W.states_positions).max(), np.abs(W.positions_positions).max()]
        largest = Estimate(float(np.max(zero)), np.nan, np.nan, len(cells))
        rows.append(_row(labels, largest, largest_entry_of_the_other_blocks=float(np.max(moved))))
    return _evidence(rows)


def orthogonal_positions(runs: Runs) -> Evidence:
    """Largest entry of P^T P / q - I, for positions of several widths."""
    rows = []
    for width in (10, 47, 100, 1000):
        positions_NxM = sine_positions(width, width)
        gram = positions_NxM @ positions_NxM.T / squared_norm(width)
        rows.append(_row({"M": width}, float(np.abs(gram - np.eye(width)).max()), positions=width))
    return _evidence(rows)
