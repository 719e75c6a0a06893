"""Settings of where and how a run computes; none changes a result beyond stated tolerances.

`precision=bfloat16` rounds factors of matrix products to 8 bits (`models/kernels.py`); the others
differ by the order of sums.
"""

from dataclasses import dataclass, field
from enum import Enum

from ligo_cpc_snn.config.requirement import require


class Platform(Enum):
    """Where JAX runs; `auto` takes the first usable of cuda, mps, metal, cpu."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    metal = "metal"
    mps = "mps"


class Tuning(Enum):
    """`auto`: what `ligo-optimize` found fastest on this machine, where it was run."""

    auto = "auto"
    off = "off"


class Distributed(Enum):
    """`auto`: all processes that JAX recognises as started together (SLURM, MPI, variables)."""

    auto = "auto"
    off = "off"


class LifKernel(Enum):
    """How LIF neurons run over time; `pallas`: one GPU kernel with the time loop inside."""

    auto = "auto"
    scan = "scan"
    pallas = "pallas"


class RecurrenceKernel(Enum):
    """How linear recurrences run over time; `associative`: in log(time) parallel steps."""

    auto = "auto"
    scan = "scan"
    associative = "associative"


class Precision(Enum):
    """Of the network's matrix products; states, sums and parameters stay float32."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


@dataclass
class KernelConfig:
    """Ways to compute the same; `auto` and 0: a stored winner, else the device's heuristic."""

    lif: LifKernel = LifKernel.auto
    recurrence: RecurrenceKernel = RecurrenceKernel.auto
    unroll: int = 0  # frames per iteration of a scan
    precision: Precision = Precision.auto
    steps_per_dispatch: int = 0  # training steps per call of the device

    def __post_init__(self) -> None:
        for name in ("unroll", "steps_per_dispatch"):
            value = getattr(self, name)
            require(value >= 0, f"runtime.kernels.{name}={value}: expected 1 or more, or 0 (auto)")


@dataclass
class RuntimeConfig:
    """The machine: device, memory, kernels, processes and log."""

    platform: Platform = Platform.auto
    fallback: bool = False  # to the CPU, when the device fails; a search's default is true
    memory_fraction: float = 0.5  # of the device's memory, for the whole run
    memory_budget_gb: float | None = None  # of the device; None: from memory_fraction
    host_memory_gb: float | None = None  # of the host; None: memory_fraction of it
    compilation_cache: bool = True
    tuning: Tuning = Tuning.auto
    kernels: KernelConfig = field(default_factory=KernelConfig)
    distributed: Distributed = Distributed.auto
    log_level: str = "INFO"

    def __post_init__(self) -> None:
        require(
            0 < self.memory_fraction <= 1,
            f"runtime.memory_fraction={self.memory_fraction}: expected a number in (0, 1]",
        )
        for name in ("memory_budget_gb", "host_memory_gb"):
            value = getattr(self, name)
            require(
                value is None or value > 0, f"runtime.{name}={value}: expected more than 0, or null"
            )


def fallback_runtime() -> RuntimeConfig:
    """Return the defaults of a search: finished on the CPU is better than not finished."""
    return RuntimeConfig(fallback=True)
