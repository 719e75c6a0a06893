"""Simulated glitches: transients that detectors have and the sky has not.

Four families after the classes of Gravity Spy (Zevin et al. 2017, CQG 34, 064003), with
parameters drawn anew for each glitch. Their ranges are chosen to hold what the references
show; they are no fit to a detector's own glitches. Only their shapes matter: how loud a glitch is
is set by its signal-to-noise ratio once it is whitened.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.config.data_schema import GlitchFamily
from ligo_cpc_snn.config.glitch_bands import band_fault, heard

PEAK_STRAIN = 1e-21  # of every glitch: that of a loud one


def draw_glitches(
    rng: np.random.Generator,
    family: GlitchFamily,
    n: int,
    sample_rate_hz: int,
    duration_seconds: float,
    band_hz: tuple[float, float] | None = None,
) -> Float[np.ndarray, "n time"]:
    """Draw glitches of a family; their middles are at the middle sample.

    Args:
        rng: Source of randomness.
        family: Which kind.
        n: How many.
        sample_rate_hz: Sample rate in Hz.
        duration_seconds: Length in s; what of a longer glitch lies outside is cut off.
        band_hz: Pass band (low, high) in Hz that the glitches shall be heard in; default:
            up to half the sample rate.

    Returns:
        Strain, float64, shape (n, time), with a largest amplitude of `PEAK_STRAIN`.

    Raises:
        ValueError: The family's frequencies lie outside the band.
    """
    samples = round(duration_seconds * sample_rate_hz)
    time = (np.arange(samples) - samples // 2) / sample_rate_hz
    low, high = _frequencies(family, band_hz or (0.0, sample_rate_hz / 2))
    shapes = np.empty((n, samples))
    for shape in shapes:
        frequency = _log_uniform(rng, low, high)
        shape[:] = SHAPES[family](rng, time, frequency, sample_rate_hz)
        shape *= PEAK_STRAIN / np.max(np.abs(shape))
    return shapes


def sine_gaussian(
    rng: np.random.Generator, time: Float[np.ndarray, "time"], frequency: float, rate: int
) -> Float[np.ndarray, "time"]:
    """Return a sine-Gaussian of Q = sqrt(2) pi f tau from 3 to 50 and any phase, as of resonances.

    Reference: Abbott et al. 2004, PRD 69, 102001 (exp(-(t / tau)^2) and Q).
    """
    width = _log_uniform(rng, 3.0, 50.0) / (np.sqrt(2) * np.pi * frequency)
    phase = rng.uniform(0, 2 * np.pi)
    return np.exp(-((time / width) ** 2)) * np.cos(2 * np.pi * frequency * time + phase)


def blip(
    rng: np.random.Generator, time: Float[np.ndarray, "time"], frequency: float, rate: int
) -> Float[np.ndarray, "time"]:
    """Return a blip: about 10 ms, broad in frequency, a symmetric teardrop in a spectrogram.

    Its spectrum is a Gaussian of the logarithm of the frequency, all frequencies in step:
    so the low ones last longest and the high ones end in the teardrop's tip.

    Reference: Cabero et al. 2019, CQG 36, 155010 (duration, band, shape).
    """
    grid = np.fft.rfftfreq(time.size, 1 / rate)
    octaves = np.log(np.maximum(grid, grid[1] / 2) / frequency)
    spectrum = np.exp(-((octaves / rng.uniform(0.4, 0.8)) ** 2) / 2)
    phase = np.exp(1j * rng.uniform(0, 2 * np.pi))
    return np.roll(np.fft.irfft(spectrum * phase, time.size), time.size // 2)


def scattered_light(
    rng: np.random.Generator, time: Float[np.ndarray, "time"], frequency: float, rate: int
) -> Float[np.ndarray, "time"]:
    """Return one to three arches of 1 to 4 s together, of up to four harmonics.

    Light scattered back by a swinging surface has the phase of its path: its frequency,
    twice the speed over the wavelength, is |f_max sin(2 pi f_motion t)|. Light that goes
    to and fro n times makes an arch n times as high, and weaker.

    Reference: Accadia et al. 2010, CQG 27, 194011 (phase, harmonics); Soni et al. 2021, CQG 38,
    025016 (slow scattering in LIGO: arches of seconds). f_motion is 0.125 to 1.5 Hz here.
    """
    length, arches = _log_uniform(rng, 1.0, 4.0), rng.integers(1, 4)
    motion = arches / (2 * length)
    phase = -frequency / motion * np.cos(2 * np.pi * motion * (time + length / 2))
    weaker, shape = rng.uniform(0.3, 0.8), np.zeros_like(time)
    for bounces in range(1, rng.integers(1, 5) + 1):
        if bounces == 1 or bounces * frequency < 0.45 * rate:
            swing = np.sin(bounces * phase + rng.uniform(0, 2 * np.pi))
            shape += weaker ** (bounces - 1) * swing
    # The light comes and goes within the first and the last tenth.
    edge = np.clip((length / 2 - np.abs(time)) / (0.1 * length), 0, 1)
    return shape * np.sin(np.pi / 2 * edge) ** 2


def low_frequency_burst(
    rng: np.random.Generator, time: Float[np.ndarray, "time"], frequency: float, rate: int
) -> Float[np.ndarray, "time"]:
    """Return Gaussian noise from 10 Hz to `frequency`, that swells and fades within 0.1 to 1 s.

    Reference: Zevin et al. 2017 (the class Low Frequency Burst); band and length are ours.
    """
    grid = np.fft.rfftfreq(time.size, 1 / rate)
    noise = rng.standard_normal(grid.size) + 1j * rng.standard_normal(grid.size)
    heard = (grid >= 10.0) & (grid <= frequency)
    width = _log_uniform(rng, 0.1, 1.0) / 4  # four standard deviations
    return np.fft.irfft(noise * heard, time.size) * np.exp(-((time / width) ** 2) / 2)


Shape = Callable[
    [np.random.Generator, Float[np.ndarray, "time"], float, int], Float[np.ndarray, "time"]
]
SHAPES: dict[GlitchFamily, Shape] = {
    GlitchFamily.sine_gaussian: sine_gaussian,
    GlitchFamily.blip: blip,
    GlitchFamily.scattered_light: scattered_light,
    GlitchFamily.low_frequency_burst: low_frequency_burst,
}


def _frequencies(family: GlitchFamily, band_hz: tuple[float, float]) -> tuple[float, float]:
    fault = band_fault(family, band_hz)
    if fault is not None:
        raise ValueError(fault)
    return heard(family, band_hz)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(low * (high / low) ** rng.uniform())
