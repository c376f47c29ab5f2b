"""The table at the end of a sweep, against numbers counted by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rw_jax.analysis import summary
from tests.made_up import SCALARS, run_of


@pytest.fixture
def metrics():
    """At p = 0.5 seeds 0..3, at p = 1 seeds 0, 1; every metric is 0.1 seed at step 0, and 1 more at step 5."""
    values = np.zeros((2, 4, 2)) + 0.1 * np.arange(4)[None, :, None] + np.array([0.0, 1.0])
    values[1, 2:] = np.nan
    variables = {name: (("p", "seed", "step"), values.copy()) for name in SCALARS}
    variables["parent_is_highest"][1][0, :, 1] = [1, 1, 0, 1]
    variables["diverged_at"] = (("p", "seed"), np.full((2, 4), np.nan))
    return xr.Dataset(variables, {"p": [0.5, 1.0], "seed": range(4), "step": [0, 5]})


def test_a_row_is_the_mean_over_the_finished_seeds_at_the_last_step(metrics):
    rows = run_of(metrics).summary()
    assert rows["p"].tolist() == [0.5, 1.0]
    assert rows["seeds"].tolist() == [4, 2]
    np.testing.assert_allclose(rows["accuracy"], [1.15, 1.05])
    # The t quantiles for 3 and 1 degrees of freedom are 3.182 and 12.706.
    half = [3.182 * 0.1 * np.sqrt(5 / 3) / 2, 12.706 * 0.1 * np.sqrt(0.5) / np.sqrt(2)]
    np.testing.assert_allclose(rows["accuracy_high"] - rows["accuracy"], half, rtol=1e-3)
    np.testing.assert_allclose(rows["accuracy"] - rows["accuracy_low"], half, rtol=1e-3)


def test_the_share_of_seeds_comes_with_its_wilson_interval(metrics):
    row = run_of(metrics).summary().iloc[0]
    # Wilson for 3 of 4: centre (3 + z^2/2)/(4 + z^2), z = 1.96.
    assert row["parent_is_highest"] == 0.75
    assert (row["parent_is_highest_low"], row["parent_is_highest_high"]) == pytest.approx((0.3006, 0.9544), abs=1e-4)


def test_a_combination_of_which_no_seed_is_finished_has_no_row(metrics):
    rows = run_of(metrics.where(metrics["p"] < 1)).summary()
    assert rows["p"].tolist() == [0.5]
    assert rows["seeds"].tolist() == [4]


def test_a_metric_that_the_run_does_not_have_has_no_column(metrics):
    rows = run_of(metrics.drop_vars(["optimal_accuracy", "parent_is_highest"])).summary()
    assert "accuracy" in rows
    assert not any(name.startswith(("optimal_accuracy", "parent_is_highest")) for name in rows)
    assert "on the parent" not in summary.show(rows)
    assert "optimal" in summary.show(rows)


def test_a_run_that_diverged_is_left_out_of_the_means_and_counted(metrics):
    metrics["accuracy"][0, 0, 1] = np.nan
    metrics["diverged_at"][0, 0] = 5
    row = run_of(metrics).summary().iloc[0]
    assert (row["seeds"], row["diverged"]) == (4, 1)
    assert row["accuracy"] == pytest.approx(1.2)  # of seeds 1 to 3
    assert "diverged" in summary.show(run_of(metrics).summary())
    assert row["expected_accuracy"] == pytest.approx(1.15)


def test_runs_that_diverged_are_listed_by_their_labels_and_a_long_list_is_cut(metrics):
    assert summary.diverged(metrics) == []
    metrics["diverged_at"][1, :2] = [0, 5]
    assert summary.diverged(metrics) == ["p=1.0 seed=0 from step 0 on", "p=1.0 seed=1 from step 5 on"]
    many = xr.Dataset({"diverged_at": ("seed", np.arange(30.0))}, {"seed": range(30)})
    assert summary.diverged(many)[9:] == ["seed=9 from step 9 on", "and so on"]
    assert summary.diverged(xr.Dataset({"diverged_at": 3.0})) == ["from step 3 on"]


def test_the_table_is_written_as_it_is_and_leaves_no_other_file(metrics, tmp_path):
    rows = run_of(metrics).summary()
    summary.write(rows, tmp_path / "summary.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "summary.csv"), rows)
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.csv"]


def test_the_printed_table_keeps_each_row_on_one_line_with_its_numbers(metrics):
    table = run_of(metrics).summary()
    lines = summary.show(table).splitlines()
    words = ["0.5", "4", "1.150 [0.945, 1.355]", "0.750 [0.301, 0.954]"]
    assert any(all(word in line for word in words) for line in lines)
    assert len(lines) == 1 + len(table)


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (None, ["p", "seeds", "expected", "accuracy", "on", "the", "parent", "optimal"]),
        (80, ["p", "seeds", "expected", "accuracy", "on", "the", "parent", "optimal"]),
        (60, ["p", "seeds", "expected", "accuracy", "on", "the", "parent"]),
        (40, ["p", "seeds", "expected", "accuracy"]),
        (12, ["p", "seeds"]),
        (1, ["p"]),
    ],
)
def test_in_a_narrow_terminal_columns_are_left_out_and_numbers_are_never_cut(metrics, width, words):
    lines = summary.show(run_of(metrics).summary(), width).splitlines()
    assert lines[0].split() == words
    assert max(map(len, lines)) <= max(width or 80, 3)
    assert len({len(line) for line in lines}) == 1  # numbers stand below one another
    numbers = [word for line in lines[1:] for word in line.replace("[", "").replace("]", "").replace(",", "").split()]
    assert all(np.isfinite(float(number)) for number in numbers)


def test_a_long_table_is_cut_and_says_where_the_rest_is():
    values = np.zeros((120, 1, 1))
    metrics = xr.Dataset(
        {
            **dict.fromkeys(SCALARS, (("p", "seed", "step"), values)),
            "diverged_at": (("p", "seed"), np.full((120, 1), np.nan)),
        },
        {"p": np.linspace(0, 1, 120), "seed": [0], "step": [0]},
    )
    assert summary.show(run_of(metrics).summary()).splitlines()[-1] == "The other 20 rows are in summary.csv."
