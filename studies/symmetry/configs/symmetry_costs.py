"""What the remedies for p = 0 and 1 cost at 0 < p < 1, on the paper's 1,000 walks: 2,240 runs.

    python -m rw_jax.main --config=studies/symmetry/configs/symmetry_costs.py
    python -m studies symmetry

Time: about four minutes on 2 cores. Expect small starts and curricula to cost nothing.
"""

import runpy
from pathlib import Path

import ml_collections

import rw_jax

remedies = runpy.run_path(str(Path(__file__).parents[1] / "remedies.py"))


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("symmetry.py"))
    config.name = "symmetry_costs"
    config.task.test_walks = 1000
    config.training.steps, config.record.every = 400, 50
    config.grid.arm = remedies["arms"](remedies["REMEDIES"], (0.5, 0.7, 0.9, 0.99), walks=1000)
    config.grid.seed = range(20)
    return config
