"""Intervals against textbook numbers."""

import math

import numpy as np
import pytest

from rw_jax.analysis.statistics import (
    Estimate,
    bootstrap_interval,
    first_step,
    mean_interval,
    median_interval,
    rate_interval,
    slopes,
)


def test_the_mean_interval_is_that_of_the_t_table():
    # Mean 3, sample variance 2.5; the 97.5% quantile of t with 4 degrees of freedom is 2.776.
    estimate = mean_interval(np.array([1, 2, 3, 4, 5]))
    assert estimate.mean == 3
    assert estimate.high - 3 == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=1e-3)
    assert 3 - estimate.low == pytest.approx(estimate.high - 3)
    assert estimate.seeds == 5


def test_equal_values_have_an_interval_of_no_width():
    assert mean_interval(np.full(7, 0.25)) == Estimate(0.25, 0.25, 0.25, 7)


def test_a_single_seed_has_no_interval():
    estimate = mean_interval(np.array([0.5]))
    assert (estimate.mean, estimate.seeds) == (0.5, 1)
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)


def test_a_seed_that_diverged_shows_in_the_mean():
    assert math.isnan(mean_interval(np.array([1.0, np.nan, 2.0])).mean)


@pytest.mark.parametrize(
    ("successes", "seeds", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3 (score interval): 81/263, 15/148, 0/20, 1/29.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_rate_interval_is_that_of_newcombes_table(successes, seeds, low, high):
    estimate = rate_interval(np.arange(seeds) < successes)
    assert estimate.mean == pytest.approx(successes / seeds)
    assert estimate.seeds == seeds
    assert estimate.low == pytest.approx(low, abs=5e-5)
    assert estimate.high == pytest.approx(high, abs=5e-5)


def test_the_rate_interval_is_wilsons_formula_also_for_rates_given_as_floats():
    z, n, x = 1.959964, 16, 13
    centre = (x + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * math.sqrt(x * (n - x) / n + z**2 / 4)
    estimate = rate_interval(np.array([1.0] * 13 + [0.0] * 3))
    assert (estimate.low, estimate.high) == pytest.approx((centre - half, centre + half), rel=1e-6)


@pytest.mark.parametrize(("seeds", "rank"), [(6, 1), (10, 2), (20, 6), (50, 18)])
def test_the_interval_of_a_median_lies_between_the_order_statistics_of_the_sign_test(seeds, rank):
    assert sum(math.comb(seeds, k) for k in range(rank)) / 2**seeds <= 0.025
    assert sum(math.comb(seeds, k) for k in range(rank + 1)) / 2**seeds > 0.025
    values = np.random.default_rng(0).permutation(seeds) + 1.0
    assert median_interval(values) == ((seeds + 1) / 2, rank, seeds + 1 - rank, seeds)


def test_a_median_with_seeds_that_never_arrive_is_infinite_only_if_most_do_not():
    assert median_interval(np.array([1, 2, 3, 4, np.inf, np.inf, np.inf, 2, 3, 1])).median == 3
    assert median_interval(np.full(10, np.inf)) == (np.inf, np.inf, np.inf, 10)
    assert np.isnan(median_interval(np.arange(5.0)).low)
    assert np.isnan(median_interval(np.array([1, 2, 3, 4, 5, 6, np.nan])).median)


def test_the_first_step_is_the_first_recorded_one_and_infinite_where_there_is_none():
    reached = np.array([[False, True, False, True], [False, False, False, False], [True, True, True, True]])
    np.testing.assert_array_equal(first_step(reached, np.array([0, 10, 20, 50])), [10, np.inf, 0])


def test_slopes_are_those_of_lines():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    np.testing.assert_allclose(slopes(x, np.stack([3 * x + 1, 5 - 0.5 * x])), [3, -0.5])
    noisy = np.array([0.0, 1.0, -1.0, 2.0])
    assert slopes(x, noisy[None])[0] == pytest.approx(np.polyfit(x, noisy, 1)[0])


def test_the_bootstrap_interval_of_many_normal_values_is_near_the_t_interval_and_the_same_every_time():
    values = np.random.default_rng(1).normal(5, 2, 400)
    bootstrap, t = bootstrap_interval(values), mean_interval(values)
    np.testing.assert_allclose(bootstrap[:3], t[:3], atol=0.02)
    assert bootstrap == bootstrap_interval(values)


def test_a_single_seed_has_no_bootstrap_interval():
    assert math.isnan(bootstrap_interval(np.array([2.0])).low)
    assert math.isnan(bootstrap_interval(np.array([2.0, np.inf])).low)
