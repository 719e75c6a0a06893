"""Stationary Gaussian noise with a given spectral density."""

import numpy as np
from jaxtyping import Float
from scipy import fft

from ligo_cpc_snn.strain.curves import Asd


def coloured_noise(
    rng: np.random.Generator, asd: Asd, *, samples: int, sample_rate_hz: int
) -> Float[np.ndarray, "samples"]:
    """Draw Gaussian noise of the one-sided spectral density `asd`.

    The noise is stationary throughout: it is made on a circle twice as long as needed
    or longer, so its end knows nothing of its beginning.

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
    length = fft.next_fast_len(2 * samples, real=True)
    spectrum = fft.rfft(rng.standard_normal(length))
    frequencies = fft.rfftfreq(length, 1 / sample_rate_hz)
    # A white sequence of unit variance has the one-sided density 2 / sample rate.
    spectrum *= asd.at(frequencies) * np.sqrt(sample_rate_hz / 2)
    spectrum[0] = 0.0
    return fft.irfft(spectrum, length)[:samples]
