"""The background of a detector that sees all strain jointly: its whitened strain is slid."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from ligo_cpc_snn.chunked import chunked
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.reading.arrays import map_array
from ligo_cpc_snn.runtime.devices import memory_room_bytes
from ligo_cpc_snn.search.engine import Searched
from ligo_cpc_snn.search.inputs import Plan
from ligo_cpc_snn.search.side_by_side import advance_one, initial_state
from ligo_cpc_snn.search.slide_plan import Background, SlideSegment
from ligo_cpc_snn.search.strain_slides import RunStrain, slide_strain_background
from ligo_cpc_snn.search.stream import statistic_of
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.whitened import whiten_coincident
from ligo_cpc_snn.types import State
from ligo_cpc_snn.wiring.search_progress import Progress, write_array

ROUNDING_SECONDS = 1e-6  # of GPS times


def joint_background(
    cfg: SearchConfig,
    detector: TrainedDetector,
    plan: Plan,
    parts: Sequence[Searched],
    threshold: float,
    progress: Progress,
) -> Background:
    """Whiten every part again, slide the strain and run the whole network over each slide.

    Parts overlap by what whitening and warm-up lose. Strain that the part before has is cut
    off: no time counts twice, and no slide across parts meets its own zero lag.
    """
    segments, end = [], -np.inf
    for part in (part for part in parts if part.gps.size):
        segments.append(_segment(cfg, detector, plan, part, progress.folder, end))
        end = max(end, float(part.gps[-1]))
    return slide_strain_background(
        _runner(detector, cfg),
        [segment for segment in segments if segment is not None],
        frame_seconds=detector.frame_seconds,
        slides=cfg.background.slides,
        shift_seconds=cfg.background.shift_seconds,
        warm_up_seconds=detector.warm_up_seconds,
        threshold=threshold,
        cluster_seconds=cfg.triggers.cluster_seconds,
        streams=cfg.streams,
    )


def _segment(
    cfg: SearchConfig,
    detector: TrainedDetector,
    plan: Plan,
    part: Searched,
    folder: Path,
    after: float,
) -> SlideSegment | None:
    """Return whitened strain as frames, kept in a file and memory-mapped.

    Frames that begin before the GPS time `after` are left out; None where no other is left.
    """
    whole = (part.gps_start, part.gps_start + part.seconds)
    (strain, *_), _ = plan.coincident(whole)
    gps_start, whitened = whiten_coincident(strain, detector, cfg.psd_seconds)
    frames = whitened.shape[1] // detector.frame_samples
    framed = whitened[:, : frames * detector.frame_samples].reshape(len(whitened), frames, -1)
    begins = gps_start + detector.frame_seconds * np.arange(frames)
    framed = framed[:, np.searchsorted(begins, after - ROUNDING_SECONDS) :]
    if not framed.shape[1]:
        return None
    path = folder / f"whitened-{part.gps_start:.6f}.npy"
    write_array(path, framed)
    return SlideSegment(map_array(path), np.ones(framed.shape[:2], bool))


def _runner(detector: TrainedDetector, cfg: SearchConfig) -> RunStrain:
    """Return what runs streams side by side from silence, fewer where memory asks for that."""
    together = chunked(
        lambda params, strain, states: jax.vmap(partial(_advance, detector, params))(
            strain, states
        ),
        memory_room_bytes(cfg.runtime),
    )
    params = jax.device_put(detector.params)
    silence = jax.tree.map(
        lambda leaf: np.repeat(np.asarray(leaf)[None], cfg.streams, axis=0),
        initial_state(detector),
    )
    frames = max(1, round(cfg.chunk_seconds / detector.frame_seconds))

    def run(strain: Float[np.ndarray, "stream detector time"]) -> Float[np.ndarray, "stream frame"]:
        return statistic_of(
            lambda params, strain, state: together(strain, state, fixed=(params,)),
            params,
            silence,
            strain,
            frame_samples=detector.frame_samples,
            chunk_samples=frames * detector.frame_samples,
            gps_start=0.0,
            sample_rate_hz=detector.sample_rate_hz,
        ).value

    return run


def _advance(
    detector: TrainedDetector, params: Any, strain: Float[Array, "detector time"], state: State
) -> tuple[Float[Array, "frame"], State]:
    """Run one stream a chunk further, with a state of its own, as the search itself does."""
    logits, _, state = advance_one(detector, False, params, strain, state)
    return logits, state
