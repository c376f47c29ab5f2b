"""Stages of a training as a word."""

import pytest

from rw_jax.study.stages import STAGES, same_program, stages_of
from rw_jax.training.values import labels_of_stages


def test_a_word_names_the_first_step_of_each_stage_and_what_changes():
    stages = stages_of("20: p=0.9;100:p=1 learning_rate=1e-2 family=cycle")
    assert [stage.first for stage in stages] == [20, 100]
    assert [stage.changes for stage in stages] == [{"p": 0.9}, {"p": 1.0, "learning_rate": 0.01, "family": "cycle"}]
    assert stages_of("") == stages_of(" ") == ()


def test_numbers_are_those_of_the_field_and_names_have_one_order():
    assert repr(stages_of("2: horizon=2 p=1 noise=0.5")[0].changes) == "{'horizon': 2, 'noise': 0.5, 'p': 1.0}"
    assert STAGES.read("2: p=1 epsilon=3") == STAGES.read("2: epsilon=3 p=1") == "2: epsilon=3 p=1"


def test_what_a_stage_does_not_name_stays_as_it_was():
    labels = labels_of_stages({"p": 0.5, "epsilon": 0.1, "stages": "2: p=0.7; 4: epsilon=1"})
    assert [(each["p"], each["epsilon"]) for each in labels] == [(0.5, 0.1), (0.7, 0.1), (0.7, 1)]


@pytest.mark.parametrize("number", [0.1, 1 / 3, 1e-9, 123456789.123, 1.0])
def test_words_that_mean_the_same_are_the_same_and_keep_every_digit(number):
    word = STAGES.read(f" 20:p={number!r}  epsilon=2.0 ")
    assert STAGES.read(word) == word
    assert stages_of(word)[0].changes == {"p": number, "epsilon": 2.0}
    assert STAGES.read("20: p=1.0") == STAGES.read("20:  p=1") == "20: p=1"


@pytest.mark.parametrize(
    "word",
    ["p=1", "20", "20:", "20: p", "20: p=", "20: 3=4", "0: p=1", "-1: p=1", "9: p=1; 9: p=0", "9: p=1; 2: p=1",
     "20: p=1 p=0", "20: p=1;", "x: p=1", "99999999999: p=1", 20, None],
)  # fmt: skip
def test_other_words_are_refused(word):
    with pytest.raises(ValueError, match=r"^$"):
        STAGES.read(word)


def test_words_of_as_many_stages_share_a_program():
    assert same_program("20: p=0.9; 30: epsilon=3") == same_program("1: p=0; 2: p=0") == "1: p=0; 2: p=0"
    assert same_program("") == ""
