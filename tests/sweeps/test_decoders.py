"""A sweep of decoders that Adam trains on batches, in parts and at once, to the bit."""

import numpy as np
import pytest

import rw_jax
from tests.sweeps.test_pieces import killed_at_save
from tests.tiny import stored_records, tiny_study

PARTS = {"form": "decoder", "query": "last", "positions": "learned", "init": "gaussian", "init_scale": 0.3}
MORE_PARTS = {
    "layers": 2, "heads": 2, "key_width": 2, "residual": "on", "feed_forward_width": 4, "layer_norm": "on",
    "embedding": "learned", "embedding_width": 3,
}  # fmt: skip
TRAINING = {"loss": "cross_entropy", "optimizer": "adam", "learning_rate": 0.02, "batch": 5, "target": "all"}


def study(steps=5, **model):
    fields = {f"model.{name}": value for name, value in {**PARTS, **model}.items()}
    fields |= {f"training.{name}": value for name, value in TRAINING.items()}
    more = {"training.steps": steps, "execution.checkpoint_steps": 2, "execution.cells_per_chunk": 2}
    return tiny_study(p=(0.6, 0.9), seed=(0, 1), fields={**fields, **more})


@pytest.fixture(scope="module")
def whole(sweep_once):
    """Trained in one go."""
    return sweep_once(study())


@pytest.mark.parametrize("saves", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_a_decoder_is_resumed_in_the_midst_of_a_training_to_the_same_bits(saves, whole, sweep_once, tmp_path):
    with killed_at_save(saves), pytest.raises(KeyboardInterrupt):
        sweep_once(study(), tmp_path / "killed")
    assert list((tmp_path / "killed" / "unfinished").iterdir())
    sweep_once(study(), tmp_path / "killed")
    assert stored_records(tmp_path / "killed") == stored_records(whole)
    metrics = rw_jax.load_run(tmp_path / "killed").metrics
    assert metrics.identical(rw_jax.load_run(whole).metrics)
    assert metrics["finished"].all()


@pytest.mark.slow
def test_a_decoder_continues_after_its_end_to_the_bits_of_a_training_in_one_go(whole, sweep_once, tmp_path):
    sweep_once(study(3), tmp_path / "run")
    continued, at_once = rw_jax.load_run(sweep_once(study(), tmp_path / "run")), rw_jax.load_run(whole)
    assert continued.environment["runs"] == 4
    assert stored_records(tmp_path / "run") == stored_records(whole)
    for name, leaf in at_once.params(p=0.9, seed=1).items():
        assert (leaf != at_once.params(p=0.9, seed=1, step=2)[name]).any(), name
        np.testing.assert_array_equal(continued.params(p=0.9, seed=1)[name], leaf)


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint_saves", [1, 2, 3])
def test_a_decoder_with_every_part_is_resumed_to_the_same_bits(checkpoint_saves, sweep_once, tmp_path):
    config = study(**MORE_PARTS)
    whole = sweep_once(config)
    with killed_at_save(checkpoint_saves), pytest.raises(KeyboardInterrupt):
        sweep_once(config, tmp_path / "killed")
    sweep_once(config, tmp_path / "killed")
    assert stored_records(tmp_path / "killed") == stored_records(whole)
