"""From frames to ranked triggers: threshold, clustering, contributions, time slides, rates."""

import hashlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ligo_cpc_snn.config.model_schema import DetectorFusion
from ligo_cpc_snn.config.search_schema import BackgroundConfig, SearchConfig
from ligo_cpc_snn.reading.arrays import load_arrays
from ligo_cpc_snn.reading.errors import FileContentError
from ligo_cpc_snn.runtime.devices import memory_room_bytes
from ligo_cpc_snn.search.contributions import contributions
from ligo_cpc_snn.search.engine import Searched, joined
from ligo_cpc_snn.search.false_alarms import false_alarms
from ligo_cpc_snn.search.feature_slides import slide_background
from ligo_cpc_snn.search.inputs import Plan
from ligo_cpc_snn.search.outputs import TriggerTable, unranked
from ligo_cpc_snn.search.slide_plan import Background, SlideSegment
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.triggers import Triggers, find_triggers
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.strain.replacing import write_whole
from ligo_cpc_snn.wiring.choices import slides_at_a_time
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


@stage("ranking")
def rank(
    cfg: SearchConfig,
    detector: TrainedDetector,
    plan: Plan,
    parts: Sequence[Searched],
    progress: Progress,
    events: Float[np.ndarray, "event"],
) -> Ranked:
    """Find the triggers of all parts and give them false-alarm rates; the plan is open.

    `events` are GPS times of known signals, of which the background keeps clear.
    """
    gps, value = joined(parts)
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
    background = _background(cfg, detector, plan, parts, threshold, progress, events)
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
        upper_limit=rates.upper_limit,
    )
    return Ranked(ranked, threshold, background, tuple(warnings))


def choose_threshold(
    cfg: SearchConfig,
    detector: TrainedDetector,
    gps: Float[np.ndarray, "frame"],
    value: Float[np.ndarray, "frame"],
) -> tuple[float, list[str]]:
    """Return the threshold, and a warning where this very strain decided it.

    It is the one given (triggers.threshold), otherwise the detector's own (`search_threshold`
    of its card), otherwise taken from the statistic: the value above which one clustered
    trigger per `SECONDS_PER_TRIGGER` of strain is left, and one more. Then more strain in the
    same folder has another threshold; where there are fewer peaks than that, it is -inf and all
    of them are triggers.

    Args:
        gps: ends of all frames analysed, rising, s.
        value: their statistic.
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
    """Return what each detector adds to the triggers; NaN where no features were kept.

    They are kept for time slides: with background.slides=0 there are none.
    """
    found = [np.zeros((0, len(detector.detectors)))]
    first = 0
    for part in parts:
        last = first + part.gps.size
        own = frames[(frames >= first) & (frames < last)] - first
        if part.features is None:
            found.append(np.full((own.size, len(detector.detectors)), np.nan))
        elif own.size:
            found.append(contributions(detector, np.asarray(part.features), own))
        first = last
    return np.concatenate(found).astype(np.float64)


@stage("slides")
def _background(
    cfg: SearchConfig,
    detector: TrainedDetector,
    plan: Plan,
    parts: Sequence[Searched],
    threshold: float,
    progress: Progress,
    events: Float[np.ndarray, "event"],
) -> Background | None:
    """Slide features or strain against each other, or read what an earlier process found."""
    if not any(part.gps.size for part in parts) or not cfg.background.slides:
        return None
    file = progress.folder / f"background-{_key(cfg, parts, threshold, events)}.npz"
    if (kept := _load(file)) is not None:
        return kept
    joint = detector.model.encoder.detectors is DetectorFusion.joint
    found = (
        joint_background(cfg, detector, plan, parts, threshold, progress)
        if joint
        else _of_features(cfg, detector, parts, threshold, events)
    )
    _save(file, found)
    return found


def _load(file: Path) -> Background | None:
    """Return a background that is complete; None if it is not, or not as it was written."""
    if not file.exists():
        return None
    try:
        saved = load_arrays(file)
        return Background(saved["statistic"], float(saved["seconds"]), int(saved["slides"]))
    except (FileContentError, LookupError, TypeError, ValueError) as error:
        log.warning("%s is damaged (%s): the slides are made again", file, error)
        return None


def _of_features(
    cfg: SearchConfig,
    detector: TrainedDetector,
    parts: Sequence[Searched],
    threshold: float,
    events: Float[np.ndarray, "event"],
) -> Background:
    margin, segments = cfg.background.without_events_seconds, []
    for part in parts:
        if part.features is None or not part.gps.size:
            continue
        quiet = clear_of(part.gps - detector.time_offset_seconds, events, margin)
        segments.append(SlideSegment(part.features, np.tile(quiet, (part.features.shape[0], 1))))
    return slide_background(
        detector,
        segments,
        slides=cfg.background.slides,
        shift_seconds=cfg.background.shift_seconds,
        threshold=threshold,
        cluster_seconds=cfg.triggers.cluster_seconds,
        budget_bytes=memory_room_bytes(cfg.runtime),
        at_a_time=slides_at_a_time(cfg.runtime, detector),
    )


def clear_of(
    gps: Float[np.ndarray, "frame"], events: Float[np.ndarray, "event"], margin: float
) -> Bool[np.ndarray, "frame"]:
    """Return which times are further than `margin` (s) from every event."""
    near = np.zeros(gps.size, bool)
    for event in events[(events > gps[0] - margin) & (events < gps[-1] + margin)]:
        near |= np.abs(gps - event) <= margin
    return ~near


def _key(
    cfg: SearchConfig,
    parts: Sequence[Searched],
    threshold: float,
    events: Float[np.ndarray, "event"],
) -> str:
    """Return a name for a background: it changes with the statistic, so with the strain."""
    settings: BackgroundConfig = cfg.background
    extents = [
        (float(part.gps[0]), part.gps.size, hashlib.sha256(part.value.tobytes()).hexdigest())
        for part in parts
        if part.gps.size
    ]
    chosen = (settings.slides, settings.shift_seconds, threshold, cfg.triggers.cluster_seconds)
    return key_of([extents, chosen, settings.without_events_seconds, events.tolist()])


def _save(file: Path, found: Background) -> None:
    body = io.BytesIO()
    np.savez(body, statistic=found.statistic, seconds=found.seconds, slides=found.slides)
    write_whole(file, body.getvalue())
