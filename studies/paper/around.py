"""Sweeps around the setting that the theorems are tested in, as data."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import rw_jax
from rw_jax.study.config import ALL, AXES, Config
from rw_jax.study.fields import Scalar
from rw_jax.study.reading import checked
from studies.sweeps import StudyCommand


class Follows(NamedTuple):
    """An axis whose value follows from that of another wherever a sweep sets the other.

    Attributes:
      axis: what follows.
      leader: what it follows.
      value: from the setting around which claims are tested and a value of the leader, the value of the axis.
    """

    axis: str
    leader: str
    value: Callable[[Config, Scalar], Scalar]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Around:
    """What a sweep changes of the setting around which claims are tested, and its axes.

    It is measured at its last step and at those that keep parameters.

    Attributes:
      name: the name of its folder.
      fields: fields that differ from the setting, by axis.
      grid: the labels of each axis.
      quick_fields: the fields of a quick report, so small that it only shows that everything works: these replace those
        above, field by field.
      quick_grid: its axes, which replace those above axis by axis.
      quick_keep: its steps that keep parameters; None for the same.
      zipped: axes that are paired element by element.
      follows: axes that follow others, as fields or paired with them.
      keep: steps that keep parameters, beside the first and the last.
      precision: None for that of the setting.
    """

    name: str
    fields: Mapping[str, Scalar]
    grid: Mapping[str, tuple[Scalar, ...]]
    quick_fields: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)
    quick_grid: Mapping[str, tuple[Scalar, ...]] = dataclasses.field(default_factory=dict)
    quick_keep: tuple[int, ...] | None = None
    zipped: tuple[str, ...] = ()
    follows: tuple[Follows, ...] = ()
    keep: tuple[int, ...] = ()
    precision: str | None = None

    def config(self, base: Config, quick: bool) -> Config:
        """The config of the sweep.

        Args:
          base: the setting around which claims are tested; its grid is not looked at.
          quick: whether to make it tiny.

        Raises:
          ConfigError: if the fields of the setting do not go with those of the sweep.
        """
        fields, grid, keep = dict(self.fields), dict(self.grid), self.keep
        if quick:
            fields, grid = {**fields, **self.quick_fields}, {**grid, **self.quick_grid}
            keep = keep if self.quick_keep is None else self.quick_keep
        groups = [self.zipped] if self.zipped else []
        for axis, leader, value in self.follows:
            if leader in fields:
                fields[axis] = value(base, fields[leader])
            if leader in grid:
                grid[axis] = tuple(value(base, label) for label in grid[leader])
                group = next((group for group in groups if leader in group), (leader,))
                groups = [*(other for other in groups if other is not group), (*group, axis)]
        changed = base.replace(**fields)
        config = dataclasses.replace(
            changed,
            name=f"{base.name}_{self.name}",
            record=dataclasses.replace(
                changed.record, every=max(changed.training.steps, 1), parameters=keep, metrics=ALL
            ),
            precision=self.precision or base.precision,
            grid=tuple((axis, tuple(grid[axis])) for axis in AXES if axis in grid),
            zipped=tuple(groups),
        )
        return checked(config)

    def planned(self, command: StudyCommand) -> Callable[[], Any]:
        """As Sweep.planned."""
        if command.base is None:
            raise ValueError(f"the base of {self.name} is None, but must be a config.")
        config = self.config(command.base, command.is_quick)
        return lambda: rw_jax.sweep(config, command.workdir / self.name)


def spread_out(largest: int) -> tuple[int, ...]:
    """Some 40 steps up to the largest, evenly spread in the logarithm."""
    return tuple(int(step) for step in np.unique(np.round(np.geomspace(1, largest, 40))))
