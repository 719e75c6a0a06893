"""Stationary Gaussian noise with a given spectral density."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import fft

from ligo_cpc_snn.strain.curves import Asd

# Noise further apart is taken as independent: the narrowest lines of detectors decay faster.
MEMORY_SECONDS = 16.0


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
    spectrum = rng.standard_normal(2 * (length // 2 + 1)).view(np.complex128)
    spectrum *= _amplitudes(asd, length, sample_rate_hz)
    return fft.irfft(spectrum, length, overwrite_x=True)[:samples]


@lru_cache(maxsize=8)  # windows of one length are drawn by the thousand
def _amplitudes(asd: Asd, length: int, sample_rate_hz: int) -> Float[np.ndarray, "frequency"]:
    """Return the standard deviation of the real and the imaginary part of each frequency.

    A white sequence of unit variance has the one-sided density 2 / sample rate, and the two
    parts of its transform have the variance length / 2; the highest frequency, where the
    length is even, has a real part only.
    """
    amplitudes = asd.at(fft.rfftfreq(length, 1 / sample_rate_hz))
    amplitudes *= np.sqrt(sample_rate_hz * length) / 2
    amplitudes[0] = 0.0
    if length % 2 == 0:
        amplitudes[-1] *= np.sqrt(2)
    return amplitudes
