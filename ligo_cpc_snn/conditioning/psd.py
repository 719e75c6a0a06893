"""Estimate the spectral density of strain."""

import numpy as np
from jaxtyping import Float
from scipy import signal

STRAIN_SCALE = 1e21  # brings strain to order 1: squares of 1e-22 lose digits and underflow


def median_welch_asd(
    strain: Float[np.ndarray, "time"], sample_rate_hz: int, segment_seconds: float
) -> tuple[Float[np.ndarray, "frequency"], Float[np.ndarray, "frequency"]]:
    """Estimate the amplitude spectral density by Welch's method with a median.

    The median over half-overlapping Hann-windowed segments, corrected for its bias,
    is little moved by glitches and signals.

    Args:
        strain: Strain, shape (time,); non-finite samples must have been cut out.
        sample_rate_hz: Sample rate in Hz.
        segment_seconds: Length of a segment in s.

    Returns:
        Frequencies in Hz, from 0 to half the sample rate in steps of
        1 / segment_seconds, and the one-sided density in strain/sqrt(Hz).

    Raises:
        ValueError: Too short for two segments, not finite, or constant.

    Reference: Allen et al. 2012, PRD 85, 122006, appendix B (median and its bias).
    """
    samples = round(segment_seconds * sample_rate_hz)
    bad = int(np.count_nonzero(~np.isfinite(strain)))
    if bad:
        raise ValueError(
            f"{bad} of {strain.size} samples of strain are not finite: cut those stretches out "
            "before its spectral density is estimated"
        )
    if strain.size < 2 * samples:
        raise ValueError(
            f"strain of {strain.size / sample_rate_hz:g} s is too short for two Welch segments of "
            f"{segment_seconds:g} s: lower data.psd_segment_seconds or give longer strain"
        )
    frequencies, power = signal.welch(
        np.asarray(strain, np.float64) * STRAIN_SCALE,
        fs=sample_rate_hz,
        window="hann",
        nperseg=samples,
        detrend="constant",
        average="median",
    )
    if not np.any(power > 0):
        raise ValueError("strain is constant: it has no spectral density, check the file")
    return frequencies, np.sqrt(power) / STRAIN_SCALE


def loudest_tone(
    frequencies: Float[np.ndarray, "frequency"],
    asd: Float[np.ndarray, "frequency"],
    band_hz: tuple[float, float],
) -> tuple[float, float]:
    """Return the largest share of a chirp's SNR that 1 Hz of the band holds, and where.

    An inspiral's SNR squared is the integral of f^(-7/3) / S(f). Detectors spread it over a
    hundred Hz; where one Hz has much of it, the strain was filtered, as by a notch.

    Args:
        frequencies: In Hz, evenly spaced.
        asd: Amplitude spectral density in strain/sqrt(Hz).
        band_hz: Pass band (low, high) in Hz.

    Returns:
        Share of the SNR squared, and the middle of that Hz in Hz.
    """
    inside = (frequencies >= band_hz[0]) & (frequencies <= band_hz[1])
    f = frequencies[inside]
    density = f ** (-7 / 3) * (STRAIN_SCALE * asd[inside]) ** -2.0
    hertz = max(1, round(1 / (frequencies[1] - frequencies[0])))
    sums = np.convolve(density, np.ones(hertz), mode="same")
    loudest = int(np.argmax(sums))
    return float(sums[loudest] / density.sum()), float(f[loudest])
