"""Strain of one detector as the filter takes it: whitened, in overlapping transforms."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Complex, Float, Int
from scipy import fft

from ligo_cpc_snn.conditioning.psd import STRAIN_SCALE, median_welch_asd
from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, design_filter, response, whiten
from ligo_cpc_snn.search.matched.settings import BAND_MARGIN, MatchedFilterSettings
from ligo_cpc_snn.search.matched.templates import FilterGrid
from ligo_cpc_snn.strain.segments import StrainSegment


@dataclass(frozen=True)
class FilterData:
    """One detector's stretch of strain, ready to be multiplied with templates.

    Args:
        spectra: Of whitened strain times the whitening's response: the product with a
            template's conjugate is summed to the signal-to-noise ratio. complex64.
        weights: Squared, summed with a template's power to its norm squared, per whitening.
        whitening: Which row of `weights` a segment has.
        gps: Of each segment's first sample, s.
        gps_end: Of the stretch, s.
    """

    spectra: Complex[np.ndarray, "segment frequency"]
    weights: Float[np.ndarray, "whitening frequency"]
    whitening: Int[np.ndarray, "segment"]
    gps: Float[np.ndarray, "segment"]
    gps_end: float


def whitening_blocks(
    strain: StrainSegment, lowest_hz: float, settings: MatchedFilterSettings
) -> tuple[Float[np.ndarray, "time"], list[WhiteningFilter]]:
    """Whiten a stretch by blocks of about `psd_seconds`, each by its own spectral density.

    Returns:
        Whitened strain as long as the stretch, 0 where the filter would reach beyond it, and
        the filters of the blocks, which are of equal length.
    """
    rate = strain.sample_rate_hz
    blocks = max(1, round(strain.duration / settings.psd_seconds))
    edges = np.linspace(0, strain.strain.size, blocks + 1).round().astype(int)
    whitened = np.zeros(strain.strain.size, np.float32)
    low, high = lowest_hz * BAND_MARGIN[0], settings.highest_hz * BAND_MARGIN[1]
    filters = []
    for first, last in pairwise(edges.tolist()):
        density = median_welch_asd(strain.strain[first:last], rate, settings.psd_segment_seconds)
        made = design_filter(*density, rate, settings.filter_seconds, (low, high))
        start, end = max(first, made.crop), min(last, strain.strain.size - made.crop)
        whitened[start:end] = whiten(strain.strain[start - made.crop : end + made.crop], made)
        filters.append(made)
    return whitened, filters


def filter_data(
    strain: StrainSegment, grid: FilterGrid, lowest_hz: float, settings: MatchedFilterSettings
) -> FilterData:
    """Whiten a stretch and cut it into transforms whose valid parts cover all of it.

    Before and after the stretch are zeros: near its start a template is cut short.
    """
    rate = strain.sample_rate_hz
    whitened, filters = whitening_blocks(strain, lowest_hz, settings)
    return from_whitened(whitened, filters, strain.gps_start, rate, grid)


def from_whitened(
    whitened: Float[np.ndarray, "time"],
    filters: list[WhiteningFilter],
    gps_start: float,
    rate: int,
    grid: FilterGrid,
) -> FilterData:
    """Cut whitened strain into transforms; its filters are those of blocks of equal length."""
    before, stride = (n * rate // grid.snr_rate_hz for n in (grid.before, grid.valid))
    length = grid.seconds * rate
    count = -(-whitened.size // stride)
    padded = np.zeros(before + count * stride + length, np.float32)
    padded[before : before + whitened.size] = whitened
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    band = slice(grid.low, grid.high)
    responses = np.stack([response(one, frequencies)[band] for one in filters]) / STRAIN_SCALE
    middle = (np.arange(count) + 0.5) * stride / whitened.size
    which = np.minimum((middle * len(filters)).astype(int), len(filters) - 1)
    spectra = np.empty((count, grid.high - grid.low), np.complex64)
    for i in range(count):
        piece = fft.rfft(padded[i * stride : i * stride + length])[band]
        spectra[i] = piece * responses[which[i]] * (2 / length * rate)
    # Twice the sum over positive frequencies, as in the norm of a real series.
    weights = 2 / length * (responses * rate) ** 2
    gps = gps_start + (np.arange(count) * stride - before) / rate
    end = gps_start + whitened.size / rate
    return FilterData(spectra, weights.astype(np.float32), which, gps, end)
