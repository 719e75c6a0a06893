"""Whiten coincident strain for a search, with the filter that the detector was trained behind.

A segment is cut into blocks of equal length, from its own start. Each block is whitened with a
filter of its own power spectral density, and reaches half a filter into its neighbours, so that
only the segment's ends lose strain.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from ligo_cpc_snn.conditioning.psd import median_welch_asd
from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, design_filter, whiten
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.resampling import resample

WhitenedPiece = Float32[np.ndarray, "detector whitened_time"]


class Whitened(NamedTuple):
    """Whitened strain of all detectors, and the GPS time of its first sample."""

    gps_start: float
    strain: WhitenedPiece


def filter_half(detector: TrainedDetector) -> int:
    """Return the samples that the whitening filter takes from each end of a segment."""
    return round(detector.filter_seconds * detector.sample_rate_hz / 2)


def whitened_start(segment: Coincident, detector: TrainedDetector) -> float:
    """Return the GPS time of the first whitened sample of a segment."""
    check_detectors(segment, detector)
    first = segment[detector.detectors[0]].gps_start
    return first + filter_half(detector) / detector.sample_rate_hz


def check_detectors(segment: Coincident, detector: TrainedDetector) -> None:
    """Raise ValueError where a segment lacks one of the detectors."""
    missing = [name for name in detector.detectors if name not in segment]
    if missing:
        raise ValueError(
            f"no strain of {', '.join(missing)} beside that of {', '.join(segment)}: "
            f"{detector.name} needs {', '.join(detector.detectors)} at the same time"
        )


def too_short(segment: Coincident, detector: TrainedDetector) -> str | None:
    """Say why a segment is too short to be searched, None where it is not."""
    seconds = min(segment[name].duration for name in segment)
    filtered = 2 * filter_half(detector) / detector.sample_rate_hz
    needed = {
        "two Welch segments of the PSD": 2 * detector.psd_segment_seconds,
        "the whitening filter, the warm-up and a frame": filtered
        + detector.warm_up_seconds
        + detector.frame_seconds,
    }
    what = max(needed, key=lambda name: needed[name])
    if seconds >= needed[what]:
        return None
    return f"{seconds:g} s of strain, {what} take {needed[what]:g} s"


def measured_filter(
    strain: Float[np.ndarray, "time"], detector: TrainedDetector
) -> WhiteningFilter:
    """Return the filter that whitens strain of this strain's own spectral density."""
    rate = detector.sample_rate_hz
    frequencies, asd = median_welch_asd(strain, rate, detector.psd_segment_seconds)
    return design_filter(frequencies, asd, rate, detector.filter_seconds, detector.band_hz)


def rows_of(segment: Coincident, detector: TrainedDetector) -> list[Float[np.ndarray, "time"]]:
    """Return the strain of each detector at the detector's sample rate, in its order.

    Raises:
        ValueError: a detector is missing, or its strain does not carry the band.
    """
    check_detectors(segment, detector)
    own = [segment[name] for name in detector.detectors]
    resampled = [resample(s, detector.sample_rate_hz, detector.band_hz[1]) for s in own]
    size = min(s.strain.size for s in resampled)
    return [s.strain[:size] for s in resampled]


def whitened_pieces(
    segment: Coincident, detector: TrainedDetector, psd_seconds: float
) -> Iterator[WhitenedPiece]:
    """Whiten a segment block by block.

    Args:
        segment: strain of the same time in each detector, at any sample rate.
        psd_seconds: length of a block, s; the last is up to half longer, or as short as half.

    Yields:
        Whitened strain, float32, contiguous, from `whitened_start` on.

    Raises:
        ValueError: see `rows_of` and `too_short`; the strain is not finite or is constant.
    """
    why = too_short(segment, detector)
    if why is not None:
        raise ValueError(f"{why}: lower detector.filter_seconds or give longer segments")
    rows = rows_of(segment, detector)
    length = round(psd_seconds * detector.sample_rate_hz)
    blocks = psd_blocks(rows[0].size, length, detector)
    half = filter_half(detector)
    for start, stop in blocks:
        first, last = max(start - half, 0), min(stop + half, rows[0].size)
        filters = [measured_filter(row[start:stop], detector) for row in rows]
        pairs = zip(rows, filters, strict=True)
        yield np.stack([whiten(row[first:last], filter_) for row, filter_ in pairs])


def whiten_coincident(
    segment: Coincident, detector: TrainedDetector, psd_seconds: float
) -> Whitened:
    """Return a whole segment whitened (see `whitened_pieces`)."""
    pieces = list(whitened_pieces(segment, detector, psd_seconds))
    return Whitened(whitened_start(segment, detector), np.concatenate(pieces, axis=-1))


def psd_blocks(samples: int, length: int, detector: TrainedDetector) -> Sequence[tuple[int, int]]:
    """Return first and last sample of each block; a last one under half joins the one before.

    Raises:
        ValueError: half a block is too short for a PSD or for the filter.
    """
    welch = round(2 * detector.psd_segment_seconds * detector.sample_rate_hz)
    least = 2 * max(welch, 2 * filter_half(detector) + 1)
    if length < least:
        raise ValueError(
            f"psd_seconds={length / detector.sample_rate_hz:g}: expected "
            f"{least / detector.sample_rate_hz:g} or more, half of it holds the whitening filter "
            f"of {detector.filter_seconds:g} s and two Welch segments of "
            f"{detector.psd_segment_seconds:g} s"
        )
    whole, rest = divmod(samples, length)
    count = max(whole + (2 * rest >= length), 1)
    edges = [*range(0, count * length, length), samples]
    return list(pairwise(edges))
