"""What a search says of itself: `search.json`."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.strain.replacing import write_whole
from ligo_cpc_snn.units import YEAR_SECONDS

ANALYSED, WARM_UP, LEFT_OUT = "analysed", "warm-up", "left out"


@dataclass(frozen=True)
class SearchedSpan:
    """A stretch of time of all detectors and what became of it.

    Args:
        start, end: GPS s.
        state: `analysed`, `warm-up` (read, but the network had not seen enough since a gap),
            or `left out`.
        reason: why it was left out, in words.
    """

    start: float
    end: float
    state: str = ANALYSED
    reason: str = ""

    def __post_init__(self) -> None:
        if self.state not in (ANALYSED, WARM_UP, LEFT_OUT) or not self.start <= self.end:
            raise ValueError(
                f"span {self.start} to {self.end} of state {self.state!r}: expected start <= end "
                f"and one of {ANALYSED!r}, {WARM_UP!r}, {LEFT_OUT!r}"
            )


@dataclass(frozen=True)
class BackgroundRecord:
    """How the background was had; `seconds` is its live time, all slides together."""

    slides: int
    seconds: float
    shift_seconds: float
    extrapolated: bool = False
    consistency: dict[str, Any] = field(default_factory=dict)  # `Consistency._asdict()`


@dataclass(frozen=True)
class SearchRecord:
    """Everything about a search that a reader of its triggers wants to know.

    Args:
        name: of the search.
        detector: from `detector_facts`.
        source: where the strain came from, in words.
        open_data: whether strain of GWOSC was searched, which its users acknowledge.
        spans: in the order of time, of all that was offered.
        seconds_read: strain that went in, counted once for all detectors, s.
        threshold: of the statistic.
        cluster_seconds, timing_seconds: as configured.
        background: None where no slide was made.
        wall_seconds: that the search of strain took, compilation not counted, s.
        cpu_seconds: processor time of reading, whitening and the network, of all threads, s.
        cores: that the process was allowed to use.
        catalogue: which list of events triggers are compared with, in words; empty for none.
        events: those of it in the time analysed, name and GPS s (`catalogue.events_in`).
        files: names of the files read.
        warnings: for the reader, whole sentences.
        command, versions, machine, settings: how to do it again.
        identity: what the folder is of; the search of something else does not overwrite it.
    """

    name: str
    detector: dict[str, Any]
    source: str
    open_data: bool
    spans: Sequence[SearchedSpan]
    seconds_read: float
    threshold: float
    cluster_seconds: float
    timing_seconds: float
    background: BackgroundRecord | None
    wall_seconds: float
    cpu_seconds: float
    cores: int
    catalogue: str = ""
    events: dict[str, float] = field(default_factory=dict)
    files: Sequence[str] = ()
    warnings: Sequence[str] = ()
    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the record with what follows from it: seconds by state, throughput."""
        return asdict(self) | {
            "seconds": {
                "read": self.seconds_read,
                "analysed": self._seconds(ANALYSED),
                "warm_up": self._seconds(WARM_UP),
                "left_out": self._seconds(LEFT_OUT),
            },
            "throughput": self._throughput(),
            "lowest_far_per_year": self._lowest_far(),
        }

    def _seconds(self, state: str) -> float:
        return math.fsum(span.end - span.start for span in self.spans if span.state == state)

    def _throughput(self) -> dict[str, float] | None:
        """Return rates of the search; per core means seconds of strain per CPU second."""
        if self.wall_seconds <= 0 or self.cpu_seconds <= 0:
            return None
        speed = self.seconds_read / self.wall_seconds
        return {
            "wall_seconds": self.wall_seconds,
            "cpu_seconds": self.cpu_seconds,
            "strain_hours_per_minute": speed / 60,
            "times_real_time": speed,
            "times_real_time_per_core": self.seconds_read / self.cpu_seconds,
        }

    def _lowest_far(self) -> float | None:
        if self.background is None or not self.background.seconds:
            return None
        return YEAR_SECONDS / self.background.seconds


def detector_facts(detector: TrainedDetector) -> dict[str, Any]:
    """Return what is said of a detector: its name, its conditioning and its card."""
    return {
        "name": detector.name,
        "detectors": list(detector.detectors),
        "sample_rate_hz": detector.sample_rate_hz,
        "band_hz": list(detector.band_hz),
        "frame_seconds": detector.frame_seconds,
        "warm_up_seconds": detector.warm_up_seconds,
        "time_offset_seconds": detector.time_offset_seconds,
        "card": dict(detector.card),
    }


def write_record(path: str | Path, record: SearchRecord) -> None:
    """Write search.json; numbers that are not finite become null, as JSON knows none."""
    text = json.dumps(_finite(record.to_dict()), indent=1, default=str, allow_nan=False)
    write_whole(Path(path), (text + "\n").encode())


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if hasattr(value, "tolist"):  # a number or an array of NumPy's
        return _finite(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
