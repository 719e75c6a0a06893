"""Simulated glitches, their bank, and the transients found in a bank of noise."""

import zlib
from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import signal
from tiny import tiny

from ligo_cpc_snn.conditioning.whitening import whiten
from ligo_cpc_snn.config.data_schema import GlitchConfig, GlitchFamily
from ligo_cpc_snn.config.glitch_bands import FREQUENCIES_HZ
from ligo_cpc_snn.dataset.banks import Stretch, build_noise_bank
from ligo_cpc_snn.dataset.glitches import (
    build_glitch_bank,
    family_numbers,
    find_transients,
    gallery,
    scan_noise,
)
from ligo_cpc_snn.dataset.noise import NoiseBlock, synthetic_noise
from ligo_cpc_snn.strain.glitches import PEAK_STRAIN, draw_glitches, scattered_light

RATE, SECONDS = 2048, 6.0
FAMILIES = list(GlitchFamily)


def some(family: GlitchFamily, n: int = 40, band=None) -> np.ndarray:
    return draw_glitches(np.random.default_rng(1), family, n, RATE, SECONDS, band)


def power(glitches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies, and the share of each glitch's power at each."""
    spectrum = np.abs(np.fft.rfft(glitches / PEAK_STRAIN)) ** 2
    frequencies = np.fft.rfftfreq(glitches.shape[1], 1 / RATE)
    return frequencies, spectrum / spectrum.sum(axis=1, keepdims=True)


def moments(weights: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of `axis` under each row of weights."""
    weights = weights / weights.sum(axis=1, keepdims=True)
    mean = weights @ axis
    return mean, np.sqrt(weights @ axis**2 - mean**2)


@pytest.mark.parametrize("family", FAMILIES)
def test_glitches_are_centred_and_as_large_as_said(family):
    glitches = some(family)
    np.testing.assert_allclose(np.abs(glitches).max(axis=1), PEAK_STRAIN, rtol=1e-12)
    time = (np.arange(glitches.shape[1]) - glitches.shape[1] // 2) / RATE
    middle, spread = moments(glitches**2, time)
    assert np.all(np.abs(middle) < spread + 1e-3)
    assert np.abs(np.corrcoef(glitches[:2])[0, 1]) < 0.9  # each is drawn anew
    np.testing.assert_array_equal(glitches, some(family))


def test_a_sine_gaussian_has_its_quality():
    frequencies, share = power(some(GlitchFamily.sine_gaussian))
    centre, width = moments(share, frequencies)
    # |exp(-(t/tau)^2)| has a spectral power of standard deviation 1 / (2 pi tau) = f / (sqrt2 Q).
    quality = centre / (np.sqrt(2) * width)
    assert np.all((quality > 2.7) & (quality < 51))
    assert quality.max() > 4 * quality.min()
    assert np.all((centre > 28) & (centre < 1024))


def test_a_blip_is_short_and_broad_and_symmetric():
    glitches = some(GlitchFamily.blip)
    envelope = np.abs(signal.hilbert(glitches, axis=1))
    np.testing.assert_allclose(envelope[:, 1:], envelope[:, :0:-1], atol=0.02 * envelope.max())
    time = np.arange(glitches.shape[1]) / RATE
    _, spread = moments(envelope**2, time)
    assert np.all(4 * spread < 0.04)
    assert 0.004 < np.median(4 * spread) < 0.02
    frequencies, share = power(glitches)
    peak = frequencies[share.argmax(axis=1)]
    assert np.all((peak > 45) & (peak < 305))
    # The teardrop: half an octave below the peak it lasts longer than one above.
    low, high = (moments(np.abs(filtered(glitches, peak * f)) ** 2, time)[1] for f in (0.7, 1.4))
    assert np.all(low > high)


def filtered(glitches: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the part of each glitch within a few Hz per Hz of a frequency, analytic."""
    frequencies = np.fft.fftfreq(glitches.shape[1], 1 / RATE)
    window = np.exp(-(((frequencies / centre[:, None]) - 1) ** 2) / (2 * 0.15**2))
    return np.fft.ifft(np.fft.fft(glitches) * window)


def test_scattered_light_arches_below_its_highest_frequency():
    glitches = some(GlitchFamily.scattered_light)
    frequencies, share = power(glitches)
    above = share[:, frequencies > 4 * FREQUENCIES_HZ[GlitchFamily.scattered_light][1] + 10]
    assert np.all(above.sum(axis=1) < 1e-2)
    lasts = (np.abs(glitches) > 0).sum(axis=1) / RATE
    assert np.all((lasts > 0.99) & (lasts < 4.01))
    assert lasts.max() > 2 * lasts.min()


class OneArch(np.random.Generator):
    """Draws 2 s, one arch, one harmonic."""

    def uniform(self, *bounds: float) -> float:
        return 0.5

    def integers(self, low: int, high: int) -> int:
        return low


def test_an_arch_has_the_frequency_of_a_swinging_mirror():
    """f_max times the cosine of the mirror's swing, highest in the middle of one arch."""
    time = (np.arange(6 * RATE) - 3 * RATE) / RATE
    arch = scattered_light(OneArch(np.random.PCG64(0)), time, 40.0, RATE)
    phase = np.unwrap(np.angle(signal.hilbert(arch)))
    frequency = np.gradient(phase, 1 / RATE) / (2 * np.pi)
    inside = np.abs(time) < 0.7  # 1 to 4 s in the middle of a logarithmic axis is 2 s
    expected = 40.0 * np.cos(2 * np.pi * 0.25 * time)
    np.testing.assert_allclose(frequency[inside], expected[inside], atol=1.0)


def test_a_low_frequency_burst_stays_low_and_short():
    glitches = some(GlitchFamily.low_frequency_burst)
    frequencies, share = power(glitches)
    assert np.all(share[:, frequencies > 75].sum(axis=1) < 1e-3)
    _, spread = moments(glitches**2, np.arange(glitches.shape[1]) / RATE)
    assert np.all((4 * spread > 0.02) & (4 * spread < 1.0))


def test_glitches_are_drawn_from_the_band_or_refused():
    frequencies, share = power(some(GlitchFamily.sine_gaussian, band=(100.0, 200.0)))
    centre = moments(share, frequencies)[0]
    assert np.all((centre > 110) & (centre < 210))
    with pytest.raises(ValueError, match=r"low_frequency_burst, from 25 to 60 Hz.*60 and 500 Hz"):
        some(GlitchFamily.low_frequency_burst, band=(60.0, 500.0))


def glitchy(*overrides: str):
    data = tiny(*overrides).data
    return replace(data, glitches=GlitchConfig(synthetic_fraction=0.5, bank_size=48))


@pytest.fixture(scope="module")
def blocks() -> list[NoiseBlock]:
    """Two blocks, the second three times as long; each filter is another."""
    data = tiny().data
    parts = [synthetic_noise(data, s, 1, "train")[0] for s in (4.0, 12.0)]
    one, _ = parts[0].filters
    other = replace(one, taps=np.gradient(one.taps))
    pairs = [(one, other), (replace(one, taps=-one.taps), replace(other, taps=-other.taps))]
    return [NoiseBlock(filters, part.stretches) for filters, part in zip(pairs, parts, strict=True)]


def test_banked_glitches_are_whitened_as_their_noise_is_and_of_unit_snr(blocks):
    data = glitchy()
    bank = build_glitch_bank(blocks, data, seed=3, name="train")
    window = data.window_samples
    assert bank.strain.shape == (48, 2 * window)
    np.testing.assert_allclose(np.linalg.norm(bank.strain, axis=1), 1, rtol=1e-5)
    # Each block by its crops, detectors and families in turn.
    assert np.bincount(bank.psd).tolist() == [11, 37]
    np.testing.assert_array_equal(np.bincount(bank.detector), [24, 24])
    numbers = family_numbers(data, 48)
    pairs = np.unique(np.stack([bank.detector, numbers]), axis=1, return_counts=True)[1]
    assert pairs.tolist() == [6] * 8
    again = build_glitch_bank(blocks, data, seed=3, name="train")
    np.testing.assert_array_equal(again.strain, bank.strain)
    other = build_glitch_bank(blocks, data, seed=3, name="validation")
    assert not np.allclose(other.strain, bank.strain)


def test_the_whitening_of_a_banked_glitch_is_that_of_its_detector_and_block(blocks):
    """All are drawn and whitened by hand."""
    data = glitchy()
    bank = build_glitch_bank(blocks, data, seed=3, name="train")
    rng = np.random.default_rng([3, zlib.crc32(b"glitches train")])
    seconds = (2 * data.window_samples + 2 * blocks[0].filters[0].crop) / data.sample_rate_hz
    rows = zip(bank.strain, family_numbers(data, 48), bank.psd, bank.detector, strict=True)
    for strain, family, psd, detector in rows:
        drawn = draw_glitches(rng, FAMILIES[family], 1, 512, seconds, data.band_hz)[0]
        expected = whiten(drawn, blocks[psd].filters[detector])
        np.testing.assert_allclose(strain, expected / np.linalg.norm(expected), atol=1e-6)


def test_no_share_no_bank(blocks):
    data = tiny().data
    assert build_glitch_bank(blocks, data, seed=3, name="train").strain.shape[0] == 0
    empty = replace(data, glitches=GlitchConfig(synthetic_fraction=0.5, families=[]))
    with pytest.raises(ValueError, match="families=\\[\\]"):
        build_glitch_bank(blocks, empty, seed=3, name="train")


def transient(size: int, at: int, snr: float, frequency: float = 80.0) -> np.ndarray:
    time = (np.arange(size) - at) / 512
    shape = np.exp(-((time / 0.02) ** 2)) * np.cos(2 * np.pi * frequency * time)
    return (snr * shape / np.linalg.norm(shape)).astype(np.float32)


def noise_with_transients():
    """Two detectors of three stretches each; where, in the bank, each transient is."""
    rng, rate = np.random.default_rng(4), 512
    sizes = [20 * rate, 9 * rate + 77, 12 * rate]
    there = [[(0, 3000, 30.0), (2, 60, 20.0)], [(1, 2000, 12.0)]]
    stretches, at = [], []
    for detector, of_detector in enumerate(there):
        strain = [rng.standard_normal(size).astype(np.float32) for size in sizes]
        for stretch, place, snr in of_detector:
            strain[stretch] += transient(sizes[stretch], place, snr)
            at.append((detector, sum(sizes[:stretch]) + place, snr))
        stretches.append([Stretch(s, number) for number, s in enumerate(strain)])
    return build_noise_bank(stretches, 256), at


def test_transients_in_the_bank_are_found_and_lie_in_every_crop_of_their_range():
    data = tiny("data.lowpass_hz=256").data
    bank, there = noise_with_transients()
    found = scan_noise(bank, data)
    assert found.transients.detector.tolist() == [detector for detector, _, _ in there]
    for (_, at, snr), first, last, got in zip(
        there, found.transients.first, found.transients.last, found.snr, strict=True
    ):
        assert first + 5 <= at < last + 256
        assert last < at - 5 < first + 256  # half of its duration is 7 samples
        assert got == pytest.approx(snr, abs=4)
    np.testing.assert_allclose(found.frequency_hz, 80, rtol=0.1)
    # The second is 60 samples after a stretch's beginning: no crop begins before it.
    first, last = found.transients.first[1], found.transients.last[1]
    assert first == there[1][1] - 60
    assert last - first < 60
    for one, other in zip(find_transients(bank, data), found.transients, strict=True):
        np.testing.assert_array_equal(one, other)


def test_noise_without_transients_has_none():
    data = tiny().data
    blocks = synthetic_noise(data, 16.0, 1, "train")
    stretches = [[Stretch(blocks[0].stretches[0][d].strain, 0)] for d in data.detectors]
    found = scan_noise(jax.device_put(build_noise_bank(stretches, 256)), data)
    assert all(column.shape == (0,) for column in (*found.transients, *found[1:]))


def test_the_gallery_shows_some_of_each_family_and_all_that_was_found(blocks):
    data = glitchy()
    bank = build_glitch_bank(blocks, data, seed=3, name="train")
    noise, _ = noise_with_transients()
    shown = gallery(bank, scan_noise(noise, data), data)
    assert shown["glitch_strain"].shape == (12, 512)
    assert np.bincount(shown["glitch_family"]).tolist() == [3, 3, 3, 3]
    assert shown["glitch_families"].tolist() == [family.value for family in FAMILIES]
    assert shown["transient_detector"].size == shown["transient_snr"].size == 3
    none = gallery(
        build_glitch_bank([], tiny().data, seed=0, name="x"), scan_noise(noise, data), data
    )
    assert none["glitch_strain"].shape[0] == 0
