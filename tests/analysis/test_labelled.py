"""What comes back along the axes that are left out: structures that differ, lists of runs, steps that differ."""

import numpy as np
import pytest

import rw_jax
from tests.tiny import assert_sentence, tiny_study


@pytest.mark.slow
def test_metrics_that_one_structure_alone_has_are_nan_for_the_others(tmp_path):
    run = rw_jax.sweep(tiny_study(fields={"model.init": "gaussian"}, heads=(1, 2), seed=(0, 1)), tmp_path / "run")
    found = run.evaluate()
    assert found["accuracy"].dims == ("heads", "seed")
    recorded = run.metrics["head_parent_attention"].isel(step=-1)
    np.testing.assert_allclose(found["head_parent_attention"], recorded, rtol=1e-6)
    assert np.isnan(found["head_parent_attention"].sel(heads=1)).all()
    for wrong in (lambda: run.spectrum(heads=2), lambda: run.blocks(heads=2, seed=0)):
        with pytest.raises(rw_jax.RunError) as refused:
            wrong()
        assert_sentence(str(refused.value))
    assert run.spectrum(heads=1).sizes == {"seed": 2, "mode": 4}


def test_of_a_list_of_runs_those_with_the_labels_are_along_it(tmp_path):
    run = rw_jax.sweep(tiny_study(p=(0.5, 0.5, 1.0), seed=(0, 1, 0), zipped=(("p", "seed"),)), tmp_path / "run")
    assert run.lag(p=0.5).sizes == {"p": 2}
    np.testing.assert_array_equal(run.lag(p=0.5)["seed"], [0, 1])
    assert run.lag(p=1.0).sizes == {}
    with pytest.raises(rw_jax.RunError, match=r"no cell has p = 0\.3"):
        run.lag(p=0.3)


@pytest.mark.slow
def test_a_trajectory_of_runs_of_different_lengths_is_nan_where_a_run_has_no_parameters(tmp_path):
    run = rw_jax.sweep(tiny_study(steps=(2, 5)), tmp_path / "run")
    whole = run.trajectory("value")
    assert whole.dims == ("steps", "step", "next", "now")
    assert whole["step"].values.tolist() == [0, 2, 5]
    np.testing.assert_array_equal(whole.sel(steps=5, step=2), run.value_matrix(steps=5, step=2))
    assert np.isnan(whole.sel(steps=2, step=5)).all()
    assert run.trajectory("value", steps=2)["step"].values.tolist() == [0, 2]
