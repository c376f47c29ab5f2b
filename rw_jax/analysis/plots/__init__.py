"""Every picture, each with the numbers it shows; the only door to Matplotlib.

A figure function takes a Run and the labels of one setting, by name as for `Run.params`, and returns (figure, numbers);
`save` writes PNG, SVG and CSV. It draws the finished runs that have these labels, for each p over all their seeds;
p and seed may be among the labels, every other axis that does not advance together with p must be.

Intervals are 95% t intervals of a mean over seeds. Where all that is possible lies in [0, 1] they are drawn cut off at
0 and 1; the numbers keep them whole. States count from 0, as in the arrays; slots count from 1 to N, as in the paper.
"""

from rw_jax.analysis.plots.drawing import save
from rw_jax.analysis.plots.sweeps import (
    accuracy_against_p,
    attention_against_position,
    curves,
    settings,
    value_matrices,
    write_figures,
)

__all__ = [
    "accuracy_against_p",
    "attention_against_position",
    "curves",
    "save",
    "settings",
    "value_matrices",
    "write_figures",
]
