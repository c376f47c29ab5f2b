"""The paper, figure by figure: runs what a figure needs, draws it, and judges it.

    python scripts/reproduce.py fig4 fig5
    python scripts/reproduce.py all
    python scripts/reproduce.py --list

Runs go to RUNS/<config> (--runs, default runs), where a finished one is not run again and an interrupted one goes on;
each figure goes to FOLDER/<figure> (--folder, default reproduction), with PNG, SVG, CSV and claims.csv.
FOLDER/reproduction.md holds every claim with its verdict. Time of `all`: a quarter of an hour on 2 cores.
"""

import sys
from pathlib import Path
from typing import NoReturn

from absl import app, flags

sys.path.insert(0, str(Path(__file__).parent.parent))

from rw_jax import main as main_of_runs
from rw_jax.reports import reproduction
from rw_jax.reports.reproduction import FIGURES, PaperFigure
from rw_jax.sweeps import interruption

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
    figures = chosen(argv[1:])
    runs, folder = Path(_RUNS.value), Path(_FOLDER.value)
    for flag, path in (("--runs", runs), ("--folder", folder)):
        if path.exists() and not path.is_dir():
            refuse(f"{flag} is {path}, which is a file, but must be a folder or not be there yet.")
    for config in dict.fromkeys(figure.config for figure in figures):
        print(f"\nconfigs/{config}.py", flush=True)
        command = ["reproduce", f"--config={_ROOT / 'configs' / config}.py", f"--workdir={runs / config}"]
        main_of_runs.main(main_of_runs.parse(command, flags.FlagValues()))
    for figure in figures:
        rows = reproduction.write(figure, runs, folder)
        for _, row in rows.iterrows():
            print(f"{row['figure']}: {row['claim']}: {reproduction.verdict_text(row)}", flush=True)
        reproduction.write_page(runs, folder)
    if len(figures) == len(FIGURES):
        reproduction.write_overview(runs, folder)
    print(f"The claims and pictures are in {folder}/reproduction.md.")


def chosen(names: list[str]) -> list[PaperFigure]:
    """The figures of these names, or all; a name that is not there is one sentence and exit code 2."""
    by_name = {figure.name: figure for figure in FIGURES}
    unknown = [name for name in names if name not in by_name and name != "all"]
    if unknown or not names:
        given = repr(unknown[0]) if unknown else "not given"
        refuse(f"the figure is {given}, but must be all or one of {', '.join(by_name)}.")
    return list(FIGURES) if "all" in names else [by_name[name] for name in dict.fromkeys(names)]


def refuse(reason: str) -> NoReturn:
    """Ends the program with exit code 2 and a sentence."""
    print("reproduce:", reason, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    interruption.leave_when_told(interruption.CONTINUE)
    app.run(main)
