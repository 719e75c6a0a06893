"""The triggers of a followed search: lines on standard output and in a file, and how late."""

import json
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ligo_cpc_snn.search.triggers import Peaks
from ligo_cpc_snn.wiring.follow_files import Arrival

log = logging.getLogger(__name__)

REMEMBERED_SECONDS = 600.0  # of strain, whose arrival is known


class _Came(NamedTuple):
    """Strain of one detector, the name of its file, and when that arrived (Unix s)."""

    detector: str
    gps_end: float
    arrived: float
    file: str


class Arrivals:
    """Which file brought the strain of a time, and when."""

    def __init__(self) -> None:
        self._came: list[_Came] = []

    def add(self, arrivals: Iterable[Arrival]) -> None:
        """Note files; those of long ago are forgotten."""
        self._came += [
            _Came(s.detector, s.gps_end, a.arrived, a.path.name) for a in arrivals for s in a.strain
        ]
        newest = max((came.gps_end for came in self._came), default=0.0)
        self._came = [c for c in self._came if c.gps_end > newest - REMEMBERED_SECONDS]

    def until(self, gps: float) -> tuple[float | None, list[str]]:
        """Return when the strain up to a GPS time was there, and in whose files.

        The last detector's file decides. None where one detector's strain does not go so far.
        """
        first: list[_Came] = []
        for detector in dict.fromkeys(came.detector for came in self._came):
            own = [c for c in self._came if c.detector == detector and c.gps_end >= gps - 1e-6]
            if not own:
                return None, []
            first.append(min(own, key=lambda came: came.gps_end))
        if not first:
            return None, []
        return max(c.arrived for c in first), sorted({c.file for c in first})


class Told:
    """Tells triggers, each once, with two latencies.

    `latency_seconds` is counted from the arrival of the last strain that was needed: that up to
    `needed_seconds` after the peak. It is what the computer took, and the time between two looks
    into the folder. `latency_from_peak_file_seconds` is counted from the arrival of the file
    that holds the peak itself, so the wait for later files is in it. Both are null where that
    strain never came: the search was stopped, or the trigger is the last before a gap.

    Args:
        file: to which triggers are appended; a broken last line of a killed process is cut off.
        detector: name, for the lines.
        needed_seconds: of strain after a peak that decide it: half of the whitening filter, and
            the seconds within which it must be the loudest.
        time_offset_seconds: of a peak after its trigger's time.
    """

    def __init__(
        self, file: Path, detector: str, needed_seconds: float, time_offset_seconds: float
    ) -> None:
        self.file, self.detector = file, detector
        self.needed_seconds, self.time_offset_seconds = needed_seconds, time_offset_seconds
        self.arrivals = Arrivals()
        self.count = 0
        self.last_peak: float | None = self._last_peak()  # GPS s, of what is told already

    def tell(self, found: Peaks) -> None:
        """Write triggers to the file and to standard output."""
        for gps, statistic in zip(found.gps, found.statistic, strict=True):
            self.count += 1
            text = json.dumps(self._line(float(gps), float(statistic)))
            with self.file.open("a", encoding="utf-8") as file:
                file.write(text + "\n")
            print(text, flush=True)

    def _line(self, gps: float, statistic: float) -> dict[str, Any]:
        peak, now = gps + self.time_offset_seconds, time.time()
        complete, _ = self.arrivals.until(peak + self.needed_seconds)
        began, files = self.arrivals.until(peak)
        return {
            "time": gps,
            "statistic": statistic,
            "detector": self.detector,
            "file": ", ".join(files),
            "latency_seconds": _since(complete, now),
            "latency_from_peak_file_seconds": _since(began, now),
        }

    def _last_peak(self) -> float | None:
        if not self.file.exists():
            return None
        body = self.file.read_bytes()
        whole = body[: body.rfind(b"\n") + 1]
        if whole != body:
            log.warning("%s: its last line is broken and is told again", self.file)
            self.file.write_bytes(whole)
        lines: Sequence[bytes] = whole.splitlines()
        return float(json.loads(lines[-1])["time"]) + self.time_offset_seconds if lines else None


def _since(then: float | None, now: float) -> float | None:
    return None if then is None else round(now - then, 3)
