"""One run as a pure function: sample the walks, initialise, train, measure.

The pieces of a run and all that changes a shape or a program come in its Experiment and are closed over; what a grid
sweeps without recompiling comes as arrays by name. Nothing here knows of batches of runs.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from rw_jax.models import Params
from rw_jax.models.classes import MOST_CLASSES
from rw_jax.study.config import ALL
from rw_jax.tasks import Values, Walks
from rw_jax.training import accuracy, infinite, metrics
from rw_jax.training.experiment import Experiment
from rw_jax.training.metrics import Measured
from rw_jax.training.objectives import (
    ByClasses,
    Objective,
    OfWalk,
    as_model_takes,
    by_classes,
    on_infinite_walks,
    on_walks,
    parts_of,
)
from rw_jax.training.optimizers import transformation
from rw_jax.training.values import RunKeys, num_stages, of_stage, run_keys, stage_at
from rw_jax.training.walks import at_stage, batches_of, draw_test_walks, draw_training_walks


class Schedule(NamedTuple):
    """When a run is recorded.

    Attributes:
      gaps: int32[T], steps from each recorded step to the next; 0 after the last.
      slots: int32[T], where each recorded step goes in the stack of S recorded parameters; S if it is not kept.
      first: int32, the recorded step, counted from 0, to begin at.
      last: int32, the recorded step to stop before; T for the whole training.
    """

    gaps: ArrayLike
    slots: ArrayLike
    first: ArrayLike
    last: ArrayLike


class State(NamedTuple):
    """Where a training is: the number of steps, the parameters, and the state of the optimizer.

    It holds no key: that of a step is derived from the run's and the step.
    """

    step: jax.Array
    params: Params
    opt_state: optax.OptState


class Record(NamedTuple):
    """What a run leaves.

    Attributes:
      metrics: by name, with a leading axis T, at every recorded step.
      kept: by name, with a leading axis S, at the steps that keep them: `params`; `mean_attention`, float[S, N],
        attention weights averaged over the test walks, of a model that has attention; and `head_attention`,
        float[S, layers, heads, N], those of each head, of a model that tells its heads.
    """

    metrics: dict[str, jax.Array]
    kept: dict[str, Any]


class Progress(NamedTuple):
    """A training so far.

    Attributes:
      state: the state at the recorded step that comes next; after the last, the state there.
      record: metrics and parameters of the recorded steps before it; zero where it has not been.
    """

    state: State
    record: Record


class Prepared(NamedTuple):
    """One run, with its walks drawn and its pieces tied together.

    Attributes:
      objective: what it descends on.
      look: (params) -> what metrics are measured from.
      optimizer: (step) -> the Optax transformation of its parameters; its state does not depend on the step.
      keys: its keys.
      by_classes: the same by classes of walks, for a run that is trained alone; None if there can be none.
    """

    objective: Objective
    look: Callable[[Params], dict[str, Any]]
    optimizer: Callable[[ArrayLike], optax.GradientTransformation]
    keys: RunKeys
    by_classes: ByClasses | None = None


def prepare(experiment: Experiment, values: Values) -> Prepared:
    """Draws the walks of a run and ties its pieces together."""

    def optimizer(step: ArrayLike) -> optax.GradientTransformation:
        of_step = experiment.given(_values_at(values, step), "optimizer")
        return transformation(experiment.optimizer, experiment.model, of_step)

    keys = run_keys(experiment.study_seed, values["seed"])
    objective, of_classes = _objective(experiment, values)
    return Prepared(objective, looking_at(experiment, values), optimizer, keys, of_classes)


def looking_at(
    experiment: Experiment, values: Values, walks: Walks | None = None, over_all: bool = True
) -> Callable[[Params], dict[str, Any]]:
    """(params) -> what metrics are measured from (`metrics.Measured`).

    Args:
      experiment: the pieces of the run.
      values: its values.
      walks: test walks in the place of its own.
      over_all: whether what can be known of all walks is; if not, all is of these walks.
    """
    task, model = experiment.task, experiment.model
    of_last_stage = of_stage(values, num_stages(values) - 1)
    tested = draw_test_walks(experiment, values) if walks is None else walks
    tokens_LxB = as_model_takes(tested, model).tokens_LxB
    of_task = experiment.given(of_last_stage, "task")
    law_KxB = None if task.next_state_law is None else task.next_state_law(tested.tokens_LxB, of_task)
    law = None if task.law is None else task.law(of_task)
    target_KxK = None if law is None else law.target_KxK
    laws = None if law is None or not over_all else accuracy.token_laws(law, task.walk_length - 1)

    def known(params: Params, output_KxB: jax.Array) -> jax.Array | None:
        """The expected accuracy over all walks; NaN where it is not known, None if it never is."""
        if law_KxB is not None and over_all and experiment.test_walks == ALL:
            return metrics.accuracy_on_walks(output_KxB, law_KxB, tested.weights_B)
        if laws is None or not model.looks.tells_output:
            return None
        return accuracy.exact_accuracy(*parts_of(model, params), laws)

    def look(params: Params) -> dict[str, Any]:
        # The barrier has the output and the attention computed once, not once in every metric that uses them.
        output = jax.lax.optimization_barrier(model.apply(params, tokens_LxB))
        looks, spread_B = model.looks, output.spread_B
        if spread_B is None and output.token_attention_LxB is not None:
            spread_B = jnp.max(output.token_attention_LxB, axis=0) - jnp.min(output.token_attention_LxB, axis=0)
        if experiment.is_infinite and over_all and looks.tells_output:
            scores = parts_of(model, params).scores
            mean_attention_N = infinite.mean_attention(scores, task, of_task, experiment.starts_alike)
        else:
            mean_attention_N = metrics.mean_attention(output, tested.weights_B)
        return {
            **tested._asdict(),
            "law_KxB": law_KxB,
            "output_KxB": output.output_KxB,
            "attention_NxB": output.attention_NxB,
            "head_attention": output.head_attention,
            "spread_B": spread_B,
            "mean_attention_N": mean_attention_N,
            "mean_head_attention": metrics.mean_head_attention(output, tested.weights_B),
            "params": params,
            "values": of_last_stage,
            "value_HxK": None if looks.value is None else looks.value(params),
            "head_values": None if looks.head_values is None else looks.head_values(params),
            "target_KxK": target_KxK,
            "optimum": None if laws is None else laws.optimum,
            "exact_accuracy": known(params, output.output_KxB),
            "transition_KxK": target_KxK if looks.value_is_output else None,
            "parent": task.parent,
        }

    return look


def _objective(experiment: Experiment, values: Values) -> tuple[Objective, ByClasses | None]:
    """What a run descends on: on all walks of its one stage, or on what a step takes of those of its stage."""
    task, model, loss, batch = experiment.task, experiment.model, experiment.loss, experiment.batch
    stages, at_every_position = range(num_stages(values)), experiment.at_every_position

    def loss_of(values: Values) -> OfWalk:
        of_loss = experiment.given(values, "loss")
        return lambda output_K, target_K: loss.of_walk(output_K, target_K, of_loss)

    def on(walks: Walks | None, values: Values) -> Objective:
        if walks is None:
            population: Any = loss.population
            of_both = experiment.given(values, "task", "loss")
            return on_infinite_walks(model, population(experiment.trained_on, of_both, experiment.starts_alike))
        return on_walks(model, loss_of(values), walks, task.num_nodes, at_every_position)

    drawn = [draw_training_walks(experiment, values, stage) for stage in stages]
    every = [None if walks is None else as_model_takes(walks, model) for walks in drawn]
    if len(stages) == 1 and not batch:
        walks = every[0]
        if walks is None or at_every_position or not _can_be_classes(experiment, len(walks.targets_B)):
            return on(walks, values), None
        return on(walks, values), by_classes(model, loss_of(values), walks, task.num_nodes)

    of_stages = [walks for walks in every if walks is not None]
    batches = [batches_of(walks, batch) for walks in of_stages] if batch else []

    def objective(params: Params, step: jax.Array, key: jax.Array) -> Any:
        taken = [of_one(key) for of_one in batches] or of_stages
        walks = at_stage(taken, stage_at(values, step)) if len(taken) > 1 else next(iter(taken), None)
        return on(walks, _values_at(values, step))(params, step, key)

    return objective, None


def _can_be_classes(experiment: Experiment, num_walks: int) -> bool:
    """Whether a step may go over classes of the walks (`models.classes`), and may gain by it."""
    return (
        experiment.has_classes
        and experiment.model.weighs is not None
        # A loss of the user's own may have kinks.
        and experiment.loss.is_smooth
        # Others look at how small a gradient is beside itself, and not beside the parameter.
        and experiment.optimizer.is_linear
        # Walks that are all there are have classes that are equal by symmetry; samples have not.
        and experiment.walks != ALL
        # Few walks are no more than their classes, and many states make more classes than there is room for.
        and num_walks >= 2 * MOST_CLASSES
        and experiment.task.num_nodes <= MOST_CLASSES / 2
    )


def _values_at(values: Values, step: ArrayLike) -> Values:
    return values if num_stages(values) == 1 else of_stage(values, stage_at(values, step))


def init(experiment: Experiment, values: Values) -> State:
    """The state of a run at step 0."""
    key = run_keys(experiment.study_seed, values["seed"]).init
    params = experiment.model.init(key, experiment.given(values, "model"))
    of_optimizer = experiment.given(_values_at(values, 0), "optimizer")
    opt_state = transformation(experiment.optimizer, experiment.model, of_optimizer).init(params)
    return State(jnp.zeros((), jnp.int32), params, opt_state)


def begin(experiment: Experiment, values: Values, room: Record) -> Progress:
    """The progress of a run at step 0, with a record like the one that is given, with zeros in it."""
    return Progress(init(experiment, values), jax.tree.map(jnp.zeros_like, room))


def progress_shape(experiment: Experiment, values: Values) -> Progress:
    """The shapes of the progress of a run with such values."""

    def at_one_step(values: Values) -> tuple[State, dict[str, jax.Array], dict[str, Any]]:
        run, state = prepare(experiment, values), init(experiment, values)
        found = run.look(state.params)
        measured = metrics.measure(experiment.metrics, {**found, **train_step(run, state)[1]})
        every = {name: measured[name] for name in experiment.metrics if name in measured}
        return state, every, {"params": state.params, **_attention(found)}

    state, measured, kept = jax.eval_shape(at_one_step, values)

    def stack(length: int) -> Callable[[jax.ShapeDtypeStruct], jax.ShapeDtypeStruct]:
        return lambda leaf: jax.ShapeDtypeStruct((length, *leaf.shape), leaf.dtype)

    num_recorded, num_kept = len(experiment.recorded), len(experiment.kept)
    return Progress(state, Record(jax.tree.map(stack(num_recorded), measured), jax.tree.map(stack(num_kept), kept)))


def _attention(found: Measured) -> dict[str, jax.Array]:
    """What is kept beside parameters."""
    kept = {"mean_attention": found["mean_attention_N"], "head_attention": found["mean_head_attention"]}
    return {name: leaf for name, leaf in kept.items() if leaf is not None}


def train_step(run: Prepared, state: State, objective: Objective | None = None) -> tuple[State, Any]:
    """One step of the optimizer: (the next state, what the objective has measured at the state that was given).

    Args:
      run: the run.
      state: its state.
      objective: what it descends on; the run's own if None is given.
    """
    objective = objective or run.objective
    measured, gradients = objective(state.params, state.step, jax.random.fold_in(run.keys.steps, state.step))
    updates, opt_state = run.optimizer(state.step).update(gradients, state.opt_state, state.params)
    return State(state.step + 1, jax.tree.map(jnp.add, state.params, updates), opt_state), measured


def train(
    experiment: Experiment, values: Values, progress: Progress, schedule: Schedule, is_alone: bool = False
) -> Progress:
    """Trains one run from the schedule's first recorded step up to its last, recording before each gap.

    The loops' lengths are arguments of the compiled program, so that neither their number nor their place
    in a longer training changes the program of a step, nor, with it, the last bit of a result.

    Args:
      experiment: the pieces of the run.
      values: the values of the run.
      progress: the progress at the first recorded step of the schedule.
      schedule: T recorded steps, and which of them to go through.
      is_alone: whether no other run is trained with it in lockstep, so that it can go over classes of walks when its
        attention has locked.

    Returns:
      The progress at the recorded step `last`; at the last recorded step if that is T.
    """
    run = prepare(experiment, values)
    gaps, slots = jnp.asarray(schedule.gaps), jnp.asarray(schedule.slots)

    of_classes = run.by_classes if is_alone else None
    # If no metric looks at attention at every recorded step, it is computed at those that are kept.
    looks_at_attention = any(map(metrics.looks_at_attention, experiment.metrics.values()))
    is_kept = slots < len(jax.tree.leaves(progress.record.kept)[0])

    def record_and_advance(t, carry):
        (state, record), remembered = carry
        found = run.look(state.params)
        measured = metrics.measure(experiment.metrics, found)
        attention = _attention(found)
        if not looks_at_attention:
            nothing = jax.tree.map(jnp.zeros_like, attention)
            attention = jax.lax.cond(is_kept[t], lambda: _attention(run.look(state.params)), lambda: nothing)
        kept = jax.tree.map(
            lambda stack, leaf: stack.at[slots[t]].set(leaf, mode="drop"),
            record.kept,
            {"params": state.params, **attention},
        )

        def advance(i, carry):
            state, recorded, remembered = carry
            objective = run.objective
            if of_classes is not None:
                remembered = of_classes.remember(state.params, remembered)
                objective = of_classes.objective(remembered)
            state, on_the_way = train_step(run, state, objective)
            # What the objective measures at the recorded step comes with its gradient, for free.
            recorded = jax.tree.map(lambda new, old: jnp.where(i == 0, new, old), on_the_way, recorded)
            return state, recorded, remembered

        blank = jax.tree.map(jnp.zeros_like, jax.eval_shape(lambda: train_step(run, state)[1]))
        # After the last recorded step one step is taken for what the objective measures there, and then forgotten.
        ahead, on_the_way, remembered = jax.lax.fori_loop(
            0, jnp.maximum(gaps[t], 1), advance, (state, blank, remembered)
        )
        state = jax.tree.map(lambda new, old: jnp.where(gaps[t] > 0, new, old), ahead, state)
        measured |= metrics.measure(_of_the_objective(experiment), {**found, **on_the_way})
        measured_T = {name: stack.at[t].set(measured[name]) for name, stack in record.metrics.items()}
        return Progress(state, Record(measured_T, kept)), remembered

    remembered = None if of_classes is None else of_classes.nothing()
    return jax.lax.fori_loop(schedule.first, schedule.last, record_and_advance, (progress, remembered))[0]


def _of_the_objective(experiment: Experiment) -> Mapping[str, metrics.Metric]:
    return {name: metric for name, metric in experiment.metrics.items() if metrics.is_of_objective(metric)}
