"""Trials in a child process: XLA ends a process that gives it a flag it does not know.

A trial costs a third of a second for flags and some seconds for a GPU; its
result is kept in the cache folder until an installed version changes.
"""

import hashlib
import importlib.metadata
import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ligo_cpc_snn.runtime.child import run_child
from ligo_cpc_snn.runtime.platforms import JAX_NAMES, PLATFORM_VARIABLES
from ligo_cpc_snn.runtime.plugins import find_plugins, leave_out, unneeded

# The first line makes jaxlib read XLA_FLAGS, without JAX and without a device.
_READ_FLAGS = "from jaxlib import _jax; _jax.CompileOptions()"
# A GPU's plug-in reads them a second time, and may fail to start for its own reasons.
_USE_DEVICE = "import jax; jax.jit(lambda x: x + 1)(1.0).block_until_ready()"
_SECONDS = 120.0
_VERSIONED = ("jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "jax-metal", "jax-mps")


@dataclass(frozen=True)
class Trial:
    """What a child process said: flags that passed, flags that are unknown, or a failure."""

    accepted: list[str]
    unknown: list[str]
    failure: str  # empty: it worked


def try_flags(platform: str, flags: list[str], cache_dir: Path | None) -> Trial:
    """Find out which flags the installed XLA takes, and whether the platform starts.

    Args:
        platform: ``cpu``, ``cuda``, ``metal`` or ``mps``.
        flags: such as ``--xla_gpu_autotune_level=4``.
        cache_dir: where the answer is kept; None asks anew.

    Returns:
        The trial's result; with ``failure`` no flag is accepted.
    """
    if platform == "cpu" and not flags:
        return Trial([], [], "")
    file = None if cache_dir is None else cache_dir / f"trial-{_key(platform, flags)}.json"
    if file is not None and (known := _read(file)) is not None:
        return known
    trial = _drop_unknown(platform, flags)
    if file is not None and not trial.failure:  # a driver may be mended tomorrow
        _write(file, trial)
    return trial


def _drop_unknown(platform: str, flags: list[str]) -> Trial:
    """Try again without the flags that XLA complains about, until it takes the rest."""
    accepted, unknown = list(flags), list[str]()
    while True:
        failure = _run(platform, accepted)
        wrong = [flag for flag in accepted if _complains_about(failure, flag)]
        if not wrong:
            return Trial([] if failure else accepted, unknown, failure)
        unknown += wrong
        accepted = [flag for flag in accepted if flag not in wrong]


def _complains_about(failure: str, flag: str) -> bool:
    """Whether XLA's last words name a flag: ``Unknown flag(s) in XLA_FLAGS: --a=1 --b``."""
    listed = re.search(r"Unknown flags? in XLA_FLAGS:(.*)", failure)
    return listed is not None and flag in listed[1].split()


def _run(platform: str, flags: list[str]) -> str:
    """Return what went wrong in a child process that uses these flags, or nothing."""
    others = unneeded(find_plugins(), [platform])
    device = f"{leave_out(others)}; {_USE_DEVICE}"
    code = _READ_FLAGS if platform == "cpu" else f"{_READ_FLAGS}; {device}"
    variables = {
        **PLATFORM_VARIABLES.get(platform, {}),
        **os.environ,
        "XLA_FLAGS": " ".join(flags),
        "JAX_PLATFORMS": JAX_NAMES.get(platform, platform),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    return run_child(code, variables, _SECONDS).failure


def _key(platform: str, flags: list[str]) -> str:
    versions = [_version(name) for name in _VERSIONED]
    text = json.dumps([platform, sorted(flags), versions, sys.executable])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _read(file: Path) -> Trial | None:
    try:
        return Trial(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):  # absent, half-written or of another version
        return None


def _write(file: Path, trial: Trial) -> None:
    """Keep a result; a cache folder that cannot be written only costs the next start a trial."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(asdict(trial)))
        partial.replace(file)
    except OSError:
        return
