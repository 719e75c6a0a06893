"""Heaps of texts in an HDF5 file, walked before the library does.

A damaged heap whose free room says that it is 0 bytes long keeps HDF5 2.0 in its loop for ever, and
no signal ends it.

Reference: HDF5 File Format Specification 3.0, section III.E, Disk Format: Level 1E, Global Heap.
"""

import mmap
import struct
from pathlib import Path

from ligo_cpc_snn.reading.errors import FileContentError

MARK = b"GCOL\x01\x00\x00\x00"  # signature, version 1, reserved
HEADER = 16  # bytes of a heap's header, and of an object's
# Of a large file only its ends are searched, where libraries put heaps: a survey of a folder does
# not read its strain.
SEARCHED = 16_000_000  # bytes

Bytes = bytes | mmap.mmap


def check_heaps(path: Path, body: Bytes | None = None) -> None:
    """Check the heaps of a file.

    Args:
        path: of the file.
        body: its bytes, where they are at hand.

    Raises:
        FileContentError: one would not end.
    """
    if body is not None:
        _check(path, body)
    elif path.stat().st_size:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
            _check(path, body)


def _check(path: Path, body: Bytes) -> None:
    size = len(body)
    for first, last in ((0, SEARCHED), (max(SEARCHED, size - SEARCHED), size)):
        place = body.find(MARK, first, last)
        while place >= 0:
            if not _ends(body, place):
                raise FileContentError(
                    path, f"truncated or damaged (its heap of texts at byte {place})"
                )
            place = body.find(MARK, place + HEADER, last)


def _ends(body: Bytes, place: int) -> bool:
    """Return whether the objects of a heap follow each other to its end."""
    if place + HEADER > len(body):
        return False
    (length,) = struct.unpack_from("<Q", body, place + 8)
    end, at = place + length, place + HEADER
    if length < HEADER or end > len(body):
        return False
    while at + HEADER <= end:
        index, size = struct.unpack_from("<H6xQ", body, at)
        # Free room, of number 0, counts its own header; an object is padded to 8 bytes.
        needed = size if index == 0 else HEADER + (size + 7) // 8 * 8
        if needed < HEADER or at + needed > end:
            return False
        at += needed
    return True
