"""The pages of a report: report.html, which needs nothing but itself, report.md and report.json."""

import base64
import html
import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from rw_jax.analysis import plots
from rw_jax.analysis.numbers import text, with_interval
from rw_jax.analysis.run import Run
from rw_jax.reports.claim import PARTLY, Claim, Judged, Report
from rw_jax.reports.study import Study
from rw_jax.store.layout import write_atomically
from rw_jax.study.config import symbol

_LARGEST_TABLE = 30
"""Rows of a table that a page shows; all are in tables/."""


_MOST_LABELS = 30
"""Labels of an axis that a page lists one by one."""


class Written(NamedTuple):
    """A report that was written: its page, and what it found."""

    path: Path
    judged: Sequence[Judged]

    def verdicts(self) -> list[str]:
        """One line for each claim."""
        return [f"{j.claim.reference} ({j.claim.setting}): {j.verdict.word}; {j.verdict.reason}" for j in self.judged]


def write(
    report: Report, judged: Sequence[Judged], runs: Mapping[Study, Run], folder: Path, is_quick: bool = False
) -> Written:
    """Writes figures, tables and pages into a folder.

    Args:
      report: what is reported.
      judged: its claims in the order of the page.
      runs: its studies.
      folder: where everything goes.
      is_quick: whether the studies are so small that no verdict means anything, which a banner says.
    """
    banner = QUICK if is_quick else ""
    figures, tables = folder / "figures", folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for claim, (rows, points), verdict in judged:
        rows.to_csv(tables / f"{claim.name}.csv", index=False)
        if claim.draw is not None:
            word = "holds in some settings only" if verdict.word == PARTLY else verdict.word
            figure = _titled(claim.draw(points), f"{claim.statement.rstrip('.')}: {word}")
            plots.save(figure, points, figures / claim.name)
            pictures[claim.name] = figures / f"{claim.name}.png"
    studies = _studies(runs)
    write_atomically(folder / "report.json", _json(judged, studies, is_quick))
    write_atomically(folder / "report.md", _markdown(report, judged, studies, pictures, banner))
    write_atomically(folder / "report.html", _html(report, judged, studies, pictures, banner))
    return Written(folder / "report.html", judged)


def _titled(figure: Figure, title: str) -> Figure:
    """The figure with this title if it has none, so that it says what is seen where it stands alone."""
    if not figure.get_suptitle() and not any(axes.get_title() for axes in figure.axes):
        characters = int(14 * figure.get_figwidth())
        figure.suptitle(textwrap.fill(title, characters), fontsize=8)
    return figure


QUICK = "This report was made with --quick: its grids are so small that no verdict on this page means anything."


def _studies(runs: Mapping[Study, Run]) -> pd.DataFrame:
    """What was run: a row for each study."""
    rows = []
    for study, run in runs.items():
        calls = [*run.environment["earlier_calls"], run.environment]
        rows.append(
            {
                "study": study.name,
                "runs": run.grid.num_cells,
                "setting": _setting(run),
                "devices": ", ".join(sorted(set(run.environment["devices"]))),
                "seconds, of calls that finished": sum(call.get("seconds", 0.0) for call in calls),
                "commit": (run.environment["commit"] or "unknown")[:12],
                "command": run.environment["command"],
            }
        )
    return pd.DataFrame(rows)


_TOLD = (
    "num_nodes", "walk_length", "position_width", "p", "walks", "form", "loss", "epsilon", "learning_rate", "steps",
)  # fmt: skip
"""The axes that the setting of a study tells."""


def _setting(run: Run) -> str:
    """The fields of a study with all their values, the number of seeds, and the precision."""
    grid = dict(run.config.grid)
    fields = [f"{symbol(axis)} = {_labels(grid.get(axis, (run.config.value(axis),)))}" for axis in _TOLD]
    return "; ".join([*fields, f"{len(grid.get('seed', (0,)))} seeds", run.config.precision])


def _labels(labels: Sequence[Any]) -> str:
    if len(labels) > _MOST_LABELS:
        return f"{len(set(labels))} values, {text(min(labels), 6)} to {text(max(labels), 6)}"
    return ", ".join(text(label, 6) for label in labels)


def _json(judged: Sequence[Judged], studies: pd.DataFrame, is_quick: bool) -> str:
    records = []
    for claim, (rows, _), verdict in judged:
        records.append(
            {
                "name": claim.name,
                "reference": claim.reference,
                "setting": claim.setting,
                "statement": claim.statement,
                "statistic": claim.statistic,
                "allowed": [
                    bound if math.isfinite(bound) else None for bound in (claim.rule.least, claim.rule.largest)
                ],
                "tolerance": claim.rule.tolerance,
                "population": claim.population or None,
                "studies": [study.name for study in claim.studies],
                "verdict": verdict.word,
                "reason": verdict.reason,
                "rows": _records(rows),
            }
        )
    return json.dumps({"quick": is_quick, "claims": records, "studies": _records(studies)}, indent=1)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as JSON can hold them, NaN as null, numbers with all their digits."""
    return json.loads(str(table.to_json(orient="records", double_precision=15)))


def _shown(claim: Claim, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as a page shows them: words only, the interval in brackets behind the number."""
    shown = rows[list(claim.labels)].map(text)
    shown["estimate [95% interval]"] = [
        with_interval(estimate, low, high, digits=4)
        for estimate, low, high in zip(rows["estimate"], rows["low"], rows["high"], strict=True)
    ]
    others = [name for name in rows if name not in (*claim.labels, "estimate", "low", "high", "seeds", "agrees")]
    shown[["seeds", *others]] = rows[["seeds", *others]].map(text)
    shown["agrees"] = [{True: "yes", False: "no", None: "undecided"}[value] for value in rows["agrees"]]
    return shown.rename(columns=lambda name: name.replace("_", " "))


def _range(claim: Claim) -> str:
    least, largest = claim.rule.least, claim.rule.largest
    if math.isinf(least):
        return f"at most {largest:g}"
    if math.isinf(largest):
        return f"at least {least:g}"
    return f"exactly {least:g}" if least == largest else f"from {least:g} to {largest:g}"


def _facts(judged: Judged, every: Sequence[Judged], studies: pd.DataFrame) -> list[tuple[str, str]]:
    """What a section says of a claim before its evidence."""
    claim = judged.claim
    used = studies[studies["study"].isin([study.name for study in claim.studies])]
    data = [f"study {row.study}: {row.setting}. Made by {row.command}" for row in used.itertuples()]
    return [
        ("Setting", claim.setting),
        ("Statement", claim.statement),
        ("Measured", claim.statistic),
        ("Agrees if", f"{_range(claim)}. {claim.rule.tolerance}"),
        ("Verdict", f"{judged.verdict.word}: {judged.verdict.reason}."),
        *(
            ("On infinitely many walks", f"{other.verdict.word}: {other.verdict.reason} ({other.claim.name}).")
            for other in every
            if other.claim.name == claim.population
        ),
        ("Data", "; ".join(data) or "closed forms; nothing is trained"),
    ]


def _rest(claim: Claim, rows: pd.DataFrame) -> str:
    if len(rows) <= _LARGEST_TABLE:
        return f"All numbers: tables/{claim.name}.csv."
    return f"The first {_LARGEST_TABLE} of {len(rows)} settings; all are in tables/{claim.name}.csv."


def _markdown(
    report: Report, judged: Sequence[Judged], studies: pd.DataFrame, pictures: Mapping[str, Path], banner: str
) -> str:
    summary = pd.DataFrame(
        [
            {
                "claim": f"[{j.claim.reference}](#{j.claim.name})",
                "statement": j.claim.statement,
                "setting": j.claim.setting,
                "verdict": f"**{j.verdict.word}**",
                "": j.verdict.reason,
            }
            for j in judged
        ]
    )
    said = [f"> **{banner}**"] if banner else []
    parts = [f"# {report.title}", *said, report.introduction, _markdown_table(summary)]
    for j in judged:
        parts.append(f'## <a id="{j.claim.name}"></a>{j.claim.reference}')
        parts.append("\n".join(f"- {name}: {text}" for name, text in _facts(j, judged, studies)))
        if j.claim.name in pictures:
            parts.append(f"![{j.claim.reference}](figures/{pictures[j.claim.name].name})")
        parts.append(_markdown_table(_shown(j.claim, j.evidence.rows).head(_LARGEST_TABLE)))
        parts.append(_rest(j.claim, j.evidence.rows))
    parts += ["## What was run", _markdown_table(studies.map(text))]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: pd.DataFrame) -> str:
    lines = [list(table.columns), ["---"] * table.shape[1], *table.values.tolist()]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _html(
    report: Report, judged: Sequence[Judged], studies: pd.DataFrame, pictures: Mapping[str, Path], banner: str
) -> str:
    summary = "".join(
        f'<tr><td><a href="#{j.claim.name}">{_escape(j.claim.reference)}</a></td><td>{_escape(j.claim.statement)}</td>'
        f"<td>{_escape(j.claim.setting)}</td>"
        f'<td class="{_class(j)}">{j.verdict.word}</td><td>{_escape(j.verdict.reason)}</td></tr>\n'
        for j in judged
    )
    sections = []
    for j in judged:
        facts = "".join(f"<dt>{name}</dt><dd>{_escape(text)}</dd>\n" for name, text in _facts(j, judged, studies))
        picture = ""
        if j.claim.name in pictures:
            data = base64.b64encode(pictures[j.claim.name].read_bytes()).decode()
            picture = f'<img alt="{_escape(j.claim.statistic)}" src="data:image/png;base64,{data}">'
        sections.append(
            f'<section id="{j.claim.name}"><h2>{_escape(j.claim.reference)} '
            f'<span class="{_class(j)}">{j.verdict.word}</span></h2>\n<dl>{facts}</dl>\n{picture}\n'
            f"{_html_table(_shown(j.claim, j.evidence.rows).head(_LARGEST_TABLE))}\n"
            f"<p>{_escape(_rest(j.claim, j.evidence.rows))}</p></section>"
        )
    return _PAGE.format(
        title=_escape(report.title),
        banner=f'<p class="banner">{_escape(banner)}</p>' if banner else "",
        introduction=_escape(report.introduction),
        summary=summary,
        sections="\n".join(sections),
        studies=_html_table(studies.map(text)),
    )


def _html_table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{_escape(name)}</th>" for name in table.columns)
    body = "".join("<tr>" + "".join(f"<td>{_escape(c)}</td>" for c in row) + "</tr>\n" for row in table.values.tolist())
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _escape(text: Any) -> str:
    return html.escape(str(text))


def _class(judged: Judged) -> str:
    return judged.verdict.word.split()[-1]  # holds, fails, where, size


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #111; }}
h1, h2 {{ line-height: 1.2; }} section {{ border-top: 1px solid #ccc; margin-top: 2rem; }}
table {{ border-collapse: collapse; font-size: 13px; }} .wide {{ overflow-x: auto; }}
th, td {{ text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #ddd; }}
dt {{ font-weight: 600; }} dd {{ margin: 0 0 .4rem 0; }} img {{ max-width: 100%; width: 36rem; }}
.banner {{ background: #fff3cd; border: 2px solid #a33d00; padding: .5rem 1rem; font-weight: 600; }}
.holds {{ color: #00614a; font-weight: 600; }} .fails, .counterexample {{ color: #a33d00; font-weight: 600; }}
.where {{ color: #004b7a; font-weight: 600; }} .size {{ color: #555; font-weight: 600; }}
@media print {{
  body {{ max-width: none; margin: 0; font-size: 10pt; }} table {{ font-size: 7.5pt; }} .wide {{ overflow: visible; }}
  td {{ overflow-wrap: anywhere; }} img, tr, dl {{ break-inside: avoid; }} h2 {{ break-after: avoid; }}
}}
</style>
</head>
<body>
<h1>{title}</h1>
{banner}
<p>{introduction}</p>
<div class="wide"><table>
<thead><tr><th>claim</th><th>statement</th><th>setting</th><th>verdict</th><th>why</th></tr></thead>
<tbody>{summary}</tbody></table></div>
{sections}
<section id="runs"><h2>What was run</h2>
{studies}
</section>
</body>
</html>
"""
