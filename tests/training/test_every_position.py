"""Training on what follows every token, against losses of walks that are cut, slot by slot in NumPy."""

import jax
import numpy as np
import pytest

from rw_jax.training.run import init, prepare
from rw_jax.training.walks import draw_training_walks
from tests.models.test_decoder import K, N, shape_of, slow
from tests.tiny import experiment_and_values, some, tiny_study

B = 2
NONE = K
"""In the place of a token that is missing."""

PARTS = {
    "last token": {"query": "last"},
    "last token, rotary": {"query": "last", "positions": "rotary", "key_width": 2, "residual": "on", "heads": 2},
    "last token, everything": {
        "query": "last", "positions": "learned", "key_width": 2, "heads": 2, "layers": 2, "residual": "on",
        "feed_forward_width": 3, "layer_norm": "on", "embedding": "learned", "embedding_width": 4,
    },
    "empty slot": {},
    "empty slot, residual stream": {"key_width": 2, "residual": "on", "layers": 2},
}  # fmt: skip


def study(parts, target="all"):
    fields = {f"model.{name}": value for name, value in parts.items()}
    model = {"form": "decoder", "init": "gaussian", "init_scale": 0.5, "position_width": 8}
    fields |= {f"model.{name}": value for name, value in model.items()}
    fields |= {"task.num_nodes": K, "task.walk_length": N, "task.walks": B, "precision": "float64"}
    return tiny_study(fields={**fields, "training.loss": "cross_entropy", "training.target": target})


def walks_of(config):
    """The training walks: tokens, int[B, N-1], and targets."""
    walks = draw_training_walks(*experiment_and_values(config))
    return np.asarray(walks.tokens_LxB).T, np.asarray(walks.targets_B)


def loss_by_hand(params, parts, states):
    """The mean over walks and n = 1, ..., N - 1 of the cross-entropy of state n + 1, from the walk cut after n."""
    shape, losses = shape_of(**parts), []
    for walk in states:
        for n in range(1, N):
            cut = np.where(np.arange(N - 1) < n, walk[:-1], NONE)
            # At the last of the tokens that are left, or at the empty slot after all.
            output_K = slow(params, cut, shape)[0][n - 1 if parts.get("query") == "last" else -1]
            losses.append(np.log(np.exp(output_K).sum()) - output_K[walk[n]])
    return np.mean(losses)


@pytest.mark.slow
@pytest.mark.parametrize("name", some(PARTS, "last token, rotary"))
def test_the_loss_on_all_targets_is_the_mean_over_walks_that_are_cut_and_so_is_its_gradient(name, float64):
    config, parts = study(PARTS[name]), PARTS[name]
    states = np.column_stack(walks_of(study(parts, "last")))
    tokens, targets = walks_of(config)
    if parts.get("query") == "last":  # one walk predicts at all of its tokens
        np.testing.assert_array_equal(np.column_stack([tokens, targets]), states)
    else:  # every target has a walk of its own
        assert len(targets) == B * (N - 1)
        np.testing.assert_array_equal(np.sum(tokens == NONE, axis=1), np.repeat(np.arange(N - 1)[::-1], B))
    experiment, values = experiment_and_values(config)
    run, state = prepare(experiment, values), init(experiment, values)
    measured, gradients = jax.jit(run.objective)(state.params, state.step, jax.random.key(0))
    params = {leaf_name: np.asarray(leaf) for leaf_name, leaf in state.params.items()}
    assert float(measured["train_loss"]) == pytest.approx(loss_by_hand(params, parts, states), rel=1e-10)
    rng, shift = np.random.default_rng(0), 1e-4
    for leaf_name, leaf in params.items():
        direction = rng.normal(size=leaf.shape)
        ends = [loss_by_hand({**params, leaf_name: leaf + sign * shift * direction}, parts, states) for sign in (1, -1)]
        slope = np.sum(np.asarray(gradients[leaf_name]) * direction)
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * shift), rel=1e-5, abs=1e-8), leaf_name
        assert np.abs(slope) > 1e-5, leaf_name
