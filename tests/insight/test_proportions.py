"""Intervals, tests and shrinkage of shares, against other implementations and simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reviewml.insight.proportions import (
    NO_SPREAD,
    compute_difference_intervals,
    compute_equality_p_values,
    compute_wilson_intervals,
    fit_beta_prior,
)


def test_wilson_intervals_are_those_of_scipy() -> None:
    trials = np.repeat(np.arange(1, 30), 30)
    successes = np.tile(np.arange(30), 29)
    possible = successes <= trials
    successes, trials = successes[possible], trials[possible]
    low, high = compute_wilson_intervals(successes, trials, 0.9)
    for k, n, *interval in zip(successes, trials, low, high, strict=True):
        expected = stats.binomtest(int(k), int(n)).proportion_ci(0.9, method="wilson")
        np.testing.assert_allclose(interval, expected, atol=1e-12)
    assert [*compute_wilson_intervals(np.array([0]), np.array([0]), 0.9)] == [0.0, 1.0]


def test_the_test_of_equality_is_near_fishers() -> None:
    random = np.random.default_rng(0)
    trials = random.integers(100, 600, (2, 300))
    successes = random.binomial(trials, 0.4)
    p = compute_equality_p_values(tuple(successes), tuple(trials))
    exact = [
        stats.fisher_exact([[k, n - k], [j, m - j]]).pvalue
        for k, j, n, m in zip(*successes, *trials, strict=True)
    ]
    assert np.all((p >= 0) & (p <= 1))
    assert np.corrcoef(p, exact)[0, 1] > 0.99
    same = compute_equality_p_values(tuple(successes[::-1]), tuple(trials[::-1]))
    np.testing.assert_allclose(p, same, atol=1e-9)


@pytest.mark.parametrize("share", [0.03, 0.2, 0.5])
@pytest.mark.parametrize("trials", [(20, 400), (100, 4_000)])
def test_intervals_hold_the_truth_and_equal_shares_are_seldom_rejected(
    share: float, trials: tuple[int, int]
) -> None:
    random = np.random.default_rng(1)
    n = tuple(np.full(20_000, number) for number in trials)
    k = tuple(random.binomial(number, share) for number in n)
    low, high = compute_difference_intervals(k, n, 0.95)
    assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.985
    assert np.mean(compute_equality_p_values(k, n) <= 0.05) <= 0.055


@pytest.mark.parametrize("weight", [5.0, 40.0])
def test_the_prior_of_shares_is_found(weight: float) -> None:
    random = np.random.default_rng(2)
    trials = random.integers(20, 200, 3_000)
    shares = random.beta(0.3 * weight, 0.7 * weight, 3_000)
    share, fitted = fit_beta_prior(random.binomial(trials, shares), trials)
    assert share == pytest.approx(0.3, abs=0.02)
    assert fitted == pytest.approx(weight, rel=0.15)


def test_shares_that_differ_by_chance_are_shrunk_to_one() -> None:
    random = np.random.default_rng(3)
    trials = np.full(500, 50)
    share, weight = fit_beta_prior(random.binomial(trials, 0.2), trials)
    assert weight > 1_000
    none = np.zeros(3, np.int64)
    assert fit_beta_prior(none, none) == (0.5, NO_SPREAD)
    assert fit_beta_prior(none, none + 10) == (0.0, NO_SPREAD)
    assert share == pytest.approx(0.2, abs=0.01)
