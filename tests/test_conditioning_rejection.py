"""Thresholds are learned: good noise is kept, glitches go, and a scale changes nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ligo_cpc_snn.conditioning.rejection import (
    KEPT,
    Stretches,
    Thresholds,
    band_edges,
    judge,
    learn_threshold,
    learn_thresholds,
    measure,
    median_bias,
)
from ligo_cpc_snn.conditioning.whitening import band_pass

RATE = 512
BAND = (20.0, 230.0)
GOLDEN = json.loads((Path(__file__).parent / "golden" / "rejection.json").read_text())


def noise(seconds: int, seed: int) -> np.ndarray:
    """White noise as whitening leaves it: of density 1 in the band."""
    white = np.random.default_rng(seed).standard_normal(seconds * RATE)
    frequencies = np.fft.rfftfreq(white.size, 1 / RATE)
    return np.fft.irfft(np.fft.rfft(white) * band_pass(frequencies, BAND)).astype(np.float32)


def learned(strain: np.ndarray) -> tuple[Stretches, Thresholds]:
    edges = band_edges(BAND)
    stretches = measure(strain, RATE, 1.0, edges)
    bias = median_bias(RATE, 1.0, edges)
    return stretches, learn_thresholds(stretches, bias, folds=5, candidates=40)


def bad(strain: np.ndarray) -> np.ndarray:
    stretches, thresholds = learned(strain)
    return judge(stretches, thresholds.values) != KEPT


@pytest.mark.parametrize("seconds", [64, 400])
def test_good_noise_is_kept(seconds: int) -> None:
    shares = [bad(noise(seconds, seed)).mean() for seed in range(5)]
    assert np.mean(shares) < 0.01
    assert np.max(shares) < 0.02


def with_glitches(strain: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Add bursts of SNR 20 to 200 to a share of the seconds; says to which."""
    rng = np.random.default_rng(seed)
    hit = rng.permutation(strain.size // RATE) < share * strain.size // RATE
    times = np.arange(RATE) / RATE - 0.5
    glitchy = strain.astype(np.float64)
    for second in np.flatnonzero(hit):
        burst = np.exp(-((times / 0.05) ** 2)) * np.sin(2 * np.pi * rng.uniform(30, 200) * times)
        snr = np.exp(rng.uniform(np.log(20), np.log(200)))
        glitchy[second * RATE : (second + 1) * RATE] += snr * burst / np.linalg.norm(burst)
    return glitchy.astype(np.float32), hit


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_glitches_go_and_noise_beside_them_stays(share: float) -> None:
    found = []
    for seed in range(3):
        strain, hit = with_glitches(noise(300, seed), share, seed)
        rejected = bad(strain)
        found.append(rejected[hit].mean())
        assert rejected[~hit].mean() < 0.02
    assert np.mean(found) > 0.85


def test_the_reason_is_the_band_that_the_glitch_is_in() -> None:
    strain = noise(200, 1)
    edges, times = band_edges(BAND), np.arange(RATE) / RATE
    for band in range(4):
        middle = np.sqrt(edges[band] * edges[band + 1])
        second = slice((50 + band) * RATE, (51 + band) * RATE)
        strain[second] += (5 * np.sin(2 * np.pi * np.round(middle) * times)).astype(np.float32)
    stretches, thresholds = learned(strain)
    reason = judge(stretches, thresholds.values)
    np.testing.assert_array_equal(reason[50:54], [2, 3, 4, 5])  # after `kept`, peak to peak
    click = noise(200, 2)
    click[77 * RATE + 5] += 60  # a click has little power in any band
    stretches, thresholds = learned(click)
    assert stretches.peak_to_peak.argmax() == 77


@settings(max_examples=20, deadline=None)
@given(st.floats(-25, 25), st.integers(0, 3))
def test_a_detectors_scale_changes_nothing(exponent: float, seed: int) -> None:
    strain, _ = with_glitches(noise(64, seed), 0.05, seed)
    scaled = strain.astype(np.float64) * 10**exponent
    np.testing.assert_array_equal(bad(scaled), bad(strain.astype(np.float64)))


def test_lines_that_are_always_there_make_no_stretch_bad() -> None:
    """Half of the noise has a line that whitening left: its stretches are as good as others."""
    edges, lines = band_edges(BAND), 0.5 * np.sin(2 * np.pi * 60 * np.arange(200 * RATE) / RATE)
    parts = [measure(noise(200, 0), RATE, 1.0, edges)]
    parts.append(measure((noise(200, 1) + lines).astype(np.float32), RATE, 1.0, edges))
    for part in parts:
        np.testing.assert_allclose(np.median(part.scores, axis=0), 1)
    joined = Stretches(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    thresholds = learn_thresholds(joined, median_bias(RATE, 1.0, edges), folds=5, candidates=40)
    assert np.mean(judge(joined, thresholds.values) != KEPT) < 0.01


@pytest.mark.parametrize("name", ["by_amplitude", "by_power"])
def test_equals_plain_loops(name: str) -> None:
    expected, powers = GOLDEN[name], np.array(GOLDEN["powers"])
    amplitudes = np.array(GOLDEN["amplitudes"])
    scores, power = (amplitudes, amplitudes**2) if name == "by_amplitude" else (powers, powers)
    threshold, candidates, errors = learn_threshold(
        scores, power, GOLDEN["bias"], folds=GOLDEN["folds"], candidates=len(expected["candidates"])
    )
    np.testing.assert_allclose(candidates, expected["candidates"], rtol=1e-12)
    np.testing.assert_allclose(errors, expected["errors"], rtol=1e-9)
    assert threshold == pytest.approx(expected["threshold"], rel=1e-12)
    np.testing.assert_array_equal(np.flatnonzero(scores > threshold), expected["rejected"])


def test_the_medians_bias_is_that_of_gaussian_noise() -> None:
    edges = band_edges(BAND)
    stretches = measure(noise(6000, 3), RATE, 1.0, edges)
    powers = np.column_stack([stretches.peak_to_peak**2, stretches.band_power])
    np.testing.assert_allclose(
        np.median(powers, axis=0) / powers.mean(axis=0), median_bias(RATE, 1.0, edges), atol=0.01
    )


def test_the_last_stretch_reaches_back_and_short_noise_is_not_judged() -> None:
    edges = band_edges(BAND)
    stretches = measure(noise(3, 0)[: 2 * RATE + 100], RATE, 1.0, edges)
    np.testing.assert_array_equal(stretches.starts, [0, RATE, RATE + 100])
    assert measure(noise(1, 0)[:-1], RATE, 1.0, edges).scores.shape == (0, 5)
    assert measure(noise(2, 0), RATE, 1.0, edges).starts.tolist() == [0, RATE]


def test_too_little_to_learn_from_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"39 stretches .* 40 or more for data\.quality\.folds=5"):
        learn_threshold(np.ones(39), np.ones(39), 1.0, folds=5, candidates=4)
    with pytest.raises(ValueError, match=r"holds no frequency .* raise data\.quality\.stretch"):
        measure(noise(2, 0), RATE, 0.015625, band_edges(BAND))
