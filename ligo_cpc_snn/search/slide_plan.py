"""Which stretch of one detector meets which of another: rings of frames, turned.

Segments are cut into rings of at most a fixed length. A slide turns the detectors' rings
against each other by whole frames. Where a ring has no room for all the slides asked for,
it meets the other detectors' rings of other times, too: pairing p sets ring i of the first
detector against ring i + p of the second and i + 2p of the third. No two detectors are ever
closer than the least shift to the lag at which they were measured.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from ligo_cpc_snn.search.packed import PackedSpikes
from ligo_cpc_snn.search.slides import slide_shifts
from ligo_cpc_snn.search.triggers import find_triggers


class SlideSegment(NamedTuple):
    """What each detector's strain of one segment came to, and which frames are good.

    `good` is False in the warm-up after the segment's start and after gaps, and where data
    quality is bad, of that detector alone. `features` may be memory-mapped.
    """

    features: Shaped[np.ndarray, "detector frame channel"] | PackedSpikes
    good: Bool[np.ndarray, "detector frame"]


class Background(NamedTuple):
    """Clustered peaks of all slides, their live time (s), and the most slides of a ring."""

    statistic: Float[np.ndarray, "peak"]
    seconds: float
    slides: int


class Ring(NamedTuple):
    """Frames [first, first + frames) of a segment."""

    segment: int
    first: int
    frames: int


class Turn(NamedTuple):
    """Slides of one pairing: detector d's frame at t is (t - d * shift) modulo `frames`."""

    rings: tuple[Ring, ...]  # one per detector
    frames: int  # of the shortest
    shifts: tuple[int, ...]


# (turn) -> statistic of its slides, in the order of its shifts, a few at a time
Run = Callable[[Turn], Iterator[Float[np.ndarray, "slide frame"]]]


def plan_slides(
    lengths: Sequence[int], *, detectors: int, slides: int, least_frames: int, ring_frames: int
) -> list[Turn]:
    """Return up to `slides` slides of each ring; none of a single detector.

    Args:
        lengths: frames of each segment.
        least_frames: least shift; rings shorter than twice that are left out.
        ring_frames: most frames of a ring.
    """
    rings = [r for i, n in enumerate(lengths) for r in _cut(i, n, ring_frames)]
    rings = [ring for ring in rings if detectors > 1 and ring.frames >= 2 * least_frames]
    return [
        turn
        for i in range(len(rings))
        for turn in _turns(rings, i, detectors, slides, least_frames)
    ]


def _cut(segment: int, frames: int, ring_frames: int) -> list[Ring]:
    """Return rings of nearly equal length."""
    count = max(-(-frames // ring_frames), 1)
    edges = [round(k * frames / count) for k in range(count + 1)]
    return [Ring(segment, a, b - a) for a, b in itertools.pairwise(edges)]


def _turns(
    rings: Sequence[Ring], lead: int, detectors: int, slides: int, least: int
) -> Iterator[Turn]:
    for pairing in range(len(rings)):
        if slides <= 0:
            return
        members = tuple(rings[(lead + d * pairing) % len(rings)] for d in range(detectors))
        frames = min(ring.frames for ring in members)
        # In frames, at one frame a "second".
        shifts = slide_shifts((detectors, frames), 1, slides, least)
        if shifts:
            slides -= len(shifts)
            yield Turn(members, frames, tuple(shifts))


def collect(
    segments: Sequence[SlideSegment],
    turns: Sequence[Turn],
    run: Run,
    *,
    warm_up_frames: int,
    frame_seconds: float,
    threshold: float,
    cluster_seconds: float,
) -> Background:
    """Run over all slides and return the peaks of what is good in every detector.

    Args:
        warm_up_frames: left out at the start of each detector's ring: the network starts from
            silence there, or meets the ring's other end.
    """
    peaks, frames = [np.zeros(0, np.float32)], 0
    slides: dict[Ring, int] = {}
    for turn in turns:
        own = [
            _good(segments[ring.segment].good[d], ring, turn.frames, warm_up_frames)
            for d, ring in enumerate(turn.rings)
        ]
        slides[turn.rings[0]] = slides.get(turn.rings[0], 0) + len(turn.shifts)
        values = (row for batch in run(turn) for row in batch)
        gps = np.arange(turn.frames) * frame_seconds
        for shift, value in zip(turn.shifts, values, strict=True):
            good = np.all([np.roll(row, d * shift) for d, row in enumerate(own)], axis=0)
            frames += int(np.count_nonzero(good))
            found = find_triggers(
                gps,
                np.where(good, value, -np.inf),
                threshold=threshold,
                cluster_seconds=cluster_seconds,
            )
            peaks.append(found.statistic.astype(np.float32))
    return Background(
        np.concatenate(peaks), frames * frame_seconds, max(slides.values(), default=0)
    )


def _good(good: np.ndarray, ring: Ring, frames: int, warm_up_frames: int) -> np.ndarray:
    own = np.array(good[ring.first : ring.first + frames])
    own[:warm_up_frames] = False
    return own
