"""Search strain as it is recorded: `ligo-search --detector bbh_o3 --follow DIR`.

Files are looked for every 0.2 s. A trigger is told when the data that complete it have arrived:
half of the whitening filter of strain after it (`filter_seconds` / 2: 1 s of a filter of 2 s)
and the seconds within which it must be the loudest (`triggers.cluster_seconds`). Strain comes a
file at a time, so a trigger near a file's end waits for the next one. From then it takes the
computer well under 2 s. Each line tells both: `latency_seconds` from the arrival of the last
strain needed, `latency_from_peak_file_seconds` from that of the file with the peak.
"""

import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.search.live import LiveSearch
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.weights import load_detector
from ligo_cpc_snn.search.whitened import filter_half
from ligo_cpc_snn.strain.files import read_strain
from ligo_cpc_snn.wiring.choices import prepared_search
from ligo_cpc_snn.wiring.follow_files import Arrival, Record, Stamp, Watched
from ligo_cpc_snn.wiring.follow_strain import LiveTriggers, Pool
from ligo_cpc_snn.wiring.follow_told import Told
from ligo_cpc_snn.wiring.search_identity import claim_followed, identity_of

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
TRIGGERS = "triggers.jsonl"
STOPS = (signal.SIGINT, signal.SIGTERM)


def follow(cfg: SearchConfig, output_dir: Path) -> int:
    """Search files as they come, until a signal asks for the end.

    At the end triggers are told that still waited for strain after them.

    Args:
        cfg: with a folder to follow.
        output_dir: of `triggers.jsonl` and the record of files; it exists.

    Returns:
        The exit code, 0.

    Raises:
        UserError: there is no folder, or no threshold; something else was followed into
            `output_dir`.
    """
    assert cfg.follow is not None
    loaded = load_detector(cfg.detector)
    claim_followed(output_dir, identity_of(cfg, loaded))
    _, detector, _ = prepared_search(cfg, loaded)
    record = Record(output_dir)
    folder = Path(cfg.follow).expanduser()
    watched = Watched(folder, detector.detectors, record.done, cfg.strain.exclude)
    with _stopped() as stop:
        search = Follower(cfg, detector, output_dir / TRIGGERS, record.told_until)
        search.replay(folder, record)
        record.add({}, search.told_until)
        log.info("following %s; Ctrl-C ends", folder)
        log.info(
            "a trigger waits for %.2f s of strain after it: half of the whitening filter, and the "
            "seconds within which it is the loudest",
            search.told.needed_seconds,
        )
        while not stop.wait(POLL_SECONDS):
            arrivals = watched.poll()
            search.take(arrivals)
            record.add({watched.name(a.path): a for a in arrivals}, search.told_until)
        search.flush()
        record.add({}, search.told_until)
    log.info("ended after %d triggers; the same command goes on from here", search.told.count)
    return 0


class Follower:
    """The detector over arriving files; triggers go to standard output and to a file.

    Args:
        file: to which triggers are appended.
        told_until: GPS time up to which an earlier process told triggers.
    """

    def __init__(
        self, cfg: SearchConfig, detector: TrainedDetector, file: Path, told_until: float
    ) -> None:
        self.detector, self.psd_seconds = detector, cfg.psd_seconds
        needed = filter_half(detector) / detector.sample_rate_hz + cfg.triggers.cluster_seconds
        self.told = Told(file, detector.name, needed, detector.time_offset_seconds)
        self.pool = Pool(detector.detectors)
        self.live = LiveSearch(detector, cfg.psd_seconds)
        self.triggers = LiveTriggers(
            threshold=_threshold(cfg, detector),
            cluster_seconds=cfg.triggers.cluster_seconds,
            time_offset_seconds=detector.time_offset_seconds,
            frame_seconds=detector.frame_seconds,
        )
        if self.told.last_peak is not None:
            # A process that was killed may have told more than its record says; none can be
            # a second trigger within `cluster_seconds` of one.
            told_until = max(told_until, self.told.last_peak + cfg.triggers.cluster_seconds)
        self.triggers.told_until = told_until or -np.inf

    @property
    def told_until(self) -> float:
        """GPS time up to which triggers are told."""
        return float(max(self.triggers.told_until, 0.0))

    def take(self, arrivals: Sequence[Arrival]) -> None:
        """Search what files have completed; without files, what was waited for long enough."""
        self.told.arrivals.add(arrivals)
        self.pool.add(strain for arrival in arrivals for strain in arrival.strain)
        for part in self.pool.take():
            try:
                found = self.triggers.feed(self.live.feed(part))
            except ValueError as error:
                # One bad stretch does not end the search: it becomes a gap.
                log.error("GPS %.3f left out: %s", next(iter(part.values())).gps_start, error)
                self.live.reset()
                continue
            self.told.tell(found)

    def flush(self) -> None:
        """Tell the triggers that wait for strain after them."""
        self.told.tell(self.triggers.flush())

    def replay(self, folder: Path, record: Record) -> None:
        """Feed the last files of an earlier process again: its PSD, and what it had not told."""
        names = record.since(record.told_until - self.psd_seconds)
        paths = [path for name in names if (path := folder / name).exists()]
        if not paths:
            return
        log.info("continuing after GPS %.3f", record.told_until)
        now = time.time()
        strain = [read_strain(path, self.detector.detectors) for path in paths]
        stamp = Stamp(0, 0)
        self.take([Arrival(p, stamp, s, now) for p, s in zip(paths, strain, strict=True)])


def _threshold(cfg: SearchConfig, detector: TrainedDetector) -> float:
    given, own = cfg.triggers.threshold, detector.card.get("search_threshold")
    if given is not None:
        return given
    if own is None:
        raise UserError(
            f"detector {detector.name} has no search_threshold in its card: give "
            "triggers.threshold with --follow"
        )
    return float(own)


@contextmanager
def _stopped() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set; their handlers are put back at the end."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in STOPS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
