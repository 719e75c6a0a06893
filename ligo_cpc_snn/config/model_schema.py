"""Settings of the network: encoder, context, bridge and spiking network."""

import math
from dataclasses import dataclass, field
from enum import Enum

from ligo_cpc_snn.config.requirement import require


class EncoderKind(Enum):
    """`multirate`: quadrature filters at two rates, for signals longer than a frame.

    `own`: the class that `model.encoder.own` names.
    """

    conv = "conv"
    patch = "patch"
    multirate = "multirate"
    own = "own"


class InitialFilters(Enum):
    """Where the filters of a multirate encoder begin: noise, or the training signals."""

    random = "random"
    signals = "signals"


class DetectorFusion(Enum):
    """`shared`: one encoder per detector, same weights; `joint`: detectors as channels."""

    shared = "shared"
    joint = "joint"


class ContextKind(Enum):
    """`glr`: gated linear recurrence; `gru`: of flax; `conv`: far-reaching convolutions alone."""

    glr = "glr"
    gru = "gru"
    conv = "conv"


class BridgeKind(Enum):
    """How latents become spikes; `none`: they go on as they are, for ablation."""

    temporal_contrast = "temporal_contrast"
    threshold = "threshold"
    rate = "rate"
    latency = "latency"
    none = "none"


class BridgeInput(Enum):
    """What the bridge reads."""

    latents = "latents"
    context = "context"


class Neuron(Enum):
    """Neurons of `spyx.nn`; `none`: leaky units that pass a number on in place of spikes."""

    LIF = "LIF"
    ALIF = "ALIF"
    CuBaLIF = "CuBaLIF"
    RLIF = "RLIF"
    RCuBaLIF = "RCuBaLIF"
    none = "none"


class Surrogate(Enum):
    """Surrogate gradients of `spyx.axn`."""

    arctan = "arctan"
    superspike = "superspike"
    triangular = "triangular"
    tanh = "tanh"
    boxcar = "boxcar"


@dataclass
class EncoderConfig:
    """The CPC encoder: strain to latent frames."""

    kind: EncoderKind = EncoderKind.patch
    detectors: DetectorFusion = DetectorFusion.shared
    features: int = 64
    saturation: float = 10.0  # whitened strain is bent to stay within +- this: glitches
    patch: int = 32  # samples per frame, of which `stride` are new
    stride: int = 16
    conv_kernels: list[int] = field(default_factory=lambda: [32, 4])  # multiples of stride
    conv_strides: list[int] = field(default_factory=lambda: [8, 2])
    # Of `multirate`: `features` pairs of filters, their amplitudes taken every `step` samples.
    initial: InitialFilters = InitialFilters.signals
    step: int = 2  # divides slow_decimation, which divides stride
    fast_seconds: float = 0.17  # filtered at the full rate
    slow_seconds: float = 1.5  # of strain seen in all, before that at the decimated rate
    after_seconds: float = 0.025  # of a signal after its merger: the ringdown
    slow_decimation: int = 4
    fast_rank: int = 20  # basis filters
    slow_rank: int = 48
    own: str = ""  # module:Class of `kind=own`, an encoder of yours on Python's path

    @property
    def frame_samples(self) -> int:
        """Samples between two latent frames."""
        if self.kind is EncoderKind.conv:
            return math.prod(self.conv_strides)
        return self.stride

    def __post_init__(self) -> None:
        counts = ("features", "patch", "stride", "step", "slow_decimation", "fast_rank")
        for name in (*counts, "slow_rank"):
            value = getattr(self, name)
            require(value >= 1, f"model.encoder.{name}={value}: expected 1 or more")
        for name in ("fast_seconds", "slow_seconds", "after_seconds"):
            value = getattr(self, name)
            require(value > 0, f"model.encoder.{name}={value}: expected more than 0")
        require(
            self.saturation > 0, f"model.encoder.saturation={self.saturation}: expected more than 0"
        )


@dataclass
class ContextConfig:
    """The CPC context: what the latents so far say."""

    kind: ContextKind = ContextKind.glr
    features: int = 64
    # Causal convolutions before the recurrence, in frames; latents stay local, so that
    # InfoNCE cannot copy the strain that latents of neighbouring frames share.
    dilations: list[int] = field(default_factory=lambda: [1, 2, 4])


@dataclass
class BridgeConfig:
    """The SpikeBridge: latents or context to spikes."""

    kind: BridgeKind = BridgeKind.temporal_contrast
    input: BridgeInput = BridgeInput.context
    threshold: float = 0.5  # initial value, in units of the normalised latents
    levels: int = 1  # of `threshold`: channels per latent, whose thresholds begin
    spacing: float = 1.0  # this far apart
    surrogate: Surrogate = Surrogate.arctan
    slope: float = 2.0
    latency_frames: int = 8  # block in which `latency` places its one spike
    silent_below: float = 0.005  # spike rates reported as faults
    saturated_above: float = 0.6

    def __post_init__(self) -> None:
        for name in ("threshold", "levels", "spacing", "slope", "latency_frames"):
            value = getattr(self, name)
            require(value > 0, f"model.bridge.{name}={value}: expected more than 0")


@dataclass
class SnnConfig:
    """The spiking network and its leaky readout."""

    neuron: Neuron = Neuron.LIF
    widths: list[int] = field(default_factory=lambda: [128, 128])
    surrogate: Surrogate = Surrogate.arctan
    slope: float = 2.0
    readout_seconds: float = 0.05  # time constant of the leaky readout
    exchangeable: bool = False  # the first weights are the same for all detectors at first

    def __post_init__(self) -> None:
        for name in ("slope", "readout_seconds"):
            value = getattr(self, name)
            require(value > 0, f"model.snn.{name}={value}: expected more than 0")


@dataclass
class ModelConfig:
    """A detector: encoder, context, bridge and spiking network."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    context: ContextConfig = field(default_factory=ContextConfig)
    bridge: BridgeConfig = field(default_factory=BridgeConfig)
    snn: SnnConfig = field(default_factory=SnnConfig)
    # After silence, before the statistic is used: in training, evaluation and search.
    warm_up_seconds: float = 0.0

    def __post_init__(self) -> None:
        value = self.warm_up_seconds
        require(value >= 0, f"model.warm_up_seconds={value}: expected 0 or more")
