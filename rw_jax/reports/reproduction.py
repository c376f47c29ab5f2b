"""The reproduction of a paper, figure by figure: pictures of a run, its claims in numbers, and the page of both."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from rw_jax.analysis.numbers import setting, with_interval
from rw_jax.analysis.plots import drawing
from rw_jax.analysis.run import Run
from rw_jax.analysis.statistics import mean_interval, median_interval, rate_interval
from rw_jax.reports.claim import DIFFERS, NOT_REPRODUCED, REPRODUCED, Claim, Judged, ShareOfSeeds, judge
from rw_jax.store.layout import write_atomically
from rw_jax.study.config import Config

OUTCOMES = (REPRODUCED, DIFFERS, NOT_REPRODUCED)


class PaperFigure(NamedTuple):
    """A figure of the paper, or what stands in for one.

    Attributes:
      name: how it is asked for, and the name of its folder.
      config: the name of its file in configs/, and of its run.
      what: what it is about.
      pictures: by file name, functions from the run to a picture and its numbers.
      claims: from the config of the run, the claims on its seeds.
    """

    name: str
    config: str
    what: str
    pictures: Mapping[str, Callable[[Run], drawing.Picture]]
    claims: Callable[[Config], Sequence[Claim]]


def write(figure: PaperFigure, run: Run, folder: Path) -> pd.DataFrame:
    """Draws a figure from its finished run and judges it; writes FOLDER/NAME with its pictures and claims.csv.

    Returns:
      One row for each claim.
    """
    for name, draw in figure.pictures.items():
        drawing.save(*draw(run), folder / figure.name / name)
    rows = pd.DataFrame([row(figure, run, judge(claim, [run])) for claim in figure.claims(run.config)])
    rows.to_csv(folder / figure.name / "claims.csv", index=False)
    return rows


def row(figure: PaperFigure, run: Run, judged: Judged) -> dict[str, str | float]:
    """A claim on seeds with what was measured and its verdict, as a row of the table."""
    values, agrees = (judged.evidence.rows[name].to_numpy() for name in ("estimate", "agrees"))
    rule, share = judged.claim.rule, rate_interval(agrees)
    infinite = np.isinf(values).any()
    known = values[~np.isnan(values)]  # the verdict tells how many have no number
    estimate = median_interval(known) if infinite and known.size else mean_interval(values)
    return {
        "figure": figure.name,
        "claim": judged.claim.statement,
        "setting": ", ".join(setting([group.config for group in run.groups()], run.grid.axes)),
        "estimate": "median" if infinite else "mean",
        "measured": estimate[0],
        "low": estimate.low,
        "high": estimate.high,
        "share": share.mean,
        "share_low": share.low,
        "share_high": share.high,
        "seeds": share.seeds,
        "below": int(np.sum(values < rule.least)),
        "above": int(np.sum(values > rule.largest)),
        "undefined": int(np.sum(np.isnan(values))),
        "verdict": judged.verdict.word,
    }


def write_page(figures: Sequence[PaperFigure], runs: Path, folder: Path) -> None:
    """Writes FOLDER/reproduction.md: the claims of every figure that has been judged, with its pictures.

    Args:
      figures: in the order of the page; one that has no claims.csv yet is left out.
      runs: the folder of the runs, for links.
      folder: where the figures are.
    """
    summary = ["| figure | about | " + " | ".join(OUTCOMES) + " |", "|---|---|---|---|---|"]
    sections = []
    for figure in figures:
        path = folder / figure.name / "claims.csv"
        if not path.is_file():
            continue
        rows = pd.read_csv(path)
        run = os.path.relpath(runs / figure.config, folder)
        pictures = ", ".join(f"[{name}.png]({figure.name}/{name}.png)" for name in figure.pictures)
        lines = [
            f"## {figure.name}: {figure.what}",
            f"Setting: {rows['setting'][0]}. Run: [{run}]({run}), {rows['seeds'][0]} seeds. Pictures: {pictures}.",
            table(rows),
            *(f"![{figure.what}]({figure.name}/{name}.png)" for name in figure.pictures),
        ]
        sections.append("\n\n".join(lines))
        counts = (str(sum(rows["verdict"] == outcome)) for outcome in OUTCOMES)
        summary.append(f"| {figure.name} | {figure.what} | {' | '.join(counts)} |")
    title = "# The paper, figure by figure"
    rule = (
        f"A claim is a range for one number of each seed. {ShareOfSeeds.tolerance} "
        "Brackets are 95% intervals: t intervals of means, order statistics of medians."
    )
    write_atomically(folder / "reproduction.md", "\n\n".join([title, rule, "\n".join(summary), *sections]) + "\n")


def table(rows: pd.DataFrame) -> str:
    """The rows as a Markdown table."""
    lines = ["| figure | claim | measured | share of seeds | verdict |", "|---|---|---|---|---|"]
    for _, row in rows.iterrows():
        median = "median " if row["estimate"] == "median" else ""
        measured = f"{median}{with_interval(row['measured'], row['low'], row['high'])}"
        share = f"{with_interval(row['share'], row['share_low'], row['share_high'])} of {row['seeds']}"
        cells = (row["figure"], row["claim"].replace("|", r"\|"), measured, share, verdict_text(row))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict_text(row: pd.Series) -> str:
    """The verdict, with where the seeds lie that do not show the claim."""
    places = {"below": row["below"], "above": row["above"], "without a number": row["undefined"]}
    others = ", ".join(f"{count} {place}" for place, count in places.items() if count)
    return f"**{row['verdict']}**" + (f": {others}" if others else "")
