"""The spectral density of strain, estimated."""

from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from ligo_cpc_snn.conditioning.psd import loudest_tone, median_welch_asd
from ligo_cpc_snn.strain.curves import aligo_asd

RATE = 1024
GOLDEN = Path(__file__).parent / "golden" / "conditioning.npz"


def test_white_noise_has_its_density() -> None:
    strain = 1e-22 * np.random.default_rng(0).standard_normal(256 * RATE)
    frequencies, asd = median_welch_asd(strain, RATE, 4.0)
    assert frequencies[1] == 0.25
    assert frequencies[-1] == RATE / 2
    inside = slice(4, -4)
    # One-sided density of unit white noise: 2 / rate. The median's bias of 0.7 must be gone.
    assert np.mean(asd[inside] ** 2) == pytest.approx(1e-44 * 2 / RATE, rel=0.02)


def test_equals_scipy_on_unit_scale() -> None:
    strain = np.random.default_rng(1).standard_normal(64 * RATE)
    _, asd = median_welch_asd(strain * 1e-23, RATE, 2.0)
    _, power = signal.welch(strain, RATE, nperseg=2 * RATE, average="median")
    np.testing.assert_allclose(asd, np.sqrt(power) * 1e-23, rtol=1e-9)


@pytest.mark.parametrize("segments", [3, 4, 8, 31])
def test_the_medians_bias_is_corrected_for_few_segments(segments: int) -> None:
    samples = (segments + 1) * RATE // 2  # half-overlapping segments of 1 s
    powers = []
    for seed in range(30):
        strain = np.random.default_rng(seed).standard_normal(samples)
        powers.append(median_welch_asd(strain, RATE, 1.0)[1][4:-4] ** 2 * RATE / 2)
    # Overlap correlates neighbours, which the correction takes as independent.
    assert np.mean(powers) == pytest.approx(1, abs=0.05)


def test_equals_pycbc() -> None:
    golden = np.load(GOLDEN)
    rate, segment, _ = golden["settings"].tolist()
    strain = golden["strain"].astype(np.float64) * 1e-21
    frequencies, asd = median_welch_asd(strain, rate, segment)
    # PyCBC's Hann window is the symmetric one, and it takes no mean away from a segment.
    ratio = (asd * 1e21 / golden["asd"])[frequencies >= 1]
    assert np.abs(ratio - 1).max() < 0.01
    assert np.median(np.abs(ratio - 1)) < 1e-3


def test_a_loud_glitch_changes_little() -> None:
    strain = np.random.default_rng(2).standard_normal(128 * RATE)
    _, clean = median_welch_asd(strain, RATE, 4.0)
    strain[5000:5200] += 1000.0
    _, glitchy = median_welch_asd(strain, RATE, 4.0)
    assert np.median(np.abs(np.log(glitchy / clean))) < 0.05


@pytest.mark.parametrize(
    ("strain", "message"),
    [
        (np.ones(7 * RATE), "too short for two Welch segments of 4 s"),
        (np.full(16 * RATE, np.nan), f"{16 * RATE} of {16 * RATE} samples of strain are not"),
        (np.ones(16 * RATE), "constant"),
    ],
)
def test_unusable_strain_is_an_error(strain: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        median_welch_asd(strain, RATE, 4.0)


def test_a_notch_holds_the_snr_and_a_detectors_curve_does_not() -> None:
    frequencies = np.arange(0.0, 513.0, 0.25)
    asd = aligo_asd(np.maximum(frequencies, 10.0))
    share, _ = loudest_tone(frequencies, asd, (20.0, 460.0))
    assert share < 0.05
    notched = np.where(np.abs(frequencies - 115) < 0.4, asd / 300, asd)
    share, where = loudest_tone(frequencies, notched, (20.0, 460.0))
    assert share > 0.9
    assert abs(where - 115) < 1
