"""Measure all groups of work of a scale: each a rotation in this process, with the reference."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import psutil

from ligo_cpc_snn.benchmarking import aims, searching, spiking, stages
from ligo_cpc_snn.benchmarking.data_setting import why_absent
from ligo_cpc_snn.benchmarking.making import data_work
from ligo_cpc_snn.benchmarking.scales import OUTPUTS, SIZES, Scale, Size
from ligo_cpc_snn.benchmarking.spiking_peers import MODULES, spiking_peer
from ligo_cpc_snn.benchmarking.spiking_stepwise import CELLS, stepwise_peer
from ligo_cpc_snn.benchmarking.timing import Timing, time_together
from ligo_cpc_snn.benchmarking.torch_device import why_no_torch_device
from ligo_cpc_snn.benchmarking.work import Work
from ligo_cpc_snn.config.model_schema import Neuron
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.runtime.devices import describe_device, peak_memory_bytes
from ligo_cpc_snn.runtime.versions import installed_of
from ligo_cpc_snn.wiring.choices import Choices, training_choices

REFERENCE = "reference"
PACKAGES = (
    "ligo-cpc-snn", "jax", "jaxlib", "flax", "optax", "spyx", "ripplegw", "numpy", "scipy",
    "torch", "spikingjelly", "norse", "snntorch",
)  # fmt: skip
WHOLE_STEP_PEERS = ("spikingjelly", "snntorch")

Group = dict[str, Work]
Absent = dict[str, str]


def measure(cfg: Config, scale: Scale, repeats: int, peers: bool) -> dict[str, Any]:
    """Return what every stage takes, in plain values.

    Args:
        cfg: of the scale, with the user's overrides.
        repeats: timed calls of each stage.
        peers: measure other libraries, too; those that are absent are told.
    """
    size, load = SIZES[scale], psutil.getloadavg()[0]
    choices = training_choices(cfg)
    setting = stages.prepare_setting(cfg, choices.kernels)
    absent = absent_peers() if peers else {}
    wanted = [name for name in MODULES if peers and name not in absent]
    step, compilation = stages.training_step(setting)
    groups: dict[str, Callable[[], Group]] = {
        "spiking network": lambda: _spiking(setting, size, wanted, absent),
        "stages": lambda: _stages(setting, step, peers, absent),
        "search": lambda: searching.search_work(setting, size),
        "data": lambda: data_work(cfg, size),
    }
    rows, reference_ms = {}, {}
    for name, group in groups.items():
        for stage, row in _timed(name, group(), repeats):
            if stage == REFERENCE:
                reference_ms[name] = row["median_ms"]
            else:
                rows[stage] = row
    result: dict[str, Any] = {
        "scale": scale.value,
        "setting": _described(cfg, size, choices, repeats),
        "machine": _machine(load),
        "versions": versions(),
        "stages": rows,
        "reference_ms": reference_ms,
        "absent": absent,
        "compilation_s": compilation,
        "peak_memory_gb": peak_memory_bytes() / 1e9,
        "peers": peers,
    }
    judged = aims.judged(scale.value, result["machine"]["platform"])
    result["aims"] = aims.measured_aims(rows) if judged else []
    return result | {"missed": aims.missed(result)}


def absent_peers() -> Absent:
    """Return why peers cannot be measured, those that can left out."""
    found = {}
    for name, modules in MODULES.items():
        if reason := why_absent(*modules) or why_no_torch_device():
            found[name] = reason
    if reason := why_absent("torch") or why_no_torch_device():
        found["torch"] = reason
    return found


def _spiking(setting: stages.Setting, size: Size, peers: list[str], absent: Absent) -> Group:
    cfg = setting.cfg
    snn, shape = cfg.model.snn, (cfg.training.batch_size, size.frames, size.channels)
    alone = spiking.spiking_setting(_with_widths(snn, size.widths), shape, setting.kernels)
    functions = spiking.spiking_functions(alone)
    functions |= spiking.matrix_products(shape, size.widths)
    if snn.neuron is Neuron.LIF:
        for name in peers:
            functions |= spiking_peer(name, alone)
            if name in CELLS:
                functions |= stepwise_peer(name, alone)
    else:
        reason = f"model.snn.neuron={snn.neuron.value}: compared on LIF only"
        absent.update(dict.fromkeys((f"snn, {name}" for name in peers), reason))
    return {name: Work(function) for name, function in functions.items()}


def _with_widths(cfg: Any, widths: tuple[int, ...]) -> Any:
    return replace(cfg, widths=list(widths))


def _stages(setting: stages.Setting, step: Callable[[], Any], peers: bool, absent: Absent) -> Group:
    functions = stages.forward_stages(setting) | {"training step": step}
    if peers and "torch" not in absent:
        from ligo_cpc_snn.benchmarking import torch_step

        if reason := torch_step.why_other_parts(setting.cfg.model):
            absent["training step, torch"] = reason
        else:
            functions |= torch_step.encoder_functions(setting)
            for name in (n for n in WHOLE_STEP_PEERS if n not in absent):
                functions |= torch_step.step_functions(setting, name)
    return {name: Work(function) for name, function in functions.items()}


def _timed(name: str, group: Group, repeats: int) -> Iterator[tuple[str, dict[str, Any]]]:
    functions = {stage: work.run for stage, work in group.items()}
    functions[REFERENCE] = spiking.reference()
    for stage, timing in time_together(functions, repeats, reference=REFERENCE).items():
        yield stage, {"group": name, **_row(timing, group.get(stage, Work(print)))}


def _row(timing: Timing, work: Work) -> dict[str, Any]:
    row: dict[str, Any] = {
        "median_ms": 1e3 * timing.median,
        "quartiles_ms": [1e3 * timing.low, 1e3 * timing.high],
        "ratio": timing.ratio,
        "ratio_quartiles": [timing.ratio_low, timing.ratio_high],
        "rounds_ms": [round(1e3 * seconds, 4) for seconds in timing.rounds],
    }
    if work.items:
        row |= {"per_second": work.items / timing.median, "unit": work.unit}
    return row


def _described(cfg: Config, size: Size, choices: Choices, repeats: int) -> dict[str, Any]:
    """Return the shapes that were measured: results of other shapes cannot be compared."""
    return {
        "batch": cfg.training.batch_size,
        "detectors": len(cfg.data.detectors),
        "samples": cfg.data.window_samples,
        "snn": [size.frames, size.channels, *size.widths, OUTPUTS],
        "encoder": cfg.model.encoder.kind.value,
        "widths": list(cfg.model.snn.widths),
        "search_seconds": size.segments * size.search_seconds,
        "slides": size.slides,
        "kernels": {name: getattr(x, "value", x) for name, x in choices.kernels._asdict().items()},
        "repeats": repeats,
    }


def _machine(load: float) -> dict[str, Any]:
    """Describe the machine without its name; `load` is that of the last minute before."""
    described: Mapping[str, Any] = describe_device()
    return {k: v for k, v in described.items() if k != "host"} | {"load_before": load}


def versions() -> dict[str, str]:
    """Return the versions of what was measured; a package that is not installed is left out."""
    return {"python": sys.version.split()[0]} | installed_of(PACKAGES)
