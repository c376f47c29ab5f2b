"""Intervals over seeds: what stands beside every mean and every rate."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.special  # scipy.stats takes a second to import

CONFIDENCE = 0.95
"""Confidence level of every interval of the project."""


class Estimate(NamedTuple):
    """A number with its 95% interval and the number of seeds behind it; the interval is NaN for a single seed."""

    mean: float
    low: float
    high: float
    seeds: int


def mean_interval(values: np.ndarray) -> Estimate:
    """The mean of one number per seed with its t interval. Seeds that are NaN make the mean NaN."""
    values = np.asarray(values, np.float64).ravel()
    mean, seeds = float(np.mean(values)), values.size
    if seeds < 2 or not np.isfinite(mean):
        return Estimate(mean, np.nan, np.nan, seeds)
    error = float(np.std(values, ddof=1) / np.sqrt(seeds))
    half = _t_quantile(seeds - 1) * error
    return Estimate(mean, mean - half, mean + half, seeds)


def rate_interval(successes: np.ndarray) -> Estimate:
    """The share of seeds that succeed (one 0 or 1 per seed) with its Wilson interval."""
    successes = np.asarray(successes, np.float64).ravel()
    rate, seeds = float(np.mean(successes)), successes.size
    z = float(scipy.special.ndtri(0.5 + CONFIDENCE / 2))
    center = (rate + z**2 / (2 * seeds)) / (1 + z**2 / seeds)
    half = z / (1 + z**2 / seeds) * math.sqrt(rate * (1 - rate) / seeds + z**2 / (4 * seeds**2))
    # At the ends the formula gives them up to rounding.
    return Estimate(rate, 0.0 if rate == 0 else center - half, 1.0 if rate == 1 else center + half, seeds)


def confidence_sequence(values: np.ndarray) -> Estimate:
    """The mean of one number from 0 to 1 per seed, with an interval that holds for every number of seeds at once.

    Seeds may be added until it is as narrow as wanted, which an interval for a fixed number does not allow. It holds
    the means m for which the mixture of likelihood ratios, over Beta(1/2, 1/2), is below 1 / 0.05:

      B(S + 1/2, n - S + 1/2) / B(1/2, 1/2) < 20 m^S (1 - m)^(n - S),

    S being the sum of n numbers. Were m the mean, the left side over m^S (1 - m)^(n - S) would be a supermartingale
    that starts at 1, so that it ever reaches 20 with probability at most 0.05 (Ville). Source: Robbins, Annals of
    Mathematical Statistics 41 (1970), for 0 and 1; for numbers in between as the ratio is convex in them
    (Waudby-Smith and Ramdas, JRSS B 86 (2024), for this and narrower ones).

    Raises:
      ValueError: if a number lies outside of 0 to 1.
    """
    values = np.asarray(values, np.float64).ravel()
    n, total = values.size, float(np.sum(values))
    if not n or not np.all((values >= 0) & (values <= 1)):
        raise ValueError("values must be numbers from 0 to 1, and at least one.")
    mean = total / n
    mixed = scipy.special.betaln(total + 0.5, n - total + 0.5) - scipy.special.betaln(0.5, 0.5)

    def is_inside(m: float) -> bool:
        ratio = mixed - scipy.special.xlogy(total, m) - scipy.special.xlogy(n - total, 1 - m)
        return bool(ratio < -math.log(1 - CONFIDENCE))

    def end(outside: float) -> float:
        if is_inside(outside):
            return outside
        inside = mean
        while abs(inside - outside) > 1e-12:
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if is_inside(middle) else (inside, middle)
        return inside

    return Estimate(mean, end(0.0), end(1.0), n)


def of_numbers(estimate: Callable[[np.ndarray], Estimate], values: np.ndarray) -> Estimate:
    """An estimate over the seeds that have a number; a metric of a run that has diverged is NaN."""
    numbers = np.asarray(values, np.float64).ravel()
    numbers = numbers[~np.isnan(numbers)]
    return estimate(numbers) if numbers.size else Estimate(np.nan, np.nan, np.nan, 0)


class Median(NamedTuple):
    """A median with its 95% interval and the number of seeds behind it; the interval is NaN below six seeds."""

    median: float
    low: float
    high: float
    seeds: int


def median_interval(values: np.ndarray) -> Median:
    """The median of one number per seed, infinite ones among them, with the interval between two order statistics.

    The interval runs from the r-th smallest to the r-th largest number, where r is the largest for which it holds the
    median of any law with the confidence at least. Seeds that are NaN make all NaN.
    """
    values = np.sort(np.asarray(values, np.float64).ravel())
    seeds, median = values.size, float(np.median(values))
    below = scipy.special.bdtr(np.arange(seeds), seeds, 0.5)  # that the median lies below the (k+1)-th smallest
    r = int(np.sum(below <= (1 - CONFIDENCE) / 2))
    if r == 0 or np.isnan(median):
        return Median(median, np.nan, np.nan, seeds)
    return Median(median, float(values[r - 1]), float(values[seeds - r]), seeds)


def first_step(reached: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The first of T recorded steps at which each run has reached something, float[runs]; infinite if it never does.

    Args:
      reached: bool[runs, T].
      steps: the recorded steps.
    """
    return np.where(reached.any(axis=1), steps[np.argmax(reached, axis=1)].astype(np.float64), np.inf)


def bootstrap_interval(values: np.ndarray) -> Estimate:
    """The mean of one number per seed with its percentile bootstrap interval over seeds, the same at every call.

    For what need not be normal over seeds, such as fitted slopes. Seeds that are not finite make the mean NaN.
    """
    values = np.asarray(values, np.float64).ravel()
    mean, seeds = float(np.mean(values)), values.size
    if seeds < 2 or not np.isfinite(mean):
        return Estimate(mean, np.nan, np.nan, seeds)
    drawn = np.random.default_rng(0).integers(seeds, size=(_RESAMPLES, seeds))
    low, high = np.quantile(values[drawn].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(mean, float(low), float(high), seeds)


_RESAMPLES = 4000


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least-squares slope of each row of y, float[seeds, points], against x, float[points].

    Their mean is the slope of the mean, so that an interval of the mean of slopes is one of the fit.
    """
    centered = np.asarray(x, np.float64) - np.mean(x)
    return np.asarray(y, np.float64) @ centered / (centered @ centered)


@functools.cache
def _t_quantile(degrees_of_freedom: int) -> float:
    return float(scipy.special.stdtrit(degrees_of_freedom, 0.5 + CONFIDENCE / 2))
