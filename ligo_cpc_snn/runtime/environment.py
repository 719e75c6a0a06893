"""XLA's and JAX's variables, set before JAX is imported. This module imports no JAX.

JAX reads its environment once, so `prepare` comes first in every entry point. A
variable that the user has set always wins. XLA ends the process on a flag it does
not know, and flags come and go between releases: a flag is passed only after a
child process has shown that the installed version takes it.
"""

import hashlib
import os
import platform as machine
import sys
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from ligo_cpc_snn.runtime.allocator import keep_pages
from ligo_cpc_snn.runtime.choice import Choice, choose_platform
from ligo_cpc_snn.runtime.memory_limits import allowed_fraction
from ligo_cpc_snn.runtime.platforms import (
    BACKENDS,
    JAX_NAMES,
    PLATFORM_VARIABLES,
    DeviceUnavailableError,
    PlatformError,
    jax_platforms,
    usable,
)
from ligo_cpc_snn.runtime.plugins import keep_only


@dataclass(frozen=True)
class Variable:
    """A variable of the environment and who set it: ``ligo_cpc_snn`` or ``user``."""

    value: str
    set_by: str


@dataclass(frozen=True)
class EnvironmentReport:
    """What was chosen before JAX was imported, and why."""

    platform: str
    reason: str
    variables: dict[str, Variable] = field(default_factory=dict)
    unknown_flags: list[str] = field(default_factory=list)  # ours, refused by this XLA
    cache: str = "off"  # folder of compiled programs, or why there is none
    allocator: str = ""
    plugins_set_aside: list[str] = field(default_factory=list)  # not loaded: another platform's
    inherited: dict[str, str] = field(default_factory=dict, repr=False)  # variables before ours

    def line(self) -> str:
        """Return the one line for the log."""
        own = [name for name, variable in self.variables.items() if variable.set_by == "user"]
        parts = [
            f"platform {self.platform} ({self.reason})",
            f"compilation cache {self.cache}",
            f"memory: {self.allocator}",
        ]
        if own:
            parts.append(f"set by the user: {', '.join(own)}")
        if self.unknown_flags:
            parts.append(f"left out, unknown to this XLA: {', '.join(self.unknown_flags)}")
        if self.plugins_set_aside:
            parts.append(f"plug-ins not loaded: {', '.join(self.plugins_set_aside)}")
        return "; ".join(parts)


_prepared: tuple[tuple[str, float, bool, bool], EnvironmentReport] | None = None


def prepare(
    platform: str, memory_fraction: float, cache: bool, fallback: bool = False
) -> EnvironmentReport:
    """Choose a platform and set the variables that JAX reads at its import.

    Args:
        platform: ``auto``, ``cpu``, ``cuda``, ``metal`` or ``mps``; LIGO_PLATFORM wins over it.
        memory_fraction: of a GPU's memory for XLA, in (0, 1]; LIGO_MEM_FRACTION wins over it.
        cache: whether compiled programs are kept on disk; LIGO_CACHE_DIR moves the folder.
        fallback: whether a platform that is not here or does not start gives way to the CPU.

    Returns:
        What was chosen and set. A second call with the same arguments returns it again.

    Raises:
        PlatformError: the platform is not usable, XLA does not know a flag of the user, or
            JAX was imported before and would not see the variables.
    """
    global _prepared
    asked = (platform, memory_fraction, cache, fallback)
    if _prepared is not None and _prepared[0] == asked:
        return _prepared[1]
    if "jax" in sys.modules:
        raise PlatformError(
            "JAX was imported before runtime.environment.prepare, its variables would come too "
            "late: call prepare first, and use one process for each platform"
        )
    folder, cache_state = _compiled_folder() if cache else (None, "off")
    choice = choose_platform(platform, None if folder is None else folder.parent, fallback)
    inherited = dict(os.environ)
    set_aside = keep_only({choice.platform, *(() if choice.fell_back else jax_platforms())})
    variables = _set(_variables(choice, memory_fraction, folder), choice.fell_back)
    if folder is not None:
        cache_state = os.environ["JAX_COMPILATION_CACHE_DIR"]
    report = EnvironmentReport(
        choice.platform,
        choice.reason,
        variables,
        choice.unknown_flags,
        cache_state,
        keep_pages(),
        set_aside,
        inherited,
    )
    _prepared = asked, report
    return report


def verify_platform(report: EnvironmentReport) -> None:
    """Import JAX and check that it runs on the platform that was chosen.

    Raises:
        DeviceUnavailableError: it does not, with the platforms that can be tried here.
    """
    import jax

    expected = BACKENDS.get(report.platform, report.platform)
    try:
        backend = jax.default_backend()
    except RuntimeError as error:
        raise DeviceUnavailableError(
            f"platform {report.platform} does not start: {error}; {_others(report.platform)}"
        ) from error
    if backend.lower() != expected:
        raise DeviceUnavailableError(
            f"platform {report.platform} was chosen, JAX runs on {backend}; "
            f"{_others(report.platform)}"
        )


def _others(platform: str) -> str:
    others = [name for name in usable() if name != platform]
    return f"usable here: {', '.join(others) or 'no other'} (runtime.platform or LIGO_PLATFORM)"


def cache_folder() -> Path:
    """Return the folder for what can be made again: LIGO_CACHE_DIR, or the user's cache."""
    own = os.environ.get("LIGO_CACHE_DIR")
    return (
        Path(own).expanduser().absolute() if own else platformdirs.user_cache_path("ligo_cpc_snn")
    )


def _compiled_folder() -> tuple[Path | None, str]:
    """Make the folder of compiled programs, one for each kind of processor.

    A program compiled for a newer processor stops an older one with an illegal
    instruction, and a home folder on a cluster is shared by both.
    """
    folder = cache_folder() / f"compiled-{_processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        return None, f"off: {cache_folder()} cannot be made ({error.strerror}), set LIGO_CACHE_DIR"
    if not writable:
        return None, f"off: {folder} is not writable, set LIGO_CACHE_DIR"
    return folder, ""


def _processor() -> str:
    """Return a short name of the processor's instruction set."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:  # not Linux
        features = machine.processor()
    return hashlib.sha256(f"{machine.machine()} {features}".encode()).hexdigest()[:8]


def _variables(choice: Choice, memory_fraction: float, folder: Path | None) -> dict[str, str]:
    """Return what JAX and XLA shall read; the user's own values are sorted out later."""
    first = JAX_NAMES.get(choice.platform, choice.platform)
    wanted = {
        "JAX_PLATFORMS": first if first == "cpu" else f"{first},cpu",
        "JAX_THREEFRY_PARTITIONABLE": "true",
        "XLA_PYTHON_CLIENT_MEM_FRACTION": str(allowed_fraction(memory_fraction)),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_CPP_MIN_LOG_LEVEL": "1",  # warnings and errors
        **PLATFORM_VARIABLES.get(choice.platform, {}),
    }
    if choice.flags:
        wanted["XLA_FLAGS"] = " ".join([*os.environ.get("XLA_FLAGS", "").split(), *choice.flags])
    if folder is None:
        return {**wanted, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    # Everything is kept: small programs by the dozen are what a start waits for.
    return {
        **wanted,
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def _set(wanted: dict[str, str], fell_back: bool) -> dict[str, Variable]:
    """Set variables that the user has not set; XLA_FLAGS holds the user's flags already.

    After a fallback JAX_PLATFORMS is narrowed to the CPU, which the user's own value allows.
    """
    ours = {"XLA_FLAGS", "JAX_PLATFORMS"} if fell_back else {"XLA_FLAGS"}
    variables = {}
    for name, value in wanted.items():
        if name in os.environ and name not in ours:
            variables[name] = Variable(os.environ[name], "user")
            continue
        variables[name] = Variable(value, "ligo_cpc_snn")
        os.environ[name] = value
    return variables
