"""A trained study by label: the object that people analyse with."""

import copy
import dataclasses
import functools
import html
import itertools
import math
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from rw_jax.analysis import summary
from rw_jax.analysis.interpret import Blocks, attended_lag, blocks, spectrum
from rw_jax.analysis.labelled import Measured, over
from rw_jax.analysis.numbers import axes, setting
from rw_jax.analysis.sources import InRunDir, Source
from rw_jax.models import Output
from rw_jax.store.layout import RunDir
from rw_jax.study.config import AXES, Config
from rw_jax.study.errors import RunError
from rw_jax.study.fields import Scalar, shown
from rw_jax.study.grid import Cell, Dimension, Grid, kept_steps, recorded_steps
from rw_jax.study.labels import same_label
from rw_jax.study.paths import local_path
from rw_jax.tasks import Law, Walks
from rw_jax.training.experiment import Experiment, has_gaps, make_experiment
from rw_jax.training.grids import value_axes
from rw_jax.training.metrics import METRICS, measure
from rw_jax.training.precision import compiler_options, numbers_of
from rw_jax.training.run import prepare
from rw_jax.training.values import num_stages, of_stage, run_keys, run_values
from rw_jax.training.walks import draw_test_walks, draw_training_walks

Params = dict[str, np.ndarray]

_DIMS = {
    "value": ("next", "now"),
    "state_scores": ("state",),
    "position_scores": ("slot",),
    "mean_attention": ("slot",),
    "head_attention": ("slot",),
}
"""What the last dimensions of a parameter are called; before them are its layers and heads, if it has several."""

Changes = Mapping[str, Any] | Callable[[Params], Mapping[str, Any]] | None
"""Parameters in the place of some of a run's own: by name, or a function of its own; None for none."""


def load_run(path: str | os.PathLike[str]) -> "Run":
    """Opens a run directory for analysis, finished or not, on whatever machine.

    Raises:
      ConfigError: if the path cannot be one of this machine.
      RunError: if there is no run directory at the path, or its config cannot be read.
    """
    return Run(InRunDir(RunDir(local_path("path", path))))


def checked_run(given: Any) -> "Run":
    """What was given, if it is a Run. Raises: RunError."""
    if not isinstance(given, Run):
        raise RunError(f"run is {shown(given)}, but must be a Run, as rw_jax.load_run gives it.")
    return given


class _Compiled(NamedTuple):
    """What is called for one run of a structure after another, compiled once."""

    forward: Callable[[Any, jax.Array], Output]
    maps: Callable[[Any, jax.Array], jax.Array] | None
    attend: Callable[[Any, jax.Array, jax.Array], Output] | None
    evaluate: Callable[[Any, Any, Any], dict[str, jax.Array]]
    sample: Callable[[str, int, Any], Walks]
    full: Callable[[Any, Any], Any] | None
    values: Callable[[Config], Any]


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained study, by label.

    Cells are named by their labels: `run.params(step=50, p=0.5, seed=3)`. An axis with one label may be left out, a
    field that is no axis may be given if it has that value, and a step that is left out is the last. All arrays are the
    caller's own. What has been read stays as it is: `reload` gives the run as it is now.

    Attributes:
      source: where its numbers are.
    """

    source: Source

    @property
    def config(self) -> Config:
        """The frozen config."""
        return self.source.config

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, devices, commit, command, timings."""
        return copy.deepcopy(self.source.environment)

    @property
    def run_dir(self) -> RunDir:
        """Where its files are. Raises: RunError if it is in memory alone."""
        if self.source.run_dir is None:
            raise RunError("This run is in memory alone, and has no run directory; rw_jax.sweep makes one.")
        return self.source.run_dir

    @property
    def metrics(self) -> xr.Dataset:
        """Every metric, float64, on the grid's dimensions and "step"; NaN where it is not finished.

        Arrays are read-only, but for those of a large file, which are read anew whenever they are asked for.
        Beside them, on the grid's dimensions alone, `finished`, and `diverged_at`: the first recorded step whose
        training loss is NaN or infinite. A metric that no run of the grid has is absent.

        Raises:
          RunError: if a file is damaged, or of another study.
        """
        return self._metrics.copy()

    @functools.cached_property
    def _metrics(self) -> xr.Dataset:
        return self.source.metrics(self.grid)

    @functools.cached_property
    def grid(self) -> Grid:
        """The table of cells."""
        return Grid(self.config)

    def reload(self) -> "Run":
        """The run as it is now, where it is still trained or has been continued."""
        return load_run(self.run_dir.path)

    def summary(self, over: str = "seed", **labels: Scalar) -> pd.DataFrame:
        """The table of a sweep: a row for each group of finished runs that differ in `over` alone (`summary.table`).

        Args and errors as `groups`.
        """
        return summary.table(self.groups(over, **labels))

    def __repr__(self) -> str:
        return "\n  ".join(self._told())

    def _repr_html_(self) -> str:
        title, *lines = map(html.escape, self._told())
        return f"<b>{title}</b><br>" + "<br>".join(lines)

    def _told(self) -> list[str]:
        """What a person wants to know of a run, in lines."""
        where = "in memory" if self.source.run_dir is None else f"in {self.source.run_dir.path}"
        try:
            done = f"{np.sum(self.source.finished(self.grid))} of {self.grid.num_cells} runs finished"
        except RunError as error:
            done = str(error)
        recorded = recorded_steps(self.config)
        corners = [self.grid.cell(number).config for number in (0, self.grid.num_cells - 1)]
        return [
            f"Run {self.config.name!r} {where}: {done}",
            *axes(self.config),
            ", ".join(setting(corners, self.grid.axes)),
            f"metrics at {len(recorded)} steps, {recorded[0]} to {recorded[-1]}; parameters at {_listed(self.steps)}",
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source}  # what has been read is read again

    @property
    def steps(self) -> tuple[int, ...]:
        """The recorded steps with parameters; where `steps` is an axis, those of all its labels."""
        labels = dict(self.config.grid).get("steps", (self.config.training.steps,))
        return tuple(sorted({step for steps in labels for step in kept_steps(self.config.replace(steps=steps))}))

    def params(self, *, step: int | None = None, **labels: Scalar) -> Params:
        """The parameters of one run, as NumPy arrays by name: value, and key_query or state_scores and position_scores.

        Raises:
          RunError: for a label that is not in the grid, a step that was not recorded, or a cell that is not finished.
        """
        return self._kept(step, labels, "params")

    def mean_attention(self, *, step: int | None = None, **labels: Scalar) -> np.ndarray:
        """Attention weights of one run averaged over its test walks, float[N]. Errors as `params`."""
        return self._kept(step, labels, "mean_attention")

    def value_matrix(self, *, step: int | None = None, **labels: Scalar) -> np.ndarray:
        """V of one run, float[K, K]; with first axes of layers and heads where it has several. Errors as `params`."""
        return self._kept(step, labels, "params", "value")

    def key_query_matrix(self, *, step: int | None = None, **labels: Scalar) -> np.ndarray:
        """W of one run, float[D, D]; rebuilt from the reduced form if that is what was trained. Errors as `params`."""
        params, cell = self.params(step=step, **labels), self.cell(**labels)
        if "key_query" in params:
            return params["key_query"]
        compiled = self._compiled(cell)
        if compiled.full is None:
            raise RunError(
                f"model.form is {cell.config.model.form!r}, which has no matrix W here: W is rebuilt only from a start "
                "that tells it, and for an optimizer that moves it along the query."
            )
        with numbers_of(cell.config.precision):
            full = compiled.full(jax.tree.map(jnp.asarray, params), compiled.values(cell.config))
            return np.array(full["key_query"])

    def walks(self, split: str, *, stage: Scalar = 0, **labels: Scalar) -> tuple[np.ndarray, np.ndarray]:
        """The walks of one run, drawn again from its seed: (tokens int[B, N-1], targets int[B]).

        Args:
          split: "train" or "test"; K in the place of a token of a training walk that is missing.
          stage: of a run of several stages, that whose training walks are meant, from 0.
          **labels: the cell; errors as `params`.
        """
        walks = self._walks(split, labels, stage)
        return np.array(np.asarray(walks.tokens_LxB).T, order="C"), np.array(walks.targets_B)

    def walk_weights(self, split: str, *, stage: Scalar = 0, **labels: Scalar) -> np.ndarray:
        """The weight of each of `walks` in every mean over them, float[B]: 1, or its probability in the population.

        Args and errors as `walks`.
        """
        return np.array(self._walks(split, labels, stage).weights_B)

    def _walks(self, split: str, labels: dict[str, Scalar], stage: Scalar) -> Walks:
        if not isinstance(split, str) or split not in ("train", "test"):
            raise RunError(f"split is {shown(split)}, but must be 'train' or 'test'.")
        cell = self.cell(**labels)
        if split == "train" and cell.config.task.walks == math.inf:
            raise RunError("task.walks is 'infinite', so that no training walks were drawn; split may be 'test'.")
        compiled = self._compiled(cell)
        with numbers_of(cell.config.precision):
            values = compiled.values(cell.config)
            if isinstance(stage, bool) or not isinstance(stage, int) or not 0 <= stage < num_stages(values):
                raise RunError(f"stage is {shown(stage)}, but must be from 0 to {num_stages(values) - 1}.")
            return compiled.sample(split, stage, values)

    def averaged_tokens(
        self, tokens: np.ndarray | None = None, *, step: int | None = None, **labels: Scalar
    ) -> np.ndarray:
        """The averaged token X S of each walk, float[B, K]: the attention weight on each state. Args as `attention`."""
        tokens = self._tokens(tokens, labels)
        attention_BxL = self.attention(tokens, step=step, **labels)[:, :-1]
        states = range(self.num_nodes(**labels))
        return np.stack([np.sum(attention_BxL, axis=1, where=tokens == k) for k in states], axis=1)

    def attention(self, tokens: np.ndarray | None = None, *, step: int | None = None, **labels: Scalar) -> np.ndarray:
        """Attention weights of one run, float[B, N]: N - 1 tokens and, last, the empty slot.

        Args:
          tokens: int[B, N-1], states 0..K-1, or K for one that is missing, where training has such; None for the run's
            own test walks.
          step: a step with recorded parameters.
          **labels: the cell; errors as `params`.
        """
        attention_NxB = self._output(tokens, step, labels).attention_NxB
        if attention_NxB is None:
            raise RunError(f"{self._form(labels)}, which has no attention.")
        return np.array(np.asarray(attention_NxB).T, order="C")

    def head_attention(
        self, tokens: np.ndarray | None = None, *, step: int | None = None, **labels: Scalar
    ) -> np.ndarray:
        """Attention weights of each head, from where the prediction is made: float[B, layers, heads, N].

        Args and errors as `attention`; RunError of a model that does not tell its heads, as one of a single head.
        """
        of_heads = self._output(tokens, step, labels).head_attention
        if of_heads is None:
            raise RunError(f"{self._form(labels)}, which does not tell its heads; its attention is run.attention.")
        return np.array(np.moveaxis(np.asarray(of_heads), 3, 0), order="C")

    def mean_head_attention(self, *, step: int | None = None, **labels: Scalar) -> np.ndarray:
        """Attention weights of each head averaged over the test walks, float[layers, heads, N]. Errors as `params`."""
        return self._kept(step, labels, "head_attention")

    def attention_maps(
        self, tokens: np.ndarray | None = None, *, step: int | None = None, **labels: Scalar
    ) -> np.ndarray:
        """Attention of every slot (row) to every slot of a decoder, float[B, layers, heads, T, T].

        T is N with an empty slot for the query, N - 1 without. Args and errors as `attention`.
        """
        maps = self._compiled(self.cell(**labels)).maps
        if maps is None:
            raise RunError(f"{self._form(labels)}, where one slot alone looks at the others; see `attention`.")
        of_walks = self._forward(maps, tokens, step, labels)
        return np.array(np.moveaxis(np.asarray(of_walks), 4, 0), order="C")

    def predict(
        self,
        tokens: np.ndarray | None = None,
        *,
        step: int | None = None,
        params: Changes = None,
        attention: str | np.ndarray | None = None,
        **labels: Scalar,
    ) -> xr.DataArray:
        """The output f(X) of each walk, on the axes that are left out, "walk" and "state"; its argmax is predicted.

        Args:
          tokens: as of `attention`.
          step: a step with recorded parameters.
          params: others in the place of some of a run's own: a dict by name, or (own) -> such a dict.
          attention: weights in the place of the model's own: "parent", all on the direct parent; "uniform", the same
            on every slot; or an array, float[N] or float[B, N], the last for the empty slot.
          **labels: fields and their values; runs that differ in an axis that is left out are along it.

        Raises:
          RunError: for a label that is not in the grid, a step that was not recorded, or what does not fit the model.
        """

        def of_cell(cell: Cell) -> dict[str, Measured] | None:
            given = self._given(cell, step, params)
            if given is None:
                return None
            own_tokens = self._tokens(tokens, cell.labels)
            experiment = self._experiment(cell)
            weights_NxB = _attention_of(experiment, attention, len(own_tokens))
            with numbers_of(cell.config.precision):
                tokens_LxB = jnp.asarray(own_tokens).T
                if weights_NxB is None:
                    output = self._compiled(cell).forward(given, tokens_LxB)
                else:
                    attend: Any = self._compiled(cell).attend
                    output = attend(given, tokens_LxB, jnp.asarray(weights_NxB, jnp.result_type(float)))
                return {"output": Measured(("walk", "state"), np.asarray(output.output_KxB).T)}

        return self._over(labels, of_cell)["output"]

    def evaluate(
        self,
        *,
        step: int | None = None,
        params: Changes = None,
        attention: str | np.ndarray | None = None,
        **labels: Scalar,
    ) -> xr.Dataset:
        """Every metric of the test walks, on the axes that are left out. Args and errors: as of `predict`."""
        about = {metric.name: metric for metric in METRICS}

        def of_cell(cell: Cell) -> dict[str, Measured] | None:
            given = self._given(cell, step, params)
            if given is None:
                return None
            num_walks = 0 if attention is None else len(self.walk_weights("test", **cell.labels))
            weights_NxB = _attention_of(self._experiment(cell), attention, num_walks)
            with numbers_of(cell.config.precision):
                compiled = self._compiled(cell)
                if weights_NxB is not None:
                    weights_NxB = jnp.asarray(weights_NxB, jnp.result_type(float))
                measured = compiled.evaluate(
                    jax.tree.map(jnp.asarray, given), compiled.values(cell.config), weights_NxB
                )
                return {name: Measured(about[name].dims, np.asarray(value)) for name, value in measured.items()}

        return self._over(labels, of_cell)

    def lag(self, *, step: int | None = None, **labels: Scalar) -> xr.DataArray:
        """How many states before the target the slot with the highest mean attention is, 0 for the empty slot.

        Args and errors: as of `predict`.
        """

        def of_cell(cell: Cell) -> dict[str, Measured] | None:
            kept = self._kept_or_none(cell, step, "mean_attention")
            return None if kept is None else {"lag": Measured((), np.asarray(attended_lag(kept)))}

        return self._over(labels, of_cell)["lag"]

    def trajectory(self, name: str = "value", **labels: Scalar) -> xr.DataArray:
        """A parameter at every step that keeps parameters, on the axes that are left out, "step" and its own.

        Args:
          name: of a parameter; or "mean_attention" or "head_attention".
          **labels: as of `predict`.

        Raises:
          RunError: as of `predict`, or if there is no such parameter.
        """
        names = (name,) if name in ("mean_attention", "head_attention") else ("params", name)
        steps = sorted({step for cell in self._cells(labels) for step in kept_steps(cell.config)})

        def of_cell(cell: Cell) -> dict[str, Measured] | None:
            own = kept_steps(cell.config)
            kept = [self._kept_or_none(cell, step, *names) for step in own]
            if any(each is None for each in kept):
                return None
            stack = np.full((len(steps), *np.shape(kept[0])), np.nan)  # NaN where another run alone has parameters
            stack[np.searchsorted(steps, own)] = kept
            last = _DIMS.get(name, tuple(f"{name}_{i}" for i in range(stack.ndim - 1)))
            of_heads = ("layer", "head")[len(last) + 3 - stack.ndim :] if stack.ndim > 1 + len(last) else ()
            return {name: Measured(("step", *of_heads, *last), stack)}

        return self._over(labels, of_cell).assign_coords(step=steps)[name]

    def spectrum(self, *, step: int | None = None, **labels: Scalar) -> xr.DataArray:
        """The eigenvalues of V by Fourier mode, as if V were circulant (Lemma C.2), on the axes left out and "mode".

        That of mode m is the sum over d of exp(-2 pi i m d / K) times the mean of V[s + d, s] over s. Args and errors:
        as of `predict`.
        """

        def of_cell(cell: Cell) -> dict[str, Measured] | None:
            params, value_of = self._kept_or_none(cell, step, "params"), self._experiment(cell).model.value
            if value_of is None:
                raise RunError(
                    f"{self._form(cell.labels)}, which has no single V; see run.params and analysis.circuits."
                )
            if params is None:
                return None
            value = np.asarray(value_of(params))
            if value.shape[0] != value.shape[1]:
                raise RunError(
                    f"V is a matrix of {value.shape[0]} x {value.shape[1]}, but must be square for a spectrum."
                )
            return {"spectrum": Measured(("mode",), spectrum(value))}

        found = self._over(labels, of_cell)["spectrum"]
        return found.assign_coords(mode=range(found.sizes["mode"]))

    def blocks(self, *, step: int | None = None, **labels: Scalar) -> Blocks:
        """W of one run by blocks: states and positions. Args and errors: as of `key_query_matrix`."""
        config = self.cell(**labels).config
        W = self.key_query_matrix(step=step, **labels)
        if W.ndim != 2 or config.model.position_place == "added":
            raise RunError("W has blocks in a model of one head whose positions lie beside the tokens.")
        return blocks(W, config.model.embedding_width or self.num_nodes(**labels))

    def _over(self, labels: dict[str, Scalar], of_cell: Callable[[Cell], Any]) -> xr.Dataset:
        """What is measured of each cell with these labels, on the axes that are left out."""
        return over(self.grid, self._chosen(labels), of_cell)

    def _cells(self, labels: dict[str, Scalar]) -> list[Cell]:
        """The cells with these labels."""
        chosen = itertools.product(*self._chosen(labels))
        return [self.grid.cell(int(np.ravel_multi_index(index, self.grid.shape)) if index else 0) for index in chosen]

    def _chosen(self, labels: dict[str, Scalar]) -> list[Sequence[int]]:
        """For each dimension of the grid the indices of the cells with these labels."""
        chosen, labels = [], dict(labels)
        for dimension in self.grid.dimensions:
            given = {axis: labels.pop(axis) for axis in dimension.axes if axis in labels}
            places = [dimension.axes.index(axis) for axis in given]
            found = [
                i
                for i, own in enumerate(dimension.labels)
                if all(same_label(own[place], label) for place, label in zip(places, given.values(), strict=True))
            ]
            chosen.append(found or [_index(dimension, given)])  # which says what there is
        self._check_fields(labels)
        return chosen

    def _given(self, cell: Cell, step: int | None, params: Changes) -> Params | None:
        """The parameters of a run with some of them others; None if it is not finished."""
        own = self._kept_or_none(cell, step, "params")
        if own is None or params is None:
            return own
        changes = params(own) if callable(params) else params
        if not isinstance(changes, Mapping):
            raise RunError(f"params is {shown(changes)}, but must be a dict of arrays, or a function that gives one.")
        for name, leaf in changes.items():
            shape = _shape_of_numbers(leaf)
            if name not in own or shape != own[name].shape:
                right = {name: leaf.shape for name, leaf in own.items()}
                told = "that is no array of numbers" if shape is None else f"of shape {shape}"
                raise RunError(f"params has {name} {told}, but must have some of {right}.")
        return {name: np.asarray(changes.get(name, leaf), leaf.dtype) for name, leaf in own.items()}

    def _kept_or_none(self, cell: Cell, step: int | None, *names: str) -> Any:
        """As _kept; None if the cell is not finished."""
        return self._kept(step, cell.labels, *names) if self.source.finished(self.grid)[cell.number] else None

    def _output(self, tokens: np.ndarray | None, step: int | None, labels: dict[str, Scalar]) -> Output:
        return self._forward(self._compiled(self.cell(**labels)).forward, tokens, step, labels)

    def _forward(
        self,
        function: Callable[[Any, jax.Array], Any],
        tokens: np.ndarray | None,
        step: int | None,
        labels: dict[str, Scalar],
    ) -> Any:
        given, cell = self.params(step=step, **labels), self.cell(**labels)
        tokens = self._tokens(tokens, labels)
        with numbers_of(cell.config.precision):
            return function(given, jnp.asarray(tokens).T)

    def _form(self, labels: dict[str, Scalar]) -> str:
        return f"model.form is {self.cell(**labels).config.model.form!r}"

    def _tokens(self, tokens: np.ndarray | None, labels: dict[str, Scalar]) -> np.ndarray:
        """Tokens that were given, checked, or those of the test walks."""
        if tokens is None:
            return self.walks("test", **labels)[0]
        task = self._experiment(self.cell(**labels)).task
        length = task.walk_length - 1
        given = tokens
        try:
            tokens = np.asarray(tokens)
        except ValueError:
            raise RunError(
                f"tokens are {shown(tokens)}, but must be integers of shape [B, {length}] with B at least 1."
            ) from None
        if (
            np.ma.isMaskedArray(given)
            or tokens.shape[1:] != (length,)
            or not tokens.size
            or not np.issubdtype(tokens.dtype, np.integer)
        ):
            kind = f"{'masked ' if np.ma.isMaskedArray(given) else ''}{tokens.dtype}{list(tokens.shape)}"
            raise RunError(f"tokens are {kind}, but must be integers of shape [B, {length}] with B at least 1.")
        most = task.num_nodes - 1 + has_gaps(self._experiment(self.cell(**labels)))
        if not 0 <= tokens.min() <= tokens.max() <= most:
            raise RunError(f"tokens run from {tokens.min()} to {tokens.max()}, but must lie in 0..{most}.")
        return tokens

    def num_nodes(self, **labels: Scalar) -> int:
        """K of a cell."""
        return self.cell(**labels).config.task.num_nodes

    def transition_matrix(self, **labels: Scalar) -> np.ndarray | None:
        """Pi of a cell, float64[K, K]; None if the last token alone does not tell the law of the next state."""
        law = self._law(labels)
        return None if law is None else np.array(law.transition_KxK)

    def target_law(self, **labels: Scalar) -> np.ndarray | None:
        """The law of the target of a cell, float64[K, K], row = the last token: Pi if the target is the next state."""
        law = self._law(labels)
        return None if law is None else np.array(law.target_KxK)

    def _law(self, labels: dict[str, Scalar]) -> Law | None:
        cell = self.cell(**labels)
        task = self._experiment(cell).task
        if task.law is None:
            return None
        with numbers_of("float64"):
            values = run_values(cell.config, self._experiment(cell))
            return task.law(of_stage(values, num_stages(values) - 1))

    def groups(self, over: str = "seed", **labels: Scalar) -> "list[Group]":
        """The finished runs that have these labels, in groups that differ in `over` alone, in the order of the grid.

        Args:
          over: the axis that each group is over.
          **labels: fields and their values, axes or not; a run that differs in one is left out.

        Raises:
          RunError: if a label names no field, or no finished run has them.
        """
        known = {*AXES, *self.config.options}
        unknown = [axis for axis in (over, *labels) if not isinstance(axis, str) or axis not in known]
        if unknown:
            name = unknown[0] if isinstance(unknown[0], str) else shown(unknown[0])
            raise RunError(f"{name} is no axis of a grid; those are {', '.join(AXES)}.")
        fixed = {axis: label for axis, label in labels.items() if axis not in self.grid.axes}
        numbers = np.flatnonzero(self._metrics["finished"].values)
        if not all(same_label(self.config.value(axis), label) for axis, label in fixed.items()):
            numbers = numbers[:0]
        indices = np.unravel_index(numbers, self.grid.shape) if self.grid.shape else ()
        is_asked_for, key = np.ones(len(numbers), bool), np.zeros(len(numbers), np.int64)
        for dimension, index in zip(self.grid.dimensions, indices, strict=True):  # there may be a million runs
            kinds: dict[tuple[Scalar, ...], int] = {}
            others = [place for place, axis in enumerate(dimension.axes) if axis != over]
            kind = [kinds.setdefault(tuple(each[i] for i in others), len(kinds)) for each in dimension.labels]
            asked = [(place, labels[axis]) for place, axis in enumerate(dimension.axes) if axis in labels]
            has = [all(same_label(each[place], label) for place, label in asked) for each in dimension.labels]
            key = key * len(kinds) + np.array(kind)[index]
            is_asked_for &= np.array(has)[index]
        numbers, key = numbers[is_asked_for], key[is_asked_for]
        if not numbers.size:
            told = ", ".join(f"{axis} = {shown(label)}" for axis, label in labels.items())
            grid = "; ".join(f"{axis} = {', '.join(map(str, of_axis))}" for axis, of_axis in self.config.grid)
            raise RunError(f"No finished run has {told}; the grid has {grid or 'no axes'}.")
        by_key = pd.Series(numbers).groupby(key, sort=False)
        return [self._group(of_group.to_numpy(), over) for _, of_group in by_key]

    def _group(self, numbers: np.ndarray, over: str) -> "Group":
        labels = self.grid.cell(int(numbers[0])).labels
        return Group(self, {axis: label for axis, label in labels.items() if axis != over}, numbers)

    def cell(self, **labels: Scalar) -> Cell:
        """The cell with these labels. Errors as `params`."""
        index = []
        for dimension, indices in zip(self.grid.dimensions, self._indices, strict=True):
            given = {axis: labels.pop(axis) for axis in dimension.axes if axis in labels}
            i = None
            if all(map(_can_be_label, given.values())):
                i = indices.get(tuple(given.get(axis) for axis in dimension.axes))
            index.append(_index(dimension, given) if i is None else i)
        self._check_fields(labels)
        return self.grid.cell(int(np.ravel_multi_index(tuple(index), self.grid.shape)) if index else 0)

    def _check_fields(self, labels: Mapping[str, Scalar]) -> None:
        """Refuses values of fields that are no axes if the run has others."""
        for axis, label in labels.items():
            if axis not in AXES and axis not in self.config.options:
                raise RunError(f"{axis} is no axis of a grid; the axes of this run are {_listed(self.grid.axes)}.")
            if not same_label(self.config.value(axis), label):
                raise RunError(f"{axis} is {shown(label)}, but this run has {self.config.value(axis)!r} only.")

    @functools.cached_property
    def _indices(self) -> list[dict[tuple[Scalar, ...], int]]:
        """For each dimension the index of its labels: to look through all of them for each of many cells takes long."""
        return [{labels: i for i, labels in enumerate(dimension.labels)} for dimension in self.grid.dimensions]

    def _kept(self, step: int | None, labels: dict[str, Scalar], *names: str) -> Any:
        """The part under these names of what a cell keeps at a step."""
        cell = self.cell(**labels)
        steps = kept_steps(cell.config)
        step = steps[-1] if step is None else step
        if not _can_be_label(step) or step not in steps:
            raise RunError(f"step is {shown(step)}, but parameters were recorded at steps {_listed(steps)}.")
        finished = self.source.finished(self.grid)
        if not finished[cell.number]:
            raise RunError(
                f"This cell is not finished: the run has {finished.sum()} of its {len(finished)} cells; run its "
                "command again."
            )
        try:
            kept = self.source.kept(self.grid, cell.number, *names)
        except KeyError as error:
            raise RunError(f"model.form is {cell.config.model.form!r}, which has no {names[-1]}.") from error
        return jax.tree.map(lambda stack: np.array(stack[steps.index(step)]), kept)

    def _experiment(self, cell: Cell) -> Any:
        """The pieces of a cell's structure; those of the user's own are executed."""
        structure = self._programs_grid.structure_of(cell)
        if structure not in self._experiments:
            self._experiments[structure] = make_experiment(structure, self.source.own())
        return self._experiments[structure]

    @functools.cached_property
    def _programs_grid(self) -> Grid:
        """The grid with the values of its tasks, by which cells share programs; the user's own pieces are executed."""
        return Grid(self.config, value_axes(self.config, self.source.own()))

    @functools.cached_property
    def _experiments(self) -> dict[Config, Any]:
        return {}

    @functools.cached_property
    def _programs(self) -> dict[Config, _Compiled]:
        return {}

    def _compiled(self, cell: Cell) -> _Compiled:
        structure = self._programs_grid.structure_of(cell)
        if structure not in self._programs:
            experiment = self._experiment(cell)
            model, study_seed, options = experiment.model, self.config.study_seed, compiler_options()

            def full(params, values):
                return model.to_full(params, run_keys(study_seed, values["seed"]).init, values)

            def sample(split, stage, values):
                if split == "test":
                    return draw_test_walks(experiment, values)
                return draw_training_walks(experiment, values, stage)

            def evaluate(params, values, attention_NxB):
                changed = experiment
                if attention_NxB is not None:
                    attend: Any = model.attend
                    changed = experiment._replace(
                        model=model._replace(apply=lambda params, tokens_LxB: attend(params, tokens_LxB, attention_NxB))
                    )
                return measure(METRICS, prepare(changed, values).see(params))

            self._programs[structure] = _Compiled(
                jax.jit(model.apply, compiler_options=options),
                None if model.maps is None else jax.jit(model.maps, compiler_options=options),
                None if model.attend is None else jax.jit(model.attend, compiler_options=options),
                jax.jit(evaluate, compiler_options=options),
                jax.jit(sample, static_argnums=(0, 1), compiler_options=options),
                None if model.to_full is None else jax.jit(full, compiler_options=options),
                lambda config: run_values(config, experiment),
            )
        return self._programs[structure]


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Finished runs that differ in one axis alone, mostly the seed.

    Attributes:
      run: where they are.
      labels: what they have in common on the other axes of the grid.
      numbers: the numbers of their cells, at least one.
    """

    run: Run
    labels: dict[str, Scalar]
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @functools.cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Their cells."""
        return tuple(self.run.grid.cell(int(number)) for number in self.numbers)

    @property
    def config(self) -> Config:
        """The config of the first of them."""
        return self.run.grid.cell(int(self.numbers[0])).config

    @property
    def steps(self) -> np.ndarray:
        """The T steps at which metrics were recorded."""
        return np.array(recorded_steps(self.config))

    def metric(self, name: str) -> np.ndarray:
        """A metric of each run at its recorded steps, float[runs, T]. Raises: RunError if there is none of the name."""
        metrics = self.run.metrics
        if not isinstance(name, str) or name not in metrics.data_vars:
            raise RunError(
                f"{shown(name)} is no metric of this run; those are {', '.join(map(str, metrics.data_vars))}."
            )
        # Of a large file the part is read that holds these runs, and no more.
        shape = self.run.grid.shape
        places = np.unravel_index(self.numbers, shape) if shape else ()
        firsts = [int(place.min()) for place in places]
        part = tuple(slice(first, int(place.max()) + 1) for first, place in zip(firsts, places, strict=True))
        try:
            values = metrics.variables[name][part].values
        except OSError as error:  # only now are the checksums of this part looked at
            file = self.run.run_dir.metrics_file
            raise RunError(f"{file} is not as it was written; the command of the run makes it again.") from error
        of_runs = (
            values[tuple(place - first for place, first in zip(places, firsts, strict=True))] if part else values[None]
        )
        return of_runs[:, np.searchsorted(metrics["step"].values, self.steps)]


def _attention_of(experiment: Experiment, attention: str | np.ndarray | None, num_walks: int) -> np.ndarray | None:
    """Weights that are asked for, float[N, B]; None for the model's own."""
    if attention is None:
        return None
    task, N = experiment.task, experiment.task.walk_length
    if experiment.model.attend is None:
        raise RunError("attention is given, but must be left out for a decoder, or a model without attention.")
    if isinstance(attention, str):
        if attention not in ("parent", "uniform") or (attention == "parent" and task.parent is None):
            raise RunError(
                f"attention is {attention!r}, but must be 'parent' (of a task that has one), 'uniform' or an array."
            )
        weights_N = np.full(N, 1 / N) if attention == "uniform" else np.eye(N)[N - 1 - int(task.parent or 0)]
        return np.repeat(weights_N[:, None], num_walks, axis=1)
    given = np.asarray(attention)
    if given.shape not in ((N,), (num_walks, N)) or given.dtype.kind not in "fiu":
        raise RunError(
            f"attention is an array of {given.dtype}{list(given.shape)}, but must be numbers of shape [{N}] or "
            f"[{num_walks}, {N}]."
        )
    sums = given.sum(axis=-1)
    if not np.all(given >= 0) or not np.allclose(sums, 1, rtol=0, atol=1e-3):
        raise RunError(
            f"attention is an array from {given.min():g} to {given.max():g} with sums from {sums.min():g} to "
            f"{sums.max():g}, but must be weights of at least 0 that sum to 1 over the slots."
        )
    return np.broadcast_to(given, (num_walks, N)).T


def _shape_of_numbers(given: Any) -> tuple[int, ...] | None:
    """The shape of an array of numbers; None of anything else, such as rows of different lengths."""
    try:
        return np.asarray(given, np.float64).shape
    except (TypeError, ValueError):
        return None


def _index(dimension: Dimension, given: dict[str, Scalar]) -> int:
    """The index along a dimension that the given labels name."""
    found = [
        i
        for i, labels in enumerate(dimension.labels)
        if all(
            same_label(label, given[axis]) for axis, label in zip(dimension.axes, labels, strict=True) if axis in given
        )
    ]
    if len(found) == 1:
        return found[0]
    name = ", ".join(dimension.axes)
    known = _listed(labels[0] if len(labels) == 1 else labels for labels in dimension.labels)
    if not given:
        raise RunError(f"{name} is not given, but the run has {known}.")
    asked = ", ".join(f"{axis} = {shown(label)}" for axis, label in given.items())
    problem = "more than one cell has" if found else "no cell has"
    raise RunError(f"{problem} {asked}; the run has {name} = {known}.")


def _can_be_label(given: Any) -> bool:
    """Whether something is a number or a word: True is no 1, and an array no number."""
    return isinstance(given, numbers.Real | str) and not isinstance(given, bool)


def _listed(labels: Any) -> str:
    """Labels for a message, the middle of a long list left out."""
    words = [str(label) for label in labels]
    if len(words) > 24:
        words = [*words[:12], "...", *words[-4:]]
    return ", ".join(words) or "none"
