"""The remedies at p = 0 and 1 that have not learned by step 100, for 10,000 steps: 1,600 runs.

    python -m rw_jax.main --config=studies/symmetry/configs/symmetry_long.py
    python -m studies symmetry

Time: about ten minutes on 2 cores. Expect no change of what stays.
"""

import runpy
from pathlib import Path

import ml_collections

import rw_jax

remedies = runpy.run_path(str(Path(__file__).parents[1] / "remedies.py"))


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.read_config(Path(__file__).with_name("symmetry.py"))
    config.name = "symmetry_long"
    del config.training.options.eps  # Adam has learned
    config.training.steps, config.record.every = 10_000, 100
    every = remedies["REMEDIES"]
    chosen = [remedy for remedy in every if not remedy.leaves or remedy.name in ("sign", "all positions")]
    config.grid.arm = remedies["arms"](chosen, (0.0, 1.0), walks=120)
    return config
