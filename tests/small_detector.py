"""A trained detector so small that it compiles in a second, and strain to search with it."""

from typing import Any

import numpy as np
from flax import nnx

from ligo_cpc_snn.config.model_schema import (
    BridgeConfig,
    ContextConfig,
    EncoderConfig,
    ModelConfig,
    SnnConfig,
)
from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.segments import StrainSegment

RATE, NAMES = 256, ("H1", "L1")


def small_model(bridge: Any = None, **snn: Any) -> ModelConfig:
    """Frames of 8 samples; thresholds so low that spikes come at random weights."""
    return ModelConfig(
        EncoderConfig(features=4, patch=16, stride=8),
        ContextConfig(features=4, dilations=[1]),
        bridge or BridgeConfig(threshold=0.3),
        SnnConfig(widths=[5], **snn),
    )


def small_detector(model: ModelConfig | None = None, **settings: Any) -> TrainedDetector:
    """Random weights; PSD segments of 1 s, a filter of 0.5 s, a warm-up of 0.6 s."""
    model = model or small_model()
    network = Detector(model, detectors=len(NAMES), sample_rate_hz=RATE, rngs=nnx.Rngs(1))
    known: dict[str, Any] = {
        "name": "small",
        "model": model,
        "params": nnx.split(network)[1],
        "detectors": NAMES,
        "sample_rate_hz": RATE,
        "band_hz": (20.0, 100.0),
        "filter_seconds": 0.5,
        "psd_segment_seconds": 1.0,
        "time_offset_seconds": 0.0,
        "warm_up_seconds": 0.6,
        "card": {},
    }
    return TrainedDetector(**(known | settings))


def noise(seconds: float, gps: float = 1000.0, seed: int = 0, rate: int = RATE) -> Coincident:
    """Gaussian noise, redder towards low frequencies, of its own for each detector."""
    rng = np.random.default_rng(seed)
    strain = {}
    for name in NAMES:
        white = rng.normal(size=round(seconds * rate))
        red = white + 0.9 * np.concatenate([[0.0], white[:-1]])
        strain[name] = StrainSegment(name, gps, rate, 1e-21 * red, "simulated")
    return strain


def part(strain: Coincident, first: int, last: int) -> Coincident:
    """Samples `first` to before `last` of each detector."""
    return {name: segment.samples(first, last) for name, segment in strain.items()}
