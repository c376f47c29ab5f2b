"""The parameters in a run directory that other runs start from."""

from rw_jax.analysis.run import load_run
from rw_jax.study.errors import ConfigError, RunError, meant
from rw_jax.training.starts import StartName, Stored, is_label, to_text

_MOST_NUMBERS = 10**7


def read_start(name: StartName) -> str:
    """The text of the parameters that are asked for: of all finished runs with the labels.

    Raises:
      ConfigError: if there are none, or more than a text should hold.
    """
    try:
        run = load_run(name.path)
        unknown = [axis for axis in name.labels if axis not in run.grid.axes]
        if unknown:
            raise ConfigError(
                f"model.init names {unknown[0]}, which is no axis of {name.path}; those are "
                f"{', '.join(run.grid.axes) or 'none'}.{meant(unknown[0], [*run.grid.axes, 'step'])}"
            )
        axes, runs, numbers = tuple(axis for axis in run.grid.axes if axis not in name.labels), [], 0
        finished = run.metrics["finished"].values.ravel()
        for cell in run.grid.cells():
            if finished[cell.number] and all(is_label(cell.labels[axis], word) for axis, word in name.labels.items()):
                params = run.params(step=name.step, **cell.labels)
                numbers += sum(leaf.size for leaf in params.values())
                if numbers > _MOST_NUMBERS:
                    raise ConfigError(
                        f"model.init asks for more than {_MOST_NUMBERS} numbers of {name.path}, but must for less; "
                        "name more labels."
                    )
                runs.append((tuple(cell.labels[axis] for axis in axes), params))
    except RunError as error:
        raise ConfigError(f"model.init names {name.path}, which cannot be started from: {error}") from error
    if not runs:
        wanted = ", ".join(f"{axis} = {word}" for axis, word in name.labels.items())
        raise ConfigError(f"model.init names {name.path}, which has no finished run with {wanted}.")
    return to_text(Stored(axes, runs))
