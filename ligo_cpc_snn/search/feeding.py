"""Bring segments of strain to the network: whitened, in chunks of one length, side by side."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from ligo_cpc_snn.search.throughput import Meter
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.whitened import (
    WhitenedPiece,
    too_short,
    whitened_pieces,
    whitened_start,
)
from ligo_cpc_snn.strain.coincidence import Coincident

Item = TypeVar("Item")


class About(NamedTuple):
    """A segment of a search: its number, where it is, and why it is left out, if it is."""

    number: int
    gps_start: float
    seconds: float
    whitened_start: float
    left_out: str | None


class Chunk(NamedTuple):
    """Whitened strain, zeros after its `frames` whole frames; each segment has one last chunk."""

    about: About
    strain: WhitenedPiece
    frames: int
    last: bool


class Feeder:
    """Makes the chunks of several segments at a time.

    Args:
        chunk_samples: length of a chunk, whole frames.
        streams: segments side by side.
        psd_seconds: of strain that one PSD is measured on.
        meter: counts what reading and whitening take.
    """

    def __init__(
        self,
        detector: TrainedDetector,
        chunk_samples: int,
        streams: int,
        psd_seconds: float,
        meter: Meter,
    ) -> None:
        self.detector, self.chunk_samples, self.streams = detector, chunk_samples, streams
        self.psd_seconds, self.meter = psd_seconds, meter

    def __call__(self, segments: Iterable[Coincident]) -> Iterator[list[Chunk]]:
        """Yield the next chunk of each segment under way, at most `streams` of them."""
        coming = enumerate(segments)
        under_way: list[Iterator[Chunk]] = []
        while True:
            while len(under_way) < self.streams:
                with self.meter.reading():
                    number, segment = next(coming, (-1, None))
                if segment is None:
                    break
                under_way.append(self._chunks(number, segment))
            if not under_way:
                return
            with self.meter.whitening():
                chunks = [next(source) for source in under_way]
            pairs = zip(under_way, chunks, strict=True)
            under_way = [source for source, chunk in pairs if not chunk.last]
            yield chunks

    def _chunks(self, number: int, segment: Coincident) -> Iterator[Chunk]:
        about = self._about(number, segment)
        held = np.zeros((len(self.detector.detectors), 0), np.float32)
        pieces = () if about.left_out else whitened_pieces(segment, self.detector, self.psd_seconds)
        size = self.chunk_samples
        for piece in pieces:
            held = np.concatenate([held, piece], axis=-1)
            whole = held.shape[-1] - held.shape[-1] % size
            for start in range(0, whole, size):
                yield self._chunk(about, held[:, start : start + size], last=False)
            held = held[:, whole:]
        yield self._chunk(about, held, last=True)

    def _chunk(self, about: About, strain: WhitenedPiece, last: bool) -> Chunk:
        frames = strain.shape[-1] // self.detector.frame_samples
        padded = np.zeros((strain.shape[0], self.chunk_samples), np.float32)
        padded[:, : strain.shape[-1]] = strain
        return Chunk(about, padded, frames, last)

    def _about(self, number: int, segment: Coincident) -> About:
        first = next(iter(segment.values()))
        start = whitened_start(segment, self.detector)
        why = too_short(segment, self.detector)
        return About(number, first.gps_start, first.duration, start, why)


def prefetched(items: Iterable[Item], ahead: int) -> Iterator[Item]:
    """Make items in a background thread, at most `ahead` of them before they are taken.

    An exception in the making is raised here, in its turn.
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(1, "whitening") as thread:
        coming = deque(thread.submit(next, source, end) for _ in range(ahead))
        try:
            while (item := coming.popleft().result()) is not end:
                coming.append(thread.submit(next, source, end))
                yield item  # type: ignore[misc]
        finally:
            thread.shutdown(wait=True, cancel_futures=True)
