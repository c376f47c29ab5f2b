"""One run in memory, with the bits that it has in a sweep: `rw_jax.train`."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from rw_jax.analysis.run import Run
from rw_jax.analysis.sources import InMemory
from rw_jax.models import Model
from rw_jax.store.provenance import describe_environment
from rw_jax.study.config import AXES, Config, checked
from rw_jax.study.errors import ConfigError
from rw_jax.study.fields import Scalar, shown
from rw_jax.study.flags import from_config_dict
from rw_jax.sweeps import devices
from rw_jax.sweeps.program import compile_program, run_chunk, shape_of_cell
from rw_jax.sweeps.starts import read_start
from rw_jax.tasks import Task
from rw_jax.training.experiment import Own, make_experiment
from rw_jax.training.grids import make_grid
from rw_jax.training.losses import Loss
from rw_jax.training.optimizers import Optimizer
from rw_jax.training.pieces import pin
from rw_jax.training.run import Record


def train(
    config: Config | ml_collections.ConfigDict,
    *,
    task: Task | str | None = None,
    model: Model | str | None = None,
    loss: Loss | str | None = None,
    optimizer: Optimizer | Callable[..., Any] | str | None = None,
    init: Mapping[str, Any] | str | None = None,
    **labels: Scalar,
) -> Run:
    """Trains one run and gives it, in memory. It has the bits of the same run in a sweep.

    Args:
      config: the setting. Of an axis with one label that is taken; of one with several a label must be given, but for
        the seed.
      task: a Task of your own, or the name of one, as `task.name`.
      model: a Model of your own, or the name of a form, as `model.form`.
      loss: a loss of your own, (output_K, target_K, values) -> scalar, or the name of one, as `training.loss`.
      optimizer: an Optimizer of your own, or a function (values) -> Optax transformation, which is taken not to be
        linear; or the name of one, as `training.optimizer`.
      init: parameters to start from, of the form that is trained or of the full one; or the name of a start, as
        `model.init`.
      **labels: other fields, by the names of their axes, such as p=0.7, seed=3.

    Raises:
      ConfigError: if a field is not right, or the pieces do not go together.
    """
    if not isinstance(config, Config):
        config = from_config_dict(config)
    given = {"task": task, "model": model, "loss": loss, "optimizer": optimizer, "init": init}
    if not isinstance(init, Mapping | str | None):
        raise ConfigError(f"init is {shown(init)}, but must be parameters by name, or the name of a start.")
    for name, right in {"task": Task, "model": Model}.items():
        if not isinstance(given[name], right | str | None):
            raise ConfigError(f"{name} is {shown(given[name])}, but must be a rw_jax.{right.__name__}, or a name.")
    for name in ("loss", "optimizer"):
        if not (callable(given[name]) or isinstance(given[name], Optimizer | str | None)):
            raise ConfigError(f"{name} is {shown(given[name])}, but must be a function, or a name.")
    labels |= {_AXIS_OF.get(name, name): piece for name, piece in given.items() if isinstance(piece, str)}
    unknown = [axis for axis in labels if axis not in AXES and axis not in config.options]
    if unknown:
        raise ConfigError(f"{unknown[0]} is not a field that can be an axis; those are {', '.join(AXES)}.")
    if isinstance(task, Task):
        labels = {"num_nodes": task.num_nodes, "walk_length": task.walk_length} | labels
    several = [axis for axis, of_axis in config.grid if axis not in labels and axis != "seed" and len(of_axis) > 1]
    if several:
        of_axis = dict(config.grid)[several[0]]
        raise ConfigError(
            f"{several[0]} is not given, but must be one label, as the grid has {len(of_axis)}: give "
            f"{several[0]}={of_axis[0]!r}, or another."
        )
    labels = {axis: of_axis[0] for axis, of_axis in config.grid if axis not in labels and len(of_axis) == 1} | labels
    config = checked(dataclasses.replace(config, grid=(), zipped=()).replace(**labels))
    pinned = pin(config, [Path()], read_start)
    pieces: dict[str, Any] = {name: None if isinstance(piece, str) else piece for name, piece in given.items()}
    own = Own(texts=pinned.texts, **pieces)
    placement = devices.set_up(config.execution)  # before a piece is executed that uses a device
    grid = make_grid(pinned.config, own)
    experiment = make_experiment(grid.config, own)
    # On all devices, as a sweep: the full form has other last bits where the process has another number of them.
    placement = placement._replace(cells_per_chunk=placement.cells_at_once)
    progress = run_chunk(compile_program(experiment, placement, shape_of_cell(experiment)), [grid.cell(0)])
    record: Record = jax.tree.map(lambda stack: np.asarray(stack)[:1], progress.record)
    environment = describe_environment(placement.mesh, placement.cells_per_batch)
    return Run(InMemory(grid.config, own, np.arange(1), record, environment))


_AXIS_OF = {"model": "form"}
"""The axis of a piece, where it has another name."""
