"""Why a panel of a page makes no sense for a run, in sentences."""

from rw_jax.analysis.replay import Replay
from rw_jax.study.config import Config
from rw_jax.study.fields import without_digest


def form_of(config: Config) -> str:
    """The model of a run, for the beginning of a sentence."""
    return f"A model of the form {without_digest(config.model.form)!r}"


def unlike_the_paper(config: Config, multiplies: bool) -> str:
    """Why the output is not a K x K matrix V times the token that one head averages, in a sentence; "" if it is.

    Args:
      config: of a run.
      multiplies: whether its model says so (`Replay.multiplies_average`); that its V is on one-hot tokens it need not.
    """
    model = config.model
    if model.heads != 1:
        return f"The model has {model.heads} heads."
    if model.feed_forward_width:
        return "The model has a feed-forward layer."
    if model.position_place != "beside":
        return "Positions are added to tokens."
    if model.embedding != "one_hot":
        return "Embeddings of tokens are not one-hot."
    return "" if multiplies else f"The model is of the form {without_digest(model.form)!r}."


def unlike_the_first_steps(replay: Replay, multiplies: bool) -> str:
    """Why c_k does not tell where the first two steps take attention, in a sentence; "" if it does.

    Args:
      replay: of a run.
      multiplies: as of `unlike_the_paper`.
    """
    config = replay.config
    training, found = config.training, unlike_the_paper(config, multiplies)
    loss, optimizer = (without_digest(name) for name in (training.loss, training.optimizer))
    for is_so, words in (
        (not replay.is_of_log_loss, f"the loss is {loss!r}"),
        (not replay.sums_gradients, f"the optimizer is {optimizer!r}"),
        (config.model.init != "zero", "training does not start from zero weights"),
        (bool(training.stages), "training has several stages"),
        (training.target != "last", "every token is a target"),
    ):  # fmt: skip
        if is_so and not found:
            found = f"c_k is that of gradient descent on the log-loss from zero weights, but {words}."
    return found
