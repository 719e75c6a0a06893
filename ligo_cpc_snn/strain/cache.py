"""The strain cache: what it knows, what it gives, and how much room it takes."""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from igwn_segments import segment, segmentlist

from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.pieces import (
    BrokenPieceError,
    Piece,
    is_sound,
    piece,
    read_piece,
    write_absence,
    write_piece,
)
from ligo_cpc_snn.strain.pins import pinned
from ligo_cpc_snn.strain.room import make_room, strain_bytes
from ligo_cpc_snn.strain.segments import (
    StrainSegment,
    join_contiguous,
    keep_spans,
    without_duplicates,
)

log = logging.getLogger(__name__)

ABSENCE_SECONDS = 30 * 86400.0  # later the server is asked again: it may have new files


class StrainCache:
    """Strain of one server, in a folder that several processes may use at once.

    Files get their names when they are whole and are never changed; each name carries the
    SHA-256 of its file. Where two processes wrote the same seconds, one of them is read.

    Args:
        root: Folder of all servers' strain; the limit is on it.
        host: Address of the server.
        limit_gb: Size beyond which the least recently used files are deleted.

    Raises:
        GwoscError: The folder cannot be made or written.
    """

    def __init__(self, root: Path, host: str, limit_gb: float) -> None:
        self.root, self.host, self.limit = root, host, limit_gb * 1e9
        self.folder = root / folder_name(host)
        self.incoming = self.folder / "incoming"
        try:
            self.incoming.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GwoscError(
                f"strain cache {root} cannot be made ({error.strerror}): set LIGO_CACHE_DIR to a "
                "folder that can be written"
            ) from error
        if not os.access(self.incoming, os.W_OK):  # also root, on a read-only disk
            raise GwoscError(
                f"strain cache {root} cannot be written (its disk or folder is read-only): set "
                "LIGO_CACHE_DIR to a folder that can be written"
            )

    def pieces(self, detector: str, wanted: segmentlist) -> list[Piece]:
        """Return the files that tell something about wanted seconds of a detector."""
        found = [piece(path) for path in self.folder.glob(f"{detector}-*")]
        return sorted(
            (p for p in found if p is not None and wanted.intersects_segment(p.span)),
            key=lambda p: (p.start, p.seconds, p.sha256),
        )

    def known(self, detector: str, wanted: segmentlist, offline: bool = False) -> segmentlist:
        """Return the wanted seconds about which the cache knows, usable or not.

        Broken files are deleted, and said; the others count as used now.

        Args:
            detector: Name.
            wanted: Whole seconds.
            offline: That the server had no file counts for ever, else for a month.
        """
        spans = segmentlist()
        for found in self.pieces(detector, wanted):
            try:
                if found.absent and found.age() > ABSENCE_SECONDS and not offline:
                    continue
                if not is_sound(found):
                    _discard(found, "not as it was written (its SHA-256 differs)")
                    continue
                found.touch()
            except FileNotFoundError:  # another process made room
                continue
            spans.append(found.span)
        return wanted & spans.coalesce()

    def read(self, detector: str, wanted: segmentlist) -> list[StrainSegment]:
        """Return the usable strain in the wanted seconds, in order of time.

        Raises:
            BrokenPieceError: A file was broken; it is deleted, so `known` tells what is missing.
        """
        segments: list[StrainSegment] = []
        for found in self.pieces(detector, wanted):
            try:
                segments += read_piece(found)
            except BrokenPieceError:
                _discard(found, "not as it was written (its SHA-256 differs)")
                raise
        spans = [(float(start), float(end)) for start, end in wanted]
        return join_contiguous(without_duplicates(keep_spans(segments, spans)))

    def store(
        self, detector: str, span: segment, segments: Sequence[StrainSegment], source: str
    ) -> Piece:
        """Keep the usable strain of whole seconds, and make room for it."""
        within = keep_spans(segments, [(float(span[0]), float(span[1]))])
        written = write_piece(self.folder, detector, span, within, source)
        self.make_room()
        return written

    def store_absence(self, detector: str, seconds: segmentlist) -> None:
        """Note that the server has no file of these seconds."""
        for span in seconds:
            write_absence(self.folder, detector, span, self.host)

    @contextmanager
    def in_use(self, wanted: Mapping[str, segmentlist]) -> Iterator[None]:
        """Keep all processes from deleting the files of wanted seconds, by detector."""
        with pinned(self.folder, wanted):
            yield

    def source_lock(self, key: str) -> FileLock:
        """Return the lock of a download: one process at a time works on it."""
        return FileLock(self.incoming / f"{key}.lock")

    def make_room(self) -> None:
        """Delete the least recently used files until the rest is within the limit."""
        deleted = make_room(self.root, self.limit)
        if deleted:
            log.info("strain cache: old files deleted to make room: %d", len(deleted))
        if (excess := strain_bytes(self.root) - self.limit) > 0:
            log.warning(
                "strain cache %s is %.2f GB above its limit of %.3g GB: the running requests need "
                "that much, raise data.gwosc.cache_gb",
                self.root,
                excess / 1e9,
                self.limit / 1e9,
            )


def folder_name(host: str) -> str:
    """Return a folder's name for a server: letters, digits, dots within, hyphens."""
    plain = re.sub(r"[^a-z0-9.]+", "-", host.lower().split("://")[-1])
    return plain.strip(".-") or "host"


def _discard(found: Piece, reason: str) -> None:
    log.warning("%s: %s; deleted, to be fetched again", found.path, reason)
    found.path.unlink(missing_ok=True)
