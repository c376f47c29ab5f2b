"""Two question-answering tasks (section 6 of arXiv:2511.23239), with the vocabulary and sentences of the paper.

A question is a sequence of words, the tokens, and its answer is the word to predict. In Task 1 the averaged token tells
the answer, in Task 2 it does not: the same obstacle as that of deterministic walks.
"""

import itertools
from collections.abc import Callable, Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

from rw_jax.tasks import Task, Walks

VOCABULARY = (
    "apple", "orange", "Based", "on", "the", "which", "type", "of", "fruit", "list", "appears", "most", "frequently",
    "sentence", "I", "prefer", "an", "to", "do",
)  # fmt: skip
"""The K = 19 words; a token is the place of its word."""

_FRUITS = ("apple", "orange")
_APPLE = VOCABULARY.index("apple")


def majority() -> Task:
    """Task 1: "Based on the list w1 w2 w3 w4 w5 which type of fruit appears most frequently"; N = 17.

    Each of the five words is apple with probability p, else orange; the paper has p = 1/2, which makes 32 equally
    likely questions. The answer is the word of the majority.
    """

    def apple_is_right(tokens_LxB):
        return jnp.sum(tokens_LxB == _APPLE, axis=0) >= 3

    lists = [" ".join(words) for words in itertools.product(_FRUITS, repeat=5)]
    questions = [f"Based on the list {words} which type of fruit appears most frequently" for words in lists]
    return _question_answering(questions, [words.count("apple") for words in lists], 5, apple_is_right)


def preference() -> Task:
    """Task 2: "Based on the sentence I prefer an A to an B which type of fruit do I prefer"; N = 19.

    (A, B) is (apple, orange) with probability p, else (orange, apple); the paper has p = 1/2. The answer is A.
    """

    def apple_is_right(tokens_LxB):
        return tokens_LxB[7] == _APPLE  # the eighth word is A

    questions = [
        f"Based on the sentence I prefer an {A} to an {B} which type of fruit do I prefer"
        for A, B in (_FRUITS, _FRUITS[::-1])
    ]
    return _question_answering(questions, [1, 0], 1, apple_is_right)


def _question_answering(
    questions: Sequence[str], apples: Sequence[int], choices: int, apple_is_right: Callable[[jax.Array], jax.Array]
) -> Task:
    """The task of answering questions made by independent choices; `apples` counts the apples of each question."""
    tokens_QxL = np.array([[VOCABULARY.index(word) for word in question.split()] for question in questions], np.int32)
    apples_Q = np.array(apples)

    def answers(tokens_LxB):
        return jnp.where(apple_is_right(tokens_LxB), _APPLE, VOCABULARY.index("orange"))

    def probabilities(p):
        chex.assert_rank(p, 0)
        p = jnp.asarray(p)
        return p**apples_Q * (1 - p) ** (choices - apples_Q)

    def population(values):
        tokens_LxB = jnp.asarray(tokens_QxL.T)
        return Walks(tokens_LxB, answers(tokens_LxB), probabilities(values["p"]))

    def sample(key, num_walks, values):
        # In 32 bits whatever the precision of training, so that a float64 run sees the questions of its float32 twin.
        probability_Q = probabilities(jnp.asarray(values["p"], jnp.float32)).astype(jnp.float32)
        asked_B = jax.random.choice(key, len(tokens_QxL), (num_walks,), p=probability_Q)
        tokens_LxB = jnp.asarray(tokens_QxL.T)[:, asked_B]
        return Walks(tokens_LxB, answers(tokens_LxB), jnp.ones(num_walks, jnp.float32))

    def next_state_law(tokens_LxB, values):
        del values  # the question has its answer whatever its probability
        return jax.nn.one_hot(answers(tokens_LxB), len(VOCABULARY), dtype=jnp.result_type(float), axis=0)

    num_nodes, walk_length = len(VOCABULARY), tokens_QxL.shape[1] + 1
    return Task(num_nodes, walk_length, sample, next_state_law, population, vocabulary=VOCABULARY)
