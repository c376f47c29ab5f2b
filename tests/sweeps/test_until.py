"""As many seeds as an interval needs, setting by setting, with an interval that may be looked at all the time."""

import numpy as np
import pytest
import scipy.special

import rw_jax
from rw_jax.analysis import plots
from rw_jax.analysis.statistics import confidence_sequence, rate_interval
from rw_jax.sweeps.until import Goal, interval, sweep_until
from tests.tiny import assert_sentence, tiny_study


@pytest.mark.parametrize("values", [[1.0], [0.0, 1.0, 1.0], [0.3, 0.9, 0.2, 0.55], [0.0] * 40, [1.0] * 7 + [0.0] * 60])
def test_a_confidence_sequence_holds_the_means_whose_mixture_is_below_twenty(values):
    # The mixture is an integral over Beta(1/2, 1/2): x = sin^2(t) makes it the mean over t.
    found, n, total = confidence_sequence(values), len(values), sum(values)
    x = np.sin((np.arange(200_000) + 0.5) / 200_000 * np.pi / 2) ** 2
    mixture = np.mean(np.exp(scipy.special.xlogy(total, x) + scipy.special.xlogy(n - total, 1 - x)))
    means = np.linspace(0, 1, 20_001)
    likelihood = np.exp(scipy.special.xlogy(total, means) + scipy.special.xlogy(n - total, 1 - means))
    inside = means[mixture < 20 * likelihood]
    assert found.mean == pytest.approx(total / n)
    assert (found.low, found.high) == pytest.approx((inside[0], inside[-1]), abs=1e-4)
    assert found.seeds == n
    if set(values) <= {0.0, 1.0} and n > 1:  # the price of looking all the time
        fixed = rate_interval(np.array(values))
        assert found.high - found.low > fixed.high - fixed.low


@pytest.mark.parametrize("mean", [0.5, 0.9])
def test_few_confidence_sequences_ever_miss_the_mean_where_many_intervals_of_a_fixed_number_do(mean):
    draws = np.random.default_rng(0).random((400, 200)) < mean
    looks = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 200]

    def ever_missed(estimate):
        found = [[estimate(row[:n].astype(float)) for n in looks] for row in draws]
        return np.mean([any(not each.low <= mean <= each.high for each in row) for row in found])

    assert ever_missed(confidence_sequence) <= 0.05
    assert ever_missed(rate_interval) > 0.1


def test_numbers_outside_of_0_to_1_have_no_confidence_sequence():
    for values in ([0.5, 1.5], [], [np.nan]):
        with pytest.raises(ValueError, match="from 0 to 1"):
            confidence_sequence(values)


@pytest.fixture(scope="module")
def study():
    return tiny_study(p=(0.5, 1.0), seed=(0, 1, 2, 3))


GOAL = Goal(0.45, "parent_is_highest")


@pytest.fixture(scope="module")
def run(study, tmp_path_factory):
    return sweep_until(study, tmp_path_factory.mktemp("until") / "run", GOAL)


def test_each_setting_has_the_seeds_that_its_interval_takes_and_not_many_more(run):
    groups = {group.labels["p"]: group for group in run.groups()}
    found = {p: interval(group, "parent_is_highest") for p, group in groups.items()}
    assert all(each.high - each.low <= 0.45 for each in found.values())
    for p, group in groups.items():
        seeds = [cell.config.seed for cell in group.cells]
        assert seeds == list(range(len(seeds)))
        successes = group.metric("parent_is_highest")[:, -1]
        before = confidence_sequence(successes[: max(4, len(seeds) // 2)])
        assert len(seeds) == 4 or before.high - before.low > 0.45, p
    # At p = 1 no seed attends to the parent, which takes fewer seeds to tell than a share in between.
    assert found[1.0].mean == 0
    assert found[0.5].mean > 0
    assert len(groups[0.5].cells) != len(groups[1.0].cells)


def test_the_runs_are_those_of_a_sweep_and_the_same_call_finds_nothing_to_do(run, study, tmp_path):
    rows = {p: len(group.cells) for group in run.groups() for p in (group.labels["p"],)}
    whole = rw_jax.sweep(tiny_study(p=(0.5, 1.0), seed=tuple(range(max(rows.values())))), tmp_path / "whole")
    for p, count in rows.items():
        for seed in range(count):
            one, other = run.params(p=p, seed=seed), whole.params(p=p, seed=seed)
            for name, leaf in one.items():
                np.testing.assert_array_equal(leaf, other[name])
    written = run.run_dir.metrics_file.stat().st_mtime_ns
    again = sweep_until(study, run.run_dir.path, GOAL)
    assert again.grid.num_cells == run.grid.num_cells
    assert again.run_dir.metrics_file.stat().st_mtime_ns == written


def test_success_is_drawn_against_an_axis_whose_settings_have_different_numbers_of_seeds(run):
    _, numbers = plots.success_against(run, "p")
    assert set(numbers["p"]) == {0.5, 1.0}
    assert plots.write_figures(run, run.run_dir.path / "figures").failed == {}


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        (Goal(0.0), ["--until_width", "0", "0.001"]),
        (Goal(1.5), ["--until_width", "1.5", "below 1"]),
        (Goal(0.4, "kl_divergence"), ["--until_metric", "kl_divergence", "between 0 and 1"]),
        (Goal(0.4, "nonsense"), ["--until_metric", "nonsense", "between 0 and 1"]),
    ],
)
def test_a_goal_that_cannot_be_is_refused_in_a_sentence_before_anything_is_written(goal, words, study, tmp_path):
    with pytest.raises(rw_jax.ConfigError) as refused:
        sweep_until(study, tmp_path / "run", goal)
    assert not (tmp_path / "run").exists()
    assert_sentence(str(refused.value))
    assert all(word in str(refused.value) for word in words)


def test_the_seed_can_be_paired_with_all_other_axes_or_none():
    paired = tiny_study(p=(0.5, 0.5, 1.0), seed=(0, 1, 0), zipped=(("p", "seed"),))
    assert paired.zipped == (("p", "seed"),)
    with pytest.raises(rw_jax.ConfigError, match="paired with all of them"):
        tiny_study(p=(0.5, 1.0), seed=(0, 1), num_nodes=(3, 4), zipped=(("p", "seed"),))
