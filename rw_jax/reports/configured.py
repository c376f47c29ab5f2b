"""Studies of a report that stand in configs/, a file for each by its name."""

from collections.abc import Callable, Iterable
from pathlib import Path

from ml_collections import ConfigDict

from rw_jax.analysis.run import Run
from rw_jax.reports.study import Study
from rw_jax.study.flags import from_config_dict, read_config
from rw_jax.sweeps.sweep import sweep


def sweep_studies(
    studies: Iterable[Study], workdir: Path, quickened: Callable[[ConfigDict], ConfigDict] | None = None
) -> dict[Study, Run]:
    """Trains each study into WORKDIR/NAME; what is finished is not run again.

    Args:
      studies: the studies, each of which is configs/NAME.py.
      workdir: where the runs go.
      quickened: (config) -> a smaller one in its place; None to train it as it is.
    """
    configs, runs = Path(__file__).parents[2] / "configs", {}
    for study in studies:
        config = read_config(configs / f"{study.name}.py")
        config = from_config_dict(config if quickened is None else quickened(config))
        runs[study] = sweep(config, workdir / study.name, [configs])
    return runs
