"""The theorem report: the setting that every claim of the paper is tested around.

    python -m studies theorems

The sweeps of the report (studies/paper/sweeps.py) start from this setting and change what each is about. By itself,

    python -m rw_jax.main --config=studies/paper/configs/theorems.py

trains its one run. Time: the report takes 13 minutes on 2 cores, a second call a minute. Expect Theorem 4.1
to hold as worded; of Theorem 3.1 accuracy and attention, unless nodes are many, and the limit of V only at p = 1/2.
"""

import ml_collections

import rw_jax


def get_config() -> ml_collections.ConfigDict:
    config = rw_jax.base_config()
    config.name = "theorems"
    return config
