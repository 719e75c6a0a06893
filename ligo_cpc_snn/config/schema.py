"""Every setting of a run, with its default and its unit; those of the
data in `data_schema`, of the network in `model_schema`, of the machine in `runtime_schema`.

No JAX here: a config is read, checked and printed before JAX is imported. YAML
files in `conf/` hold differences from these defaults. Checks that need one
section only stand in its `__post_init__`; `config/checks.py` holds those that
need several.
"""

from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import Any

from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.config.model_schema import ModelConfig
from ligo_cpc_snn.config.requirement import require
from ligo_cpc_snn.config.runtime_schema import RuntimeConfig


class Negatives(Enum):
    """Whose frames InfoNCE contrasts with: the anchor's own `sequence`, or the whole `batch`."""

    sequence = "sequence"
    batch = "batch"


class Schedule(Enum):
    """Learning rate after its warm-up."""

    cosine = "cosine"
    constant = "constant"


class Resume(Enum):
    """`auto` continues where a checkpoint exists, `must` insists on one."""

    never = "never"
    auto = "auto"
    must = "must"


class WandbMode(Enum):
    """`auto`: online with a key and a network, otherwise offline."""

    auto = "auto"
    online = "online"
    offline = "offline"
    disabled = "disabled"


@dataclass
class InfoNceConfig:
    """The contrastive loss of CPC."""

    steps: int = 8  # K, future frames predicted
    first_step: int = 2  # the nearest; patches overlap, so step 1 is trivial
    features: int = 64  # of the prediction heads
    negatives: Negatives = Negatives.sequence
    anchors: int = 32  # sampled per sequence
    temperature: float = 0.1


@dataclass
class SnrRange:
    """Network SNR drawn uniformly: from `start_*` at first to `end_*` after `ramp`.

    It is that of the whole signal, of which a short window may hold a part only.
    """

    start_min: float = 20.0
    start_max: float = 30.0
    end_min: float = 7.0
    end_max: float = 20.0
    ramp_begin: float = 0.2  # fractions of the phase's steps
    ramp_end: float = 0.6


@dataclass
class PhaseConfig:
    """A phase of training: its steps, the weights of its losses and what is trained."""

    steps: int = 0
    learning_rate: float = 1e-3
    infonce_weight: float = 0.0
    detection_weight: float = 0.0
    rate_weight: float = 0.0  # firing-rate penalty
    train_encoder: bool = True  # encoder and context; false: frozen
    snr: SnrRange = field(default_factory=SnrRange)


def _phase(
    steps: int, infonce: float, detection: float, rate: float, train_encoder: bool = True
) -> Any:
    return field(
        default_factory=lambda: PhaseConfig(
            steps=steps,
            infonce_weight=infonce,
            detection_weight=detection,
            rate_weight=rate,
            train_encoder=train_encoder,
        )
    )


@dataclass
class OptimiserConfig:
    """AdamW, its schedule and clipping."""

    schedule: Schedule = Schedule.cosine
    warmup_steps: int = 50
    final_fraction: float = 0.05  # of the learning rate, at the end of a cosine
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    b1: float = 0.9
    b2: float = 0.999

    def __post_init__(self) -> None:
        for name in ("weight_decay", "final_fraction"):
            value = getattr(self, name)
            require(value >= 0, f"training.optimiser.{name}={value}: expected 0 or more")
        for name in ("b1", "b2"):
            value = getattr(self, name)
            require(0 <= value < 1, f"training.optimiser.{name}={value}: expected 0 to less than 1")


@dataclass
class CheckpointConfig:
    """When checkpoints are written, and how many stay."""

    every_steps: int = 200
    keep_last: int = 2
    keep_best: int = 1
    background: bool = True  # write while training goes on


@dataclass
class TrainingConfig:
    """Phases of training, batches, validation."""

    batch_size: int = 32
    accumulation: int = 1  # micro-batches per update
    pretrain: PhaseConfig = _phase(200, 1.0, 0.0, 0.0)
    probe: PhaseConfig = _phase(100, 0.0, 1.0, 0.1, train_encoder=False)
    finetune: PhaseConfig = _phase(1000, 0.1, 1.0, 0.1)
    infonce: InfoNceConfig = field(default_factory=InfoNceConfig)
    target_rate: float = 0.1  # spikes per neuron and frame above which the penalty grows
    # Per step, of a moving average of the parameters, which is then what is validated, evaluated
    # and exported; 0: none, the last parameters are.
    average_decay: float = 0.0
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    log_every: int = 25
    evaluate_every: int = 200  # validation during training
    evaluate_windows: int = 512

    def __post_init__(self) -> None:
        require(
            1 <= self.accumulation <= self.batch_size,
            f"training.accumulation={self.accumulation}: expected 1 to training.batch_size="
            f"{self.batch_size}, a micro-batch needs an example",
        )
        require(
            0 <= self.average_decay < 1,
            f"training.average_decay={self.average_decay}: expected 0 (no average) to less than "
            "1, such as 0.999",
        )


@dataclass
class EvaluationConfig:
    """The evaluation at the end of a run."""

    windows: int = 10240  # noise windows at the end of the run
    signal_windows: int = 1024  # per SNR
    # Network SNRs of whole signals, of which a short window may hold a part only.
    snrs: list[float] = field(default_factory=lambda: [4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0])
    false_positive_rates: list[float] = field(default_factory=lambda: [1e-1, 1e-2, 1e-3])
    batch_size: int = 128

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in pairwise(self.snrs))
        require(
            bool(self.snrs) and rising and self.snrs[0] > 0,
            f"evaluation.snrs={self.snrs}: expected one or more, above 0, in increasing order",
        )
        require(
            self.signal_windows >= 2,
            f"evaluation.signal_windows={self.signal_windows}: expected 2 or more",
        )


@dataclass
class EventConfig:
    """An event to run the trained detector over; null name: none."""

    name: str | None = None
    gps: float | None = None  # time of the merger, s
    seconds: float = 32.0  # of strain, in files of that event
    tolerance_seconds: float = 0.1
    time_slides: int = 20  # of held-out noise, for the background


@dataclass
class WandbConfig:
    """Weights & Biases."""

    mode: WandbMode = WandbMode.disabled
    project: str = "ligo_cpc_snn"
    entity: str | None = None
    group: str | None = None  # shown together; a sweep of --multirun gives its runs its name
    tags: list[str] = field(default_factory=list)


@dataclass
class TrackersConfig:
    """Where the numbers of a run are shown."""

    wandb: WandbConfig = field(default_factory=WandbConfig)
    progress: bool = True  # rich progress bar on a terminal


@dataclass
class Config:
    """Root of a run's configuration."""

    name: str = "default"  # the run folder is runs/<name>
    seed: int = 0
    run_dir: str = "runs/${name}"
    resume: Resume = Resume.auto
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    event: EventConfig = field(default_factory=EventConfig)
    trackers: TrackersConfig = field(default_factory=TrackersConfig)
