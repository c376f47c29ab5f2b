"""A trained study by label: the object that people analyse with."""

import copy
import dataclasses
import functools
import html
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr

from rw_jax.analysis import summary
from rw_jax.analysis.groups import Group, grouped
from rw_jax.analysis.interpret import Blocks, attended_lag, blocks, spectrum
from rw_jax.analysis.labelled import Labelled, Measured, can_be_label, listed, over
from rw_jax.analysis.numbers import about
from rw_jax.analysis.replay import At, Attention, Changes, Params, Replay, Replays, averaged_tokens, with_changes
from rw_jax.analysis.sources import InRunDir, Source
from rw_jax.store.layout import RunDir
from rw_jax.study.config import Config
from rw_jax.study.errors import RunError
from rw_jax.study.fields import Scalar, shown
from rw_jax.study.grid import Cell, Grid, kept_steps
from rw_jax.study.paths import local_path
from rw_jax.training.grids import Experiments, value_axes

_DIMS = {
    "value": ("next", "now"),
    "state_scores": ("state",),
    "position_scores": ("slot",),
    "mean_attention": ("slot",),
    "head_attention": ("slot",),
}
"""What the last dimensions of a parameter are called; before them are its layers and heads, if it has several."""


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


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained study, by label.

    Cells are named by their labels: `run.params(step=50, p=0.5, seed=3)`. An axis with one label may be left out, a
    field that is no axis may be given if it has that value, and a step that is left out is the last. All arrays are the
    caller's own. What has been read stays as it is: `reload` gives the run as it is now.

    Attributes:
      source: where its numbers are.
      experiments: the pieces of its structures, if they have been made; else they are made when they are asked for.
    """

    source: Source
    experiments: Experiments | None = None

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

        Arrays are read-only, except those of a large file, which are read from it at every access.
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
        return "\n  ".join(self._lines)

    def _repr_html_(self) -> str:
        title, *lines = map(html.escape, self._lines)
        return f"<b>{title}</b><br>" + "<br>".join(lines)

    @property
    def _lines(self) -> list[str]:
        """What a person wants to know of a run, in lines."""
        where = "in memory" if self.source.run_dir is None else f"in {self.source.run_dir.path}"
        try:
            done = f"{np.sum(self.source.finished(self.grid))} of {self.grid.num_cells} runs finished"
        except RunError as error:
            done = str(error)
        *lines, when = about(self.grid, self.source.unread(self.grid))
        return [f"Run {self.config.name!r} {where}: {done}", *lines, f"{when}; parameters at {listed(self.steps)}"]

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source}  # what has been read is read again

    @property
    def steps(self) -> tuple[int, ...]:
        """The recorded steps with parameters; where an axis or arms change `steps`, those of all its values."""
        each = self.config.labels("steps")
        return tuple(sorted({step for steps in each for step in kept_steps(self.config.replace(steps=steps))}))

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
        return self.replay(**labels).key_query(self.params(step=step, **labels))

    def replay(self, *, at: At = None, **labels: Scalar) -> Replay:
        """The model of one run, to be run again in other ways than those below.

        Args:
          at: fields with other values than the run's, by name, such as {"p": 0.9}: walks, their law and the model are
            those of a run with these, and the parameters those of this one. Of a run of several stages the last counts.
          **labels: the cell; errors as `params`.
        """
        return self._replays.of(self.cell(**labels), at)

    @functools.cached_property
    def _replays(self) -> Replays:
        if self.experiments is not None:
            return Replays(self.experiments)
        pieces = self.source.pieces()  # the user's own are executed
        return Replays(Experiments(Grid(self.config, value_axes(self.config, pieces)), pieces))

    def walks(self, split: str, *, stage: Scalar = 0, at: At = None, **labels: Scalar) -> tuple[np.ndarray, np.ndarray]:
        """The walks of one run, drawn again from its seed: (tokens int[B, N-1], targets int[B]).

        Args:
          split: "train" or "test"; K in the place of a token of a training walk that is missing.
          stage: of a run of several stages, that whose training walks are meant, from 0.
          at: as of `replay`.
          **labels: the cell; errors as `params`.
        """
        return self.replay(at=at, **labels).walks(split, stage)[:2]

    def walk_weights(self, split: str, *, stage: Scalar = 0, at: At = None, **labels: Scalar) -> np.ndarray:
        """The weight of each of `walks` in every mean over them, float[B]: 1, or its probability in the population.

        Args and errors as `walks`.
        """
        return self.replay(at=at, **labels).walks(split, stage)[2]

    def averaged_tokens(
        self, tokens: np.ndarray | None = None, *, step: int | None = None, at: At = None, **labels: Scalar
    ) -> np.ndarray:
        """The averaged token X S of each walk, float[B, K]: the attention weight on each state. Args as `attention`."""
        tokens = self.replay(at=at, **labels).tokens(tokens)
        return averaged_tokens(self.attention(tokens, step=step, at=at, **labels), tokens, self.num_nodes(**labels))

    def attention(
        self, tokens: np.ndarray | None = None, *, step: int | None = None, at: At = None, **labels: Scalar
    ) -> np.ndarray:
        """Attention weights of one run, float[B, N]: N - 1 tokens and, last, the empty slot.

        Args:
          tokens: int[B, N-1], states 0..K-1, or K for one that is missing, where training has such; None for the run's
            own test walks.
          step: a step with recorded parameters.
          at: as of `replay`.
          **labels: the cell; errors as `params`.
        """
        replay = self.replay(at=at, **labels)
        attention_NxB = replay.output(self.params(step=step, **labels), tokens).attention_NxB
        if attention_NxB is None:
            raise RunError(f"{replay.form}, which has no attention.")
        return np.array(np.asarray(attention_NxB).T, order="C")

    def head_attention(
        self, tokens: np.ndarray | None = None, *, step: int | None = None, at: At = None, **labels: Scalar
    ) -> np.ndarray:
        """Attention weights of each head, from where the prediction is made: float[B, layers, heads, N].

        Args and errors as `attention`; RunError of a model that does not tell its heads, as one of a single head.
        """
        replay = self.replay(at=at, **labels)
        of_heads = replay.output(self.params(step=step, **labels), tokens).head_attention
        if of_heads is None:
            raise RunError(f"{replay.form}, which does not tell its heads; its attention is run.attention.")
        return np.array(np.moveaxis(np.asarray(of_heads), 3, 0), order="C")

    def mean_head_attention(self, *, step: int | None = None, **labels: Scalar) -> np.ndarray:
        """Attention weights of each head averaged over the test walks, float[layers, heads, N]. Errors as `params`."""
        return self._kept(step, labels, "head_attention")

    def attention_maps(
        self, tokens: np.ndarray | None = None, *, step: int | None = None, at: At = None, **labels: Scalar
    ) -> np.ndarray:
        """Attention of every slot (row) to every slot of a decoder, float[B, layers, heads, T, T].

        T is N with an empty slot for the query, N - 1 without. Args and errors as `attention`.
        """
        of_walks = self.replay(at=at, **labels).maps(self.params(step=step, **labels), tokens)
        return np.array(np.moveaxis(np.asarray(of_walks), 4, 0), order="C")

    def predict(
        self,
        tokens: np.ndarray | None = None,
        *,
        step: int | None = None,
        params: Changes = None,
        attention: Attention = None,
        at: At = None,
        **labels: Scalar,
    ) -> xr.DataArray:
        """The output f(X) of each walk, on the axes that are left out, "walk" and "state"; its argmax is predicted.

        Args:
          tokens: as of `attention`.
          step: a step with recorded parameters.
          params: others in the place of some of a run's own: a dict by name, or (own) -> such a dict.
          attention: weights in the place of the model's own: "parent", all on the direct parent; "uniform", the same
            on every slot; or an array, float[N] or float[B, N], the last for the empty slot.
          at: as of `replay`.
          **labels: fields and their values; runs that differ in an axis that is left out are along it.

        Raises:
          RunError: for a label that is not in the grid, a step that was not recorded, or what does not fit the model.
        """

        def of_cell(cell: Cell, own: Params) -> dict[str, Measured]:
            stacked = {name: leaf[None] for name, leaf in with_changes(own, params).items()}
            (output,) = self._replays.of(cell, at).predict(stacked, tokens, attention)
            return {"output": Measured(("walk", "state"), output)}

        return self._over(labels, step, "params", of_cell)["output"]

    def evaluate(
        self,
        *,
        step: int | None = None,
        params: Changes = None,
        attention: Attention = None,
        at: At = None,
        on: tuple[np.ndarray, ...] | None = None,
        **labels: Scalar,
    ) -> xr.Dataset:
        """Every metric of the test walks, or of others, on the axes that are left out. Errors: as of `predict`.

        Args:
          step: a step with recorded parameters.
          params: as of `predict`.
          attention: as of `predict`.
          at: as of `replay`.
          on: walks that are given: (tokens, targets), as `walks` gives them, or (tokens, targets, weights); None for
            the test walks.
          **labels: as of `predict`.
        """

        def of_cell(cell: Cell, own: Params) -> dict[str, Measured]:
            return self._replays.of(cell, at).evaluate(with_changes(own, params), on, attention)

        return self._over(labels, step, "params", of_cell)

    def lag(self, *, step: int | None = None, **labels: Scalar) -> xr.DataArray:
        """How many states before the target the slot with the highest mean attention is, 0 for the empty slot.

        Args and errors: as of `predict`.
        """

        def of_cell(cell: Cell, attention_N: np.ndarray) -> dict[str, Measured]:
            return {"lag": Measured((), np.asarray(attended_lag(attention_N)))}

        return self._over(labels, step, "mean_attention", of_cell)["lag"]

    def trajectory(self, name: str = "value", **labels: Scalar) -> xr.DataArray:
        """A parameter at every step that keeps parameters, on the axes that are left out, "step" and its own.

        Args:
          name: of a parameter; or "mean_attention" or "head_attention".
          **labels: as of `predict`.

        Raises:
          RunError: as of `predict`, or if there is no such parameter.
        """
        names = (name,) if name in ("mean_attention", "head_attention") else ("params", name)
        steps = sorted({step for cell in self._labelled.cells(labels) for step in kept_steps(cell.config)})

        def of_cell(cell: Cell) -> dict[str, Measured] | None:
            if not self._is_finished(cell):
                return None
            own = kept_steps(cell.config)
            kept = [self._kept(step, cell.labels, *names) for step in own]
            stack = np.full((len(steps), *np.shape(kept[0])), np.nan)  # NaN where another run alone has parameters
            stack[np.searchsorted(steps, own)] = kept
            last = _DIMS.get(name, tuple(f"{name}_{i}" for i in range(stack.ndim - 1)))
            of_heads = ("layer", "head")[len(last) + 3 - stack.ndim :] if stack.ndim > 1 + len(last) else ()
            return {name: Measured(("step", *of_heads, *last), stack)}

        found = over(self.grid, self._labelled.chosen(labels), of_cell)
        return found.assign_coords(step=steps)[name]

    def spectrum(self, *, step: int | None = None, **labels: Scalar) -> xr.DataArray:
        """The eigenvalues of V by Fourier mode, as if V were circulant (Lemma C.2), on the axes left out and "mode".

        That of mode m is the sum over d of exp(-2 pi i m d / K) times the mean of V[s + d, s] over s. Args and errors:
        as of `predict`.
        """

        def of_cell(cell: Cell, params: Params) -> dict[str, Measured]:
            value = self._replays.of(cell).value(params)
            if value.shape[0] != value.shape[1]:
                raise RunError(f"V is {value.shape[0]} x {value.shape[1]}, but must be square for a spectrum.")
            return {"spectrum": Measured(("mode",), spectrum(value))}

        found = self._over(labels, step, "params", of_cell)["spectrum"]
        return found.assign_coords(mode=range(found.sizes["mode"]))

    def blocks(self, *, step: int | None = None, **labels: Scalar) -> Blocks:
        """W of one run by blocks: states and positions. Args and errors: as of `key_query_matrix`."""
        config = self.cell(**labels).config
        W = self.key_query_matrix(step=step, **labels)
        if W.ndim != 2 or config.model.position_place == "added":
            raise RunError("W has blocks in a model of one head whose positions lie beside the tokens.")
        return blocks(W, config.model.embedding_width or self.num_nodes(**labels))

    def _over(self, labels: dict[str, Scalar], step: int | None, name: str, measure: Callable) -> xr.Dataset:
        """What is measured of cells, (cell, what it keeps under this name at a step), on the axes that are left out."""

        def of_cell(cell: Cell) -> dict[str, Measured] | None:
            return measure(cell, self._kept(step, cell.labels, name)) if self._is_finished(cell) else None

        return over(self.grid, self._labelled.chosen(labels), of_cell)

    def _is_finished(self, cell: Cell) -> bool:
        return bool(self.source.finished(self.grid)[cell.number])

    def num_nodes(self, **labels: Scalar) -> int:
        """K of a cell."""
        return self.cell(**labels).config.task.num_nodes

    def vocabulary(self, **labels: Scalar) -> tuple[str, ...] | None:
        """What the states of a cell are called, K words; None for numbers."""
        return self.replay(**labels).vocabulary

    def transition_matrix(self, **labels: Scalar) -> np.ndarray | None:
        """Pi of a cell, float64[K, K]; None if the last token alone does not tell the law of the next state."""
        law = self.replay(**labels).law()
        return None if law is None else np.array(law.transition_KxK)

    def target_law(self, **labels: Scalar) -> np.ndarray | None:
        """The law of the target of a cell, float64[K, K], row = the last token: Pi if the target is the next state."""
        law = self.replay(**labels).law()
        return None if law is None else np.array(law.target_KxK)

    def groups(self, over: str = "seed", **labels: Scalar) -> list[Group]:
        """The finished runs that have these labels, in groups that differ in `over` alone, in the order of the grid.

        Args:
          over: the axis that each group is over.
          **labels: fields and their values, axes or not; a run that differs in one is left out.

        Raises:
          RunError: if a label names no field, or no finished run has them.
        """
        groups = []
        for numbers in grouped(self.grid, self._metrics["finished"].values, over, labels):
            common = self.grid.cell(int(numbers[0])).labels
            groups.append(Group(self, {axis: label for axis, label in common.items() if axis != over}, numbers))
        return groups

    def cell(self, **labels: Scalar) -> Cell:
        """The cell with these labels. Errors as `params`."""
        return self._labelled.cell(labels)

    @functools.cached_property
    def _labelled(self) -> Labelled:
        return Labelled(self.grid)

    def _kept(self, step: int | None, labels: dict[str, Scalar], *names: str) -> Any:
        """The part under these names of what a cell keeps at a step."""
        cell = self.cell(**labels)
        steps = kept_steps(cell.config)
        step = steps[-1] if step is None else step
        if not can_be_label(step) or step not in steps:
            raise RunError(f"step is {shown(step)}, but parameters were recorded at steps {listed(steps)}.")
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
