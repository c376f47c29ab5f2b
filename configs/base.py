"""The paper's setting (section 5) for one run at p = 0.5: every field there is, each with its value.

    python -m rw_jax.main --config=configs/base.py

Other configs derive from this one and change what they are about. Any axis of `grid` that is not None is swept;
axes multiply, unless `zipped` lets some advance together: with

    config.grid.num_nodes = (6, 20)
    config.grid.walk_length = (97, 101)
    config.zipped = (("num_nodes", "walk_length"),)

the grid holds (6, 97) and (20, 101).

Time: a few seconds, most of them compilation. Expect accuracy near 0.5.
"""

import ml_collections
from ml_collections import config_dict

from rw_jax.study.config import AXES


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.name = "base"  # the run directory is runs/<name> unless --workdir is given

    config.task = ml_collections.ConfigDict()
    config.task.name = "circle"  # or "majority", "preference": Tasks 1 and 2 of section 6, with K = 19, N = 17 and 19
    config.task.num_nodes = 6  # K
    config.task.walk_length = 97  # N, states of a walk; the last is the target
    config.task.p = 0.5  # probability of a clockwise step, or of the word apple in a question
    # Training and test walks: so many samples, or "all": every walk there is, weighted by its probability.
    config.task.walks = config_dict.FieldReference(1000, field_type=object)
    config.task.test_walks = config_dict.FieldReference(1000, field_type=object)

    config.model = ml_collections.ConfigDict()
    config.model.form = "reduced"  # or "full": the same training with every entry of W
    config.model.position_width = 1000  # M
    config.model.unit_length = "none"  # or "keys", "both": what is scaled to unit length inside the softmax
    config.model.feed_forward_width = 0  # m, units of the feed-forward layer; 0 for none
    config.model.init = "zero"  # or "gaussian"
    config.model.init_scale = 0.01  # standard deviation of a Gaussian start

    config.training = ml_collections.ConfigDict()
    config.training.loss = "log"  # -log(f_y + epsilon); or "cross_entropy", "squared_error", "hinge"
    config.training.epsilon = 0.1
    config.training.learning_rate = 1.0  # eta
    config.training.steps = 50

    config.record = ml_collections.ConfigDict()
    config.record.every = 1  # steps between recorded metrics
    config.record.parameters = (0, 1, 2, 3, 10, 50)  # beside the first and the last step; later ones are passed over

    config.execution = ml_collections.ConfigDict()
    config.execution.cells_per_chunk = 64  # runs trained and stored together, at most: fewer where memory is short
    config.execution.cells_per_batch = config_dict.placeholder(int)  # runs vmapped together; None: by device
    config.execution.checkpoint_steps = 10_000  # a chunk of longer trainings is kept every so many steps

    config.figures = ml_collections.ConfigDict()
    config.figures.p = (0.5, 0.7, 0.9, 1.0)  # drawn one by one, where they are in the grid

    config.study_seed = 0  # another one draws everything anew
    config.seed = 0
    config.precision = "float32"  # or "float64"

    config.grid = ml_collections.ConfigDict({axis: config_dict.placeholder(tuple) for axis in AXES})
    config.zipped = ()
    return config
