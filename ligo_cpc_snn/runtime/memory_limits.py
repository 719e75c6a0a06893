"""Memory that this process may use on the host, in a container or out of it."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from ligo_cpc_snn.runtime.platforms import PlatformError

# Limits of containers, SLURM jobs and systemd units, which psutil does not know.
GROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_V1, _V2 = (
    ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ("memory.max", "memory.current"),
)


def available_bytes() -> int:
    """Return the bytes that can still be taken without swapping or being killed."""
    free = int(psutil.virtual_memory().available)
    left = [_read(limit) - _read(used) for limit, used in _limits()]
    return max(0, min([free, *left]))


def total_bytes() -> int:
    """Return the memory of the host or of the container, whichever is smaller."""
    total = int(psutil.virtual_memory().total)
    return min([total, *(_read(limit) for limit, _ in _limits())])


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


def _limits() -> Iterator[tuple[Path, Path]]:
    """Yield the files of limit and use of this process's control group and of all above it."""
    for line in OWN.read_text().splitlines() if OWN.exists() else ("0::/",):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, names = (GROUPS / "memory", _V1) if controllers else (GROUPS, _V2)
        # A path that climbs out is of another namespace: only the root is seen from here.
        own = top if ".." in path else top / path.strip("/")
        for folder in (own, *own.parents):
            if _limited(folder / names[0]) and (folder / names[1]).exists():
                yield folder / names[0], folder / names[1]
            if folder == top:
                break


def _limited(file: Path) -> bool:
    """Whether the file holds a limit; ``max`` and an absent file are none."""
    return file.exists() and file.read_text().strip().isdigit()


def _read(file: Path) -> int:
    return int(file.read_text())
