"""What `ligo-optimize` found fastest, kept as JSON in the cache folder.

An entry is one workload of one shape on one kind of device, found with the versions that are
in it. With other versions it is expired: nothing is chosen by it, and that is said once. This
module imports JAX only to name the device of this process, so that a platform can be chosen
before JAX is imported.
"""

import hashlib
import json
import logging
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ligo_cpc_snn.runtime.environment import cache_folder
from ligo_cpc_snn.runtime.machine import machine_kind, processor, usable_cores
from ligo_cpc_snn.runtime.versions import installed_of

log = logging.getLogger(__name__)

WORKLOADS = ("window", "training step", "search", "slides")
_VERSIONED = (
    "ligo-cpc-snn",
    "jax",
    "jaxlib",
    "flax",
    "spyx",
    "jax-cuda12-plugin",
    "jax-cuda13-plugin",
    "jax-metal",
    "jax-mps",
)


@cache
def installed_versions() -> dict[str, str]:
    """Return the versions that decide how fast a program is."""
    return {"python": ".".join(platform.python_version_tuple()[:2])} | installed_of(_VERSIONED)


@dataclass(frozen=True)
class Entry:
    """The fastest way found, and the measurement that showed it.

    Args:
        workload: one of `WORKLOADS`.
        platform: of JAX: cpu, gpu, ...
        device: kind of the device, as `device_name` says it.
        machine: as `machine_kind` says it.
        shapes: what the time depends on, plain values.
        choice: the winner's settings.
        seconds: of the winner, per `unit`.
        unit: such as "step".
        speedup: over the heuristic, 1.0 where that won.
        table: a row for each candidate.
        versions: with which it was measured.
        measured: date and time, ISO 8601.
    """

    workload: str
    platform: str
    device: str
    machine: str
    shapes: dict[str, Any]
    choice: dict[str, Any]
    seconds: float
    unit: str
    speedup: float
    table: list[dict[str, Any]]
    measured: str
    versions: dict[str, str] = field(default_factory=lambda: dict(installed_versions()))

    @property
    def expired(self) -> str:
        """Return which versions have changed since, empty while the entry is in force."""
        now = installed_versions()
        names = [
            n for n in dict.fromkeys([*self.versions, *now]) if self.versions.get(n) != now.get(n)
        ]
        return ", ".join(
            f"{n} {self.versions.get(n, 'absent')} -> {now.get(n, 'absent')}" for n in names
        )


_chosen: dict[tuple[Any, ...], dict[str, Any] | None] = {}


def winner(workload: str, shapes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the stored choice for this process's device, None where none is in force.

    The first call of a workload and shape reads a file, later ones take well under 1 µs.

    Args:
        workload: one of `WORKLOADS`.
        shapes: hashable values by name, in the order of the entry's.

    Returns:
        The winner's settings; not to be changed.
    """
    key = (workload, *shapes, *shapes.values())
    try:
        return _chosen[key]
    except KeyError:
        found = _chosen[key] = _look_up(workload, shapes)
        return found


def forget() -> None:
    """Read files again at the next call of `winner`."""
    _chosen.clear()
    installed_versions.cache_clear()


def _look_up(workload: str, shapes: Mapping[str, Any]) -> dict[str, Any] | None:
    entry = _read(_file(workload, device_name(), shapes))
    if entry is None:
        return None
    if entry.expired:
        log.info(
            "what ligo-optimize found for the workload %r has expired (%s): the heuristic decides "
            "until it is run again",
            workload,
            entry.expired,
        )
        return None
    return entry.choice


def store(entry: Entry) -> Path:
    """Write an entry, whole or not at all, in place of an earlier one of the same key.

    Raises:
        OSError: the cache folder cannot be written.
    """
    file = _file(entry.workload, entry.device, entry.shapes)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(asdict(entry), indent=1), encoding="utf-8")
    partial.replace(file)
    forget()
    return file


def entries(workload: str | None = None) -> list[Entry]:
    """Return all readable entries of a workload, or of all, newest first."""
    found = [_read(file) for file in sorted(folder().glob("*.json"))]
    kept = [e for e in found if e is not None and workload in (None, e.workload)]
    return sorted(kept, key=lambda e: e.measured, reverse=True)


def best_platform(workload: str, shapes: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the platform on which a workload was fastest on this machine, and the reason.

    Returns:
        (JAX's platform, reason), None where fewer than two platforms were compared.
    """
    machine = machine_kind()
    compared = {
        entry.platform: entry
        for entry in reversed(entries(workload))  # the newest of each platform stays
        if entry.machine == machine and not entry.expired and entry.shapes == dict(shapes)
    }
    if len(compared) < 2:
        return None
    order = sorted(compared.values(), key=lambda e: e.seconds)
    told = ", ".join(f"{e.platform} {1e3 * e.seconds:.3g} ms" for e in order)
    return order[0].platform, f"ligo-optimize measured a {order[0].unit}: {told}"


def folder() -> Path:
    """Return where entries are kept; LIGO_CACHE_DIR moves it."""
    return cache_folder() / "tuning"


def device_name(device: Any = None) -> str:
    """Return the kind of a JAX device, by default of this process's, and how many there are.

    XLA calls every processor "cpu": its name and cores are told instead.
    """
    import jax

    device = device or jax.local_devices()[0]
    if device.platform == "cpu":
        name = f"{processor()} ({usable_cores()} cores)"
    else:
        name = str(device.device_kind)
    count = jax.local_device_count(device.platform)
    return f"{count} x {name}" if count > 1 else name


def _file(workload: str, device: str, shapes: Mapping[str, Any]) -> Path:
    text = json.dumps([device, dict(shapes)], sort_keys=True)
    name = re.sub(r"\W+", "-", workload)
    return folder() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _read(file: Path) -> Entry | None:
    """Return a file's entry; one that cannot be read is told and counts as absent."""
    try:
        return Entry(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning("%s is not used: %s; ligo-optimize writes it anew", file, error)
        return None
