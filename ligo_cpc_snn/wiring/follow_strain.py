"""Strain that comes file by file and detector by detector, made coincident; triggers of it."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ligo_cpc_snn.search.stream import Statistic
from ligo_cpc_snn.search.triggers import Peaks, find_triggers
from ligo_cpc_snn.strain.coincidence import Coincident, common_time
from ligo_cpc_snn.strain.segments import (
    StrainSegment,
    between,
    join_contiguous,
    without_dropouts,
    without_duplicates,
)

log = logging.getLogger(__name__)

WAIT_SECONDS = 5.0  # for a detector's file that is late, before its time becomes a gap
KEPT_SECONDS = 600.0  # of one detector's strain without the others'


class Pool:
    """Strain of each detector that waits for the others'.

    Args:
        detectors: all of which are needed.
    """

    def __init__(self, detectors: Sequence[str]) -> None:
        self.detectors = list(detectors)
        self.taken_until = -np.inf  # GPS s
        self._waiting: list[StrainSegment] = []
        self._since: float | None = None  # monotonic s: a late file is waited for

    def add(self, strain: Iterable[StrainSegment]) -> None:
        """Add what a file held; what is older than what was taken is left out."""
        for segment in without_dropouts(strain):
            late = between(segment, self.taken_until, np.inf)
            if late.duration < segment.duration:
                log.warning(
                    "%s: %.3f s of %s come after later strain was searched, left out",
                    segment.source,
                    segment.duration - late.duration,
                    segment.detector,
                )
            if late.strain.size:
                self._waiting.append(late)
        self._waiting = join_contiguous(without_duplicates(self._waiting))

    def take(self) -> Iterator[Coincident]:
        """Yield what all detectors have, in the order of time."""
        for part in common_time(self._waiting, self.detectors):
            first = next(iter(part.values()))
            if self._is_late(first.gps_start):
                return
            self._since = None
            self.taken_until = first.gps_end
            yield part
            rest = [between(s, self.taken_until, np.inf) for s in self._waiting]
            self._waiting = [s for s in rest if s.strain.size]
        newest = max((s.gps_end for s in self._waiting), default=0.0)
        kept = [between(s, newest - KEPT_SECONDS, np.inf) for s in self._waiting]
        self._waiting = [s for s in kept if s.strain.size]

    def _is_late(self, start: float) -> bool:
        """Whether a detector's strain before `start` may still come: some other's is here."""
        if not any(s.gps_start < start - 1e-3 for s in self._waiting):
            return False
        now = time.monotonic()
        self._since = self._since or now
        return now - self._since < WAIT_SECONDS


class LiveTriggers:
    """Clusters frames as they come: a trigger is told once nothing louder can follow it.

    That is `cluster_seconds` of strain after its frame, or at a gap.

    Args:
        threshold, cluster_seconds, time_offset_seconds: as `find_triggers`.
        frame_seconds: between two frames.
    """

    def __init__(
        self,
        *,
        threshold: float,
        cluster_seconds: float,
        time_offset_seconds: float,
        frame_seconds: float,
    ) -> None:
        self.threshold, self.cluster_seconds = threshold, cluster_seconds
        self.time_offset_seconds, self.frame_seconds = time_offset_seconds, frame_seconds
        self.told_until = -np.inf  # GPS time of the last frame that was decided upon
        self._gps, self._value = np.zeros(0), np.zeros(0, np.float32)

    def feed(self, statistic: Statistic) -> Peaks:
        """Return the triggers that these frames decide."""
        gaps = np.flatnonzero(np.diff(statistic.gps) > 1.5 * self.frame_seconds)
        assert not gaps.size, "frames of one stretch expected"
        if not statistic.gps.size:
            return self._told(-np.inf)
        last = self._gps[-1] if self._gps.size else statistic.gps[0]
        begins_anew = statistic.gps[0] - last > 1.5 * self.frame_seconds
        before = self._told(np.inf) if begins_anew else None
        if begins_anew:
            self._gps, self._value = np.zeros(0), np.zeros(0, np.float32)
        self._gps = np.concatenate([self._gps, statistic.gps])
        self._value = np.concatenate([self._value, np.ravel(statistic.value)])
        now = self._told(float(self._gps[-1]) - self.cluster_seconds)
        kept = self._gps >= self.told_until - self.cluster_seconds - 2 * self.frame_seconds
        self._gps, self._value = self._gps[kept], self._value[kept]
        if before is None:
            return now
        return Peaks(*(np.concatenate(pair) for pair in zip(before, now, strict=True)))

    def flush(self) -> Peaks:
        """Return the triggers that wait for strain after them: none comes."""
        return self._told(np.inf)

    def _told(self, until: float) -> Peaks:
        """Return triggers whose frames lie after those told and not after `until`."""
        found = find_triggers(
            self._gps,
            self._value,
            threshold=self.threshold,
            cluster_seconds=self.cluster_seconds,
            time_offset_seconds=self.time_offset_seconds,
        )
        frame = self._gps[found.frame]
        new = (frame > self.told_until) & (frame <= until)
        decided = self._gps[self._gps <= until]
        if decided.size:
            self.told_until = max(self.told_until, float(decided[-1]))
        return Peaks(*(column[new] for column in found))
