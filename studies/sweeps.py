"""What a study trains: its sweeps, each from a config file, whole or quick."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ml_collections import ConfigDict

import rw_jax
from rw_jax.study.config import Config
from rw_jax.study.flags import from_config_dict


class StudyCommand(NamedTuple):
    """What a command asks of a study.

    Attributes:
      workdir: the folder of the report, in which each sweep has one of its own.
      is_quick: whether to train so little that no verdict means anything.
      parts: the sections of the report that are wanted; none for all.
      base: the setting around which claims are tested, of a study that has one.
    """

    workdir: Path
    is_quick: bool = False
    parts: tuple[str, ...] = ()
    base: Config | None = None


class Sweep(Protocol):
    """Runs that a study is made of."""

    @property
    def name(self) -> str:
        """The name of its folder."""
        ...

    def planned(self, command: StudyCommand) -> Callable[[], Any]:
        """The training of what is not finished, which gives the run; what is wrong with a field is raised before."""
        ...


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FromFile:
    """The runs of a config file, in WORKDIR/NAME.

    Attributes:
      name: the name of its folder.
      file: its config file.
      quick: changes its config so that it only shows that everything works.
      change: changes the config beforehand, quick or not.
    """

    name: str
    file: Path
    quick: Callable[[ConfigDict], None]
    change: Callable[[ConfigDict], None] = lambda config: None

    def config(self, command: StudyCommand) -> Config:
        """The config of what is asked for.

        Raises:
          ConfigError: if the file cannot be used, or the study cannot be made.
        """
        config = rw_jax.read_config(self.file)
        self.change(config)
        if command.is_quick:
            self.quick(config)
        return from_config_dict(config)

    def planned(self, command: StudyCommand) -> Callable[[], Any]:
        """As Sweep.planned."""
        config = self.config(command)
        return lambda: rw_jax.sweep(config, command.workdir / self.name, [self.file.parent])


def beside(module: str, name: str) -> Path:
    """The config file of this name in the folder configs/ beside a module."""
    return Path(module).parent / "configs" / f"{name}.py"


def sweep_of(module: str, name: str, quick: Callable[[ConfigDict], None]) -> FromFile:
    """The sweep of the config file of this name beside a module."""
    return FromFile(name=name, file=beside(module, name), quick=quick)
