"""docs/reliability.md is true: its tests are there, and its counts are theirs."""

import re
from pathlib import Path

from tests.analysis.test_run import WRONG_LABELS, WRONG_TOKENS
from tests.sweeps.test_directories import SIZES
from tests.sweeps.test_pieces import PIECES_THAT_DO_NOT_DO, PIECES_THAT_DO_NOT_FIT
from tests.test_main import BAD_COMMAND_LINES, BAD_FILES

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text()


def test_every_test_that_the_page_names_is_there():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    there = {
        name for path in TESTS.rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    assert len(named) > 30
    assert named <= there, named - there
    for file in re.findall(r"`(\S+\.py)`", PAGE):
        assert (TESTS / file).is_file(), file


def test_its_counts_are_those_of_the_tests():
    for count, what in (
        (len(BAD_COMMAND_LINES), "bad command lines"),
        (len(BAD_FILES), "bad config files"),
        (len(WRONG_LABELS), "wrong labels"),
        (len(WRONG_TOKENS), "wrong tokens"),
        (len(SIZES), "sizes that fit no machine"),
        (len(PIECES_THAT_DO_NOT_DO) + len(PIECES_THAT_DO_NOT_FIT), "pieces of your own that do not do"),
    ):
        assert f"{count} {what}" in PAGE, f"{count} {what}"
