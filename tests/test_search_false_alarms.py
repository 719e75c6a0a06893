"""False-alarm rates: units, laws, intervals, calibrated p-values, extrapolation on request."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, poisson

from ligo_cpc_snn.search.false_alarms import (
    YEAR_SECONDS,
    false_alarms,
    fit_tail,
    poisson_interval,
)

MONTH = YEAR_SECONDS / 12


def rates(statistic, background, seconds=MONTH, analysed=86400.0, **choices):
    return false_alarms(
        np.asarray(statistic, np.float64),
        np.asarray(background, np.float64),
        background_seconds=seconds,
        analysed_seconds=analysed,
        **choices,
    )


def test_rates_are_per_year_of_what_the_background_holds():
    """4 of 10 peaks in a month are as loud or louder: (4 + 1) x 12 a year."""
    found = rates([7.0, 6.5, 99.0], np.arange(1, 11))
    np.testing.assert_allclose(found.far_per_year, [60, 60, 12])
    np.testing.assert_allclose(found.ifar_years, [1 / 60, 1 / 60, 1 / 12])
    np.testing.assert_allclose(
        found.p_value, 1 - np.exp(-86400 / YEAR_SECONDS * np.array([60, 60, 12]))
    )
    np.testing.assert_array_equal(found.upper_limit, [False, False, True])
    assert not found.extrapolated.any()
    # Garwood's 90 % interval of 4 and of 0, from tables: 1.366 to 9.154, 0 to 2.996.
    np.testing.assert_allclose(found.far_low_per_year, 12 * np.array([1.366, 1.366, 0]), rtol=1e-3)
    np.testing.assert_allclose(
        found.far_high_per_year, 12 * np.array([9.154, 9.154, 2.996]), rtol=1e-3
    )


@settings(max_examples=60, deadline=None)
@given(
    statistic=st.lists(st.integers(-5, 30), min_size=1, max_size=20).map(sorted),
    background=st.lists(st.integers(-5, 20), max_size=40),
    extrapolate=st.booleans(),
)
def test_louder_is_never_more_often_and_nothing_is_below_the_resolution(
    statistic, background, extrapolate
):
    extrapolate = extrapolate and len(set(background)) > 15
    found = rates(statistic, background, extrapolate=extrapolate)
    assert np.all(np.diff(found.far_per_year) <= 0)
    assert np.all(np.diff(found.p_value) <= 0)
    assert np.all(found.far_low_per_year <= found.far_per_year)
    assert np.all(found.far_per_year <= found.far_high_per_year)
    louder = [sum(b >= s for b in background) for s in statistic]
    counted = ~found.extrapolated
    resolved = np.maximum(np.array(louder), 1) * 12  # per year, of a month of background
    assert np.all(found.far_per_year[counted] >= resolved[counted] - 1e-9)
    np.testing.assert_array_equal(found.upper_limit | found.extrapolated, np.equal(louder, 0))
    if not extrapolate:
        assert counted.all()


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Garwood's is exact or wider: at least 90 % for any mean."""
    for mean in (0.3, 1.0, 3.7, 20.0):
        count = np.arange(200)
        low, high = poisson_interval(count)
        covered = poisson.pmf(count, mean)[(low <= mean) & (mean <= high)].sum()
        assert 0.9 <= covered < 0.995


def test_p_values_of_noise_are_uniform():
    """The loudest of each of 2000 searches of noise, each with a background of its own."""
    rng = np.random.default_rng(0)
    year = YEAR_SECONDS
    p = []
    for _ in range(2000):
        background = rng.exponential(size=rng.poisson(2000))
        found = rng.exponential(size=rng.poisson(10))
        loudest = [found.max()] if found.size else [-1.0]
        p.append(rates(loudest, background, seconds=200 * year, analysed=year).p_value[0])
    assert kstest(p, "uniform").pvalue > 0.01
    # Without the +1 they are not: too many small ones.
    assert np.mean(np.array(p) < 0.01) == pytest.approx(0.01, abs=0.007)


def test_extrapolation_is_on_request_marked_and_right_for_an_exponential():
    rng = np.random.default_rng(2)
    truth, found = [], []
    for _ in range(300):
        background = rng.exponential(scale=0.5, size=1000)
        statistic = np.array([background.max() + 1.0])
        one = rates(statistic, background, extrapolate=True)
        assert one.extrapolated.all()
        assert not one.upper_limit.any()
        plain = rates(statistic, background)
        assert plain.upper_limit.all()
        assert one.far_per_year[0] < plain.far_per_year[0] == pytest.approx(12)
        truth.append(12 * 1000 * np.exp(-statistic[0] / 0.5))
        found.append((one.far_low_per_year[0], one.far_per_year[0], one.far_high_per_year[0]))
    low, middle, high = np.array(found).T
    assert 0.8 < np.mean((low <= truth) & (truth <= high)) < 0.99
    assert np.median(middle / truth) == pytest.approx(1, abs=0.25)
    counted = rates([1.0], background, extrapolate=True)
    assert not counted.extrapolated.any()  # what is counted stays counted


def test_extrapolation_refuses_what_has_no_tail():
    assert fit_tail(np.arange(12.0)).peaks == 11
    with pytest.raises(ValueError, match=r"background of 5 peaks.*needs 11"):
        rates([99.0], np.arange(5.0), extrapolate=True)
    with pytest.raises(ValueError, match="no tail"):
        rates([99.0], np.ones(50), extrapolate=True)
    with pytest.raises(ValueError, match="expected more than 0"):
        rates([99.0], [], seconds=0.0)
    assert rates([], np.arange(5.0), extrapolate=True).far_per_year.size == 0
    assert rates([1.0], []).far_per_year[0] == pytest.approx(12)
