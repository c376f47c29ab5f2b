"""What breaks the symmetric state of p = 0 and 1: every remedy of rw_jax/reports/symmetry.py beside none: 2,800 runs.

At p = 0 or 1 a walk is a function of its first state, so that 120 walks tell as much as 1,000 do.


    python -m rw_jax.main --config=configs/symmetry.py
    python scripts/symmetry.py

Time: about four minutes on 2 cores. Expect every start that is not zero to learn, and most optimizers not to leave.
"""

import ml_collections

import rw_jax
from rw_jax.reports.symmetry import OPTIONS, REMEDIES, fields_of
from rw_jax.study.base import pair_rows


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "symmetry"
    config.task.test_walks = "all"
    config.training.steps = 100
    config.record.parameters = ()
    config.training.options.update(OPTIONS)
    rows = [fields_of(remedy, p, walks=120) for remedy in REMEDIES for p in (0.0, 1.0)]
    pair_rows(config, rows)
    config.grid.seed = range(50)
    return config
