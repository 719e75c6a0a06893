"""An examination of this machine: what can compute here, what a run would take, and why.

JAX is not imported: every device is tried in a process of its own.
"""

import importlib.metadata
import os
from dataclasses import asdict, dataclass
from typing import Any

from ligo_cpc_snn.runtime import doctor_facts, environment
from ligo_cpc_snn.runtime.choice import first_that_works
from ligo_cpc_snn.runtime.device_trial import DeviceTrial, try_platform, try_plugin
from ligo_cpc_snn.runtime.platforms import METAL_ADVICE, ORDER, PlatformError, availability
from ligo_cpc_snn.runtime.plugins import Plugin, find_plugins


@dataclass(frozen=True)
class TriedPlugin:
    """A plug-in and how its trial ended."""

    plugin: Plugin
    trial: DeviceTrial


@dataclass(frozen=True)
class Chosen:
    """The platform of a run that starts here and now, or why there is none."""

    platform: str  # empty: none
    reason: str
    auto: str  # what `auto` alone would take
    auto_reason: str


@dataclass(frozen=True)
class Examination:
    """Everything that was found, in plain values; memory in bytes."""

    host: dict[str, str | int]
    versions: dict[str, str]
    drivers: list[str]
    platforms: dict[str, str]  # whether each can be tried here, in words
    plugins: list[TriedPlugin]
    chosen: Chosen
    device: DeviceTrial | None
    tuned: list[str]  # what ligo-optimize found fastest
    variables: list[doctor_facts.VariableInForce]
    caches: list[doctor_facts.CacheFolder]
    notes: list[str]

    @property
    def healthy(self) -> bool:
        """Whether a run can start."""
        return self.device is not None and self.device.works

    def plain(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"healthy": self.healthy, **asdict(self)}


def examine(seconds: float) -> Examination:
    """Look at this machine and try what is installed.

    Args:
        seconds: that a single trial may take.
    """
    folder = environment.cache_folder()
    plugins = [TriedPlugin(one, try_plugin(one, seconds)) for one in find_plugins()]
    auto, auto_reason = _auto()
    chosen, ours = _choose(auto, auto_reason)
    device = try_platform(chosen.platform, seconds) if chosen.platform else None
    return Examination(
        doctor_facts.host(),
        doctor_facts.versions(),
        doctor_facts.drivers(),
        {name: _in_words(name) for name in ORDER},
        plugins,
        chosen,
        device,
        doctor_facts.tuned(),
        doctor_facts.variables(ours),
        doctor_facts.caches(folder, os.environ.get("JAX_COMPILATION_CACHE_DIR")),
        _notes(plugins, device),
    )


def _in_words(platform: str) -> str:
    found = availability(platform)
    return f"{'can be tried' if found.usable else 'no'}: {found.reason}"


def _auto() -> tuple[str, str]:
    try:
        choice = first_that_works(None)
    except PlatformError as error:
        return "", str(error)
    return choice.platform, choice.reason


def _choose(auto: str, auto_reason: str) -> tuple[Chosen, dict[str, environment.Variable]]:
    """Do what the start of a run does, with its defaults."""
    try:
        report = environment.prepare("auto", 0.5, cache=True)
    except PlatformError as error:
        return Chosen("", str(error), auto, auto_reason), {}
    return Chosen(report.platform, report.reason, auto, auto_reason), report.variables


def _notes(plugins: list[TriedPlugin], device: DeviceTrial | None) -> list[str]:
    """Return what is worth knowing beyond the tables."""
    notes = doctor_facts.unmet(doctor_facts.PACKAGE)
    for name in sorted({tried.plugin.distribution.partition(" ")[0] for tried in plugins}):
        notes += doctor_facts.unmet(name) if name else []
    notes += [
        f"{tried.plugin.module} {'gives no answer' if tried.trial.late else 'does not work'} and "
        f"is not loaded where it is not asked for; to be rid of it: {_removal(tried.plugin)}"
        for tried in plugins
        if not tried.trial.works
    ]
    notes.append(f"Apple GPUs: {METAL_ADVICE}; here: {_metal_here()}")
    if device is not None and device.works and not device.wide_numbers:
        notes.append(
            f"{device.platform} has no complex or 64-bit numbers: signals and conditioning are "
            "computed on the CPU, the network on the device"
        )
    return notes


def _metal_here() -> str:
    try:
        metal = f"jax-metal {importlib.metadata.version('jax-metal')}"
    except importlib.metadata.PackageNotFoundError:
        metal = "no jax-metal"
    return f"{metal}, jax {importlib.metadata.version('jax')}"


def _removal(plugin: Plugin) -> str:
    if plugin.distribution:
        return f"pip uninstall {plugin.distribution.partition(' ')[0]}"
    return f"delete its module, of the package {plugin.module.partition('.')[0]}"
