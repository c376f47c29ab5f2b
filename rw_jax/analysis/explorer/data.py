"""The numbers on the page of a run, gathered from a Run as plain NumPy arrays."""

import base64
import gzip
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from rw_jax.analysis.interpret import spectrum
from rw_jax.analysis.measures import direction
from rw_jax.analysis.numbers import label, setting
from rw_jax.analysis.run import Run
from rw_jax.study.config import Config, symbol
from rw_jax.study.errors import RunError
from rw_jax.study.fields import is_piece, without_digest
from rw_jax.study.grid import Cell, kept_steps, recorded_steps
from rw_jax.theory import chains
from rw_jax.training.experiment import Own, make_experiment
from rw_jax.training.metrics import chosen
from rw_jax.training.precision import numbers_of
from rw_jax.training.values import num_stages, of_stage, run_values

LARGEST_PAGE = 20_000_000
"""Bytes of a page, above which seeds are left out."""

UNFINISHED, SHOWN, LEFT_OUT = 0, 1, 2
"""What a page has of a cell of the grid."""

NO_NUMBER, ALL_ALIKE = -1, -2
"""In the place of a lag: no attention weight is a number, or every token has the same."""

SPREAD = 1e-6
"""Weights of tokens that differ by at most this, in every test walk, are alike."""

_FAILURES = {
    "predicts_optimally": "does not predict optimally: its expected accuracy is more than 0.001 below the optimum",
    "parent_is_highest": "does not attend most to the direct parent",
}
"""What is a failure, by the metric that is then 0; the first that there is counts. A run that has diverged failed."""

Arrays = dict[str, np.ndarray]


class Axis(NamedTuple):
    """A dimension of the grid, as a page shows it.

    Attributes:
      names: its axes: several where they are paired.
      symbol: what it is called.
      labels: the labels of its first axis, in words, by which the address names them.
      words: what its labels are called in full.
    """

    names: tuple[str, ...]
    symbol: str
    labels: tuple[str, ...]
    words: tuple[str, ...]


class Block(NamedTuple):
    """C runs whose arrays have the same shapes: K states, N slots, T recorded steps, S of them with parameters.

    Attributes:
      cells: their numbers in the grid, int[C].
      num_nodes, walk_length: K, N.
      parent: the lag of the direct parent; None if there is none.
      recorded, kept: the T and the S steps.
      arrays: by name; what these runs do not have is absent. Of runs and recorded steps, [C, T]: `lag`, int16, that of
        the highest mean attention weight, or NO_NUMBER or ALL_ALIKE; `failed`, uint8; `accuracy`, `parent_attention`,
        `train_loss`. Of runs, [C]: `optimum`, and `setting`, the row of what hangs on the law alone. Of runs and kept
        steps: `value`, float[C, S, K, K]; `value_spectrum`, float[C, S, K // 2 + 1]; `attention`, float[C, S, N], the
        last of the empty slot; `scores`, float[C, S, K]; `with_parent` and `with_law`, float[C, S], as `_split`. Of
        settings: `law`, float[settings, K, K], row = the last token; `law_spectrum`, `root_spectrum`, of Pi^T and its
        square root; `correlations`, float[settings, N - 1], as `_Law.correlations`.
      missing: what is absent, by panel, and why, in a sentence.
    """

    cells: np.ndarray
    num_nodes: int
    walk_length: int
    parent: int | None
    recorded: tuple[int, ...]
    kept: tuple[int, ...]
    arrays: Arrays
    missing: dict[str, str]


class Numbers(NamedTuple):
    """All that a page shows.

    Attributes:
      name: of the study.
      setting: what all its runs have in common, in words.
      axes: the dimensions of its grid, in their order.
      across, down: which of them the map of runs has along x, and along y; None for none.
      status: UNFINISHED, SHOWN or LEFT_OUT, uint8[cells].
      blocks: its runs.
      accuracy: the metric that `accuracy` is.
      loss: what the training loss is called, with its unit.
      failure: what a run that failed is, in words.
      notes: what else is to be said, in sentences.
    """

    name: str
    setting: tuple[str, ...]
    axes: tuple[Axis, ...]
    across: int | None
    down: int | None
    status: np.ndarray
    blocks: tuple[Block, ...]
    accuracy: str
    loss: str
    failure: str
    notes: tuple[str, ...]


_SHOWN = (
    *("train_loss", "accuracy", "expected_accuracy", "optimal_accuracy", "predicts_optimally"),
    *("parent_attention", "parent_is_highest", "highest_lag", "attention_spread"),
)
"""What of the metrics the page is made of, where a model and a task have them."""


def gather(run: Run, limit: int = LARGEST_PAGE) -> Numbers:
    """The numbers of a run, finished or not.

    Args:
      run: with at least one finished cell.
      limit: bytes of a page, above which seeds are left out; those that failed are kept, and one of each setting.

    Raises:
      RunError: if no cell is finished, or one cannot be read; or if metrics that are shown were not to be recorded.
    """
    recorded = {metric.name for metric in chosen(run.config.record.metrics)}
    missing = [name for name in _SHOWN if name not in recorded]
    if missing:
        raise RunError(
            f"record.metrics of this run leaves out {', '.join(missing)}, which the page shows; train it with them, in "
            "another folder."
        )
    metrics = run.metrics.load()  # a large file would be read anew for every run
    finished = run.source.finished(run.grid)
    if not finished.any():
        raise RunError("No run of the grid is finished, so that there is nothing to see; run its command again.")
    cells = [run.grid.cell(number) for number in np.flatnonzero(finished)]
    kept = cells
    if _size(cells).sum() > limit - _PAGE:
        few = cells[:: -(-len(cells) // _SAMPLE)]  # what packing makes of these it makes of the others
        packed_few = packed([_block(run, metrics, together) for together in _of_one_shape(few)])[1]
        kept = thinned(metrics, cells, limit, min(1.0, len(packed_few) / _size(few).sum()))
    status = np.where(finished, LEFT_OUT, UNFINISHED).astype(np.uint8)
    status[[cell.number for cell in kept]] = SHOWN
    axes = tuple(map(_axis, run.grid.dimensions))
    across, down = _map_of(axes)
    corners = [run.grid.cell(number).config for number in (0, run.grid.num_cells - 1)]
    return Numbers(
        run.config.name,
        tuple(setting(corners, run.grid.axes)),
        axes,
        across,
        down,
        status,
        tuple(_block(run, metrics, together) for together in _of_one_shape(kept)),
        _accuracy(metrics),
        _loss({cell.config.training.loss for cell in kept}),
        next((words for name, words in _FAILURES.items() if name in metrics), "diverged: its numbers are no numbers"),
        tuple(_notes(status, limit)),
    )


def _axis(dimension: Any) -> Axis:
    words = [
        ", ".join(f"{symbol(axis)} = {_word(value)}" for axis, value in zip(dimension.axes, labels, strict=True))
        for labels in dimension.labels
    ]
    firsts = tuple(_word(labels[0]) for labels in dimension.labels)
    if len(set(firsts)) < len(firsts):  # of paired axes the first need not tell
        firsts = tuple(words)
    return Axis(dimension.axes, ", ".join(map(symbol, dimension.axes)), firsts, tuple(words))


def _word(value: Any) -> str:
    return label(without_digest(value) if isinstance(value, str) else value)


def _map_of(axes: Sequence[Axis]) -> tuple[int | None, int | None]:
    """The dimensions that the map of runs has along x and y: p, or else the longest; and the seeds."""
    down = next((i for i, axis in enumerate(axes) if "seed" in axis.names), None)
    others = [i for i in range(len(axes)) if i != down]
    across = max(others, key=lambda i: ("p" in axes[i].names, len(axes[i].labels)), default=None)
    return across, down


def _notes(status: np.ndarray, limit: int) -> Iterator[str]:
    unfinished, left_out = (int(np.sum(status == code)) for code in (UNFINISHED, LEFT_OUT))
    if unfinished:
        yield f"{unfinished} of {len(status)} runs are not finished."
    if left_out:
        yield (
            f"{left_out} of {len(status)} runs are left out, so that the page stays near {limit / 1e6:.3g} MB: every "
            "run that failed is kept, and of the others of each setting seeds at equal distances. Shares of what is "
            "shown are therefore no rates."
        )


def _accuracy(metrics: xr.Dataset) -> str:
    return "expected_accuracy" if "expected_accuracy" in metrics else "accuracy"


def _loss(losses: Set[str]) -> str:
    return "training loss / nats" if losses <= {"log", "cross_entropy"} else "training loss"


def thinned(metrics: xr.Dataset, cells: Sequence[Cell], limit: int, ratio: float = 1.0) -> list[Cell]:
    """Those of the cells that fit on a page of so many bytes, in their order.

    All that failed are kept, by either notion of success, and of the others of each setting, which differ in their
    seeds alone, the same share, at equal distances, at least one.

    Args:
      metrics: of the run.
      cells: its finished cells.
      limit: bytes of the page.
      ratio: what packing leaves of the bytes of a run.
    """
    sizes, room = ratio * _size(cells), limit - _PAGE
    if sizes.sum() <= room:
        return list(cells)
    failed = np.array([_has_failed(metrics, cell) for cell in cells])
    share = max(0.0, float((room - sizes[failed].sum()) / max(sizes[~failed].sum(), 1)))
    settings: dict[tuple, list[int]] = {}
    for i in np.flatnonzero(~failed):
        settings.setdefault(_setting(cells[i]), []).append(int(i))
    kept = set(np.flatnonzero(failed).tolist())
    for those in settings.values():
        count = max(1, math.floor(share * len(those)))
        kept |= {those[i * len(those) // count] for i in range(count)}
    return [cells[i] for i in sorted(kept)]


_PAGE = 1_500_000
"""Bytes of a page without any run."""

_SAMPLE = 100
"""How many runs tell what packing leaves of the bytes of a run."""


def _size(cells: Sequence[Cell]) -> np.ndarray:
    """Bytes that each run takes on a page, at most: float32, in base64."""
    return np.array([_size_of(cell.config) for cell in cells])


def _size_of(config: Config) -> int:
    K, N = config.task.num_nodes, config.task.walk_length
    at_kept = 4 * (K * K + K + N + K // 2 + 1 + 2)
    at_recorded = 3 * 4 + 2 + 1
    return 4 * (at_kept * len(kept_steps(config)) + at_recorded * len(recorded_steps(config))) // 3


def packed(blocks: Sequence[Block]) -> tuple[list[dict[str, Any]], str]:
    """Blocks for JSON, with the places of their arrays, and the bytes of all arrays: base64 of gzip, little-endian."""
    parts: list[bytes] = []

    def placed(array: np.ndarray) -> dict[str, Any]:
        content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        offset = sum(map(len, parts))
        parts.append(content + bytes(-len(content) % 4))  # typed arrays begin at multiples of their size
        return {"type": array.dtype.name, "shape": list(array.shape), "offset": offset}

    told = [
        block._asdict()
        | {
            "cells": placed(block.cells.astype(np.uint32)),
            "arrays": {name: placed(array) for name, array in block.arrays.items()},
        }
        for block in blocks
    ]
    return told, base64.b64encode(gzip.compress(b"".join(parts), mtime=0)).decode()


def _has_failed(metrics: xr.Dataset, cell: Cell) -> bool:
    """Whether a run did not succeed by one of the notions of success, or has diverged."""
    last = len(recorded_steps(cell.config)) - 1
    succeeds = [_metric(metrics, name, cell)[last] == 1 for name in _FAILURES if name in metrics]
    return not (all(succeeds) and np.isfinite(_metric(metrics, "train_loss", cell)[last]))


def _setting(cell: Cell) -> tuple:
    """What a cell has in common with others that differ in the seed alone."""
    return tuple((axis, value) for axis, value in cell.labels.items() if axis != "seed")


def _metric(metrics: xr.Dataset, name: str, cell: Cell) -> np.ndarray:
    """A metric of a run at its recorded steps, float64[T]; NaN if there is none."""
    recorded = recorded_steps(cell.config)
    if name not in metrics:
        return np.full(len(recorded), np.nan)
    return metrics[name].values[cell.index][np.searchsorted(metrics["step"].values, recorded)]


def _of_one_shape(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells by what their arrays have in common."""
    together: dict[Any, list[Cell]] = {}
    for cell in cells:
        config = cell.config
        sizes = (config.task.num_nodes, config.task.walk_length, config.training.steps)
        kinds = (config.task.name, config.task.options, config.model, config.training.loss, config.training.optimizer)
        first_steps = (config.training.stages, config.training.target)
        together.setdefault((sizes, str(kinds), first_steps), []).append(cell)
    return list(together.values())


def _block(run: Run, metrics: xr.Dataset, cells: Sequence[Cell]) -> Block:
    """The numbers of runs of one shape."""
    config, own = cells[0].config, run.source.own()
    settings: dict[tuple, int] = {}
    rows = [settings.setdefault(_law_key(cell), len(settings)) for cell in cells]
    laws = [_law_of(cells[rows.index(row)].config, own) for row in settings.values()]
    parent, arrays, missing = laws[0].parent, _of_metrics(metrics, cells), {}
    arrays["setting"] = np.array(rows, np.uint32)
    kept = _stacks([run.source.kept(run.grid, cell.number) for cell in cells])
    params = kept["params"]
    if "mean_attention" in kept:
        arrays["attention"] = kept["mean_attention"]
    else:
        missing["attention"] = f"{_form(config)} has no attention."
    if "state_scores" in params and params["state_scores"].ndim == 3:
        arrays["scores"] = params["state_scores"]
    else:
        missing["scores"] = (
            f"{_form(config)} has no scores u of states by themselves; the reduced form of one head has."
        )
    unlike = _unlike_the_paper(config)
    targets = [law.target_KxK for law in laws if law.target_KxK is not None]
    lawless = "" if targets else "The last token alone does not tell the law of the target, so that there is no Πᵀ."
    if unlike:
        missing["value"] = f"{unlike} f(X) is not V times the averaged token, so that V is not to be compared with Πᵀ."
    else:
        arrays["value"] = params["value"]
        arrays["value_spectrum"] = amplitudes(params["value"])
    if targets:
        arrays["law"] = np.stack(targets)
        arrays["law_spectrum"] = amplitudes(np.swapaxes(arrays["law"], 1, 2))
        arrays["root_spectrum"] = amplitudes(np.sqrt(np.swapaxes(arrays["law"], 1, 2)))
    else:
        missing["law"] = lawless
    first_steps = lawless or _unlike_the_first_steps(config)
    if first_steps:
        missing["correlations"] = first_steps
    else:
        of_settings = (cells[rows.index(row)].config for row in settings.values())
        arrays["correlations"] = np.stack([law.correlations(of) for law, of in zip(laws, of_settings, strict=True)])
    if unlike or lawless or parent != 1:
        missing["split"] = unlike or lawless or "The direct parent is not the last token."
    else:
        of_runs = [
            _split(run, cell, params, i, arrays["law"][row])
            for i, (cell, row) in enumerate(zip(cells, rows, strict=True))
        ]
        arrays["with_parent"], arrays["with_law"] = np.moveaxis(np.array(of_runs), 1, 0)
    return Block(
        np.array([cell.number for cell in cells]),
        config.task.num_nodes,
        config.task.walk_length,
        parent,
        recorded_steps(config),
        kept_steps(config),
        {name: _single(array) for name, array in arrays.items()},
        missing,
    )


def _single(array: np.ndarray) -> np.ndarray:
    """In float32, if it is of floating-point numbers; what is too large is infinite."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32) if array.dtype.kind == "f" else array


def _law_key(cell: Cell) -> tuple:
    """What decides the law of a run: a task of the user's own may make it of the seed."""
    return tuple(cell.labels.items()) if is_piece(cell.config.task.name) else _setting(cell)


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
        return np.stack([_metric(metrics, name, cell) for cell in cells])

    lag, spread, loss = stacked("highest_lag"), stacked("attention_spread"), stacked("train_loss")
    lag = np.where(spread <= SPREAD, ALL_ALIKE, np.where(np.isnan(lag), NO_NUMBER, lag))
    accuracy = stacked(_accuracy(metrics))
    success = next((stacked(name) for name in _FAILURES if name in metrics), np.ones_like(loss))
    arrays = {
        "lag": lag.astype(np.int16),
        "failed": ((success != 1) | ~np.isfinite(accuracy)).astype(np.uint8),
        "accuracy": accuracy,
        "train_loss": loss,
        "optimum": stacked("optimal_accuracy")[:, 0],
    }
    if "parent_attention" in metrics:
        arrays["parent_attention"] = stacked("parent_attention")
    return arrays


class _Law(NamedTuple):
    """What is known of a setting.

    Attributes:
      parent: the lag of the direct parent.
      start_K, transition_KxK, target_KxK: the chain, float64, and the law of the target; None if there is none.
    """

    parent: int | None
    start_K: np.ndarray | None = None
    transition_KxK: np.ndarray | None = None
    target_KxK: np.ndarray | None = None

    def correlations(self, config: Config) -> np.ndarray:
        """c_k (`chains.token_scores`) from 0 at its smallest to 1 at its largest, float64[N - 1]; 0 if alike."""
        of_chain: Any = (self.start_K, self.transition_KxK, self.target_KxK)
        training = config.training
        of_lags = chains.token_scores(*of_chain, config.task.walk_length, training.learning_rate, training.epsilon)
        spread = np.ptp(of_lags)
        are_alike = spread <= 1e-12 * np.abs(of_lags).max()
        return np.zeros_like(of_lags) if are_alike else (of_lags - of_lags.min()) / spread


def _law_of(config: Config, own: Own) -> _Law:
    """The law of the last stage of a run."""
    with numbers_of("float64"):
        experiment = make_experiment(config, own)
        if experiment.task.law is None:
            return _Law(experiment.task.parent)
        values = run_values(config, experiment)
        law = experiment.task.law(of_stage(values, num_stages(values) - 1))
        of_chain = (np.array(part, np.float64) for part in (law.start_K, law.transition_KxK, law.target_KxK))
        return _Law(experiment.task.parent, *of_chain)


def _form(config: Config) -> str:
    return f"A model of the form {without_digest(config.model.form)!r}"


def _unlike_the_paper(config: Config) -> str:
    """Why the output is not a K x K matrix V times the token that one head averages, in a sentence; "" if it is."""
    model = config.model
    if model.form not in ("reduced", "full"):
        return f"The model is of the form {without_digest(model.form)!r}."
    if model.heads != 1:
        return f"The model has {model.heads} heads."
    if model.feed_forward_width:
        return "The model has a feed-forward layer."
    if model.position_place != "beside":
        return "Positions are added to tokens."
    if model.embedding != "one_hot":
        return "Embeddings of tokens are not one-hot."
    return ""


def _unlike_the_first_steps(config: Config) -> str:
    """Why c_k does not tell where the first two steps take attention, in a sentence; "" if it does."""
    training, found = config.training, _unlike_the_paper(config)
    loss, optimizer = (without_digest(name) for name in (training.loss, training.optimizer))
    for is_so, words in (
        (loss != "log", f"the loss is {loss!r}"),
        (optimizer not in ("gd", "momentum", "nesterov"), f"the optimizer is {optimizer!r}"),
        (config.model.init != "zero", "training does not start from zero weights"),
        (bool(training.stages), "training has several stages"),
        (training.target != "last", "every token is a target"),
    ):  # fmt: skip
        if is_so and not found:
            found = f"c_k is that of gradient descent on the log-loss from zero weights, but {words}."
    return found


def amplitudes(matrices: np.ndarray) -> np.ndarray:
    """The sizes of the eigenvalues by Fourier mode of matrices at unit norm, float64[..., K // 2 + 1]; NaN of zero.

    Mode f is a wave of f periods around the circle (`interpret.spectrum`); modes f and K - f are equal in size.

    Args:
      matrices: float[..., K, K].
    """
    K = matrices.shape[-1]
    of_each = [np.abs(spectrum(direction(matrix))[: K // 2 + 1]) for matrix in matrices.reshape(-1, K, K)]
    return np.reshape(of_each, (*matrices.shape[:-2], K // 2 + 1))


def _split(run: Run, cell: Cell, params: Arrays, row: int, law_KxK: np.ndarray) -> np.ndarray:
    """The expected accuracy of V with attention on the parent alone, and of attention with V = Pi^T, float64[2, S]."""
    tokens_BxL, _ = run.walks("test", **cell.labels)
    weights_B = np.ones(len(tokens_BxL))
    if cell.config.task.test_walks == "all":  # to draw walks once more takes time
        weights_B = run.walk_weights("test", **cell.labels).astype(np.float64)
    if _has_plain_scores(cell.config):
        scores = params["state_scores"][row], params["position_scores"][row]
        averaged_SxBxK = token_weights(*scores, tokens_BxL)
    else:
        steps = kept_steps(cell.config)
        averaged_SxBxK = np.stack([run.averaged_tokens(tokens_BxL, step=step, **cell.labels) for step in steps])
    last_B = tokens_BxL[:, -1]
    outputs = (
        params["value"][row].astype(np.float64)[:, :, last_B].transpose(0, 2, 1),
        of_law(averaged_SxBxK, law_KxK),
    )
    return np.stack([expected_accuracy(output, law_KxK, last_B, weights_B) for output in outputs])


def _has_plain_scores(config: Config) -> bool:
    """Whether a score is u[s] + a_j as they are stored."""
    return config.model.form == "reduced" and config.model.unit_length == "none"


def token_weights(state_scores_SxK: np.ndarray, position_scores_SxN: np.ndarray, tokens_BxL: np.ndarray) -> np.ndarray:
    """The weight of attention on each state, up to a factor of each walk, float64[S, B, K].

    The factor leaves what is predicted as it is. The exponentials are taken of u and a by themselves: what underflows
    of them is nothing beside the rest, as long as two states do not differ in u by more than 600; else NaN.

    Args:
      state_scores_SxK: u at S steps.
      position_scores_SxN: a.
      tokens_BxL: states 0..K-1.
    """
    u, a = state_scores_SxK.astype(np.float64), position_scores_SxN[:, :-1].astype(np.float64)
    u, a = (scores - scores.max(axis=1, keepdims=True) for scores in (u, a))
    u[u.min(axis=1) < -600] = np.nan
    factors_LxS, small_BxL = np.exp(a).T.copy(), tokens_BxL.astype(np.int16)
    by_state = [(small_BxL == k).astype(np.float64) @ factors_LxS for k in range(u.shape[1])]  # K of float64[B, S]
    return np.stack(by_state).transpose(2, 1, 0) * np.exp(u)[:, None]


def of_law(averaged_SxBxK: np.ndarray, law_KxK: np.ndarray) -> np.ndarray:
    """Pi^T times averaged tokens, float64[S, B, K]: state by state, so that what is equal by symmetry ties."""
    return sum(averaged_SxBxK[:, :, k, None] * law_KxK[k] for k in range(len(law_KxK)))


def expected_accuracy(
    output_SxBxK: np.ndarray, law_KxK: np.ndarray, last_B: np.ndarray, weights_B: np.ndarray
) -> np.ndarray:
    """The mean probability of what is predicted, float64[S]; NaN where an output is not finite.

    Args:
      output_SxBxK: f(X); its argmax is the prediction, and ties go to the smallest state.
      law_KxK: of the target, row = the last token.
      last_B: the last token of each walk.
      weights_B: the weight of each walk.
    """
    hits_SxB = law_KxK[last_B, np.argmax(output_SxBxK, axis=2)]
    means_S = hits_SxB @ weights_B / weights_B.sum()
    return np.where(np.isfinite(output_SxBxK).all(axis=(1, 2)), means_S, np.nan)
