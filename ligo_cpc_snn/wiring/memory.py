"""The memory of a run: what the banks may take, what is left for the step, and the plan told.

Half of the device's budget is for the banks, whose noise streams where it needs more and may; on
a CPU what the process has anyway is taken off first. What is left is for parameters, optimiser
and the programs, of which one runs at a time. The training step takes the largest micro-batch
that fits, validation and evaluation as many windows at a time: the compiler says what each
program takes. None of that changes a run's numbers.
"""

import logging
from math import inf
from typing import Any, NamedTuple

import jax

from ligo_cpc_snn.config.runtime_schema import RuntimeConfig
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.memory import OutOfMemoryError, tree_bytes
from ligo_cpc_snn.runtime import logs
from ligo_cpc_snn.runtime.devices import (
    device_is_host,
    host_budget_bytes,
    memory_budget_bytes,
    resident_bytes,
)
from ligo_cpc_snn.runtime.memory_plan import WIDTH, MemoryPlan, Part
from ligo_cpc_snn.wiring.data import Data
from ligo_cpc_snn.wiring.distributed import ONE_DEVICE, Together
from ligo_cpc_snn.wiring.functions import Functions

log = logging.getLogger(__name__)

_BANKS = "data.signals.bank_size, data.storage=float16"
_WIDTHS = "model.*.features, model.snn.widths"


class Budgets(NamedTuple):
    """Bytes that a run may take, the least of all its processes.

    `process` is what Python, JAX and libraries have taken of both before the banks are made;
    0 of the device's where that has memory of its own.
    """

    device: int
    host: int
    process: int = 0

    @property
    def banks(self) -> int:
        """The part of the device's that banks may take."""
        return (self.device - self.process) // 2

    @property
    def noise(self) -> int | None:
        """The part of the host's for noise and banks beside a device with memory of its own."""
        return None if device_is_host() else self.host - resident_bytes()

    @property
    def making(self) -> int:
        """The part of the host's for the signals that are in the making at one time."""
        return (self.host - self.process) // 4


def budgets_of(cfg: Config, together: Together = ONE_DEVICE) -> Budgets:
    """Return the budgets of device and host.

    Raises:
        OutOfMemoryError: the process has more already than it was given.
    """
    here = together.on_this_host()
    device = memory_budget_bytes(cfg.runtime, here)
    host = host_budget_bytes(cfg.runtime, here)
    process = resident_bytes() if device_is_host() else 0
    for setting, budget in (("memory_budget_gb", device), ("host_memory_gb", host)):
        if budget <= process:
            raise OutOfMemoryError(
                f"runtime.{setting}={budget / 1e9:.3g}: Python, JAX and libraries have taken "
                f"{process / 1e9:.3g} GB of it already, before any data: raise it"
            )
    return Budgets(together.least(device), together.least(host), together.most(process))


def standing_parts(cfg: Config, data: Data) -> list[Part]:
    """Return what is there all the time, apart from the state of training."""
    training = _bytes(data.training)
    noise = _bytes([block.stretches for block in (*data.noise.training, *data.noise.validation)])
    seconds = f", data.{'synthetic' if data.noise.quality is None else 'real'} seconds of noise"
    validation, change = _bytes(data.validation), "data.signals.validation_bank_size"
    parts = [
        Part("training banks", training, change=_BANKS + seconds),
        Part("validation banks", validation, change=change),
    ]
    if cfg.data.signals.refresh_steps:
        change = "data.signals.refresh_steps=0, if the noise fits"
        parts.append(Part("next training banks, in the making", training, change=change))
    if device_is_host():
        counted = training + validation + noise
        rest = max(resident_bytes() - counted, 0)
        return [
            *parts,
            Part("whitened noise", noise, change="seconds of noise"),
            Part("Python, JAX and libraries", rest),
        ]
    if cfg.data.signals.refresh_steps:
        parts.append(Part("next banks, on their way", training, "host", _BANKS))
    return [
        *parts,
        Part("whitened noise", noise, "host", "seconds of noise"),
        Part("Python, JAX and libraries", max(resident_bytes() - noise, 0), "host"),
    ]


def room_beside(parts: list[Part], budgets: Budgets, together: Together = ONE_DEVICE) -> int:
    """Return the bytes of the device that are left for state and programs; may be negative."""
    return together.least(max(MemoryPlan(parts, budgets.device, budgets.host).room(), 0))


def plan_of(
    cfg: Config, parts: list[Part], functions: Functions, params: Any, budgets: Budgets
) -> MemoryPlan:
    """Return the plan of a run whose functions are compiled."""
    state = max(phase.state_bytes for phase in functions.phases)
    own = _bytes(params)
    average = own if cfg.training.average_decay else 0
    rows = [
        *parts,
        Part("parameters", own, change=_WIDTHS),
        Part("optimiser's moments, sums", state - own - average, change=_WIDTHS),
        Part("copy of the state to go back to", state, change=_WIDTHS),
    ]
    if average:
        rows.insert(-1, Part("moving average", average, change="training.average_decay=0"))
    for phase in functions.phases:
        step = phase.step
        name = f"{phase.name}: step, {step.accumulation} x {step.micro_batch} examples"
        change = "training.accumulation, data.window_seconds, " + _WIDTHS
        rows.append(Part(name, step.needed_bytes, change=change, program=True))
        change = "evaluation.batch_size"
        name = f"{phase.name}: validation"
        rows.append(Part(name, phase.validation_bytes, change=change, program=True))
    rows += [
        Part(name, size, change=_changes(name), program=True)
        for name, size in functions.programs.items()
    ]
    return MemoryPlan(rows, budgets.device, budgets.host)


def _changes(program: str) -> str:
    """Return the settings that change what a program of `Functions.programs` takes."""
    if program.startswith("search"):
        return "event.time_slides, " + _WIDTHS
    if program == "evaluation: traces":
        return "data.window_seconds, " + _WIDTHS
    return "evaluation.batch_size"


def tell_and_check(plan: MemoryPlan, cfg: Config) -> None:
    """Log the plan, and what of it does not fit.

    Raises:
        OutOfMemoryError: it does not fit a budget that was given, or a device of its own.
    """
    log.info("%s", plan.lines(min(WIDTH, logs.line_width())))
    for place in plan.places():
        if plan.room(place) >= 0:
            continue
        setting = _bounding(cfg.runtime, place)
        budget = plan.device_budget if place == "device" else plan.host_budget
        largest = sorted((p for p in plan.parts if p.place == place), key=lambda p: -p.bytes)[:3]
        named = ", ".join(f"{part.name} {part.bytes / 1e6:.4g} MB" for part in largest)
        message = (
            f"the run needs {plan.needed(place) / 1e6:.4g} MB of the {place}'s memory even in the "
            f"smallest parts, the budget is {budget / 1e6:.4g} MB; largest: {named}. Raise "
            f"runtime.{setting}, or change what the table above names"
        )
        given = getattr(cfg.runtime, setting) is not None
        if given or (place == "device" and not device_is_host()):
            raise OutOfMemoryError(message)
        log.warning("%s: going on, the system may swap", message)


def _bounding(runtime: RuntimeConfig, place: str) -> str:
    """Return the setting that bounds a place: of two on a CPU the smaller."""
    device, host = runtime.memory_budget_gb, runtime.host_memory_gb
    if place == "host" or (device_is_host() and host is not None and host < (device or inf)):
        return "host_memory_gb"
    return "memory_budget_gb"


def memory_record(plan: MemoryPlan, functions: Functions, peak_bytes: int) -> dict[str, Any]:
    """Return what metrics.json tells of the memory: the plan, and what came of it."""
    phases = {
        phase.name: {
            "micro_batch": phase.step.micro_batch,
            "accumulation": phase.step.accumulation,
            "steps_per_dispatch": phase.step.per_dispatch,
        }
        for phase in functions.phases
    }
    return plan.to_dict() | {"phases": phases, "peak_bytes": peak_bytes}


def _bytes(tree: Any) -> int:
    # Of segments of strain, too.
    return tree_bytes(jax.tree.map(lambda x: getattr(x, "strain", x), tree))
