"""Programs for accelerators: those of every kind of structure are made for CUDA and TPU, which needs no such device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.sweeps import devices
from rw_jax.sweeps.program import make_schedule, make_training
from rw_jax.training.precision import numbers_of
from rw_jax.training.values import run_values
from tests.tiny import checked, some, tiny_study

CHAIN = {"task.name": "chain", "task.options.family": "path"}
DECODER = {
    "model.form": "decoder", "training.optimizer": "adam", "training.loss": "cross_entropy", "model.init": "gaussian",
    "model.layers": 2, "model.heads": 2, "model.residual": "on",
}  # fmt: skip
STRUCTURES = {
    "reduced": {"task.walks": 200},
    "full": {"model.form": "full", "training.optimizer": "adam"},
    "infinite": {"task.walks": "infinite", "precision": "float64"},
    "infinite, chain": {"task.walks": "infinite", **CHAIN},
    "heads, squared error": {"model.heads": 2, "training.loss": "squared_error"},
    "batches": {"training.batch": 4, "training.optimizer": "muon"},
    "feed-forward": {"model.feed_forward_width": 3, "model.init": "gaussian"},
    "dropped tokens": {"training.dropped_tokens": 0.1},
    "decoder": DECODER,
}


@pytest.mark.parametrize("batch", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", some(STRUCTURES, "reduced", "infinite"))
def test_the_program_of_a_structure_is_lowered_for_cuda_and_tpu(name, batch):
    config = tiny_study(fields=STRUCTURES[name], p=(0.7,), seed=(0,))
    mesh = devices.make_mesh(jax.devices()[:1])
    placement = devices.Placement(mesh, cells_per_batch=batch, cells_per_chunk=4, checkpoint_steps=1000)
    experiment, shape, _ = checked(config)

    def rows(leaf):
        return jax.ShapeDtypeStruct((4, *jnp.shape(leaf)), leaf.dtype, sharding=placement.runs)

    with numbers_of(config.precision):
        values, progress = jax.tree.map(rows, (run_values(experiment.labels, experiment), shape))
        batches = jax.ShapeDtypeStruct((1,), np.int32, sharding=placement.runs)
        traced = make_training(experiment, placement).trace(values, progress, batches, make_schedule(experiment, 0, 1))
        for platform in ("cuda", "tpu"):
            text = traced.lower(lowering_platforms=(platform,)).as_text()
            # Classes of walks are sorted, and for a run alone; nothing else of this structure is.
            assert name != "reduced" or ("stablehlo.sort" in text) == (batch == 1)
