"""The claims of Shi and Cao, Towards Understanding Transformers in Learning Random Walks (arXiv:2511.23239)."""

from studies.paper import appendix_e, lemmas_c, lemmas_d, theorem_3_1, theorem_4_1
from studies.study import Study
from studies.sweeps import beside

INTRODUCTION = (
    "Each claim of Shi and Cao, Towards Understanding Transformers in Learning Random Walks (arXiv:2511.23239), "
    "with what was measured of it and the verdict that a stated rule makes of the numbers. K is the number of "
    "nodes, N the length of a walk, p the probability of a clockwise step, M the width of a position, V the value "
    "matrix, W the key-query matrix, and u and a the scores of states and positions that W gives. Brackets are 95% "
    "intervals over seeds; populations have none, because nothing in them is random. A setting agrees with a claim "
    "if its whole interval lies in the range that the claim allows, and disagrees if it lies outside."
)

ASSUMED = {
    "task": "circle",
    "form": "reduced",
    "unit_length": "none",
    "feed_forward_width": 0,
    "init": "zero",
    "loss": "log",
}
"""What every claim assumes of the setting around which it is tested."""

CLAIMS = (*theorem_3_1.CLAIMS, *theorem_4_1.CLAIMS, *lemmas_c.CLAIMS, *lemmas_d.CLAIMS, *appendix_e.CLAIMS)


def study() -> Study:
    """The theorem report."""
    return Study(
        name="theorems",
        title="Theorem report",
        introduction=INTRODUCTION,
        claims=CLAIMS,
        base=beside(__file__, "theorems"),
        assumed=ASSUMED,
    )
