"""Whitening: noise becomes white, a signal's norm becomes its signal-to-noise ratio."""

import numpy as np
import pytest
from scipy import signal

from ligo_cpc_snn.conditioning.psd import median_welch_asd
from ligo_cpc_snn.conditioning.whitening import (
    WhiteningFilter,
    band_pass,
    design_filter,
    response,
    whiten,
)
from ligo_cpc_snn.strain.curves import aligo_curve
from ligo_cpc_snn.strain.noise import coloured_noise

RATE = 2048
BAND = (20.0, 900.0)


@pytest.fixture(scope="module")
def design() -> WhiteningFilter:
    curve = aligo_curve()
    return design_filter(curve.frequencies, curve.values, RATE, 2.0, BAND)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    rng = np.random.default_rng(3)
    return coloured_noise(rng, aligo_curve(), samples=256 * RATE, sample_rate_hz=RATE)


def test_noise_comes_out_white_in_the_band(design: WhiteningFilter, noise: np.ndarray) -> None:
    whitened = whiten(noise, design)
    assert whitened.dtype == np.float32
    assert whitened.size == noise.size - 2 * design.crop
    frequencies, power = signal.welch(whitened.astype(np.float64), RATE, nperseg=2 * RATE)
    flat = (frequencies > 25) & (frequencies < 850)
    # Two-sided density 1 per sample is one-sided 2 / rate in 1/Hz.
    np.testing.assert_allclose(power[flat].mean(), 2 / RATE, rtol=0.01)
    assert power[flat].std() / power[flat].mean() < 0.1
    # The edges lie inside the band, so the variance is a little below band / Nyquist.
    gain = band_pass(frequencies, BAND) ** 2
    assert whitened.var() == pytest.approx(np.trapezoid(gain, frequencies) / (RATE / 2), rel=0.01)


def test_nothing_passes_outside_the_band(design: WhiteningFilter, noise: np.ndarray) -> None:
    # A segment's mean, taken away, would itself put power in the first two bins.
    whitened = whiten(noise, design).astype(np.float64)
    frequencies, power = signal.welch(whitened, RATE, nperseg=2 * RATE, detrend=False)
    outside = (frequencies < 18.5) | (frequencies > 905)
    assert power[outside].max() < 1e-4 * 2 / RATE


def test_filter_is_symmetric_and_odd(design: WhiteningFilter) -> None:
    assert design.taps.size == 2 * RATE + 1
    assert design.crop == RATE
    np.testing.assert_allclose(design.taps, design.taps[::-1], rtol=1e-9, atol=1e-12)


def test_response_is_the_taps_transform(design: WhiteningFilter) -> None:
    frequencies = np.fft.rfftfreq(8 * RATE, 1 / RATE)
    gain = response(design, frequencies)
    offsets = np.arange(-design.crop, design.crop + 1) / RATE
    for i in (0, 160, 800, 4000):
        direct = np.sum(design.taps * np.cos(2 * np.pi * frequencies[i] * offsets))
        assert gain[i] == pytest.approx(direct, rel=1e-9, abs=1e-9 * np.abs(gain).max())
    inside = (frequencies > 30) & (frequencies < 800)
    expected = np.sqrt(2 / RATE) / aligo_curve().at(frequencies[inside])
    np.testing.assert_allclose(gain[inside], expected, rtol=2e-3)


def test_whitening_in_time_and_in_frequency_agree(design: WhiteningFilter) -> None:
    strain = np.zeros(8 * RATE)
    strain[3 * RATE : 5 * RATE] = 1e-21 * np.random.default_rng(4).standard_normal(2 * RATE)
    in_time = whiten(strain, design)
    frequencies = np.fft.rfftfreq(strain.size, 1 / RATE)
    spectrum = np.fft.rfft(strain) * response(design, frequencies)
    in_frequency = np.fft.irfft(spectrum)[design.crop : -design.crop]
    np.testing.assert_allclose(in_time, in_frequency, atol=1e-6 * np.abs(in_frequency).max())


def test_norm_of_a_whitened_signal_is_its_signal_to_noise_ratio(design: WhiteningFilter) -> None:
    times = np.arange(8 * RATE) / RATE - 4
    burst = 1e-22 * np.exp(-((times / 0.02) ** 2)) * np.sin(2 * np.pi * 150 * times)
    frequencies = np.fft.rfftfreq(burst.size, 1 / RATE)
    spectrum = np.fft.rfft(burst) / RATE  # strain/Hz
    weight = np.abs(spectrum[1:]) ** 2 / aligo_curve().at(frequencies[1:]) ** 2
    snr = np.sqrt(4 * np.sum(weight) * (frequencies[1] - frequencies[0]))
    assert np.linalg.norm(whiten(burst, design)) == pytest.approx(snr, rel=1e-3)


def test_an_impulse_stays_where_it_is(design: WhiteningFilter) -> None:
    strain = np.zeros(6 * RATE)
    strain[2 * RATE + 7] = 1e-21
    assert np.argmax(np.abs(whiten(strain, design))) == 2 * RATE + 7 - design.crop


def test_whitens_with_an_estimated_density(noise: np.ndarray) -> None:
    frequencies, asd = median_welch_asd(noise, RATE, 4.0)
    whitened = whiten(noise, design_filter(frequencies, asd, RATE, 2.0, BAND))
    _, power = signal.welch(whitened.astype(np.float64), RATE, nperseg=RATE)
    np.testing.assert_allclose(power[30:800], 2 / RATE, rtol=0.25)


def test_short_strain_is_an_error(design: WhiteningFilter) -> None:
    with pytest.raises(ValueError, match="strain has 4096 samples, the whitening filter 4097"):
        whiten(np.zeros(4096), design)


def test_density_must_cover_the_band() -> None:
    with pytest.raises(ValueError, match="from 30 to 8192 Hz does not cover the band 20 to 900"):
        design_filter(np.array([30.0, 8192.0]), np.ones(2), RATE, 2.0, BAND)


def test_density_must_be_positive_in_the_band() -> None:
    frequencies = np.arange(0, 1025.0)
    asd = np.where(frequencies > 500, 0.0, 1e-23)
    with pytest.raises(ValueError, match="not positive everywhere"):
        design_filter(frequencies, asd, RATE, 2.0, BAND)


def test_coarse_frequencies_are_an_error(design: WhiteningFilter) -> None:
    with pytest.raises(ValueError, match="of at least 4097 samples"):
        response(design, np.fft.rfftfreq(RATE, 1 / RATE))
