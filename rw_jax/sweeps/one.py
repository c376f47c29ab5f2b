"""One run in memory, with the bits that it has in a sweep: `rw_jax.train`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from rw_jax.analysis.run import Run
from rw_jax.analysis.sources import InMemory
from rw_jax.models import Model
from rw_jax.store.provenance import describe_environment
from rw_jax.study.config import ARM, AXES, Config, changes_of
from rw_jax.study.errors import ConfigError, meant
from rw_jax.study.fields import Scalar, shown
from rw_jax.study.flags import from_config_dict
from rw_jax.study.grid import without_grid
from rw_jax.study.reading import checked
from rw_jax.sweeps import devices
from rw_jax.sweeps.program import compile_program, run_chunk
from rw_jax.sweeps.starts import read_start
from rw_jax.tasks import Task
from rw_jax.training.grids import make_grid
from rw_jax.training.losses import Loss
from rw_jax.training.metrics import Metric
from rw_jax.training.optimizers import Optimizer
from rw_jax.training.pieces import Pieces
from rw_jax.training.pins import pin
from rw_jax.training.run import Record


def train(
    config: Config | ml_collections.ConfigDict,
    *,
    task: Task | str | None = None,
    model: Model | str | None = None,
    loss: Loss | Callable[..., Any] | str | None = None,
    optimizer: Optimizer | Callable[..., Any] | str | None = None,
    metrics: Sequence[Metric | Callable[..., Any]] | Mapping[str, Metric | Callable[..., Any]] = (),
    init: Mapping[str, Any] | str | None = None,
    **labels: Scalar,
) -> Run:
    """Trains one run and gives it, in memory. It has the bits of the same run in a sweep.

    Args:
      config: the setting. If an axis has several labels, give one (the seed may be left out).
      task: a Task of your own, or the name of one, as `task.name`.
      model: a Model of your own, or the name of a form, as `model.form`.
      loss: a Loss of your own, or a function (output_K, target_K, values) -> scalar; or the name of one, as
        `training.loss`.
      optimizer: an Optimizer of your own, or a function (values) -> Optax transformation, which is taken not to be
        linear; or the name of one, as `training.optimizer`.
      metrics: metrics of your own beside those that the config records, each a function of what it needs by name
        (`metrics.Measured`), or a Metric; a function has its own name, others are given by name.
      init: parameters to start from, of the form that is trained or of the full one; or the name of a start, as
        `model.init`.
      **labels: other fields, by the names of their axes, such as p=0.7, seed=3.

    Raises:
      ConfigError: if a field is not right, or the pieces do not go together.
    """
    if not isinstance(config, Config):
        config = from_config_dict(config)
    if not isinstance(init, Mapping | str | None):
        raise ConfigError(f"init is {shown(init)}, but must be parameters by name, or the name of a start.")
    given = {"task": task, "form": model, "loss": loss, "optimizer": optimizer, "init": init}
    labels |= {axis: piece for axis, piece in given.items() if isinstance(piece, str)}
    objects = {axis: piece for axis, piece in given.items() if axis != "init" and not isinstance(piece, str | None)}
    unknown = [axis for axis in labels if axis not in AXES and axis not in config.options and axis != ARM]
    if unknown:
        raise ConfigError(
            f"{unknown[0]} is not a field that can be an axis; those are {', '.join(AXES)}.{meant(unknown[0], AXES)}"
        )
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
    if ARM in labels:
        labels = _changes_of_arm(config, labels.pop(ARM)) | labels
    config = checked(without_grid(config).replace(**labels))
    pinned = pin(config, [Path()], read_start)
    start = None if isinstance(init, str) else init
    pieces = Pieces(pinned.texts, objects, _by_name(metrics), None if start is None else dict(start))
    placement = devices.set_up(config.execution)  # before a piece is executed that uses a device
    experiments = make_grid(pinned.config, pieces)
    experiment, shape, _ = experiments.checked(experiments.grid.structures[0])
    # On all devices, as a sweep: the full form has other last bits where the process has another number of them.
    placement = placement._replace(cells_per_chunk=placement.cells_at_once)
    progress = run_chunk(compile_program(experiment, placement, shape), [experiments.grid.cell(0)])
    record: Record = jax.tree.map(lambda stack: np.asarray(stack)[:1], progress.record)
    environment = describe_environment(placement.mesh, placement.cells_per_batch)
    return Run(InMemory(experiments, np.arange(1), record, environment), experiments)


def _changes_of_arm(config: Config, name: Any) -> dict[str, Any]:
    """The fields that an arm of a config changes. Raises: ConfigError if there is none of the name."""
    changes = changes_of(config)
    if name not in changes:
        raise ConfigError(f"arm is {shown(name)}, but must be one of {', '.join(changes) or 'none'}.")
    return changes[name]


def _by_name(metrics: Any) -> dict[str, Any]:
    """Metrics by the names of their variables."""
    if isinstance(metrics, Mapping):
        return dict(metrics)
    named = {}
    for metric in metrics:
        function = metric.measure if isinstance(metric, Metric) else metric
        name = getattr(function, "__name__", "")
        if not name.isidentifier():
            raise ConfigError(f"metrics has {shown(metric)}, but must name it, as in metrics={{'name': metric}}.")
        named[name] = metric
    return named
