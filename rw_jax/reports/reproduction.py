"""The paper, figure by figure: the run that repeats each, its pictures, its claims in numbers, and a verdict by rule.

A claim is a range for one number of each seed, because the paper's curve is one draw of what the seeds draw here. What
is judged is the share of seeds whose number lies in the range, by its 95% Wilson interval:

  reproduced      the interval lies above REPRODUCED: nearly every seed shows it;
  not reproduced  it lies below NOT_REPRODUCED: most seeds do not show it;
  differs         neither: part of the seeds show it, and the verdict says where the others lie.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from rw_jax.analysis.plots import drawing
from rw_jax.analysis.run_dir import Run, load_run
from rw_jax.analysis.statistics import Estimate, mean_interval, median_interval, rate_interval
from rw_jax.reports import paper
from rw_jax.store.layout import write_atomically
from rw_jax.study.config import Scalar
from rw_jax.study.grid import Cell

REPRODUCED = 0.8
"""A claim is reproduced if the share of seeds that show it is above this with 95% confidence."""
NOT_REPRODUCED = 0.5
"""A claim is not reproduced if the share of seeds that show it is below this with 95% confidence."""

ALL_ONES = 0.2
"""What is within this distance of all-ones, both at unit norm, looks like it; the distance of Pi^T is about 1."""

OUTCOMES = ("reproduced", "differs", "not reproduced")


class Claim(NamedTuple):
    """What the paper shows, as a range for one number of each seed.

    Attributes:
      words: the claim, with its range.
      values: float[seeds], what was measured; NaN is in no range.
      least: lower end of the range, in it.
      largest: upper end of the range, in it.
    """

    words: str
    values: np.ndarray
    least: float
    largest: float


class Verdict(NamedTuple):
    """What becomes of a claim.

    Attributes:
      outcome: one of OUTCOMES.
      share: share of seeds that show it, with its Wilson interval.
      below: how many seeds lie below the range.
      above: how many seeds lie above the range.
      undefined: how many seeds have no number.
    """

    outcome: str
    share: Estimate
    below: int
    above: int
    undefined: int


def shows(claim: Claim) -> np.ndarray:
    """Whether each seed shows a claim, bool[seeds]."""
    return (claim.values >= claim.least) & (claim.values <= claim.largest)


def judge(claim: Claim) -> Verdict:
    """The verdict on a claim by the rule of this module."""
    share = rate_interval(shows(claim))
    reproduced, differs, not_reproduced = OUTCOMES
    if share.low > REPRODUCED:
        outcome = reproduced
    elif share.high < NOT_REPRODUCED:
        outcome = not_reproduced
    else:
        outcome = differs
    elsewhere = (claim.values < claim.least, claim.values > claim.largest, np.isnan(claim.values))
    return Verdict(outcome, share, *(int(np.sum(seeds)) for seeds in elsewhere))


@dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper, or what stands in for one.

    Attributes:
      name: how it is asked for, and the name of its folder.
      config: the name of its file in configs/, and of its run.
      what: what it is about.
      pictures: by file name, functions from the run to a picture and its numbers.
      claims: the function from the run to the claims that it decides.
    """

    name: str
    config: str
    what: str
    pictures: Mapping[str, Callable[[Run], drawing.Picture]]
    claims: Callable[[Run], Sequence[Claim]]


def transition_claims(run: Run) -> list[Claim]:
    """Figure 2."""
    return [
        Claim(
            f"p = {p:g}: clockwise share of the transitions of the test walks within 0.01 of p",
            np.array([np.mean(np.diagonal(np.roll(paper.transition_shares(run, cell), -1, axis=1))) for cell in cells]),
            p - 0.01,
            p + 0.01,
        )
        for p, cells in drawing.runs_by_p(run, {}).items()
    ]


def random_walk_claims(run: Run) -> list[Claim]:
    """Figures 4 and 8: p = 1/2 is learned."""
    last = run.config.training.steps
    return [
        Claim("expected accuracy at step 10 at least 0.48 (optimum 0.5)", at(run, "expected_accuracy", 10), 0.48, 0.51),
        Claim(f"the same at step {last}", at(run, "expected_accuracy", last), 0.48, 0.51),
        Claim(f"V/|V| within 0.3 of Πᵀ/|Πᵀ| at step {last}", at(run, "value_direction_error", last), 0, 0.3),
        Claim(f"attention on the parent at least 0.95 at step {last}", at(run, "parent_attention", last), 0.95, 1),
        Claim(f"attention is highest on the parent at step {last}", at(run, "parent_is_highest", last), 1, 1),
    ]


def deterministic_walk_claims(run: Run) -> list[Claim]:
    """Figures 5 and 9: p = 1 is not learned (Theorem 4.1)."""
    K, last = run.config.task.num_nodes, run.config.training.steps
    spread = run.metrics["attention_spread"].max("step", skipna=False).values
    return [
        Claim(f"accuracy at step {last} from 1/2 to 3/2 of 1/K", at(run, "accuracy", last), 0.5 / K, 1.5 / K),
        Claim(
            f"V/|V| within {ALL_ONES} of all-ones at step {last}",
            at(run, "value_uniform_direction_error", last),
            0,
            ALL_ONES,
        ),
        Claim("weights of all tokens equal to the last bit at every step", spread, 0, 0),
    ]


def loss_and_rate_claims(run: Run) -> list[Claim]:
    """Theorem 4.1 for any loss and learning rate; of a seed, the learning rate and step farthest from the claim."""
    K, claims = run.config.task.num_nodes, []
    every = ("learning_rate", "step")
    for loss in dict(run.config.grid)["loss"]:
        of_loss = run.metrics.sel(loss=loss)
        accuracy = of_loss["accuracy"].max(every, skipna=False).values
        spread = of_loss["attention_spread"].max(every, skipna=False).values
        name = str(loss).replace("_", " ")
        columns = np.array([uneven_columns(run, str(loss), int(seed)) for seed in of_loss["seed"]])
        claims += [
            Claim(f"{name}: accuracy at most 3/2 of 1/K at every η and step", accuracy, 0, 1.5 / K),
            Claim(f"{name}: weights of all tokens equal to the last bit at every η and step", spread, 0, 0),
            Claim(f"{name}: columns of V equal to the last bit at every η", columns, 0, 0),
        ]
    return claims


def uneven_columns(run: Run, loss: str, seed: int) -> float:
    """Largest difference of two entries in a row of V after the last step, for any learning rate."""
    values = [
        run.value_matrix(step=run.config.training.steps, loss=loss, learning_rate=rate, seed=seed)
        for rate in dict(run.config.grid)["learning_rate"]
    ]
    return float(np.max(np.ptp(values, axis=2)))


def gaussian_start_claims(run: Run, **labels: Scalar) -> list[Claim]:
    """Figure 6: p = 1/2 is learned after about 400 steps, p = 1 later, not within 1000."""
    by_p, last = drawing.runs_by_p(run, labels), run.config.training.steps
    half, one = (paper.steps_to_learn(run, by_p[p]) for p in (0.5, 1.0))
    with np.errstate(invalid="ignore"):
        later = one - half  # not a number where neither is learned
    return [
        Claim("p = 0.5: 95% of the optimum after 200 to 800 steps (about 400)", half, 200, 800),
        Claim(f"p = 1: accuracy at most 0.95 after {last} steps", at(run, "accuracy", last, p=1.0, **labels), 0, 0.95),
        Claim("p = 1 learned later than p = 0.5: steps between them", later, 1, np.inf),
    ]


def readings_claims(run: Run) -> list[Claim]:
    """Figure 6 in every reading: a seed shows it if it shows all claims of figure 6; then, which p it learns later."""
    grid, together, later = dict(run.config.grid), [], []
    for length, scale, rate in itertools.product(
        *(grid[axis] for axis in ("unit_length", "init_scale", "learning_rate"))
    ):
        claims = gaussian_start_claims(run, unit_length=length, init_scale=scale, learning_rate=rate)
        name = f"unit length {length}, start {scale:g}, η = {rate:g}"
        together.append(all_of(claims, f"{name}: figure 6 as reported"))
        later.append(claims[-1]._replace(words=f"{name}: {claims[-1].words}"))
    return together + later


def gaussian_half_claims(run: Run) -> list[Claim]:
    """Figure 11: what is learned at p = 1/2."""
    last = run.config.training.steps
    return [
        Claim(
            f"p = 0.5: V/|V| within 0.3 of Πᵀ/|Πᵀ| at step {last}",
            at(run, "value_direction_error", last, p=0.5),
            0,
            0.3,
        ),
        Claim(
            f"p = 0.5: attention on the parent at least 0.9 at step {last}",
            at(run, "parent_attention", last, p=0.5),
            0.9,
            1,
        ),
    ]


def gaussian_value_claims(run: Run) -> list[Claim]:
    """Figure 12: V at p = 1 leaves all-ones between 700 and 1000 steps."""
    early, last = (at(run, "value_uniform_direction_error", step, p=1.0) for step in (700, 1000))
    return [
        Claim(f"p = 1: V/|V| within {ALL_ONES} of all-ones at step 700", early, 0, ALL_ONES),
        Claim(f"p = 1: V/|V| no longer within {ALL_ONES} of it at step 1000", last, np.nextafter(ALL_ONES, 1), 2),
    ]


def gaussian_token_claims(run: Run) -> list[Claim]:
    """Figure 13: the averaged token at p = 1 leaves all-ones between 700 and 1000 steps, when one token dominates."""
    cells = drawing.runs_by_p(run, {"p": 1.0})[1.0]
    early, last = (np.array([token_uniform_error(run, step, cell) for cell in cells]) for step in (700, 1000))
    largest = np.array([run.averaged_tokens(None, step=1000, **cell.labels).max(axis=1).mean() for cell in cells])
    return [
        Claim(f"p = 1: X S within {ALL_ONES} of all-ones at step 700, mean over walks", early, 0, ALL_ONES),
        Claim(f"p = 1: X S no longer within {ALL_ONES} of it at step 1000", last, np.nextafter(ALL_ONES, 1), 2),
        Claim("p = 1: largest entry of X S at least 0.5 at step 1000, mean over walks", largest, 0.5, 1),
    ]


def every_gaussian_claim(run: Run) -> list[Claim]:
    """Figures 6 and 11 to 13 together."""
    parts = (gaussian_start_claims, gaussian_half_claims, gaussian_value_claims, gaussian_token_claims)
    return [claim for claims in parts for claim in claims(run)]


def question_claims(run: Run, **labels: Scalar) -> list[Claim]:
    """Figures 7 and 10: the averaged token tells the answer in Task 1 and says nothing in Task 2."""
    last = run.config.training.steps
    majority, preference = (at(run, "accuracy", last, task=task, **labels) for task in ("majority", "preference"))
    return [
        Claim(f"Task 1: accuracy at least 0.95 at step {last}", majority, 0.95, 1),
        Claim(f"Task 2: accuracy from 0.45 to 0.55 at step {last}", preference, 0.45, 0.55),
    ]


def question_readings_claims(run: Run) -> list[Claim]:
    """Figure 10 in every reading: a seed shows it if it shows both claims."""
    grid = dict(run.config.grid)
    return [
        all_of(
            question_claims(run, unit_length=length, learning_rate=rate),
            f"unit length {length}, η = {rate:g}: figure 10 as reported",
        )
        for length, rate in itertools.product(grid["unit_length"], grid["learning_rate"])
    ]


def all_of(claims: Sequence[Claim], words: str) -> Claim:
    """The claim that a seed shows every one of several claims: 1 if it does, else 0."""
    shown = np.all([shows(claim) for claim in claims], axis=0)
    return Claim(words, shown.astype(float), 1, 1)


def token_uniform_error(run: Run, step: int, cell: Cell) -> float:
    """Distance between the averaged token X S and all-ones, both at unit norm, as the mean over test walks."""
    averaged_BxK = run.averaged_tokens(None, step=step, **cell.labels)
    unit_BxK = averaged_BxK / np.linalg.norm(averaged_BxK, axis=1, keepdims=True)
    return float(np.mean(np.linalg.norm(unit_BxK - averaged_BxK.shape[1] ** -0.5, axis=1)))


def at(run: Run, metric: str, step: int, **labels: Scalar) -> np.ndarray:
    """A metric of every seed at a recorded step, float[seeds]."""
    values = run.metrics[metric].sel({"step": step, **labels})
    if values.dims != ("seed",):
        raise ValueError(f"labels are {labels}, but must leave the seed as the only axis of {values.dims}.")
    return values.values


GAUSSIAN_PICTURES = {
    "curves": paper.gaussian_start,
    "values_half": lambda run: paper.value_snapshots(run, 0.5),
    "values_one": lambda run: paper.value_snapshots(run, 1.0),
    "tokens_one": lambda run: paper.token_snapshots(run, 1.0),
}
"""The pictures of figures 6 and 11 to 13."""

FIGURES = (
    PaperFigure("fig2", "fig2", "transition matrices", {"fig2": paper.transition_matrices}, transition_claims),
    PaperFigure("fig4", "fig4", "p = 0.5, K = 6", {"fig4": paper.walk_learning}, random_walk_claims),
    PaperFigure("fig5", "fig5", "p = 1, K = 6", {"fig5": paper.walk_learning}, deterministic_walk_claims),
    PaperFigure(
        "fig5_losses", "fig5_losses", "p = 1 with other losses and learning rates (Theorem 4.1)",
        {"fig5_losses": paper.losses_and_rates}, loss_and_rate_claims,
    ),
    PaperFigure("fig6", "fig6", "Gaussian start", {"fig6": paper.gaussian_start}, gaussian_start_claims),
    PaperFigure(
        "fig6_readings", "fig6_readings", "Gaussian start in every reading", {"fig6_readings": paper.readings},
        readings_claims,
    ),
    PaperFigure(
        "fig6_sum", "fig6_sum", "figures 6 and 11 to 13, loss summed over walks", GAUSSIAN_PICTURES,
        every_gaussian_claim,
    ),
    PaperFigure(
        "fig6_small_start", "fig6_small_start", "figures 6 and 11 to 13, loss summed, start of scale 1e-5",
        GAUSSIAN_PICTURES, every_gaussian_claim,
    ),
    PaperFigure("fig7", "fig7", "questions", {"fig7": paper.questions}, question_claims),
    PaperFigure(
        "fig7_sampled", "fig7_sampled", "questions, 1000 samples",
        {"fig7_sampled": paper.questions}, question_claims,
    ),
    PaperFigure("fig8", "fig8", "p = 0.5, K = 20", {"fig8": paper.walk_learning}, random_walk_claims),
    PaperFigure("fig9", "fig9", "p = 1, K = 20", {"fig9": paper.walk_learning}, deterministic_walk_claims),
    PaperFigure("fig10", "fig10", "questions, feed-forward layer", {"fig10": paper.questions}, question_claims),
    PaperFigure(
        "fig10_sampled", "fig10_sampled", "questions, feed-forward layer, 1024 samples",
        {"fig10_sampled": paper.questions}, question_claims,
    ),
    PaperFigure(
        "fig10_readings", "fig10_readings", "questions, feed-forward layer, in every reading",
        {"fig10_readings": paper.question_readings}, question_readings_claims,
    ),
    PaperFigure(
        "fig11", "fig6", "Gaussian start, p = 0.5: V and X S",
        {"fig11_values": lambda run: paper.value_snapshots(run, 0.5),
         "fig11_tokens": lambda run: paper.token_snapshots(run, 0.5)},
        gaussian_half_claims,
    ),
    PaperFigure(
        "fig12", "fig6", "Gaussian start, p = 1: V", {"fig12": lambda run: paper.value_snapshots(run, 1.0)},
        gaussian_value_claims,
    ),
    PaperFigure(
        "fig13", "fig6", "Gaussian start, p = 1: X S", {"fig13": lambda run: paper.token_snapshots(run, 1.0)},
        gaussian_token_claims,
    ),
)  # fmt: skip
"""Every figure, in the paper's order."""


OVERVIEW: dict[str, tuple[tuple[str, dict[str, Scalar], float, str], ...]] = {
    "figures 4 and 5: K = 6": (("fig4", {}, 0.5, "p = 0.5"), ("fig5", {}, 1.0, "p = 1")),
    "figures 8 and 9: K = 20": (("fig8", {}, 0.5, "p = 0.5"), ("fig9", {}, 1.0, "p = 1")),
    "figure 5, cross-entropy, η = 10": (
        ("fig5_losses", {"loss": "cross_entropy", "learning_rate": 10.0}, 1.0, "p = 1"),
    ),
    "figure 6, loss summed, start of scale 1e-5": (
        ("fig6_small_start", {}, 0.5, "p = 0.5"), ("fig6_small_start", {}, 1.0, "p = 1"),
    ),
    "figure 7: questions": (
        ("fig7", {"task": "majority"}, 0.5, "Task 1"), ("fig7", {"task": "preference"}, 0.5, "Task 2"),
    ),
    "figure 10: with feed-forward layer": (
        ("fig10", {"task": "majority"}, 0.5, "Task 1"), ("fig10", {"task": "preference"}, 0.5, "Task 2"),
    ),
}  # fmt: skip
"""Panels of the overview: by title, the curves, each as run, labels, p and name."""


def write_overview(runs: Path, folder: Path) -> None:
    """Draws FOLDER/overview: accuracy against the step in several figures, from their finished runs."""
    panels = {
        title: [paper.Curve(load_run(runs / config), labels, p, name) for config, labels, p, name in curves]
        for title, curves in OVERVIEW.items()
    }
    drawing.save(*paper.overview(panels), folder / "overview")


def write(figure: PaperFigure, runs: Path, folder: Path) -> pd.DataFrame:
    """Draws a figure from its finished run and judges it; writes FOLDER/NAME with its pictures and claims.csv.

    Returns:
      One row for each claim.
    """
    run = load_run(runs / figure.config)
    for name, draw in figure.pictures.items():
        drawing.save(*draw(run), folder / figure.name / name)
    rows = pd.DataFrame([judged(figure, run, claim) for claim in figure.claims(run)])
    rows.to_csv(folder / figure.name / "claims.csv", index=False)
    return rows


def judged(figure: PaperFigure, run: Run, claim: Claim) -> dict[str, str | float]:
    """A claim with what was measured and its verdict, as a row of the table."""
    verdict = judge(claim)
    infinite = np.isinf(claim.values).any()
    known = claim.values[~np.isnan(claim.values)]  # the verdict tells how many have no number
    estimate = median_interval(known) if infinite and known.size else mean_interval(claim.values)
    return {
        "figure": figure.name,
        "claim": claim.words,
        "setting": ", ".join(drawing.setting(run, [cell.config for cell in run.grid.cells])),
        "estimate": "median" if infinite else "mean",
        "measured": estimate[0],
        "low": estimate.low,
        "high": estimate.high,
        "share": verdict.share.mean,
        "share_low": verdict.share.low,
        "share_high": verdict.share.high,
        "seeds": verdict.share.seeds,
        "below": verdict.below,
        "above": verdict.above,
        "undefined": verdict.undefined,
        "verdict": verdict.outcome,
    }


def write_page(runs: Path, folder: Path) -> None:
    """Writes FOLDER/reproduction.md: the claims of every figure that has been judged, with its pictures."""
    summary = ["| figure | about | " + " | ".join(OUTCOMES) + " |", "|---|---|---|---|---|"]
    sections = []
    for figure in FIGURES:
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
        "A claim is a range for one number of each seed. It is **reproduced** if the 95% Wilson interval of the share "
        f"of seeds in the range lies above {REPRODUCED}, **not reproduced** if it lies below {NOT_REPRODUCED}, and "
        "**differs** otherwise. Brackets are 95% intervals: t intervals of means, order statistics of medians."
    )
    write_atomically(folder / "reproduction.md", "\n\n".join([title, rule, "\n".join(summary), *sections]) + "\n")


def table(rows: pd.DataFrame) -> str:
    """The rows as a Markdown table."""
    lines = ["| figure | claim | measured | share of seeds | verdict |", "|---|---|---|---|---|"]
    for _, row in rows.iterrows():
        median = "median " if row["estimate"] == "median" else ""
        measured = f"{median}{bracketed(row['measured'], row['low'], row['high'])}"
        share = f"{bracketed(row['share'], row['share_low'], row['share_high'])} of {row['seeds']}"
        cells = (row["figure"], row["claim"].replace("|", r"\|"), measured, share, verdict_text(row))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict_text(row: pd.Series) -> str:
    """The verdict, with where the seeds lie that do not show the claim."""
    places = {"below": row["below"], "above": row["above"], "without a number": row["undefined"]}
    others = ", ".join(f"{count} {place}" for place, count in places.items() if count)
    return f"**{row['verdict']}**" + (f": {others}" if others else "")


def bracketed(number: float, low: float, high: float) -> str:
    """A number with its interval, to three digits."""
    return f"{number:.3g} [{low:.3g}, {high:.3g}]"
