"""Every picture of a sweep, each with the numbers it shows; the door to Matplotlib.

A figure function takes a Run and labels, by name as for `Run.groups`, and returns (figure, numbers); `save` writes PNG,
SVG and CSV. It draws the finished runs that have these labels, a line or a panel for each setting in which they differ,
over all seeds of that setting.

Intervals are 95% t intervals of a mean over seeds. Where all that is possible lies in [0, 1] they are drawn cut off at
0 and 1; the numbers keep them whole. States count from 0, as in the arrays; slots count from 1 to N, as in the paper.
"""

import rw_jax.analysis.plots.backend  # noqa: F401  # before any other loads Matplotlib
from rw_jax.analysis.plots.drawing import save
from rw_jax.analysis.plots.success import main_axis, success_against, success_over, varied
from rw_jax.analysis.plots.sweeps import attention, attention_maps, curves, value_matrices, write_figures

__all__ = [
    "attention",
    "attention_maps",
    "curves",
    "main_axis",
    "save",
    "success_against",
    "success_over",
    "value_matrices",
    "varied",
    "write_figures",
]
