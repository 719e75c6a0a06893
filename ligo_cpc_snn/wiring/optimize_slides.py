"""Time slides as a workload: how many run side by side."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.config.model_schema import BridgeKind, DetectorFusion
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.search.feature_slides import (
    ring_bytes,
    slide_background,
    slides_bytes,
)
from ligo_cpc_snn.search.slide_plan import Background, SlideSegment
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.wiring.choices import shapes_of
from ligo_cpc_snn.wiring.optimize_agreement import difference
from ligo_cpc_snn.wiring.optimize_rounds import Program
from ligo_cpc_snn.wiring.optimize_workload import Axis, Built, Lowered
from ligo_cpc_snn.wiring.workloads import SLIDES

RING_SECONDS = 32.0  # of the features that are slid
TURNS = 2  # of all slides side by side, in a call
COMPARED = 8  # slides
SPIKE_RATE = 0.1
SETTLED_SECONDS = 1.0  # at most, left out of a ring
SECONDS_PER_UNIT = 1e5 * 3600.0  # an hour of 10^5 slides


class TimeSlides:
    """Slides of random features through the rest of the network, as a search makes them."""

    name, unit = SLIDES, "hour of strain slid 10^5 times"
    settings = ("slides_at_a_time",)

    def __init__(self, detector: TrainedDetector) -> None:
        if detector.model.encoder.detectors is not DetectorFusion.shared:
            raise UserError(
                "model.encoder.detectors=joint has no features of one detector to slide: expected "
                "shared, leave the workload 'slides' out"
            )
        self.detector, self.shapes = detector, shapes_of(detector)
        self.frames = round(RING_SECONDS / detector.frame_seconds)
        self.features = _features(detector, self.frames)

    def axes(self, platform: str) -> list[Axis]:
        """Return slides side by side; a ring has room for so many."""
        return [Axis("slides_at_a_time", most=self.frames // (2 * TURNS))]

    def lower(self, settings: Mapping[str, Any]) -> Lowered:
        """Prepare slides; they are compiled when they run first."""
        side_by_side = settings["slides_at_a_time"]
        slides = TURNS * side_by_side

        def compile_it() -> Built:
            seconds = slides * RING_SECONDS / SECONDS_PER_UNIT
            rings = ring_bytes(self.detector, self.features.shape[-1], self.frames)
            return Built(
                Program(lambda: self._slide(slides, side_by_side).statistic, seconds),
                lambda units: self._slide(COMPARED, side_by_side).statistic,
                rings + slides_bytes(self.detector, self.frames, side_by_side),
            )

        return Lowered(f"{side_by_side} slides", compile_it)

    def difference(self, settings: Mapping[str, Any], built: Built, plain: Built) -> float:
        """Return how far the same slides' peaks are off, over their spread."""
        return difference(np.sort(built.outputs(1)), np.sort(plain.outputs(1)), about_mean=True)

    def _slide(self, slides: int, at_a_time: int) -> Background:
        segment = SlideSegment(self.features, np.ones(self.features.shape[:2], bool))
        return slide_background(
            self.detector,
            [segment],
            slides=slides,
            shift_seconds=self.detector.frame_seconds,
            threshold=-np.inf,
            cluster_seconds=SETTLED_SECONDS,
            budget_bytes=np.iinfo(np.int64).max,
            at_a_time=at_a_time,
        )


def _features(
    detector: TrainedDetector, frames: int
) -> Float[np.ndarray, "detector frame channel"]:
    """Return random features: spikes where the bridge makes spikes."""
    network, count = detector.network, len(detector.detectors)
    shape = (count, frames, network.bridge.channels)
    rng = np.random.default_rng(0)
    if detector.model.bridge.kind is BridgeKind.none:
        return rng.normal(size=shape).astype(np.float16)
    return rng.random(size=shape) < SPIKE_RATE
