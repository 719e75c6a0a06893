"""Time slides of features: what each detector's strain came to is kept, the SNN runs again.

The first layer's input product is linear in the detectors' features side by side. It is
taken once per ring and detector; a slide is then a sum of turned currents and the rest of
the network.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

from ligo_cpc_snn.chunked import Chunked, chunked
from ligo_cpc_snn.memory import OutOfMemoryError, program_bytes, tree_bytes
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

    The result does not depend on the budget, but for the rounding of sums. Zero-lag candidates
    are not removed.

    Args:
        detector: with one encoder per detector.
        segments: features as `Detector.features` gives them; the first second of each ring
            is left out, in each detector.
        slides: of each ring, fewer where there is no room.
        shift_seconds: least shift, longer than light travel and the network's memory.
        threshold: of the statistic; peaks above it are kept.
        cluster_seconds: a peak is the loudest within it.
        budget_bytes: of device memory; where it asks for that, or the device has less after
            all, fewer slides go side by side.
        at_a_time: slides side by side at most; None: as the kind of device likes it.

    Raises:
        OutOfMemoryError: the budget does not hold two rings and a slide.
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
    return collect(
        segments,
        turns,
        _runner(detector, segments, turns, size, budget_bytes, at_a_time),
        warm_up_frames=round(
            min(detector.warm_up_seconds, SETTLING_SECONDS) / detector.frame_seconds
        ),
        frame_seconds=detector.frame_seconds,
        threshold=threshold,
        cluster_seconds=cluster_seconds,
    )


def _runner(
    detector: TrainedDetector,
    segments: Sequence[SlideSegment],
    turns: Sequence[Turn],
    size: int,
    budget_bytes: int,
    at_a_time: int | None,
) -> Callable[[Turn], Iterator[Float[np.ndarray, "slide frame"]]]:
    """Return what runs a turn's slides side by side; rings are padded to `size`."""
    graph, params = nnx.split(detector.network.snn)
    liked = at_a_time or (STREAMS_CPU if jax.default_backend() == "cpu" else STREAMS)
    streams = min(liked, max((len(turn.shifts) for turn in turns), default=1))
    silence = jax.device_get(detector.network.snn.initial_state(streams))

    def run(turn: Turn) -> Iterator[Float[np.ndarray, "slide frame"]]:
        room = budget_bytes - ring_bytes(detector, segments[0].features.shape[-1], size)
        advance = _advancing(graph, CHUNK_FRAMES, len(turn.rings), size, streams, room)
        rings = [
            _currents(graph, CHUNK_FRAMES, d, params, _padded(segments, ring, d, size), turn.frames)
            for d, ring in enumerate(turn.rings)
        ]
        places = np.arange(len(rings))
        for i in range(0, len(turn.shifts), streams):
            shifts = turn.shifts[i : i + streams]
            # Spare streams repeat the last slide: one program.
            full = np.asarray([*shifts, *[shifts[-1]] * (streams - len(shifts))])
            state, logits = silence, []
            for first in range(0, turn.frames, CHUNK_FRAMES):
                begin = (first - np.outer(full, places)) % turn.frames
                chunk, state = _advanced(advance, begin, state, params, rings)
                logits.append(chunk)
            yield np.concatenate(logits, axis=1)[: len(shifts), : turn.frames]

    return run


@lru_cache(maxsize=4)
def _advancing(
    graph: Any, chunk: int, detectors: int, size: int, streams: int, room_bytes: int
) -> Chunked:
    """Return what runs slides a chunk of frames further; its program is kept for later calls.

    Args:
        detectors, size: of the rings; another number or length is another program.
    """
    return chunked(partial(_advance, graph, chunk), max(room_bytes, 0), largest=streams)


def _advanced(
    advance: Chunked,
    begin: Int[np.ndarray, "slide detector"],
    state: State,
    params: Any,
    rings: list[Float[Array, "ring neuron"]],
) -> tuple[Float[np.ndarray, "slide frame"], State]:
    try:
        return advance(begin, state, fixed=(params, rings))
    except OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"time slides, beside their rings of features: {error}, or set background.slides=0"
        ) from error


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


def _advance(
    graph: Any,
    chunk: int,
    params: Any,
    rings: list[Float[Array, "ring neuron"]],
    begin: Int[Array, "slide detector"],
    state: State,
) -> tuple[Float[Array, "slide frame"], State]:
    """Run slides a chunk further; their detectors' rings are read from `begin`."""
    snn = nnx.merge(graph, params)
    turned = [
        jnp.stack([jax.lax.dynamic_slice_in_dim(ring, b, chunk) for b in row], axis=1)
        for ring, row in zip(rings, begin.T, strict=True)
    ]
    current = reduce(jnp.add, turned)
    blocks = current.reshape(-1, BLOCK_FRAMES, *current.shape[1:])

    def block(state: State, current: Array) -> tuple[State, Array]:
        logits, state = snn.from_current(current, state)
        return state, logits

    state, logits = jax.lax.scan(block, state, blocks)
    return logits.reshape(chunk, -1).T, state


def _padded(
    segments: Sequence[SlideSegment], ring: Ring, place: int, size: int
) -> Shaped[np.ndarray, "frame channel"]:
    features = segments[ring.segment].features[place, ring.first : ring.first + ring.frames]
    missing = size + CHUNK_FRAMES - features.shape[0]
    return np.pad(np.asarray(features), ((0, missing), (0, 0)))


def ring_bytes(detector: TrainedDetector, channels: int, ring_frames: int) -> int:
    """Return the bytes that the rings of a turn take: features, then currents, in float32.

    Args:
        channels: of one detector's features.
        ring_frames: of the longest ring.
    """
    neurons = detector.network.snn.layers[0].width
    each = len(detector.detectors) * neurons + 2 * channels
    return 4 * (ring_frames + CHUNK_FRAMES) * each


def slides_bytes(detector: TrainedDetector, ring_frames: int, slides: int) -> int:
    """Return the bytes that slides side by side take beside their rings, as the compiler says."""
    graph, params = nnx.split(detector.network.snn)
    neurons, count = detector.network.snn.layers[0].width, len(detector.detectors)
    ring = jax.ShapeDtypeStruct((ring_frames + CHUNK_FRAMES, neurons), jnp.float32)
    begin = jax.ShapeDtypeStruct((slides, count), jnp.int32)
    state = detector.network.snn.initial_state(slides)
    run = jax.jit(partial(_advance, graph, CHUNK_FRAMES))
    compiled = run.lower(params, [ring] * count, begin, state).compile()
    return program_bytes(compiled) + tree_bytes(state)
