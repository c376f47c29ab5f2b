"""Pages of a study that shows more than claims."""

import json

import pandas as pd
import pytest
from matplotlib.figure import Figure

from rw_jax import ConfigError
from studies import runner
from studies.claim import Claim
from studies.evidence import evidence, row
from studies.rules import Within
from studies.study import Exhibit, Study
from studies.sweeps import StudyCommand

NUMBERS = pd.DataFrame({"a": [1.5, 2.5]})


def picture():
    figure = Figure()
    figure.subplots().plot([0, 1])
    return figure, NUMBERS


STUDY = Study(
    name="mine",
    title="Mine",
    introduction="What it is.",
    claims=(
        Claim(
            name="one",
            reference="Lemma 1",
            setting="here",
            statement="It is so.",
            measure=lambda: evidence([row({"p": 0.5}, 1.0)]),
            rule=Within(0, 2, "Why."),
            labels=("p",),
        ),
    ),
    exhibits=(
        Exhibit(name="seen", title="What is <seen>", make=picture, section="one"),
        Exhibit(
            name="numbers", title="The numbers", make=lambda: NUMBERS, sentences=lambda rows: [f"{len(rows)} of them."]
        ),
    ),
)


def test_exhibits_stand_in_their_sections_with_their_numbers_and_what_they_say(tmp_path):
    written = runner.run(STUDY, StudyCommand(tmp_path))
    assert written.lines() == ["Lemma 1 (here): It is so: holds; 1 of 1 settings agree", "2 of them."]
    page, markdown = written.path.read_text(), written.path.with_suffix(".md").read_text()
    assert page.count("<section") == 3
    assert page.index('<section id="one">') < page.index("data:image/png;base64,") < page.index('id="numbers"')
    assert "What is &lt;seen&gt;" in page
    assert "<li>2 of them.</li>" in page
    assert "![What is <seen>](figures/seen.png)" in markdown
    assert "- 2 of them." in markdown
    assert '## <a id="numbers"></a>The numbers' in markdown
    assert "Nothing was trained." in page
    assert "Nothing was trained." in markdown
    for name in ("figures/seen", "tables/numbers"):
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / f"{name}.csv"), NUMBERS)
    assert json.loads((tmp_path / "report.json").read_text())["told"] == {"numbers": ["2 of them."]}


def test_a_report_of_some_sections_leaves_the_whole_report_as_it_is(tmp_path):
    runner.run(STUDY, StudyCommand(tmp_path))
    whole = (tmp_path / "report.html").read_bytes()
    written = runner.run(STUDY, StudyCommand(tmp_path, parts=("numbers",)))
    assert written.path == tmp_path / "numbers.html"
    assert (written.judged, written.sentences) == ([], ["2 of them."])
    assert (tmp_path / "report.html").read_bytes() == whole
    with pytest.raises(ConfigError, match=r"the part of mine is 'two', but must be one of one, numbers\."):
        runner.run(STUDY, StudyCommand(tmp_path, parts=("two",)))
