"""Polarizations projected onto detectors."""

import jax
import numpy as np
import pytest

from ligo_cpc_snn.signals.projection import project
from ligo_cpc_snn.strain.detectors import antenna_pattern, arrival_delay

GPS = 1187008882.43
SKY = {
    "right_ascension": np.array([3.44, 0.2]),
    "declination": np.array([-0.41, 1.1]),
    "polarization": np.array([0.3, 2.0]),
}
DETECTORS = ("H1", "V1")


@pytest.fixture(scope="module")
def frequencies() -> np.ndarray:
    return np.arange(20.0, 200.0, 0.5)


def test_strain_is_the_patterns_sum_with_the_delays_phase(frequencies: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    shape = (2, frequencies.size)
    plus, cross = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape) for _ in range(2))
    strain = np.asarray(project(plus, cross, SKY, frequencies, DETECTORS, GPS))
    assert strain.shape == (2, 2, frequencies.size)
    with jax.enable_x64(True):
        for i in range(2):
            ra, dec, psi = (SKY[name][i] for name in SKY)
            for d, name in enumerate(DETECTORS):
                f_plus, f_cross = antenna_pattern(name, ra, dec, psi, GPS)
                delay = float(arrival_delay(name, ra, dec, GPS))
                expected = float(f_plus) * plus[i] + float(f_cross) * cross[i]
                expected = expected * np.exp(-2j * np.pi * frequencies * delay)
                np.testing.assert_allclose(strain[i, d], expected, rtol=1e-9)


def test_a_pulse_arrives_after_the_delay() -> None:
    rate, samples = 4096, 4096
    frequencies = np.fft.rfftfreq(samples, 1 / rate)
    pulse = np.fft.rfft(np.exp(-0.5 * ((np.arange(samples) - 2048) / 8.0) ** 2))
    plus = np.stack([pulse, pulse])
    strain = np.fft.irfft(project(plus, 0 * plus, SKY, frequencies, DETECTORS, GPS))
    for i in range(2):
        for d, name in enumerate(DETECTORS):
            delay = float(
                arrival_delay(name, SKY["right_ascension"][i], SKY["declination"][i], GPS)
            )
            arrival = (np.argmax(np.abs(strain[i, d])) - 2048) / rate
            assert arrival == pytest.approx(delay, abs=1 / rate)


def test_unknown_detector_lists_the_known(frequencies: np.ndarray) -> None:
    plus = np.ones((2, frequencies.size), complex)
    with pytest.raises(ValueError, match="unknown detector 'X1': known are H1, K1, L1, V1"):
        project(plus, plus, SKY, frequencies, ["X1"], GPS)
