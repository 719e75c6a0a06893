"""JAX's plug-ins that are installed, and which of them this process lets JAX load.

JAX imports every plug-in when it first looks for devices, whatever platform is asked for: one
that hangs or aborts would end a run on the CPU. So `keep_only` puts an empty module in the place
of each that the chosen platform does not need. Nothing here imports JAX or a plug-in.
"""

import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from types import ModuleType

from ligo_cpc_snn.runtime.platforms import ORDER, PLUGINS

GROUP = "jax_plugins"  # both the entry points' and the namespace package's name, in JAX


@dataclass(frozen=True)
class Plugin:
    """A module that JAX would import and initialise."""

    module: str
    found_by: str  # "entry point", "namespace package", or both
    distribution: str  # name and version of what installed it; empty: not known

    @property
    def platform(self) -> str:
        """The platform that it is known to be for, or nothing."""
        return next((name for name, modules in PLUGINS.items() if self.module in modules), "")


def find_plugins() -> list[Plugin]:
    """Return the plug-ins that JAX would load, by name: of both ways that JAX knows."""
    spaces = {name: ["namespace package"] for name in _in_namespace()}
    distributions: dict[str, str] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        spaces.setdefault(point.value, []).append("entry point")
        if point.dist is not None:
            distributions[point.value] = f"{point.dist.name} {point.dist.version}"
    return [
        Plugin(module, " and ".join(dict.fromkeys(ways)), distributions.get(module, ""))
        for module, ways in sorted(spaces.items())
    ]


def _in_namespace() -> list[str]:
    """Return the modules of the package `jax_plugins`; finding it runs none of their code."""
    spec = importlib.util.find_spec(GROUP)
    paths = None if spec is None else spec.submodule_search_locations
    return [] if paths is None else [m.name for m in pkgutil.iter_modules(paths, f"{GROUP}.")]


def unneeded(plugins: Iterable[Plugin], platforms: Collection[str]) -> list[str]:
    """Return the modules that none of the platforms needs.

    A platform that this package does not know, such as `tpu`, may be any module's.
    """
    if any(platform not in ORDER for platform in platforms):
        return []
    return [plugin.module for plugin in plugins if plugin.platform not in platforms]


def keep_only(platforms: Collection[str]) -> list[str]:
    """Keep JAX from loading the plug-ins that are not of these platforms, in this process.

    Args:
        platforms: such as ``cpu``; JAX is not imported yet.

    Returns:
        The modules that JAX will not load.
    """
    modules = [name for name in unneeded(find_plugins(), platforms) if name not in sys.modules]
    for name in modules:
        empty = ModuleType(name, "Set aside by ligo_cpc_snn: this platform does not need it.")
        empty.initialize = lambda: None  # type: ignore[attr-defined]
        sys.modules[name] = empty
    return modules


def leave_out(modules: Iterable[str]) -> str:
    """Return a line of Python that does the same in a child process, without this package."""
    return (
        f"import sys, types; [sys.modules.__setitem__(n, types.SimpleNamespace("
        f"initialize=lambda: None)) for n in {list(modules)!r}]"
    )
