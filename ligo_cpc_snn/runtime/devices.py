"""The device of a run: what it is, how much memory it has, how much was used."""

import platform
import resource
import sys
from pathlib import Path
from typing import Any

import jax
import psutil

from ligo_cpc_snn.config.runtime_schema import RuntimeConfig
from ligo_cpc_snn.runtime.machine import processor, usable_cores
from ligo_cpc_snn.runtime.memory_limits import allowed_fraction, available_bytes, total_bytes


def describe_device() -> dict[str, Any]:
    """Describe the default device and its host, in plain values; memory in bytes."""
    device = jax.devices()[0]
    return {
        "platform": device.platform,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "device_memory_bytes": _device_limit() or total_bytes(),
        "host": platform.node(),
        "processor": processor(),
        "cores": usable_cores(),
        "host_memory_bytes": total_bytes(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _device_limit() -> int | None:
    """Return the bytes that XLA may take of a device with memory of its own, else None."""
    stats = jax.local_devices()[0].memory_stats()
    return int(stats["bytes_limit"]) if stats and stats.get("bytes_limit") else None


def memory_budget_bytes(cfg: RuntimeConfig, processes: int = 1) -> int:
    """Return the bytes of device memory that the whole run may take.

    Args:
        cfg: `memory_budget_gb` if given (GB of 1e9 bytes), else `memory_fraction` of what
            the device has, or LIGO_MEM_FRACTION of it. A GPU's limit that XLA reports is that
            fraction already, and nothing above it can be had. On a CPU `host_memory_gb`
            bounds it as well.
        processes: of the run on this host, which share what is free of its memory.

    Returns:
        Bytes. On a CPU the device's memory is the host's, the process is part of it, and the
        fraction is of what is free.
    """
    given = [cfg.memory_budget_gb, cfg.host_memory_gb if device_is_host() else None]
    bounds = [int(gigabytes * 1e9) for gigabytes in given if gigabytes is not None]
    limit = _device_limit()
    if limit is not None:
        bounds.append(limit)
    return min(bounds) if bounds else _part_of_host(cfg, processes)


def host_budget_bytes(cfg: RuntimeConfig, processes: int = 1) -> int:
    """Return the bytes of the host's memory that a run may take: on a CPU its device's budget."""
    if device_is_host():
        return memory_budget_bytes(cfg, processes)
    if cfg.host_memory_gb is not None:
        return int(cfg.host_memory_gb * 1e9)
    return _part_of_host(cfg, processes)


def _part_of_host(cfg: RuntimeConfig, processes: int) -> int:
    """Return what this process has of the host's memory, and its share of what it may take."""
    free = available_bytes() * allowed_fraction(cfg.memory_fraction)
    return resident_bytes() + int(free / processes)


def memory_room_bytes(cfg: RuntimeConfig) -> int:
    """Return the bytes of the device's budget that nothing has taken yet."""
    stats = jax.local_devices()[0].memory_stats() or {}
    taken = resident_bytes() if device_is_host() else int(stats.get("bytes_in_use", 0))
    return max(memory_budget_bytes(cfg) - taken, 0)


def device_is_host() -> bool:
    """Return whether the default device has no memory but the host's."""
    return jax.local_devices()[0].platform == "cpu"


def resident_bytes() -> int:
    """Return the memory that this process has now."""
    return int(psutil.Process().memory_info().rss)


def peak_memory_bytes() -> int:
    """Return the most memory used so far: of the device if it has its own, else of the process."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "peak_bytes_in_use" in stats:
        return int(stats["peak_bytes_in_use"])
    return _peak_resident_bytes()


def _peak_resident_bytes() -> int:
    """Return the process's own peak; Linux's `getrusage` counts its parent's as well."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # others count in KiB
