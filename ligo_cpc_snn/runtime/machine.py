"""The machine's processor, cores and GPUs, found out without importing JAX."""

import platform
from functools import cache
from pathlib import Path

import psutil


def usable_cores() -> int:
    """Return the cores that this process may use; a batch system gives fewer than there are."""
    process = psutil.Process()
    # macOS does not bind processes to cores and has no such call.
    own = getattr(process, "cpu_affinity", None)
    return len(own()) if own else psutil.cpu_count() or 1


@cache
def processor() -> str:
    """Return the processor's name; only Linux hides it in a file."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine_kind() -> str:
    """Return what tells machines of different speed apart: processor, cores, NVIDIA GPUs.

    GPUs are those of the driver's own files, so none where it has no such files (containers
    of some kinds, Windows' subsystem for Linux).
    """
    gpus = [gpu for file in _driver_files() if (gpu := _model(file))]
    return ", ".join([f"{processor()} ({usable_cores()} cores)", *sorted(gpus)])


def _driver_files() -> list[Path]:
    return sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))


def _model(file: Path) -> str:
    """Return the GPU's name; the file may not be readable."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return ""
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("Model:")), "")
