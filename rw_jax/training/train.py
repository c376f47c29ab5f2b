"""One run as a pure function: sample the walks, initialise, train, measure.

What changes a shape or a program comes in the frozen Config and is closed over; what a grid sweeps without
recompiling comes as arrays in RunValues. Nothing here knows of batches of runs.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from rw_jax.models import reduced
from rw_jax.models.model import FeedForward, FullTransformer, Output, Params, ValueMatrix
from rw_jax.models.positions import squared_norm
from rw_jax.study.config import ALL, Config
from rw_jax.tasks import Task, Walks, questions
from rw_jax.tasks.circle import circle
from rw_jax.training import losses, metrics, optimizer


class RunValues(NamedTuple):
    """The fields of a run that its compiled program takes as arguments, each a scalar array.

    Attributes:
      p: float, probability of a clockwise step, or of the word apple.
      seed: integer; the run's key is fold_in(key(study_seed), seed).
      learning_rate: float, eta.
      epsilon: float, the epsilon of the log-loss.
      init_scale: float, standard deviation of a Gaussian initialisation.
    """

    p: ArrayLike
    seed: ArrayLike
    learning_rate: ArrayLike
    epsilon: ArrayLike
    init_scale: ArrayLike


def run_values(config: Config) -> RunValues:
    """The values of the run that a config without its grid describes, as NumPy scalars of the process's precision."""
    number = jnp.result_type(float).type
    return RunValues(
        p=number(config.task.p),
        seed=np.int32(config.seed),
        learning_rate=number(config.training.learning_rate),
        epsilon=number(config.training.epsilon),
        init_scale=number(config.model.init_scale),
    )


class RunKeys(NamedTuple):
    """One key for each use of randomness in a run."""

    train: jax.Array
    test: jax.Array
    init: jax.Array


class Schedule(NamedTuple):
    """When a run is recorded.

    Attributes:
      gaps: int32[T], steps from each recorded step to the next; 1 after the last.
      slots: int32[T], where each recorded step goes in the stack of S recorded parameters; S if it is not kept.
      first: int32, the recorded step, counted from 0, to begin at.
      last: int32, the recorded step to stop before; T for the whole training.
    """

    gaps: ArrayLike
    slots: ArrayLike
    first: ArrayLike
    last: ArrayLike


class TrainState(NamedTuple):
    """Parameters and optimizer state after a number of steps."""

    params: Params
    opt_state: optax.OptState


class Record(NamedTuple):
    """What a run leaves.

    Attributes:
      metrics: float[T] by name, at every recorded step.
      params: parameters with a leading axis S, at the steps that keep them.
      mean_attention: float[S, N], attention weights averaged over the test walks, at the same steps.
    """

    metrics: dict[str, jax.Array]
    params: Params
    mean_attention: jax.Array


class Progress(NamedTuple):
    """A training so far: the state it has reached, and the record, zero where it has not been.

    Attributes:
      state: the state at the recorded step that comes next.
      record: metrics and parameters of the recorded steps before it.
    """

    state: TrainState
    record: Record


class Learner(NamedTuple):
    """A form of the model with its initialisation and its gradient descent, as functions.

    Attributes:
      init: (key, init_scale) -> params at step 0. The key is consumed.
      apply: (params, tokens_LxB) -> Output.
      gradient_descent: (learning_rate) -> the Optax transformation that makes a step of the paper's (V, W).
    """

    init: Callable[[jax.Array, ArrayLike], Params]
    apply: Callable[[Params, jax.Array], Output]
    gradient_descent: Callable[[jax.Array], optax.GradientTransformation]


def make_task(config: Config) -> Task:
    """The task that the config names."""
    match config.task.name:
        case "circle":
            return circle(config.task.num_nodes, config.task.walk_length)
        case "majority":
            return questions.majority()
        case "preference":
            return questions.preference()
    raise ValueError(f"task is {config.task.name!r}, which no file in tasks/ makes.")


def transition_to_compare(config: Config, p: ArrayLike) -> jax.Array | None:
    """Pi, float[K, K], where one token tells the law of the next state and V gives the output; else None."""
    transition_matrix = make_task(config).transition_matrix
    if transition_matrix is None or config.model.feed_forward_width:
        return None
    return transition_matrix(p)


def make_loss(config: Config) -> Callable[[jax.Array, jax.Array, ArrayLike], jax.Array]:
    """The loss of one walk, (output_K, target, epsilon) -> scalar, that the config names."""
    match config.training.loss:
        case "log":
            return losses.log_loss
        case "cross_entropy":
            return losses.cross_entropy
        case "squared_error":
            return losses.squared_error
        case "hinge":
            return losses.hinge
    raise ValueError(f"loss is {config.training.loss!r}, which no function in losses.py computes.")


def make_learner(config: Config) -> Learner:
    """The model in the form that the config names. Both forms start from the same full parameters."""
    structure = (
        config.task.num_nodes,
        config.task.walk_length,
        config.model.position_width,
        config.model.unit_length,
    )

    def make_values(initializer, product):
        if config.model.feed_forward_width:
            return FeedForward(config.model.feed_forward_width, initializer, product)
        return ValueMatrix(initializer, product)

    def make_full(initializer):
        return FullTransformer(*structure, make_values(initializer, jnp.matmul), initializer)

    def init_full(key, init_scale):
        gaussian = config.model.init == "gaussian"
        initializer = nn.initializers.normal(init_scale) if gaussian else nn.initializers.zeros
        tokens_LxB = jax.ShapeDtypeStruct((config.task.walk_length - 1, 1), jnp.int32)
        return make_full(initializer).lazy_init(key, tokens_LxB)["params"]

    def init_reduced(key, init_scale):
        return reduced.project(init_full(key, init_scale), config.task.walk_length)

    def reduced_gradient_descent(learning_rate):
        return optimizer.reduced_gradient_descent(learning_rate, squared_norm(config.model.position_width))

    match config.model.form:
        case "full":
            module = make_full(nn.initializers.zeros)
            init, gradient_descent = init_full, optimizer.gradient_descent
        case "reduced":
            values = make_values(nn.initializers.zeros, reduced.apply_matrix)
            module = reduced.ReducedTransformer(*structure, values)
            init, gradient_descent = init_reduced, reduced_gradient_descent
        case form:
            raise ValueError(f"form is {form!r}, but must be 'full' or 'reduced'.")

    def apply(params, tokens_LxB):
        return module.apply({"params": params}, tokens_LxB)

    return Learner(init, apply, gradient_descent)


def run_keys(study_seed: int, seed: ArrayLike) -> RunKeys:
    """The keys of a run, a function of its seed alone: runs that differ in other values share their randomness."""
    return RunKeys(*jax.random.split(jax.random.fold_in(jax.random.key(study_seed), seed), 3))


def sample_walks(config: Config, values: RunValues) -> tuple[Walks, Walks]:
    """The training walks and the test walks of a run: so many samples, or the population where the config says all."""
    keys, task = run_keys(config.study_seed, values.seed), make_task(config)

    def draw(key, number):
        return task.population(values.p) if number == ALL else task.sample(key, number, values.p)

    return draw(keys.train, config.task.walks), draw(keys.test, config.task.test_walks)


def init(config: Config, values: RunValues) -> TrainState:
    """The state of a run at step 0."""
    learner = make_learner(config)
    params = learner.init(run_keys(config.study_seed, values.seed).init, values.init_scale)
    return TrainState(params, learner.gradient_descent(jnp.asarray(values.learning_rate)).init(params))


def begin(config: Config, values: RunValues, num_recorded: int, num_kept: int) -> Progress:
    """The progress of a run at step 0, with room for T = num_recorded steps, S = num_kept of them with parameters."""
    state = init(config, values)
    dtype = state.params["value"].dtype
    return Progress(
        state,
        Record(
            metrics={name: jnp.zeros(num_recorded, dtype) for name in metrics.METRICS},
            params=jax.tree.map(lambda leaf: jnp.zeros((num_kept, *leaf.shape), leaf.dtype), state.params),
            mean_attention=jnp.zeros((num_kept, config.task.walk_length), dtype),
        ),
    )


def train_step(
    loss_of_params: Callable[[Params], jax.Array], gradient_descent: optax.GradientTransformation, state: TrainState
) -> tuple[TrainState, jax.Array]:
    """One step of full-batch gradient descent: (the next state, the loss of the state that was given)."""
    loss, gradients = jax.value_and_grad(loss_of_params)(state.params)
    updates, opt_state = gradient_descent.update(gradients, state.opt_state, state.params)
    params = jax.tree.map(jnp.add, state.params, updates)
    return TrainState(params, opt_state), loss


def walks_last(tokens_BxL: jax.Array, num_nodes: int) -> jax.Array:
    """Tokens as the model takes them: int[L, B], of the smallest type that holds them.

    The barrier keeps the compiler from carrying masks of every state, or a transposition, through the training instead.
    """
    small = jnp.int8 if num_nodes <= 128 else jnp.int32
    return jax.lax.optimization_barrier(tokens_BxL.T.astype(small))


def mean_loss(config: Config, walks: Walks, epsilon: ArrayLike) -> Callable[[Params], jax.Array]:
    """The mean loss over walks, as a function of the parameters."""
    learner, loss = make_learner(config), make_loss(config)
    tokens_LxB = walks_last(walks.tokens, config.task.num_nodes)
    targets_KxB = jax.nn.one_hot(walks.targets, config.task.num_nodes, axis=0)

    def loss_of_params(params):
        output_KxB = learner.apply(params, tokens_LxB).output
        return metrics.mean(jax.vmap(loss, (1, 1, None))(output_KxB, targets_KxB, epsilon), walks.weights)

    return loss_of_params


def train(config: Config, values: RunValues, progress: Progress, schedule: Schedule) -> Progress:
    """Trains one run from the schedule's first recorded step up to its last, recording before each gap.

    The loops' lengths are arguments of the compiled program, so that neither their number nor their place
    in a longer training changes the program of a step, nor, with it, the last bit of a result.

    Args:
      config: the structure of the run; `steps` and its grid are not looked at.
      values: the values of the run.
      progress: the progress at the first recorded step of the schedule.
      schedule: T recorded steps, and which of them to go through.

    Returns:
      The progress after the last gap.
    """
    task, learner = make_task(config), make_learner(config)
    train_walks, test_walks = sample_walks(config, values)
    loss_of_params = mean_loss(config, train_walks, values.epsilon)
    gradient_descent = learner.gradient_descent(jnp.asarray(values.learning_rate))
    test_tokens_LxB = walks_last(test_walks.tokens, config.task.num_nodes)
    law_KxB = task.next_state_law(test_walks.tokens, values.p).T
    transition_KxK = transition_to_compare(config, values.p)
    gaps, slots = jnp.asarray(schedule.gaps), jnp.asarray(schedule.slots)

    def measure(params):
        # The barrier has the output and the attention computed once, not once in every metric that uses them.
        output = jax.lax.optimization_barrier(learner.apply(params, test_tokens_LxB))
        measured = metrics.measure(output, test_walks, law_KxB, transition_KxK, params["value"])
        return measured, metrics.mean_attention(output, test_walks.weights)

    def record_and_advance(t, progress):
        state, record = progress
        measured, mean_attention_N = measure(state.params)
        params, mean_attention = jax.tree.map(
            lambda stack, leaf: stack.at[slots[t]].set(leaf, mode="drop"),
            (record.params, record.mean_attention),
            (state.params, mean_attention_N),
        )

        def advance(i, carry):
            state, recorded_loss = carry
            state, loss = train_step(loss_of_params, gradient_descent, state)
            # The loss of the recorded step comes with its gradient, for free.
            return state, jnp.where(i == 0, loss, recorded_loss)

        no_loss = jnp.zeros_like(measured["accuracy"])
        state, train_loss = jax.lax.fori_loop(0, gaps[t], advance, (state, no_loss))
        measured_T = {
            name: record.metrics[name].at[t].set(number)
            for name, number in {"train_loss": train_loss, **measured}.items()
        }
        return Progress(state, Record(measured_T, params, mean_attention))

    return jax.lax.fori_loop(schedule.first, schedule.last, record_and_advance, progress)
