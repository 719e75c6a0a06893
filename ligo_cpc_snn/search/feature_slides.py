"""Time slides of features: what each detector's strain came to is kept, the SNN runs again.

The first layer's input product is linear in the detectors' features side by side. It is
taken once per ring and detector; a slide is then a sum of turned currents and the rest of
the network.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

from ligo_cpc_snn.search.slide_plan import (
    Background,
    Ring,
    SlideSegment,
    Turn,
    collect,
    plan_slides,
)
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.types import State

RING_SECONDS = 1024.0
SETTLING_SECONDS = 1.0  # of the SNN after silence, or where a ring's ends meet
CHUNK_FRAMES = 512  # of the slides that run side by side
BLOCK_FRAMES = 8  # run through all layers at a time, so that they stay in a core's cache
STREAMS_CPU = 16  # more do not fit a core's cache
STREAMS = 128


def slide_background(
    detector: TrainedDetector,
    segments: Sequence[SlideSegment],
    *,
    slides: int,
    shift_seconds: float,
    threshold: float,
    cluster_seconds: float,
    budget_bytes: int,
    at_a_time: int | None = None,
) -> Background:
    """Return the background of time slides, circular within rings and across them.

    The result does not depend on the budget. Zero-lag candidates are not removed.

    Args:
        detector: with one encoder per detector.
        segments: features as `Detector.features` gives them; the first second of each ring
            is left out, in each detector.
        slides: of each ring, fewer where there is no room.
        shift_seconds: least shift, longer than light travel and the network's memory.
        threshold: of the statistic; peaks above it are kept.
        cluster_seconds: a peak is the loudest within it.
        budget_bytes: of device memory.
        at_a_time: slides side by side at most; None: as the kind of device likes it.

    Raises:
        ValueError: the budget does not hold two rings and a slide.
    """
    lengths = [segment.features.shape[1] for segment in segments]
    ring_frames = round(RING_SECONDS / detector.frame_seconds)
    turns = plan_slides(
        lengths,
        detectors=len(detector.detectors),
        slides=slides,
        least_frames=int(np.ceil(shift_seconds / detector.frame_seconds)),
        ring_frames=ring_frames,
    )
    size = max((ring.frames for turn in turns for ring in turn.rings), default=0)
    streams = _streams(detector, segments, turns, size, budget_bytes, at_a_time)
    return collect(
        segments,
        turns,
        _runner(detector, segments, size, streams),
        warm_up_frames=round(
            min(detector.warm_up_seconds, SETTLING_SECONDS) / detector.frame_seconds
        ),
        frame_seconds=detector.frame_seconds,
        threshold=threshold,
        cluster_seconds=cluster_seconds,
    )


def _runner(
    detector: TrainedDetector, segments: Sequence[SlideSegment], size: int, streams: int
) -> Callable[[Turn], Iterator[Float[np.ndarray, "slide frame"]]]:
    """Return what runs a turn's slides, `streams` at a time; rings are padded to `size`."""
    graph, params = nnx.split(detector.network.snn)
    silence = detector.network.snn.initial_state(streams)
    start = jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), silence)

    def run(turn: Turn) -> Iterator[Float[np.ndarray, "slide frame"]]:
        rings = [
            _currents(graph, CHUNK_FRAMES, d, params, _padded(segments, ring, d, size), turn.frames)
            for d, ring in enumerate(turn.rings)
        ]
        places = np.arange(len(rings))
        for i in range(0, len(turn.shifts), streams):
            shifts = turn.shifts[i : i + streams]
            # Spare streams repeat the last slide: one program.
            full = np.asarray([*shifts, *[shifts[-1]] * (streams - len(shifts))])
            state, logits = start, []
            for first in range(0, turn.frames, CHUNK_FRAMES):
                begin = jnp.asarray((first - np.outer(places, full)) % turn.frames)
                chunk, state = _advance(graph, CHUNK_FRAMES, params, rings, begin, state)
                logits.append(chunk)
            yield np.concatenate(logits)[: turn.frames, : len(shifts)].T

    return run


@partial(jax.jit, static_argnums=(0, 1, 2))
def _currents(
    graph: Any,
    chunk: int,
    place: int,
    params: Any,
    features: Shaped[Array, "ring channel"],
    frames: Int[Array, ""],
) -> Float[Array, "ring neuron"]:
    """Return the currents of a ring of `frames`, closed: its first chunk stands after its last."""
    current = nnx.merge(graph, params).first_current(features.astype(jnp.float32), place)
    return jax.lax.dynamic_update_slice_in_dim(current, current[:chunk], frames, 0)


@partial(jax.jit, static_argnums=(0, 1))
def _advance(
    graph: Any,
    chunk: int,
    params: Any,
    rings: list[Float[Array, "ring neuron"]],
    begin: Int[Array, "detector slide"],
    state: State,
) -> tuple[Float[Array, "frame slide"], State]:
    """Run slides a chunk further; their detectors' rings are read from `begin`."""
    snn = nnx.merge(graph, params)
    turned = [
        jnp.stack([jax.lax.dynamic_slice_in_dim(ring, b, chunk) for b in row], axis=1)
        for ring, row in zip(rings, begin, strict=True)
    ]
    current = reduce(jnp.add, turned)
    blocks = current.reshape(-1, BLOCK_FRAMES, *current.shape[1:])

    def block(state: State, current: Array) -> tuple[State, Array]:
        logits, state = snn.from_current(current, state)
        return state, logits

    state, logits = jax.lax.scan(block, state, blocks)
    return logits.reshape(chunk, -1), state


def _padded(
    segments: Sequence[SlideSegment], ring: Ring, place: int, size: int
) -> Shaped[np.ndarray, "frame channel"]:
    features = segments[ring.segment].features[place, ring.first : ring.first + ring.frames]
    missing = size + CHUNK_FRAMES - features.shape[0]
    return np.pad(np.asarray(features), ((0, missing), (0, 0)))


def memory(detector: TrainedDetector, channels: int, ring_frames: int) -> tuple[int, int]:
    """Return the bytes that rings take, and those of each slide that runs beside others.

    Args:
        channels: of one detector's features.
        ring_frames: of the longest ring.
    """
    detectors = len(detector.detectors)
    widths = [layer.width for layer in detector.network.snn.layers]
    rings = 4 * (ring_frames + CHUNK_FRAMES) * (detectors * widths[0] + 2 * channels)
    # The detectors' currents, their sum, and what the layers make of it.
    return rings, 4 * CHUNK_FRAMES * ((detectors + 2) * widths[0] + sum(widths))


def _streams(
    detector: TrainedDetector,
    segments: Sequence[SlideSegment],
    turns: Sequence[Turn],
    size: int,
    budget_bytes: int,
    at_a_time: int | None,
) -> int:
    """Return how many slides run side by side."""
    if not turns:
        return 1
    rings, stream = memory(detector, segments[0].features.shape[-1], size)
    if budget_bytes < rings + stream:
        raise ValueError(
            f"time slides need {rings + stream} bytes, the budget is {budget_bytes}: raise "
            "runtime.memory_budget_gb or set background.slides=0"
        )
    most = at_a_time or (STREAMS_CPU if jax.default_backend() == "cpu" else STREAMS)
    return min((budget_bytes - rings) // stream, most, max(len(t.shifts) for t in turns))
