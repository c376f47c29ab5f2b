"""Published numbers: what is read is what was trained and judged."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rw_jax
from rw_jax.analysis import results
from tests.tiny import tiny_study


def test_the_published_sweep_is_that_of_the_table_beside_it():
    published = rw_jax.load_results("sweep")
    assert published.sizes["seed"] == 200
    last = published.isel(step=-1)
    assert float(last["step"]) == 50
    table = pd.read_csv(results.FOLDER / "sweep.csv").set_index("p")
    for name in ("expected_accuracy", "parent_is_highest", "predicts_optimally"):
        means = last[name].mean("seed", dtype=np.float64).to_series()
        np.testing.assert_allclose(means, table.loc[means.index, name], atol=2e-4, err_msg=name)


def test_the_published_verdicts_are_those_of_the_report():
    published = rw_jax.load_results("relatives")
    assert str(published["verdict"].sel(claim="equal-heads").item()) == "holds"
    rows = published.sel(row=published["claim_of_row"] == "relatives-stay")
    assert rows.sizes["row"] == 6
    assert (rows["estimate"] == 1).all()


def test_a_run_and_a_report_are_written_and_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    with pytest.raises(rw_jax.RunError, match="names no published results; those are none here"):
        results.load_results("tiny")
    run = rw_jax.sweep(tiny_study(p=(0.5, 0.7)), tmp_path / "run")
    results.write(results.of_run(run, (0, 2, 77)), tmp_path / "tiny.nc")
    read = results.load_results("tiny")
    assert read["step"].values.tolist() == [0, 2]
    np.testing.assert_allclose(read["accuracy"], run.metrics["accuracy"].sel(step=[0, 2]), rtol=1e-6)
    assert read.attrs["study"] == run.config.name

    rows = [{"p": 0.5, "estimate": 0.25, "low": None, "high": 1.0, "seeds": 3, "agrees": None}]
    told = {"verdict": "holds", "statement": "It is so.", "setting": "p", "reference": "Lemma", "reason": "all"}
    report = {"claims": [{"name": "one", **told, "rows": rows}]}
    Path(tmp_path / "report.json").write_text(json.dumps(report))
    results.write(results.of_report(tmp_path / "report.json"), tmp_path / "verdicts.nc")
    read = results.load_results("verdicts")
    assert (str(read["verdict"].item()), str(read["labels"].item()), str(read["agrees"].item())) == (
        "holds", "p = 0.5", "undecided",
    )  # fmt: skip
    assert read["estimate"].item() == 0.25
    assert np.isnan(read["low"]).all()
    assert results.published() == ("tiny", "verdicts")
