"""Whiten strain as it arrives: the PSD of the past, and half a filter of the future."""

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, whiten
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.whitened import WhitenedPiece, filter_half, measured_filter

RENEWAL_SECONDS = 16.0  # between two PSDs
LEAST_SECONDS = 8.0  # of strain before the first PSD


class LiveWhitening:
    """Whitens one unbroken stretch of strain, in pieces of any length.

    The PSD is renewed every `RENEWAL_SECONDS` of strain, counted from the stretch's start, and
    is measured on the `psd_seconds` before: what comes out does not depend on the pieces. The
    first `LEAST_SECONDS` (or two Welch segments) wait for their own PSD.

    Args:
        psd_seconds: of past strain that a PSD is measured on, or what there is of it.
    """

    def __init__(self, detector: TrainedDetector, psd_seconds: float) -> None:
        rate = detector.sample_rate_hz
        self.detector, self.half = detector, filter_half(detector)
        self.renewal = round(RENEWAL_SECONDS * rate)
        self.least = round(max(LEAST_SECONDS, 2 * detector.psd_segment_seconds) * rate)
        self.past = max(round(psd_seconds * rate), self.least)
        self._strain = np.zeros((len(detector.detectors), 0))
        self._dropped = 0  # samples before the first of `_strain`
        self._next = self.half  # sample that is whitened next
        self._filters: list[WhiteningFilter] = []
        self._valid_until = 0  # sample from which on the filters are renewed

    def feed(self, strain: Float[np.ndarray, "detector time"]) -> WhitenedPiece:
        """Return the whitened strain that this strain completes; half a filter waits."""
        self._strain = np.concatenate([self._strain, strain], axis=1)
        received = self._dropped + self._strain.shape[1]
        pieces = [np.zeros((strain.shape[0], 0), np.float32)]
        while received >= self.least and self._next < received - self.half:
            if self._next >= self._valid_until:
                self._renew()
            last = min(self._valid_until, received - self.half)
            pieces.append(self._whitened(last))
            self._next = last
        self._forget()
        return np.concatenate(pieces, axis=1)

    def _renew(self) -> None:
        start = self._next - self._next % self.renewal
        last = max(start, self.least)
        past = self._cut(max(last - self.past, 0), last)
        self._filters = [measured_filter(row, self.detector) for row in past]
        self._valid_until = start + self.renewal

    def _whitened(self, last: int) -> WhitenedPiece:
        rows = self._cut(self._next - self.half, last + self.half)
        return np.stack([whiten(row, f) for row, f in zip(rows, self._filters, strict=True)])

    def _cut(self, first: int, last: int) -> Float[np.ndarray, "detector time"]:
        return self._strain[:, first - self._dropped : last - self._dropped]

    def _forget(self) -> None:
        """Drop strain that neither the next PSD nor the filter will use."""
        kept = min(self._next - self.half, self._next - self._next % self.renewal - self.past)
        if kept > self._dropped:
            self._strain = self._strain[:, kept - self._dropped :].copy()
            self._dropped = kept
