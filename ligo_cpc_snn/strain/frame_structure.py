"""Whether a frame file's structures follow each other to its end: looked at before it is read.

The libraries that read frames believe the lengths in the file, and may never come back from a
damaged one.

Reference: LIGO-T970130, Specification of a Common Data Frame Format, section 4.3.
"""

import mmap
import struct
import zlib
from pathlib import Path

from ligo_cpc_snn.strain.errors import StrainFileError

HEADER = 40  # bytes, of the file
COMMON = 14  # bytes, of each structure: length, kind of checksum, class, number
OLDEST = 6  # version of the format whose structures begin with lengths of 8 bytes
WITH_CHECKSUMS = 8  # version from which each structure may end with its checksum
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_structure(path: Path) -> None:
    """Check header, lengths and checksums of a frame file.

    Raises:
        StrainFileError: it is truncated or damaged.
    """
    size = path.stat().st_size
    if size <= HEADER:
        raise _unreadable(path, f"it has {size} bytes")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        if body[:5] != b"IGWD\0" or body[7:12] != b"\x02\x04\x08\x04\x08":
            raise _unreadable(path, "it does not begin as one")
        version, order = body[5], "<" if body[12:14] == b"\x34\x12" else ">"
        at = HEADER
        while version >= OLDEST and at < size:
            at += _length(path, body, at, version, order)


def _length(path: Path, body: mmap.mmap, at: int, version: int, order: str) -> int:
    """Return the length of the structure at a byte; it fits into the file and is undamaged."""
    left = len(body) - at
    if left < COMMON:
        raise _unreadable(path, f"truncated at byte {at} of {len(body)}")
    length, kind = struct.unpack_from(f"{order}QB", body, at)
    if not COMMON <= length <= left:
        raise _unreadable(path, f"truncated or damaged at byte {at}: {length} bytes of {left}")
    # The last structure's checksum comes before the whole file's.
    checked = version >= WITH_CHECKSUMS and kind == 1 and length < left
    if checked and not _sound(body, at, length, order):
        raise _unreadable(path, f"damaged, a checksum at byte {at} does not match")
    return int(length)


def _unreadable(path: Path, why: str) -> StrainFileError:
    return StrainFileError(path, f"not a readable frame file ({why})")


def _sound(body: mmap.mmap, at: int, length: int, order: str) -> bool:
    """Return whether a structure's last 4 bytes are the checksum of the others, or 0: none."""
    (told,) = struct.unpack_from(f"{order}I", body, at + length - 4)
    return told in (0, posix_checksum(body[at : at + length - 4]))


def posix_checksum(body: bytes) -> int:
    """Return what the command `cksum` prints: the mirror image of zlib's, and of the length too."""
    counted = body + len(body).to_bytes((len(body).bit_length() + 7) // 8, "little")
    mirrored = zlib.crc32(counted.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2) ^ 0xFFFFFFFF
