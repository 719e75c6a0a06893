"""Whitening by a short zero-phase filter with the band-pass folded in.

Strain becomes dimensionless, and a whitened signal's norm, the root of the sum over its
samples of its square, is its optimal signal-to-noise ratio.

The filter is truncated in time as in "inverse spectrum truncation" (Allen et al. 2012, PRD
85, 122006, appendix A; `pycbc.psd.inverse_spectrum_truncation` with a Hann taper): the
inverse of the amplitude density goes to time, is tapered to `filter_seconds`, and what it
became is the filter. Ours differs in that the band-pass has cosine edges and is there before
the truncation (PyCBC cuts sharply at its low frequency, and only there), and in that the
filter is applied with its sign, not as a modulus: inside the band both are the same filter.

A sample that comes out has used `seconds_before` of strain before it and `seconds_after`
after it, half of `filter_seconds` each, and none beyond. Training, validation and search
whiten with this `whiten`: who streams strain waits `seconds_after` for a sample.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import signal

LOW_EDGE = 0.1  # width of the band's lower edge, as a fraction of its frequency
HIGH_EDGE = 0.05
OVERSAMPLING = 4  # frequency points per point that the truncated filter resolves


@dataclass(frozen=True)
class CentredFilter:
    """Taps of a symmetric filter, applied centred, so that it delays nothing.

    Args:
        taps: Odd in number.
        sample_rate_hz: Sample rate in Hz.
    """

    taps: Float[np.ndarray, "filter_samples"]
    sample_rate_hz: int

    @property
    def crop(self) -> int:
        """Samples lost at each end, where the filter would reach beyond the strain."""
        return self.taps.size // 2

    @property
    def seconds_before(self) -> float:
        """Strain in s that a sample uses before itself, and that is lost at the start."""
        return self.crop / self.sample_rate_hz

    @property
    def seconds_after(self) -> float:
        """Strain in s that a sample uses after itself, and that is lost at the end."""
        return self.crop / self.sample_rate_hz


@dataclass(frozen=True)
class WhiteningFilter(CentredFilter):
    """A filter that whitens and band-passes.

    Strain of the filter's own spectral density comes out with the two-sided density 1 per
    sample inside the band and 0 outside: its variance is the band's width over half the
    sample rate, and each sample's noise is what a unit of the signal's norm is measured in.

    Args:
        taps: In 1/strain, odd in number.
        sample_rate_hz: Sample rate in Hz.
        band_hz: Pass band (low, high) in Hz; the edges lie inside it.
    """

    band_hz: tuple[float, float]


def band_pass(
    frequencies: Float[np.ndarray, "frequency"], band_hz: tuple[float, float]
) -> Float[np.ndarray, "frequency"]:
    """Return 1 inside the band, 0 outside, with cosine edges inside the band."""
    low, high = band_hz
    rise = np.clip((frequencies - low) / (LOW_EDGE * low), 0, 1)
    fall = np.clip((high - frequencies) / (HIGH_EDGE * high), 0, 1)
    return np.sin(np.pi / 2 * rise) ** 2 * np.sin(np.pi / 2 * fall) ** 2


def design_filter(
    frequencies: Float[np.ndarray, "frequency"],
    asd: Float[np.ndarray, "frequency"],
    sample_rate_hz: int,
    filter_seconds: float,
    band_hz: tuple[float, float],
) -> WhiteningFilter:
    """Design the filter that whitens strain of the spectral density `asd`.

    The band-passed inverse of the density is transformed to time and tapered to
    `filter_seconds`; features narrower than its inverse are smoothed.

    Args:
        frequencies: In Hz, increasing, reaching beyond the band at both ends.
        asd: One-sided density in strain/sqrt(Hz).
        sample_rate_hz: Sample rate in Hz.
        filter_seconds: Length of the filter in s; half of it is lost at each end.
        band_hz: Pass band (low, high) in Hz.

    Raises:
        ValueError: The density does not cover the band, or is not positive in it.
    """
    half = round(filter_seconds * sample_rate_hz / 2)
    if half < 1 or not 0 < band_hz[0] < band_hz[1] <= sample_rate_hz / 2:
        raise ValueError(
            f"filter of {filter_seconds:g} s and band {band_hz} Hz at {sample_rate_hz} Hz: "
            "expected two samples or more and 0 < low < high <= half of the sample rate"
        )
    _check_density(frequencies, asd, band_hz)
    grid = filter_grid(half, sample_rate_hz)
    gain = band_pass(grid, band_hz)
    inside = gain > 0
    # Interpolated where it is needed only: a density of 0 outside the band is no harm.
    gain[inside] *= np.sqrt(2 / sample_rate_hz) / density_at(grid[inside], frequencies, asd)
    taps = truncated_taps(gain, half)
    return WhiteningFilter(taps, sample_rate_hz, (float(band_hz[0]), float(band_hz[1])))


def filter_grid(half: int, sample_rate_hz: int) -> Float[np.ndarray, "grid"]:
    """Return frequencies in Hz fine enough to design a filter of `half` samples a side on."""
    points = OVERSAMPLING * 2 ** int(np.ceil(np.log2(2 * half + 1)))
    return np.fft.rfftfreq(points, 1 / sample_rate_hz)


def density_at(
    grid: Float[np.ndarray, "grid"],
    frequencies: Float[np.ndarray, "frequency"],
    asd: Float[np.ndarray, "frequency"],
) -> Float[np.ndarray, "grid"]:
    """Return a density at other frequencies; power, which Welch estimates, is interpolated."""
    return np.sqrt(np.interp(grid, frequencies, asd**2))


def truncated_taps(gain: Float[np.ndarray, "grid"], half: int) -> Float[np.ndarray, "taps"]:
    """Return a real gain on `filter_grid` as taps, tapered to `half` samples each side."""
    kernel = np.fft.irfft(gain)
    return np.concatenate([kernel[-half:], kernel[: half + 1]]) * np.hanning(2 * half + 3)[1:-1]


def whiten(
    strain: Float[np.ndarray, "time"], whitening: WhiteningFilter
) -> Float[np.ndarray, "cropped_time"]:
    """Whiten and band-pass strain.

    Args:
        strain: Strain, shape (time,), at the filter's sample rate.
        whitening: The filter.

    Returns:
        Whitened strain, float32, shape (time - 2 * whitening.crop,); its first sample
        belongs to the strain's sample number `whitening.crop`.

    Raises:
        ValueError: The strain is shorter than the filter.
    """
    return apply_filter(strain, whitening).astype(np.float32)


def apply_filter(
    strain: Float[np.ndarray, "time"], centred: CentredFilter
) -> Float[np.ndarray, "cropped_time"]:
    """Return filtered strain, float64, cropped as `whiten` says and with its error."""
    if strain.size < centred.taps.size:
        raise ValueError(
            f"strain has {strain.size} samples, the whitening filter {centred.taps.size} "
            f"({centred.taps.size / centred.sample_rate_hz:g} s): lower data.filter_seconds or "
            "use longer strain"
        )
    return signal.oaconvolve(np.asarray(strain, np.float64), centred.taps, mode="valid")


def response(
    whitening: WhiteningFilter, frequencies: Float[np.ndarray, "frequency"]
) -> Float[np.ndarray, "frequency"]:
    """Return what the filter multiplies a Fourier transform with; real, for it is symmetric.

    Args:
        whitening: The filter.
        frequencies: In Hz, evenly spaced from 0 to half the sample rate.

    Returns:
        Response in 1/strain.

    Raises:
        ValueError: The frequencies are no such grid, or coarser than the filter resolves.
    """
    points = 2 * (frequencies.size - 1)
    expected = np.fft.rfftfreq(max(points, 1), 1 / whitening.sample_rate_hz)
    if points < whitening.taps.size or not np.allclose(frequencies, expected, rtol=0, atol=1e-6):
        raise ValueError(
            f"{frequencies.size} frequencies up to {frequencies[-1]:g} Hz: expected those of a "
            f"real transform at {whitening.sample_rate_hz} Hz of at least {whitening.taps.size} "
            "samples, the filter's length"
        )
    centred = np.zeros(points)
    centred[: whitening.crop + 1] = whitening.taps[whitening.crop :]
    centred[points - whitening.crop :] = whitening.taps[: whitening.crop]
    return np.fft.rfft(centred).real


def whitened_density(
    whitening: WhiteningFilter, points: int
) -> tuple[Float[np.ndarray, "frequency"], Float[np.ndarray, "frequency"]]:
    """Return the amplitude density that a filter whitens, where its band is flat.

    Args:
        whitening: The filter.
        points: How many frequencies, evenly spaced in their logarithm.

    Returns:
        Frequencies in Hz and the one-sided density in strain/sqrt(Hz), as smooth as the
        filter resolves it.
    """
    rate, (low, high) = whitening.sample_rate_hz, whitening.band_hz
    frequencies = np.geomspace((1 + LOW_EDGE) * low, (1 - HIGH_EDGE) * high, points)
    grid = filter_grid(whitening.crop, rate)
    gain = np.interp(frequencies, grid, response(whitening, grid))
    return frequencies, np.sqrt(2 / rate) / gain


def _check_density(
    frequencies: Float[np.ndarray, "frequency"],
    asd: Float[np.ndarray, "frequency"],
    band_hz: tuple[float, float],
) -> None:
    if frequencies[0] > band_hz[0] or frequencies[-1] < band_hz[1] * (1 - HIGH_EDGE):
        raise ValueError(
            f"spectral density from {frequencies[0]:g} to {frequencies[-1]:g} Hz does not cover "
            f"the band {band_hz[0]:g} to {band_hz[1]:g} Hz: change data.highpass_hz or lowpass_hz"
        )
    inside = (frequencies >= band_hz[0]) & (frequencies <= band_hz[1])
    if not np.all(np.isfinite(asd[inside]) & (asd[inside] > 0)):
        raise ValueError(
            f"spectral density is not positive everywhere in {band_hz[0]:g} to {band_hz[1]:g} Hz: "
            "the strain was filtered there, narrow data.highpass_hz and lowpass_hz"
        )
