"""Memory that this process may use on the host, in a container or out of it."""

from pathlib import Path

import psutil

# cgroup v2, then v1: the limit of a container, which psutil does not know.
_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def available_bytes() -> int:
    """Return the bytes that can still be taken without swapping or being killed."""
    free = int(psutil.virtual_memory().available)
    left = [_read(limit) - _read(used) for limit, used in _LIMITS if _limited(limit)]
    return max(0, min([free, *left]))


def total_bytes() -> int:
    """Return the memory of the host or of the container, whichever is smaller."""
    total = int(psutil.virtual_memory().total)
    return min([total, *(_read(limit) for limit, _ in _LIMITS if _limited(limit))])


def _limited(file: Path) -> bool:
    """Whether the file holds a limit; ``max`` and an absent file are none."""
    return file.exists() and file.read_text().strip().isdigit()


def _read(file: Path) -> int:
    return int(file.read_text())
