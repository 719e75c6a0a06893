"""What `ligo-doctor` reads without a device: versions, variables, cache folders, drivers."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from packaging.requirements import InvalidRequirement, Requirement

from ligo_cpc_snn.runtime import memory_limits, tuning_store
from ligo_cpc_snn.runtime.environment import Variable
from ligo_cpc_snn.runtime.versions import installed_of

PACKAGE = "ligo-cpc-snn"
# Ours, those that we compute with, and JAX's plug-ins.
PACKAGES = (
    *(PACKAGE, "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "spyx", "ripplegw"),
    *("numpy", "scipy", "jax-cuda12-plugin", "jax-cuda13-plugin", "jax-metal", "jax-mps"),
)
# Variables that decide where and how a run computes. No others are shown: some hold secrets.
PREFIXES = ("LIGO_", "JAX_", "XLA_", "CUDA_VISIBLE", "MALLOC_", "TF_CPP_", "ENABLE_PJRT", "SLURM_N")
NAMES = ("GLIBC_TUNABLES", "OMP_NUM_THREADS", "PJRT_NAMES_AND_LIBRARY_PATHS")
DEFAULTS = {
    "LIGO_PLATFORM": "auto, or runtime.platform",
    "LIGO_MEM_FRACTION": "0.5, or runtime.memory_fraction",
    "LIGO_CACHE_DIR": "the user's cache folder",
    "LIGO_TRACEBACK": "off",
    "JAX_PLATFORMS": "whatever JAX finds",
    "XLA_FLAGS": "none",
    "CUDA_VISIBLE_DEVICES": "all",
    "MALLOC_TOP_PAD_": "glibc's, raised when a run begins",
}


@dataclass(frozen=True)
class VariableInForce:
    """A variable of the environment, its value and who gave it."""

    name: str
    value: str
    source: str  # user, ligo_cpc_snn or default


@dataclass(frozen=True)
class CacheFolder:
    """Something kept on disk that can be made again."""

    path: str
    holds: str
    bytes: int


def versions() -> dict[str, str]:
    """Return the versions of what is installed, by distribution."""
    return {"python": platform.python_version()} | installed_of(PACKAGES)


def unmet(distribution: str) -> list[str]:
    """Return what an installed distribution asks for and does not get, in words."""
    try:
        asked = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [line for one in asked if (line := _unmet(distribution, one))]


def _unmet(distribution: str, text: str) -> str:
    try:
        needed = Requirement(text)
    except InvalidRequirement:  # of a distribution made long ago
        return ""
    if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
        return ""
    try:
        installed = importlib.metadata.version(needed.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{distribution} needs {needed.name}{needed.specifier}, which is not installed"
    if needed.specifier.contains(installed, prereleases=True):
        return ""
    return f"{distribution} needs {needed.name}{needed.specifier}, installed is {installed}"


def tuned() -> list[str]:
    """Return a line for each choice that `ligo-optimize` has stored, newest first."""
    return [
        f"{entry.workload} on {entry.device}: "
        f"{', '.join(f'{name} {value}' for name, value in entry.choice.items())} "
        f"({entry.speedup:.2f} x the heuristic, {entry.measured}"
        f"{f', expired: {entry.expired}' if entry.expired else ''})"
        for entry in tuning_store.entries()
    ]


def variables(ours: Mapping[str, Variable]) -> list[VariableInForce]:
    """Return the variables in force, by name.

    Args:
        ours: what `environment.prepare` looked at, with who set it.
    """
    there = [n for n in os.environ if n.startswith(PREFIXES) or n in NAMES]
    found = []
    for name in sorted({*there, *ours, *DEFAULTS}):
        if name in ours:
            found.append(VariableInForce(name, ours[name].value, ours[name].set_by))
        elif name in os.environ:
            found.append(VariableInForce(name, os.environ[name], "user"))
        else:
            found.append(VariableInForce(name, DEFAULTS[name], "default"))
    return found


def caches(folder: Path, compiled: str | None) -> list[CacheFolder]:
    """Return what is kept on disk, with its size.

    Args:
        folder: of this package, see `environment.cache_folder`.
        compiled: JAX's own folder, where the user gave one.
    """
    found = [CacheFolder(str(folder), "everything below", _bytes(folder))]
    children = sorted(folder.iterdir()) if folder.is_dir() else []
    found += [CacheFolder(str(one), _holds(one.name), _bytes(one)) for one in children]
    if compiled and not Path(compiled).is_relative_to(folder):
        found.append(CacheFolder(compiled, "compiled programs", _bytes(Path(compiled))))
    return found


def _holds(name: str) -> str:
    if name.startswith("compiled-"):
        return "compiled programs of one kind of processor"
    if name.startswith("trial-"):
        return "a platform that was tried"
    known = {"noise": "noise to stream", "tuning": "choices of ligo-optimize"}
    return known.get(name.partition(".")[0], "downloads")


def _bytes(path: Path) -> int:
    """Return the size of a file or of all in a folder; what vanishes meanwhile is nothing."""
    total = 0
    for file in [path] if path.is_file() else path.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return total


def host() -> dict[str, str | int]:
    """Return what the host is; memory in bytes."""
    swap = psutil.swap_memory()
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "memory_bytes": memory_limits.total_bytes(),
        "memory_available_bytes": memory_limits.available_bytes(),
        "swap_bytes": int(swap.total),
        "swap_used_bytes": int(swap.used),
    }


def drivers(seconds: float = 20.0) -> list[str]:
    """Return a line for each NVIDIA GPU as its driver describes it, or why there is none."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ["NVIDIA: no driver (nvidia-smi is not installed)"]
    asked = "--query-gpu=name,driver_version,memory.total,memory.used"
    try:
        done = subprocess.run(
            [command, asked, "--format=csv,noheader"],
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"NVIDIA: nvidia-smi gives no answer ({error})"]
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not lines:
        said = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        return [f"NVIDIA: nvidia-smi says {said}"]
    return [f"NVIDIA: {line} (name, driver, memory, used)" for line in lines]
