"""Stationary Gaussian noise with a given spectral density."""

from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

from ligo_cpc_snn.strain.curves import Asd

# Noise further apart is taken as independent: the narrowest lines of detectors decay faster.
MEMORY_SECONDS = 16.0
KEPT_SAMPLES = 1 << 18  # longest noise whose amplitudes are kept for the next of this length
BLOCK = 1 << 14  # frequencies drawn at a time, which stay in the processor's cache


def coloured_noise(
    rng: np.random.Generator, asd: Asd, *, samples: int, sample_rate_hz: int
) -> Float[np.ndarray, "samples"]:
    """Draw Gaussian noise of the one-sided spectral density `asd`.

    The noise is stationary throughout: it is drawn in frequency, on a circle that is longer
    than needed by as much again, at most `MEMORY_SECONDS`, so its end knows nothing of its
    beginning.

    Args:
        rng: Source of randomness.
        asd: Amplitude spectral density in strain/sqrt(Hz).
        samples: Length wanted.
        sample_rate_hz: Sample rate in Hz.

    Returns:
        Strain, float64, shape (samples,), without a constant part.
    """
    if samples < 1:
        raise ValueError(f"samples={samples}: expected at least 1 sample of noise")
    spare = min(samples, round(MEMORY_SECONDS * sample_rate_hz))
    length = fft.next_fast_len(samples + spare, real=True)
    # Single precision: rounding is 1e-7 of the whole, far below any detector's quietest band.
    spectrum = np.empty(length // 2 + 1, np.complex64)
    for first in range(0, spectrum.size, BLOCK):
        _fill(rng, spectrum[first : first + BLOCK])
    amplitudes = _kept_amplitudes if length <= KEPT_SAMPLES else _amplitudes
    spectrum *= amplitudes(asd, length, sample_rate_hz)
    return fft.irfft(spectrum, length, overwrite_x=True)[:samples].astype(np.float64)


def _fill(rng: np.random.Generator, spectrum: Complex[np.ndarray, "n"]) -> None:
    """Draw complex normal numbers of unit variance, by exponential power and random phase.

    Reference: Box and Muller 1958; numpy draws and turns these twice as fast as normal numbers.
    """
    size = np.sqrt(rng.standard_exponential(spectrum.size, np.float32))
    angle = rng.random(spectrum.size, np.float32) * np.float32(2 * np.pi)
    spectrum.real, spectrum.imag = size * np.cos(angle), size * np.sin(angle)


def _amplitudes(asd: Asd, length: int, sample_rate_hz: int) -> Float[np.ndarray, "frequency"]:
    """Return the root mean square of the transform at each frequency.

    A white sequence of unit variance has the one-sided density 2 / sample rate, and its
    transform the mean square `length`; the highest frequency, where the length is even, has
    a real part only.
    """
    amplitudes = asd.at(fft.rfftfreq(length, 1 / sample_rate_hz))
    amplitudes *= np.sqrt(sample_rate_hz * length / 2)
    amplitudes[0] = 0.0
    if length % 2 == 0:
        amplitudes[-1] *= np.sqrt(2)
    return amplitudes.astype(np.float32)


# Windows of one length are drawn by the thousand.
_kept_amplitudes = lru_cache(maxsize=8)(_amplitudes)
