"""Polarizations projected onto detectors."""

import jax
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from ligo_cpc_snn.config.signals_schema import Approximant
from ligo_cpc_snn.signals.projection import passing_times, project
from ligo_cpc_snn.signals.waveforms import polarizations
from ligo_cpc_snn.strain.curves import aligo_asd
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


SECONDS, RATE = 256, 1024  # of two neutron stars, 160 s from 20 Hz
STARS = np.fft.rfftfreq(SECONDS * RATE, 1 / RATE)
MANY = 20


@pytest.fixture(scope="module")
def stars() -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Sources, h_plus and h_cross."""
    rng = np.random.default_rng(0)
    sources = {"mass_1": np.full(MANY, 1.4), "mass_2": np.full(MANY, 1.4)}
    sources["inclination"] = np.arccos(rng.uniform(-1, 1, MANY))
    sources["right_ascension"] = rng.uniform(0, 2 * np.pi, MANY)
    sources["declination"] = np.arcsin(rng.uniform(-1, 1, MANY))
    sources["polarization"] = rng.uniform(0, np.pi, MANY)
    both = polarizations(Approximant.TaylorF2, sources, STARS, 20.0, lowest_hz=20.0)
    return sources, np.asarray(both[0]), np.asarray(both[1])


def mismatch(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    weight = np.where(STARS >= 20, aligo_asd(np.maximum(STARS, 20)) ** -2.0, 0)
    power = [np.sum(weight * np.abs(h) ** 2, axis=-1) for h in (a, b)]
    return 1 - np.sum(weight * a * b.conj(), axis=-1).real / np.sqrt(power[0] * power[1])


def in_time(h: np.ndarray, finer: int = 8) -> np.ndarray:
    """Strain `finer` times as often, from 20 s after t = 0 less the whole circle."""
    padded = np.pad(h, (0, SECONDS * RATE * (finer - 1) // 2))
    strain = np.fft.irfft(padded) * RATE * finer
    return np.roll(strain, (SECONDS - 20) * RATE * finer)


def test_turning_earth_agrees_with_a_projection_in_time(
    stars: tuple[dict[str, np.ndarray], np.ndarray, np.ndarray],
) -> None:
    sources, h_plus, h_cross = (stars[0], stars[1][:1], stars[2][:1])
    one = {name: values[:1] for name, values in sources.items()}
    seconds = np.arange(SECONDS * RATE * 8) / (8 * RATE) + 20 - SECONDS
    ra, dec, psi = (one[name][0] for name in SKY)
    with jax.enable_x64(True):
        gps = jax.numpy.asarray(GPS + seconds[::8192])
        pattern = jax.vmap(lambda t: antenna_pattern("V1", ra, dec, psi, t))(gps)
        delay = jax.vmap(lambda t: arrival_delay("V1", ra, dec, t))(gps)
    f_plus, f_cross, late = (
        CubicSpline(seconds[::8192], np.asarray(x))(seconds[::8]) for x in (*pattern, delay)
    )
    # No spline beyond its ends: it grows like a cube.
    when = np.clip(seconds[::8] - late, seconds[0], seconds[-1])
    waves = [CubicSpline(seconds, in_time(h[0]))(when) for h in (h_plus, h_cross)]
    strain = f_plus * waves[0] + f_cross * waves[1]
    expected = np.fft.rfft(strain) / RATE * np.exp(-2j * np.pi * STARS * seconds[0])
    times = passing_times(h_plus, STARS)
    turning = np.asarray(project(h_plus, h_cross, one, STARS, ["V1"], GPS, times=times))[0, 0]
    rest = np.asarray(project(h_plus, h_cross, one, STARS, ["V1"], GPS))[0, 0]
    assert mismatch(turning, expected) < 1e-6
    assert mismatch(rest, expected) > 3 * mismatch(turning, expected)


def test_what_an_earth_at_rest_costs(
    stars: tuple[dict[str, np.ndarray], np.ndarray, np.ndarray],
) -> None:
    sources, h_plus, h_cross = stars
    times = passing_times(h_plus, STARS)
    turning = project(h_plus, h_cross, sources, STARS, ["H1", "L1"], GPS, times=times)
    rest = project(h_plus, h_cross, sources, STARS, ["H1", "L1"], GPS)
    found = mismatch(np.asarray(rest), np.asarray(turning))
    assert np.median(found) < 3e-5
    assert found.max() < 1e-3


def test_times_are_those_of_the_newtonian_chirp(
    stars: tuple[dict[str, np.ndarray], np.ndarray, np.ndarray],
) -> None:
    times = passing_times(stars[1][:1], STARS)[0]
    for frequency, seconds in ((25.0, -88.5), (50.0, -14.0)):
        assert times[round(frequency * SECONDS)] == pytest.approx(seconds, rel=0.02)
