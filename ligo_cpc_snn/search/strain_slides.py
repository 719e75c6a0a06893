"""Time slides of whitened strain, for a detector that sees all strain jointly from the start."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.search.slide_plan import Background, SlideSegment, Turn, collect, plan_slides

RING_SECONDS = 1024.0

# whitened strain of streams side by side, from silence -> their statistic
RunStrain = Callable[[Float[np.ndarray, "stream detector time"]], Float[np.ndarray, "stream frame"]]


def slide_strain_background(
    run: RunStrain,
    segments: Sequence[SlideSegment],
    *,
    frame_seconds: float,
    slides: int,
    shift_seconds: float,
    warm_up_seconds: float,
    threshold: float,
    cluster_seconds: float,
    streams: int,
) -> Background:
    """Return what `slide_background` returns, with the whole network run over each slide.

    Args:
        run: called with `streams` streams each time.
        segments: whitened strain as (detector, frame, sample of the frame): a reshape.
        slides, shift_seconds, threshold, cluster_seconds: as `slide_background`.
        warm_up_seconds: after the start of a ring, left out.
    """
    turns = plan_slides(
        [segment.features.shape[1] for segment in segments],
        detectors=segments[0].features.shape[0] if segments else 1,
        slides=slides,
        least_frames=int(np.ceil(shift_seconds / frame_seconds)),
        ring_frames=round(RING_SECONDS / frame_seconds),
    )

    def over(turn: Turn) -> Iterator[Float[np.ndarray, "slide frame"]]:
        rings = [
            np.asarray(segments[r.segment].features[d, r.first : r.first + turn.frames])
            for d, r in enumerate(turn.rings)
        ]
        for i in range(0, len(turn.shifts), streams):
            shifts = turn.shifts[i : i + streams]
            full = [*shifts, *[shifts[-1]] * (streams - len(shifts))]
            turned = [
                np.stack([np.roll(ring, d * s, axis=0).ravel() for d, ring in enumerate(rings)])
                for s in full
            ]
            yield run(np.stack(turned))[: len(shifts)]

    return collect(
        segments,
        turns,
        over,
        warm_up_frames=round(warm_up_seconds / frame_seconds),
        frame_seconds=frame_seconds,
        threshold=threshold,
        cluster_seconds=cluster_seconds,
    )
