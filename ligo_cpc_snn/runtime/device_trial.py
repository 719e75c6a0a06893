"""A real computation on a device, in a child process: what a plug-in or a platform can do."""

import json
import os
from dataclasses import dataclass

from ligo_cpc_snn.runtime.child import run_child
from ligo_cpc_snn.runtime.platforms import JAX_NAMES, PLATFORM_VARIABLES
from ligo_cpc_snn.runtime.plugins import Plugin, find_plugins, leave_out, unneeded

_MARK = "ligo_cpc_snn: "  # begins our lines: plug-ins print what they like
# An error of the import or of initialize() ends the child: JAX alone would only log it.
_IMPORT = """
import importlib, os, traceback
module = importlib.import_module({module!r})
inner = module.initialize
def initialize():
    try:
        inner()
    except BaseException:
        traceback.print_exc()
        os._exit(3)
module.initialize = initialize
"""
# Ones of 256 x 256 times themselves: 256 everywhere, 256^3 in sum, exact in float32 too.
_COMPUTE = """
import json, time
import jax
import jax.numpy as jnp
device = jax.devices()[0]
stats = device.memory_stats() or {{}}
begun = time.perf_counter()
value = float(jax.jit(lambda x: (x @ x).sum())(jnp.ones((256, 256))))
seen = {{
    "platform": device.platform, "kind": device.device_kind, "count": jax.device_count(),
    "memory_bytes": stats.get("bytes_limit"), "right": value == 256.0 ** 3,
    "compile_seconds": time.perf_counter() - begun, "wide_numbers": False,
}}
print({mark!r} + json.dumps(seen), flush=True)
with jax.enable_x64(True):
    x = jnp.ones(8, jnp.float64)
    seen["wide_numbers"] = float(jax.jit(lambda x: jnp.fft.fft(x).real.sum())(x)) == 8.0
print({mark!r} + json.dumps(seen), flush=True)
"""


@dataclass(frozen=True)
class DeviceTrial:
    """What a child process saw of a device."""

    works: bool
    failure: str  # empty: it works
    seconds: float  # of the whole trial
    platform: str = ""  # JAX's name
    kind: str = ""
    count: int = 0
    memory_bytes: int | None = None  # what XLA may take; None: the host's
    compile_seconds: float = 0.0
    wide_numbers: bool = False  # complex and 64-bit numbers
    late: bool = False  # no answer within the limit: it may hang, or only be slow


def try_plugin(plugin: Plugin, seconds: float) -> DeviceTrial:
    """Let JAX load one plug-in and no other, and compute with it.

    Args:
        plugin: which is never imported in this process.
        seconds: after which the trial is given up.
    """
    others = [one.module for one in find_plugins() if one.module != plugin.module]
    variables = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    if plugin.platform:  # else JAX takes the plug-in's platform before the CPU by itself
        variables["JAX_PLATFORMS"] = JAX_NAMES[plugin.platform]
        variables = {**PLATFORM_VARIABLES.get(plugin.platform, {}), **variables}
    code = f"{leave_out(others)}\n{_IMPORT.format(module=plugin.module)}{_compute()}"
    trial = _try(code, variables, seconds)
    if trial.works and trial.platform == "cpu":
        return DeviceTrial(False, "JAX finds no device through it", trial.seconds)
    return trial


def try_platform(platform: str, seconds: float) -> DeviceTrial:
    """Compute on a platform that was chosen, with the variables of this process."""
    variables = {**PLATFORM_VARIABLES.get(platform, {}), **os.environ}
    variables["JAX_PLATFORMS"] = JAX_NAMES.get(platform, platform)
    code = f"{leave_out(unneeded(find_plugins(), [platform]))}\n{_compute()}"
    return _try(code, variables, seconds)


def _compute() -> str:
    return _COMPUTE.format(mark=_MARK)


def _try(code: str, variables: dict[str, str], seconds: float) -> DeviceTrial:
    variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    ended = run_child(code, variables, seconds)
    lines = [line for line in ended.output.splitlines() if line.startswith(_MARK)]
    if not lines:
        failure = ended.failure or "it ended without a result"
        return DeviceTrial(False, failure, ended.seconds, late=ended.late)
    # The last line: without 64-bit numbers a device may end the child after the first.
    seen = json.loads(lines[-1].removeprefix(_MARK))
    right = seen.pop("right")
    failure = "" if right else "it computes a wrong sum"
    return DeviceTrial(right, failure, ended.seconds, **seen)
