"""New strain files in a folder: each once, when it is complete, also after a restart."""

import json
import logging
import re
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.strain.errors import StrainFileError
from ligo_cpc_snn.strain.files import read_strain, strain_files
from ligo_cpc_snn.strain.segments import StrainSegment

log = logging.getLogger(__name__)

RECORD = "followed.jsonl"
AT_A_TIME = 8  # files
NAME = re.compile(r"-(\d{9,10})(?:-\d+)?[-.]")
PATIENCE_SECONDS = 5.0  # with a file that does not grow and cannot be read


class Stamp(NamedTuple):
    """What changes when a file is written to."""

    size: int
    mtime_ns: int


class Arrival(NamedTuple):
    """A complete file, its usable strain, and when its last byte or its name came (Unix s)."""

    path: Path
    stamp: Stamp
    strain: list[StrainSegment]
    arrived: float


class Watched:
    """A folder that others write strain files into.

    A file is taken when its size and time have not changed from one `poll` to the next and it
    can be read: one that was renamed into place at once, one that is being written later.

    Args:
        folder: with the folders in it; names that begin with a dot are passed over.
        detectors: whose strain is wanted.
        done: files not to be taken again, and what they were.

    Raises:
        UserError: there is no such folder.
    """

    def __init__(
        self, folder: Path, detectors: Sequence[str], done: dict[str, Stamp], exclude: Sequence[str]
    ) -> None:
        if not folder.is_dir():
            raise UserError(f"follow={folder}: there is no such folder, make it first")
        self.folder, self.detectors, self.exclude = folder, list(detectors), exclude
        self.done = dict(done)
        self._began = time.time()
        self._seen: dict[str, tuple[Stamp, float]] = {}  # and since when, monotonic s

    def poll(self) -> list[Arrival]:
        """Return files that have become complete, by the time their strain begins.

        Of a folder full of files they are a few at a time, the earliest by their names first.
        """
        complete = (arrival for path in self._candidates() if (arrival := self._take(path)))
        found = list(islice(complete, AT_A_TIME))
        return sorted(
            found, key=lambda a: (min((s.gps_start for s in a.strain), default=0), a.path)
        )

    def _candidates(self) -> list[Path]:
        paths = strain_files(self.folder, self.exclude)
        named = [path for path in paths if not path.name.startswith(".")]
        return sorted(named, key=_gps_in_name)

    def name(self, path: Path) -> str:
        """Return how a file is called in records."""
        return path.relative_to(self.folder).as_posix()

    def _take(self, path: Path) -> Arrival | None:
        name = self.name(path)
        try:
            status = path.stat()
        except FileNotFoundError:  # taken away between the listing and now
            return None
        stamp = Stamp(status.st_size, status.st_mtime_ns)
        if self.done.get(name) == stamp:
            return None
        before, since = self._seen.get(name, (None, 0.0))
        if before != stamp:
            self._seen[name] = stamp, time.monotonic()
            return None
        try:
            strain = read_strain(path, self.detectors)
        except (StrainFileError, OSError) as error:
            # A writer may hold it open, or not be through with it.
            if time.monotonic() - since < PATIENCE_SECONDS:
                return None
            log.warning("left out until it changes: %s", error)
            strain = []
        self.done[name] = stamp
        self._seen.pop(name)
        arrived = max(status.st_mtime, status.st_ctime, self._began)
        return Arrival(path, stamp, strain, arrived)


def _gps_in_name(path: Path) -> int:
    """Return the GPS time in names such as H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5, else 0."""
    match = NAME.search(path.name)
    return int(match[1]) if match else 0


class Record:
    """Which files were searched, and until which GPS time the triggers were told.

    Args:
        folder: of the results.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / RECORD
        self.done: dict[str, Stamp] = {}
        self.told_until = 0.0
        self._ends: dict[str, float] = {}  # GPS s
        if self._file.exists():
            text = self._file.read_text(encoding="utf-8")
            for line in text.splitlines():
                self._read(line)
            if not text.endswith("\n"):  # what is added must not continue a broken line
                with self._file.open("a", encoding="utf-8") as file:
                    file.write("\n")

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:  # the last line of a process that was killed
            log.warning("%s: a line is broken, its file will be searched again", self._file)
            return
        self.told_until = max(self.told_until, entry["told_until"])
        if "file" in entry:
            self.done[entry["file"]] = Stamp(entry["size"], entry["mtime_ns"])
            self._ends[entry["file"]] = entry["gps_end"]

    def since(self, gps: float) -> list[str]:
        """Return the files with strain after a GPS time."""
        return [name for name, end in self._ends.items() if end > gps]

    def add(self, arrivals: dict[str, Arrival], told_until: float) -> None:
        """Note that files were taken, and until when triggers were told, where that is new."""
        entries: list[dict[str, object]] = [
            {
                "file": name,
                **arrival.stamp._asdict(),
                "gps_end": max((s.gps_end for s in arrival.strain), default=0.0),
                "told_until": told_until,
            }
            for name, arrival in arrivals.items()
        ]
        if not entries and told_until > self.told_until:
            entries = [{"told_until": told_until}]
        self.told_until = max(self.told_until, told_until)
        if not entries:
            return
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)
