"""Unbroken stretches of one detector's strain: cut them and join them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

Span = tuple[float, float]  # GPS s, start and end
DROPOUT_SECONDS = 1 / 64  # of one value; noise does not repeat itself for that long
TIME_TOLERANCE = 1e-3  # of a sample: GPS times in float64 are good to 0.2 microseconds


@dataclass(frozen=True)
class StrainSegment:
    """An unbroken stretch of one detector's strain.

    Args:
        detector: Name, as H1.
        gps_start: Time of the first sample, GPS s.
        sample_rate_hz: Sample rate in Hz.
        strain: Dimensionless, float64.
        source: The file it comes from.
    """

    detector: str
    gps_start: float
    sample_rate_hz: int
    strain: Float[np.ndarray, "time"]
    source: str

    @property
    def duration(self) -> float:
        """Length in s."""
        return self.strain.size / self.sample_rate_hz

    @property
    def gps_end(self) -> float:
        """Time just after the last sample, GPS s."""
        return self.gps_start + self.duration

    def samples(self, first: int, last: int) -> "StrainSegment":
        """Return the part from sample `first` to before sample `last`."""
        gps_start = self.gps_start + first / self.sample_rate_hz
        return replace(self, gps_start=gps_start, strain=self.strain[first:last])


def good_stretches(
    segment: StrainSegment, good: Bool[np.ndarray, "time"] | None = None
) -> list[StrainSegment]:
    """Split a segment at samples that are not finite or, if `good` is given, not good."""
    usable = np.isfinite(segment.strain)
    if good is not None:
        usable &= good
    padded = np.concatenate([[0], usable.astype(np.int8), [0]])
    steps = np.flatnonzero(np.diff(padded)).tolist()
    return [
        segment.samples(first, last) for first, last in zip(steps[::2], steps[1::2], strict=True)
    ]


def without_dropouts(segments: Iterable[StrainSegment]) -> list[StrainSegment]:
    """Cut out where strain holds one value: a digital dropout or a saturated channel.

    Such stretches are no noise, whichever set they are in; they are found before resampling
    and whitening smear them.
    """
    kept: list[StrainSegment] = []
    for segment in segments:
        edges = np.flatnonzero(np.diff(segment.strain)) + 1
        bounds = np.concatenate([[0], edges, [segment.strain.size]])
        long = np.diff(bounds) >= max(2, round(DROPOUT_SECONDS * segment.sample_rate_hz))
        kept += good_stretches(segment, ~np.repeat(long, np.diff(bounds)))
    return kept


def between(segment: StrainSegment, start: float, end: float) -> StrainSegment:
    """Return the part of a segment from GPS `start` to before `end`, perhaps empty."""
    return segment.samples(_index(segment, start), _index(segment, end))


def cut_spans(segments: Iterable[StrainSegment], spans: Iterable[Span]) -> list[StrainSegment]:
    """Cut spans of time out of segments, which may fall apart in several.

    Args:
        segments: Of any detectors.
        spans: (start, end) in GPS s, overlapping or not.
    """
    spans = list(spans)
    kept: list[StrainSegment] = []
    for segment in segments:
        good = np.ones(segment.strain.size, bool)
        for start, end in spans:
            good[_index(segment, start) : _index(segment, end)] = False
        kept += good_stretches(segment, good)
    return kept


def keep_spans(segments: Iterable[StrainSegment], spans: Iterable[Span]) -> list[StrainSegment]:
    """Keep only what lies in one of the spans of time, (start, end) in GPS s."""
    edges = sorted(spans)
    outside: list[Span] = []
    last = -math.inf
    for start, end in edges:
        outside.append((last, start))
        last = max(last, end)
    return cut_spans(segments, [*outside, (last, math.inf)])


def drop_short(segments: Iterable[StrainSegment], minimum_seconds: float) -> list[StrainSegment]:
    """Return the segments that are at least `minimum_seconds` long."""
    return [segment for segment in segments if segment.duration >= minimum_seconds]


def join_contiguous(segments: Iterable[StrainSegment]) -> list[StrainSegment]:
    """Join segments of a detector where one begins at the sample after the other's last."""
    joined: list[list[StrainSegment]] = []
    for segment in by_time(segments):
        last = joined[-1][-1] if joined else None
        if last is not None and _continues(last, segment):
            joined[-1].append(segment)
        else:
            joined.append([segment])
    return [
        replace(parts[0], strain=np.concatenate([part.strain for part in parts]))
        if len(parts) > 1
        else parts[0]
        for parts in joined
    ]


def without_duplicates(segments: Iterable[StrainSegment]) -> list[StrainSegment]:
    """Use each time of a detector once, from the segment of the highest sample rate.

    Among equal rates the longest segment wins; what the others have beyond it is kept.
    """
    kept: list[StrainSegment] = []
    order = sorted(segments, key=lambda s: (-s.sample_rate_hz, -s.duration, s.gps_start))
    for segment in order:
        covered = [(s.gps_start, s.gps_end) for s in kept if s.detector == segment.detector]
        kept += cut_spans([segment], covered)
    return by_time(kept)


def by_time(segments: Iterable[StrainSegment]) -> list[StrainSegment]:
    """Return the segments in order of detector, then of time."""
    return sorted(segments, key=lambda s: (s.detector, s.gps_start))


def _continues(before: StrainSegment, after: StrainSegment) -> bool:
    """Whether the sample after the last of `before` is the first of `after`."""
    same = (before.detector, before.sample_rate_hz) == (after.detector, after.sample_rate_hz)
    gap = (after.gps_start - before.gps_end) * after.sample_rate_hz
    return same and abs(gap) < 0.1


def _index(segment: StrainSegment, gps: float) -> int:
    """Return the number of the first sample at or after `gps`, within the segment."""
    samples = (gps - segment.gps_start) * segment.sample_rate_hz
    return math.ceil(min(max(samples - TIME_TOLERANCE, 0), segment.strain.size))
