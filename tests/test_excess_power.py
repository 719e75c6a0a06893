"""The excess-power scan: known transients, no others, and gwpy's Q-transform beside it."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from ligo_cpc_snn.conditioning.excess_power import Tiles, cluster, find_excess_power
from ligo_cpc_snn.conditioning.psd import median_welch_asd
from ligo_cpc_snn.conditioning.whitening import band_pass, design_filter, whiten

RATE = 1024
BAND = (20.0, 460.0)
GOLDEN = Path(__file__).parent / "golden"
RECORDED = Path(__file__).parents[2] / "shared" / "data" / "long"


def white(seconds: float, seed: int) -> np.ndarray:
    """Return noise of unit density in the band."""
    samples = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    spectrum *= band_pass(np.fft.rfftfreq(samples, 1 / RATE), BAND)
    return np.fft.irfft(spectrum, samples).astype(np.float32)


def sine_gaussian(size: int, at: float, frequency: float, quality: float, snr: float):
    """Return a transient whose whitened norm is its SNR."""
    time = np.arange(size) / RATE - at
    width = quality / (np.sqrt(2) * np.pi * frequency)
    shape = np.exp(-((time / width) ** 2)) * np.cos(2 * np.pi * frequency * time + 1.0)
    return (snr * shape / np.linalg.norm(shape)).astype(np.float32)


@pytest.mark.parametrize("quality", [5.0, 9.0, 20.0, 45.0])
@pytest.mark.parametrize("frequency", [60.0, 130.0, 280.0])
def test_a_sine_gaussian_without_noise_is_found_where_it_is_as_loud_as_it_is(frequency, quality):
    strain = sine_gaussian(8 * RATE, 3.21, frequency, quality, 20.0)
    found = find_excess_power(strain, RATE, BAND, 7.0)
    assert found.time.size == 1
    assert found.time[0] == pytest.approx(3.21, abs=0.1 * found.duration[0])
    # The square of the SNR less the 2 that noise would have added, and the mismatch.
    assert np.sqrt(20.0**2 - 2) * 0.95 < found.snr[0] < 20.0
    assert found.frequency_hz[0] == pytest.approx(frequency, rel=0.7 / quality)
    assert found.quality[0] == pytest.approx(np.sqrt(2) * quality, rel=0.35)


def test_sine_gaussians_in_noise_are_all_found_and_nothing_else():
    strain, rng = white(160.0, 1), np.random.default_rng(2)
    times = np.arange(4.0, 156.0, 8.0) + rng.uniform(0, 1, 19)
    for at in times:
        frequency, quality = np.exp(rng.uniform(np.log([60, 4]), np.log([350, 15])))
        strain += sine_gaussian(strain.size, at, frequency, quality, 15.0)
    found = find_excess_power(strain, RATE, BAND, 7.0)
    assert found.time.size == times.size
    np.testing.assert_allclose(found.time, times, atol=0.01)
    # Noise adds 1 to an SNR, at random: three times that, and the mismatch.
    assert np.all(np.abs(found.snr - 15.0) < 3.75)
    assert np.mean(found.snr) == pytest.approx(15.0, rel=0.05)


def test_gaussian_noise_has_no_transient():
    found = find_excess_power(white(1000.0, 3), RATE, BAND, 5.0)
    assert 0 < found.time.size < 100  # 18 as of 2e7 independent tiles
    assert found.snr.max() < 7.0
    assert find_excess_power(white(8.0, 4), RATE, BAND, 7.0).snr.size == 0


def test_a_line_is_no_transient():
    strain = white(64.0, 5)
    phase = 2 * np.pi * 150 * np.arange(strain.size) / RATE
    strain += 0.7 * np.sin(phase).astype(np.float32)  # of an SNR of 15 in a tile of 1 s
    assert find_excess_power(strain, RATE, BAND, 7.0).time.size == 0
    strain += sine_gaussian(strain.size, 30.0, 150.0, 8.0, 30.0)
    assert find_excess_power(strain, RATE, BAND, 7.0).time == pytest.approx([30.0], abs=0.01)


@pytest.mark.parametrize("at", [0.0, 63.999, 64.001, 99.99])
def test_chunks_have_no_seams(at):
    """A transient at the border of two chunks is found once; one at an end is cut in half."""
    strain = sine_gaussian(100 * RATE, at, 100.0, 20.0, 40.0)
    found = find_excess_power(strain, RATE, BAND, 7.0)
    assert found.time == pytest.approx([at], abs=0.05)


@pytest.mark.parametrize("number", range(4))
def test_gwpys_q_transform_finds_the_same(number):
    """See tests/golden/make_excess_power.py, whose strain this is."""
    golden = json.loads((GOLDEN / "excess_power.json").read_text())["peaks"][number]
    frequency, quality, snr = [(60, 8, 15), (90, 12, 25), (120, 20, 40), (180, 6, 10)][number]
    noise = np.random.default_rng(number).standard_normal(16 * RATE)
    strain = noise + sine_gaussian(noise.size, 8.3, frequency, quality, snr)
    found = find_excess_power(strain, RATE, (20.0, 512.0), 7.0)
    assert found.snr == pytest.approx([golden["snr"]], rel=0.05)
    assert found.time == pytest.approx([golden["time"]], abs=0.01)
    assert found.frequency_hz == pytest.approx([golden["frequency"]], rel=0.05)
    assert found.quality == pytest.approx([golden["quality"]], rel=0.35)


def test_tiles_of_one_transient_are_one_cluster():
    time = np.array([5.0, 1.0, 1.05, 1.3, 1.6])
    duration = np.array([0.1, 0.1, 0.5, 0.1, 0.1])
    tiles = Tiles(time, np.array([8.0, 9.0, 10.0, 30.0, 7.0]), time * 10, duration, duration)
    found = cluster(tiles)
    np.testing.assert_array_equal(found.time, [1.3, 1.6, 5.0])  # 1.6 - 0.05 is 0.2 after 1.35
    np.testing.assert_array_equal(found.snr, [30.0, 7.0, 8.0])
    assert cluster(Tiles(*(column[:0] for column in tiles))).time.size == 0


def test_a_band_without_room_for_a_tile_is_an_error():
    with pytest.raises(ValueError, match="100 to 105 Hz is too narrow"):
        find_excess_power(white(4.0, 7), RATE, (100.0, 105.0), 7.0)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="real strain of ../shared/data is not here")
def test_the_loud_glitch_of_recorded_noise_is_found():
    path = next(RECORDED.glob("mlgwsc1_real_noise_*.hdf"))
    with h5py.File(path) as file:
        strain = file["data"][430 * 2048 : 480 * 2048]
    whitening = design_filter(*median_welch_asd(strain, 2048, 4.0), 2048, 2.0, (20.0, 900.0))
    found = find_excess_power(whiten(strain, whitening), 2048, whitening.band_hz, 7.0)
    # gwpy's q_scan of the 500 s: 455.10 s, SNR 35.1, 189 Hz. The lines at 510 Hz are none.
    assert found.time + 431 == pytest.approx([455.10], abs=0.01)
    assert found.snr == pytest.approx([35.1], rel=0.1)
