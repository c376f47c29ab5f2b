"""How fast training tears a symmetric state apart: the linearised dynamics of gradient descent, for one run."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from rw_jax.study.config import Config
from rw_jax.training.experiment import make_experiment
from rw_jax.training.pieces import Pieces
from rw_jax.training.precision import numbers_of
from rw_jax.training.run import init, prepare, train_step
from rw_jax.training.values import run_values


def step_multipliers(config: Config, num_steps: int) -> np.ndarray:
    """Largest absolute eigenvalue of the Jacobian of each of the first steps along a trajectory, float[num_steps].

    A small difference between two equal weights is multiplied by about this much in the step. The trajectory is that
    of the reduced form, which keeps the symmetric state of Theorem 4.1 to the last bit: rounding has no part in it.

    Args:
      config: one run in reduced form; a Jacobian has (K^2 + K + N)^2 entries.
      num_steps: how many steps.
    """
    with numbers_of(config.precision):
        experiment = make_experiment(config, Pieces())
        values = run_values(experiment.labels, experiment)
        run, state = prepare(experiment, values), init(experiment, values)
        start, unravel = ravel_pytree(state.params)

        def jacobian_and_step(flat, t):
            def step(flat):
                after, _ = train_step(run, state._replace(step=t, params=unravel(flat)))
                return ravel_pytree(after.params)[0]

            # Column by column: next to that, the walks under a batch of directions would need gigabytes.
            columns = jax.lax.map(lambda direction: jax.jvp(step, (flat,), (direction,))[1], jnp.eye(flat.size))
            return step(flat), columns.T

        # A scan is compiled as one program, whoever calls it.
        _, jacobians = jax.lax.scan(jacobian_and_step, start, jnp.arange(num_steps, dtype=state.step.dtype))
    return np.max(np.abs(np.linalg.eigvals(np.asarray(jacobians))), axis=1)
