"""Trees of arrays on disk."""

import errno
import json
import logging
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rw_jax.store import checkpoint
from tests.tiny import contents


def tree(scale):
    return {
        "metrics": {"loss": np.arange(6, dtype=np.float32).reshape(2, 3) * scale, "nan": np.array([np.nan, np.inf])},
        "params": {"value": np.full((2, 1, 3, 3), 0.1 * scale, np.float64), "seed": np.array([1, 2], np.int32)},
        "mean_attention": jnp.linspace(0, scale, 7),
    }


def assert_same_bits(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert isinstance(right, np.ndarray)
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert np.asarray(left).tobytes() == right.tobytes()


def test_what_is_loaded_is_what_was_saved_to_the_bit_as_numpy_arrays(tmp_path):
    checkpoint.save(tmp_path / "tree", tree(1), {})
    assert_same_bits(tree(1), checkpoint.load(tmp_path / "tree"))


def test_a_part_is_loaded_alone(tmp_path):
    checkpoint.save(tmp_path / "tree", tree(1), {})
    assert_same_bits(tree(1)["metrics"], checkpoint.load(tmp_path / "tree", "metrics"))
    assert_same_bits(tree(1)["params"]["value"], checkpoint.load(tmp_path / "tree", "params", "value"))


def test_a_relative_path_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    checkpoint.save(type(tmp_path)("run/tree"), tree(1), {})
    assert_same_bits(tree(1), checkpoint.load(type(tmp_path)("run/tree")))


def test_a_tree_can_be_moved(tmp_path):
    checkpoint.save(tmp_path / "tree", tree(1), {})
    (tmp_path / "tree").rename(tmp_path / "moved")
    assert_same_bits(tree(1), checkpoint.load(tmp_path / "moved"))


def test_a_second_save_replaces_the_first_and_leaves_nothing_else_behind(tmp_path):
    checkpoint.save(tmp_path / "tree", tree(1), {})
    checkpoint.save(tmp_path / "tree", tree(2), {})
    assert_same_bits(tree(2), checkpoint.load(tmp_path / "tree"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["tree"]


def test_the_metadata_can_be_found_without_reading_the_arrays(tmp_path):
    metadata = {"cells": [{"p": 0.5, "seed": 3}], "kept_steps": [0, 50]}
    checkpoint.save(tmp_path / "tree", tree(1), metadata)
    texts = [path.read_text(errors="replace") for path in (tmp_path / "tree").rglob("*") if path.is_file()]
    assert any(json.dumps(metadata)[1:-1].replace(" ", "") in text.replace(" ", "") for text in texts)


def test_a_save_says_nothing_unless_something_is_wrong(tmp_path):
    records = []

    class Listener(logging.Handler):
        def emit(self, record):
            records.append(record)

    logger, listener = logging.getLogger("absl"), Listener()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(listener)
    try:
        checkpoint.save(tmp_path / "tree", tree(1), {})
        checkpoint.load(tmp_path / "tree")
        logger.info("what the sweep says")
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
    assert [record.getMessage() for record in records] == ["what the sweep says"]


@pytest.mark.parametrize("function", ["metadata", "load"])
def test_what_is_intact_is_never_called_damaged(function, tmp_path, monkeypatch):
    """Orbax has errors of many kinds without a number of the system, as where no thread can be started."""
    checkpoint.save(tmp_path / "tree", tree(1), {})

    def refuse(*given, **named):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(checkpoint.ocp, function, refuse)
    with pytest.raises(OSError, match="can't start new thread; its files are as they were written") as refused:
        checkpoint.load(tmp_path / "tree")
    assert refused.value.filename == str(tmp_path / "tree")
    monkeypatch.undo()
    assert_same_bits(tree(1), checkpoint.load(tmp_path / "tree"))


def test_a_tree_in_a_layer_of_an_image_is_set_aside_and_removed(tmp_path, monkeypatch):
    """Overlayfs does not rename a folder that lies in such a layer."""
    checkpoint.save(tmp_path / "tree", tree(1), {})

    def refuse(path, target):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(path))

    monkeypatch.setattr(checkpoint.Path, "rename", refuse)
    before = contents(tmp_path / "tree")
    checkpoint.set_aside(tmp_path / "tree")
    assert [path.name for path in tmp_path.iterdir()] == ["tree.damaged"]
    assert contents(tmp_path / "tree.damaged") == before
    checkpoint.remove(tmp_path / "tree.damaged")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("left", "is_error"), [(".nfs0001", False), ("files.json", True)])
def test_what_a_network_leaves_of_a_removed_file_ends_nothing(left, is_error, tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "tree", tree(1), {})

    def leaves(path):
        for file in path.rglob("*"):
            if file.is_file():
                file.unlink()
        (path / left).touch()
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))

    monkeypatch.setattr(checkpoint.shutil, "rmtree", leaves)
    if is_error:
        with pytest.raises(OSError, match="not empty"):
            checkpoint.remove(tmp_path / "tree")
    else:
        checkpoint.remove(tmp_path / "tree")
        checkpoint.remove_unfinished(tmp_path)
    assert checkpoint.saved(tmp_path) == []
