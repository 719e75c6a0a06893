"""Strain as it lies in a file: what its metadata say, and the part of it that is wanted."""

import math
from dataclasses import dataclass

import h5py
import numpy as np
from igwn_segments import segment, segmentlist
from jaxtyping import Bool

from ligo_cpc_snn.strain.quality import per_sample
from ligo_cpc_snn.strain.segments import (
    TIME_TOLERANCE,
    Span,
    StrainSegment,
    cut_spans,
    good_stretches,
)

EVER: Span = (-math.inf, math.inf)


@dataclass(frozen=True)
class Recording:
    """One dataset of an open HDF5 file.

    Args:
        dataset: Strain, 1-d, real.
        detector: Name, as H1.
        gps_start: Time of the first sample, GPS s.
        sample_rate_hz: Sample rate in Hz.
        source: The file.
        good: Whether the strain may be used, in equal intervals of its whole length.
        unusable: Spans that may not be used, GPS s.
    """

    dataset: h5py.Dataset
    detector: str
    gps_start: float
    sample_rate_hz: int
    source: str
    good: Bool[np.ndarray, "interval"] | None = None
    unusable: tuple[Span, ...] = ()

    @property
    def gps_end(self) -> float:
        """Time just after the last sample, GPS s."""
        return self.gps_start + self.dataset.size / self.sample_rate_hz

    def usable(self) -> list[Span]:
        """Return the spans that the metadata leave, GPS s; samples are not read."""
        good = np.ones(1, bool) if self.good is None else self.good
        edges = np.linspace(self.gps_start, self.gps_end, good.size + 1).tolist()
        kept = segmentlist(segment(*edges[i : i + 2]) for i in np.flatnonzero(good)).coalesce()
        kept -= segmentlist(segment(*span) for span in self.unusable).coalesce()
        return [(start, end) for start, end in kept]

    def read(self, span: Span = EVER) -> list[StrainSegment]:
        """Read the usable strain that lies within `span`, GPS s; no other samples are read."""
        first, last = self._index(span[0]), self._index(span[1])
        if first >= last:
            return []
        part = StrainSegment(
            self.detector,
            self.gps_start + first / self.sample_rate_hz,
            self.sample_rate_hz,
            self.dataset[first:last].astype(np.float64),
            self.source,
        )
        good = None if self.good is None else per_sample(self.good, self.dataset.size)[first:last]
        return cut_spans(good_stretches(part, good), self.unusable)

    def _index(self, gps: float) -> int:
        samples = (gps - self.gps_start) * self.sample_rate_hz - TIME_TOLERANCE
        return math.ceil(min(max(samples, 0), self.dataset.size))
