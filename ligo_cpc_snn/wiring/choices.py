"""How a workload is computed here: the config first, then what `ligo-optimize` found, then these.

Heuristic, for what neither the config nor a stored winner says:

| setting | CPU | NVIDIA, AMD GPU | Apple GPU |
|---|---|---|---|
| LIF kernel | scan | pallas, where it proved itself, else scan | scan |
| recurrence | scan | associative | scan |
| unroll | 1 | 1 | 1 |
| precision | float32 | float32 | float32 |
| steps per dispatch | 1 | 8 | 1 |
| streams x seconds per call of a search | 4 x 8 s | 16 x 32 s | 4 x 8 s |
| slides at a time | 16 | 128 | 16 |

On a CPU a scan stays in the cache and XLA compiles a convolution's gradient inside a loop to a
path 23 times slower; on a GPU each iteration of a loop waits for the launch of its kernels.
bfloat16 is taken only where it was asked for, or won within the tolerance. Pallas needs Triton,
capability 8.0, a run on one GPU (XLA cannot split its kernel over several), and a trial on that
very GPU that gives the scan's numbers (`models/lif_trial.py`).
"""

import importlib.util
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ligo_cpc_snn.config.runtime_schema import (
    KernelConfig,
    LifKernel,
    Precision,
    RecurrenceKernel,
    RuntimeConfig,
    Tuning,
)
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.models import lif_trial
from ligo_cpc_snn.models.kernels import Kernels
from ligo_cpc_snn.runtime.tuning_store import winner
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.wiring.workloads import (
    SEARCH,
    SLIDES,
    TRAINING,
    WINDOW,
    Shapes,
    detecting_shapes,
    training_shapes,
)

log = logging.getLogger(__name__)

Settings = dict[str, Any]  # plain values, as an entry keeps them

TRITON_CAPABILITY = 8.0  # least of an NVIDIA GPU, for which JAX's Pallas tests its kernels

_KERNELS = tuple(Kernels._fields)
# What decides a search's numbers beyond the order of sums: a search that goes on keeps them.
_KEPT = ("streams", "chunk_seconds", "precision")

_PLAIN: Settings = {
    "lif": "scan",
    "recurrence": "scan",
    "unroll": 1,
    "precision": "float32",
    "steps_per_dispatch": 1,
    "accumulation": 1,
    "streams": 4,
    "chunk_seconds": 8.0,
    "slides_at_a_time": 16,
}
_LARGE: Settings = {
    "recurrence": "associative",
    "steps_per_dispatch": 8,
    "streams": 16,
    "chunk_seconds": 32.0,
    "slides_at_a_time": 128,
}


class Choices(NamedTuple):
    """Settings of a workload, none of them `auto`, and where they are from.

    Args:
        steps_per_dispatch: training steps per call of the device.
        accumulation: micro-batches at least; the memory may ask for more.
        streams: segments of a search side by side.
        chunk_seconds: of strain per call of a search.
        source: one line for the log.
    """

    kernels: Kernels
    steps_per_dispatch: int
    accumulation: int
    streams: int
    chunk_seconds: float
    source: str


def plain_settings() -> Settings:
    """Return what every device computes rightly: other choices are compared with it."""
    return dict(_PLAIN)


def heuristic(platform: str, capability: str = "") -> Settings:
    """Return the settings of the table above.

    Args:
        platform: of JAX's device: cpu, gpu, mps, ...
        capability: of an NVIDIA GPU, such as "9.0"; empty: not known.
    """
    if platform not in ("gpu", "cuda", "rocm"):
        return dict(_PLAIN)
    # JAX has Triton's language built in for GPUs; a build without it lacks this module.
    triton = importlib.util.find_spec("jax.experimental.pallas.triton") is not None
    # AMD's are named, as gfx90a.
    able = not capability[:1].isdigit() or float(capability) >= TRITON_CAPABILITY
    return _PLAIN | _LARGE | ({"lif": "pallas"} if triton and able else {})


def heuristic_of(device: Any) -> Settings:
    """Return the heuristic's settings for a device of JAX; Triton's kernel only after a trial."""
    settings = heuristic(device.platform, getattr(device, "compute_capability", "") or "")
    if settings["lif"] == "pallas" and (jax.device_count() > 1 or lif_trial.failure(device)):
        settings["lif"] = "scan"
    return settings


def kernels_of(settings: Mapping[str, Any]) -> Kernels:
    """Return the kernels of plain settings."""
    return Kernels(
        LifKernel(settings["lif"]),
        RecurrenceKernel(settings["recurrence"]),
        settings["unroll"],
        Precision(settings["precision"]),
    )


def given_kernels(cfg: KernelConfig) -> Settings:
    """Return what the config decides, as plain values."""
    named = {name: getattr(cfg, name) for name in (*_KERNELS, "steps_per_dispatch")}
    values = {name: getattr(value, "value", value) for name, value in named.items()}
    return {name: value for name, value in values.items() if value not in ("auto", 0)}


def training_choices(cfg: Config) -> Choices:
    """Return how a training computes, and log one line that says why."""
    given = given_kernels(cfg.runtime.kernels)
    if cfg.training.accumulation > 1:
        given["accumulation"] = cfg.training.accumulation
    return _choices(TRAINING, training_shapes(cfg), given, cfg.runtime)


def search_choices(
    cfg: SearchConfig, detector: TrainedDetector, begun: Path | None = None
) -> Choices:
    """Return how a search computes, and log one line that says why.

    Args:
        begun: file with the settings of the same search that was stopped: what they say is
            kept where the config leaves it open.
    """
    given = given_kernels(cfg.runtime.kernels)
    given |= {n: getattr(cfg, n) for n in ("streams", "chunk_seconds") if getattr(cfg, n)}
    if cfg.follow is not None:
        return _choices(WINDOW, shapes_of(detector), given, cfg.runtime)
    return _choices(SEARCH, shapes_of(detector), given, cfg.runtime, _settings_in(begun))


def slides_at_a_time(runtime: RuntimeConfig, detector: TrainedDetector) -> int:
    """Return how many time slides run side by side at most; the memory may allow fewer."""
    learned = winner(SLIDES, shapes_of(detector)) if runtime.tuning is Tuning.auto else None
    name = "slides_at_a_time"
    return int((learned or heuristic(jax.local_devices()[0].platform))[name])


def prepared_search(
    cfg: SearchConfig, detector: TrainedDetector, begun: Path | None = None
) -> tuple[SearchConfig, TrainedDetector, Choices]:
    """Return config and detector with every choice made (see `search_choices`).

    Args:
        begun: file with the settings of the same search that was stopped.
    """
    chosen = search_choices(cfg, detector, begun)
    settled = replace(cfg, streams=chosen.streams, chunk_seconds=chosen.chunk_seconds)
    return settled, replace(detector, kernels=chosen.kernels), chosen


def _choices(
    workload: str,
    shapes: Shapes,
    given: Settings,
    runtime: RuntimeConfig,
    begun: Settings | None = None,
) -> Choices:
    device = jax.local_devices()[0]
    learned = winner(workload, shapes) if runtime.tuning is Tuning.auto else None
    named = {
        f"the heuristic of {device.platform}": heuristic_of(device),
        "ligo-optimize": learned or {},
        "the search that goes on": begun or {},
        "the config": given,
    }
    settings: Settings = {}
    origin: dict[str, str] = {}
    for name, part in named.items():
        settings |= part
        origin |= dict.fromkeys(part, name)
    source = _line(workload, settings, origin, learned is not None, runtime)
    log.info(source)
    return Choices(
        kernels_of(settings),
        settings["steps_per_dispatch"],
        settings["accumulation"],
        settings["streams"],
        settings["chunk_seconds"],
        source,
    )


def shapes_of(detector: TrainedDetector) -> Shapes:
    """Return the key of a detector's entries in the store."""
    return detecting_shapes(detector.model, len(detector.detectors), detector.sample_rate_hz)


_SHOWN = {
    TRAINING: (*_KERNELS, "steps_per_dispatch", "accumulation"),
    SEARCH: (*_KERNELS, "streams", "chunk_seconds"),
    WINDOW: _KERNELS,
}


def _line(
    workload: str,
    settings: Settings,
    origin: Mapping[str, str],
    learned: bool,
    runtime: RuntimeConfig,
) -> str:
    """Say what was chosen, and why, by the origin of the settings."""
    parts: dict[str, list[str]] = {}
    for name in _SHOWN[workload]:
        parts.setdefault(origin[name], []).append(f"{name}={settings[name]}")
    told = "; ".join(f"{', '.join(values)} (by {name})" for name, values in parts.items())
    if learned:
        return f"{workload}: {told}; --explain of ligo-optimize shows the measurement"
    why = "runtime.tuning=off" if runtime.tuning is Tuning.off else "nothing measured"
    return f"{workload}: {told}; {why}: ligo-optimize finds what is fastest here"


def _settings_in(file: Path | None) -> Settings:
    """Return what a search kept of its settings; what is no such file is refused elsewhere."""
    if file is None or not file.exists():
        return {}
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return {name: kept[name] for name in _KEPT if name in kept} if isinstance(kept, dict) else {}
