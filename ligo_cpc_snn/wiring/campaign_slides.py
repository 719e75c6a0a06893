"""Do time slides of a detector's features give the background that its search of noise has?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ligo_cpc_snn.config.model_schema import DetectorFusion
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.memory import OutOfMemoryError
from ligo_cpc_snn.search.consistency import slide_consistency
from ligo_cpc_snn.search.engine import Engine, Searched, joined
from ligo_cpc_snn.search.feature_slides import slide_background
from ligo_cpc_snn.search.inputs import Plan, opened
from ligo_cpc_snn.search.slide_plan import SlideSegment
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.triggers import find_triggers
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.wiring.choices import slides_at_a_time
from ligo_cpc_snn.wiring.search import wanted_of

SECONDS = 2048.0  # of noise that are slid
SLIDES = 4  # of much strain: the peaks of more depend on each other
SECONDS_PER_PEAK = 10.0  # peaks so seldom and louder are compared


def check_slides(
    detector: TrainedDetector, settings: SearchConfig, cache_dir: Path, budget_bytes: int
) -> dict[str, Any]:
    """Slide the first `SECONDS` of noise and compare with its peaks as it was.

    Args:
        settings: of the search, with the file of noise.
        cache_dir: of downloads.
        budget_bytes: of device memory, for the search or the slides.

    Returns:
        The fields of `Consistency`, the seconds and the threshold; or `skipped`, with why.
    """
    if detector.model.encoder.detectors is not DetectorFusion.shared:
        return {"skipped": "the encoder joins the detectors: features of one cannot be slid"}
    engine = Engine(
        detector,
        chunk_seconds=settings.chunk_seconds,
        streams=settings.streams,
        psd_seconds=settings.psd_seconds,
        keep_features=True,
        budget_bytes=budget_bytes,
    )
    with opened(settings.strain, wanted_of(settings, detector), cache_dir) as plan:
        parts = [part for part in engine.run(first_of(plan, SECONDS)) if part.gps.size]
    try:
        return _compared(detector, settings, parts, budget_bytes)
    except (ValueError, OutOfMemoryError) as error:  # too little noise, or memory for its rings
        return {"skipped": str(error)}


def first_of(plan: Plan, seconds: float) -> Iterator[Coincident]:
    """Yield the first `seconds` of a plan's strain; what stretches share comes once."""
    end = -np.inf
    for stretch in plan.stretches:
        for part in plan.coincident(stretch)[0]:
            one = next(iter(part.values()))
            first = max(0, round((end - one.gps_start) * one.sample_rate_hz)) if end > 0 else 0
            last = min(one.strain.size, first + round(seconds * one.sample_rate_hz))
            if last > first:
                seconds -= (last - first) / one.sample_rate_hz
                end = one.gps_end
                yield {name: segment.samples(first, last) for name, segment in part.items()}
            if seconds <= 0:
                return


def _compared(
    detector: TrainedDetector, settings: SearchConfig, parts: list[Searched], budget_bytes: int
) -> dict[str, Any]:
    cluster = settings.triggers.cluster_seconds
    gps, value = joined(parts)
    order = np.argsort(gps, kind="stable")
    peaks = find_triggers(gps[order], value[order], threshold=-np.inf, cluster_seconds=cluster)
    seconds = gps.size * detector.frame_seconds
    kept = int(seconds / SECONDS_PER_PEAK)
    if not 0 < kept < peaks.statistic.size:
        raise ValueError(f"{seconds:.0f} s of noise have {peaks.statistic.size} peaks: too few")
    threshold = float(np.sort(peaks.statistic)[::-1][kept])
    slid = slide_background(
        detector,
        [
            SlideSegment(part.features, np.ones(part.features.shape[:2], bool))
            for part in parts
            if part.features is not None
        ],
        slides=SLIDES,
        shift_seconds=settings.background.shift_seconds,
        threshold=threshold,
        cluster_seconds=cluster,
        budget_bytes=budget_bytes,
        at_a_time=slides_at_a_time(settings.runtime, detector),
    )
    if not slid.seconds:
        raise ValueError(f"{seconds:.0f} s of noise leave no room for a slide")
    found = slide_consistency(
        slid.statistic,
        peaks.statistic,
        slid_seconds=slid.seconds,
        true_seconds=seconds,
        threshold=threshold,
    )
    numbers = {
        k: v if not isinstance(v, float) or np.isfinite(v) else None
        for k, v in found._asdict().items()
    }
    about = {"seconds": seconds, "slid_seconds": slid.seconds, "threshold": threshold}
    return numbers | about
