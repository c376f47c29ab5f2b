"""The questions of section 6 against their sentences, written and answered by hand."""

import collections
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.tasks import questions

WORDS = questions.VOCABULARY


def sentences(tokens_LxB):
    return [" ".join(WORDS[token] for token in tokens) for tokens in np.asarray(tokens_LxB).T]


def asked_and_answered(walks):
    """Every question with its answer and its weight."""
    answers = [WORDS[target] for target in np.asarray(walks.targets_B)]
    return list(zip(sentences(walks.tokens_LxB), answers, np.asarray(walks.weights_B), strict=True))


@functools.cache
def population(task):
    return jax.jit(task().population)


def test_the_vocabulary_has_the_nineteen_words_in_the_order_of_the_paper():
    assert " ".join(WORDS) == (
        "apple orange Based on the which type of fruit list appears most frequently sentence I prefer an to do"
    )
    assert len(set(WORDS)) == 19


@pytest.mark.parametrize("p", [0.5, 0.2, 1.0])
def test_task_1_asks_which_fruit_of_five_is_the_most_frequent(p, float64):
    asked = asked_and_answered(population(questions.majority)({"p": p}))
    expected = {}
    for words in itertools.product(("apple", "orange"), repeat=5):
        question = f"Based on the list {' '.join(words)} which type of fruit appears most frequently"
        apples = words.count("apple")
        expected[question] = ("apple" if apples > 2 else "orange", p**apples * (1 - p) ** (5 - apples))
    assert len(asked) == len(expected) == 32
    for question, answer, weight in asked:
        assert len(question.split()) == 16
        assert (answer, pytest.approx(weight, abs=1e-15)) == expected[question]


@pytest.mark.parametrize("p", [0.5, 0.2, 1.0])
def test_task_2_asks_which_fruit_is_preferred(p, float64):
    asked = asked_and_answered(population(questions.preference)({"p": p}))
    beginning, end = "Based on the sentence I prefer an", "which type of fruit do I prefer"
    assert asked == [
        (f"{beginning} apple to an orange {end}", "apple", p),
        (f"{beginning} orange to an apple {end}", "orange", 1 - p),
    ]
    assert len(asked[0][0].split()) == 18


@pytest.mark.parametrize("task", [questions.majority, questions.preference])
@pytest.mark.parametrize("p", [0.5, 0.8])
def test_questions_are_drawn_as_often_as_their_probability_says(task, p):
    number = 4000
    walks = jax.jit(task().sample, static_argnums=1)(jax.random.key(0), number, {"p": p})
    assert (np.asarray(walks.weights_B) == 1).all()
    counts = collections.Counter((question, answer) for question, answer, _ in asked_and_answered(walks))
    chances = {
        (question, answer): weight for question, answer, weight in asked_and_answered(population(task)({"p": p}))
    }
    assert set(counts) <= set(chances)
    for asked, chance in chances.items():
        assert abs(counts[asked] - number * chance) < 4 * np.sqrt(number * chance * (1 - chance))


@pytest.mark.parametrize("task", [questions.majority, questions.preference])
def test_the_law_of_the_answer_is_certain(task):
    walks = population(task)({"p": 0.3})
    law_KxB = np.asarray(task().next_state_law(walks.tokens_LxB, {"p": 0.3}))
    np.testing.assert_array_equal(law_KxB.T, np.eye(19)[np.asarray(walks.targets_B)])


@pytest.mark.parametrize("task", [questions.majority, questions.preference])
def test_float64_runs_see_the_questions_of_their_float32_twins(task):
    draw = functools.partial(task().sample, jax.random.key(3), 200)
    single = draw({"p": jnp.float32(0.3)})
    with jax.enable_x64(True):
        double = draw({"p": jnp.float64(0.3)})
    np.testing.assert_array_equal(single.tokens_LxB, double.tokens_LxB)
