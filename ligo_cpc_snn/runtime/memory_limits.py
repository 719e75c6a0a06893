"""Memory that this process may use on the host, in a container or out of it."""

import os
from pathlib import Path

import psutil

from ligo_cpc_snn.runtime.platforms import PlatformError

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


def allowed_fraction(asked: float) -> float:
    """Return the part of the memory that a run may take: LIGO_MEM_FRACTION, else the config's.

    Raises:
        PlatformError: LIGO_MEM_FRACTION is no number in (0, 1].
    """
    own = os.environ.get("LIGO_MEM_FRACTION")
    if own is None:
        return asked
    try:
        fraction = float(own)
    except ValueError:
        fraction = 0.0
    if not 0 < fraction <= 1:
        raise PlatformError(f"LIGO_MEM_FRACTION={own}: expected a number in (0, 1]")
    return fraction


def _limited(file: Path) -> bool:
    """Whether the file holds a limit; ``max`` and an absent file are none."""
    return file.exists() and file.read_text().strip().isdigit()


def _read(file: Path) -> int:
    return int(file.read_text())
