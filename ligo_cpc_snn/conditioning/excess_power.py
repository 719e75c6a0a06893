"""Transients of one detector: excess power in tiles of time, frequency and quality.

Whitened strain is projected onto windowed complex exponentials of many frequencies and
qualities Q, which is a search for sine-Gaussians of unknown phase. In Gaussian noise of
unit density the square of a projection is chi-squared with 2 degrees of freedom; its excess
over their mean estimates the square of the signal-to-noise ratio (SNR). A frequency whose
median is above that of such noise, as beside a line, is divided by the ratio first.

Measured once by searching 1000 s of white Gaussian noise (2048 Hz, 20 to 922 Hz): 42
transients above an SNR of 5, 4 above 5.5 and none above 6, as of 4e7 independent tiles. So
3e-4 of them are expected above 7.

Reference: Chatterji et al. 2004, CQG 21, S1809 (tiling, bisquare window); Robinet et al.
2020, SoftwareX 12, 100620 (Omicron: normalisation, SNR, clusters). They divide by the mean or
median in any case; here a silent stretch is not made loud.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int, Shaped
from scipy import fft

from ligo_cpc_snn.conditioning.whitening import HIGH_EDGE, LOW_EDGE

QUALITIES = (4.0, 64.0)  # smallest and largest
MISMATCH = 0.1  # largest loss of the square of the SNR from one tile to its neighbour
CHUNK_SECONDS = 64.0
BORDER = 0.01  # s that two chunks share
CLUSTER_SECONDS = 0.1  # tiles closer than this are one transient
MEDIAN_POWER = 2 * np.log(2.0)  # of chi-squared with 2 degrees of freedom
WINDOW_WIDTH = np.sqrt(11.0)  # of the bisquare window with a sine-Gaussian's width, over f/Q


class Tiles(NamedTuple):
    """Loud tiles, or the loudest tile of each cluster; parallel arrays of one number each.

    Duration is from -1 to +1 standard deviation of the amplitude of the sine-Gaussian
    exp(-(2 pi f t / Q)^2) that a tile is for. Its Q, as in the references, is sqrt(2) times
    that by which simulated bursts are often called.
    """

    time: Float[np.ndarray, "n"]  # s from the first sample
    snr: Float[np.ndarray, "n"]
    frequency_hz: Float[np.ndarray, "n"]
    duration: Float[np.ndarray, "n"]  # s
    quality: Float[np.ndarray, "n"]


def find_excess_power(
    whitened: Shaped[np.ndarray, "time"],
    sample_rate_hz: int,
    band_hz: tuple[float, float],
    threshold: float,
) -> Tiles:
    """Find transients in whitened strain.

    Args:
        whitened: of unit density inside the band, any floating type.
        sample_rate_hz: Sample rate in Hz.
        band_hz: (low, high) in Hz of the whitening's band-pass.
        threshold: SNR of the loudest tile of a transient.

    Returns:
        The loudest tile of each cluster in time, in order of time; empty when there is none.

    Raises:
        ValueError: The band holds no tile.
    """
    planes = list(_planes(band_hz))
    if not planes:
        raise ValueError(
            f"the band of {band_hz[0]:g} to {band_hz[1]:g} Hz is too narrow to scan for "
            "transients: widen data.highpass_hz and lowpass_hz, or set "
            "data.glitches.real_fraction=0"
        )
    size, rate = whitened.size, sample_rate_hz
    reach = round(_longest(planes) * rate)
    step = max(round(CHUNK_SECONDS * rate), 1)
    found = []
    for start in range(0, size, step):
        first, last = max(start - reach, 0), min(start + step + reach, size)
        tiles = _scan(whitened[first:last].astype(np.float32), rate, planes, threshold)
        tiles = tiles._replace(time=np.clip(tiles.time + first / rate, 0, size / rate))
        # Beyond its own part a chunk's tiles are cut short: those are its neighbours'. What
        # both have at their border becomes one cluster.
        begin, end = start / rate - BORDER, (start + step) / rate + BORDER
        found.append(_select(tiles, (tiles.time >= begin) & (tiles.time <= end)))
    return cluster(Tiles(*map(np.concatenate, zip(*found, strict=True))))


def cluster(tiles: Tiles, gap_seconds: float = CLUSTER_SECONDS) -> Tiles:
    """Return the loudest of the tiles that overlap in time or are less than a gap apart."""
    order = np.argsort(tiles.time - tiles.duration / 2)
    tiles = _select(tiles, order)
    end = np.maximum.accumulate(tiles.time + tiles.duration / 2)
    begins = np.ones(tiles.time.size, bool)
    begins[1:] = (tiles.time - tiles.duration / 2)[1:] > end[:-1] + gap_seconds
    number = np.cumsum(begins)
    loudest = np.lexsort((-tiles.snr, number))  # by cluster, the loudest of each first
    return _select(tiles, loudest[np.flatnonzero(begins)])


Plane = tuple[float, Float[np.ndarray, "_"]]  # a quality and its frequencies


def _planes(band_hz: tuple[float, float]) -> Iterator[Plane]:
    """Yield each quality and its frequencies, spaced by the mismatch between tiles."""
    spacing = 2 * np.sqrt(MISMATCH / 3)
    low, high = band_hz[0] * (1 + LOW_EDGE), band_hz[1] * (1 - HIGH_EDGE)
    for quality in _spread(*QUALITIES, np.log(QUALITIES[1] / QUALITIES[0]) / np.sqrt(2) / spacing):
        # At the band's edges the window is at 0.56 or less: its noise is nearly the whole.
        lowest = low / (1 - WINDOW_WIDTH / quality / 2)
        highest = high / (1 + WINDOW_WIDTH / quality / 2)
        if lowest >= highest:
            continue
        distance = np.log(highest / lowest) * np.sqrt(2 + quality**2) / 2
        yield float(quality), _spread(lowest, highest, distance / spacing)


def _spread(low: float, high: float, number: float) -> Float[np.ndarray, "n"]:
    """Return the middles of equal parts of a logarithmic axis, `number` of them or one more."""
    parts = max(1, int(np.ceil(number)))
    return low * (high / low) ** ((np.arange(parts) + 0.5) / parts)


def _longest(planes: list[Plane]) -> float:
    return max(4 * _duration(float(each[0]), quality) for quality, each in planes)


def _duration(frequency: float, quality: float) -> float:
    """Return twice the standard deviation in s of a sine-Gaussian's amplitude."""
    return quality / (np.sqrt(2) * np.pi * frequency)


def _scan(
    strain: Float[np.ndarray, "time"], rate: int, planes: list[Plane], threshold: float
) -> Tiles:
    """Return all tiles of a piece of strain above the threshold."""
    # Zeros behind the strain, so that its end does not meet its beginning.
    points = 2 * fft.next_fast_len((strain.size + round(_longest(planes) * rate)) // 2 + 1)
    spectrum = fft.rfft(strain, points)
    rows = []
    for quality, frequencies in planes:
        for frequency in frequencies:
            power, step = _row(spectrum, points / rate, frequency, quality)
            inside = power[: max(1, int(strain.size / rate / step))]
            # Lines that the whitening leaves are noise, too: no row is louder than noise.
            power /= max(1.0, float(np.median(inside)) / MEDIAN_POWER)
            loud = np.flatnonzero(power >= threshold**2 + 2)
            time, snr = (loud + _offset(power, loud)) * step, np.sqrt(power[loud] - 2)
            same = np.ones(loud.size)
            duration = same * _duration(frequency, quality)
            rows.append(Tiles(time, snr, same * frequency, duration, same * quality))
    return Tiles(*(np.concatenate(column).astype(np.float64) for column in zip(*rows, strict=True)))


def _row(
    spectrum: Complex[np.ndarray, "frequency"],
    seconds: float,
    frequency: float,
    quality: float,
) -> tuple[Float[np.ndarray, "tile"], float]:
    """Return the power of one frequency's tiles and the time in s from each to the next."""
    half = WINDOW_WIDTH * frequency / quality
    first = max(int(np.ceil((frequency - half) * seconds)), 0)
    last = min(int((frequency + half) * seconds), spectrum.size - 1)
    offset = (np.arange(first, last + 1) / seconds - frequency) / half
    window = np.clip(1 - offset**2, 0, None) ** 2
    points = 2 * (spectrum.size - 1)
    # Each bin of white noise has the power `points`; the projection's shall be 2.
    window *= np.sqrt(2 / (points * np.sum(window**2)))
    length = fft.next_fast_len(2 * window.size)  # two times per independent one
    product = np.zeros(length, spectrum.dtype)
    product[: window.size] = spectrum[first : last + 1] * window
    projection = fft.ifft(product) * length
    return projection.real**2 + projection.imag**2, seconds / length


def _offset(
    power: Float[np.ndarray, "tile"], index: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Return by how many tiles, up to a half, the power's peak is later than each tile.

    The top of a parabola through the logarithms: exact for a Gaussian.
    """
    before, here, after = (np.log(power.take(index + i, mode="wrap")) for i in (-1, 0, 1))
    curvature = np.maximum(2 * here - before - after, 1e-9)
    return np.clip((after - before) / (2 * curvature), -0.5, 0.5)


def _select(tiles: Tiles, which: np.ndarray) -> Tiles:
    return Tiles(*(column[which] for column in tiles))
