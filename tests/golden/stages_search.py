"""The stages of a search: whole engine, triggers, time slides."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from small_detector import NAMES, RATE, small_detector

from ligo_cpc_snn.config.model_schema import (
    BridgeConfig,
    ContextConfig,
    EncoderConfig,
    ModelConfig,
    SnnConfig,
)
from ligo_cpc_snn.search.engine import Engine
from ligo_cpc_snn.search.feature_slides import slide_background
from ligo_cpc_snn.search.slide_plan import SlideSegment
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.triggers import find_triggers
from ligo_cpc_snn.strain.segments import StrainSegment

FEATURES, FRAME_SECONDS = 4, 8 / RATE
CLUSTER, PLENTY = 0.3, 10**9


def detector(params: Any = None, kernels: Any = None) -> TrainedDetector:
    """Return a small detector with two layers of neurons."""
    model = ModelConfig(
        EncoderConfig(features=FEATURES, patch=16, stride=8),
        ContextConfig(features=FEATURES, dilations=[1]),
        BridgeConfig(threshold=0.3),
        SnnConfig(widths=[6, 5]),
    )
    settings: dict[str, Any] = {} if kernels is None else {"kernels": kernels}
    if params is not None:
        settings["params"] = params
    return small_detector(model, **settings)


def search(
    params: Any,
    inputs: dict[str, np.ndarray],
    *,
    chunk_seconds: float = 60.0,
    streams: int = 1,
    kernels: Any = None,
) -> dict[str, Any]:
    """Return statistic, times and features of segments of strain."""
    engine = Engine(
        detector(params, kernels),
        chunk_seconds=chunk_seconds,
        streams=streams,
        psd_seconds=4.0,
        keep_features=True,
    )
    segments = []
    for i, rows in enumerate(inputs[name] for name in sorted(inputs)):
        pairs = zip(NAMES, rows.astype(np.float64) * 1e-21, strict=True)
        start = 1000.0 + 50 * i
        segments.append({n: StrainSegment(n, start, RATE, x, "golden") for n, x in pairs})
    found = list(engine.run(segments))
    return {
        i: {"gps": x.gps, "value": x.value, "features": np.asarray(x.features, np.uint8)}
        for i, x in enumerate(found)
    }


def triggers(inputs: dict[str, np.ndarray], pieces: int = 1) -> dict[str, Any]:
    """Return the triggers of a statistic with gaps, handed over in overlapping pieces."""
    gps, value = inputs["gps"], inputs["value"]
    edges = np.linspace(0, gps.size, pieces + 1).astype(int)
    kept = []
    for a, b in pairwise(edges):
        # A frame more than the clusters need: a peak's time is read off its neighbours.
        first = max(np.searchsorted(gps, gps[a] - CLUSTER) - 1, 0)
        last = np.searchsorted(gps, gps[b - 1] + CLUSTER, side="right") + 1
        found = find_triggers(
            gps[first:last],
            value[first:last],
            threshold=1.0,
            cluster_seconds=CLUSTER,
            time_offset_seconds=0.02,
        )
        own = (found.frame + first >= a) & (found.frame + first < b)
        kept.append({"gps": found.gps[own], "statistic": found.statistic[own]})
    return {name: np.concatenate([part[name] for part in kept]) for name in ("gps", "statistic")}


def slides(
    params: Any,
    inputs: dict[str, np.ndarray],
    *,
    budget_bytes: int = PLENTY,
    kernels: Any = None,
    **choices: Any,
) -> dict[str, Any]:
    """Return the peaks of time slides of two segments, and their live time."""
    segments: Sequence[SlideSegment] = [
        SlideSegment(inputs[f"features_{i}"], inputs[f"good_{i}"].astype(bool)) for i in range(2)
    ]
    found = slide_background(
        detector(params, kernels),
        segments,
        slides=5,
        shift_seconds=2.0,
        threshold=-100.0,
        cluster_seconds=CLUSTER,
        budget_bytes=budget_bytes,
        **choices,
    )
    numbers = {"seconds": found.seconds, "slides": float(found.slides)}
    return {"statistic": found.statistic, **numbers}


def draw_inputs(stage: str, seed: int) -> dict[str, np.ndarray]:
    """Return strain, a statistic, or features of the detectors."""
    rng = np.random.RandomState(seed)
    if stage == "search":
        lengths = (6.0, 4.3, 5.1)  # s

        def red(samples: int) -> np.ndarray:
            white = rng.standard_normal((2, samples + 1))
            return (white[:, 1:] + 0.9 * white[:, :-1]).astype(np.float32)

        return {f"strain_{i}": red(round(s * RATE)) for i, s in enumerate(lengths)}
    if stage == "triggers":
        steps = np.full(600, FRAME_SECONDS)
        steps[[200, 420]] = 7.0, 0.2  # gaps, one shorter than a cluster
        value = rng.standard_normal(600).astype(np.float32)
        value[100:103] = 3.0  # a plateau
        value[300:310] = -np.inf
        return {"gps": 1126259400.0 + np.cumsum(steps), "value": value}
    drawn: dict[str, np.ndarray] = {}
    for i, frames in enumerate((700, 160)):
        good = np.ones((2, frames), np.uint8)
        good[:, :16] = 0
        good[1, 90:120] = 0
        spikes = rng.uniform(size=(2, frames, 2 * FEATURES)) < 0.3
        drawn |= {f"features_{i}": spikes.astype(np.uint8), f"good_{i}": good}
    return drawn
