"""From frames to ranked triggers: threshold, clustering, contributions, time slides, rates."""

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.config.model_schema import DetectorFusion
from ligo_cpc_snn.config.search_schema import BackgroundConfig, SearchConfig
from ligo_cpc_snn.runtime.devices import memory_budget_bytes
from ligo_cpc_snn.search.contributions import contributions
from ligo_cpc_snn.search.engine import Searched
from ligo_cpc_snn.search.false_alarms import false_alarms
from ligo_cpc_snn.search.feature_slides import slide_background
from ligo_cpc_snn.search.inputs import Plan
from ligo_cpc_snn.search.outputs import TriggerTable, unranked
from ligo_cpc_snn.search.slide_plan import Background, SlideSegment
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.triggers import Triggers, find_triggers
from ligo_cpc_snn.strain.replacing import write_whole
from ligo_cpc_snn.wiring.search_progress import Progress, key_of
from ligo_cpc_snn.wiring.search_strain_slides import joint_background

log = logging.getLogger(__name__)

SECONDS_PER_TRIGGER = 10.0  # left by a threshold that nobody gave


class Ranked(NamedTuple):
    """Triggers with what is known of each, and what they were set against."""

    table: TriggerTable
    threshold: float
    background: Background | None
    warnings: tuple[str, ...]


def rank(
    cfg: SearchConfig,
    detector: TrainedDetector,
    plan: Plan,
    parts: Sequence[Searched],
    progress: Progress,
) -> Ranked:
    """Find the triggers of all parts and give them false-alarm rates; the plan is open."""
    gps = np.concatenate([np.zeros(0), *(part.gps for part in parts)])
    value = np.concatenate([np.zeros(0, np.float32), *(part.value for part in parts)])
    analysed = gps.size * detector.frame_seconds
    threshold, warnings = choose_threshold(cfg, detector, gps, value)
    found = find_triggers(
        gps,
        value,
        threshold=threshold,
        cluster_seconds=cfg.triggers.cluster_seconds,
        time_offset_seconds=detector.time_offset_seconds,
    )
    added = _contributions(detector, parts, found.frame)
    table = unranked(Triggers(found.gps, found.statistic, added), detector.detectors)
    background = _background(cfg, detector, plan, parts, threshold, progress)
    if background is None or not background.seconds:
        warnings.append(
            "No false-alarm rates: there is no background. Give longer strain, set "
            "background.slides above 0 or lower background.shift_seconds."
        )
        return Ranked(table, threshold, None, tuple(warnings))
    rates = false_alarms(
        table.statistic,
        background.statistic.astype(np.float64),
        background_seconds=background.seconds,
        analysed_seconds=analysed,
        extrapolate=cfg.background.extrapolate,
    )
    ranked = table._replace(
        far_per_year=rates.far_per_year,
        ifar_years=rates.ifar_years,
        far_low_per_year=rates.far_low_per_year,
        far_high_per_year=rates.far_high_per_year,
        p_value=rates.p_value,
        extrapolated=rates.extrapolated,
    )
    return Ranked(ranked, threshold, background, tuple(warnings))


def choose_threshold(
    cfg: SearchConfig,
    detector: TrainedDetector,
    gps: Float[np.ndarray, "frame"],
    value: Float[np.ndarray, "frame"],
) -> tuple[float, list[str]]:
    """Return the threshold, and a warning where this very strain decided it.

    It is the one given, otherwise the detector's own (`search_threshold` of its card),
    otherwise one above which a clustered trigger per 10 s of strain is left.
    """
    if cfg.triggers.threshold is not None:
        return cfg.triggers.threshold, []
    own = detector.card.get("search_threshold")
    if own is not None:
        return float(own), []
    peaks = find_triggers(
        gps, value, threshold=-np.inf, cluster_seconds=cfg.triggers.cluster_seconds
    )
    loudest = np.sort(peaks.statistic)[::-1]
    kept = int(gps.size * detector.frame_seconds / SECONDS_PER_TRIGGER) + 1
    threshold = float(loudest[kept]) if kept < loudest.size else -np.inf
    log.info("threshold %.3g: one trigger per %g s of this strain", threshold, SECONDS_PER_TRIGGER)
    return threshold, [
        f"The threshold {threshold:.3g} was taken from the strain searched, so that a trigger per "
        f"{SECONDS_PER_TRIGGER:g} s is left: the detector's card has none. Searches that are "
        "compared need the same, set triggers.threshold."
    ]


def _contributions(
    detector: TrainedDetector, parts: Sequence[Searched], frames: np.ndarray
) -> Float[np.ndarray, "trigger detector"]:
    """Return what each detector adds to the triggers; NaN where no features were kept."""
    found = [np.zeros((0, len(detector.detectors)))]
    first = 0
    for part in parts:
        last = first + part.gps.size
        own = frames[(frames >= first) & (frames < last)] - first
        if part.features is None:
            found.append(np.full((own.size, len(detector.detectors)), np.nan))
        elif own.size:
            found.append(contributions(detector, part.features, own))
        first = last
    return np.concatenate(found).astype(np.float64)


def _background(
    cfg: SearchConfig,
    detector: TrainedDetector,
    plan: Plan,
    parts: Sequence[Searched],
    threshold: float,
    progress: Progress,
) -> Background | None:
    """Slide features or strain against each other, or read what an earlier process found."""
    if not any(part.gps.size for part in parts) or not cfg.background.slides:
        return None
    file = progress.folder / f"background-{_key(cfg, parts, threshold)}.npz"
    if not file.exists():
        joint = detector.model.encoder.detectors is DetectorFusion.joint
        found = (
            joint_background(cfg, detector, plan, parts, threshold, progress)
            if joint
            else _of_features(cfg, detector, parts, threshold)
        )
        _save(file, found)
    with np.load(file) as saved:
        return Background(saved["statistic"], float(saved["seconds"]), int(saved["slides"]))


def _of_features(
    cfg: SearchConfig, detector: TrainedDetector, parts: Sequence[Searched], threshold: float
) -> Background:
    segments = [
        SlideSegment(part.features, np.ones(part.features.shape[:2], bool))
        for part in parts
        if part.features is not None and part.gps.size
    ]
    return slide_background(
        detector,
        segments,
        slides=cfg.background.slides,
        shift_seconds=cfg.background.shift_seconds,
        threshold=threshold,
        cluster_seconds=cfg.triggers.cluster_seconds,
        budget_bytes=memory_budget_bytes(cfg.runtime),
    )


def _key(cfg: SearchConfig, parts: Sequence[Searched], threshold: float) -> str:
    settings: BackgroundConfig = cfg.background
    extents = [(float(part.gps[0]), part.gps.size) for part in parts if part.gps.size]
    chosen = (settings.slides, settings.shift_seconds, threshold, cfg.triggers.cluster_seconds)
    return key_of([extents, chosen])


def _save(file: Path, found: Background) -> None:
    body = io.BytesIO()
    np.savez(body, statistic=found.statistic, seconds=found.seconds, slides=found.slides)
    write_whole(file, body.getvalue())
