"""Tokens in programs against NumPy's integers of 64 bits: the laws, models and metrics of anyone are given 32 bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.models import Model, Output
from rw_jax.models.embeddings import make_embeddings
from rw_jax.models.reduced import reduced_transformer
from rw_jax.training.pieces import Pieces
from rw_jax.training.run import looking_at
from tests.tiny import experiment_and_values, tiny_study

P = 0.7


def shifted(num_nodes):
    """A model that predicts the state 99 after the last token: in 8 bits that is another one."""

    def apply(params, tokens_LxB):
        return Output(jax.nn.one_hot((tokens_LxB[-1] + 99) % num_nodes, num_nodes, axis=0) + params["value"])

    return Model(lambda key, values: {"value": jnp.zeros(())}, apply)


def around(tokens_B, clockwise_B, K):
    """The law of a neighbour of a token, the clockwise one with this probability, float[K, B]."""
    law_KxB = np.zeros((K, len(tokens_B)))
    walks = np.arange(len(tokens_B))
    np.add.at(law_KxB, ((tokens_B + 1) % K, walks), clockwise_B)
    np.add.at(law_KxB, ((tokens_B - 1) % K, walks), 1 - clockwise_B)
    return law_KxB


def clockwise_of(tokens_LxB, K):
    return (tokens_LxB[1:] - tokens_LxB[:-1]) % K == 1


def hidden(tokens_LxB, K):
    clockwise_SxB = clockwise_of(tokens_LxB, K)
    likely, unlikely = (np.where(clockwise_SxB, p, 1 - p).prod(axis=0) for p in (P, 1 - P))
    return (likely * P + unlikely * (1 - P)) / (likely + unlikely)


CLOCKWISE = {
    "circle": lambda tokens_LxB, K: np.full(tokens_LxB.shape[1], P),
    "lagged": lambda tokens_LxB, K: np.full(tokens_LxB.shape[1], P),
    "persistent": lambda tokens_LxB, K: np.where(clockwise_of(tokens_LxB, K)[-1], P, 1 - P),
    "hidden_direction": hidden,
}
"""By task: (tokens, K) -> the probability of the clockwise neighbour."""


@pytest.mark.parametrize("num_nodes", [3, 12, 27, 64, 65, 100, 126, 127, 128, 129, 255, 256, 300])
@pytest.mark.parametrize("task", CLOCKWISE)
def test_laws_and_models_are_right_with_any_number_of_states(task, num_nodes):
    fields = {"task.name": task, "task.num_nodes": num_nodes, "task.walk_length": 9, "task.test_walks": 200}
    options = {"task.options.lag": 3} if task == "lagged" else {}
    config = tiny_study(fields={**fields, **options, "task.p": P, "model.position_width": 9})
    experiment, values = experiment_and_values(config, Pieces(objects={"form": shifted}))
    found = jax.device_get(looking_at(experiment, values)({"value": jnp.zeros(())}))
    tokens_LxB = found["tokens_LxB"].astype(np.int64)
    assert found["tokens_LxB"].dtype == found["targets_B"].dtype == np.int32
    assert tokens_LxB.max() > 0.9 * (num_nodes - 1)
    seen_B = tokens_LxB[-3] if task == "lagged" else tokens_LxB[-1]
    law_KxB = around(seen_B, CLOCKWISE[task](tokens_LxB, num_nodes), num_nodes)
    np.testing.assert_allclose(found["law_KxB"], law_KxB, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(found["output_KxB"].argmax(axis=0), (tokens_LxB[-1] + 99) % num_nodes)


@pytest.mark.parametrize("num_nodes", [126, 127, 128])
def test_packed_tokens_change_no_bit(num_nodes):
    """Of a model with tokens that are missing, which are K, too."""
    model = reduced_transformer(make_embeddings(num_nodes, 4, 4), "none", 0, "zero", has_gaps=True)
    tokens_LxB = np.arange(3 * 87, dtype=np.int32).reshape(3, 87) % (num_nodes + 1)
    keys = jax.random.split(jax.random.key(0), 3)
    shapes = model.init(keys[0], {"init_scale": 0.0})
    params = {name: jax.random.normal(key, leaf.shape) for key, (name, leaf) in zip(keys, shapes.items(), strict=True)}
    packed = model.pack(jnp.asarray(tokens_LxB))
    assert packed.dtype == (jnp.int8 if num_nodes < 128 else jnp.int32)
    np.testing.assert_array_equal(packed, tokens_LxB)
    apply = jax.jit(model.apply)
    one, other = apply(params, packed), apply(params, tokens_LxB)
    jax.tree.map(np.testing.assert_array_equal, one, other)
