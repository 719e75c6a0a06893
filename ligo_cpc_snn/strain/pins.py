"""Which seconds of the cache running processes need: nobody deletes them."""

import json
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from igwn_segments import segment, segmentlist

from ligo_cpc_snn.reading.text import parse_json
from ligo_cpc_snn.strain.replacing import write_whole

log = logging.getLogger(__name__)


@contextmanager
def pinned(folder: Path, wanted: Mapping[str, segmentlist]) -> Iterator[None]:
    """Say for as long as it lasts which seconds of each detector are needed.

    A lock on the note shows that its process lives: the system frees it when the process dies.
    """
    notes = folder / "in-use"
    notes.mkdir(exist_ok=True)
    note = notes / f"{os.getpid()}-{secrets.token_hex(4)}.json"
    lock = note.with_suffix(".lock")
    spans = {name: [list(span) for span in seconds] for name, seconds in wanted.items()}
    try:
        with FileLock(lock):
            try:
                write_whole(note, json.dumps(spans).encode())
                yield
            finally:
                note.unlink(missing_ok=True)
    finally:
        lock.unlink(missing_ok=True)


def pins(folder: Path) -> dict[str, segmentlist]:
    """Return the seconds that living processes need, by detector; forget the dead ones'."""
    held: dict[str, segmentlist] = {}
    for note in sorted((folder / "in-use").glob("*.json")):
        lock = FileLock(note.with_suffix(".lock"))
        try:
            with lock.acquire(timeout=0):
                note.unlink(missing_ok=True)
            note.with_suffix(".lock").unlink(missing_ok=True)
        except Timeout:
            with suppress(FileNotFoundError):  # it ended meanwhile
                for name, new in _spans(note).items():
                    held[name] = (held.get(name, segmentlist()) | new).coalesce()
    return held


def _spans(note: Path) -> dict[str, segmentlist]:
    """Return the seconds of a note; one that is not as it was written, which is said, has none."""
    try:
        noted = parse_json(note.read_bytes())
        return {
            str(name): segmentlist(segment(float(start), float(end)) for start, end in spans)
            for name, spans in noted.items()
        }
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        log.warning("%s: not as it was written (%s); not heeded", note, error)
        return {}
