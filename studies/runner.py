"""From a study to its report: trains, judges, draws and writes."""

from absl import logging

from rw_jax import ConfigError
from rw_jax.study.config import AXES
from studies import pages
from studies.claim import judge_all
from studies.study import Study
from studies.sweeps import StudyCommand


def run(study: Study, command: StudyCommand) -> pages.Report:
    """Trains the sweeps that are not finished, judges every claim and writes the report into the folder.

    Raises:
      ConfigError: if a sweep cannot be made, the setting is not what the claims assume, a part is not there, or the
        folder holds another report. The fields of all sweeps are checked before anything is trained, whether their
        pieces go together when each begins; what is finished by then is kept.
    """
    _check_base(study, command)
    study = study.only(command.parts)
    planned, runs = {sweep: sweep.planned(command) for sweep in study.sweeps}, {}
    for number, (sweep, train) in enumerate(planned.items(), 1):
        logging.info("sweep %d of %d: %s", number, len(planned), sweep.name)
        runs[sweep] = train()
    return pages.write(study, judge_all(study.claims, runs), runs, command)


def _check_base(study: Study, command: StudyCommand) -> None:
    """Refuses a setting of another model, task, start or loss than the claims."""
    if command.base is None:
        return
    for axis, assumed in study.assumed.items():
        if command.base.value(axis) != assumed:
            raise ConfigError(
                f"{AXES[axis]} is {command.base.value(axis)!r}, but must be {assumed!r}, as the claims assume it."
            )
