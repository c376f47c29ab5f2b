"""What breaks the symmetric state of p = 0 and 1: every remedy of studies/symmetry/remedies.py beside none: 2,800 runs.

At p = 0 or 1 a walk is a function of its first state, so that 120 walks tell as much as 1,000 do.


    python -m rw_jax.main --config=studies/symmetry/configs/symmetry.py
    python -m studies symmetry

Time: about four minutes on 2 cores. Expect every start that is not zero to learn, and most optimizers not to leave.
"""

import runpy
from pathlib import Path

import ml_collections

import rw_jax

remedies = runpy.run_path(str(Path(__file__).parents[1] / "remedies.py"))


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "symmetry"
    config.task.test_walks = "all"
    config.training.steps = 100
    config.record.parameters = ()
    config.training.options.update(remedies["OPTIONS"])
    config.grid.arm = remedies["arms"](remedies["REMEDIES"], (0.0, 1.0), walks=120)
    config.grid.seed = range(50)
    return config
