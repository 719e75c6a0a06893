"""Room in the strain cache: how much is taken, and what is deleted first."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout
from igwn_segments import segmentlist

from ligo_cpc_snn.strain.pieces import Piece, piece
from ligo_cpc_snn.strain.pins import pins

DAY = 86400.0  # s
STALE_SECONDS = 7 * DAY  # an unfinished download that nobody continued


def all_pieces(root: Path) -> list[Piece]:
    """Return the files of all servers."""
    found = [piece(path) for path in sorted(root.glob("*/*"))]
    return [p for p in found if p is not None]


def strain_bytes(root: Path) -> int:
    """Return the size of all servers' strain."""
    return sum(_size(p.path) for p in all_pieces(root))


def disk_bytes(root: Path) -> int:
    """Return the size of all there is, unfinished downloads too."""
    return sum(_size(path) for path in root.rglob("*"))


def make_room(
    root: Path, limit: float, which: Callable[[Piece], bool] = lambda _: True
) -> list[Path]:
    """Delete the least recently used files until the rest is within a limit.

    Files of requests that are running, here or in other processes, are passed over.

    Args:
        root: Folder of all servers' strain.
        limit: In bytes.
        which: Files that may be deleted.

    Returns:
        The files deleted.
    """
    deleted: list[Path] = []
    if not root.is_dir() or strain_bytes(root) <= limit:
        return deleted
    with FileLock(root / "room.lock"):
        excess = strain_bytes(root) - limit
        held = {folder: pins(folder) for folder in {p.path.parent for p in all_pieces(root)}}
        for found in sorted(all_pieces(root), key=_last_used):
            if excess <= 0:
                break
            needed = held.get(found.path.parent, {}).get(found.detector, segmentlist())
            if not needed.intersects_segment(found.span) and which(found):
                excess -= _size(found.path)
                found.path.unlink(missing_ok=True)
                deleted.append(found.path)
    return deleted


def tidy(root: Path, older_than: float = STALE_SECONDS) -> list[Path]:
    """Delete unfinished files that no process works on and that are older, in s.

    Returns:
        The files deleted, but for locks.
    """
    deleted = [path for path in root.glob("*/*.new") if _age(path) > max(older_than, DAY)]
    for path in deleted:
        path.unlink(missing_ok=True)
    for path in sorted(root.glob("*/incoming/*")):
        if _age(path) > older_than:
            with suppress(Timeout), FileLock(path.with_suffix(".lock")).acquire(timeout=0):
                path.unlink(missing_ok=True)
                deleted += [] if path.suffix == ".lock" else [path]
    return deleted


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # another process renamed or deleted it
        return 0.0


def _last_used(found: Piece) -> float:
    try:
        return found.path.stat().st_mtime
    except FileNotFoundError:  # another process deleted it
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # another process renamed or deleted it
        return 0
