"""The paper, figure by figure: runs what a figure needs, draws it, and judges it.

    python scripts/reproduce.py fig4 fig5
    python scripts/reproduce.py all
    python scripts/reproduce.py --list

Runs go to RUNS/<config> (--runs, default runs), where a finished one is not run again and an interrupted one goes on;
each figure goes to FOLDER/<figure> (--folder, default reproduction), with PNG, SVG, CSV and claims.csv.
FOLDER/reproduction.md holds every claim with its verdict. Time of `all`: five minutes on 2 cores.
"""

import sys
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

from rw_jax.analysis.plots import drawing
from rw_jax.analysis.run import Run
from rw_jax.command_line import explaining, log_plainly, short
from rw_jax.reports import reproduction
from rw_jax.reports.paper.figures import FIGURES
from rw_jax.reports.paper.figures.overview import PANELS, overview
from rw_jax.reports.reproduction import PaperFigure
from rw_jax.study.errors import ConfigError
from rw_jax.study.flags import from_config_dict, read_config
from rw_jax.study.paths import local_path
from rw_jax.sweeps import interruption
from rw_jax.sweeps.sweep import sweep

_ROOT = Path(__file__).parent.parent
_RUNS = flags.DEFINE_string("runs", "runs", "Where the runs are.")
_FOLDER = flags.DEFINE_string("folder", "reproduction", "Where the figures and the table go.")
_LIST = flags.DEFINE_bool("list", False, "Only list the figures.")


def main(argv: list[str]) -> None:
    """Runs, draws and judges the figures that are named."""
    if _LIST.value:
        for figure in FIGURES:
            print(f"{figure.name:14} {figure.what}; configs/{figure.config}.py")
        return
    log_plainly()
    with explaining():
        reproduce(chosen(argv[1:]), local_path("--runs", _RUNS.value), local_path("--folder", _FOLDER.value))


def reproduce(figures: list[PaperFigure], folder_of_runs: Path, folder: Path) -> None:
    """Trains what the figures need, draws and judges them, and writes the page of all claims."""
    for flag, path in (("--runs", folder_of_runs), ("--folder", folder)):
        if path.exists() and not path.is_dir():
            raise ConfigError(f"{flag} is {path}, which is a file, but must be a folder or not be there yet.")
    runs = {name: trained(name, folder_of_runs / name) for name in dict.fromkeys(figure.config for figure in figures)}
    for figure in figures:
        rows = reproduction.write(figure, runs[figure.config], folder)
        for _, row in rows.iterrows():
            print(f"{row['figure']}: {row['claim']}: {reproduction.verdict_text(row)}", flush=True)
        reproduction.write_page(FIGURES, folder_of_runs, folder)
    if len(figures) == len(FIGURES):
        drawing.save(*overview(runs, PANELS), folder / "overview")
    print(f"The claims and pictures are in {short(folder)}/reproduction.md.")


def trained(name: str, workdir: Path) -> Run:
    """The finished run of configs/NAME.py, trained as far as it is not there yet."""
    print(f"\nconfigs/{name}.py", flush=True)
    return sweep(from_config_dict(read_config(_ROOT / "configs" / f"{name}.py")), workdir)


def chosen(names: list[str]) -> list[PaperFigure]:
    """The figures of these names, or all; a name that is not there is one sentence and exit code 2."""
    by_name = {figure.name: figure for figure in FIGURES}
    unknown = [name for name in names if name not in by_name and name != "all"]
    if unknown or not names:
        given = repr(unknown[0]) if unknown else "not given"
        raise ConfigError(f"the figure is {given}, but must be all or one of {', '.join(by_name)}.")
    return list(FIGURES) if "all" in names else [by_name[name] for name in dict.fromkeys(names)]


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main)
