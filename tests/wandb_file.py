"""Reads what W&B wrote offline: records of protocol buffers in the blocks of a LevelDB log.

The format is that of https://github.com/google/leveldb/blob/main/doc/log_format.md after seven
bytes of W&B's own; its check sums are plain CRC-32 of type and content.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAGIC = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
BLOCK, HEADER = 32768, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> list[Any]:
    """Return the records of a .wandb file.

    Raises:
        ValueError: it is not one, or a check sum is wrong.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    return [Record.FromString(content) for content in _contents(path.read_bytes())]


def _contents(data: bytes) -> Iterator[bytes]:
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError(f"begins with {data[:7]!r}, expected {MAGIC!r}")
    at, parts = len(MAGIC), b""
    while at + HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER:  # no room for a header: padding
            at += left
            continue
        checksum, length, kind = struct.unpack_from("<IHB", data, at)
        content = data[at + HEADER : at + HEADER + length]
        if zlib.crc32(bytes([kind]) + content) != checksum:
            raise ValueError(f"the check sum of the record at byte {at} is wrong")
        at += HEADER + length
        parts = content if kind in (FULL, FIRST) else parts + content
        if kind in (FULL, LAST):
            yield parts


def of_kind(found: list[Any], kind: str) -> list[Any]:
    """Return the records of one kind, such as `history` or `artifact`."""
    return [getattr(x, kind) for x in found if x.WhichOneof("record_type") == kind]


def items(record: Any, field: str = "item") -> dict[str, Any]:
    """Return the values of a record by name; nested names are joined by a dot."""
    return {
        ".".join(x.nested_key) if len(x.nested_key) else x.key: json.loads(x.value_json)
        for x in getattr(record, field)
    }
