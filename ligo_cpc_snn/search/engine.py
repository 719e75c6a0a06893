"""The search engine: a detector over many segments of strain, each sample once.

Strain is read and whitened in a background thread and goes through the network in chunks of
one length, several segments side by side, each with a state of its own that begins at silence
and is carried from chunk to chunk. A gap is the end of one segment and the start of another.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Float16, Float32

from ligo_cpc_snn.config.model_schema import DetectorFusion
from ligo_cpc_snn.memory import (
    OutOfMemoryError,
    is_out_of_memory,
    largest_that_fits,
    program_bytes,
)
from ligo_cpc_snn.search.feeding import About, Chunk, Feeder, prefetched
from ligo_cpc_snn.search.packed import PackedSpikes
from ligo_cpc_snn.search.side_by_side import (
    advance_all,
    advance_one,
    initial_state,
    warm_up_frames,
)
from ligo_cpc_snn.search.throughput import Meter, Throughput
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.stages import program
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.types import State

log = logging.getLogger(__name__)

AHEAD = 3  # chunks of each stream that are whitened before they are needed

Features = (
    Bool[np.ndarray, "detector frame channel"] | Float16[np.ndarray, "detector frame channel"]
)


class Searched(NamedTuple):
    """What the detector says of one segment; frames of the warm-up are not in it.

    `gps` is the end of each frame's strain. `features` are of the same frames, for time slides:
    bool where they are spikes, float16 otherwise, None where they were not kept or do not exist
    for one detector alone; packed where they come from a file. Of the segment's `seconds`,
    `gps.size` frames were analysed, the first `warm_up_seconds` of whitened strain excluded, the
    whitening filter's ends lost; or all of it was left out, for the reason told.
    """

    gps: Float[np.ndarray, "frame"]
    value: Float32[np.ndarray, "frame"]
    features: Features | PackedSpikes | None
    gps_start: float
    seconds: float
    warm_up_seconds: float
    left_out: str | None


def joined(
    parts: Sequence[Searched],
) -> tuple[Float[np.ndarray, "frame"], Float32[np.ndarray, "frame"]]:
    """Return GPS times and values of the frames of all parts, end to end; there may be none."""
    gps = np.concatenate([np.zeros(0), *(part.gps for part in parts)])
    return gps, np.concatenate([np.zeros(0, np.float32), *(part.value for part in parts)])


class Engine:
    """Runs a trained detector over segments of strain.

    The result does not depend on `chunk_seconds` and `streams`, but for the rounding of sums.

    Args:
        detector: what to run.
        chunk_seconds: strain of one stream per call of the network, s; rounded to whole frames.
            On a CPU a few seconds are fastest: what the network writes stays in its cache.
        streams: segments side by side.
        psd_seconds: of strain that one PSD is measured on, s.
        keep_features: return the detectors' features, too.
        budget_bytes: of the device, for a call of the network; fewer segments go side by side
            where it asks for that, or the device has less after all. None: no limit.
    """

    def __init__(
        self,
        detector: TrainedDetector,
        *,
        chunk_seconds: float,
        streams: int,
        psd_seconds: float,
        keep_features: bool,
        budget_bytes: int | None = None,
    ) -> None:
        shared = detector.model.encoder.detectors is DetectorFusion.shared
        self.detector, self.streams, self.psd_seconds = detector, streams, psd_seconds
        self.keep_features = keep_features and shared
        frames = max(1, round(chunk_seconds / detector.frame_seconds))
        self.chunk_samples = frames * detector.frame_samples
        self._params = jax.device_put(detector.params)
        self._silence = initial_state(detector)
        self._programs: dict[int, tuple[Any, int]] = {}  # with the bytes of a call
        self._budget, self._widest = budget_bytes, 0
        self._meter = Meter()

    @property
    def throughput(self) -> Throughput:
        """What the searches so far took."""
        return self._meter.throughput()

    def feature_bits(self) -> int:
        """Return the bits that the features of one frame take on disk; 0 where none are kept."""
        if not self.keep_features:
            return 0
        strain = np.zeros((len(self.detector.detectors), self.detector.frame_samples), np.float32)
        run = partial(advance_one, self.detector, True)
        _, features, _ = jax.eval_shape(run, self._params, strain, self._silence)
        assert features is not None
        detectors, _, channels = features.shape
        bits = 8 * -(-channels // 8) if features.dtype == bool else 16 * channels
        return detectors * bits

    def run(self, segments: Iterable[Coincident]) -> Iterator[Searched]:
        """Search segments: each starts at silence, with its own whitening.

        Args:
            segments: strain of the same time in each detector; taken one after another by a
                background thread, so files may be read in the iterator.

        Yields:
            One result per segment, in the segments' order.

        Raises:
            ValueError: a segment lacks a detector, or cannot be whitened; too short a one is
                yielded as left out.
        """
        feed = Feeder(
            self.detector, self.chunk_samples, self.streams, self.psd_seconds, self._meter
        )
        under_way: dict[int, _Segment] = {}
        finished: dict[int, Searched] = {}
        turn = 0
        with closing(prefetched(feed(segments), AHEAD)) as batches:  # type: ignore[type-var]
            while True:
                with self._meter.searching():
                    chunks = next(batches, None)
                    if chunks is None:
                        return
                    self._advance(chunks, under_way)
                    for chunk in (c for c in chunks if c.last):
                        found = under_way.pop(chunk.about.number).result(self.detector)
                        finished[chunk.about.number] = found
                        self._meter.strain += found.seconds if not found.left_out else 0.0
                while turn in finished:
                    yield finished.pop(turn)
                    turn += 1

    def _advance(self, chunks: list[Chunk], under_way: dict[int, "_Segment"]) -> None:
        for chunk in chunks:
            under_way.setdefault(chunk.about.number, _Segment(chunk.about, self._silence))
        full = [chunk for chunk in chunks if chunk.frames]
        self._widest = self._widest or self._most_side_by_side()
        while full:
            together = full[: self._widest]
            try:
                self._advance_together(together, under_way)
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                self._halve(len(together), error)
            else:
                full = full[len(together) :]

    def _halve(self, streams: int, error: Exception) -> None:
        """Let half as many streams go side by side after a call that found no memory."""
        if not is_out_of_memory(error):
            raise error
        if streams == 1:
            raise OutOfMemoryError(
                f"out of memory for a single stream of {self.chunk_samples} samples: lower "
                f"chunk_seconds ({error})"
            ) from error
        log.warning("out of memory with %d streams side by side: going on with half", streams)
        self._widest = streams // 2

    def _advance_together(self, full: list[Chunk], under_way: dict[int, "_Segment"]) -> None:
        width = min(self._widest, 1 << (len(full) - 1).bit_length())
        spare = width - len(full)
        owners = [under_way[chunk.about.number] for chunk in full]
        strain = np.stack([chunk.strain for chunk in full] + [0 * full[0].strain] * spare)
        states = (*(owner.state for owner in owners), *([self._silence] * spare))
        logits, features, states = self._program(width)[0](self._params, strain, states)
        found, kept = np.asarray(logits), None if features is None else np.asarray(features)
        for i, (chunk, owner) in enumerate(zip(full, owners, strict=True)):
            owner.state = states[i]
            owner.values.append(found[i, : chunk.frames])
            if kept is not None:
                owner.features.append(kept[i, :, : chunk.frames])

    def _most_side_by_side(self) -> int:
        """Return how many streams the memory has room for, at least one."""
        if self._budget is None:
            return self.streams
        sizes = {*(1 << i for i in range(self.streams.bit_length())), self.streams}
        fitted = largest_that_fits(
            self._program, [n for n in sizes if n <= self.streams], self._budget
        )
        if fitted.size < self.streams or not fitted.fits(self._budget):
            log.warning(
                "%d of streams=%d side by side: a call of the network takes %.4g MB, %.4g MB of "
                "the budget are left (runtime.memory_budget_gb, chunk_seconds)",
                fitted.size,
                self.streams,
                fitted.needed_bytes / 1e6,
                self._budget / 1e6,
            )
        return fitted.size

    def _program(self, width: int) -> tuple[Any, int]:
        """Return the compiled network for this number of streams, and the bytes it takes."""
        if width not in self._programs:
            shape = (width, len(self.detector.detectors), self.chunk_samples)
            strain, states = np.zeros(shape, np.float32), (self._silence,) * width
            with self._meter.compiling():
                run = jax.jit(partial(advance_all, self.detector, self.keep_features))
                compiled = run.lower(self._params, strain, states).compile()
                needed = program_bytes(compiled) + strain.nbytes
                self._programs[width] = program(f"network, {width} streams", compiled), needed
        return self._programs[width]


class _Segment:
    """A segment under way."""

    def __init__(self, about: About, state: State) -> None:
        self.about, self.state = about, state
        self.values: list[np.ndarray] = []
        self.features: list[np.ndarray] = []

    def result(self, detector: TrainedDetector) -> Searched:
        value = np.concatenate([np.zeros(0, np.float32), *self.values])
        late = warm_up_frames(detector)
        gps = self.about.whitened_start + detector.frame_seconds * (1 + np.arange(value.size))
        features = np.concatenate(self.features, axis=1)[:, late:] if self.features else None
        warm_up = min(late, value.size) * detector.frame_seconds
        about = self.about
        return Searched(
            gps[late:],
            value[late:],
            features,
            about.gps_start,
            about.seconds,
            warm_up,
            about.left_out,
        )
