"""Whitening: noise becomes white, a signal's norm becomes its signal-to-noise ratio."""

from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from ligo_cpc_snn.conditioning.psd import median_welch_asd
from ligo_cpc_snn.conditioning.recolouring import design_recolouring
from ligo_cpc_snn.conditioning.whitening import (
    WhiteningFilter,
    apply_filter,
    band_pass,
    design_filter,
    response,
    whiten,
    whitened_density,
)
from ligo_cpc_snn.strain.curves import aligo_curve
from ligo_cpc_snn.strain.noise import coloured_noise

RATE = 2048
BAND = (20.0, 900.0)
GOLDEN = Path(__file__).parent / "golden" / "conditioning.npz"


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


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_a_sample_uses_the_strain_within_the_stated_lengths_only(seconds: float) -> None:
    curve = aligo_curve()
    short = design_filter(curve.frequencies, curve.values, RATE, seconds, BAND)
    assert short.seconds_before == short.seconds_after == seconds / 2
    rng = np.random.default_rng(7)
    strain = coloured_noise(rng, curve, samples=8 * RATE, sample_rate_hz=RATE)
    sample = 3 * RATE + 17  # of what comes out; it belongs to this and `crop` samples later
    centre = sample + short.crop
    before, after = (round(s * RATE) for s in (short.seconds_before, short.seconds_after))
    other = 1e-21 * rng.standard_normal(strain.size)
    other[centre - before : centre + after + 1] = strain[centre - before : centre + after + 1]
    assert whiten(other, short)[sample] == pytest.approx(whiten(strain, short)[sample], abs=1e-6)
    # Not further, but all of it: taps near the ends are small, not nothing.
    assert np.all(short.taps[[0, 1, -2, -1]] != 0)
    assert whiten(strain, short).size == strain.size - before - after


def test_truncation_is_pycbcs_inside_the_band() -> None:
    """Its `inverse_spectrum_truncation` with a Hann taper, from a PSD with two lines."""
    golden = np.load(GOLDEN)
    rate, segment, seconds = golden["settings"].tolist()
    strain = golden["strain"].astype(np.float64) * 1e-21
    frequencies, asd = median_welch_asd(strain, rate, segment)
    ours = whiten(strain, design_filter(frequencies, asd, rate, seconds, (15.0, 256.0)))
    theirs = golden["whitened"].astype(np.float64) * np.sqrt(2 / rate)  # PyCBC's is 1/sqrt(Hz)
    assert ours.size == theirs.size  # it crops as many
    inside = signal.butter(8, (25, 200), "bandpass", fs=rate, output="sos")
    one, other = (signal.sosfiltfilt(inside, x)[rate:-rate] for x in (ours, theirs))
    # What is left is at the lines: both interpolate the PSD, on grids of 1/16 and 1/32 Hz.
    assert np.std(one - other) < 0.02 * np.std(other)
    lines = signal.iirnotch(60, 10, rate), signal.iirnotch(180.3, 30, rate)
    for b, a in lines:
        one, other = signal.filtfilt(b, a, one), signal.filtfilt(b, a, other)
    assert np.std(one - other) < 0.005 * np.std(other)


def test_the_density_that_a_filter_whitens_is_the_one_it_was_designed_for(
    design: WhiteningFilter,
) -> None:
    frequencies, asd = whitened_density(design, 300)
    assert frequencies[0] == pytest.approx(22)
    assert frequencies[-1] == pytest.approx(855)
    # At the band's very edge the taper reaches beyond it.
    np.testing.assert_allclose(asd[2:], aligo_curve().at(frequencies[2:]), rtol=2e-3)


def test_recoloured_noise_has_the_density_wanted(noise: np.ndarray) -> None:
    own, grid = aligo_curve(), np.linspace(0, RATE / 2, 8 * RATE + 1)
    target = aligo_curve().at(grid) * (1 + (grid / 100) ** 0.5) * 3
    colouring = design_recolouring((grid, own.at(grid)), (grid, target), RATE, 2.0, BAND)
    assert colouring.crop == RATE
    recoloured = apply_filter(noise, colouring)
    frequencies, power = signal.welch(recoloured, RATE, window=("kaiser", 12.0), nperseg=2 * RATE)
    inside = (frequencies > BAND[0]) & (frequencies < BAND[1])
    ratio = power[inside] / np.interp(frequencies[inside], grid, target) ** 2
    assert ratio.mean() == pytest.approx(1, abs=0.01)
    assert ratio.std() < 0.15
    whitened = whiten(recoloured, design_filter(grid, target, RATE, 2.0, BAND))
    assert whitened.var() == pytest.approx(880 / 1024, rel=0.05)


def test_a_glitch_is_as_loud_after_recolouring() -> None:
    grid = np.linspace(0, RATE / 2, 8 * RATE + 1)
    own, target = aligo_curve().at(grid), aligo_curve().at(grid) * (2 + np.cos(grid / 90))
    burst = np.zeros(8 * RATE)
    times = np.arange(burst.size) / RATE - 4
    burst += 1e-21 * np.exp(-((times / 0.02) ** 2)) * np.sin(2 * np.pi * 150 * times)
    colouring = design_recolouring((grid, own), (grid, target), RATE, 2.0, BAND)
    before, after = (design_filter(grid, asd, RATE, 2.0, BAND) for asd in (own, target))
    loudness = np.linalg.norm(whiten(burst, before))
    assert np.linalg.norm(whiten(apply_filter(burst, colouring), after)) == pytest.approx(
        loudness, rel=1e-3
    )


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
