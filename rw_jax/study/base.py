"""The paper's setting (section 5) for one run at p = 0.5: every field there is, each with its value."""

import ml_collections
from ml_collections import config_dict

from rw_jax.study.config import ARM, AXES


def _task() -> ml_collections.ConfigDict:
    """What is to be learned."""
    task = ml_collections.ConfigDict()
    task.name = "circle"  # "chain": any Markov chain; "majority", "preference": section 6; "file.py:attribute"
    task.num_nodes = config_dict.FieldReference(6, field_type=int)  # K; None: what the task has
    task.walk_length = config_dict.FieldReference(97, field_type=int)  # N, states of a walk; the last is the target
    task.p = 0.5  # probability of a clockwise step, or of the word apple in a question
    # Training and test walks: so many samples, or "all": every walk there is, weighted by its probability. Training
    # also on "infinite": by the exact loss and gradients of infinitely many walks.
    task.walks = config_dict.FieldReference(1000, field_type=object)
    task.test_walks = config_dict.FieldReference(1000, field_type=object)
    task.options = ml_collections.ConfigDict()  # parameters of a task of your own
    return task


def _model() -> ml_collections.ConfigDict:
    """The transformer, and where it starts."""
    model = ml_collections.ConfigDict()
    # "reduced"; "full": the same training with every entry of W; "decoder": more layers and parts; "file.py:attribute".
    model.form = "reduced"
    model.heads = 1
    model.positions = "sine"  # or "random", "one_hot", "none"; of a decoder also "learned", "rotary"
    model.position_width = 1000  # M
    model.position_place = "beside"  # the tokens; or "added" to them
    model.embedding = "one_hot"  # of tokens; or "random"; of a decoder also "learned"
    model.embedding_width = 0  # 0: num_nodes, or position_width where positions are added
    model.embedding_seed = 0  # of random embeddings, which are the same in all runs
    # Of a decoder alone: where it predicts ("empty" slot, or "last" token), the width of keys and queries (0: merged in
    # W), its layers, and whether they have a residual stream and LayerNorm.
    model.query = "empty"
    model.key_width = 0
    model.layers = 1
    model.residual = "off"
    model.layer_norm = "off"
    model.unit_length = "none"  # or "keys", "both": what is scaled to unit length inside the softmax
    # m, units of the feed-forward layer, with a residual stream of that in each layer; 0 for none.
    model.feed_forward_width = 0
    model.init = "zero"  # or "gaussian"; or another run's parameters: "runs/first?p=0.5&step=50"
    model.init_scale = 0.01  # standard deviation of a Gaussian start
    model.init_place = "both"  # or "value", "scores": where a start is Gaussian, and not zero
    model.options = ml_collections.ConfigDict()
    return model


def _training() -> ml_collections.ConfigDict:
    """How it is learned."""
    training = ml_collections.ConfigDict()
    training.loss = (
        "log"  # -log(f_y + epsilon); or "power" with options.exponent, "cross_entropy", "squared_error", "hinge"
    )
    training.epsilon = 0.1
    training.optimizer = "gd"  # gradient descent; others: docs/extending.md; or "file.py:attribute"
    training.learning_rate = 1.0  # eta
    training.steps = 50
    training.batch = 0  # training walks of a step, drawn for each step anew; 0: all of them
    training.target = "last"  # or "all": every state but the first is predicted from those before it
    # {20: {"p": 0.9}, 100: {"p": 1}}: p = 0.9 from step 20 on, 1 from step 100 on; in a word "20: p=0.9; 100: p=1".
    training.stages = config_dict.FieldReference("", field_type=object)
    # What is wrong with the training walks: shares of wrong targets and of missing tokens, the states of the shortest
    # walk (0: all have walk_length), and the share of walks with another p.
    training.label_noise = 0.0
    training.dropped_tokens = 0.0
    training.shortest_walk = 0
    training.mixed_share = 0.0
    training.mixed_p = 0.5
    training.walk_classes = "on"  # "off": a step always goes over every walk, which takes longer; equal to rounding
    training.options = ml_collections.ConfigDict()
    return training


def base_config() -> ml_collections.ConfigDict:
    """A config of the paper's setting, which every config file derives from. See configs/base.py."""
    config = ml_collections.ConfigDict()
    config.name = "base"  # the run directory is runs/<name> unless --workdir is given

    config.task, config.model, config.training = _task(), _model(), _training()

    config.record = ml_collections.ConfigDict()
    config.record.every = 1  # steps between recorded metrics
    # Steps with parameters, beside the first and the last; later ones are passed over. Or "all" that are recorded.
    config.record.parameters = config_dict.FieldReference((0, 1, 2, 3, 10, 50), field_type=object)
    # Metrics by their names, as in ("accuracy", "parent_attention"), and train_loss always; or "all" there are.
    config.record.metrics = config_dict.FieldReference("all", field_type=object)

    config.execution = ml_collections.ConfigDict()
    config.execution.cells_per_chunk = config_dict.placeholder(int)  # trained and stored together; None: ten seconds
    config.execution.cells_per_batch = config_dict.placeholder(int)  # runs vmapped together; None: by device
    config.execution.checkpoint_steps = 10_000  # a chunk of longer trainings is kept every so many steps

    config.figures = ml_collections.ConfigDict()
    # Drawn one by one, where they are in the grid.
    config.figures.p = config_dict.FieldReference((0.5, 0.7, 0.9, 1.0), field_type=object)

    config.study_seed = 0  # another one draws everything anew
    config.seed = 0
    config.precision = "float32"  # or "float64"

    # Axes: labels as a tuple, a list, a range or an array; None for no axis. And conditions by name, each with changes
    # of fields: config.grid.arm = {"paper": {}, "2 heads": {"heads": 2}}.
    config.grid = ml_collections.ConfigDict({axis: config_dict.placeholder(object) for axis in (ARM, *AXES)})
    config.zipped = ()
    return config
