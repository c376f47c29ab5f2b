"""The arrays of runs of one shape: what was kept, what depends on the law alone, and what is measured again."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from rw_jax.analysis.interpret import spectrum
from rw_jax.analysis.measures import direction
from rw_jax.analysis.replay import Replay
from rw_jax.analysis.run import Run
from rw_jax.explorer.missing import form_of, unlike_the_first_steps, unlike_the_paper
from rw_jax.explorer.numbers import (
    ALL_ALIKE,
    FAILURES,
    NO_NUMBER,
    SPREAD,
    Arrays,
    Block,
    accuracy_of,
    metric_of,
    others_of,
    setting_of,
)
from rw_jax.study.config import Config
from rw_jax.study.fields import is_piece
from rw_jax.study.grid import Cell, kept_steps, recorded_steps
from rw_jax.theory import chains
from rw_jax.training.metrics import OPTIMAL


def of_one_shape(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells by what their arrays have in common."""
    together: dict[Any, list[Cell]] = {}
    for cell in cells:
        config = cell.config
        sizes = (config.task.num_nodes, config.task.walk_length, config.training.steps)
        kinds = (config.task.name, config.task.options, config.model, config.training.loss, config.training.optimizer)
        first_steps = (config.training.stages, config.training.target)
        together.setdefault((sizes, str(kinds), first_steps), []).append(cell)
    return list(together.values())


def block_of(run: Run, metrics: xr.Dataset, cells: Sequence[Cell]) -> Block:
    """The numbers of runs of one shape."""
    config = cells[0].config
    kept = _stacks([run.source.kept(run.grid, cell.number) for cell in cells])
    settings: dict[tuple, int] = {}
    rows = [settings.setdefault(_law_key(cell), len(settings)) for cell in cells]
    firsts = [cells[rows.index(row)] for row in settings.values()]
    replays = [run.replay(**cell.labels) for cell in firsts]
    arrays, missing = _of_metrics(metrics, cells) | {"setting": np.array(rows, np.uint32)}, {}
    multiplies = replays[0].multiplies_average and np.ndim(kept["params"].get("value")) == 4
    lawless = _add_laws(arrays, replays)
    if lawless:
        missing["law"] = lawless
    _add_kept(arrays, missing, kept, replays[0], unlike_the_paper(config, multiplies))
    first_steps = lawless or unlike_the_first_steps(replays[0], multiplies)
    if first_steps:
        missing["correlations"] = first_steps
    else:
        of_settings = zip(replays, firsts, strict=True)
        arrays["correlations"] = np.stack([correlations(replay.law(), cell.config) for replay, cell in of_settings])
    parent = replays[0].parent
    not_split = unlike_the_paper(config, multiplies) or lawless
    if not_split or parent != 1:
        missing["split"] = not_split or "The direct parent is not the last token."
    else:
        laws = [arrays["law"][row] for row in rows]
        arrays["with_parent"], arrays["with_law"], arrays["tolerance"] = split(run, cells, kept["params"], laws)
    return Block(
        np.array([cell.number for cell in cells]),
        config.task.num_nodes,
        config.task.walk_length,
        parent,
        recorded_steps(config),
        kept_steps(config),
        {name: _single(array) for name, array in arrays.items()},
        missing,
        replays[0].vocabulary,
    )


def _add_laws(arrays: Arrays, replays: Sequence[Replay]) -> str:
    """The laws of settings, beside the other arrays; or why there are none, in a sentence."""
    laws = [law.target_KxK for law in (replay.law() for replay in replays) if law is not None]
    if not laws:
        return "The last token alone does not tell the law of the target, so that there is no Πᵀ."
    arrays["law"] = np.stack([np.asarray(law, np.float64) for law in laws])
    arrays["law_spectrum"] = amplitudes(np.swapaxes(arrays["law"], 1, 2))
    arrays["root_spectrum"] = amplitudes(np.sqrt(np.swapaxes(arrays["law"], 1, 2)))
    return ""


def _add_kept(arrays: Arrays, missing: dict[str, str], kept: Mapping[str, Any], replay: Replay, unlike: str) -> None:
    """What runs keep, beside the other arrays, or why it is not there.

    Args:
      arrays: of the block.
      missing: of the block.
      kept: by name, with leading axes of runs and steps.
      replay: of one of the runs.
      unlike: why V is not to be compared with the law, in a sentence; "" if it is.
    """
    params, config = kept["params"], replay.config
    if "mean_attention" in kept:
        arrays["attention"] = kept["mean_attention"]
    else:
        missing["attention"] = f"{form_of(config)} has no attention."
    scores = replay.state_scores(params, num_axes=2)
    if scores is not None:
        arrays["scores"] = scores
    else:
        missing["scores"] = (
            f"{form_of(config)} has no scores u of states by themselves; the reduced form of one head has."
        )
    if unlike:
        missing["value"] = f"{unlike} f(X) is not V times the averaged token, so that V is not to be compared with Πᵀ."
    else:
        arrays["value"] = params["value"]
        arrays["value_spectrum"] = amplitudes(params["value"])


def split(run: Run, cells: Sequence[Cell], params: Arrays, laws: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The expected accuracy of V with attention on the parent, and of attention with V = Pi^T, two float64[C, S].

    Both are the optimum over all walks, less what is missed on the test walks. With them comes how far below it each
    may be that is right, float64[C] (`metrics.optimal_tolerance`).

    Args:
      run: the run.
      cells: C runs of one shape.
      params: by name, with leading axes of runs and of S steps.
      laws: of the target of each run, row = the last token.
    """
    num_steps, K = params["value"].shape[1:3]
    # With all attention on the last token nothing else counts: one walk for each state is enough, and for all runs.
    tokens_KxL = np.tile(np.arange(K)[:, None], cells[0].config.task.walk_length - 1)
    every = {name: stack.reshape(-1, *stack.shape[2:]) for name, stack in params.items()}
    by_state = run.replay(**cells[0].labels).predict(every, tokens_KxL, "parent").reshape(-1, num_steps, K, K)
    with_parent, with_law, tolerances = [], [], []
    for i, (cell, law_KxK) in enumerate(zip(cells, laws, strict=True)):
        replay = run.replay(**cell.labels)
        tokens_BxL, _, weights_B = replay.walks("test")
        last_B = tokens_BxL[:, -1]
        chain: Any = replay.law()  # there is one, as a law of the target is
        start_K, transition_KxK = np.asarray(chain.start_K), np.asarray(chain.transition_KxK)
        last_K = start_K @ np.linalg.matrix_power(transition_KxK, tokens_BxL.shape[1] - 1)
        most_K = law_KxK.max(axis=1)
        tolerances.append(np.clip(last_K @ (most_K * (1 - most_K)) / 10, 1e-6, OPTIMAL))
        off_by = float(last_K @ most_K - np.average(most_K[last_B], weights=weights_B))
        with_parent.append(off_by + expected_accuracy(by_state[i][:, last_B], law_KxK, last_B, weights_B))
        own = {name: stack[i] for name, stack in params.items()}
        own["value"] = np.broadcast_to(law_KxK.T, own["value"].shape).astype(own["value"].dtype)
        # Where all tokens weigh the same, several states often have the same output up to rounding.
        with_law.append(
            off_by + expected_accuracy(replay.predict(own, tokens_BxL), law_KxK, last_B, weights_B, tie=1e-6)
        )
    return np.array(with_parent), np.array(with_law), np.array(tolerances)


def expected_accuracy(
    output_SxBxK: np.ndarray, law_KxK: np.ndarray, last_B: np.ndarray, weights_B: np.ndarray, tie: float = 0.0
) -> np.ndarray:
    """The mean probability of what is predicted, float64[S]; NaN where an output is not finite.

    Args:
      output_SxBxK: f(X); the prediction is the state with the largest, the first of those that tie.
      law_KxK: of the target, row = the last token.
      last_B: the last token of each walk.
      weights_B: the weight of each walk.
      tie: outputs that are less than this share below the largest tie with it.
    """
    with np.errstate(invalid="ignore"):
        largest_SxBx1 = output_SxBxK.max(axis=2, keepdims=True)
        ties = output_SxBxK >= largest_SxBx1 - tie * np.abs(largest_SxBx1)
    hits_SxB = law_KxK[last_B, np.argmax(ties, axis=2)]
    means_S = hits_SxB @ weights_B.astype(np.float64) / weights_B.sum(dtype=np.float64)
    return np.where(np.isfinite(output_SxBxK).all(axis=(1, 2)), means_S, np.nan)


def _single(array: np.ndarray) -> np.ndarray:
    """In float32, if it is of floating-point numbers; what is too large is infinite."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32) if array.dtype.kind == "f" else array


def _law_key(cell: Cell) -> tuple:
    """What the law of a run depends on: a task of the user's own may use the seed."""
    return tuple(cell.labels.items()) if is_piece(cell.config.task.name) else setting_of(cell)


def _stacks(trees: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Trees of arrays, stacked along a first axis."""
    first = trees[0]
    return {
        name: _stacks([tree[name] for tree in trees])
        if isinstance(first[name], Mapping)
        else np.stack([np.asarray(tree[name]) for tree in trees])
        for name in first
    }


def _of_metrics(metrics: xr.Dataset, cells: Sequence[Cell]) -> Arrays:
    """What metrics tell of runs at their recorded steps, [C, T]."""

    def stacked(name: str) -> np.ndarray:
        return metric_of(metrics, name, cells, recorded_steps(cells[0].config))

    lag, spread, loss = stacked("highest_lag"), stacked("attention_spread"), stacked("train_loss")
    lag = np.where(spread <= SPREAD, ALL_ALIKE, np.where(np.isnan(lag), NO_NUMBER, lag))
    accuracy = stacked(accuracy_of(metrics))
    success = next((stacked(name) for name in FAILURES if name in metrics), np.ones_like(loss))
    arrays = {
        "lag": lag.astype(np.int16),
        "failed": ((success != 1) | ~np.isfinite(accuracy)).astype(np.uint8),
        "accuracy": accuracy,
        "train_loss": loss,
        "optimum": stacked("optimal_accuracy")[:, 0],
    }
    if "parent_attention" in metrics:
        arrays["parent_attention"] = stacked("parent_attention")
    of_others = {f"metric {other.name}": stacked(other.name) for other in others_of(metrics)}
    arrays |= {name: array for name, array in of_others.items() if not np.isnan(array).all()}
    return arrays


def correlations(law: Any, config: Config) -> np.ndarray:
    """c_k (`chains.token_scores`) from 0 at its smallest to 1 at its largest, float64[N - 1]; 0 if alike.

    Args:
      law: the chain of a run (`tasks.Law`).
      config: its config.
    """
    of_chain: Any = [np.asarray(part, np.float64) for part in (law.start_K, law.transition_KxK, law.target_KxK)]
    training = config.training
    of_lags = chains.token_scores(*of_chain, config.task.walk_length, training.learning_rate, training.epsilon)
    spread = np.ptp(of_lags)
    are_alike = spread <= 1e-12 * np.abs(of_lags).max()
    return np.zeros_like(of_lags) if are_alike else (of_lags - of_lags.min()) / spread


def amplitudes(matrices: np.ndarray) -> np.ndarray:
    """The sizes of the eigenvalues by Fourier mode of matrices at unit norm, float64[..., K // 2 + 1]; NaN of zero.

    Mode f is a wave of f periods around the circle (`interpret.spectrum`); modes f and K - f are equal in size.

    Args:
      matrices: float[..., K, K].
    """
    K = matrices.shape[-1]
    of_each = [np.abs(spectrum(direction(matrix))[: K // 2 + 1]) for matrix in matrices.reshape(-1, K, K)]
    return np.reshape(of_each, (*matrices.shape[:-2], K // 2 + 1))
