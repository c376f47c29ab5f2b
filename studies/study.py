"""A study as a value: what it claims of what it trains, and what else it shows."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pandas as pd

import rw_jax
from rw_jax.analysis.plots.drawing import Picture
from rw_jax.study.fields import Scalar
from studies.claim import Claim
from studies.sweeps import Sweep


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A picture with its numbers, or a table, that a report shows beside its claims.

    Attributes:
      name: the name of its files.
      title: what is seen.
      make: from the runs of the sweeps, in their order, the picture and its numbers, or a table alone.
      sweeps: what it shows; none if nothing is trained.
      sentences: what its numbers say.
      section: the section of the page that it stands in; empty for one of its own.
    """

    name: str
    title: str
    make: Callable[..., Picture | pd.DataFrame]
    sweeps: tuple[Sweep, ...] = ()
    sentences: Callable[[pd.DataFrame], list[str]] = lambda table: []
    section: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """What `python -m studies NAME` reports.

    Attributes:
      name: how it is asked for, and the name of its folder.
      title: the heading of the page.
      introduction: what the page says before its claims.
      claims: in the order of the page.
      exhibits: in the order of the page; those of no section of claims come after these.
      base: the config file of the setting around which claims are tested, whose fields a command can change.
      assumed: fields, by axis, that this setting must have.
    """

    name: str
    title: str
    introduction: str
    claims: tuple[Claim, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()
    base: Path | None = None
    assumed: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of the sections of the page, in its order."""
        return tuple(dict.fromkeys(map(section_of, self._parts())))

    @property
    def sweeps(self) -> tuple[Sweep, ...]:
        """Every sweep that something is measured on, once, in the order of the page."""
        return tuple(dict.fromkeys(sweep for each in self._parts() for sweep in each.sweeps))

    def only(self, sections: tuple[str, ...]) -> "Study":
        """The study with these sections alone; with all of them if none is named.

        Raises:
          ConfigError: if there is no section of a name.
        """
        for name in sections:
            if name not in self.sections:
                raise rw_jax.ConfigError(
                    f"the part of {self.name} is {name!r}, but must be one of {', '.join(self.sections)}."
                )
        return dataclasses.replace(
            self,
            claims=tuple(each for each in self.claims if not sections or section_of(each) in sections),
            exhibits=tuple(each for each in self.exhibits if not sections or section_of(each) in sections),
        )

    def _parts(self) -> Iterator[Claim | Exhibit]:
        yield from self.claims
        yield from self.exhibits


def section_of(each: Claim | Exhibit) -> str:
    """The name of the section that a claim or an exhibit stands in."""
    return each.section or each.name
