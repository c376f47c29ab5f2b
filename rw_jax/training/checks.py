"""Whether the pieces of a run go together: from shapes, and from what its task makes of the labels."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.models import Output, Params
from rw_jax.study.config import ALL, AXES, DECLARATIONS
from rw_jax.study.errors import ConfigError, tried
from rw_jax.study.fields import shown
from rw_jax.study.grid import Grid, Structure
from rw_jax.study.labels import OPTION
from rw_jax.study.stages import NUMBERS, Stage, stages_of
from rw_jax.tasks import Law, Task, Walks
from rw_jax.training.experiment import Experiment
from rw_jax.training.optimizers import transformation
from rw_jax.training.precision import numbers_of
from rw_jax.training.run import Progress, progress_shape
from rw_jax.training.values import labels_of_stages, of_stage, run_keys, run_values
from rw_jax.training.walks import draw


class Reads:
    """Notes which names pieces ask for.

    Attributes:
      names: the names, by piece.
    """

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}

    def noting(self, piece: str, mapping: Mapping[str, Any]) -> Mapping[str, Any]:
        """The mapping, which notes what a piece asks for."""
        return _Noting(mapping, self.names.setdefault(piece, set()))

    def of_values(self) -> dict[str, frozenset[str]]:
        """The names of values, by piece."""
        pieces = ("task", "trained_on", "model", "loss", "optimizer")
        return {piece: frozenset(self.names.get(piece, ())) for piece in pieces}


class _Noting(Mapping[str, Any]):
    """Whoever asks for all of it, or hands it to a function that JAX compiles, has asked for every name."""

    def __init__(self, mapping: Mapping[str, Any], names: set[str]) -> None:
        self._mapping, self._names = dict(mapping), names

    def __getitem__(self, name: str) -> Any:
        self._names.add(name)
        return self._mapping[name]

    def __iter__(self) -> Iterator[str]:
        self._names.update(self._mapping)
        return iter(self._mapping)

    def __len__(self) -> int:
        self._names.update(self._mapping)
        return len(self._mapping)

    def __or__(self, changes: Mapping[str, Any]) -> "_Noting":
        return _Noting({**self._mapping, **changes}, self._names)

    def __ror__(self, below: Mapping[str, Any]) -> dict[str, Any]:
        return {**below, **self}


jax.tree_util.register_pytree_node(_Noting, lambda noting: ((dict(noting),), None), lambda _, children: children[0])


def check_labels(grid: Grid, structure: Structure, task: Task, reads: Reads) -> None:
    """Has the task check each label of each value axis, the other fields as those of the structure's first cell.

    What is right for a parameter of the task can depend on another one: each combination of these is checked.

    Args:
      grid: the grid.
      structure: cells of it.
      task: their task, with the faults of their training walks.
      reads: where the names of the labels are noted that the task makes arrays of.
    """
    labels = grid.cell(structure.cells[0]).values
    made = _check_host_values(task, labels, reads)
    of_task = set(task.value_options) | ({"stages", "p"} if labels["stages"] else set())
    together = [dimension for dimension in grid.dimensions if set(dimension.fields) & of_task]
    if math.prod(len(dimension.values) for dimension in together) > _MOST_COMBINATIONS:
        together = []
    alone = [[dimension] for dimension in grid.dimensions if dimension not in together and dimension.axes != ("seed",)]
    for dimensions in [together, *alone] if together else alone:
        axes = [field for dimension in dimensions for field in dimension.fields]
        shape = {axis: labels[axis] for axis in axes if axis not in grid.value_axes}
        for combination in itertools.product(*(dimension.values for dimension in dimensions)):
            changes = dict(zip(axes, itertools.chain.from_iterable(combination), strict=True))
            if all(changes[axis] == label for axis, label in shape.items()):
                other = _check_host_values(task, labels | changes, reads)
                if other != made:
                    raise ConfigError(
                        f"task.host_values gives {shown(other)} for {shown(changes)}, but must give arrays of the same "
                        f"names and shapes for all runs of a program, as {shown(made)}; make what changes them an "
                        "option that is not in value_options."
                    )


_MOST_COMBINATIONS = 10_000
"""Of labels that are checked together before anything is written; of more, each label is checked by itself."""


def _check_host_values(task: Task, labels: Mapping[str, Any], reads: Reads) -> Any:
    """Has the task check the labels of a run in each stage; gives the shapes of the arrays that it makes of them."""
    check_stages(task, labels)
    first, *later = labels_of_stages(labels)
    if not later:
        return _check_stage(task, first, reads)
    # There are no test walks but in the last stage.
    shapes = _check_stage(task, first | {"test_walks": 1}, reads)
    for stage, each in zip(stages_of(labels["stages"]), later, strict=True):
        try:
            _check_stage(task, each if each is later[-1] else each | {"test_walks": 1}, reads)
        except ConfigError as error:
            raise ConfigError(f"{_where(labels, stage)} values that do not do: {error}") from error
    return shapes


def _where(labels: Mapping[str, Any], stage: Stage) -> str:
    return f"training.stages is {labels['stages']!r}, whose stage from step {stage.first} on has"


def check_stages(task: Task, labels: Mapping[str, Any]) -> None:
    """Refuses stages that change what cannot change in training, or begin after it. Raises: ConfigError."""
    can_change = (*NUMBERS, *(name for name in task.value_options if name in labels))
    for stage in stages_of(labels["stages"]):
        where = _where(labels, stage)
        if stage.first >= labels["steps"]:
            raise ConfigError(
                f"training.stages is {labels['stages']!r}, but each stage must begin before training.steps = "
                f"{labels['steps']}."
            )
        for name, value in stage.changes.items():
            if name not in can_change:
                raise ConfigError(f"{where} {name}, but must have one of {', '.join(can_change)}.")
            right = DECLARATIONS[AXES[name]].right if name in AXES else OPTION
            try:
                right.read(value)
            except ValueError:
                raise ConfigError(f"{where} {name} = {value!r}, but must have {right.words}.") from None


def _check_stage(task: Task, labels: Mapping[str, Any], reads: Reads) -> Any:
    check, host_values = task.check, task.host_values
    if check is not None:
        tried("task.check", lambda: check(labels))
    if host_values is None:
        return {}
    made = tried("task.host_values", lambda: host_values(reads.noting("labels", labels)))
    if not isinstance(made, Mapping):
        raise ConfigError(f"task.host_values gives {shown(made)}, but must give arrays by name.")
    return jax.tree.map(np.shape, dict(made))


def checked_shape(experiment: Experiment, reads: Reads) -> Progress:
    """The shapes of the progress of a run. Refuses pieces whose arrays do not fit; nothing is computed.

    Args:
      experiment: the pieces.
      reads: where the names of the values that they read are noted.

    Raises:
      ConfigError: one sentence that names the piece, what it gives and what would be right.
    """
    with numbers_of(experiment.precision):
        arrays = tried("task.host_values", lambda: run_values(experiment.labels, experiment))
        values = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), arrays)
        key = jax.eval_shape(lambda: jax.random.key(0))
        walks = _check_task(experiment, key, values, reads)
        _check_model(experiment, key, values, walks, reads)
        checked = experiment._replace(reads=reads.of_values())
        return tried("The training of a run", lambda: _check_metrics(checked, values))


def check_drawn(grid: Grid, structure: Structure, experiment: Experiment) -> None:
    """Refuses a task whose walks are none: draws a few of some runs, and their laws.

    Args:
      grid: the grid.
      structure: cells of it.
      experiment: their pieces.

    Raises:
      ConfigError: if a state is none of 0..K-1, weights are no weights, or laws are no laws.
    """
    task, apart = experiment.task, -(-len(structure.cells) // _DRAWN_RUNS)
    number = ALL if ALL in (experiment.walks, experiment.test_walks) else _DRAWN_WALKS

    def drawn(values: Any) -> Any:
        walks = draw(task, run_keys(experiment.study_seed, values["seed"]).test, number, values)
        law_KxB = None if task.next_state_law is None else task.next_state_law(walks.tokens_LxB, values)
        return walks, law_KxB, None if task.law is None else task.law(values)

    with numbers_of(experiment.precision):
        compiled = jax.jit(drawn)
        for i in range(0, len(structure.cells), apart):
            labels = grid.cell(structure.cells[i]).values
            values = of_stage(run_values(labels, experiment), len(stages_of(labels["stages"])))
            walks, law_KxB, law = tried("task.sample", lambda values=values: jax.device_get(compiled(values)))
            _expect_states("tokens_LxB", walks.tokens_LxB, task.num_nodes - 1 + task.has_gaps)
            _expect_states("targets_B", walks.targets_B, task.num_nodes - 1)
            weights_B = walks.weights_B
            if not (np.isfinite(weights_B).all() and weights_B.min() >= 0 and weights_B.sum() > 0):
                raise ConfigError(
                    f"task.sample gives weights_B from {weights_B.min():g} to {weights_B.max():g}, but must give "
                    "weights that are finite, not below 0, and not all 0."
                )
            for what, laws in {"next_state_law gives": law_KxB, **({} if law is None else _columns_of(law))}.items():
                if laws is not None and not (laws.min() >= -1e-6 and np.abs(laws.sum(axis=0) - 1).max() < 1e-3):
                    given = shown(laws.T[0].tolist())
                    raise ConfigError(f"task.{what} {given}, but must give probabilities that sum to 1.")


_DRAWN_RUNS, _DRAWN_WALKS = 16, 64
"""What is drawn of a task before anything is written: of so many runs so many walks."""


def _columns_of(law: Law) -> dict[str, Any]:
    """The laws of a chain, as columns, by how a message begins that tells of them."""
    return {"law gives start_K": law.start_K[:, None], "law gives transition_KxK": law.transition_KxK.T}


def _expect_states(name: str, states: np.ndarray, largest: int) -> None:
    if states.min() < 0 or states.max() > largest:
        raise ConfigError(
            f"task.sample gives {name} from {states.min()} to {states.max()}, but must give states from 0 to {largest}."
        )


def _check_task(experiment: Experiment, key: Any, values: Any, reads: Reads) -> Walks:
    """The shapes of two walks of the task."""
    task = experiment.task
    K, L = task.num_nodes, task.walk_length - 1

    def drawn(key: Any, values: Any) -> Any:
        return task.sample(key, 2, reads.noting("task", values))

    def drawn_for_training(key: Any, values: Any) -> Any:
        number = 2 if experiment.is_infinite or experiment.walks != ALL else ALL
        of_task = reads.noting("trained_on", {**values, "fault_key": key})
        return draw(experiment.trained_on, key, number, of_task)

    walks = _shape("task.sample", drawn, key, values)
    _expect_walks("task.sample", walks, L, 2)
    for name in ("tokens_LxB", "targets_B"):
        states = getattr(walks, name)
        if not jnp.issubdtype(states.dtype, jnp.integer):
            raise ConfigError(f"task.sample gives {name} of {states.dtype}, but must give integers.")
    if ALL in (experiment.walks, experiment.test_walks):
        if task.population is None:
            raise ConfigError(
                f"task.walks and task.test_walks are {experiment.walks!r} and {experiment.test_walks!r}, but must be "
                "numbers for this task, whose walks cannot be enumerated."
            )
        population: Any = task.population
        every = _shape("task.population", lambda values: population(reads.noting("task", values)), values)
        _expect_walks("task.population", every, L, len(every.targets_B) if isinstance(every, Walks) else 0)
    if not experiment.is_infinite:
        _shape("task.sample", drawn_for_training, key, values)
    next_state_law: Any = task.next_state_law
    if next_state_law is not None:
        law = _shape(
            "task.next_state_law",
            lambda tokens, values: next_state_law(tokens, reads.noting("task", values)),
            walks.tokens_LxB,
            values,
        )
        _expect("task.next_state_law", {"law_KxB": law}, {"law_KxB": (K, 2)})
    law_of: Any = task.law
    if law_of is not None:
        chain = _shape("task.law", lambda values: law_of(reads.noting("task", values)), values)
        if not isinstance(chain, Law):
            raise ConfigError(f"task.law gives {type(chain).__name__}, but must give a Law.")
        given = chain._asdict() | {"ahead_KxK": chain.target_KxK}
        _expect("task.law", given, {"start_K": (K,), "transition_KxK": (K, K), "ahead_KxK": (K, K)})
    return walks


def _check_model(experiment: Experiment, key: Any, values: Any, walks: Walks, reads: Reads) -> None:
    """The model on two walks, the loss of one, and the optimizer."""
    model, task = experiment.model, experiment.task
    K, L = task.num_nodes, task.walk_length - 1
    params = _shape("model.init", lambda key, values: model.init(key, reads.noting("model", values)), key, values)
    for path, _ in jax.tree.leaves_with_path(params):
        if not all(isinstance(getattr(part, "key", None), str) and "." not in part.key for part in path):
            given = jax.tree_util.keystr(path)
            raise ConfigError(f"model.init gives params{given}, but must give arrays by names, which are words, alone.")
    output = _shape("model.apply", model.apply, params, walks.tokens_LxB)
    if not isinstance(output, Output):
        raise ConfigError(f"model.apply gives {type(output).__name__}, but must give Output.")
    of_heads = getattr(output.head_attention, "shape", ())[:2]
    right = {"output_KxB": (K, 2), "token_attention_LxB": (L, 2), "empty_attention_B": (2,), "spread_B": (2,)}
    right["head_attention"] = (*of_heads, L + 1, 2) if len(of_heads) == 2 else ()
    _expect("model.apply", {name: leaf for name, leaf in output._asdict().items() if leaf is not None}, right)
    if model.looks.value is not None:
        value = _shape("model.looks.value", model.looks.value, params)
        if getattr(value, "ndim", None) != 2:
            raise ConfigError(f"model.looks.value gives {_shapes_of(value)}, but must give a matrix V.")
    if model.looks.scores is not None:
        scores = _shape("model.looks.scores", model.looks.scores, params)
        _expect("model.looks.scores", scores._asdict(), {"state_K": (K,), "position_N": (L + 1,)})

    def loss(output_K: Any, target_K: Any, values: Any) -> Any:
        return experiment.loss.of_walk(output_K, target_K, reads.noting("loss", values))

    of_one = jax.ShapeDtypeStruct((K,), output.output_KxB.dtype)
    _expect("loss", {"loss": _shape("loss", loss, of_one, of_one, values)}, {"loss": ()})
    _check_optimizer(experiment, params, values, reads)


def _check_metrics(experiment: Experiment, values: Any) -> Progress:
    """The shapes of the progress of a run, whose metrics have the axes that they say."""
    shape = progress_shape(experiment, values)
    for name, metric in shape.record.metrics.items():
        dims = experiment.metrics[name].dims
        if len(metric.shape) != 1 + len(dims):
            raise ConfigError(
                f"The metric {name} gives an array of shape {metric.shape[1:]}, but must give one with an axis for "
                f"each of its dims {dims}."
            )
    return shape


def _check_optimizer(experiment: Experiment, params: Params, values: Mapping[str, Any], reads: Reads) -> None:
    """Traces an optimizer on gradients that are like the parameters."""

    def init_and_update(params, values):
        each = transformation(experiment.optimizer, experiment.model, reads.noting("optimizer", values))
        state = each.init(params)
        return (state, *each.update(params, state, params))

    state, updates, next_state = _shape("optimizer", init_and_update, params, values)
    for given, right, what in ((updates, params, "updates"), (next_state, state, "a next state")):
        if jax.tree.map(_shapes_of, given) != jax.tree.map(_shapes_of, right):
            raise ConfigError(f"optimizer gives {what} {_shapes_of(given)}, but must give {_shapes_of(right)}.")


def _shapes_of(array: Any) -> str:
    """The shapes of arrays, for a message."""
    return shown(jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", array))


def _shape(name: str, function: Callable[..., Any], *operands: Any) -> Any:
    """The shapes of what a piece gives."""
    return tried(name, lambda: jax.eval_shape(function, *operands))


def _expect_walks(name: str, walks: Any, num_tokens: int, num_walks: int) -> None:
    if not isinstance(walks, Walks):
        raise ConfigError(f"{name} gives {type(walks).__name__}, but must give Walks.")
    right = {"tokens_LxB": (num_tokens, num_walks), "targets_B": (num_walks,), "weights_B": (num_walks,)}
    _expect(name, walks._asdict(), right)


def _expect(name: str, given: Mapping[str, Any], right: Mapping[str, tuple[int, ...]]) -> None:
    for field, leaf in given.items():
        shape = getattr(leaf, "shape", None)
        if shape != right[field]:
            raise ConfigError(f"{name} gives {field} of shape {shape}, but must give {right[field]}.")
