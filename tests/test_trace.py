"""The counting of the tracer, on a package of two files that is made up here."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "trace.py"

ASKING = """
import dataclasses

from traced_package import doing

@dataclasses.dataclass
class Study:
    p: float

    def look(self):
        return doing.nothing(self)

def ask(p):
    study = Study(p)
    study.look()
    doing.one(p)
    doing.one(0.5)
    doing.several([p, 1], rate=0.25)
    return finish({"p": None})

def finish(values):
    return list(doing.numbers(values))
"""

DOING = """
def nothing(study):
    return None

def one(number):
    return one_more(number)

def one_more(number):
    return number

def several(*lists, **others):
    return nested((lists,))

def nested(lists):
    return None

def numbers(values):
    yield 1
    yield 2
"""


@pytest.fixture(scope="module")
def trace():
    spec = importlib.util.spec_from_file_location("trace_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def calls(trace, tmp_path, monkeypatch):
    """The calls of the made-up package, of which p = 0.625 and rate = 0.25 are followed."""
    folder = tmp_path / "traced_package"
    folder.mkdir()
    for name, text in (("__init__", ""), ("asking", ASKING), ("doing", DOING)):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    asking = importlib.import_module("traced_package.asking")
    yield trace.follow(lambda: asking.ask(0.625), folder, {"p": 0.625, "rate": 0.25})
    for name in [name for name in sys.modules if name.startswith("traced_package")]:
        del sys.modules[name]


def test_calls_that_receive_a_value_are_counted_in_their_order(calls):
    """`Study(0.625)` runs an `__init__` that dataclasses writes, which lies in no file of the package."""
    received = [(call.file, call.function) for call in calls if "p" in call.receives]
    assert received == [
        ("asking.py", "ask"),
        ("doing.py", "one"),
        ("doing.py", "one_more"),
        ("doing.py", "several"),
        ("asking.py", "finish"),
        ("doing.py", "numbers"),
    ]


def test_a_keyword_is_received_by_its_name(calls):
    assert [call.function for call in calls if "rate" in call.receives] == ["several"]


def test_an_object_holds_its_value_and_does_not_receive_it(calls):
    held = [call.function for call in calls if "p" in call.holds]
    assert held == ["ask", "look", "nothing", "one", "one_more", "several", "nested"]


def test_a_generator_is_one_call(calls):
    assert [call.function for call in calls].count("numbers") == 1


def test_a_stay_is_a_run_of_calls_in_one_file(trace, calls):
    assert trace.count_stays(call.file for call in calls if "p" in call.receives) == 4
    assert trace.count_stays([]) == 0
