"""Which platforms this machine has, found out without importing JAX."""

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ligo_cpc_snn.errors import UserError

# In the order in which `auto` tries them.
ORDER = ("cuda", "mps", "metal", "cpu")
# Names of JAX_PLATFORMS; the CPU stays beside a GPU for complex numbers and float64.
JAX_NAMES = {"cuda": "cuda", "mps": "mps", "metal": "METAL", "cpu": "cpu"}
# What `jax.default_backend()` answers.
BACKENDS = {"cuda": "gpu", "mps": "mps", "metal": "metal", "cpu": "cpu"}
# Modules that JAX loads for them.
PLUGINS = {
    "cuda": ("jax_plugins.xla_cuda13", "jax_plugins.xla_cuda12"),
    "mps": ("jax_plugins.mps",),
    "metal": ("jax_plugins.metal_plugin",),
}
# Beyond JAX's own names: jax-metal speaks an older version of the plug-in interface.
PLATFORM_VARIABLES = {"metal": {"ENABLE_PJRT_COMPATIBILITY": "1"}}
# Neither of Apple's has complex or 64-bit numbers: the CPU stays beside them.
NEED_CPU = ("metal", "mps")
# PyPI's page of jax-metal: 0.1.1 of 8 October 2024, jax >= 0.4.34, no release since.
METAL_ADVICE = (
    "jax-metal 0.1.1 of 2024, its last release, was made for jax 0.4.34 and may not drive the "
    "jax that this package needs: jax-mps (extra mps, Python 3.12) is the plug-in that does"
)
_EXTRAS = {"cuda": "cuda13 or cuda12", "mps": "mps", "metal": "metal"}


class PlatformError(UserError):
    """A platform or its settings cannot be used; the text is a single line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class DeviceUnavailableError(PlatformError):
    """The platform is known and nothing is misspelt, but it is not here or does not start."""


@dataclass(frozen=True)
class Availability:
    """Whether a platform can be tried here, and if not, why."""

    usable: bool
    reason: str


def availability(platform: str) -> Availability:
    """Say whether a platform's plug-in and device are here.

    Args:
        platform: ``cpu``, ``cuda``, ``metal`` or ``mps``.

    Returns:
        Usable or not, with the reason.
    """
    if platform == "cpu":
        return Availability(True, "always there")
    if platform not in PLUGINS:  # such as tpu, named by JAX_PLATFORMS: JAX knows it, we do not
        return Availability(True, "not checked")
    if platform in ("mps", "metal") and sys.platform != "darwin":
        return Availability(False, "needs macOS")
    plugin = _plugin(platform)
    if plugin is None:
        extra = _EXTRAS[platform]
        return Availability(False, f"no JAX plug-in (extra {extra} of ligo-cpc-snn)")
    if platform == "cuda" and not _nvidia_device():
        return Availability(False, "no NVIDIA device or driver")
    return Availability(True, f"plug-in {plugin}")


def _plugin(platform: str) -> str | None:
    for module in PLUGINS[platform]:
        try:
            if importlib.util.find_spec(module) is not None:
                return module
        except ModuleNotFoundError:  # there is no jax_plugins package at all
            return None
    return None


def _nvidia_device() -> bool:
    """Look for the driver's files: of Linux, and of Windows' subsystem for Linux."""
    return any(Path(file).exists() for file in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg"))


def usable() -> list[str]:
    """Return the platforms that can be tried here, the preferred first."""
    return [platform for platform in ORDER if availability(platform).usable]


def jax_platforms() -> list[str]:
    """Return the platforms that the user's own JAX_PLATFORMS allows, the first preferred."""
    names = [name.strip().lower() for name in os.environ.get("JAX_PLATFORMS", "").split(",")]
    return ["cuda" if name == "gpu" else name for name in names if name]
