"""The pages of a report: one in HTML, which needs nothing but itself, the same in Markdown, and its numbers in JSON."""

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

from rw_jax import Run
from rw_jax.analysis import plots
from rw_jax.analysis.numbers import text
from rw_jax.store.layout import write_atomically
from rw_jax.study.config import symbol
from studies.claim import Claim, Judged
from studies.rules import PARTLY
from studies.study import Exhibit, Study, section_of
from studies.sweeps import StudyCommand, Sweep

_LARGEST_TABLE = 30
"""Rows of a table that a page shows; all are in tables/."""

_MOST_LABELS = 30
"""Labels of an axis that a page lists one by one."""

QUICK = "This report was made with --quick: its grids are so small that no verdict means anything."


class Section(NamedTuple):
    """A section of the page.

    Attributes:
      name: for links.
      title: the reference of its claims, with the setting where it stands for several; or what is seen.
      judged: its claims.
      pictures: the PNG files of its pictures, with what is seen.
      sentences: what they say.
      files: where all numbers are, as seen from the page.
    """

    name: str
    title: str
    judged: list[Judged]
    pictures: list[tuple[Path, str]]
    sentences: list[str]
    files: list[str]


class Report(NamedTuple):
    """A report that was written: its page, what it found, and what its exhibits say."""

    path: Path
    judged: Sequence[Judged]
    sentences: list[str]

    def lines(self) -> list[str]:
        """A line for each claim, and each sentence of an exhibit."""
        verdicts = []
        for claim, _, (word, reason) in self.judged:
            why = f"; {reason}" if reason else ""
            verdicts.append(f"{claim.reference} ({claim.setting}): {claim.statement.rstrip('.')}: {word}{why}")
        return verdicts + self.sentences


def write(study: Study, judged: Sequence[Judged], runs: Mapping[Sweep, Any], command: StudyCommand) -> Report:
    """Writes figures, tables and pages into the folder; a report of some sections has a page of their names.

    Args:
      study: what is reported.
      judged: its claims in the order of the page.
      runs: its sweeps, trained.
      command: the folder, the sections and whether the sweeps are so small that no verdict means anything.
    """
    folder, name = command.workdir, "-".join(command.parts) or "report"
    sections = [
        _section(
            part,
            [each for each in judged if section_of(each.claim) == part],
            [each for each in study.exhibits if section_of(each) == part],
            runs,
            folder,
        )
        for part in study.sections
    ]
    table = _sweeps(runs)
    write_atomically(folder / f"{name}.json", _json(sections, table, command.is_quick))
    banner = QUICK if command.is_quick else ""
    write_atomically(folder / f"{name}.md", _markdown(study, sections, table, banner))
    write_atomically(folder / f"{name}.html", _html(study, sections, table, banner))
    return Report(folder / f"{name}.html", judged, [line for section in sections for line in section.sentences])


def _section(
    name: str, judged: list[Judged], exhibits: list[Exhibit], runs: Mapping[Sweep, Any], folder: Path
) -> Section:
    """A section, whose figures and tables are written."""
    titles = [each.claim.reference for each in judged] + [each.title for each in exhibits]
    title = f"{titles[0]}: {judged[0].claim.setting}" if len(judged) > 1 else titles[0]
    section = Section(name, title, judged, [], [], [])
    for claim, (_, points), verdict in judged:
        if claim.draw is not None:
            word = "holds in some settings only" if verdict.word == PARTLY else verdict.word
            figure = _titled(claim.draw(points), f"{claim.statement.rstrip('.')}: {word}")
            _save(section, folder, claim.name, claim.statistic, figure, points)
    for exhibit in exhibits:
        made = exhibit.make(*(runs[sweep] for sweep in exhibit.sweeps))
        figure, numbers = (None, made) if isinstance(made, pd.DataFrame) else made
        _save(section, folder, exhibit.name, exhibit.title, figure, numbers)
        section.sentences.extend(exhibit.sentences(numbers))
    if judged:
        _save(section, folder, name, "", None, pd.concat([_numbers(each, len(judged) > 1) for each in judged]))
    return section


def _save(section: Section, folder: Path, name: str, seen: str, figure: Figure | None, numbers: pd.DataFrame) -> None:
    """Writes a figure with its numbers, or a table, and tells the section of it."""
    kind = "tables" if figure is None else "figures"
    (folder / kind).mkdir(parents=True, exist_ok=True)
    if figure is None:
        numbers.to_csv(folder / kind / f"{name}.csv", index=False)
    else:
        plots.save(figure, numbers, folder / kind / name)
        section.pictures.append((folder / kind / f"{name}.png", seen))
    section.files.append(f"{kind}/{name}.csv")


def _numbers(judged: Judged, with_claim: bool) -> pd.DataFrame:
    """The numbers of a claim; with what is claimed where they stand beside those of others."""
    rows = judged.claim.rule.reported(judged.evidence.rows)
    if not with_claim:
        return rows
    return rows.assign(claim=judged.claim.statement, verdict=judged.verdict.word)


def _titled(figure: Figure, title: str) -> Figure:
    """The figure with this title if it has none, so that it says what is seen where it stands alone."""
    if not figure.get_suptitle() and not any(axes.get_title() for axes in figure.axes):
        characters = int(14 * figure.get_figwidth())
        figure.suptitle(textwrap.fill(title, characters), fontsize=8)
    return figure


def _sweeps(runs: Mapping[Sweep, Any]) -> pd.DataFrame:
    """What was run: a row for each sweep."""
    rows = []
    for sweep, run in runs.items():
        if not isinstance(run, Run):
            continue
        calls = [*run.environment["earlier_calls"], run.environment]
        rows.append(
            {
                "sweep": sweep.name,
                "runs": run.grid.num_cells,
                "setting": _setting(run),
                "devices": ", ".join(sorted(set(run.environment["devices"]))),
                "seconds, of calls that finished": sum(call.get("seconds", 0.0) for call in calls),
                "commit": (run.environment["commit"] or "unknown")[:12],
                "command": run.environment["command"],
            }
        )
    return pd.DataFrame(rows)


_SETTING = (
    "num_nodes", "walk_length", "position_width", "p", "walks", "form", "loss", "epsilon", "learning_rate", "steps",
)  # fmt: skip
"""The axes that the setting of a sweep names."""


def _setting(run: Run) -> str:
    """The fields of a sweep with all their values, the number of seeds, and the precision."""
    fields = [f"{symbol(axis)} = {_labels(run.config.labels(axis))}" for axis in _SETTING]
    return "; ".join([*fields, f"{len(run.config.labels('seed'))} seeds", run.config.precision])


def _labels(labels: Sequence[Any]) -> str:
    if len(labels) > _MOST_LABELS:
        return f"{len(set(labels))} values, {text(min(labels), 6)} to {text(max(labels), 6)}"
    return ", ".join(text(label, 6) for label in labels)


def _json(sections: Sequence[Section], sweeps: pd.DataFrame, is_quick: bool) -> str:
    records = []
    for claim, (rows, _), verdict in (judged for section in sections for judged in section.judged):
        bounds = (claim.rule.least, claim.rule.largest)
        records.append(
            {
                "name": claim.name,
                "reference": claim.reference,
                "setting": claim.setting,
                "statement": claim.statement,
                "statistic": claim.statistic,
                "allowed": [bound if math.isfinite(bound) else None for bound in bounds],
                "tolerance": claim.rule.tolerance,
                "population": claim.population or None,
                "sweeps": [sweep.name for sweep in claim.sweeps],
                "verdict": verdict.word,
                "reason": verdict.reason,
                "rows": _records(claim.rule.reported(rows)),
            }
        )
    sentences = {section.name: section.sentences for section in sections if section.sentences}
    return json.dumps({"quick": is_quick, "claims": records, "told": sentences, "sweeps": _records(sweeps)}, indent=1)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as JSON can hold them, NaN as null, numbers with all their digits."""
    return json.loads(str(table.to_json(orient="records", double_precision=15)))


def _range(claim: Claim) -> str:
    least, largest = claim.rule.least, claim.rule.largest
    if math.isinf(least):
        return f"at most {largest:g}"
    if math.isinf(largest):
        return f"at least {least:g}"
    return f"exactly {least:g}" if least == largest else f"from {least:g} to {largest:g}"


def _facts(section: Section, every: Sequence[Section], sweeps: pd.DataFrame) -> list[tuple[str, str]]:
    """What a section says of its claims before their evidence: of several what they share."""
    if not section.judged:
        return []
    claim, _, verdict = section.judged[0]
    used = sweeps[sweeps["sweep"].isin([sweep.name for sweep in claim.sweeps])] if len(sweeps) else sweeps
    records = used.to_dict("records")
    data = [f"sweep {row['sweep']}: {row['setting']}. Made by {row['command']}" for row in records]
    if len(section.judged) == 1:
        facts = [
            ("Setting", claim.setting),
            ("Statement", claim.statement),
            ("Measured", claim.statistic),
            ("Agrees if", f"{_range(claim)}. {claim.rule.tolerance}"),
            ("Verdict", f"{verdict.word}: {verdict.reason}."),
        ]
    else:
        facts = [("Measured", claim.statistic), ("Verdict", claim.rule.tolerance)]
    facts += [
        ("On infinitely many walks", f"{other.verdict.word}: {other.verdict.reason} ({other.claim.name}).")
        for other in (judged for section in every for judged in section.judged)
        if other.claim.name == claim.population
    ]
    return [*facts, ("Data", "; ".join(data) or "closed forms; nothing is trained")]


def _table(section: Section) -> pd.DataFrame:
    """The numbers of the claims of a section in words; with what is claimed where there are several."""
    shown = [claim.rule.shown(rows, claim.labels) for claim, (rows, _), _ in section.judged]
    if len(shown) < 2:
        return shown[0].head(_LARGEST_TABLE) if shown else pd.DataFrame()
    for judged, table in zip(section.judged, shown, strict=True):
        table.insert(0, "claim", judged.claim.statement)
    return pd.concat(shown)


def _rest(section: Section) -> str:
    """Where all numbers are."""
    rows = len(section.judged[0].evidence.rows) if len(section.judged) == 1 else 0
    if rows > _LARGEST_TABLE:
        return f"The first {_LARGEST_TABLE} of {rows} settings; all are in tables/{section.name}.csv."
    return f"All numbers: {', '.join(section.files)}."


def _summary(judged: Judged) -> tuple[str, ...]:
    """What the page says of a claim at its top, behind its reference."""
    return (judged.claim.statement, judged.claim.setting, judged.verdict.word, judged.verdict.reason)


_NOTHING = "Nothing was trained."


def _markdown(study: Study, sections: Sequence[Section], sweeps: pd.DataFrame, banner: str) -> str:
    summary = pd.DataFrame(
        [
            (f"[{j.claim.reference}](#{section.name})", statement, setting, f"**{word}**", reason)
            for section in sections
            for j in section.judged
            for statement, setting, word, reason in [_summary(j)]
        ],
        columns=["claim", "statement", "setting", "verdict", ""],
    )
    said = [f"> **{banner}**"] if banner else []
    parts = [f"# {study.title}", *said, study.introduction]
    if len(summary):
        parts.append(_markdown_table(summary))
    for section in sections:
        parts.append(f'## <a id="{section.name}"></a>{section.title}')
        parts.append("\n".join(f"- {name}: {text}" for name, text in _facts(section, sections, sweeps)))
        parts += [f"![{seen or section.title}](figures/{path.name})" for path, seen in section.pictures]
        parts.append("\n".join(f"- {line}" for line in section.sentences))
        parts.append(_markdown_table(_table(section)) if section.judged else "")
        parts.append(_rest(section))
    parts += ["## What was run", _markdown_table(sweeps.map(text)) if len(sweeps) else _NOTHING]
    return "\n\n".join(filter(None, parts)) + "\n"


def _markdown_table(table: pd.DataFrame) -> str:
    lines = [list(table.columns), ["---"] * table.shape[1], *table.values.tolist()]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _html(study: Study, sections: Sequence[Section], sweeps: pd.DataFrame, banner: str) -> str:
    summary = "".join(
        f'<tr><td><a href="#{section.name}">{_escape(j.claim.reference)}</a></td><td>{_escape(statement)}</td>'
        f'<td>{_escape(setting)}</td><td class="{_class(j)}">{word}</td><td>{_escape(reason)}</td></tr>\n'
        for section in sections
        for j in section.judged
        for statement, setting, word, reason in [_summary(j)]
    )
    return _PAGE.format(
        title=_escape(study.title),
        banner=f'<p class="banner">{_escape(banner)}</p>' if banner else "",
        introduction=_escape(study.introduction),
        summary=_SUMMARY.format(rows=summary) if summary else "",
        sections="\n".join(_html_section(section, sections, sweeps) for section in sections),
        sweeps=_html_table(sweeps.map(text)) if len(sweeps) else f"<p>{_NOTHING}</p>",
    )


def _html_section(section: Section, every: Sequence[Section], sweeps: pd.DataFrame) -> str:
    facts = "".join(f"<dt>{name}</dt><dd>{_escape(text)}</dd>\n" for name, text in _facts(section, every, sweeps))
    verdict = ""
    if len(section.judged) == 1:
        verdict = f' <span class="{_class(section.judged[0])}">{section.judged[0].verdict.word}</span>'
    pictures = "".join(
        f'<img alt="{_escape(seen)}" src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">\n'
        for path, seen in section.pictures
    )
    items = "".join(f"<li>{_escape(line)}</li>\n" for line in section.sentences)
    return (
        f'<section id="{section.name}"><h2>{_escape(section.title)}{verdict}</h2>\n<dl>{facts}</dl>\n{pictures}'
        f"{f'<ul>{items}</ul>' if items else ''}{_html_table(_table(section)) if section.judged else ''}\n"
        f"<p>{_escape(_rest(section))}</p></section>"
    )


def _html_table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{_escape(name)}</th>" for name in table.columns)
    body = "".join("<tr>" + "".join(f"<td>{_escape(c)}</td>" for c in row) + "</tr>\n" for row in table.values.tolist())
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _escape(text: Any) -> str:
    return html.escape(str(text))


def _class(judged: Judged) -> str:
    first, *_, last = judged.verdict.word.split() * 2
    return first if first == "not" and last == "reproduced" else last  # holds, fails, where, size, differs, not, ...


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
.holds, .reproduced {{ color: #00614a; font-weight: 600; }}
.fails, .counterexample, .not {{ color: #a33d00; font-weight: 600; }}
.where, .differs {{ color: #004b7a; font-weight: 600; }} .size {{ color: #555; font-weight: 600; }}
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
{summary}
{sections}
<section id="runs"><h2>What was run</h2>
{sweeps}
</section>
</body>
</html>
"""

_SUMMARY = """<div class="wide"><table>
<thead><tr><th>claim</th><th>statement</th><th>setting</th><th>verdict</th><th>why</th></tr></thead>
<tbody>{rows}</tbody></table></div>"""
