"""A model run again: on its own walks or others, as it was trained or with something changed.

Nothing else in analysis knows of experiments. What is computed is compiled once for all runs of a structure.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.analysis.labelled import Measured
from rw_jax.models import Output
from rw_jax.study.config import AXES, Config
from rw_jax.study.errors import RunError
from rw_jax.study.fields import Scalar, plain, shown
from rw_jax.study.grid import Cell
from rw_jax.study.reading import checked
from rw_jax.tasks import Law, Walks
from rw_jax.training.experiment import Experiment
from rw_jax.training.grids import Experiments, filled
from rw_jax.training.losses import log_loss
from rw_jax.training.metrics import METRICS, Metric, measure
from rw_jax.training.precision import compiler_options, numbers_of
from rw_jax.training.run import looking_at
from rw_jax.training.values import labels_of_stages, num_stages, of_stage, run_keys, run_values
from rw_jax.training.walks import draw_test_walks, draw_training_walks

Params = dict[str, np.ndarray]

Changes = Mapping[str, Any] | Callable[[Params], Mapping[str, Any]] | None
"""Parameters in the place of some of a run's own: by name, or a function of its own; None for none."""

Attention = str | np.ndarray | None
"""Weights in the place of the model's own: "parent", "uniform", or an array; None for its own."""

At = Any
"""Fields with other values than those of a run: a dict by the names of their axes; None for none. It stands among
labels, which are numbers and words, so that no narrower type would let these be given as `**labels`."""


class Replays:
    """The models of a study, each to be run again."""

    def __init__(self, experiments: Experiments) -> None:
        """Args: the grid of the study with its pieces."""
        self._experiments = experiments
        self._programs: dict[Config, _Programs] = {}

    def of(self, cell: Cell, at: At = None) -> "Replay":
        """The model of a cell, as if its run were one with other values of some fields.

        A run of several stages is one of the last of them alone where `at` is given.

        Raises:
          RunError: if `at` names what is no field.
          ConfigError: if a value of it is not right, or pieces do not go together with it.
        """
        if at is None:
            config, structure = cell.config, self._experiments.grid.structure_of(cell)
            experiment = self._experiments.experiment(structure)
        else:
            config = filled(self._changed(cell, at), self._experiments.pieces)
            structure, experiment = self._experiments.of_run(config)
        if structure not in self._programs:
            self._programs[structure] = _programs(experiment)
        return Replay(config, self._programs[structure], at is not None)

    def _changed(self, cell: Cell, at: Mapping[str, Any]) -> Config:
        known = (*AXES, *self._experiments.grid.config.options)
        if not isinstance(at, Mapping) or not all(axis in known for axis in at):
            raise RunError(f"at is {shown(at)}, but must be a dict of fields, by name: {', '.join(known)}.")
        last = labels_of_stages(cell.values)[-1]
        of_last_stage = {axis: value for axis, value in last.items() if value != cell.values[axis]}
        changes = {**cell.changes, **of_last_stage, "stages": "", **at}
        return checked(dataclasses.replace(cell, changes=changes).config)


class _Programs(NamedTuple):
    """What is called for one run of a structure after another, compiled once.

    Attributes:
      experiment: the pieces.
      forward, maps: of the model; None if it has none.
      predict: (stacked params, tokens_LxB, attention_NxB) -> float[S, K, B], outputs for each of the S parameters.
      evaluate: (are_given, params, values, walks, attention_NxB) -> metrics; `are_given` of walks that are not the test
        walks of the run.
      sample: (split, stage, values) -> walks.
      full: (params, values) -> the paper's own parameters; None if there are none.
    """

    experiment: Experiment
    forward: Callable[[Any, jax.Array], Output]
    maps: Callable[[Any, jax.Array], jax.Array] | None
    predict: Callable[..., jax.Array]
    evaluate: Callable[..., dict[str, jax.Array]]
    sample: Callable[[str, int, Any], Walks]
    full: Callable[[Any, Any], Any] | None


def _programs(experiment: Experiment) -> _Programs:
    model, looks = experiment.model, experiment.model.looks
    to_full: Any = None if model.reduction is None else model.reduction.to_full
    compiled = functools.partial(jax.jit, compiler_options=compiler_options())

    def full(params, values):
        return to_full(params, run_keys(experiment.study_seed, values["seed"]).init, values)

    def sample(split, stage, values):
        return (
            draw_test_walks(experiment, values) if split == "test" else draw_training_walks(experiment, values, stage)
        )

    def attending(attention_NxB):
        """The model with these weights in the place of its own, which its scores do not tell, if there are any."""
        attend: Any = looks.attend
        if attention_NxB is None:
            return model
        return model._replace(
            apply=lambda params, tokens_LxB: attend(params, tokens_LxB, attention_NxB),
            looks=looks._replace(scores=None),
        )

    def predict(stacked, tokens_LxB, attention_NxB):
        apply = attending(attention_NxB).apply
        return jax.lax.map(lambda params: apply(params, tokens_LxB).output_KxB, stacked)

    def evaluate(are_given, params, values, walks, attention_NxB):
        if walks.weights_B is None:
            walks = walks._replace(weights_B=jnp.ones(walks.targets_B.shape))
        changed = experiment._replace(model=attending(attention_NxB))
        return measure(all_metrics(experiment), looking_at(changed, values, walks, over_all=not are_given)(params))

    return _Programs(
        experiment,
        compiled(model.apply),
        None if looks.maps is None else compiled(looks.maps),
        compiled(predict),
        compiled(evaluate, static_argnums=0),
        compiled(sample, static_argnums=(0, 1)),
        None if to_full is None else compiled(full),
    )


@dataclasses.dataclass(frozen=True)
class Replay:
    """The model of one run. Arrays of walks are as people have them: walks first.

    Attributes:
      config: of the run, or what is asked of it in its place.
      programs: what its structure has compiled.
      is_changed: whether the config is another than that of the run, so that the run's parameters may not fit.
    """

    config: Config
    programs: _Programs
    is_changed: bool = False

    @property
    def _experiment(self) -> Experiment:
        return self.programs.experiment

    @property
    def parent(self) -> int | None:
        """The lag of the direct parent; None if there is none."""
        return self._experiment.task.parent

    @property
    def multiplies_average(self) -> bool:
        """Whether the output is V times the token that attention averages, with weights that can be replaced."""
        return self._experiment.model.looks.value_is_output and self._experiment.model.looks.attend is not None

    @property
    def vocabulary(self) -> tuple[str, ...] | None:
        """The words of the states; None for numbers."""
        return self._experiment.task.vocabulary

    @property
    def is_of_log_loss(self) -> bool:
        """Whether the loss is the paper's."""
        return self._experiment.loss.of_walk is log_loss

    @property
    def sums_gradients(self) -> bool:
        """Whether each update is a sum of gradients, as of gradient descent with or without momentum."""
        return self._experiment.optimizer.is_linear and not self._experiment.optimizer.decays

    def state_scores(self, stacked: Params, num_axes: int) -> np.ndarray | None:
        """u, the score of each state, float[..., K]; None of a model that does not tell its scores.

        Args:
          stacked: parameters, with leading axes.
          num_axes: how many.
        """
        scores: Any = self._experiment.model.looks.scores
        if scores is None:
            return None
        for _ in range(num_axes):
            scores = jax.vmap(scores)
        with numbers_of(self.config.precision):
            return np.asarray(scores(jax.tree.map(jnp.asarray, stacked)).state_K)

    @property
    def form(self) -> str:
        """The form of the model, for messages."""
        return f"model.form is {self.config.model.form!r}"

    def _values(self) -> dict[str, Any]:
        return run_values(self.config.values(), self._experiment)

    def law(self) -> Law | None:
        """The chain of the last stage, in float64; None if the last token does not tell the law of the next state."""
        task = self._experiment.task
        if task.law is None:
            return None
        with numbers_of("float64"):
            values = self._values()
            return task.law(of_stage(values, num_stages(values) - 1))

    def walks(self, split: str, stage: Scalar = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The walks, drawn again: tokens int[B, N-1], targets int[B], weights float[B].

        Raises:
          RunError: if there are none.
        """
        if not isinstance(split, str) or split not in ("train", "test"):
            raise RunError(f"split is {shown(split)}, but must be 'train' or 'test'.")
        if split == "train" and self.config.task.walks == math.inf:
            raise RunError("task.walks is 'infinite', so that no training walks were drawn; split may be 'test'.")
        with numbers_of(self.config.precision):
            values = self._values()
            if isinstance(stage, bool) or not isinstance(stage, int) or not 0 <= stage < num_stages(values):
                raise RunError(f"stage is {shown(stage)}, but must be from 0 to {num_stages(values) - 1}.")
            drawn = self.programs.sample(split, stage, values)
        return np.array(np.asarray(drawn.tokens_LxB).T, order="C"), np.array(drawn.targets_B), np.array(drawn.weights_B)

    def _test_walks(self) -> Walks:
        """The test walks, as the model takes them."""
        with numbers_of(self.config.precision):
            return self.programs.sample("test", 0, self._values())

    def tokens(self, given: Any = None) -> np.ndarray:
        """Tokens that are given, checked, or else those of the test walks, int[B, N-1]. Raises: RunError."""
        if given is None:
            return self.walks("test")[0]
        task = self._experiment.task
        length = task.walk_length - 1
        tokens = plain(given)
        if tokens is None or tokens.dtype.kind == "f" or tokens.shape[1:] != (length,) or not tokens.size:
            kind = shown(given) if tokens is None else f"{tokens.dtype}{list(tokens.shape)}"
            raise RunError(f"tokens are {kind}, but must be integers of shape [B, {length}] with B at least 1.")
        most = task.num_nodes - 1 + self._experiment.trained_on.has_gaps
        if not 0 <= tokens.min() <= tokens.max() <= most:
            raise RunError(f"tokens run from {tokens.min()} to {tokens.max()}, but must lie in 0..{most}.")
        return tokens

    def output(self, params: Params, tokens: Any = None) -> Output:
        """What the model makes of walks, which come last in its arrays. Args and errors: as `predict`."""
        return self._forward(self.programs.forward, params, tokens)

    def maps(self, params: Params, tokens: Any = None) -> jax.Array:
        """Attention of every slot to every slot, float[layers, heads, T, T, B]. Args and errors: as `predict`."""
        if self.programs.maps is None:
            raise RunError(f"{self.form}, where one slot alone looks at the others; see `attention`.")
        return self._forward(self.programs.maps, params, tokens)

    def _forward(self, function: Callable[[Any, Any], Any], params: Params, tokens: Any) -> Any:
        params, tokens_LxB = self._fitting(params), self.tokens(tokens).T
        with numbers_of(self.config.precision):
            return function(params, tokens_LxB)

    def predict(self, stacked: Params, tokens: Any = None, attention: Attention = None) -> np.ndarray:
        """The output of each walk for each of S parameters, float[S, B, K].

        Args:
          stacked: parameters of the model, with a leading axis.
          tokens: int[B, N-1]; None for those of the test walks.
          attention: weights in the place of the model's own.

        Raises:
          RunError: for what does not fit the model.
        """
        stacked, tokens = self._fitting(stacked, num_axes=1), self.tokens(tokens)
        weights_NxB = self._weights(attention, len(tokens))
        with numbers_of(self.config.precision):
            if weights_NxB is not None:
                weights_NxB = jnp.asarray(weights_NxB, jnp.result_type(float))
            output_SxKxB = self.programs.predict(stacked, tokens.T, weights_NxB)
        return np.moveaxis(np.asarray(output_SxKxB), 2, 1)

    def evaluate(self, params: Params, on: Any = None, attention: Attention = None) -> dict[str, Measured]:
        """The metrics of test walks, or of others.

        Args:
          params: of the model.
          on: walks: (tokens, targets), or (tokens, targets, weights); None for the test walks.
          attention: weights in the place of the model's own.

        Raises:
          RunError: for what does not fit the model.
        """
        params = self._fitting(params)
        walks = self._test_walks() if on is None else self._given(on)
        weights_NxB = self._weights(attention, len(walks.targets_B))
        with numbers_of(self.config.precision):
            real = jnp.result_type(float)
            if weights_NxB is not None:
                weights_NxB = jnp.asarray(weights_NxB, real)
            are_alike = bool(np.all(np.asarray(walks.weights_B) == 1))  # as a constant they are summed as in training
            weights_B: Any = None if are_alike else jnp.asarray(walks.weights_B, real)
            walks = walks._replace(weights_B=weights_B)
            params = jax.tree.map(jnp.asarray, params)
            measured = self.programs.evaluate(on is not None, params, self._values(), walks, weights_NxB)
            metrics = all_metrics(self._experiment)
            return {name: Measured(metrics[name].dims, np.asarray(value)) for name, value in measured.items()}

    def _given(self, on: Any) -> Walks:
        """Walks that are given, checked, as the model takes them."""
        K = self._experiment.task.num_nodes
        if isinstance(on, Walks) or not isinstance(on, Sequence) or len(on) not in (2, 3):
            raise RunError(
                f"on is {shown(on)}, but must be (tokens, targets), as run.walks gives them, or have weights."
            )
        tokens = self.tokens(on[0])
        targets = plain(on[1])
        weights: Any = plain(on[2]) if len(on) == 3 else np.ones(len(tokens))
        is_right = targets is not None and targets.dtype.kind != "f" and targets.shape == (len(tokens),)
        if targets is None or not is_right or not 0 <= targets.min() <= targets.max() < K:
            raise RunError(f"on has targets {shown(on[1])}, but must have {len(tokens)} integers in 0..{K - 1}.")
        if weights is None or weights.shape != targets.shape or not _are_weights(weights):
            raise RunError(
                f"on has weights {shown(on[2])}, but must have {len(tokens)} numbers of at least 0, not all 0."
            )
        return Walks(jnp.asarray(tokens.T, np.int32), jnp.asarray(targets, np.int32), weights)

    def value(self, params: Params) -> np.ndarray:
        """V, float[H, K]. Raises: RunError if there is no single one."""
        value_of: Any = self._experiment.model.looks.value
        if value_of is None:
            raise RunError(f"{self.form}, which has no single V; see run.params and analysis.circuits.")
        return np.asarray(value_of(params))

    def key_query(self, params: Params) -> np.ndarray:
        """W, float[D, D], rebuilt from a reduced form if need be. Raises: RunError if it cannot be."""
        if self._experiment.model.reduction is None and "key_query" in params:
            return params["key_query"]
        if self.programs.full is None:
            raise RunError(
                f"{self.form}, which has no matrix W here: W is rebuilt only from a start that tells it, and for an "
                "optimizer that moves it along the query."
            )
        with numbers_of(self.config.precision):
            return np.array(self.programs.full(jax.tree.map(jnp.asarray, params), self._values())["key_query"])

    def _fitting(self, params: Params, num_axes: int = 0) -> Params:
        """The parameters of a run, which fit the model by themselves; of one that has been changed, checked."""
        if not self.is_changed:
            return params
        with numbers_of(self.config.precision):
            model, values = self._experiment.model, self._values()
            key = jax.eval_shape(lambda: jax.random.key(0))
            right = jax.eval_shape(model.init, key, values)
        shapes = {name: leaf.shape for name, leaf in right.items()}
        given = {name: leaf.shape[num_axes:] for name, leaf in params.items()}
        if given != shapes:
            raise RunError(f"The parameters of this run are {given}, but a model as in `at` has {shapes}.")
        return {name: np.asarray(leaf, right[name].dtype) for name, leaf in params.items()}

    def _weights(self, attention: Attention, num_walks: int) -> np.ndarray | None:
        """Weights that are asked for, float[N, B]; None for the model's own."""
        if attention is None:
            return None
        task, N = self._experiment.task, self._experiment.task.walk_length
        if self._experiment.model.looks.attend is None:
            raise RunError("attention is given, but must be left out for a decoder, or a model without attention.")
        if isinstance(attention, str):
            if attention not in ("parent", "uniform") or (attention == "parent" and task.parent is None):
                raise RunError(
                    f"attention is {attention!r}, but must be 'parent' (of a task that has one), 'uniform' or an array."
                )
            weights_N = np.full(N, 1 / N) if attention == "uniform" else np.eye(N)[N - 1 - int(task.parent or 0)]
            return np.repeat(weights_N[:, None], num_walks, axis=1)
        given = plain(attention)
        if given is None or given.shape not in ((N,), (num_walks, N)):
            kind = shown(attention) if given is None else f"an array of {given.dtype}{list(given.shape)}"
            raise RunError(f"attention is {kind}, but must be numbers of shape [{N}] or [{num_walks}, {N}].")
        sums = given.sum(axis=-1)
        if not np.all(given >= 0) or not np.allclose(sums, 1, rtol=0, atol=1e-3):
            raise RunError(
                f"attention is an array from {given.min():g} to {given.max():g} with sums from {sums.min():g} to "
                f"{sums.max():g}, but must be weights of at least 0 that sum to 1 over the slots."
            )
        return np.broadcast_to(given, (num_walks, N)).T


def all_metrics(experiment: Experiment) -> dict[str, Metric]:
    """All metrics there are, and those of the user's own that a run records."""
    return {**METRICS, **experiment.metrics}


def _are_weights(weights: np.ndarray) -> bool:
    return bool(np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0)


def averaged_tokens(attention_BxN: np.ndarray, tokens_BxL: np.ndarray, num_nodes: int) -> np.ndarray:
    """X S of each walk, float[B, K]: the attention weight on each state."""
    attention_BxL = attention_BxN[:, :-1]
    return np.stack([np.sum(attention_BxL, axis=1, where=tokens_BxL == k) for k in range(num_nodes)], axis=1)


def with_changes(own: Params, changes: Changes) -> Params:
    """The parameters of a run with some of them others. Raises: RunError if they do not fit."""
    if changes is None:
        return own
    changes = changes if isinstance(changes, Mapping) or not callable(changes) else changes(own)
    if not isinstance(changes, Mapping):
        raise RunError(f"params is {shown(changes)}, but must be a dict of arrays, or a function that gives one.")
    for name, leaf in changes.items():
        array = plain(leaf)
        if array is None or name not in own or array.shape != own[name].shape:
            right = {name: leaf.shape for name, leaf in own.items()}
            given = "that is no array of real numbers" if array is None else f"of shape {array.shape}"
            raise RunError(f"params has {name} {given}, but must have some of {right}.")
    return {name: np.asarray(changes.get(name, leaf), leaf.dtype) for name, leaf in own.items()}
