"""Messages between `front_end_process` and its child: lengths, a line of JSON, arrays' bytes.

No pickles, no archives: what a damaged program made of the child must do no harm here.
"""

import json
import struct
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from jaxtyping import Shaped

LARGEST = 4_000_000_000  # bytes of a message
_LENGTHS = struct.Struct("<QQ")

Message = tuple[dict[str, Any], list[Shaped[np.ndarray, "..."]]]


class BrokenMessageError(Exception):
    """What came is no message."""


def send(pipe: IO[bytes], head: dict[str, Any], arrays: Sequence[Any] = ()) -> None:
    """Write a message; `head` is of plain values, the arrays of numbers."""
    bodies = [np.asarray(x) for x in arrays]
    told = head | {"arrays": [[x.dtype.name, list(x.shape)] for x in bodies]}
    line = json.dumps(told).encode()
    pipe.write(_LENGTHS.pack(len(line), sum(x.nbytes for x in bodies)) + line)
    for body in bodies:
        pipe.write(body.tobytes())
    pipe.flush()


def receive(pipe: IO[bytes]) -> Message | None:
    """Return the next message, None where the other side has ended.

    Raises:
        BrokenMessageError: it ended within a message, or wrote something else.
    """
    lengths = pipe.read(_LENGTHS.size)
    if not lengths:
        return None
    try:
        head, body = _LENGTHS.unpack(lengths)
        if head + body > LARGEST:
            raise ValueError(f"{head + body} bytes, expected {LARGEST} at most")
        told = json.loads(pipe.read(head))
        return told, _arrays(told["arrays"], pipe.read(body))
    except (ValueError, TypeError, KeyError, RecursionError, MemoryError, struct.error) as error:
        raise BrokenMessageError(f"{type(error).__name__}: {error}") from error


def _arrays(told: list[Any], body: bytes) -> list[Shaped[np.ndarray, "..."]]:
    found, at = [], 0
    for name, shape in told:
        kind, count = np.dtype(name), int(np.prod(shape, dtype=np.int64))
        found.append(np.frombuffer(body, kind, count, at).reshape(shape))
        at += count * kind.itemsize
    return found
