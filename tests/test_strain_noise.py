"""Simulated noise has the density it was asked for."""

import numpy as np
import pytest
from scipy import signal, stats

from ligo_cpc_snn.strain.curves import Asd, aligo_curve
from ligo_cpc_snn.strain.noise import KEPT_SAMPLES, _kept_amplitudes, coloured_noise

RATE = 2048


def test_density_is_the_curves() -> None:
    curve = aligo_curve()
    noise = coloured_noise(np.random.default_rng(0), curve, samples=512 * RATE, sample_rate_hz=RATE)
    assert noise.dtype == np.float64
    assert noise.shape == (512 * RATE,)
    frequencies, power = signal.welch(noise, RATE, nperseg=4 * RATE, window=("kaiser", 12.0))
    band = (frequencies > 15) & (frequencies < 1000)
    ratio = power[band] / curve.at(frequencies[band]) ** 2
    assert ratio.mean() == pytest.approx(1, abs=0.01)
    assert ratio.std() < 0.12


def test_white_noise_is_gaussian_and_uncorrelated() -> None:
    white = Asd(np.array([1.0, RATE]), np.full(2, np.sqrt(2 / RATE)))
    noise = coloured_noise(np.random.default_rng(1), white, samples=20000, sample_rate_hz=RATE)
    assert stats.kstest(noise, "norm").pvalue > 1e-3
    # A circle of just this length would tie the end to the beginning.
    steep = Asd(np.array([1.0, RATE]), np.array([1.0, 1.0 / RATE]))
    ends = [
        coloured_noise(np.random.default_rng(s), steep, samples=2048, sample_rate_hz=RATE)[[0, -1]]
        for s in range(300)
    ]
    first, last = np.array(ends).T
    assert abs(np.corrcoef(first, last)[0, 1]) < 0.9


def test_repeatable_and_independent() -> None:
    def draw(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return coloured_noise(rng, aligo_curve(), samples=4096, sample_rate_hz=RATE)

    np.testing.assert_array_equal(draw(3), draw(3))
    assert abs(np.corrcoef(np.diff(draw(3)), np.diff(draw(4)))[0, 1]) < 0.3


@pytest.mark.parametrize("samples", [1, 2, 1000, 1021])
def test_any_length(samples: int) -> None:
    rng = np.random.default_rng(5)
    noise = coloured_noise(rng, aligo_curve(), samples=samples, sample_rate_hz=RATE)
    assert noise.shape == (samples,)
    assert np.all(np.isfinite(noise))


def test_no_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="samples=0"):
        coloured_noise(np.random.default_rng(0), aligo_curve(), samples=0, sample_rate_hz=RATE)


def test_long_noise_keeps_no_memory() -> None:
    _kept_amplitudes.cache_clear()
    curve = aligo_curve()
    for samples in (KEPT_SAMPLES // 4, KEPT_SAMPLES // 4, KEPT_SAMPLES):
        rng = np.random.default_rng(0)
        coloured_noise(rng, curve, samples=samples, sample_rate_hz=RATE)
    kept = _kept_amplitudes.cache_info()
    assert (kept.hits, kept.currsize) == (1, 1)
