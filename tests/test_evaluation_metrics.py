"""Metrics against independent formulas, and refusals."""

import json

import numpy as np
import pytest
from scipy import stats

from ligo_cpc_snn.evaluation import metrics


def _draw(seed: int, n: int, m: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    noise, signal = rng.normal(size=n), rng.normal(1.0, 1.5, size=m)
    return (noise.round(1), signal.round(1)) if ties else (noise, signal)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_equals_mann_whitney_and_brute_force(ties: bool) -> None:
    noise, signal = _draw(1, 173, 91, ties)
    pairs = np.sign(signal[:, None] - noise[None, :])
    area = metrics.auc(noise, signal)
    u_statistic = stats.mannwhitneyu(signal, noise).statistic
    np.testing.assert_allclose(area.value, np.mean((pairs + 1) / 2), rtol=1e-12)
    np.testing.assert_allclose(area.value, u_statistic / (noise.size * signal.size), rtol=1e-12)
    assert 0 <= area.low < area.value < area.high <= 1


def test_auc_variance_equals_delong_from_pairs() -> None:
    noise, signal = _draw(2, 60, 40, True)
    kernel = (np.sign(signal[:, None] - noise[None, :]) + 1) / 2
    variance = np.var(kernel.mean(1), ddof=1) / 40 + np.var(kernel.mean(0), ddof=1) / 60
    area = metrics.auc(noise, signal)
    logit = lambda p: np.log(p / (1 - p))  # noqa: E731
    expected = 1.959963984540054 * np.sqrt(variance) / (area.value * (1 - area.value))
    np.testing.assert_allclose(logit(area.high) - logit(area.value), expected, rtol=1e-9)
    np.testing.assert_allclose(logit(area.value) - logit(area.low), expected, rtol=1e-9)


def test_auc_interval_covers_the_truth() -> None:
    truth = stats.norm.cdf(1 / np.sqrt(2))
    hits = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        area = metrics.auc(rng.normal(size=80), rng.normal(1.0, 1.0, size=60))
        hits += area.low <= truth <= area.high
    assert 0.92 <= hits / 400 <= 0.98


def test_auc_of_separated_scores_keeps_an_interval() -> None:
    area = metrics.auc(np.arange(50.0), np.arange(100.0, 120.0))
    assert area.value == area.high == 1
    np.testing.assert_allclose(area.low, 0.025 ** (1 / 20), rtol=1e-9)
    inverted = metrics.auc(np.arange(100.0, 120.0), np.arange(50.0))
    assert inverted.value == inverted.low == 0 < inverted.high


def test_auc_of_constant_scores_is_a_half() -> None:
    area = metrics.auc(np.zeros(10), np.zeros(10))
    assert area.value == pytest.approx(0.5)


@pytest.mark.parametrize("ties", [False, True])
def test_roc_integrates_to_auc(ties: bool) -> None:
    noise, signal = _draw(3, 200, 150, ties)
    curve = metrics.roc(noise, signal)
    area = np.trapezoid(curve.true_positive_rates, curve.false_positive_rates)
    np.testing.assert_allclose(area, metrics.auc(noise, signal).value, rtol=1e-12)
    for fpr, tpr, threshold in zip(
        curve.false_positive_rates, curve.true_positive_rates, curve.thresholds, strict=True
    ):
        assert fpr == pytest.approx(np.mean(noise >= threshold))
        assert tpr == pytest.approx(np.mean(signal >= threshold))
    assert json.loads(json.dumps(curve.to_dict()))["thresholds"][0] is None


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("rate", [0.5, 0.1, 0.05])
def test_threshold_is_the_lowest_that_keeps_the_rate(ties: bool, rate: float) -> None:
    noise, signal = _draw(4, 1000, 300, ties)
    threshold = metrics.threshold_at(noise, rate)
    assert np.mean(noise > threshold.value) <= rate
    lower = noise[noise < threshold.value].max()
    assert np.mean(noise > lower) > rate
    found = metrics.true_positive_rate(noise, signal, rate)
    assert found.value == np.mean(signal > threshold.value)


def test_true_positive_rate_interval_is_clopper_pearson() -> None:
    noise, signal = np.arange(100.0), np.r_[np.zeros(7), np.full(3, 200.0)]
    found = metrics.true_positive_rate(noise, signal, 0.1)
    assert found.value == 0.3
    np.testing.assert_allclose(found.low, stats.beta.ppf(0.025, 3, 8), rtol=1e-9)
    np.testing.assert_allclose(found.high, stats.beta.ppf(0.975, 4, 7), rtol=1e-9)


def test_rate_beyond_the_windows_is_refused_with_the_number_needed() -> None:
    with pytest.raises(metrics.UnresolvedRateError, match=r"0\.001 .* 8192 noise .* 10000 or more"):
        metrics.threshold_at(np.arange(8192.0), 1e-3)
    assert metrics.threshold_at(np.arange(10000.0), 1e-3).rate.value == 1e-3


@pytest.mark.parametrize(
    "noise, message",
    [
        (np.array([0.0, np.nan]), "1 non-finite of 2"),
        (np.zeros((2, 2)), r"shape \(2, 2\)"),
        (np.zeros(0), r"shape \(0,\)"),
        (np.zeros(1), "at least 2"),
    ],
)
def test_unusable_scores_are_named(noise: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.auc(noise, np.ones(3))
